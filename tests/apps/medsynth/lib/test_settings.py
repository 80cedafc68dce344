"""``--conf`` texts become typed settings, or the start is refused by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.settings import DEFAULT_TRAINERS, MODEL_NAMES, TRAINER_NAMES, Settings

from medsynth_app.errors import InvalidValueError

APP = Path("app")


def test_defaults() -> None:
    settings = Settings.from_conf({}, APP)
    assert settings == Settings(APP / "model")
    assert (settings.models, settings.trainers) == (MODEL_NAMES, DEFAULT_TRAINERS)


@pytest.mark.parametrize(
    ("conf", "name", "value"),
    [
        ({"inference_slots": "4"}, "inference_slots", 4),
        ({"inference_queue": "0"}, "inference_queue", 0),
        ({"cross_check_slots": "3"}, "cross_check_slots", 3),
        ({"cross_check_queue": "0"}, "cross_check_queue", 0),
        ({"maximum_upload_mb": "64"}, "maximum_upload_mb", 64),
        ({"use_pretrained_model": "No"}, "use_shipped_weights", False),
        ({"use_pretrained_model": "TRUE"}, "use_shipped_weights", True),
        ({"model_folder": "elsewhere"}, "model_folder", Path("elsewhere")),
        ({"models": "brain_tumor_segmentation"}, "models", ("brain_tumor_segmentation",)),
        ({"models": " all "}, "models", MODEL_NAMES),
        ({"trainers": ""}, "trainers", ()),
        ({"trainers": "all"}, "trainers", TRAINER_NAMES),
    ],
)
def test_texts_become_values(conf: dict[str, str], name: str, value: object) -> None:
    assert getattr(Settings.from_conf(conf, APP), name) == value


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"inference_slots": "0"}, "inference_slots: '0' must be a whole number from 1 to 64"),
        ({"inference_slots": "two"}, "inference_slots: 'two' must be a whole number"),
        ({"inference_queue": "-1"}, "inference_queue: '-1'"),
        ({"inference_queue": "1e3"}, "inference_queue: '1e3'"),
        ({"maximum_upload_mb": ""}, "maximum_upload_mb: ''"),
        ({"use_pretrained_model": "maybe"}, "use_pretrained_model: 'maybe' must be true or false"),
        ({"models": "brain_tumor_segmentation,liver"}, "models: unknown liver, known: brain_tumor"),
        ({"trainers": "liver"}, "trainers: unknown liver"),
    ],
)
def test_wrong_texts_are_refused_by_name(conf: dict[str, str], message: str) -> None:
    with pytest.raises(InvalidValueError, match=message):
        Settings.from_conf(conf, APP)


@pytest.mark.parametrize(
    ("variable", "may_write"), [("true", True), ("false", False), ("FALSE", False), (None, True)]
)
def test_training_processes_may_not_write(
    monkeypatch: pytest.MonkeyPatch, variable: str | None, may_write: bool
) -> None:
    monkeypatch.delenv("MONAI_LABEL_DATASTORE_AUTO_RELOAD", raising=False)
    if variable is not None:
        monkeypatch.setenv("MONAI_LABEL_DATASTORE_AUTO_RELOAD", variable)
    assert Settings.from_conf({}, APP).may_write is may_write
