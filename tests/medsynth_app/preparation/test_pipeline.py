"""A raw study prepared as a whole, with a brain mask of its own (brain extraction has its own test)."""

from __future__ import annotations

import json
from pathlib import Path
from threading import Event
from typing import Any

import nibabel as nib
import numpy as np
import pytest

from medsynth_app.cancellation import WorkCancelledError, cancelled_by
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.studies.cases import case_in_folder
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation import skull_stripping
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.finding import find_studies
from medsynth_app.preparation.pipeline import (
    PreparationOptions,
    Stages,
    choose_reference,
    key_of,
    look_at,
    prepare_study,
)
from medsynth_app.preparation.prepared import PreparedStudy
from medsynth_app.preparation.skull_stripping import NoBrainExtractionError
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.preparation.writing import write_prepared


@pytest.fixture(scope="module")
def study(raw_study: Any) -> StudyInput:
    return find_studies(raw_study[0]).studies[0]


@pytest.fixture(scope="module")
def options(raw_study: Any, tmp_path_factory: Any) -> PreparationOptions:
    cache = PreparedCache(tmp_path_factory.mktemp("cache"))
    return PreparationOptions("auto", raw_study[0].parent / "mask.nii.gz", cache)


@pytest.fixture(scope="module")
def prepared(study: StudyInput, options: PreparationOptions) -> PreparedStudy:
    return prepare_study(study, options)


def test_the_sequences_lie_over_each_other(prepared: PreparedStudy, raw_study: Any) -> None:
    truth = raw_study[1]
    assert prepared.reference == "t1ce"
    assert prepared.modalities == ("flair", "t1", "t1ce", "t2")
    assert prepared.array.dtype == np.int16
    places = np.argwhere(prepared.brain)[::2000] @ prepared.affine[:3, :3].T + prepared.affine[:3, 3]
    for modality, scanned in truth.items():
        difference = prepared.transforms[modality] - scanned.motion
        errors = np.linalg.norm(places @ difference[:3, :3].T + difference[:3, 3], axis=1)
        assert np.median(errors) < 1.0, modality
        assert np.percentile(errors, 95) < 2.0, modality
    assert not prepared.refused
    assert {g.outcome for g in prepared.gates} <= {"passed", "doubtful"}


def test_a_kept_study_is_the_same_and_quick(
    prepared: PreparedStudy, study: StudyInput, options: PreparationOptions
) -> None:
    stages: list[str] = []
    again = prepare_study(study, options, Stages(stages.append))
    assert stages == ["look up"]
    assert again.reused
    np.testing.assert_array_equal(again.array, prepared.array)
    np.testing.assert_array_equal(again.brain, prepared.brain)
    for modality, matrix in prepared.transforms.items():
        np.testing.assert_array_equal(again.transforms[modality], matrix)
    assert [g.as_dict() for g in again.gates] == [g.as_dict() for g in prepared.gates]


def test_a_spoilt_kept_study_is_made_again(study: StudyInput, prepared: PreparedStudy, tmp_path: Path) -> None:
    cache = PreparedCache(tmp_path)
    cache.keep("a" * 32, prepared)
    (tmp_path / ("a" * 32) / "images.npy").write_bytes(b"nonsense")
    assert cache.get("a" * 32) is None
    cache.keep("a" * 32, prepared)
    assert cache.get("a" * 32) is not None


def test_the_cache_is_bounded(prepared: PreparedStudy, tmp_path: Path) -> None:
    cache = PreparedCache(tmp_path, largest_bytes=1)
    for key in ("a", "b", "c"):
        cache.keep(key, prepared)
    assert [p.name for p in tmp_path.iterdir()] == ["c"]


def test_the_case_on_disk_is_prepared_and_says_how(prepared: PreparedStudy, tmp_path: Path) -> None:
    folder = write_prepared(prepared, tmp_path)
    case = case_in_folder(folder)
    assert case is not None
    assert set(case.sequences) == {"flair", "t1", "t1ce", "t2"}
    assert look_at(find_studies(folder).studies[0]).is_prepared
    record = json.loads((folder / "preparation.json").read_text())
    assert record["reference"] == "t1ce"
    assert record["series"]["t2"]["spacing_mm"] == [2.5, 2.5, 6.0]
    assert {g["name"] for g in record["gates"]} >= {"brain_ml", "overlap", "information", "peak", "rotation_deg"}
    assert str(tmp_path) not in json.dumps(record)
    assert (folder / "head_to_t2.tfm").read_text().startswith("#Insight Transform File")
    assert nib.load(folder / "head_brain.nii.gz").shape == prepared.brain.shape
    with pytest.raises(InvalidValueError, match="'head' exists and is not an empty folder"):
        write_prepared(prepared, tmp_path)


def test_a_mask_of_another_head_is_refused(study: StudyInput, scanner: Any, tmp_path: Path) -> None:
    far = np.diag([3.0, 3.0, 3.0, 1.0])
    far[:3, 3] = 900
    mask = scanner.write(tmp_path / "mask.nii.gz", Volume(np.ones((1, 40, 40, 40), np.float32), far))
    with pytest.raises(InvalidValueError, match="brain_mask: only 0 % of it lies in the reference series"):
        prepare_study(study, PreparationOptions("auto", mask))


def test_without_the_extra_the_error_says_what_to_install(study: StudyInput, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(skull_stripping, "PACKAGE", "no_such_package_anywhere")
    with pytest.raises(NoBrainExtractionError, match=r"install medsynth\[raw\]") as caught:
        prepare_study(study)
    assert caught.value.status == 503


def test_no_brain_is_refused(study: StudyInput, raw_study: Any, scanner: Any, tmp_path: Path) -> None:
    truth = raw_study[1]["t1ce"]
    speck = np.zeros_like(truth.volume.array)
    speck[:, 30:40, 30:40, 30:40] = 1
    mask = scanner.write(tmp_path / "speck.nii.gz", Volume(speck, truth.volume.affine))
    with pytest.raises(InvalidValueError, match="no brain was found: t1ce: brain_ml is 27, allowed is 400 to 2500"):
        prepare_study(study, PreparationOptions("auto", mask))


def test_cancelling_stops_between_stages(study: StudyInput) -> None:
    signal = Event()
    with cancelled_by(signal), pytest.raises(WorkCancelledError):
        prepare_study(study, stages=Stages(lambda stage: signal.set()))


def test_the_reference_is_t1ce_unless_another_is_clearly_finer(scanner: Any) -> None:
    def grid(*spacing: float) -> Volume:
        return Volume(np.zeros((1, 3, 3, 3), np.float32), np.diag([*spacing, 1.0]))

    assert choose_reference({"flair": grid(1, 1, 1), "t1ce": grid(1, 1, 1.4)}) == "t1ce"
    assert choose_reference({"flair": grid(1, 1, 1), "t1ce": grid(0.5, 0.5, 5)}) == "flair"
    assert choose_reference({"flair": grid(1, 1, 5), "t1ce": grid(1, 1, 5.5), "t2": grid(1, 1, 5)}) == "t1ce"


def test_the_key_depends_on_the_images_alone(study: StudyInput, options: PreparationOptions) -> None:
    renamed = StudyInput("another name", study.series)
    assert key_of(renamed, options) == key_of(study, options)
    fewer = StudyInput("head", {m: s for m, s in study.series.items() if m != "t2"})
    assert key_of(fewer, options) != key_of(study, options)
