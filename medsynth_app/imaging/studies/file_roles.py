"""What the name of an image file tells: its sequence, or that it is a label, and which case it belongs to.

Known are ``CASE_WORD`` and ``WORD`` alone with the words of the vocabulary, BIDS (``sub-01_ses-1_ce-X_T1w``), and the
numbered channels of nnU-Net (``CASE_0000`` to ``CASE_0003``), which say a sequence only together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from medsynth_app.vocabulary import FILE_WORDS, LABEL_FILE_WORDS, Modality

LABEL = "label"
_SEPARATOR = r"[_\-. ]"


@dataclass(frozen=True)
class FileRole:
    """What a file's name says.

    Attributes:
        kind: flair, t1, t1ce, t2, ``label``; ``0000`` and so on for a numbered channel; None = nothing known.
        stem: what it has in common with the other files of its case; empty where the name is the word alone.
    """

    kind: str | None
    stem: str

    @property
    def channel(self) -> int | None:
        """The number of the channel, where that is all the name says."""
        return int(self.kind) if self.kind is not None and self.kind.isdigit() else None


def image_stem(file_name: str) -> str:
    """A file's name without its image ending; only the ending goes, other dots stay (``a.b.nii.gz`` -> ``a.b``)."""
    lower = file_name.lower()
    for ending in (".nii.gz", ".seg.nrrd", ".nii", ".nrrd"):
        if lower.endswith(ending):
            return file_name[: -len(ending)]
    return Path(file_name).stem


def sequence_of(file_name: str) -> str | None:
    """The modality that a file's name tells (``X_t1ce.nii.gz`` -> ``t1ce``), ``"label"``, or None."""
    role = file_role(file_name)
    return role.kind if role.channel is None else None


def kind_of_word(word: str) -> str | None:
    """The modality that a word means (``T1gd`` -> ``t1ce``), ``"label"``, or None."""
    match = _WORD.fullmatch(word.strip())
    return _kind(match) if match else None


@lru_cache(maxsize=1 << 16)
def file_role(file_name: str) -> FileRole:
    """What the name of an image file (with its ending) says."""
    stem = image_stem(file_name)
    bids = _BIDS.fullmatch(stem)
    if bids:
        return FileRole(_bids_kind(bids), bids["stem"])
    match = _WORD_AT_END.search(stem)
    if match:
        return FileRole(_kind(match), stem[: match.start()])
    if file_name.lower().endswith(".seg.nrrd"):
        return FileRole(LABEL, stem)
    channel = _CHANNEL.search(stem)
    return FileRole(channel[1], stem[: channel.start()]) if channel else FileRole(None, stem)


def _pattern(words: tuple[str, ...]) -> str:
    return "|".join(word.replace("_", r"[_\- ]?") for word in sorted(words, key=len, reverse=True))


_GROUPS = [*(f"(?P<{m.value}>{_pattern(words)})" for m, words in FILE_WORDS.items())]
_WORDS = "|".join([*_GROUPS, f"(?P<{LABEL}>{_pattern(LABEL_FILE_WORDS)})"])
_WORD = re.compile(_WORDS, re.IGNORECASE)
_WORD_AT_END = re.compile(rf"(?:^|{_SEPARATOR})(?:{_WORDS})$", re.IGNORECASE)
_CHANNEL = re.compile(r"_(\d{4})$")
_BIDS = re.compile(
    r"(?P<stem>sub-[A-Za-z0-9]+(?:_ses-[A-Za-z0-9]+)?)(?P<entities>(?:_[a-z]+-[A-Za-z0-9]+)*)"
    r"_(?P<suffix>T1w|T2w|FLAIR|dseg|seg)"
)
_BIDS_SUFFIXES = {"T1w": Modality.T1.value, "T2w": Modality.T2.value, "FLAIR": Modality.FLAIR.value}
_WITHOUT_AGENT = ("none", "no", "pre", "without", "nogd")


def _kind(match: re.Match[str]) -> str:
    return next(kind for kind, text in match.groupdict().items() if text)


def _bids_kind(match: re.Match[str]) -> str | None:
    kind = _BIDS_SUFFIXES.get(match["suffix"])
    if kind is None:
        return LABEL
    entities = dict(part.split("-", 1) for part in match["entities"].split("_") if part)
    agent = entities.get("ce", "none").lower()
    if agent in _WITHOUT_AGENT:
        return kind
    # A FLAIR or T2 after the agent is none of the four sequences.
    return Modality.T1CE.value if kind == Modality.T1.value else None
