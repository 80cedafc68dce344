"""Cases that hold the same images, whatever they are called and however the files were rewritten."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from medsynth_app.errors import MedSynthError
from medsynth_app.imaging.provenance.marking import is_marked_synthetic, mark_of_file
from medsynth_app.imaging.provenance.voxel_digest import channel_digests
from medsynth_app.imaging.reading import read_volume
from medsynth_app.imaging.studies.cases import CaseFiles

logger = logging.getLogger(__name__)

HOST_DIGEST = "host_digest"
"""Condition in the mark of a synthetic case: digest of the real image that it was made from."""

_AT_ONCE = 2
_kept: dict[tuple[Path, int, int], tuple[str, ...]] = {}
_MOST_KEPT = 100_000


def file_digests(path: Path) -> tuple[str, ...]:
    """The digests of a file's channels; read again only when the file changes.

    Raises:
        MedSynthError: as ``read_volume``.
        OSError: the file is gone.
    """
    facts = path.stat()
    key = (path, facts.st_mtime_ns, facts.st_size)
    if key not in _kept:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        _kept[key] = channel_digests(read_volume(path))
    return _kept[key]


def case_digests(case: CaseFiles) -> tuple[str, ...]:
    """The digests of all images of a case, and of the real head that a tumour was put into.

    A file that cannot be read has none, whoever needs it says so.
    """
    found = list(host_digests(case))
    for path in _images_of(case):
        try:
            found += file_digests(path)
        except (MedSynthError, OSError) as error:
            logger.warning("an image cannot be compared with others: %s", type(error).__name__)
    return tuple(found)


def host_digests(case: CaseFiles) -> tuple[str, ...]:
    """Digests of the real images that a synthetic case was made from, as its marks tell them; none for other cases."""
    marks = (mark_of_file(path) for path in _images_of(case))
    told = {str(mark.conditions.get(HOST_DIGEST) or "") for mark in marks if mark is not None}
    return tuple(sorted(told - {""}))


def is_marked_case(case: CaseFiles) -> bool:
    """Whether the header of any of its images says that it is synthetic."""
    return any(map(is_marked_synthetic, _images_of(case)))


def _images_of(case: CaseFiles) -> list[Path]:
    return [case.combined] if case.combined else list(case.sequences.values())


def digests_of_cases(cases: Sequence[CaseFiles]) -> dict[str, tuple[str, ...]]:
    """Case name -> digests of its images."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return dict(zip((case.name for case in cases), pool.map(case_digests, cases)))


def same_examination(digests: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Case name -> name of the first case that shares an image with it, directly or through others; itself mostly.

    Args:
        digests: case name -> digests of its images, in the order that says which one is first.
    """
    first: dict[str, str] = {name: name for name in digests}

    def root(name: str) -> str:
        while first[name] != name:
            first[name] = first[first[name]]
            name = first[name]
        return name

    order = {name: place for place, name in enumerate(digests)}
    owner: dict[str, str] = {}
    for name, own in digests.items():
        for digest in own:
            one, other = sorted((root(owner.setdefault(digest, name)), root(name)), key=order.__getitem__)
            first[other] = one
    return {name: root(name) for name in digests}
