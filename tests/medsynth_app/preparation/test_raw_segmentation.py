"""A raw study through the whole chain with a network that knows bright FLAIR: the mask lies where the tumour is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.finding import find_studies
from medsynth_app.preparation.pipeline import PreparationOptions, prepare_study
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.segmentation.transforms import prepare
from medsynth_app.segmentation.whole_study.study_segmentation import (
    StudySegmentation,
    segment_case,
    segment_study,
)

SEQUENCES = ("flair", "t1", "t1ce", "t2")


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return 2 * float((first & second).sum()) / float(first.sum() + second.sum())


@pytest.fixture(scope="module")
def study(raw_study: Any) -> StudyInput:
    return find_studies(raw_study[0]).studies[0]


@pytest.fixture(scope="module")
def options(raw_study: Any, tmp_path_factory: Any) -> PreparationOptions:
    cache = PreparedCache(tmp_path_factory.mktemp("cache"))
    return PreparationOptions("auto", raw_study[0].parent / "mask.nii.gz", cache)


@pytest.fixture(scope="module")
def network(study: StudyInput, options: PreparationOptions) -> nn.Module:
    """Oedema where FLAIR lies half way between white matter and the tumour's rim, or above."""
    flair = prepare(prepare_study(study, options).volume(SEQUENCES)).image[0]
    inside = flair[flair != 0]
    limit = float((np.median(inside) + np.percentile(inside, 99.5)) / 2)
    layer = nn.Conv3d(4, 4, 1)
    nn.init.zeros_(layer.weight)
    layer.weight.data[2, 0] = 10.0
    layer.bias.data = torch.tensor([0.0, -1000.0, -10.0 * limit, -1000.0])
    return layer.eval()


def rim(scanned: Any) -> np.ndarray:
    """What is bright in FLAIR: oedema and enhancing tumour."""
    return np.isin(scanned.labels, (2, 3))


def check(answer: StudySegmentation, scanned: Any) -> None:
    assert answer.kind == "raw"
    assert answer.labels.shape == scanned.volume.spatial_shape
    np.testing.assert_allclose(answer.affine, scanned.volume.affine, atol=1e-5)
    assert dice(answer.labels > 0, rim(scanned)) > 0.85


@pytest.mark.parametrize("reference", [None, "flair", "t2"])
def test_the_mask_lies_on_the_voxels_of_the_reference(
    study: StudyInput, raw_study: Any, network: nn.Module, options: PreparationOptions, reference: str | None
) -> None:
    answer = segment_study(study, network, options=options, reference=reference)
    check(answer, raw_study[1][reference or "t1ce"])
    assert answer.reference == (reference or "t1ce")
    assert answer.preparation is not None
    assert answer.preparation["reused"]
    assert "raw: " in answer.reason
    truth = float(rim(raw_study[1]["t1ce"]).sum()) * 27 / 1000
    assert abs(sum(answer.volumes_ml.values()) / truth - 1) < 0.2


def test_a_case_of_a_folder_is_answered_on_the_displayed_flair(
    raw_study: Any, network: nn.Module, options: PreparationOptions
) -> None:
    case = case_in_folder(raw_study[0])
    assert case is not None
    answer = segment_case(case, network, options=options)
    check(answer, raw_study[1]["flair"])
    assert set(answer.seconds) >= {"read", "segment", "way back"}


def test_a_case_of_an_archive_is_answered_on_the_opened_series(
    study: StudyInput, raw_study: Any, network: nn.Module, options: PreparationOptions
) -> None:
    @dataclass(frozen=True)
    class Opened(CaseFiles):
        native: StudyInput | None = None
        opened: Path | None = None

    case = Opened("1.2.3", {}, native=study, opened=study.series["t2"].files[0])
    check(segment_case(case, network, options=options), raw_study[1]["t2"])


def test_none_takes_a_raw_study_as_it_is_and_refuses_its_grids(study: StudyInput, network: nn.Module) -> None:
    with pytest.raises(InvalidValueError, match="t1ce: its grid .* differs from flair"):
        segment_study(study, network, options=PreparationOptions("none"))


def test_a_missing_sequence_is_named_and_may_be_blank(
    study: StudyInput, network: nn.Module, raw_study: Any, options: PreparationOptions
) -> None:
    fewer = StudyInput("head", {m: s for m, s in study.series.items() if m in ("flair", "t1ce")})
    with pytest.raises(InvalidValueError, match="head: missing sequence t1, t2; needed are flair, t1, t1ce, t2"):
        segment_study(fewer, network, options=options)
    answer = segment_study(fewer, network, options=options, blanks=3)
    assert "t2 is missing and was taken as blank: expect a worse result" in answer.warnings
    check(answer, raw_study[1]["t1ce"])
