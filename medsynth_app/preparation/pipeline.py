"""Raw study -> prepared case: read, look, find the brain, lay the series over each other, interpolate once."""

from __future__ import annotations

import contextvars
import hashlib
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.cancellation import stop_if_cancelled
from medsynth_app.errors import InvalidValueError
from medsynth_app.files import file_digest
from medsynth_app.imaging.geometry import isotropic_grid, same_grid
from medsynth_app.imaging.plausible_grid import check_head_volume
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.volume import Volume
from medsynth_app.preparation.cache import PreparedCache
from medsynth_app.preparation.coregistration import Coregistration, Reference, coregister
from medsynth_app.preparation.gates import Gate, check_brain, check_coregistration
from medsynth_app.preparation.interpolation import interpolated, prepared_grid
from medsynth_app.preparation.kind import Kind, kind_of
from medsynth_app.preparation.prepared import PreparedStudy
from medsynth_app.preparation.skull_stripping import LICENCE_NOTE, brain_probability, network_version
from medsynth_app.preparation.study_input import StudyInput
from medsynth_app.vocabulary import Modality

RECIPE = "1"
"""Part of the key under which a prepared study is kept: to be raised when its making changes."""
MODES = ("auto", "none")
CLEARLY_FINER = 1.5
"""Another series takes T1ce's place as reference where T1ce's voxels are coarser by this factor."""
_ORDER = tuple(m.value for m in Modality)
_PREFERRED = ("t1ce", "t1", "flair", "t2")


@dataclass(frozen=True)
class PreparationOptions:
    """How a study is prepared.

    Attributes:
        mode: ``auto`` finds out whether a study is raw; ``none`` takes it as it is.
        brain_mask: a file with the brain of any of the series, instead of brain extraction.
        cache: where prepared studies are kept; None = nowhere.
    """

    mode: str = "auto"
    brain_mask: Path | None = None
    cache: PreparedCache | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InvalidValueError(f"preparation: {self.mode!r} must be one of {', '.join(MODES)}")


@dataclass
class Stages:
    """Which stage runs, and how long each took.

    Attributes:
        on_stage: called with a stage's name when it begins.
        seconds: stage -> wall time.
    """

    on_stage: Callable[[str], object] = lambda name: None
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """What runs inside is the stage; a safe place to stop before it."""
        stop_if_cancelled()
        self.on_stage(name)
        begin = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - begin


@dataclass(frozen=True)
class SeenStudy:
    """A study's images and what they show.

    Attributes:
        volumes: modality -> (1, X, Y, Z) on its own grid.
        kinds: modality -> stripped or not, and why.
        one_grid: whether all share one.
    """

    volumes: dict[str, Volume]
    kinds: dict[str, Kind]
    one_grid: bool

    @property
    def is_prepared(self) -> bool:
        """Whether it can be segmented as it is."""
        if all(kind.too_small for kind in self.kinds.values()):
            return True  # nothing to prepare: whoever stacks the images says what does not fit
        return self.one_grid and all(kind.stripped for kind in self.kinds.values())

    @property
    def reason(self) -> str:
        """Why it was taken for raw or prepared."""
        raw = next(((m, k) for m, k in self.kinds.items() if not k.stripped), None)
        if raw is not None:
            return f"raw: {raw[0]} shows a whole head ({raw[1].reason})"
        if not self.one_grid:
            return "brains without skull, on different grids"
        return "prepared: brains without skull on one grid"


def look_at(study: StudyInput) -> SeenStudy:
    """Read a study and find out what it is.

    Raises:
        UnsupportedKindError, InvalidValueError: a series is no readable volume, or larger than any head.
    """
    with ThreadPoolExecutor(max(1, len(study.series))) as pool:
        volumes = dict(zip(study.series, pool.map(lambda s: s.read(), study.series.values())))
    for volume in volumes.values():
        isotropic_grid(volume)  # too large? then nothing else is worth its time
    kinds = {modality: kind_of(volume) for modality, volume in volumes.items()}
    for modality, kind in kinds.items():
        check_head_volume(kind.shown_ml, volumes[modality].spacing, modality)
    first = next(iter(volumes.values()))
    return SeenStudy(volumes, kinds, all(same_grid(first, other) for other in volumes.values()))


def prepare_study(
    study: StudyInput, options: PreparationOptions = PreparationOptions(), stages: Stages | None = None,
    seen: SeenStudy | None = None,
) -> PreparedStudy:
    """Prepare a study whatever it is.

    Args:
        study: at least one series.
        options: how; ``mode`` is not asked any more.
        stages: told of each stage.
        seen: its images, where they were read already.

    Raises:
        NoBrainExtractionError: it shows the skull and the extra is not installed.
        InvalidValueError: no brain is found, or the given mask does not fit.
        WorkCancelledError: inside of ``cancelled_by``, once its signal is set.
    """
    stages = stages or Stages()
    with stages.stage("look up"):
        key = key_of(study, options) if options.cache is not None else ""
        kept = options.cache.get(key) if options.cache is not None else None
    if kept is not None:
        return PreparedStudy(**{**vars(kept), "name": study.name, "seconds": dict(stages.seconds)})
    if seen is None:
        with stages.stage("read"):
            seen = look_at(study)
    prepared = _prepare(study, seen, options, stages)
    if options.cache is not None:
        with stages.stage("keep"):
            options.cache.keep(key, prepared)
    return PreparedStudy(**{**vars(prepared), "seconds": dict(stages.seconds)})


def key_of(study: StudyInput, options: PreparationOptions) -> str:
    """What a prepared study depends on, as 32 hexadecimal digits."""
    mask = file_digest(options.brain_mask, "sha256") if options.brain_mask is not None else network_version()
    return hashlib.sha256("\n".join([RECIPE, study.digest(), mask]).encode()).hexdigest()[:32]


def choose_reference(volumes: dict[str, Volume]) -> str:
    """T1ce, unless another series is clearly finer."""
    coarsest = {modality: float(volume.spacing.max()) for modality, volume in volumes.items()}
    present = [m for m in _PREFERRED if m in coarsest]
    finest = min(coarsest.values())
    return next(m for m in present if coarsest[m] <= max(CLEARLY_FINER * finest, 1.5))


def _prepare(study: StudyInput, seen: SeenStudy, options: PreparationOptions, stages: Stages) -> PreparedStudy:
    name = choose_reference(seen.volumes)
    reference = seen.volumes[name]
    with stages.stage("brain"):
        brain, notes = _brain(seen, name, options)
    gates = check_brain(name, brain)
    _refuse(study.name, gates)
    with stages.stage("co-register"):
        positions = _positions(study, seen, name, brain)
    checks = {
        other: check_coregistration(
            other, found, brain, seen.volumes[other], shared_frame=_shared(study, seen, name, other)
        )
        for other, found in positions.items()
    }
    refused = {m: "; ".join(g.sentence for g in found if g.outcome == "refused") for m, found in checks.items()}
    refused = {m: text for m, text in refused.items() if text}
    gates += [gate for found in checks.values() for gate in found]
    used = [m for m in _ORDER if m in seen.volumes and m not in refused]
    transforms = {m: positions[m].matrix if m != name else np.eye(4) for m in used}
    with stages.stage("interpolate"):
        grid, inside = prepared_grid(reference, brain)
        array = np.stack([interpolated(seen.volumes[m], transforms[m], grid, inside) for m in used])
    warnings = [*study.notes, *notes, *(g.sentence for g in gates if g.outcome == "doubtful")]
    warnings += [f"{m} was refused: {text}" for m, text in refused.items()]
    return PreparedStudy(
        name=study.name, modalities=tuple(used), array=array, affine=grid[0], brain=inside, reference=name,
        transforms=transforms, grids={m: (v.affine, v.spatial_shape) for m, v in seen.volumes.items()},
        series={m: _series_record(study, seen, m, positions.get(m)) for m in seen.volumes}, refused=refused,
        gates=tuple(gates), warnings=tuple(warnings),
    )  # fmt: skip


def _brain(seen: SeenStudy, name: str, options: PreparationOptions) -> tuple[Volume, list[str]]:
    """Probability of brain in the reference's space, and how it was found."""
    reference = seen.volumes[name]
    if options.brain_mask is not None:
        return _given_brain(options.brain_mask, reference), ["the brain mask was given"]
    if seen.kinds[name].stripped:
        inside = (reference.array != seen.kinds[name].background).astype(np.float32)
        return Volume(inside, reference.affine), [f"{name} shows the brain alone; its background is taken as outside"]
    return brain_probability(reference), [LICENCE_NOTE]


def _given_brain(path: Path, reference: Volume) -> Volume:
    mask = read_volume(path, "brain_mask")
    if mask.array.shape[0] != 1 or not (mask.array > 0).any():
        raise InvalidValueError("brain_mask: must be one 3-D image with voxels above 0 in the brain")
    inside = Volume((mask.array > 0).astype(np.float32), mask.affine)
    places = np.argwhere(inside.array[0])[::97] @ mask.affine[:3, :3].T + mask.affine[:3, 3]
    way = np.linalg.inv(reference.affine)
    index = places @ way[:3, :3].T + way[:3, 3]
    covered = ((index > -1) & (index < np.array(reference.spatial_shape))).all(axis=1).mean()
    if covered < 0.5:
        raise InvalidValueError(
            f"brain_mask: only {100 * covered:.0f} % of it lies in the reference series, in whose space it must be"
        )
    return inside


def _shared(study: StudyInput, seen: SeenStudy, reference: str, other: str) -> bool:
    """Whether the headers lay both into one space on purpose."""
    frames = {study.series[m].frame_of_reference for m in (reference, other)}
    return (len(frames) == 1 and "" not in frames) or same_grid(seen.volumes[reference], seen.volumes[other])


def _positions(study: StudyInput, seen: SeenStudy, name: str, brain: Volume) -> dict[str, Coregistration]:
    others = [m for m in seen.volumes if m != name]
    if not others:
        return {}
    reference = Reference(seen.volumes[name], brain)

    def lay(other: str) -> Coregistration:
        return coregister(reference, seen.volumes[other], shared_frame=_shared(study, seen, name, other))

    with ThreadPoolExecutor(2) as pool:
        # Each in a copy of this context: the signal that stops the work is a context variable.
        waiting = {m: pool.submit(contextvars.copy_context().run, lay, m) for m in others}
        return {m: future.result() for m, future in waiting.items()}


def _refuse(name: str, gates: list[Gate]) -> None:
    failed = [gate.sentence for gate in gates if gate.outcome == "refused"]
    if failed:
        raise InvalidValueError(f"{name}: no brain was found: {'; '.join(failed)}", code="no_brain")


def _series_record(study: StudyInput, seen: SeenStudy, modality: str, found: Coregistration | None) -> dict[str, Any]:
    volume = seen.volumes[modality]
    record = {
        **study.series[modality].as_dict(), "shape": list(volume.spatial_shape),
        "spacing_mm": [round(float(s), 3) for s in volume.spacing], "kind": seen.kinds[modality].reason,
    }  # fmt: skip
    if found is not None:
        record |= {
            "start": found.start, "information": round(found.information, 4),
            "header_information": round(found.header_information, 4), "rotation_deg": round(found.rotation_deg, 2),
        }  # fmt: skip
    return record


