"""From image, mask and answers to one record; the registration, which has tests of its own, is known beforehand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from medsynth_app.clinical import assessment
from medsynth_app.clinical.assessment import AssessmentTools, assess, draw_pictures, plain
from medsynth_app.clinical.free_text.phrases import MOST_PHRASES, split_phrases
from medsynth_app.clinical.intake.form import parse_intake
from medsynth_app.clinical.knowledge.lesion_library import LibraryConfiguration, build_lesion_library
from medsynth_app.clinical.knowledge.symptom_model import SymptomDefinition
from medsynth_app.clinical.record.pictures import PictureStore
from medsynth_app.clinical.scoring.cross_check import ConcordanceClass, CrossChecker
from medsynth_app.clinical.site.located_cache import ContentCache
from medsynth_app.clinical.site.tumor_images import label_version
from medsynth_app.errors import InvalidValueError, NotFoundError
from medsynth_app.imaging.atlas.atlas import Atlas, load_atlas
from medsynth_app.imaging.atlas.brain_regions import Side
from medsynth_app.imaging.atlas.registration import GateResult, Registration
from medsynth_app.imaging.volume import Volume


@pytest.fixture(scope="module")
def atlas(tmp_path_factory: pytest.TempPathFactory) -> Atlas:
    return load_atlas(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="module")
def tools(atlas: Atlas, definitions: dict[str, SymptomDefinition]) -> AssessmentTools:
    library = build_lesion_library(atlas, LibraryConfiguration(count=60))
    return AssessmentTools(atlas, CrossChecker(definitions, library), knowledge_version="test")


@pytest.fixture
def volume(atlas: Atlas) -> Volume:
    return Volume((atlas.labels > 0).astype(np.float32)[None], atlas.affine)


@pytest.fixture
def hand_area(atlas: Atlas) -> np.ndarray:
    return np.where(atlas.mask("M1_HAND", Side.LEFT), 3, 0).astype(np.uint8)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Chooses what the registration finds; by default that the head lies in atlas space."""

    def choose(passed: bool = True, side_known: bool = True, timed_out: bool = False) -> None:
        def register(volume: Volume, *_: object) -> Registration:
            gate = GateResult("brain_dice", 0.95, "at least 0.9", passed, "the outline does not fit")
            shape = volume.spatial_shape
            return Registration(np.eye(4), None, volume.affine, shape, "known", (gate,), side_known, 0.0, timed_out)

        monkeypatch.setattr(assessment, "register_to_atlas", register)

    choose()
    return choose


def test_one_call_gives_site_score_versions_and_times(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, registered: object
) -> None:
    before = hand_area.copy()
    intake = parse_intake({"symptoms": [{"symptom": "arm_weakness", "side": "right"}]}, tools.checker.definitions)
    answer = assess(volume, hand_area, intake, tools)
    record = json.loads(json.dumps(answer.as_dict(), allow_nan=False))
    assert record["site"]["regions"][0]["code"] == "M1_HAND"
    assert record["cross_check"]["log_bayes_factor"] > 1
    assert record["versions"]["knowledge_base"] == "test"
    assert set(record["seconds"]) == {"registration", "site", "score", "hospitals", "total"}
    assert (hand_area == before).all()
    assert set(draw_pictures(answer.located)) == {"mask", "regions", "registration"}


def test_an_unexplained_symptom_gives_a_box_to_look_at(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, registered: object
) -> None:
    form = {"symptoms": [{"symptom": "homonymous_hemianopia", "side": "left"}]}
    answer = assess(volume, hand_area, parse_intake(form, tools.checker.definitions), tools)
    assert answer.cross_check.unexplained == ("homonymous_hemianopia",)
    assert answer.look_here
    for box in answer.look_here:
        assert box.side == "right"
        assert all(0 <= low < high <= n for low, high, n in zip(box.start_voxel, box.stop_voxel, volume.spatial_shape))
        assert box.center_mm[0] > 0


@pytest.mark.parametrize("failure", ["gate", "runtime", "refused"])
def test_a_failed_registration_leaves_volumes_and_reasons(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, monkeypatch: pytest.MonkeyPatch,
    registered: Callable[..., None], failure: str,
) -> None:  # fmt: skip
    def broken(*_: object) -> None:
        raise RuntimeError("itk") if failure == "runtime" else InvalidValueError("volume: too thick")

    if failure == "gate":
        registered(passed=False)
    else:
        monkeypatch.setattr(assessment, "register_to_atlas", broken)
    answer = assess(volume, hand_area, parse_intake({"symptoms": ["arm_weakness"]}, tools.checker.definitions), tools)
    assert answer.concordance is ConcordanceClass.NOT_ASSESSABLE
    assert answer.site.reasons
    assert answer.site.volumes_ml["whole_tumor"] > 1
    assert set(draw_pictures(answer.located)) == {"mask"}


def test_an_empty_mask_is_an_answer(tools: AssessmentTools, volume: Volume, registered: object) -> None:
    empty = np.zeros(volume.spatial_shape, np.uint8)
    answer = assess(volume, empty, parse_intake({"symptoms": []}, tools.checker.definitions), tools)
    assert answer.concordance is ConcordanceClass.NOT_ASSESSABLE
    assert "mask_empty" in answer.reasons


def test_an_unknown_side_is_told_and_not_classified(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, registered: Callable[..., None]
) -> None:
    registered(side_known=False)
    form = {"symptoms": [{"symptom": "arm_weakness", "side": "right"}]}
    answer = assess(volume, hand_area, parse_intake(form, tools.checker.definitions), tools)
    assert answer.concordance is ConcordanceClass.INDETERMINATE
    assert answer.site.side == "unknown"


def test_both_sides_are_not_called_a_missing_side(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, registered: object
) -> None:
    form = {"symptoms": [{"symptom": "arm_weakness", "side": "both"}, {"symptom": "leg_weakness"}]}
    answer = assess(volume, hand_area, parse_intake(form, tools.checker.definitions), tools)
    assert "side_both:arm_weakness" in answer.warnings
    assert [code for code in answer.warnings if code.startswith("side_missing")] == ["side_missing:leg_weakness"]


def test_a_registration_that_was_broken_off_is_told(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, registered: Callable[..., None]
) -> None:
    registered(timed_out=True)
    answer = assess(volume, hand_area, parse_intake({"symptoms": ["arm_weakness"]}, tools.checker.definitions), tools)
    assert "registration_time_limit" in answer.warnings


@pytest.mark.parametrize(
    ("spoil", "code"),
    [(lambda labels: labels[:-1], "shape_mismatch"), (lambda labels: labels * 3, "unknown_label")],
)
def test_a_mask_that_does_not_belong_is_refused(
    tools: AssessmentTools, volume: Volume, hand_area: np.ndarray, spoil: Callable[[np.ndarray], np.ndarray], code: str
) -> None:
    with pytest.raises(InvalidValueError, match="labels: ") as caught:
        assess(volume, spoil(hand_area), parse_intake({}, tools.checker.definitions), tools)
    assert caught.value.code == code


def test_label_versions_depend_on_the_voxels_alone(hand_area: np.ndarray) -> None:
    other = hand_area.copy()
    other[0, 0, 0] = 1
    assert label_version(hand_area) == label_version(hand_area.astype(np.int32)) != label_version(other)
    assert label_version(np.zeros((2, 3, 4))) != label_version(np.zeros((4, 3, 2)))


def test_plain_values_are_json() -> None:
    assert plain({"a": (float("nan"), ConcordanceClass.CONCORDANT), Side.LEFT.value: {"b": 1.5}}) == {
        "a": [None, "concordant"], "left": {"b": 1.5},
    }  # fmt: skip


def test_a_story_is_split_into_phrases_with_their_places() -> None:
    story = "  왼팔에 힘이 없어요.\nAlso, headache! 12."
    assert list(split_phrases(story)) == [(2, "왼팔에 힘이 없어요"), (14, "Also"), (20, "headache")]
    assert len(list(split_phrases("a. " * 50))) == MOST_PHRASES


def test_pictures_are_kept_by_uuid_only(tmp_path: object) -> None:
    store = PictureStore(tmp_path / "pictures")  # type: ignore[operator]
    name = "12345678-1234-5678-1234-567812345678"
    store.save(name, {"mask": b"png"})
    assert store.load(name) == {"mask": b"png"}
    assert store.picture(name, "mask") == b"png"
    with pytest.raises(NotFoundError, match="there are mask"):
        store.picture(name, "regions")
    with pytest.raises(NotFoundError, match="none with that identifier"):
        store.load("../" + name)
    store.delete(name)
    assert store.load(name) == {}


def test_an_image_and_its_mask_are_registered_once_and_a_changed_mask_again(
    tools: AssessmentTools,
    volume: Volume,
    hand_area: np.ndarray,
    registered: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    known, calls = assessment.register_to_atlas, []

    def counted(*given: object) -> Registration:
        calls.append(1)
        return known(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(assessment, "register_to_atlas", counted)
    kept = replace(tools, placed=ContentCache())
    right, left = (
        parse_intake({"symptoms": [{"symptom": "arm_weakness", "side": side}]}, tools.checker.definitions)
        for side in ("right", "left")
    )
    first = assess(volume, hand_area, right, kept)
    again = assess(volume.__class__(volume.array.copy(), volume.affine), hand_area.copy(), right, kept)
    assert len(calls) == 1
    assert again.cross_check == first.cross_check
    other = assess(volume, hand_area, left, kept)
    assert len(calls) == 1
    assert other.cross_check.possible_side_error
    smaller = np.where(np.cumsum(hand_area > 0).reshape(hand_area.shape) % 2, hand_area, 0).astype(np.uint8)
    assess(volume, smaller, right, kept)
    assert len(calls) == 2
    registered(passed=False)
    assert assess(volume, np.roll(hand_area, 1, axis=0), right, kept).concordance is ConcordanceClass.NOT_ASSESSABLE
