"""Make a CT or MR volume that does not exist.

    python examples/make_volume.py 7 mri_brain volume.nii.gz [http://127.0.0.1:8000]        # seed 7
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (seed, volume_type, target), server = command_line(__doc__, 3)
    facts, volume = server.infer("volume_synthesis", {"seed": int(seed), "volume_type": volume_type})
    Path(target).write_bytes(volume)
    print(f"{facts['generator']}, {facts['conditions']}")


if __name__ == "__main__":
    main()
