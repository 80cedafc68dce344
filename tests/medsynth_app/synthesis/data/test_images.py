"""Users' folders of pictures: both layouts, kinds of files, splits, and what is refused or left out by name."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ComputedRadiographyImageStorage, ExplicitVRLittleEndian, generate_uid

from medsynth_app.errors import InvalidValueError, MedSynthError, UnsupportedKindError
from medsynth_app.imaging.provenance.marking import SyntheticMark
from medsynth_app.synthesis.data.image_file import read_picture
from medsynth_app.synthesis.data.images import find_pictures, is_held_out, read_pictures, split_pictures
from medsynth_app.synthesis.writing import marked_png


def save(path: Path, size: tuple[int, int] = (40, 32), value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full(size[::-1], value, np.uint8)).save(path)
    return path


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for number in range(3):
        save(tmp_path / "chest_xray" / "No_findings" / "p1" / f"{number}.png")
        save(tmp_path / "chest_xray" / "Covid-19" / f"c{number}.jpg", (32, 48))
        save(tmp_path / "ultrasound" / "benign" / f"u{number}.png")
        save(tmp_path / "ultrasound" / "benign" / f"u{number}_mask.png", value=255 * (number > 0))
    save(tmp_path / "elsewhere" / "x.png")
    return tmp_path


def table(folder: Path, *lines: str) -> Path:
    (folder / "images.csv").write_text(
        "path,modality,pathology,patient,age,sex,severity,mask,split\n" + "\n".join(lines)
    )
    return folder


def test_sub_folders_name_modality_pathology_and_patient(folders: Path) -> None:
    found, complaints = find_pictures(folders)
    assert complaints == []
    assert len(found) == 9
    by_name = {source.name: source for source in found}
    assert by_name["chest_xray/No_findings/p1/0.png"].pathology == "normal"
    assert by_name["chest_xray/No_findings/p1/0.png"].patient == "chest_xray/p1"
    assert by_name["chest_xray/Covid-19/c1.jpg"].pathology == "covid-19"
    assert by_name["ultrasound/benign/u1.png"].mask is not None
    assert len(find_pictures(folders, "ultrasound")[0]) == 3


def test_pathologies_alone_need_the_modality(folders: Path) -> None:
    found, _ = find_pictures(folders / "ultrasound", "ultrasound")
    assert {source.pathology for source in found} == {"benign"}
    with pytest.raises(InvalidValueError, match="data: ultrasound holds 0 pictures .* option modality"):
        find_pictures(folders / "ultrasound")
    with pytest.raises(InvalidValueError, match="modality: 'pet' must be one of"):
        find_pictures(folders, "pet")


def test_a_table_tells_more_and_empty_cells_are_unknown(tmp_path: Path) -> None:
    for name in "abc":
        save(tmp_path / f"{name}.png")
    table(
        tmp_path,
        "a.png,mri,tumour,x,61,male,0.5,,validation",
        "b.png,MRI,,y,,,,,",
        "c.png,mri,tumour,,,,,b.png,train",
    )
    (first, second, third), _ = find_pictures(tmp_path)
    assert (first.age, first.sex, first.severity, first.patient) == (61.0, "male", 0.5, "mri/x")
    assert (second.age, second.sex, second.severity, second.pathology) == (None, "", None, "normal")
    assert third.mask == (tmp_path / "b.png").resolve()
    training, held = split_pictures([first, third])
    assert (training, held) == ([third], [first])


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("z.png,mri,,,,,,,", "line 4: path: 'z.png' names no file"),
        ("../secret.png,mri,,,,,,,", "line 4: path: '../secret.png' names no file in the folder"),
        ("a.png,pet,,,,,,,", "line 4: modality: 'pet' of a.png must be one of"),
        ("a.png,mri,,,old,,,,", "line 4: age: 'old' must be a number"),
        ("a.png,mri,,,200,,,,", "line 4: age: 200 of a.png must be between 0 and 120"),
        ("a.png,mri,,,,x,,,", "line 4: sex: 'x' of a.png must be female or male"),
        ("a.png,mri,,,,,1.5,,", "line 4: severity: 1.5 of a.png must be between 0 and 1"),
        ("a.png,mri,,,,,,,test", "line 4: split: 'test' of a.png must be train or validation"),
    ],
)
def test_a_wrong_row_is_left_out_and_named(tmp_path: Path, line: str, complaint: str) -> None:
    save(tmp_path.parent / "secret.png")
    for name in "ab":
        save(tmp_path / f"{name}.png")
    found, complaints = find_pictures(table(tmp_path, "a.png,mri,,,,,,,", "b.png,mri,,,,,,,", line))
    assert len(found) == 2
    assert complaint in complaints[0]


def test_no_patient_is_on_both_sides_and_the_split_stays(folders: Path) -> None:
    found, _ = find_pictures(folders)
    training, held = split_pictures(found, share=0.5)
    assert not {s.patient for s in training} & {s.patient for s in held}
    assert split_pictures(found[1:], share=0.5)[1] == [s for s in held if s != found[0]]
    assert [s.patient for s in split_pictures(found, "chest_xray/p1")[1]] == ["chest_xray/p1"] * 3
    assert 0.05 < np.mean([is_held_out(f"p{i}") for i in range(2000)]) < 0.15
    with pytest.raises(InvalidValueError, match="validation: no patient's name begins with 'nobody'"):
        split_pictures(found, "nobody")
    with pytest.raises(InvalidValueError, match="none is left to train on"):
        split_pictures(found, "chest,ultra")


def test_arrays_have_one_size_and_bad_files_are_named(folders: Path) -> None:
    (folders / "chest_xray" / "Covid-19" / "broken.png").write_bytes(b"\x89PNG no picture")
    fake = marked_png(np.zeros((32, 32), np.uint8), SyntheticMark("x", "1", 0))
    (folders / "chest_xray" / "Covid-19" / "fake.png").write_bytes(fake)
    save(folders / "ultrasound" / "benign" / "u0_mask.png", (8, 8))
    pictures = read_pictures(find_pictures(folders)[0], 16)
    assert pictures.images.shape == (8, 3, 16, 16)
    assert pictures.images.dtype == np.uint8
    assert pictures.masks.shape == (8, 16, 16)
    assert pictures.masks[pictures.has_mask].all()
    assert pictures.counts() == {"chest_xray/covid-19": 3, "chest_xray/normal": 3, "ultrasound/benign": 2}
    left_out = " ".join(pictures.left_out)
    for words in (
        "broken.png: cannot be decoded",
        "fake.png: says that it is synthetic",
        "mask of ultrasound/benign/u0",
    ):
        assert words in left_out
    assert read_pictures(find_pictures(folders)[0], 16, channels=1).images.shape[1] == 1


def dicom(path: Path, pixels: np.ndarray, **elements: object) -> Path:
    image = Dataset()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    image.file_meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    image.is_little_endian, image.is_implicit_VR = True, False
    image.Rows, image.Columns = pixels.shape
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated, image.BitsStored, image.HighBit, image.PixelRepresentation = 16, 16, 15, 0
    image.PixelData = pixels.astype(np.uint16).tobytes()
    for name, value in elements.items():
        setattr(image, name, value)
    image.save_as(path, write_like_original=False)
    return path


def test_dicom_by_its_window_and_inversion(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 4000, 32), (16, 1))
    grey = np.asarray(read_picture(dicom(tmp_path / "a.dcm", ramp)))
    assert grey.shape == (16, 32)
    assert grey[0, 0] < 5
    assert grey[0, -1] > 250
    windowed = np.asarray(read_picture(dicom(tmp_path / "b.dcm", ramp, WindowCenter=1000, WindowWidth=1000)))
    assert (windowed[0, 14:] == 255).all(), "2000 is above the window"
    inverted = np.asarray(
        read_picture(dicom(tmp_path / "c.dcm", ramp, PhotometricInterpretation="MONOCHROME1"))
    )
    assert inverted[0, 0] > 250


def test_a_nifti_slice_hangs_as_radiologists_do(tmp_path: Path) -> None:
    array = np.zeros((20, 30, 1), np.float32)
    array[:10, 20:] = 100.0  # the patient's right, in front
    nib.save(nib.Nifti1Image(array, np.diag([-1.0, 1.0, 1.0, 1.0])), tmp_path / "slice.nii.gz")
    grey = np.asarray(read_picture(tmp_path / "slice.nii.gz"))
    assert grey.shape == (30, 20)
    assert grey[0, 0] == 255
    assert grey[0, -1] == grey[-1, 0] == 0
    nib.save(nib.Nifti1Image(np.zeros((4, 4, 3), np.float32), np.eye(4)), tmp_path / "volume.nii.gz")
    with pytest.raises(InvalidValueError, match="must be one slice"):
        read_picture(tmp_path / "volume.nii.gz")


@pytest.mark.parametrize(("name", "content"), [("a.png", b"x"), ("a.dcm", b"x" * 200), ("a.nii.gz", b"x")])
def test_what_cannot_be_decoded_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UnsupportedKindError, match=f"{name}: cannot be decoded"):
        read_picture(tmp_path / name)


def test_a_single_pixel_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MedSynthError, match="at least 2 x 2 pixels"):
        read_picture(save(tmp_path / "a.png", (1, 1)))


def test_sixteen_bits_become_eight(tmp_path: Path) -> None:
    Image.fromarray((np.arange(1024).reshape(32, 32) * 50).astype(np.uint16)).save(tmp_path / "a.png")
    grey = np.asarray(read_picture(tmp_path / "a.png"))
    assert (grey.min(), grey.max()) == (0, 255)


@pytest.mark.parametrize("kind", ["EPS", "BMP", "TIFF", "GIF"])
def test_an_ending_does_not_let_other_kinds_in(tmp_path: Path, kind: str) -> None:
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "a.png", kind)
    with pytest.raises(UnsupportedKindError, match="cannot be decoded"):
        read_picture(tmp_path / "a.png")
