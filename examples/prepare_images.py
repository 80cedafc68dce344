"""Brings public collections of pictures into the layout that ``medsynth train image_synthesis`` reads.

    python examples/prepare_images.py OUT --chest-xray FOLDER --ultrasound FOLDER --head-ct FOLDER --retina FOLDER \
        --brats FOLDER

Each collection is a folder of its pictures, unpacked:

- ``--chest-xray``: sub-folders ``Covid-19``, ``No_findings``, ``Pneumonia``.
- ``--ultrasound``: BUSI's sub-folders ``benign``, ``malignant``, ``normal``.
- ``--head-ct``: ``000.jpg`` ... and ``labels.csv`` (``id, hemorrhage``).
- ``--retina``: CHASE_DB1's ``Image_01L.jpg`` ...
- ``--brats``: case folders with ``_flair _t1 _t1ce _t2 _seg``; every fourth axial slice of each sequence is taken.

OUT takes square PNGs and ``images.csv``. What the collections do not tell is measured here, and is a measurement, not
an expert's label: where a bleeding lies (bright, connected, inside the skull), where a breast lesion lies (dark,
connected, near the middle), how opaque the lungs of a chest radiograph are (as a rank), how large a tumour or a
bleeding is. Where a measurement fails, the cell stays empty.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import nibabel as nib
import numpy as np
from PIL import Image
from scipy import ndimage

SIDE = 160
BRATS_SIDE_MM = 192
SLICE_STEP = 4
SEQUENCES = ("flair", "t1", "t1ce", "t2")
SMALLEST_LESION, LARGEST_BLEEDING = 0.002, 0.12
"""Shares of the picture."""
SKULL_SHARE, BONE_SHARE = 0.11, 0.06
"""Thickness of scalp and skull, and mean depth below it of what may still be bone, over the root of the head's area."""
THINNEST = 0.22
"""Largest circle within a bleeding over the root of its area; a disc has 0.56, a piece of skull less than 0.2."""
BRATS_VALIDATION = ("Brats18_CBICA_ABM_1", "Brats18_TCIA02_135_1", "BraTS2021_01476", "BraTS2021_01483")
"""Held out here as in MedSynth's segmentation."""


@dataclass
class Row:
    """One picture and its cells."""

    picture: np.ndarray
    modality: str
    pathology: str
    patient: str
    name: str
    severity: float | None = None
    sequence: str = ""
    sex: str = ""
    mask: np.ndarray | None = None
    split: str = ""


def square(picture: np.ndarray, side: int = SIDE, nearest: bool = False) -> np.ndarray:
    """The whole picture (H, W) or (H, W, 3) uint8 in the middle of a black square."""
    height, width = picture.shape[:2]
    longest = max(height, width)
    canvas = np.zeros((longest, longest, *picture.shape[2:]), picture.dtype)
    top, left = (longest - height) // 2, (longest - width) // 2
    canvas[top : top + height, left : left + width] = picture
    how = Image.Resampling.NEAREST if nearest else Image.Resampling.LANCZOS
    return np.asarray(Image.fromarray(canvas).resize((side, side), how))


def cropped(picture: np.ndarray, side: int = SIDE) -> np.ndarray:
    """The middle square."""
    height, width = picture.shape[:2]
    least = min(height, width)
    top, left = (height - least) // 2, (width - least) // 2
    part = picture[top : top + least, left : left + least]
    return np.asarray(Image.fromarray(part).resize((side, side), Image.Resampling.LANCZOS))


def read(path: Path, mode: str = "L") -> np.ndarray:
    """A picture as an array."""
    return np.asarray(Image.open(path).convert(mode))


def ranks(values: list[float]) -> list[float]:
    """0 to 1 by order."""
    order = np.argsort(np.argsort(values))
    return [float(rank) / max(len(values) - 1, 1) for rank in order]


def chest_xray(folder: Path) -> Iterator[Row]:
    """Severity of the sick: rank of their lungs' opacity."""
    words = {"Covid-19": "covid-19", "No_findings": "normal", "Pneumonia": "pneumonia"}
    rows = []
    for name, word in words.items():
        for path in sorted((folder / name).glob("*.jpg")):
            # NIH numbers are PATIENT_VISIT.
            patient = path.stem.split("_")[0] if word != "covid-19" else path.stem
            rows.append(Row(cropped(read(path)), "chest_xray", word, patient, path.stem))
    sick = [row for row in rows if row.pathology != "normal"]
    for row, rank in zip(sick, ranks([lung_opacity(row.picture) for row in sick])):
        row.severity = rank
    yield from rows


def lung_opacity(picture: np.ndarray) -> float:
    """Median brightness where the lungs usually lie, over that of the middle between them."""
    image = ndimage.gaussian_filter(picture.astype(np.float32), 1.5)
    n = len(image)

    def zone(top: float, bottom: float, left: float, right: float) -> np.ndarray:
        return image[int(top * n) : int(bottom * n), int(left * n) : int(right * n)]

    low = float(np.percentile(image, 2))
    middle = float(np.median(zone(0.35, 0.6, 0.44, 0.56))) - low
    lungs = [np.median(zone(0.25, 0.62, *x)) - low for x in ((0.16, 0.4), (0.6, 0.84))]
    return float(np.mean(lungs)) / max(middle, 1.0)


def ultrasound(folder: Path) -> Iterator[Row]:
    """Severity: size of the dark lesion, where one is found."""
    for name in ("benign", "malignant", "normal"):
        for path in sorted((folder / name).glob("*.*")):
            if path.stem.endswith("_mask"):
                continue
            picture = square(read(path))
            lesion = dark_lesion(picture) if name != "normal" else np.zeros(picture.shape, bool)
            row = Row(picture, "ultrasound", name, path.stem, path.stem.replace(" ", "_"), sex="female", mask=lesion)
            if name != "normal":
                row.severity = None if lesion is None else size_share(lesion, 0.25)
            yield row


def dark_lesion(picture: np.ndarray) -> np.ndarray | None:
    """The dark, connected, compact part nearest to the middle of a breast ultrasound picture; None where none is."""
    image = ndimage.gaussian_filter(picture.astype(np.float32), 2.5)
    n = len(image)
    y, x = np.mgrid[:n, :n] / n
    # Sound fades with depth: what is dark is told against its own depth.
    depth = ndimage.gaussian_filter1d(np.percentile(image, 60, axis=1), 8)
    relative = image / np.maximum(depth[:, None], 12.0)
    best, score = None, 0.0
    for threshold in (0.3, 0.4, 0.5, 0.6):
        found, count = ndimage.label(ndimage.binary_opening(relative < threshold, iterations=2))
        for number in range(1, count + 1):
            part = found == number
            share = float(part.mean())
            if not 0.006 < share < 0.22 or part[:, :2].any() or part[:, -2:].any() or part[-3:].any():
                continue
            distance = np.hypot(x[part].mean() - 0.5, 1.1 * (y[part].mean() - 0.42))
            hull = np.ptp(np.nonzero(part), axis=1) + 1
            fill = part.sum() / np.prod(hull)
            shell = ndimage.binary_dilation(part, iterations=5) & ~part
            contrast = relative[shell].mean() - relative[part].mean()
            value = contrast * fill * np.sqrt(share) * np.exp(-((distance / 0.25) ** 2))
            if fill > 0.45 and contrast > 0.2 and value > score:
                best, score = part, value
    return None if best is None else ndimage.binary_fill_holes(ndimage.binary_dilation(best, iterations=1))


def head_ct(folder: Path) -> Iterator[Row]:
    """Severity: size of the bleeding, where it is found."""
    with (folder / "labels.csv").open(newline="") as file:
        labels = {int(row["id"]): row for row in csv.DictReader(file, skipinitialspace=True)}
    for number, cells in sorted(labels.items()):
        picture = square(read(folder / f"{number:03d}.jpg"))
        bleeds = cells["hemorrhage"].strip() == "1"
        lesion = bleeding(picture) if bleeds else np.zeros(picture.shape, bool)
        severity = size_share(lesion, LARGEST_BLEEDING) if bleeds and lesion is not None else None
        word = "haemorrhage" if bleeds else "normal"
        yield Row(picture, "ct", word, f"{number:03d}", f"{number:03d}", severity, mask=lesion)


def bleeding(picture: np.ndarray) -> np.ndarray | None:
    """The largest part inside the skull that is clearly brighter than the brain; None where none is."""
    image = ndimage.gaussian_filter(picture.astype(np.float32), 1.0)
    head = largest_part(ndimage.binary_fill_holes(ndimage.binary_opening(image > 25, iterations=2)))
    depth = ndimage.distance_transform_edt(head)
    size = np.sqrt(max(float(head.sum()), 1.0))
    brain = depth > SKULL_SHARE * size
    if brain.mean() < 0.1:
        return None
    values = image[brain]
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    bright = brain & (image > middle + max(3.0 * spread, 22.0))
    parts, count = ndimage.label(ndimage.binary_opening(bright, iterations=1))
    for number in sorted(range(1, count + 1), key=lambda n: -int((parts == n).sum())):
        lesion = ndimage.binary_fill_holes(parts == number)
        # What lies along the border of the region is the skull of a head that is no ellipse.
        thickness = ndimage.distance_transform_edt(lesion).max() / np.sqrt(max(float(lesion.sum()), 1.0))
        is_bone = depth[lesion].mean() < (SKULL_SHARE + BONE_SHARE) * size or thickness < THINNEST
        if not is_bone and SMALLEST_LESION < lesion.mean() < LARGEST_BLEEDING:
            return np.asarray(lesion)
    return None


def largest_part(mask: np.ndarray) -> np.ndarray:
    """The largest connected part; empty where there is none."""
    parts, count = ndimage.label(mask)
    if not count:
        return mask
    sizes = ndimage.sum_labels(np.ones(mask.shape), parts, range(1, count + 1))
    return np.asarray(parts == 1 + int(np.argmax(sizes)))


def retina(folder: Path) -> Iterator[Row]:
    """Healthy eyes of children; left and right eye are one patient."""
    for path in sorted(folder.glob("Image_*.jpg")):
        yield Row(square(read(path, "RGB")), "retina", "normal", path.stem[:-1], path.stem)


def brats(folder: Path) -> Iterator[Row]:
    """A slice with labelled tumour shows ``tumour``, one without ``normal``; severity: size of the tumour."""
    for case in sorted(path for path in folder.iterdir() if path.is_dir()):
        seg = voxels(case / f"{case.name}_seg.nii.gz") > 0
        images = {name: voxels(case / f"{case.name}_{name}.nii.gz") for name in SEQUENCES}
        brain = images["flair"] > 0
        area = brain.sum(axis=(0, 1))
        wanted = np.flatnonzero(area > 0.45 * area.max())[::SLICE_STEP]
        corner = [(n - BRATS_SIDE_MM) // 2 for n in seg.shape[:2]]
        box = tuple(slice(c, c + BRATS_SIDE_MM) for c in corner)
        tops = {name: float(np.percentile(image[brain], 99.7)) for name, image in images.items()}
        for level in wanted:
            mask = square(255 * seg[(*box, level)].T.astype(np.uint8), nearest=True) > 0
            pathology = "tumour" if mask.mean() > SMALLEST_LESION else "normal"
            if pathology == "normal" and mask.any():
                continue
            for name, image in images.items():
                grey = np.rint(255 * np.clip(image[(*box, level)].T / tops[name], 0, 1)).astype(np.uint8)
                severity = size_share(mask, 0.16) if pathology == "tumour" else None
                stem = f"{case.name}_{level:03d}_{name}"
                split = "validation" if case.name in BRATS_VALIDATION else "train"
                yield Row(square(grey), "mri", pathology, case.name, stem, severity, name, mask=mask, split=split)


def voxels(path: Path) -> np.ndarray:
    """(X, Y, Z) float32: left to right, front to back, upwards, as BraTS stores them."""
    return np.asarray(nib.load(path).dataobj, dtype=np.float32)


def size_share(mask: np.ndarray, largest: float) -> float:
    """0 to 1: the lesion's diameter in shares of that of a lesion that covers ``largest`` of the picture."""
    return float(min(np.sqrt(mask.mean() / largest), 1.0))


def write(rows: Iterator[Row], out: Path, table: csv.DictWriter) -> None:
    """PNGs and one line of the table each."""
    for row in rows:
        place = out / row.modality / row.pathology
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(row.picture).save(place / f"{row.name}.png")
        mask = ""
        if row.mask is not None:
            mask = f"{row.modality}/{row.pathology}/{row.name}_mask.png"
            Image.fromarray(255 * row.mask.astype(np.uint8)).save(out / mask)
        table.writerow({
            "path": f"{row.modality}/{row.pathology}/{row.name}.png", "modality": row.modality,
            "pathology": row.pathology, "patient": row.patient, "age": "", "sex": row.sex,
            "severity": "" if row.severity is None else f"{row.severity:.3f}", "sequence": row.sequence, "mask": mask,
            "split": row.split,
        })  # fmt: skip


COLLECTIONS: dict[str, Callable[[Path], Iterator[Row]]] = {
    "chest_xray": chest_xray,
    "ultrasound": ultrasound,
    "head_ct": head_ct,
    "retina": retina,
    "brats": brats,
}


def main() -> None:
    """Read the folders that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    for name in COLLECTIONS:
        parser.add_argument(f"--{name.replace('_', '-')}", type=Path)
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    columns = ["path", "modality", "pathology", "patient", "age", "sex", "severity", "sequence", "mask", "split"]
    with (given.out / "images.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, columns)
        table.writeheader()
        for name, collection in COLLECTIONS.items():
            if folder := getattr(given, name):
                write(collection(folder), given.out, table)
                print(f"{name}: done")


if __name__ == "__main__":
    main()
