"""Make a radiograph, slice, mammogram, sonogram or fundus picture that shows nobody.

    python examples/make_picture.py 7 chest_xray pneumonia picture.png [http://127.0.0.1:8000]        # seed 7
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (seed, modality, pathology, target), server = command_line(__doc__, 4)
    wanted = {"seed": int(seed), "modality": modality, "pathology": pathology, "generator": "phantom"}
    facts, picture = server.infer("image_synthesis", wanted)
    Path(target).write_bytes(picture)
    print(f"{facts['generator']}, {facts['conditions']}")


if __name__ == "__main__":
    main()
