"""What a picture shows, as numbers: which words a network knows, and a batch of conditions for it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.data.images import Pictures, PictureSource

NUMBERS = {"severity": 1.0, "age": 100.0}
"""Conditions that are numbers -> what is divided by."""
WORDS = ("modality", "pathology", "sequence", "sex")
KIND = ("modality", "sequence")
"""Conditions that say which kind of picture it is; the others say what is seen in it."""
DROPPED_ALL = 0.1
"""Share of training pictures without any condition: the other half of classifier-free guidance (Ho 2022)."""
DROPPED_EACH = 0.12
"""Share of training pictures that lack one condition, so that it may be left open."""


@dataclass(frozen=True)
class Vocabulary:
    """The conditions that a network was trained with; a word's number is its place plus 1.

    Attributes:
        modality: names.
        pathology: ``MODALITY/PATHOLOGY``: a disease looks different in every modality.
        sequence: of MR slices.
        sex: names.
        honoured: modality -> names of further conditions that its pictures taught (``severity``, ``lesion``, ``age``,
            ``sex``, ``sequence``).
    """

    modality: tuple[str, ...]
    pathology: tuple[str, ...]
    sequence: tuple[str, ...] = ()
    sex: tuple[str, ...] = ()
    honoured: Mapping[str, tuple[str, ...]] | None = None

    @classmethod
    def of(cls, sources: Sequence[PictureSource]) -> Vocabulary:
        """The words that occur, sorted; a condition counts as taught where a tenth of a modality's sick pictures,
        or of all its pictures for age, sex and sequence, tell different values of it.
        """
        modalities = tuple(sorted({source.modality for source in sources}))
        return cls(
            modalities,
            tuple(sorted({f"{source.modality}/{source.pathology}" for source in sources})),
            tuple(sorted({source.sequence for source in sources} - {""})),
            tuple(sorted({source.sex for source in sources} - {""})),
            {name: _taught([s for s in sources if s.modality == name]) for name in modalities},
        )

    @property
    def numbers(self) -> tuple[str, ...]:
        """Conditions that are numbers, and were taught in some modality."""
        taught = {name for names in (self.honoured or {}).values() for name in names}
        return tuple(name for name in NUMBERS if name in taught)

    def lists(self) -> dict[str, tuple[str, ...]]:
        """Condition -> its words."""
        return {name: getattr(self, name) for name in WORDS if getattr(self, name)}

    def pathologies(self, modality: str) -> tuple[str, ...]:
        """What a modality can show."""
        return tuple(word.partition("/")[2] for word in self.pathology if word.startswith(f"{modality}/"))

    def number(self, name: str, word: str) -> int:
        """A word's number; 0 for none."""
        words = getattr(self, name)
        return 1 + words.index(word) if word in words else 0

    def as_dict(self) -> dict[str, Any]:
        """JSON values."""
        record: dict[str, Any] = {name: list(getattr(self, name)) for name in WORDS}
        return {**record, "honoured": {k: list(v) for k, v in (self.honoured or {}).items()}}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Vocabulary:
        """Of a weights file; InvalidValueError where it is incomplete."""
        try:
            words = {name: tuple(str(word) for word in record[name]) for name in WORDS}
            return cls(**words, honoured={str(k): tuple(v) for k, v in record["honoured"].items()})
        except (KeyError, TypeError, AttributeError) as error:
            raise InvalidValueError("weights: lack the words of their conditions") from error


def _taught(sources: Sequence[PictureSource]) -> tuple[str, ...]:
    sick = [source for source in sources if source.pathology != "normal"]
    values: dict[str, list[Any]] = {
        "severity": [source.severity for source in sick],
        "lesion": [source.mask for source in sick],
        "age": [source.age for source in sources],
        "sex": [source.sex or None for source in sources],
        "sequence": [source.sequence or None for source in sources],
    }
    taught = []
    for name, column in values.items():
        known = [value for value in column if value is not None]
        if len(known) >= max(2, 0.1 * len(column)) and len(set(known)) > 1:
            taught.append(name)
    return tuple(taught)


class Shown(Protocol):
    """What one picture shows or is to show: a training picture's record, or a request."""

    @property
    def modality(self) -> str: ...  # noqa: D102
    @property
    def pathology(self) -> str: ...  # noqa: D102
    @property
    def sequence(self) -> str: ...  # noqa: D102
    @property
    def sex(self) -> str: ...  # noqa: D102
    @property
    def severity(self) -> float | None: ...  # noqa: D102
    @property
    def age(self) -> float | None: ...  # noqa: D102


class Asked(Shown, Protocol):
    """A request, which brings its mask."""

    @property
    def mask(self) -> np.ndarray | None: ...  # noqa: D102


@dataclass(frozen=True)
class ConditionBatch:
    """Conditions of N pictures.

    Attributes:
        words: condition -> (N,) int64, number of the word, 0 = open.
        numbers: condition -> (N,) float32, 0..1; NaN = open.
        mask: (N, H, W) float32, share of lesion in each cell.
        mask_known: (N,) bool; False = the network places the lesion, if there is one.
    """

    words: Mapping[str, torch.Tensor]
    numbers: Mapping[str, torch.Tensor]
    mask: torch.Tensor
    mask_known: torch.Tensor

    @classmethod
    def of_pictures(cls, pictures: Pictures, vocabulary: Vocabulary, cells: int) -> ConditionBatch:
        """What is known of training pictures.

        Args:
            pictures: N of them.
            vocabulary: the network's.
            cells: of the mask, a side; divides the pictures' side.
        """
        words, numbers = _words_and_numbers(pictures.sources, vocabulary)
        masks = mask_cells(torch.from_numpy(pictures.masks), cells)
        return cls(words, numbers, masks, torch.from_numpy(pictures.has_mask.astype(np.bool_)))

    @classmethod
    def of_requests(cls, asked: Sequence[Asked], vocabulary: Vocabulary, cells: int) -> ConditionBatch:
        """What pictures are to show; masks are (R, R), 0..1, or None.

        Args:
            asked: N requests.
            vocabulary: the network's.
            cells: of the mask, a side; divides R.
        """
        words, numbers = _words_and_numbers(asked, vocabulary)
        masks = [
            torch.zeros(cells, cells)
            if one.mask is None
            else mask_cells(torch.from_numpy(one.mask)[None], cells)[0]
            for one in asked
        ]
        return cls(words, numbers, torch.stack(masks), torch.tensor([one.mask is not None for one in asked]))

    def __len__(self) -> int:
        return len(self.mask)

    def chosen(self, rows: torch.Tensor) -> ConditionBatch:
        """The conditions of these rows."""
        return ConditionBatch(
            {name: values[rows] for name, values in self.words.items()},
            {name: values[rows] for name, values in self.numbers.items()},
            self.mask[rows],
            self.mask_known[rows],
        )

    def to(self, device: torch.device) -> ConditionBatch:
        """On another device."""
        return ConditionBatch(
            {name: values.to(device) for name, values in self.words.items()},
            {name: values.to(device) for name, values in self.numbers.items()},
            self.mask.to(device),
            self.mask_known.to(device),
        )

    def with_mask(self, mask: torch.Tensor) -> ConditionBatch:
        """With other masks (N, H, W)."""
        return replace(self, mask=mask)

    def joined(self, other: ConditionBatch) -> ConditionBatch:
        """These conditions, then the other's."""
        return ConditionBatch(
            {name: torch.cat([values, other.words[name]]) for name, values in self.words.items()},
            {name: torch.cat([values, other.numbers[name]]) for name, values in self.numbers.items()},
            torch.cat([self.mask, other.mask]),
            torch.cat([self.mask_known, other.mask_known]),
        )

    def opened(self) -> ConditionBatch:
        """Only the kind of picture is told: what guidance leads away from."""
        everyone = torch.ones(len(self), dtype=torch.bool)
        return self._without({name: everyone if name not in KIND else ~everyone for name in self._names()})

    def dropped(self, chance: torch.Generator) -> ConditionBatch:
        """Some conditions left open, as training needs it."""
        everything = torch.rand(len(self), generator=chance) < DROPPED_ALL
        names = self._names()
        return self._without({
            name: everything | (torch.rand(len(self), generator=chance) < (0.0 if name == "modality" else DROPPED_EACH))
            for name in names
        })  # fmt: skip

    def _names(self) -> list[str]:
        return [*self.words, *self.numbers, "mask"]

    def _without(self, open_: Mapping[str, torch.Tensor]) -> ConditionBatch:
        at = {name: rows.to(self.mask.device) for name, rows in open_.items()}
        return ConditionBatch(
            {name: values.masked_fill(at[name], 0) for name, values in self.words.items()},
            {name: values.masked_fill(at[name], math.nan) for name, values in self.numbers.items()},
            self.mask,
            self.mask_known & ~at["mask"],
        )


def _words_and_numbers(
    shown: Sequence[Shown], vocabulary: Vocabulary
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    words = {
        "modality": [vocabulary.number("modality", one.modality) for one in shown],
        "pathology": [vocabulary.number("pathology", f"{one.modality}/{one.pathology}") for one in shown],
        "sequence": [vocabulary.number("sequence", one.sequence) for one in shown],
        "sex": [vocabulary.number("sex", one.sex) for one in shown],
    }
    numbers = {
        name: [
            math.nan if getattr(one, name) is None else getattr(one, name) / NUMBERS[name] for one in shown
        ]
        for name in vocabulary.numbers
    }
    return (
        {name: torch.tensor(words[name]) for name in vocabulary.lists()},
        {name: torch.tensor(values, dtype=torch.float32) for name, values in numbers.items()},
    )


def mask_cells(masks: torch.Tensor, cells: int) -> torch.Tensor:
    """Masks (N, R, R), bool or 0..1 -> share of lesion in each of cells x cells, (N, cells, cells) float32."""
    if masks.shape[-1] % cells:
        raise InvalidValueError(f"masks: {masks.shape[-1]} pixels do not divide into {cells} cells")
    return functional.avg_pool2d(masks.float()[:, None], masks.shape[-1] // cells)[:, 0]
