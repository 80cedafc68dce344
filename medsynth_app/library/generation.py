"""``ms.generate``: a synthetic image in one call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medsynth_app.errors import InvalidValueError
from medsynth_app.library.hosts import with_host
from medsynth_app.synthesis.catalogue import CATALOGUE, CatalogueRow
from medsynth_app.synthesis.conditions import parse_seed
from medsynth_app.synthesis.generator import GenerationRequest, Synthetic
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.synthesis.writing import (
    PICTURE_ENDINGS,
    VOLUME_ENDINGS,
    write_case,
    write_result_label,
    write_synthetic,
)

EXAMPLE = 'ms.generate("volume_synthesis", volume_type="mri_brain", seed=7)'
LABEL_SUFFIX = "_label"


@dataclass(frozen=True)
class Generated:
    """A synthetic image and where it comes from.

    Attributes:
        synthetic: what the generator answered.
        record: generator, version, seed, conditions, hash of the weights, and what else is known; JSON values.
    """

    synthetic: Synthetic
    record: dict[str, Any]

    @property
    def array(self) -> np.ndarray:
        """A volume (C, X, Y, Z), or a picture (H, W) or (H, W, 3) uint8."""
        return self.synthetic.array

    @property
    def affine(self) -> np.ndarray | None:
        """(4, 4) voxel -> RAS mm of a volume; None for a picture."""
        return self.synthetic.affine

    @property
    def label(self) -> np.ndarray | None:
        """What is where, (X, Y, Z) or (H, W) uint8; None where nothing is labelled."""
        return self.synthetic.label

    @property
    def label_names(self) -> Mapping[str, int]:
        """Name -> value in ``label``."""
        return self.synthetic.label_names

    @property
    def channels(self) -> tuple[str, ...]:
        """Names of a volume's channels where there are several."""
        return self.synthetic.channels

    def save(self, path: str | Path) -> Path:
        """Store it; every file says that it is synthetic.

        Args:
            path: ``NAME.nii.gz``, ``.nii`` or ``.nrrd`` for a volume, ``.png`` for a picture, with the label beside it
                as ``NAME_label``; without an ending a case folder is made where there are several channels.

        Returns:
            The file or the case folder.

        Raises:
            InvalidValueError: an ending that it cannot have, or a name that is taken.
        """
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        ending = next((e for e in (*VOLUME_ENDINGS, *PICTURE_ENDINGS) if target.name.lower().endswith(e)), "")
        if not ending and not target.suffix:
            return write_case(self.synthetic, target.parent, target.name)
        write_synthetic(self.synthetic, target)
        if self.label is not None:
            stem = target.name[: -len(ending)] if ending else target.stem
            write_result_label(self.synthetic, target.with_name(f"{stem}{LABEL_SUFFIX}{ending}"))
        return target


def generate(
    model: str, *, seed: int = 0, generator: str = "", image: str | Path | None = None,
    label: str | Path | None = None, weights: str | Path | None = None,
    progress: Callable[[float], None] | None = None, **conditions: Any,
) -> Generated:  # fmt: skip
    """Make one synthetic image: same seed and conditions, same voxels.

    Args:
        model: a task's name, for example ``volume_synthesis``, ``image_synthesis``, ``tumor_case_synthesis``.
        seed: non-negative.
        generator: which of the task's generators; its first by default.
        image: file of an input image, for tasks that take one.
        label: file of a mask, for tasks that take one.
        weights: folder with weights trained by you.
        progress: called with the share that is done, 0 to 1.
        conditions: the same names and values as over REST, for example ``volume_type="ct_chest"``; ``host`` is the
            folder of a case.

    Raises:
        NotFoundError: no such model; lists them.
        InvalidValueError: an unknown condition, or an impossible value; names what is allowed.
    """
    row = CATALOGUE.row(model, generator)
    check_conditions(row, conditions)
    named, host = with_host(conditions)
    parsed = row.conditions.parse(named)
    folder = Path(weights) if weights else None
    store = WeightsStore.of(folder)
    request = GenerationRequest(
        parse_seed(seed), parsed, Path(image) if image else None, Path(label) if label else None, host
    )
    built = row.build(store)
    made = built.generate(request, progress) if progress is not None else built.generate(request)
    return Generated(made, {"model": model, **made.facts, **made.mark.as_dict()})


def check_conditions(row: CatalogueRow, conditions: Mapping[str, Any]) -> None:
    """Refuse conditions that a generator does not have.

    Raises:
        InvalidValueError: names one, those it has, and a call.
    """
    known = [described["name"] for described in row.conditions.described()]
    unknown = [name for name in conditions if name not in known]
    if unknown:
        raise InvalidValueError(
            f"{unknown[0]}: {row.task} with generator {row.generator!r} has no such condition; it has "
            f"{', '.join(known)}. A call looks like {EXAMPLE}"
        )
