"""Every task of the synthesis catalogue as a MONAI Label inference task: conditions in, a marked image out."""

from __future__ import annotations

import base64
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from monailabel.interfaces.datastore import Datastore
from monailabel.interfaces.tasks.infer_v2 import InferTask, InferType

from lib.datastore import CaseDatastore
from lib.memorisation_gate import check_override, note_override
from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError
from medsynth_app.imaging.volume import Volume
from medsynth_app.options import Option, parse_options, shown_options
from medsynth_app.synthesis.catalogue import CATALOGUE, CatalogueRow
from medsynth_app.synthesis.conditions import parse_seed
from medsynth_app.synthesis.generator import GenerationRequest, Host, Synthetic
from medsynth_app.synthesis.measures.privacy import MemorisationAudit, audit_with_store, nearest
from medsynth_app.synthesis.previews import film_pngs, preview_png
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import (
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    default_ending,
    write_result_label,
    write_sequences,
    write_synthetic,
)
from medsynth_app.vocabulary import RESEARCH_NOTICE

DRAWN_SEED_LIMIT = 2**31
RESULTS = ("image", "label")


@dataclass(frozen=True)
class _Asked:
    """A request, checked: which generator, what to make, how to answer it."""

    row: CatalogueRow
    request: GenerationRequest
    answer: Mapping[str, Any]


class GeneratorInferTask(InferTask):
    """All generators of one task; which one makes the image is a parameter.

    Args:
        task: name in the catalogue.
        store: where weights are looked for.
        find_tumor: labels a host that nobody has labelled.
    """

    def __init__(
        self, task: str, store: WeightsStore, find_tumor: Callable[[Volume], np.ndarray] | None = None
    ) -> None:
        self.task = task
        self._find_tumor = find_tumor
        self.rows = CATALOGUE.of_task(task)
        self.store = store
        self.options = _answer_options(self.rows)
        super().__init__(
            type=InferType.OTHERS,
            labels=[],
            dimension=2 if self.rows[0].is_picture else 3,
            description=f"{self.rows[0].description} {RESEARCH_NOTICE}",
            config=self._shown(),
        )

    @property
    def requires_image(self) -> bool:
        """False: a task that takes an image says itself that it lacks one."""
        return False

    def is_valid(self) -> bool:
        """A generator whose weights are missing says so when it is asked."""
        return True

    def _shown(self) -> dict[str, Any]:
        """What the viewers show; where generators differ in what they take by default, an open value."""
        conditions: dict[str, Any] = {}
        for row in self.rows:
            for name, value in row.conditions.shown().items():
                conditions[name] = value if conditions.get(name, value) == value else _open(conditions[name], value)
        return {"seed": 0, **conditions, **shown_options(self.options)}

    def __call__(self, request: dict[str, Any]) -> tuple[str, dict[str, Any]]:
        """Make one image; returns a temporary file and the facts about it.

        Raises:
            InvalidValueError: an unknown or impossible parameter, named; or weights that are not here.
            NotFoundError: an unknown case was named as its input.
        """
        begin = time.perf_counter()
        asked = self._read(request)
        result = asked.row.build(self.store).generate(asked.request, lambda share: stop_if_cancelled())
        weights = asked.row.reference_of(asked.request.conditions)
        found = nearest([audit_with_store(array, weights, self.store) for array in result.audited])
        if not found.allows_storing:
            # What is fetched now may be uploaded later: it says so itself.
            result = replace(result, mark=replace(result.mark, memorisation=found.status))
        facts = self._facts(asked, result, found)
        if asked.answer["save"]:
            _refuse_copies(found, bool(asked.answer["allow_flagged"]))
            facts["image"] = _save(result, self.task, request["datastore"])
            if not found.allows_storing:
                note_override(request["datastore"], facts["image"], found.status)
        if asked.answer["preview"]:
            facts["preview"] = _data_uri(preview_png(result))
            if result.frames:
                facts["frames"] = [_data_uri(png) for png in film_pngs(result)]
        path = _write(result, asked.answer)
        facts["latencies"] = {"total": round(time.perf_counter() - begin, 3)}
        return str(path), facts

    def _read(self, request: Mapping[str, Any]) -> _Asked:
        given = {k: v for k, v in request["params"].items() if k not in request.get("ignored", ())}
        names = [option.name for option in self.options]
        answer = parse_options(self.options, {k: given.pop(k) for k in names if k in given})[0]
        row = CATALOGUE.row(self.task, str(answer["generator"]))
        # Chance leaves with the result: without a seed one is drawn and answered.
        seed = parse_seed(given.pop("seed", secrets.randbelow(DRAWN_SEED_LIMIT)))
        conditions = row.conditions.parse(self._meant_for(row, given))
        image, label = _input(row.takes_image, request, "file"), _input(row.takes_label, request, "label")
        host = _host(conditions.get("host"), request["datastore"], self._find_tumor)
        return _Asked(row, GenerationRequest(seed, conditions, image, label, host), answer)

    def _meant_for(self, row: CatalogueRow, given: Mapping[str, Any]) -> dict[str, Any]:
        """The conditions without other generators' that a viewer sends back as it was shown them."""
        own = {record["name"] for record in row.conditions.described()}
        shown = self._shown()
        return {k: v for k, v in given.items() if k in own or k not in shown or not _is_untouched(v, shown[k])}

    def _facts(self, asked: _Asked, result: Synthetic, found: MemorisationAudit) -> dict[str, Any]:
        facts: dict[str, Any] = {
            **result.facts,
            "task": self.task,
            "generator": asked.row.generator,
            "seed": result.mark.seed,
            "conditions": dict(result.mark.conditions),
            "synthetic": result.mark.as_dict(),
            "memorisation": found.as_dict(),
            "notice": RESEARCH_NOTICE,
        }
        if result.label_names:
            facts["label_names"] = dict(result.label_names)
        return facts


def _is_untouched(value: Any, shown: Any) -> bool:
    """Whether a viewer sent back what it was shown: a choice whole or as its first entry, a number perhaps as text."""
    first, default = (part[0] if isinstance(part, list) and part else part for part in (value, shown))
    return first in ("", None) or str(first) == str(default)


def _answer_options(rows: tuple[CatalogueRow, ...]) -> tuple[Option, ...]:
    """How a task answers, beside its conditions."""
    picture = rows[0].is_picture
    endings = PICTURE_ENDINGS if picture else VOLUME_ENDINGS
    generators = tuple(row.generator for row in rows)
    return (
        Option("generator", generators[0], "What makes the image.", generators),
        Option("save", False, "Store the result as a new case and answer its id."),
        Option("allow_flagged", False, "Store it also where the audit finds it too near to a training image."),
        Option("preview", False, "Add a small PNG to the answer; of a course each picture."),
        Option("result", "image", "Which file is answered: the image, or the map of what is labelled in it.", RESULTS),
        Option("result_extension", default_ending(picture), "Kind of file answered.", endings),
    )


def _open(first: Any, second: Any) -> Any:
    """Neither generator's default: empty, followed by all choices of both."""
    choices = [each for value in (first, second) if isinstance(value, list) for each in value if each]
    return ["", *dict.fromkeys(choices)] if choices else ""


def _input(wanted: str, request: Mapping[str, Any], field: str) -> Path | None:
    """The uploaded file of a task that takes one.

    Raises:
        InvalidValueError: it is missing, or was sent to a task that takes none.
    """
    given = request.get({"file": "upload"}.get(field, field))
    if given is None and field == "file" and wanted != "no":
        given = _stored_image(request)
    if given is None and wanted == "needed":
        raise InvalidValueError(f"{field}: this generator needs an image, upload one as the form field {field!r}")
    if given is not None and wanted == "no":
        raise InvalidValueError(f"{field}: this generator takes no such upload")
    return Path(given) if given is not None else None


def _stored_image(request: Mapping[str, Any]) -> Path | None:
    """The file of the case that was named; ``_`` names none."""
    name = str(request.get("image", ""))
    if name in ("", "_"):
        return None
    path = request["datastore"].get_image_uri(name)
    if not path:
        raise NotFoundError(f"image: there is no case {name[:60]!r}")
    return Path(path)


def _host(
    name: Any, datastore: Datastore, find_tumor: Callable[[Volume], np.ndarray] | None
) -> Host | None:  # fmt: skip
    """The case of that name, with its final label where it has one.

    Raises:
        NotFoundError: there is no such case.
        InvalidValueError: the studies are no folder of cases.
    """
    if not name:
        return None
    if not isinstance(datastore, CaseDatastore):
        raise InvalidValueError("host: a DICOMweb server as studies has no prepared cases")
    try:
        files = datastore.case(str(name))
    except MedSynthError as error:
        raise NotFoundError(f"host: there is no case {str(name)[:60]!r}") from error
    with suppress(NotFoundError):
        files = datastore.labelled_case(str(name))
    return Host(files, find_tumor)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _refuse_copies(found: MemorisationAudit, allowed: bool) -> None:
    if found.allows_storing:
        return
    reason = (
        f"lies nearer to a training image ({found.distance}) than real images do ({found.threshold}); "
        "choose another seed or"
        if found.status == "flagged"
        else "cannot be compared with training images, these weights bring no reference for it;"
    )
    check_override(allowed, reason)


def _write(result: Synthetic, answer: Mapping[str, Any]) -> Path:
    handle, name = tempfile.mkstemp(suffix=str(answer["result_extension"]), prefix="medsynth-")
    os.close(handle)
    path = Path(name)
    try:
        (write_result_label if answer["result"] == "label" else write_synthetic)(result, path)
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return path


def _save(result: Synthetic, task: str, datastore: Datastore) -> str:
    """Store the image as a new case, with its label where the datastore keeps labels of that kind."""
    if not isinstance(datastore, CaseDatastore):
        raise InvalidValueError("save: a DICOMweb server as studies takes no generated cases")
    name = f"synthetic-{result.mark.seed}-{secrets.token_hex(4)}"
    info = {"synthetic": result.mark.as_dict(), "task": task}
    folder = Path(tempfile.mkdtemp(prefix="medsynth-"))
    try:
        if result.channels:
            return datastore.add_case(name, *write_sequences(result, folder), info)
        image = folder / f"{name}{default_ending(result.is_picture)}"
        write_synthetic(result, image)
        return datastore.add_image(name, str(image), info)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
