"""A NRRD header is read once, strictly: nothing in it names another file, and nothing in it can be read in two ways."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from medsynth_app.errors import InvalidValueError, MedSynthError, TooLargeError, UnsupportedKindError
from medsynth_app.imaging.formats.expanded_size import check_expanded_size
from medsynth_app.imaging.formats.nrrd_header import read_nrrd_header
from medsynth_app.imaging.reading import read_volume

SIZE = 4**3
SECRET = bytes(range(1, SIZE + 1))


def header(*lines: str, newline: str = "\n", **fields: str) -> bytes:
    """A header of 4 x 4 x 4 bytes with more lines at its end and fields replaced."""
    rows = {"type": "uint8", "dimension": "3", "sizes": "4 4 4", "encoding": "raw", **fields}
    return newline.join(["NRRD0005", *(f"{k}: {v}" for k, v in rows.items()), *lines, "", ""]).encode()


def write(folder: Path, content: bytes) -> Path:
    path = folder / "a.nrrd"
    path.write_bytes(content)
    return path


# ---- the attack: two parsers that do not split lines alike ----


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file that no upload may read."""
    path = tmp_path / "users.json"
    path.write_bytes(SECRET)
    return path


@pytest.mark.parametrize("separator", ["\r", "\n\r", "\r\r", "\x0b", "\x0c", "\x1c", "\x1d", "\x1e", "\x85", "\u2028"])
def test_no_line_end_hides_another_file(tmp_path: Path, secret: Path, separator: str) -> None:
    hidden = f"content: x{separator}data file: {secret}"
    for content in (header(hidden), header(hidden, newline=separator), header(f"key:=x{separator}data file: {secret}")):
        path = write(tmp_path, content + bytes(SIZE))
        with pytest.raises(MedSynthError) as caught:
            read_volume(path, "label")
        assert caught.value.status in (415, 422)
        with pytest.raises(MedSynthError):
            check_expanded_size(path, "label", 1 << 20)


SPELLINGS = ["data file", "datafile", "Data File", "DATAFILE", "data  file", " data file", "data\tfile"]


@pytest.mark.parametrize("word", SPELLINGS)
def test_no_spelling_names_another_file(tmp_path: Path, secret: Path, word: str) -> None:
    path = write(tmp_path, header(f"{word}: {secret}"))
    with pytest.raises(InvalidValueError):
        read_volume(path, "label")


def test_the_voxels_are_those_behind_the_header(tmp_path: Path, secret: Path) -> None:
    """Whatever a comment or a value says: ITK is not asked."""
    named = f"data file: {secret}"
    path = write(tmp_path, header(f"# {named}", f"content: {named}", f"k:={named}") + bytes(SIZE))
    assert not read_volume(path).array.any()


@pytest.mark.parametrize("separator", ["\x0b", "\x0c", "\x1c", "\r"])
def test_sizes_cannot_be_told_twice(tmp_path: Path, separator: str) -> None:
    """130 KB became 128 MB: the check saw the second ``sizes``, the reader the first."""
    content = header(f"content: x{separator}sizes: 1 1 1", sizes="512 512 512", encoding="gzip")
    path = write(tmp_path, content + gzip.compress(bytes(1 << 20)))
    with pytest.raises(MedSynthError):
        check_expanded_size(path, "label", 1 << 20)
    with pytest.raises(MedSynthError):
        read_volume(path, "label")


# ---- what is odd is refused by name ----


@pytest.mark.parametrize(
    ("lines", "fields", "message"),
    [
        (["sizes: 4 4 4"], {}, "'sizes' is told twice"),
        (["a:=1", "a:=2"], {}, "'a' is told twice"),
        (["line skip: 3"], {}, "line skip"),
        (["byte skip: 12"], {}, "byte skip"),
        (["byteskip: -1"], {}, "byte skip"),
        (["strange field: 1"], {}, "'strange field' is no field"),
        (["no separator"], {}, "is no field"),
        ([], {"encoding": "bzip2"}, "encoding: 'bzip2' .*raw, gzip"),
        ([], {"encoding": "hex"}, "raw, gzip"),
        ([], {"type": "block"}, "type: 'block'"),
        ([], {"type": "int16"}, "endian"),
        ([], {"type": "int16", "endian": "middle"}, "endian"),
        ([], {"dimension": "17"}, "dimension"),
        ([], {"dimension": "2"}, "sizes"),
        ([], {"sizes": "4 4 9999999999999999999999"}, "sizes"),
        (["space: right-up"], {}, "space: 'right-up'"),
        (["space: scanner-xyz"], {}, "space: 'scanner-xyz'"),
        (["space directions: (1,0,0) (0,1,0) (0,0,1)"], {}, "space"),
        (["space: LPS", "space directions: (1,0,0) (0,1,0)"], {}, "space directions"),
        (["space: LPS", "space directions: (1,0,0) (0,1,0) (0,0,nan)"], {}, "space directions"),
        (["space: LPS", "space directions: (1,0,0) (0,1,0) none"], {}, "space directions|3-D"),
        (["space: LPS", "space origin: (1,2)"], {}, "space origin"),
        (["space: LPS", 'space units: "m" "m" "m"'], {}, "space units"),
        (["spacings: 1 0 1"], {}, "spacings"),
        (["axis mins: 0 0 0"], {}, "axis mins"),
    ],
)  # fmt: skip
def test_an_odd_header_is_refused_by_name(
    tmp_path: Path, lines: list[str], fields: dict[str, Any], message: str
) -> None:
    path = write(tmp_path, header(*lines, **fields) + bytes(2 * SIZE))
    with pytest.raises(MedSynthError, match=f"^label: .*({message})") as caught:
        read_volume(path, "label")
    assert caught.value.status in (415, 422)


def packed(content: bytes) -> bytes:
    return header(encoding="gzip") + gzip.compress(content)


@pytest.mark.parametrize(
    "content",
    [b"", b"NRRD0005", b"NRRD0006\n\n", header()[:-1], header() + bytes(SIZE - 1), header() + bytes(SIZE + 1),
     packed(bytes(SIZE))[:-9], packed(bytes(SIZE)) + b"x", packed(bytes(SIZE + 1)), packed(bytes(SIZE - 1)),
     header(encoding="gzip") + b"no gzip", header(encoding="gzip") + zlib.compress(bytes(SIZE)),
     header("content: \xe9").decode().encode("latin-1") + bytes(SIZE), header("x" * (2 << 20))],
    ids=["empty", "magic only", "newer", "no empty line", "cut", "too long", "gzip cut", "gzip and more", "gzip long",
         "gzip short", "no gzip", "zlib", "latin-1", "endless header"],
)  # fmt: skip
def test_what_does_not_fit_its_header_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(MedSynthError) as caught:
        read_volume(write(tmp_path, content), "label")
    assert caught.value.status in (415, 422)
    assert str(tmp_path) not in caught.value.message


def test_a_bomb_is_unpacked_no_further_than_its_header_says(tmp_path: Path) -> None:
    path = write(tmp_path, header(encoding="gzip") + gzip.compress(bytes(64 << 20)))
    tracemalloc.start()
    with pytest.raises(UnsupportedKindError):
        read_volume(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 << 20


def test_a_header_of_gigabytes_is_refused_from_a_folder_too(tmp_path: Path) -> None:
    path = write(tmp_path, header(type="double", endian="little", sizes="1000 1000 1000", encoding="gzip") + bytes(99))
    with pytest.raises(TooLargeError, match="4096 MB"):
        read_volume(path)


# ---- what other programs write stays readable ----


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_both_line_ends_are_read(tmp_path: Path, newline: str) -> None:
    path = write(tmp_path, header("name:=뇌종양 a\tb", newline=newline) + SECRET)
    assert read_nrrd_header(path, "a").pairs == {"name": "뇌종양 a\tb"}
    np.testing.assert_array_equal(read_volume(path).array[0].ravel(order="F"), np.arange(1, SIZE + 1))


def test_fields_and_pairs_are_told_to_callers(tmp_path: Path) -> None:
    """What `.seg.nrrd` files keep of their segments, with NRRD's own escapes undone."""
    rows = ["Segment0_Name:=core: a:=b", r"Segment0_Tags:=one\ntwo\\n|", "Content: z"]
    found = read_nrrd_header(write(tmp_path, header(*rows) + SECRET), "a")
    assert found.pairs == {"Segment0_Name": "core: a:=b", "Segment0_Tags": "one\ntwo\\n|"}
    assert found.fields["content"] == "z"
    assert (found.sizes, found.dtype, found.encoding) == ((4, 4, 4), np.dtype(np.uint8), "raw")


@pytest.mark.parametrize("kind", [np.uint8, np.int8, np.uint16, np.int16, np.uint32, np.int32, np.float32, np.float64])
@pytest.mark.parametrize("compressed", [True, False])
def test_files_of_itk_are_read_as_itk_reads_them(tmp_path: Path, kind: type, compressed: bool) -> None:
    array = np.arange(5 * 6 * 7).reshape(7, 6, 5).astype(kind)
    image = sitk.GetImageFromArray(array)
    image.SetSpacing((0.5, 1.25, 3.0))
    image.SetOrigin((-12.5, 40.0, 7.75))
    angle = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, -1.0]])
    image.SetDirection(angle.ravel().tolist())
    image.SetMetaData("Segment0_Name", "core")
    sitk.WriteImage(image, str(tmp_path / "a.nrrd"), compressed)
    volume = read_volume(tmp_path / "a.nrrd")
    np.testing.assert_array_equal(volume.array[0], array.transpose(2, 1, 0))
    assert volume.array.dtype == kind
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = angle * image.GetSpacing(), image.GetOrigin()
    np.testing.assert_allclose(volume.affine, np.diag([-1, -1, 1, 1]) @ lps, atol=1e-9)
    assert read_nrrd_header(tmp_path / "a.nrrd", "a").pairs["Segment0_Name"] == "core"


@pytest.mark.parametrize("kinds", ["list domain domain domain", "domain domain domain list"])
def test_layers_become_channels_wherever_their_axis_stands(tmp_path: Path, kinds: str) -> None:
    first = kinds.startswith("list")
    array = np.arange(2 * 3 * 4 * 5, dtype=np.uint8).reshape((2, 3, 4, 5) if first else (3, 4, 5, 2))
    vectors = "none (1,0,0) (0,1,0) (0,0,2)" if first else "(1,0,0) (0,1,0) (0,0,2) none"
    rows = ["space: LPS", f"space directions: {vectors}", f"kinds: {kinds}", "space origin: (1,2,3)"]
    sizes = " ".join(map(str, array.shape))
    path = write(tmp_path, header(*rows, dimension="4", sizes=sizes) + array.tobytes(order="F"))
    volume = read_volume(path)
    np.testing.assert_array_equal(volume.array, array if first else np.moveaxis(array, 3, 0))
    np.testing.assert_allclose(volume.affine, [[-1, 0, 0, -1], [0, -1, 0, -2], [0, 0, 2, 3], [0, 0, 0, 1]])


def test_a_fourth_axis_that_is_a_place_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, header(dimension="4", sizes="4 4 2 2") + bytes(SIZE))
    with pytest.raises(InvalidValueError, match="must be a 3-D image"):
        read_volume(path)


def test_files_of_3d_slicer_are_read(slicer_files: list[Path]) -> None:
    for path in slicer_files:
        found = read_nrrd_header(path, path.name)
        names = {value for key, value in found.pairs.items() if key.endswith("_Name")}
        assert names <= {"necrotic_core", "edema", "enhancing_tumor"}
        assert len(names) >= 2
        image = sitk.ReadImage(str(path))
        volume = read_volume(path)
        np.testing.assert_array_equal(volume.array[0], sitk.GetArrayFromImage(image).transpose(2, 1, 0))


@pytest.fixture
def slicer_files(repository: Path) -> list[Path]:
    found = sorted((repository.parent / "shared" / "cases" / "seg_nrrd").glob("*.seg.nrrd"))
    if not found:
        pytest.skip("no files of other programs beside the checkout")
    return found
