"""The image files of one folder by case: one stem a case, and nothing chosen where several files could be meant."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from medsynth_app.imaging.reading import is_image_name
from medsynth_app.imaging.studies.file_roles import LABEL, file_role, kind_of_word
from medsynth_app.imaging.studies.folder_entries import FolderEntries, is_regular
from medsynth_app.vocabulary import Modality

MODALITIES = tuple(m.value for m in Modality)
CHANNEL_NOTE = (
    "the numbered channels {} were taken for {}, the order of the Medical Segmentation Decathlon; "
    "a dataset.json beside them can say another"
)
DATASET_FILE = "dataset.json"
LARGEST_DATASET_FILE = 16 << 20


@dataclass(frozen=True)
class FileGroup:
    """The files of one case in a folder.

    Attributes:
        stem: what their names have in common.
        sequences: modality -> name of its file.
        label: name of the label map's file, or None.
        problems: modality or ``label`` -> why there is no file for it.
        notes: what was taken for granted.
    """

    stem: str
    sequences: dict[str, str] = field(default_factory=dict)
    label: str | None = None
    problems: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def group_files(
    names: Iterable[str], channels: Mapping[int, str] | None = None, odd: Mapping[str, str] | None = None
) -> dict[str, FileGroup]:
    """Stem -> the files of that case, for every case of which a sequence or a label is there.

    Args:
        names: of the image files in the folder.
        channels: number -> modality of nnU-Net's numbered channels, where a ``dataset.json`` says so.
        odd: names that cannot be opened -> why; they explain what is missing.
    """
    candidates: dict[str, dict[str, list[str]]] = {}
    for name in names:
        role = file_role(name)
        if role.kind is not None and is_image_name(name):
            candidates.setdefault(role.stem, {}).setdefault(role.kind, []).append(name)
    groups = {}
    for stem, found in sorted(candidates.items()):
        group = _group(stem, found, channels)
        if group.sequences or group.label or group.problems:
            groups[stem] = group
    for name, reason in (odd or {}).items():
        _explain_gap(groups, name, reason)
    return groups


def cases_of(groups: Mapping[str, FileGroup], folder_name: str) -> dict[str, FileGroup]:
    """The groups that hold a sequence, each with its label: the one of its stem, else one that can be no other's."""
    cases = {stem: group for stem, group in groups.items() if group.sequences or _refused_sequences(group)}
    loose = {stem: group for stem, group in groups.items() if stem not in cases}
    if len(cases) != 1 or not loose:
        return cases
    stem, case = next(iter(cases.items()))
    if case.label is not None or LABEL in case.problems:
        return cases
    fitting = [g for s, g in loose.items() if s in ("", folder_name) or not stem or stem.startswith((f"{s}_", f"{s}-"))]
    if len(fitting) == 1:
        joined = FileGroup(stem, case.sequences, fitting[0].label, {**case.problems, **fitting[0].problems}, case.notes)
        return {stem: joined}
    return cases


def channel_order(folder: Path) -> Mapping[int, str] | None:
    """What a ``dataset.json`` in a folder or above it says of numbered channels (nnU-Net 1 and 2), or None.

    Names that mean none of the four sequences are empty.
    """
    for place in (folder, folder.parent):
        path = place / DATASET_FILE
        if not is_regular(path) or path.stat().st_size > LARGEST_DATASET_FILE:
            continue
        try:
            table = json.loads(path.read_text(encoding="utf-8"))
            names = table.get("channel_names") or table.get("modality")
            return {int(number): kind_of_word(str(name)) or "" for number, name in names.items()}
        except (OSError, ValueError, AttributeError, TypeError, RecursionError):
            return {}
    return None


def has_channels(entries: FolderEntries) -> bool:
    """Whether some file is a numbered channel by its name."""
    return any(file_role(name).channel is not None for name in entries.files)


def _explain_gap(groups: Mapping[str, FileGroup], name: str, reason: str) -> None:
    role = file_role(name)
    case = groups.get(role.stem)
    if case is None or role.kind not in (*MODALITIES, LABEL):
        return
    if role.kind in case.sequences or role.kind in case.problems or (role.kind == LABEL and case.label):
        return
    case.problems[role.kind] = f"{name} {reason}"


def _refused_sequences(group: FileGroup) -> bool:
    return any(kind in MODALITIES for kind in group.problems)


def _group(stem: str, found: Mapping[str, list[str]], channels: Mapping[int, str] | None) -> FileGroup:
    group = FileGroup(stem)
    named = {kind: names for kind, names in found.items() if not kind.isdigit()}
    numbered = {kind: names for kind, names in found.items() if kind.isdigit()}
    notes: tuple[str, ...] = ()
    if numbered and not any(kind in MODALITIES for kind in named):
        order = channels
        if channels is None and sorted(map(int, numbered)) == list(range(len(MODALITIES))):
            order = dict(enumerate(MODALITIES))
            notes = (CHANNEL_NOTE.format(", ".join(sorted(numbered)), ", ".join(MODALITIES)),)
        for number, names in sorted(numbered.items()):
            modality = (order or {}).get(int(number))
            if modality:
                named.setdefault(modality, []).extend(names)
    label = None
    for kind, names in named.items():
        if len(names) > 1:
            group.problems[kind] = f"{len(names)} files could be it: {', '.join(sorted(names))}"
        elif kind == LABEL:
            label = names[0]
        else:
            group.sequences[kind] = names[0]
    ordered = dict(sorted(group.sequences.items(), key=lambda item: item[1]))
    return FileGroup(stem, ordered, label, group.problems, notes)
