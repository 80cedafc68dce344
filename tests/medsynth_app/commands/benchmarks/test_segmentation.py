"""The benchmark's own arithmetic and its choice of a case; the servers are measured by the command itself."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.commands.benchmarks import segmentation as benchmark
from medsynth_app.errors import InvalidValueError


def test_largest_complete_case_is_chosen(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path, "small", build.head(spacing=(4.0, 4.0, 4.0)))
    build.write_case(tmp_path, "large", build.head(spacing=(3.0, 3.0, 3.0)))
    build.write_case(tmp_path, "partial", build.head(spacing=(2.0, 2.0, 2.0)), leave_out=("t2",))
    assert benchmark._choose(tmp_path, "").name == "large"
    assert benchmark._choose(tmp_path, "small").name == "small"
    for name in ("partial", "nobody"):
        with pytest.raises(InvalidValueError, match=f"no case '{name}' with all four"):
            benchmark._choose(tmp_path, name)


def test_both_servers_get_the_same_voxels(tmp_path: Path, build: Any) -> None:
    build.write_case(tmp_path / "in", "case_1")
    case = benchmark._choose(tmp_path / "in", "")
    benchmark._link_case(case, tmp_path / "ours")
    benchmark._write_four_dimensional(case, tmp_path / "stock")
    ours = benchmark._choose(tmp_path / "ours", "case_1").read()
    stock: Any = nib.load(tmp_path / "stock" / "case_1.nii.gz")
    np.testing.assert_array_equal(np.moveaxis(np.asarray(stock.dataobj), 3, 0), ours.array)
    np.testing.assert_allclose(stock.affine, ours.affine)


@pytest.mark.parametrize(
    ("second", "whole", "exact"), [([1, 2, 3, 0], 1, 1), ([2, 2, 3, 0], 1, 2 / 3), ([0, 0, 0, 4], 0, 0)]
)
def test_agreement_counts_the_tumour_and_the_labels(second: list[int], whole: float, exact: float) -> None:
    found = benchmark._agreement(np.array([1, 2, 3, 0]), np.array(second))
    assert found == pytest.approx({"whole_tumor": whole, "all_labels": exact})


@pytest.mark.parametrize("zipped", [True, False])
def test_masks_are_compared_in_one_orientation(build: Any, zipped: bool) -> None:
    head = build.head()
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = head.labels.shape[0] - 1
    image = nib.Nifti1Image(np.ascontiguousarray(head.labels[::-1]), head.volume.affine @ flip)
    content = gzip.compress(image.to_bytes()) if zipped else image.to_bytes()
    np.testing.assert_array_equal(benchmark._read_mask(content)[0], head.labels)
