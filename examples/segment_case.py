"""Segment a case of a running server and print the tumour's volumes.

    python examples/segment_case.py MedSynth_001 mask.nii.gz [http://127.0.0.1:8000]
"""

from pathlib import Path

from medsynth_server import command_line


def main() -> None:
    (case, target), server = command_line(__doc__, 2)
    facts, mask = server.infer("brain_tumor_segmentation", {"result_extension": ".nii.gz"}, case)
    Path(target).write_bytes(mask)
    for name, volume in facts["volumes_ml"].items():
        print(f"{name:20} {volume:8.2f} ml")


if __name__ == "__main__":
    main()
