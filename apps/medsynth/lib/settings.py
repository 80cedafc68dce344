"""``--conf`` texts -> typed settings: the only place where a text becomes a boolean or a number."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsynth_app.accounts import USERS_VARIABLE, default_users_file
from medsynth_app.api.uploads import UploadLimits
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping, parse_sequence_mapping
from medsynth_app.imaging.formats.expanded_size import LARGEST_EXPANDED_BYTES
from medsynth_app.options import FALSE_WORDS, TRUE_WORDS
from medsynth_app.synthesis.catalogue import CATALOGUE

MODEL_NAMES = ("brain_tumor_segmentation", "brain_tumor_scribbles", "brain_tumor_edit", *CATALOGUE.tasks)
ORIGIN_PATTERN = re.compile(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?")
DEFAULT_TRAINERS = ("brain_tumor_segmentation",)
TRAINER_NAMES = (*DEFAULT_TRAINERS, *CATALOGUE.trainer_names)


@dataclass(frozen=True)
class Settings:
    """What an operator chose at start.

    Attributes:
        model_folder: where trained weights and statistics go.
        models: names of the models to serve.
        trainers: names of the trainers to register.
        use_shipped_weights: fall back to the weights in the package where none was trained here.
        inference_slots: inferences that run at once.
        inference_queue: inferences that may wait; one more is answered 503.
        inference_timeout_seconds: a waiting inference gives up after this.
        inference_run_seconds: a client whose inference runs longer is told so with 503.
        cross_check_slots: cross-checks that run at once.
        cross_check_queue: cross-checks that may wait; one more is answered 503.
        hospitals: ``real`` leaves the invented hospitals out once real ones were imported, ``demo`` keeps them, marked.
        model_slots: model -> how many of it run at once, ``volume_synthesis=1;image_synthesis=2``.
        maximum_volume_mb: uploads that become larger when they are read are refused with 413.
        maximum_upload_mb: larger uploads are refused with 413.
        sequence_mapping: patterns that name the series of a DICOM study, ``t1ce=REGEX;flair=REGEX``.
        database: the clinic's database, ``postgresql://USER@HOST/NAME`` or ``sqlite:///FILE``; a file beside the
            studies where empty.
        users: the users file; with one, a login is needed. None = no login.
        insecure: without a login, answer other machines too.
        cors_origins: sites whose pages may call this server, beside its own.
        may_write: whether this process may change the datastore (the server may, its trainings may not).
    """

    model_folder: Path
    models: tuple[str, ...] = MODEL_NAMES
    trainers: tuple[str, ...] = DEFAULT_TRAINERS
    use_shipped_weights: bool = True
    inference_slots: int = 1
    inference_queue: int = 16
    inference_timeout_seconds: int = 300
    inference_run_seconds: int = 1800
    cross_check_slots: int = 2
    cross_check_queue: int = 8
    hospitals: str = "real"
    model_slots: Mapping[str, int] = field(default_factory=dict)
    maximum_volume_mb: int = LARGEST_EXPANDED_BYTES >> 20
    maximum_upload_mb: int = 1024
    sequence_mapping: SequenceMapping = field(default_factory=dict)
    database: str = ""
    users: Path | None = None
    insecure: bool = False
    cors_origins: tuple[str, ...] = ()
    may_write: bool = True

    @property
    def upload_limits(self) -> UploadLimits:
        """How large a file of a client may be, for every route that takes one."""
        return UploadLimits(self.maximum_upload_mb, self.maximum_volume_mb)

    @classmethod
    def from_conf(cls, conf: Mapping[str, str], app_folder: Path) -> Settings:
        """Read MONAI Label's ``--conf key value`` pairs.

        Raises:
            InvalidValueError: a value is of the wrong type or unknown; names the key and what is allowed.
        """
        return cls(
            model_folder=Path(conf.get("model_folder", app_folder / "model")),
            models=_names(conf, "models", MODEL_NAMES, MODEL_NAMES),
            trainers=_names(conf, "trainers", TRAINER_NAMES, DEFAULT_TRAINERS),
            use_shipped_weights=_boolean(conf, "use_pretrained_model", True),
            inference_slots=_number(conf, "inference_slots", 1, 1, 64),
            inference_queue=_number(conf, "inference_queue", 16, 0, 1000),
            inference_timeout_seconds=_number(conf, "inference_timeout_seconds", 300, 1, 86400),
            inference_run_seconds=_number(conf, "inference_run_seconds", 1800, 1, 7 * 86400),
            cross_check_slots=_number(conf, "cross_check_slots", 2, 1, 64),
            cross_check_queue=_number(conf, "cross_check_queue", 8, 0, 1000),
            hospitals=_choice(conf, "hospitals", ("real", "demo")),
            model_slots=_model_slots(conf),
            maximum_volume_mb=_number(
                conf, "maximum_volume_mb", LARGEST_EXPANDED_BYTES >> 20, 1, 1024 * 1024
            ),
            maximum_upload_mb=_number(conf, "maximum_upload_mb", 1024, 1, 1024 * 1024),
            sequence_mapping=parse_sequence_mapping(conf.get("sequence_mapping", ""), "--conf sequence_mapping"),
            database=str(conf.get("database", "")).strip(),
            users=_users(conf),
            insecure=_boolean(conf, "insecure", False),
            cors_origins=_origins(conf),
            # MONAI Label starts its background processes with this variable.
            may_write=os.environ.get("MONAI_LABEL_DATASTORE_AUTO_RELOAD", "true").lower() != "false",
        )


def _boolean(conf: Mapping[str, str], key: str, default: bool) -> bool:
    word = str(conf.get(key, default)).strip().lower()
    if word not in (*TRUE_WORDS, *FALSE_WORDS):
        raise InvalidValueError(f"--conf {key}: {word!r} must be true or false")
    return word in TRUE_WORDS


def _choice(conf: Mapping[str, str], key: str, known: tuple[str, ...]) -> str:
    word = str(conf.get(key, known[0])).strip().lower()
    if word not in known:
        raise InvalidValueError(f"--conf {key}: {word!r}; allowed: {', '.join(known)}")
    return word


def _number(conf: Mapping[str, str], key: str, default: int, low: int, high: int) -> int:
    try:
        number = int(str(conf.get(key, default)))
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise InvalidValueError(f"--conf {key}: {conf[key]!r} must be a whole number from {low} to {high}")
    return number


def _model_slots(conf: Mapping[str, str]) -> dict[str, int]:
    slots = {}
    for part in str(conf.get("model_slots", "")).split(";"):
        name, equals, number = (word.strip() for word in part.partition("="))
        if not name and not equals:
            continue
        if name not in MODEL_NAMES or not number.isdigit() or not 1 <= int(number) <= 64:
            raise InvalidValueError(
                f"--conf model_slots: {part.strip()!r} must be MODEL=NUMBER, a number from 1 to 64; "
                f"models are {', '.join(MODEL_NAMES)}"
            )
        slots[name] = int(number)
    return slots


def _users(conf: Mapping[str, str]) -> Path | None:
    """A named file must be there; the default one counts where it is there, also when it holds nobody."""
    text = str(conf.get("users", "")).strip()
    if text.lower() == "none":
        return None
    path = Path(text) if text else default_users_file()
    if not path.is_file():
        if text or os.environ.get(USERS_VARIABLE, "").strip():
            raise InvalidValueError(
                f"--conf users: there is no file {path.name!r}; `medsynth users add NAME` makes it"
            )
        return None
    return path


def _origins(conf: Mapping[str, str]) -> tuple[str, ...]:
    origins = tuple(part.strip().rstrip("/") for part in str(conf.get("cors_origins", "")).split(",") if part.strip())
    wrong = [origin for origin in origins if not ORIGIN_PATTERN.fullmatch(origin)]
    if wrong:
        raise InvalidValueError(
            f"--conf cors_origins: {wrong[0]!r} must be like https://viewer.example.org (no path, no '*')"
        )
    return origins


def _names(
    conf: Mapping[str, str], key: str, known: tuple[str, ...], default: tuple[str, ...]
) -> tuple[str, ...]:
    text = str(conf.get(key, ",".join(default))).strip()
    if text.lower() == "all":
        return known
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    unknown = [name for name in names if name not in known]
    if unknown:
        raise InvalidValueError(
            f"--conf {key}: unknown {', '.join(unknown)}, known: {', '.join(known)} or all"
        )
    return names
