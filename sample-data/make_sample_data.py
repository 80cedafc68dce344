"""Make the sample studies of this folder, bit for bit, from their seeds.

    python sample-data/make_sample_data.py            write studies/ and checksums.txt
    python sample-data/make_sample_data.py --check    make them again and compare with what is here

``--check`` compares the unpacked images, because the packed bytes also depend on the version of zlib.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.imaging.provenance.marking import SyntheticMark, synthetic_nifti
from medsynth_app.synthesis.tumor.generator import TumorCase, generate_tumor_case
from medsynth_app.synthesis.tumor.request import TumorCaseRequest
from medsynth_app.vocabulary import Modality

HERE = Path(__file__).resolve().parent
BRIGHT_LEVEL = 140.0
"""Grey level of the 99.9th percentile: few levels keep the packed files small."""
MADE_WITH_VERSION = "0.1.0"
"""Version written into the marks; raised only when they are made anew, so that they stay reproducible."""


@dataclass(frozen=True)
class SampleCase:
    """One study of this folder.

    Attributes:
        name: folder and file stem.
        conditions: what to ask of the tumour case generator.
        brats_2023_naming: ``-t2f -t1n -t1c -t2w -seg`` instead of ``_flair _t1 _t1ce _t2 _seg``.
    """

    name: str
    conditions: dict[str, Any]
    brats_2023_naming: bool = False


SAMPLE_CASES = (
    SampleCase(
        "MedSynth_001",
        {"seed": 1, "site": "frontal", "side": "left", "volume_ml": 75.0, "grade": 4, "noise": 0.02},
    ),
    SampleCase(
        "MedSynth_002",
        {"seed": 22, "site": "parietal", "side": "right", "volume_ml": 48.0, "grade": 2, "spacing_mm": 2.0,
         "noise": 0.02},
    ),
    SampleCase(
        "MedSynth-GLI-00003-000",
        {"seed": 33, "site": "temporal", "side": "right", "volume_ml": 95.0, "grade": 4, "spacing_mm": 2.0,
         "slice_thickness_mm": 3.0, "noise": 0.02},
        brats_2023_naming=True,
    ),
)


def packed_files(sample: SampleCase) -> dict[str, bytes]:
    """File name -> content of the five files of a case."""
    case = generate_tumor_case(TumorCaseRequest.from_parameters(sample.conditions))
    naming = int(sample.brats_2023_naming)
    files = {}
    for modality, channel in zip(Modality, case.images.array):
        name = f"{sample.name}{modality.file_suffixes[naming]}.nii.gz"
        files[name] = _packed(few_levels(channel), case)
    files[f"{sample.name}{'-seg' if naming else '_seg'}.nii.gz"] = _packed(case.label, case)
    return files


def few_levels(channel: np.ndarray) -> np.ndarray:
    """(X, Y, Z) int16 -> uint8 of about 150 levels; 0 stays outside the brain, the brain is at least 1."""
    inside = channel[channel > 0]
    place = int(0.999 * (inside.size - 1))
    bright = float(np.partition(inside, place)[place])
    levels = np.clip(np.rint(channel * (BRIGHT_LEVEL / bright)), 1, 255)
    return (levels * (channel > 0)).astype(np.uint8)


def _packed(array: np.ndarray, case: TumorCase) -> bytes:
    mark = SyntheticMark(case.mark.generator, MADE_WITH_VERSION, case.seed, case.conditions)
    content = synthetic_nifti(array, case.images.affine, mark).to_bytes()
    buffer = io.BytesIO()
    # No file name and no time in the gzip header: the same image gives the same file.
    with gzip.GzipFile(filename="", mode="wb", compresslevel=9, fileobj=buffer, mtime=0) as stream:
        stream.write(content)
    return buffer.getvalue()


def write_all(studies: Path) -> None:
    """Write every case and the list of checksums (``sha256sum -c checksums.txt`` reads it)."""
    lines = []
    for sample in SAMPLE_CASES:
        folder = studies / sample.name
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in packed_files(sample).items():
            (folder / name).write_bytes(content)
            lines.append(f"{hashlib.sha256(content).hexdigest()}  studies/{sample.name}/{name}\n")
        print(f"{sample.name}: {sum(f.stat().st_size for f in folder.iterdir()) / 1e6:.2f} MB")
    (studies.parent / "checksums.txt").write_text("".join(sorted(lines, key=lambda line: line[66:])))


def differing_files(sample: SampleCase, studies: Path) -> list[str]:
    """Names of files whose unpacked content differs from what the seed gives."""
    different = []
    for name, content in packed_files(sample).items():
        stored = studies / sample.name / name
        if not stored.is_file() or gzip.decompress(stored.read_bytes()) != gzip.decompress(content):
            different.append(name)
    return different


def main() -> int:
    """Command line; the exit status is 1 if ``--check`` finds a difference."""
    manners = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=manners)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    parser.add_argument("--studies", type=Path, default=HERE / "studies", help="folder of the case folders")
    arguments = parser.parse_args()
    if not arguments.check:
        write_all(arguments.studies)
        return 0
    different = [name for sample in SAMPLE_CASES for name in differing_files(sample, arguments.studies)]
    lines = [f"differs: {name}" for name in different] or ["all sample files are as their seeds make them"]
    print("\n".join(lines))
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
