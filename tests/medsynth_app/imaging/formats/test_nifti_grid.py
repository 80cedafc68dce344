"""The grid of a NIfTI file is the one that SimpleITK, and so 3D Slicer, reads; or the file is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.imaging.geometry import corner_distance
from medsynth_app.imaging.labels import write_label
from medsynth_app.imaging.reading import read_volume

SHAPE = (5, 6, 7)
sitk.ProcessObject.SetGlobalWarningDisplay(False)


def written(path: Path, **fields: Any) -> Path:
    """A NIfTI file whose header holds exactly these fields: no library mends it on the way."""
    header = nib.Nifti1Header()
    header.set_data_shape(SHAPE)
    header.set_data_dtype(np.uint8)
    header["magic"], header["vox_offset"] = b"n+1", 352
    header["pixdim"] = [1, 2, 3, 4, 1, 1, 1, 1]
    for field, value in fields.items():
        header[field] = value
    voxels = np.arange(np.prod(SHAPE), dtype=np.uint8).tobytes()
    path.write_bytes(header.binaryblock + b"\0" * 4 + voxels)
    return path


def itk_affine(path: Path) -> np.ndarray:
    """Voxel -> RAS mm as SimpleITK reads it."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    affine = np.eye(4)
    affine[:3, :3] = np.array(reader.GetDirection()).reshape(3, 3) * np.array(reader.GetSpacing())
    affine[:3, 3] = reader.GetOrigin()
    return np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine


SFORM = {"srow_x": [-2, 0, 0, 9], "srow_y": [0, 3, 0, 8], "srow_z": [0, 0, 4, 7]}
QFORM = {"quatern_c": 1.0, "qoffset_x": 9, "qoffset_y": 8, "qoffset_z": 7, "pixdim": [-1, 2, 3, 4, 1, 1, 1, 1]}
READ = {
    "neither code": {},
    "neither code, both forms filled in": {**SFORM, **QFORM},
    "qform alone": {**QFORM, "qform_code": 1},
    "sform alone": {**SFORM, "sform_code": 2},
    "sform of a template beside its qform": {**SFORM, **QFORM, "sform_code": 4, "qform_code": 1},
    "metres": {**SFORM, "sform_code": 1, "xyzt_units": 1, "pixdim": [1, 0.002, 0.003, 0.004, 1, 1, 1, 1],
               "srow_x": [-0.002, 0, 0, 0.009], "srow_y": [0, 0.003, 0, 0.008], "srow_z": [0, 0, 0.004, 0.007]},
    "microns": {"qform_code": 1, "xyzt_units": 3, "pixdim": [1, 2000, 3000, 4000, 1, 1, 1, 1], "qoffset_x": 9000},
    "a little shear beside a qform": {**SFORM, **QFORM, "srow_x": [-2, 0.02, 0, 9], "sform_code": 1, "qform_code": 1},
    "sizes that differ in the third digit": {**SFORM, "sform_code": 1, "pixdim": [1, 2.001, 3, 4, 1, 1, 1, 1]},
}  # fmt: skip
REFUSED = {
    "sheared": ({**SFORM, "srow_x": [-2, 0.5, 0, 9], "sform_code": 1}, "right angles"),
    "forms apart": ({**SFORM, **QFORM, "qoffset_x": 50, "sform_code": 1, "qform_code": 1}, "disagree by 41.0 mm"),
    "sizes apart": ({**SFORM, "sform_code": 1, "pixdim": [1, 1, 1, 1, 1, 1, 1, 1]}, "pixdim"),
    "scaled quaternion": ({"qform_code": 1, "quatern_b": 1.2}, "not a readable NIfTI"),
    "scaled quaternion of three": ({"qform_code": 1, "quatern_b": 0.9, "quatern_c": 0.9}, "not a readable"),
    "scaled quaternion beside an sform": ({**SFORM, "sform_code": 1, "qform_code": 1, "quatern_b": 1.2}, "quaternion"),
    "negative size": ({"qform_code": 1, "pixdim": [1, -2, 3, 4, 1, 1, 1, 1]}, "pixdim -2, 3, 4"),
    "size of 0": ({"qform_code": 1, "pixdim": [1, 0, 3, 4, 1, 1, 1, 1]}, "pixdim 0, 3, 4"),
    "unknown code": ({**SFORM, "sform_code": 9}, "sform_code 9"),
    "microns that are mm": ({**SFORM, "sform_code": 1, "xyzt_units": 3}, "xyzt_units micron"),
    "metres that are mm": ({**SFORM, "sform_code": 1, "xyzt_units": 1}, "2000 x 3000 x 4000 mm.*xyzt_units metre"),
    "voxels of 40 mm": ({"qform_code": 1, "pixdim": [1, 40, 40, 40, 1, 1, 1, 1]},
                        "40 x 40 x 40 mm, allowed are 0.01 to 25"),
}  # fmt: skip


@pytest.mark.parametrize("fields", READ.values(), ids=READ)
def test_grid_is_the_one_that_viewers_read_and_a_label_made_there_fits(
    tmp_path: Path, fields: dict[str, Any]
) -> None:
    path = written(tmp_path / "image.nii", **fields)
    volume = read_volume(path)
    assert corner_distance(volume.affine, itk_affine(path), SHAPE) < 1e-3
    write_label(np.zeros(SHAPE, np.uint8), volume.affine, tmp_path / "label.nii.gz")
    assert corner_distance(itk_affine(tmp_path / "label.nii.gz"), itk_affine(path), SHAPE) < 1e-3


@pytest.mark.parametrize(("fields", "message"), REFUSED.values(), ids=REFUSED)
def test_header_that_cannot_be_trusted_is_refused_by_name(
    tmp_path: Path, fields: dict[str, Any], message: str
) -> None:
    path = written(tmp_path / "image.nii", **fields)
    with pytest.raises((InvalidValueError, UnsupportedKindError), match=message):
        read_volume(path, "P1")


unit = st.floats(-1, 1, width=32)
size = st.floats(0.25, 12, width=32)
offset = st.floats(-300, 300, width=32)
matrix = st.lists(st.lists(st.floats(-8, 8, width=32), min_size=4, max_size=4), min_size=3, max_size=3)


@settings(max_examples=300, derandomize=True, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])  # fmt: skip
@given(
    codes=st.tuples(st.integers(-1, 6), st.integers(-1, 6)),
    quaternion=st.tuples(unit, unit, unit),
    sizes=st.tuples(size, size, size),
    offsets=st.tuples(offset, offset, offset),
    qfac=st.sampled_from([-1.0, 0.0, 1.0]),
    units=st.sampled_from([0, 2, 2, 2, 1, 3, 4]),
    sform=st.one_of(st.none(), st.tuples(st.floats(-0.01, 0.01), st.floats(-0.3, 0.3)), matrix),
)
def test_any_header_is_read_as_simpleitk_reads_it_or_refused(
    tmp_path: Path,
    codes: tuple[int, int],
    quaternion: tuple[float, float, float],
    sizes: tuple[float, float, float],
    offsets: tuple[float, float, float],
    qfac: float,
    units: int,
    sform: Any,
) -> None:
    """``sform``: None = what the qform says, a pair = that with a little shear and offset, else any matrix."""
    square = sum(q * q for q in quaternion)
    shorter = 1 / np.sqrt(square) * 0.999 if square > 1 else 1.0
    b, c, d = (q * shorter for q in quaternion)
    factor = {1: 0.001, 3: 1000.0}.get(units, 1.0)
    own = nib.Nifti1Header()
    own["pixdim"][:4] = [qfac or 1.0, *(s * factor for s in sizes)]
    own["quatern_b"], own["quatern_c"], own["quatern_d"] = b, c, d
    own["qoffset_x"], own["qoffset_y"], own["qoffset_z"] = (o * factor for o in offsets)
    own["qform_code"] = 1
    rows = own.get_qform()[:3]
    if isinstance(sform, tuple):
        rows = rows + sform[0] * np.abs(rows[:, [1, 2, 0, 3]]) + np.array([0, 0, 0, sform[1] * factor])
    elif sform is not None:
        rows = np.array(sform) * factor
    path = written(
        tmp_path / "image.nii", qform_code=codes[0], sform_code=codes[1], quatern_b=b, quatern_c=c, quatern_d=d,
        pixdim=[qfac, *own["pixdim"][1:]],
        qoffset_x=own["qoffset_x"], qoffset_y=own["qoffset_y"], qoffset_z=own["qoffset_z"],
        srow_x=rows[0], srow_y=rows[1], srow_z=rows[2], xyzt_units=units,
    )  # fmt: skip
    try:
        volume = read_volume(path)
    except (InvalidValueError, UnsupportedKindError):
        # Refusing is right for what contradicts itself only: a plain header must be read.
        plain = sform is None and set(codes) <= set(range(6))
        assert not plain
        return
    seen = itk_affine(path)
    assume(np.isfinite(seen).all())
    assert corner_distance(volume.affine, seen, SHAPE) < 0.02
    write_label(np.zeros(SHAPE, np.uint8), volume.affine, tmp_path / "label.nii")
    assert corner_distance(itk_affine(tmp_path / "label.nii"), seen, SHAPE) < 0.02
