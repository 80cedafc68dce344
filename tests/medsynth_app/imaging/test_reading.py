"""What can be trusted is read as it is; everything else is refused with its name and the reason."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError, UnsupportedKindError
from medsynth_app.imaging.reading import is_image_name, read_channels, read_volume

LPS = np.array([[-1.0, 0, 0, 90], [0, -1.5, 0, 120], [0, 0, 2, -70], [0, 0, 0, 1]])
SHAPE = (6, 7, 8)


def counted(shape: tuple[int, ...] = SHAPE, dtype: type = np.int16) -> np.ndarray:
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def nifti_bytes(array: np.ndarray, sform: np.ndarray | None = LPS, qform: np.ndarray | None = LPS) -> bytes:
    image = nib.Nifti1Image(array, None)
    image.set_sform(sform, 0 if sform is None else 1)
    image.set_qform(qform, 0 if qform is None else 1)
    if sform is not None and qform is None:
        image.header["pixdim"][1:4] = np.linalg.norm(sform[:3, :3], axis=0)
    return image.to_bytes()


def with_header(offset: int, layout: str, *values: float) -> bytes:
    """A good file with some header bytes overwritten (offsets of the NIfTI-1 standard)."""
    raw = bytearray(nifti_bytes(counted()))
    struct.pack_into(layout, raw, offset, *values)
    return bytes(raw)


@pytest.mark.parametrize(
    ("name", "known"),
    [("a.nii", True), ("A.NII.GZ", True), ("a.b.nrrd", True), ("a.seg.nrrd", True), ("a.gz", False),
     ("a.dcm", False), ("nii", False), ("a.nii.txt", False)],
)  # fmt: skip
def test_image_names(name: str, known: bool) -> None:
    assert is_image_name(name) is known


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".NII.gz"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int32, np.float32, np.float64])
def test_a_plain_nifti_keeps_values_type_and_place(
    tmp_path: Path, build: Any, ending: str, dtype: type
) -> None:
    path = build.write_nifti(tmp_path / "a.nii", counted(dtype=dtype), LPS)
    if ending != ".nii":
        path = tmp_path / f"a{ending}"
        path.write_bytes(gzip.compress((tmp_path / "a.nii").read_bytes()))
    volume = read_volume(path)
    assert volume.array.dtype == dtype
    np.testing.assert_array_equal(volume.array, counted(dtype=dtype)[None])
    np.testing.assert_allclose(volume.affine, LPS)


def test_a_scaled_nifti_is_read_with_its_slope(tmp_path: Path) -> None:
    raw = bytearray(nifti_bytes(counted()))
    struct.pack_into("<ff", raw, 112, 0.5, 10.0)
    (tmp_path / "a.nii").write_bytes(raw)
    volume = read_volume(tmp_path / "a.nii")
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[0], counted() * 0.5 + 10)


def test_channels_of_a_4d_nifti_come_first(tmp_path: Path, build: Any) -> None:
    array = counted((5, 6, 7, 4))
    volume = read_volume(build.write_nifti(tmp_path / "a.nii.gz", array, LPS))
    assert volume.array.shape == (4, 5, 6, 7)
    for channel in range(4):
        np.testing.assert_array_equal(volume.array[channel], array[..., channel])


def test_a_single_volume_series_is_one_channel(tmp_path: Path, build: Any) -> None:
    path = build.write_nifti(tmp_path / "a.nii", counted((5, 6, 7, 1)), LPS)
    assert read_volume(path).array.shape == (1, 5, 6, 7)


def test_a_big_endian_nifti_is_read(tmp_path: Path) -> None:
    image = nib.Nifti1Image(counted(), LPS, nib.Nifti1Header(endianness=">"))
    nib.save(image, tmp_path / "a.nii")
    volume = read_volume(tmp_path / "a.nii")
    np.testing.assert_array_equal(volume.array[0].astype(np.float32), counted())


UNREADABLE: list[tuple[str, str, Callable[[], bytes]]] = [
    ("empty", "a.nii.gz", lambda: b""),
    ("empty plain", "a.nii", lambda: b""),
    ("empty nrrd", "a.nrrd", lambda: b""),
    ("garbage", "a.nii", lambda: b"\x07garbage" * 500),
    ("garbage gz", "a.nii.gz", lambda: b"\x07garbage" * 500),
    ("text", "a.nii.gz", lambda: b"<html>not found</html>"),
    ("plain named gz", "a.nii.gz", lambda: nifti_bytes(counted())),
    ("garbage inside gz", "a.nii.gz", lambda: gzip.compress(b"\x07garbage" * 500)),
    ("header only", "a.nii", lambda: nifti_bytes(counted())[:352]),
    ("half a header", "a.nii", lambda: nifti_bytes(counted())[:200]),
    ("cut short", "a.nii", lambda: nifti_bytes(counted())[:-10]),
    ("gz cut in the voxels", "a.nii.gz", lambda: gzip.compress(nifti_bytes(counted((40, 40, 40))))[:-3000]),
    ("gz cut in the header", "a.nii.gz", lambda: gzip.compress(nifti_bytes(counted()))[:30]),
    ("unknown voxel type", "a.nii", lambda: with_header(70, "<h", 9999)),
    ("garbage nrrd", "a.nrrd", lambda: b"\x07garbage" * 500),
    ("nrrd header only", "a.nrrd", lambda: b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\n"),
    ("nrrd cut short", "a.nrrd",
     lambda: b"NRRD0004\ntype: short\ndimension: 3\nsizes: 4 4 4\nencoding: raw\nendian: big\n\n" + bytes(9)),
    ("nifti named nrrd", "a.nrrd", lambda: nifti_bytes(counted())),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "make"), [row[1:] for row in UNREADABLE], ids=[row[0] for row in UNREADABLE]
)
def test_what_is_no_image_is_refused(tmp_path: Path, name: str, make: Callable[[], bytes]) -> None:
    (tmp_path / name).write_bytes(make())
    with pytest.raises(UnsupportedKindError, match="case_7 flair: ") as caught:
        read_volume(tmp_path / name, "case_7 flair")
    assert str(tmp_path) not in caught.value.message


def _with_value(value: float, dtype: type = np.float32) -> bytes:
    array = counted(dtype=dtype)
    array[1, 2, 3] = value
    return nifti_bytes(array)


def _moved(millimetres: float) -> np.ndarray:
    affine = LPS.copy()
    affine[0, 3] += millimetres
    return affine


def _flipped(axis: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    """The same field of view with one axis running the other way."""
    affine = LPS.copy()
    affine[:3, 3] += affine[:3, axis] * (shape[axis] - 1)
    affine[:3, axis] *= -1
    return affine


REFUSED: list[tuple[str, Callable[[], bytes], str]] = [
    ("2-D", lambda: nifti_bytes(counted((16, 16))), r"must be a 3-D image.*shape \(16, 16\)"),
    ("one slice", lambda: nifti_bytes(counted((16, 16, 1))), r"must be a 3-D image.*shape \(16, 16, 1\)"),
    ("one slice, channels", lambda: nifti_bytes(counted((16, 16, 1, 3))), r"must be a 3-D image"),
    ("5-D", lambda: nifti_bytes(counted((4, 4, 4, 1, 3))), r"must be a 3-D image.*\(4, 4, 4, 1, 3\)"),
    ("no dimensions", lambda: with_header(40, "<h", 0), "must be a 3-D image"),
    ("a dimension of 0", lambda: with_header(40, "<4h", 3, 6, 0, 8), "must be a 3-D image"),
    ("a negative dimension", lambda: with_header(40, "<4h", 3, 6, -7, 8), "must be a 3-D image"),
    ("huge dimensions", lambda: with_header(40, "<4h", 3, 32767, 32767, 32767), "exceeds 1073741824 voxels"),
    ("huge channels", lambda: with_header(40, "<5h", 4, 512, 512, 512, 32000), "exceeds 1073741824 voxels"),
    ("NaN", lambda: _with_value(np.nan), "holds NaN or infinite voxels"),
    ("infinite", lambda: _with_value(-np.inf, np.float64), "holds NaN or infinite voxels"),
    ("beyond float32", lambda: _with_value(1e300, np.float64), "holds NaN or infinite voxels"),
    ("colours", lambda: nib.Nifti1Image(
        np.zeros(SHAPE, dtype=[("R", "u1"), ("G", "u1"), ("B", "u1")]), LPS
    ).to_bytes(), "one number a voxel"),
    ("complex", lambda: nifti_bytes(counted(dtype=np.complex64)), "one number a voxel"),
    ("forms 1.5 mm apart", lambda: nifti_bytes(counted(), LPS, _moved(1.5)), r"disagree by 1\.5 mm"),
    ("forms mirrored about the origin", lambda: nifti_bytes(counted(), LPS, np.diag([-1.0, 1, 1, 1]) @ LPS),
     "left and right cannot be told"),
    ("forms mirrored in place", lambda: nifti_bytes(counted(), LPS, _flipped(0)), "disagree by 5.0 mm"),
    ("two thin slices mirrored", lambda: nifti_bytes(
        counted((6, 7, 2)), *(np.diag([1, 1, 0.2, 1]) @ np.array([[-1.0, 0, 0, 90], [0, -1.5, 0, 120],
        [0, 0, sign * 2, start], [0, 0, 0, 1]]) for sign, start in ((1, 0), (-1, 2)))), "disagree"),
    ("turned forms", lambda: nifti_bytes(counted(), LPS, LPS[[1, 0, 2, 3]]), "disagree by"),
    ("impossible quaternion", lambda: with_header(256, "<fff", 5.0, 5.0, 5.0), "quaternion.*length of at most 1"),
    ("NaN in the qform", lambda: with_header(268, "<f", np.nan), "disagree|finite"),
    ("NaN in the sform", lambda: with_header(280, "<f", np.nan), "disagree|finite"),
    ("flat sform", lambda: nifti_bytes(counted(), np.diag([1.0, 1, 0, 1]), None), "must be invertible"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "message"), [row[1:] for row in REFUSED], ids=[row[0] for row in REFUSED])
def test_what_cannot_be_trusted_is_refused(tmp_path: Path, make: Callable[[], bytes], message: str) -> None:
    (tmp_path / "a.nii").write_bytes(make())
    with pytest.raises(InvalidValueError, match=message) as caught:
        read_volume(tmp_path / "a.nii", "case_7 flair")
    assert caught.value.message.startswith("case_7 flair: ")


@pytest.mark.parametrize(
    ("sform", "qform"),
    [(LPS, _moved(0.9)), (LPS, None), (None, LPS), (np.diag([1.0, 1.0, -2.0, 1.0]), None)],
    ids=["forms 0.9 mm apart", "sform only", "qform only", "left-handed sform only"],
)
def test_forms_that_agree_are_read(
    tmp_path: Path, sform: np.ndarray | None, qform: np.ndarray | None
) -> None:
    (tmp_path / "a.nii").write_bytes(nifti_bytes(counted(), sform, qform))
    expected = sform if sform is not None else qform
    np.testing.assert_allclose(read_volume(tmp_path / "a.nii").affine, expected, atol=1e-4)


def test_random_damage_to_the_header_never_escapes_the_house_errors(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    good = nifti_bytes(counted())
    outcomes = set()
    for _ in range(150):
        raw = bytearray(good)
        for position in random.integers(0, 352, 4):
            raw[position] = random.integers(0, 256)
        (tmp_path / "a.nii").write_bytes(raw)
        try:
            outcomes.add(read_volume(tmp_path / "a.nii").array.ndim)
        except MedSynthError as error:
            outcomes.add(error.status)
    assert outcomes == {4, 415, 422}


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match=r"^gone\.nii: there is no such file$"):
        read_volume(tmp_path / "gone.nii")


def write_nrrd(path: Path, array: np.ndarray, *, spacing: tuple[float, ...] = (1.0, 1.5, 2.0)) -> Path:
    """An array (X, Y, Z[, C]) as NRRD on the grid of ``LPS``."""
    order = (2, 1, 0, 3)[: array.ndim]
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.transpose(order)), isVector=array.ndim == 4)
    image.SetSpacing(spacing)
    image.SetOrigin((-90.0, -120.0, -70.0))
    sitk.WriteImage(image, str(path), True)
    return path


@pytest.mark.parametrize("ending", [".nrrd", ".seg.nrrd"])
def test_an_nrrd_lies_where_the_nifti_lies(tmp_path: Path, ending: str) -> None:
    volume = read_volume(write_nrrd(tmp_path / f"a{ending}", counted()))
    np.testing.assert_array_equal(volume.array, counted()[None])
    np.testing.assert_allclose(volume.affine, LPS)


def test_an_nrrd_in_ras_space_is_converted(tmp_path: Path) -> None:
    header = (
        "NRRD0004\ntype: short\ndimension: 3\nspace: right-anterior-superior\nsizes: 6 7 8\n"
        "space directions: (-1,0,0) (0,-1.5,0) (0,0,2)\nkinds: domain domain domain\nendian: little\n"
        "encoding: raw\nspace origin: (90,120,-70)\n\n"
    )
    (tmp_path / "a.nrrd").write_bytes(header.encode() + counted().astype("<i2").tobytes(order="F"))
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.array[0], counted())
    np.testing.assert_allclose(volume.affine, LPS)


def test_channels_of_a_vector_nrrd_come_first(tmp_path: Path) -> None:
    array = counted((5, 6, 7, 3))
    volume = read_volume(write_nrrd(tmp_path / "a.nrrd", array))
    np.testing.assert_array_equal(volume.array, np.moveaxis(array, 3, 0))


NRRD_HEADER = (
    "NRRD0004\ntype: {type}\ndimension: {n}\nsizes: {sizes}\nencoding: raw\nendian: little\n{more}\n"
)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"n": 2, "sizes": "16 16"}, "must be a 3-D image"),
        ({"n": 3, "sizes": "16 16 1"}, "must be a 3-D image"),
        ({"n": 3, "sizes": "30000 30000 30000"}, "exceeds 1073741824 voxels"),
        ({"n": 3, "sizes": "4 4 4", "more": "data file: /etc/hostname\n"}, "a single file"),
        ({"n": 3, "sizes": "4 4 4", "more": "datafile: other.raw\n"}, "a single file"),
        ({"n": 3, "sizes": "4 4 4", "more": "Data File: LIST\nother.raw\n"}, "a single file"),
    ],
    ids=["2-D", "one slice", "huge", "detached", "detached, short", "detached, list"],
)
def test_an_nrrd_that_cannot_be_trusted_is_refused(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    (tmp_path / "other.raw").write_bytes(bytes(4096))
    header = NRRD_HEADER.format(**{"type": "short", "more": "", **fields})
    (tmp_path / "a.nrrd").write_bytes(header.encode() + bytes(512))
    with pytest.raises(MedSynthError, match=f"^x: .*{message}") as caught:
        read_volume(tmp_path / "a.nrrd", "x")
    assert caught.value.status in (415, 422)


def test_nan_in_an_nrrd_is_refused(tmp_path: Path) -> None:
    array = counted(dtype=np.float32)
    array[0, 0, 0] = np.nan
    with pytest.raises(InvalidValueError, match="holds NaN"):
        read_volume(write_nrrd(tmp_path / "a.nrrd", array))


def test_channels_are_stacked_in_the_order_asked_for(tmp_path: Path, build: Any) -> None:
    paths = [build.write_nifti(tmp_path / f"{n}.nii.gz", counted() + n, LPS) for n in range(3)]
    volume = read_channels([paths[2], paths[0]])
    assert volume.array.dtype == np.float32
    np.testing.assert_array_equal(volume.array, np.stack([counted() + 2, counted()]))
    np.testing.assert_allclose(volume.affine, LPS)


@pytest.mark.parametrize(
    ("array", "affine", "message"),
    [
        (counted((6, 7, 9)), LPS, r"t1: its grid \(6, 7, 9\) differs from flair \(6, 7, 8\)"),
        (
            counted(),
            _moved(3.0),
            "t1: its grid .* in shape or position; all sequences of a case must share one grid",
        ),
        (counted(), _flipped(1), "t1: its grid .* must share one grid"),
        (counted((6, 7, 8, 2)), LPS, "t1: must be a single 3-D image, has 2 channels"),
    ],
    ids=["shape", "position", "flipped", "4-D"],
)
def test_files_on_different_grids_are_refused(
    tmp_path: Path, build: Any, array: np.ndarray, affine: np.ndarray, message: str
) -> None:
    first = build.write_nifti(tmp_path / "flair.nii", counted(), LPS)
    second = build.write_nifti(tmp_path / "t1.nii", array, affine)
    with pytest.raises(InvalidValueError, match=message):
        read_channels([first, second], ["flair", "t1"])


def test_no_files_are_refused() -> None:
    with pytest.raises(InvalidValueError, match="at least one file"):
        read_channels([])
