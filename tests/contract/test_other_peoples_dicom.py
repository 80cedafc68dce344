"""DICOM objects as scanners and other tools write them, on a real DICOMweb server: read right, or refused by name."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

from medsynth_app.errors import InvalidValueError, NotFoundError, UnsupportedKindError
from medsynth_app.imaging.dicom.segmentation_object import read_segmentation, write_segmentation
from medsynth_app.imaging.dicom.series_reading import LPS_TO_RAS, read_series
from medsynth_app.imaging.dicom.study_writing import WrittenStudy, write_study
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.imaging.volume import Volume
from tests.apps.medsynth import conftest as server_tests
from tests.apps.medsynth.orthanc import Orthanc, running_orthanc

SHAPE = (20, 22, 12)
HEAD = server_tests.make_head(SHAPE, 1)


@pytest.fixture(scope="module")
def orthanc(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Orthanc]:
    """A DICOMweb server."""
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as server:
        yield server


@pytest.fixture
def archive(orthanc: Orthanc) -> Iterator[Orthanc]:
    """The server without any study."""
    orthanc.empty()
    yield orthanc
    orthanc.empty()


@pytest.fixture
def store(archive: Orthanc, tmp_path: Path) -> Callable[[], Any]:
    """Opens a datastore on the server."""
    from lib.dicom_datastore import DicomCaseDatastore  # noqa: PLC0415 - an application's module

    return lambda: DicomCaseDatastore(archive.url, {}, cache=tmp_path / "cache")


@pytest.fixture
def case(tmp_path: Path) -> CaseFiles:
    """The head as a case folder."""
    found = case_in_folder(server_tests.write_case(tmp_path, "small", HEAD))
    assert found is not None
    return found


Change = Callable[[list[Path]], object]


def send(archive: Orthanc, case: CaseFiles, folder: Path, **changes: Change) -> WrittenStudy:
    """Write and send a study; ``changes``: modality -> what to do to the files of that series."""
    study = write_study(case, folder)
    for modality, change in changes.items():
        change(sorted(folder.glob(f"{modality}_*.dcm")))
    archive.send(folder)
    return study


def set_all(**values: Any) -> Change:
    def change(paths: list[Path]) -> None:
        for path in paths:
            image = dcmread(path)
            for key, value in values.items():
                setattr(image, key, value)
            image.save_as(path)

    return change


# ---- DICOM SEG objects ----------------------------------------------------------------------------------


def segmentation(study: Path, target: Path, labels: np.ndarray, spoil: Callable[[Dataset], None], content: str) -> Path:
    """A SEG object on the FLAIR series, made into one of another tool; ``content`` is its time."""
    images = target.parent / f"{target.stem}_images"
    images.mkdir(parents=True)
    for path in study.glob("flair_*.dcm"):
        (images / path.name).write_bytes(path.read_bytes())
    affine = read_series(sorted(images.glob("*.dcm"))).affine
    write_segmentation(labels, affine, images, target, "another tool", automatic=False)
    dataset = dcmread(target)
    dataset.ContentTime = content
    spoil(dataset)
    target.parent.joinpath("sent").mkdir(exist_ok=True)
    dataset.save_as(target.parent / "sent" / target.name)
    return target


def eight_bits(dataset: Dataset, frames: np.ndarray) -> None:
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8, 8, 7
    dataset.PixelData = frames.astype(np.uint8).tobytes()


def fractional(dataset: Dataset) -> None:
    """Probability .9 in the segment, .02 everywhere else."""
    frames = np.where(dataset.pixel_array, 230, 5)
    dataset.SegmentationType, dataset.SegmentationFractionalType = "FRACTIONAL", "PROBABILITY"
    dataset.MaximumFractionalValue = 255
    eight_bits(dataset, frames)


def label_map(dataset: Dataset) -> None:
    groups = dataset.PerFrameFunctionalGroupsSequence
    numbers = [group.SegmentIdentificationSequence[0].ReferencedSegmentNumber for group in groups]
    frames = dataset.pixel_array * np.array(numbers, np.uint8)[:, None, None]
    for group in groups:
        del group.SegmentIdentificationSequence
    dataset.SegmentationType = "LABELMAP"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.66.7"
    eight_bits(dataset, frames)


def unknown_kind(dataset: Dataset) -> None:
    dataset.SegmentationType = "SURFACE"


def another_size(dataset: Dataset) -> None:
    frames = dataset.pixel_array[:, :-2]
    dataset.Rows = int(dataset.Rows) - 2
    dataset.PixelData = np.packbits(frames.astype(np.uint8).ravel(), bitorder="little").tobytes()


def broken_off(dataset: Dataset) -> None:
    dataset.PixelData = dataset.PixelData[:10]


def beside_the_slices(dataset: Dataset) -> None:
    for group in dataset.PerFrameFunctionalGroupsSequence:
        place = group.PlanePositionSequence[0]
        place.ImagePositionPatient = [float(v) + 1 for v in place.ImagePositionPatient]


def unchanged(_: Dataset) -> None:
    """As dcmqi writes it."""


def sent_with(
    archive: Orthanc, case: CaseFiles, folder: Path, *objects: tuple[np.ndarray, Callable[[Dataset], None]]
) -> str:
    """Send a study and SEG objects on it, the later ones written later; answers the FLAIR series."""
    study = send(archive, case, folder / "study")
    for number, (labels, spoil) in enumerate(objects):
        segmentation(folder / "study", folder / "seg" / f"{number}.dcm", labels, spoil, f"10{number:02d}00")
    archive.send(folder / "seg" / "sent")
    return study.series_uids["flair"]


@pytest.mark.parametrize("spoil", [unchanged, fractional, label_map])
def test_segmentations_of_other_tools_are_read(
    archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path, spoil: Callable[[Dataset], None]
) -> None:
    uid = sent_with(archive, case, tmp_path, (HEAD.labels, spoil))
    datastore = store()
    assert datastore.status()["completed"] == 1
    np.testing.assert_array_equal(nib.load(datastore.label_file(uid, "final")).get_fdata(), HEAD.labels)


@pytest.mark.parametrize("spoil", [unknown_kind, another_size])
def test_what_cannot_be_read_does_not_count_as_labelled(
    archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path, spoil: Callable[[Dataset], None]
) -> None:
    uid = sent_with(archive, case, tmp_path, (HEAD.labels, spoil))
    datastore = store()
    assert datastore.status()["completed"] == 0
    assert uid in datastore.get_unlabeled_images()
    with pytest.raises(NotFoundError, match="has no label"):
        datastore.label_file(uid, "final")


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [(broken_off, "not a readable DICOM SEG object"), (beside_the_slices, "lies beside the slices of its image")],
)
def test_what_turns_out_unreadable_stops_counting(
    archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path, spoil: Callable[[Dataset], None], complaint: str
) -> None:
    uid = sent_with(archive, case, tmp_path, (HEAD.labels, spoil))
    datastore = store()
    with pytest.raises((UnsupportedKindError, InvalidValueError), match=complaint):
        datastore.label_file(uid, "final")
    for again in (datastore, store()):
        assert again.status()["completed"] == 0
        assert uid in again.get_unlabeled_images()
        assert again.datalist() == []


def test_an_older_readable_one_takes_its_place(archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path) -> None:
    first = np.where(HEAD.labels == 3, 1, HEAD.labels).astype(np.uint8)
    uid = sent_with(archive, case, tmp_path, (first, unchanged), (HEAD.labels, broken_off))
    datastore = store()
    with pytest.raises(UnsupportedKindError):
        datastore.label_file(uid, "final")
    np.testing.assert_array_equal(nib.load(datastore.label_file(uid, "final")).get_fdata(), first)
    assert datastore.status()["completed"] == 1


# ---- series -----------------------------------------------------------------------------------------------


def per_frame_slopes(paths: list[Path]) -> None:
    """The series as one Enhanced MR image whose frames have slopes of their own."""
    images = [dcmread(path) for path in paths]
    whole = copy.deepcopy(images[0])
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.4.1"
    whole.SOPInstanceUID = whole.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    whole.NumberOfFrames, frames, groups = len(images), [], []
    for index, image in enumerate(images):
        slope = 1 << (index % 3)
        group, position, transformation = Dataset(), Dataset(), Dataset()
        position.ImagePositionPatient = image.ImagePositionPatient
        transformation.RescaleSlope, transformation.RescaleIntercept = str(slope), "-8"
        transformation.RescaleType = "US"
        group.PlanePositionSequence = Sequence([position])
        group.PixelValueTransformationSequence = Sequence([transformation])
        groups.append(group)
        frames.append(((image.pixel_array.astype(int) + 8) // slope).astype(image.pixel_array.dtype))
    shared, orientation, measures = Dataset(), Dataset(), Dataset()
    orientation.ImageOrientationPatient = whole.ImageOrientationPatient
    measures.PixelSpacing, measures.SliceThickness = whole.PixelSpacing, whole.SliceThickness
    shared.PlaneOrientationSequence, shared.PixelMeasuresSequence = Sequence([orientation]), Sequence([measures])
    whole.SharedFunctionalGroupsSequence = Sequence([shared])
    whole.PerFrameFunctionalGroupsSequence = Sequence(groups)
    whole.PixelData = np.stack(frames).tobytes()
    for key in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"):
        delattr(whole, key)
    for path in paths[1:]:
        path.unlink()
    whole.save_as(paths[0])


def test_an_enhanced_image_with_a_slope_a_frame(archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path) -> None:
    study = send(archive, case, tmp_path / "study", t2=per_frame_slopes)
    found = store().case(study.series_uids["flair"]).read()
    expected = case.read()
    np.testing.assert_array_equal(found.array[:3], expected.array[:3])
    # Slopes of 2 and 4 lose the lowest bits of whole numbers, no more.
    assert np.abs(found.array[3] - expected.array[3]).max() <= 3


def move_one(paths: list[Path]) -> None:
    image = dcmread(paths[4])
    place = np.array([float(v) for v in image.ImagePositionPatient])
    image.ImagePositionPatient = list(place + 15 * np.array([float(v) for v in image.ImageOrientationPatient[:3]]))
    image.save_as(paths[4])


def lose_one(paths: list[Path]) -> None:
    paths[4].unlink()


def repeat_one(paths: list[Path]) -> None:
    image = dcmread(paths[4])
    image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.save_as(paths[4].with_name("t2_again.dcm"))


def turn_one(paths: list[Path]) -> None:
    image = dcmread(paths[4])
    image.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    image.save_as(paths[4])


def cut_one(paths: list[Path]) -> None:
    image = dcmread(paths[4])
    image.PixelData = image.PixelData[:-100]
    image.save_as(paths[4])


@pytest.mark.parametrize(
    ("spoil", "complaint"),
    [
        (move_one, "lies 15.0 mm aside in its plane"),
        (lose_one, "slices are missing"),
        (repeat_one, "has several images at one place"),
        (turn_one, "its images differ in direction or size"),
        (cut_one, "a file ends too early"),
        (set_all(ImageType=["ORIGINAL", "PRIMARY", "M", "ND", "MOSAIC"]), "its images are mosaics"),
    ],
)
def test_an_irregular_series_is_named_and_stops_no_other(
    archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path, spoil: Change, complaint: str
) -> None:
    study = send(archive, case, tmp_path / "study", t2=spoil)
    found = store().case(study.series_uids["flair"])
    with pytest.raises(InvalidValueError, match=f"missing sequence t2: 'T2': .*{complaint}"):
        found.read()
    assert found.read(["flair", "t1", "t1ce"]).spatial_shape == SHAPE


def test_a_gradient_echo_is_no_t2(archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path) -> None:
    study = send(
        archive, case, tmp_path / "study",
        t2=set_all(SeriesDescription="t2_tra", ScanningSequence="GR", EchoTime="26"),
    )  # fmt: skip
    with pytest.raises(InvalidValueError, match=r"t2: no series is it; .*'t2_tra' is a gradient echo \(Scan.*26 ms\)"):
        store().case(study.series_uids["flair"]).read()


def test_the_series_used_are_named(archive: Orthanc, store: Any, case: CaseFiles, tmp_path: Path) -> None:
    study = send(archive, case, tmp_path / "study", t1ce=set_all(SeriesDescription="T1-GD", ContrastBolusAgent=""))
    found = store().case(study.series_uids["flair"])
    used = found.series_used()
    assert {name: row["series_uid"] for name, row in used.items()} == study.series_uids
    assert used["t1ce"]["why"] == "description 'T1-GD'; description says 'gd'"
    assert used["flair"] == {
        "series": used["flair"]["series"], "description": "FLAIR", "series_uid": study.series_uids["flair"],
        "why": "description 'FLAIR'", "interpolated": False,
    }  # fmt: skip
    assert any("'T1-GD' may mean with or without" in note for note in found.notes)


# ---- the files of the issue ---------------------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(("name", "voxels"), [("fractional", {2: 4000}), ("labelmap", None)])
def test_objects_of_the_issue(name: str, voxels: dict[int, int] | None, shared_data: Path) -> None:
    path = shared_data.parent / "cases" / "dicom_seg" / f"{name}.dcm"
    if not path.is_file():
        pytest.skip("the files of other programs are not on this machine")
    labels = read_segmentation(path, grid_of(dcmread(path)))
    found = {int(value): int(count) for value, count in zip(*np.unique(labels[labels > 0], return_counts=True))}
    if voxels is not None:
        assert found == voxels
    else:
        assert sum(found.values()) == 4000
        assert set(found) == {1, 2, 3}


def grid_of(dataset: Dataset) -> Volume:
    """The grid that an object's own frames lie on."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    groups = dataset.PerFrameFunctionalGroupsSequence
    x, y = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient]).reshape(2, 3)
    places = np.array([[float(v) for v in g.PlanePositionSequence[0].ImagePositionPatient] for g in groups])
    normal = np.cross(x, y)
    heights = np.unique(np.round(places @ normal, 3))
    step = float(np.diff(heights).min()) if len(heights) > 1 else 1.0
    rows_apart, columns_apart = (float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, :3] = np.stack([x * columns_apart, y * rows_apart, normal * step], axis=1)
    affine[:3, 3] = places[(places @ normal).argmin()]
    shape = (int(dataset.Columns), int(dataset.Rows), int(round((heights[-1] - heights[0]) / step)) + 1)
    return Volume(np.zeros((1, *shape), np.uint8), LPS_TO_RAS @ affine)
