"""Label maps as other programs write them, a row each, through every door that takes one: the right label, with what
was left out told, or a refusal that names the reason.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from medsynth_app.api.received_images import uploaded_images
from medsynth_app.clinical.site.tumor_images import images_of_case
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.formats.viewer_segments import Segment
from medsynth_app.imaging.label_writing import write_result
from medsynth_app.imaging.labels import canonical_labels, flattened, read_label, read_label_volume, renumber
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.imaging.volume import Volume
from medsynth_app.segmentation.evaluation import cases as evaluation
from medsynth_app.segmentation.evaluation.calibration import calibration_of
from medsynth_app.segmentation.training.dataset import load_case
from medsynth_app.segmentation.weights import load_weights
from medsynth_app.vocabulary import LABEL_NAMES
from tests.apps.medsynth import conftest as server_tests
from tests.apps.medsynth.preloaded_server import Starter

SHAPE = (32, 34, 28)
HEAD = server_tests.make_head(SHAPE, 1)
NAMES = ("necrotic_core", "edema", "enhancing_tumor")
MIDDLE = int(HEAD.labels.any(axis=(0, 1)).nonzero()[0].mean())
CORE, EDEMA, ENHANCING = (HEAD.labels == value for value in (1, 2, 3))


# ---- the files ---------------------------------------------------------------------------------------


def seg_nrrd(
    path: Path, layers: np.ndarray, segments: Sequence[tuple[str, int, int]], affine: np.ndarray, oldest: bool = False
) -> Path:
    """A ``.seg.nrrd`` as 3D Slicer writes it: (L, X, Y, Z) layers, segments as (name, value, layer)."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    vectors = ["(" + ",".join(f"{v:.10g}" for v in lps[:3, axis]) + ")" for axis in range(4)]
    several = len(layers) > 1
    shape = layers.shape if several else layers.shape[1:]
    header = [
        "NRRD0004", "# Complete NRRD file format specification at:", "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char", f"dimension: {len(shape)}", "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, shape))}",
        f"space directions: {'none ' if several else ''}{' '.join(vectors[:3])}",
        f"kinds: {'list ' if several else ''}domain domain domain", "encoding: gzip", f"space origin: {vectors[3]}",
    ]  # fmt: skip
    for index, (name, value, layer) in enumerate(segments):
        header += [f"Segment{index}_ID:=Segment_{index + 1}", f"Segment{index}_Name:={name}"]
        if not oldest:
            header += [f"Segment{index}_LabelValue:={value}", f"Segment{index}_Layer:={layer}"]
    header += ["Segmentation_ContainedRepresentationNames:=Binary labelmap|Closed surface|"]
    voxels = gzip.compress((layers if several else layers[0]).astype(np.uint8).tobytes(order="F"))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(("\n".join(header) + "\n\n").encode() + voxels)
    return path


def of(**values: int) -> np.ndarray:
    """The head's label with other values, (1, X, Y, Z)."""
    result = np.zeros(SHAPE, np.uint8)
    for name, mask in (("core", CORE), ("edema", EDEMA), ("enhancing", ENHANCING)):
        result[mask] = values.get(name, 0)
    return result[None]


def swapped(path: Path) -> Path:
    rows = [("edema", 2, 0), ("necrotic_core", 1, 0), ("enhancing_tumor", 3, 0)]
    return seg_nrrd(path, of(core=1, edema=2, enhancing=3), rows, HEAD.affine)


def other_values(path: Path) -> Path:
    rows = [("Edema", 1, 0), ("enhancing tumor", 20, 0), ("Necrotic-Core", 7, 0)]
    return seg_nrrd(path, of(core=7, edema=1, enhancing=20), rows, HEAD.affine)


def deleted(path: Path) -> Path:
    return seg_nrrd(path, of(core=1, edema=2, enhancing=3), [("edema", 2, 0), ("enhancing_tumor", 3, 0)], HEAD.affine)


def cropped(path: Path) -> Path:
    x, y, z = (np.flatnonzero(HEAD.labels.any(axis=tuple({0, 1, 2} - {axis}))) for axis in range(3))
    start, stop = (x[0], y[0], z[0]), (x[-1] + 1, y[-1] + 1, z[-1] + 1)
    affine = HEAD.affine.copy()
    affine[:3, 3] = (HEAD.affine @ [*start, 1.0])[:3]
    box = tuple(slice(a, b) for a, b in zip(start, stop))
    rows = [(name, value, 0) for value, name in enumerate(NAMES, start=1)]
    return seg_nrrd(path, HEAD.labels[box][None], rows, affine)


def one_slice(path: Path) -> Path:
    """Drawn in one slice only, and cropped to it."""
    affine = HEAD.affine.copy()
    affine[:3, 3] = (HEAD.affine @ [0.0, 0.0, MIDDLE, 1.0])[:3]
    rows = [(name, value, 0) for value, name in enumerate(NAMES, start=1)]
    return seg_nrrd(path, HEAD.labels[..., MIDDLE : MIDDLE + 1][None], rows, affine)


def larger(path: Path) -> Path:
    affine = HEAD.affine.copy()
    affine[:3, 3] = (HEAD.affine @ [-3.0, -2.0, -1.0, 1.0])[:3]
    rows = [(name, value, 0) for value, name in enumerate(NAMES, start=1)]
    return seg_nrrd(path, np.pad(HEAD.labels, ((3, 4), (2, 0), (1, 5)))[None], rows, affine)


def turned(path: Path) -> Path:
    """Cropped, and stored with axes R, A, S."""
    cropped(path)
    volume = read_volume(path)
    affine = volume.affine @ np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (volume.affine @ [volume.spatial_shape[0] - 1, volume.spatial_shape[1] - 1, 0, 1])[:3]
    rows = [(name, value, 0) for value, name in enumerate(NAMES, start=1)]
    return seg_nrrd(path, volume.array[:, ::-1, ::-1], rows, affine)


def layered(path: Path) -> Path:
    """Edema was drawn over the whole tumour, the rest in a second layer."""
    layers = np.concatenate([of(core=1, edema=1, enhancing=1), of(core=2, enhancing=1)])
    rows = [("edema", 1, 0), ("enhancing_tumor", 1, 1), ("necrotic_core", 2, 1)]
    return seg_nrrd(path, layers, rows, HEAD.affine)


def oldest(path: Path) -> Path:
    layers = np.concatenate([of(edema=1), of(enhancing=1), of(core=1)])
    rows = [("edema", 1, 0), ("enhancing_tumor", 1, 1), ("necrotic_core", 1, 2)]
    return seg_nrrd(path, layers, rows, HEAD.affine, oldest=True)


def slope(path: Path) -> Path:
    """An int16 file whose slope makes 1.0000153 of 1."""
    image = nib.Nifti1Image((of(core=1, edema=2, enhancing=4)[0]).astype(np.int16), HEAD.affine)
    image.set_sform(HEAD.affine, 1)
    image.set_qform(HEAD.affine, 1)
    image.header.set_data_dtype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(image, path)
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[112:116] = np.float32(1.0000153).tobytes()  # scl_slope
    path.write_bytes(gzip.compress(bytes(content)))
    return path


def own(path: Path) -> Path:
    write_result(HEAD.labels, HEAD.affine, path)
    return path


def beside(path: Path) -> Path:
    """Cropped, half a voxel beside the image's lattice."""
    cropped(path)
    volume = read_volume(path)
    affine = volume.affine.copy()
    affine[:3, 3] += 0.5
    return seg_nrrd(path, volume.array, [(n, v, 0) for v, n in enumerate(NAMES, start=1)], affine)


def elsewhere(path: Path) -> Path:
    """Cropped, partly outside the image."""
    cropped(path)
    volume = read_volume(path)
    affine = volume.affine.copy()
    affine[0, 3] -= 25
    return seg_nrrd(path, volume.array, [(n, v, 0) for v, n in enumerate(NAMES, start=1)], affine)


def unknown(path: Path) -> Path:
    rows = [("Segment_1", 1, 0), ("edema", 2, 0), ("enhancing_tumor", 3, 0)]
    return seg_nrrd(path, of(core=1, edema=2, enhancing=3), rows, HEAD.affine)


def ambiguous(path: Path) -> Path:
    return seg_nrrd(path, of(core=1, edema=2), [("edema", 1, 0), ("necrotic_core", 1, 0)], HEAD.affine)


def nameless(path: Path) -> Path:
    return seg_nrrd(path, of(core=1, edema=2, enhancing=3), [], HEAD.affine)


def half_values(path: Path) -> Path:
    return server_tests.write_nifti(path, HEAD.labels * np.float32(0.5), HEAD.affine)


@dataclass(frozen=True)
class Row:
    """A file of another program: how it is made, and the right reading or the right refusal."""

    write: Callable[[Path], Path]
    expected: np.ndarray | None = None
    warning: str = ""
    refusal: str = ""
    ending: str = ".seg.nrrd"

    def file(self, folder: Path, name: str) -> Path:
        return self.write(folder / f"{name}_seg{self.ending}")


ONE_SLICE = np.zeros(SHAPE, np.uint8)
ONE_SLICE[..., MIDDLE] = HEAD.labels[..., MIDDLE]
WITHOUT_CORE = np.where(CORE, 0, HEAD.labels).astype(np.uint8)
NESTED = np.where(CORE, 2, HEAD.labels).astype(np.uint8)
CORE_SIZE, OVERLAP = int(CORE.sum()), int((CORE | ENHANCING).sum())
ROWS = {
    "swapped": Row(swapped, HEAD.labels),
    "other_values": Row(other_values, HEAD.labels),
    "deleted": Row(
        deleted, WITHOUT_CORE, f"{CORE_SIZE} voxels of the value 1 belong to no segment .* became background && "
        "names no segment necrotic_core; the label holds none of it",
    ),
    "cropped": Row(cropped, HEAD.labels),
    "one_slice": Row(one_slice, ONE_SLICE),
    "larger": Row(larger, HEAD.labels),
    "turned": Row(turned, HEAD.labels),
    "layered": Row(layered, NESTED, f"segments overlap in {OVERLAP} voxels"),
    "oldest": Row(oldest, HEAD.labels),
    "slope": Row(slope, HEAD.labels, ending=".nii.gz"),
    "own": Row(own, HEAD.labels),
    "beside": Row(beside, refusal="lies on another grid than its image"),
    "elsewhere": Row(elsewhere, refusal="lies on another grid than its image"),
    "unknown": Row(unknown, refusal="segment 'Segment_1' is none of necrotic_core, edema, enhancing_tumor"),
    "ambiguous": Row(ambiguous, refusal="several of its segments have the value 1 in layer 0"),
    "nameless": Row(nameless, refusal="its header names no segment"),
    "half_values": Row(half_values, refusal=r"holds the values \[0.5, 1.5\]", ending=".nii.gz"),
}
READ = [name for name, row in ROWS.items() if row.expected is not None]
REFUSED = [name for name, row in ROWS.items() if row.refusal]
IMAGE = Volume(HEAD.sequences[:1].astype(np.float32), HEAD.affine)


def said(warnings: Sequence[str], row: Row) -> bool:
    """Whether exactly what is expected is warned of."""
    wanted = list(filter(None, row.warning.split(" && ")))
    return len(warnings) == len(wanted) and all(re.search(*pair) for pair in zip(wanted, warnings))


# ---- the library -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_read(name: str, tmp_path: Path) -> None:
    found = read_label(ROWS[name].file(tmp_path, name), IMAGE)
    np.testing.assert_array_equal(found.labels, ROWS[name].expected)
    assert said(found.warnings, ROWS[name]), found.warnings


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidValueError, match=ROWS[name].refusal):
        read_label(ROWS[name].file(tmp_path, name), IMAGE)


@pytest.mark.parametrize("name", [name for name in READ if ROWS[name].ending == ".seg.nrrd"])
def test_the_viewers_list_does_not_overrule_the_file(name: str, tmp_path: Path) -> None:
    found = read_label(ROWS[name].file(tmp_path, name), IMAGE, ["enhancing_tumor", "edema", "necrotic_core"])
    np.testing.assert_array_equal(found.labels, ROWS[name].expected)


@pytest.mark.parametrize("name", ["swapped", "other_values", "layered", "slope"])
def test_a_generators_mask(name: str, tmp_path: Path) -> None:
    volume, warnings = read_label_volume(ROWS[name].file(tmp_path, name))
    np.testing.assert_array_equal(volume.array[0], ROWS[name].expected)
    assert said(warnings, ROWS[name])


# ---- labels on disk: training, evaluation ---------------------------------------------------------------


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CaseFiles]:
    """A case folder for each row, with its label beside the sequences, and one with a plain label."""
    root = tmp_path_factory.mktemp("cases")
    found = {}
    for name, row in ROWS.items():
        folder = server_tests.write_case(root, name, HEAD)
        row.file(folder, name)
        case = case_in_folder(folder)
        assert case is not None
        found[name] = case
    return found


@pytest.mark.parametrize("name", READ)
def test_trained_on(name: str, cases: dict[str, CaseFiles], tmp_path: Path) -> None:
    plain = server_tests.write_nifti(tmp_path / "l.nii.gz", ROWS[name].expected, HEAD.affine)
    found, expected = (load_case(case, NAMES_OF_SEQUENCES) for case in (cases[name], replace(cases[name], label=plain)))
    np.testing.assert_array_equal(found.label, expected.label)
    assert expected.label.any()


@pytest.mark.parametrize("name", REFUSED)
def test_not_trained_on(name: str, cases: dict[str, CaseFiles]) -> None:
    with pytest.raises(InvalidValueError, match=f"^{name} label: .*{ROWS[name].refusal}"):
        load_case(cases[name], NAMES_OF_SEQUENCES)


NAMES_OF_SEQUENCES = list(server_tests.SEQUENCES)


@pytest.mark.parametrize("name", READ)
def test_evaluated(
    name: str, cases: dict[str, CaseFiles], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What the network finds does not matter here, and takes long.
    answer = SimpleNamespace(labels=np.roll(HEAD.labels, 1, axis=0), warnings=())
    sure = calibration_of(np.ones((4, 1, 1, 1)) / 4, *np.zeros((2, 1, 1, 1), np.uint8), np.ones((1, 1, 1), bool),
                          dict.fromkeys(LABEL_NAMES, (0.0, 1.0)), dict.fromkeys(LABEL_NAMES, 0.5))  # fmt: skip
    monkeypatch.setattr(evaluation, "predict", lambda *_: None)
    monkeypatch.setattr(evaluation, "answer_of", lambda *_: answer)
    monkeypatch.setattr(evaluation, "_calibration", lambda *_: sure)
    model = load_weights(server_tests.write_tiny_weights(tmp_path / "w.safetensors"))
    plain = server_tests.write_nifti(tmp_path / "l.nii.gz", ROWS[name].expected, HEAD.affine)
    found, expected = (
        evaluation.evaluate_cases([case], model).cases[name]
        for case in (cases[name], replace(cases[name], label=plain))
    )
    assert found["regions"] == expected["regions"]
    assert said(found.get("warnings", []), ROWS[name])


# ---- the clinic ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", READ)
def test_cross_checked(name: str, cases: dict[str, CaseFiles], tmp_path: Path) -> None:
    path = ROWS[name].file(tmp_path, name)
    image = cases[name].sequences["t1"]
    files = {"image": image, "label": path}
    for found in (uploaded_images(None, None, files), images_of_case(cases[name], path, "final")):
        np.testing.assert_array_equal(found.labels, ROWS[name].expected)
        assert said(found.notes, ROWS[name])


# ---- the server ------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server with a case folder for each row, its label in it, and a case without one."""
    starter = Starter()
    server = server_tests.start(tmp_path_factory.mktemp("server"), starter)
    server_tests.write_case(server.studies, "plain", HEAD)
    for name, row in ROWS.items():
        row.file(server_tests.write_case(server.studies, name, HEAD), name)
    try:
        with server.process:
            yield server
    finally:
        starter.close()


def fetched(server: Any, case: str, folder: Path) -> np.ndarray:
    answer = server.get("/datastore/label", params={"label": case, "tag": "final"})
    assert answer.status_code == 200, answer.text
    (folder / "fetched.nii.gz").write_bytes(answer.content)
    return np.asarray(nib.load(folder / "fetched.nii.gz").dataobj)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", READ)
def test_submitted(name: str, served: Any, tmp_path: Path) -> None:
    path = ROWS[name].file(tmp_path, name)
    # Slicer's list, as its extension sends it; it says another order than the file.
    rows = [{"name": n, "idx": i} for i, n in enumerate(["enhancing_tumor", "edema", "necrotic_core"])]
    told = {"label_info": rows} if path.name.endswith(".nrrd") else {}
    answer = served.put_label("plain", path, told)
    assert answer.status_code == 200, answer.text
    assert said(answer.json().get("warnings", []), ROWS[name]), answer.json()
    np.testing.assert_array_equal(fetched(served, "plain", tmp_path), ROWS[name].expected)


@pytest.mark.parametrize("name", REFUSED)
def test_not_submitted(name: str, served: Any, tmp_path: Path) -> None:
    answer = served.put_label("plain", ROWS[name].file(tmp_path, name))
    assert answer.status_code == 422
    assert re.search(ROWS[name].refusal, answer.json()["detail"])


def test_a_client_cannot_write_the_servers_warnings(served: Any, tmp_path: Path) -> None:
    answer = served.put_label("plain", own(tmp_path / "l.seg.nrrd"), {"warnings": ["all is well"]})
    assert "warnings" not in answer.json()


@pytest.mark.parametrize("name", READ)
def test_in_the_studies_folder(name: str, served: Any, tmp_path: Path) -> None:
    np.testing.assert_array_equal(fetched(served, name, tmp_path), ROWS[name].expected)
    info = served.get("/datastore/label/info", params={"label": name, "tag": "final"}).json()
    assert said(info.get("warnings", []), ROWS[name]), json.dumps(info)


@pytest.mark.parametrize("name", REFUSED)
def test_unfit_in_the_studies_folder(name: str, served: Any) -> None:
    answer = served.get("/datastore/label", params={"label": name, "tag": "final"})
    assert answer.status_code == 422
    assert re.search(f"^{name} label: .*{ROWS[name].refusal}", answer.json()["detail"])


# ---- files of 3D Slicer on the sample case ------------------------------------------------------------------


@pytest.mark.real
@pytest.mark.parametrize(
    ("file", "without"), [("swapped", 0), ("no_label_info", 0), ("cropped", 0), ("deleted_segment", 1)]
)
def test_files_of_slicer(file: str, without: int, shared_data: Path, repository: Path) -> None:
    path = shared_data.parent / "cases" / "seg_nrrd" / f"{file}.seg.nrrd"
    if not path.is_file():
        pytest.skip("the files of other programs are not on this machine")
    case = case_in_folder(repository / "sample-data" / "studies" / "MedSynth_001")
    assert case is not None
    assert case.label is not None
    image = case.read(["flair"])
    expected = read_label(case.label, image).labels
    found = read_label(path, image, list(NAMES))
    np.testing.assert_array_equal(found.labels, np.where(expected == without, 0, expected))
    assert len(found.warnings) == bool(without)


# ---- any values ----------------------------------------------------------------------------------------------

EVERY_RUN = settings(max_examples=250, derandomize=True, deadline=None)
SMALL = arrays.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=4)
TYPES = st.sampled_from([np.float32, np.float64])


@EVERY_RUN
@given(
    labels=arrays.arrays(np.uint8, SMALL, elements=st.integers(0, 3)), dtype=TYPES,
    noise=st.floats(-0.0099, 0.0099), brats=st.booleans(),
)  # fmt: skip
def test_rounded_values_are_whole(labels: np.ndarray, dtype: type, noise: float, brats: bool) -> None:
    stored = np.where(labels == 3, 4, labels) if brats else labels
    np.testing.assert_array_equal(canonical_labels(stored.astype(dtype) + dtype(noise)), labels)
    np.testing.assert_array_equal(renumber(labels.astype(dtype) + dtype(noise), NAMES), labels)


@EVERY_RUN
@given(
    labels=arrays.arrays(np.uint8, SMALL, elements=st.integers(0, 3)),
    strange=st.one_of(
        st.floats(allow_nan=True, allow_infinity=True).filter(lambda v: not abs(v - round_or_zero(v)) <= 0.0101),
        st.integers(5, 10**9), st.integers(-(10**9), -1),
    ),
    place=st.integers(0, 63), dtype=st.just(np.float64),
)  # fmt: skip
def test_other_values_are_refused(labels: np.ndarray, strange: float, place: int, dtype: type) -> None:
    spoiled = labels.astype(dtype)
    spoiled.flat[place % spoiled.size] = strange
    for read in (canonical_labels, lambda values: renumber(values, NAMES)):
        with pytest.raises(InvalidValueError, match="holds the values|has no segment"):
            read(spoiled)


def round_or_zero(value: float) -> float:
    """The nearest whole number; infinite and NaN have none."""
    return float(np.rint(value)) if np.isfinite(value) else float("inf")


@EVERY_RUN
@given(
    labels=arrays.arrays(np.uint8, SMALL, elements=st.integers(0, 3)), order=st.permutations(NAMES),
    values=st.lists(st.integers(1, 255), min_size=3, max_size=3, unique=True),
    layers=st.lists(st.integers(0, 2), min_size=3, max_size=3), left_over=st.booleans(),
)  # fmt: skip
def test_any_numbering_of_segments_is_undone(
    labels: np.ndarray, order: list[str], values: list[int], layers: list[int], left_over: bool
) -> None:
    segments = [Segment(*row) for row in zip(order, values, layers)]
    stored = np.zeros((3, *labels.shape), np.uint8)
    for segment in segments:
        stored[segment.layer][labels == 1 + NAMES.index(segment.name)] = segment.value
    expected = labels.copy()
    if left_over:
        expected[labels == 1 + NAMES.index(segments[-1].name)] = 0
        lost = bool((labels != expected).any())
        segments = segments[:-1]
    found = flattened(stored, segments)
    np.testing.assert_array_equal(found.labels, expected)
    assert any("belong to no segment" in warning for warning in found.warnings) == (left_over and lost)
    assert any("names no segment" in warning for warning in found.warnings) == left_over
