"""Which series of a study is FLAIR, T1, contrast-enhanced T1 and T2.

A series' words decide first (description, then protocol, then sequence name), its echo, repetition and
inversion times where the words say nothing. Limits of the times follow common practice at 1.5 and 3 T:
T2 weighting needs a long echo (>= 60 ms) and a long repetition time, FLAIR in addition an inversion time near
the null of cerebrospinal fluid (De Coene 1992, 1.6-2.9 s), T1 weighting a short echo (<= 30 ms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.vocabulary import Modality

LONG_ECHO_MS = 60.0
SHORT_ECHO_MS = 30.0
LONG_REPETITION_MS = 2000.0
FLAIR_INVERSION_MS = (1500.0, 3200.0)

_OTHER_KIND = re.compile(
    r"\b(loc|locali[sz]er|scout|survey|3 ?pl(ane)?|aahead\w*|dwi|dti|adc|trace\w*|diff\w*|b ?1000|ep2d\w*|"
    r"swi|swan|perf\w*|dsc|dce|asl|pwi|cbv|cbf|mtt|ttp|tof|mra|mrv|angio\w*|mip|bold|fmri|csi|svs|spectro\w*|"
    r"phase|sub|subtract\w*|calib\w*|stir|fa map)\b|t2 ?\*|t2 ?star|\bt2 (gre|fl2d|ffe)|\bseg(mentation)?\b",
)
_T1_FLAIR = re.compile(r"t1w? ?flair|t1 .*\bflair")
_FLAIR = re.compile(r"flair|dark ?fluid|tirm|t2f\b")
_T1 = re.compile(r"t1(?!\d)|mp ?rage|spgr|bravo|\btfl|vibe|\b3d ?tfe|\bct1")
_T2 = re.compile(r"t2(?!\d)")
_BEFORE_CONTRAST = re.compile(
    r"\b(pre|native?|plain|ohne|unenhanced|non ?contrast|no contrast|without|w ?o|t1n|조영 ?전)\b"
)
_AFTER_CONTRAST = re.compile(
    r"\b(ce|gd|gad\w*|post\w*|contrast|km|kontrast|mdc|enhanced|iv|t1ce|t1c|t1gd|ct1)\b|\+ ?(c|gd|km|ce)\b|"
    r"\bc ?\+|조영|t1 ?w? ?\+"
)
_NO_AGENT = ("", "no", "none", "n a", "na", "0")


@dataclass(frozen=True)
class Resolution:
    """The sequences of a study.

    Attributes:
        series: modality -> series, where exactly one fits.
        problems: modality -> why none was taken, in words for the user.
        notes: choices that were made and that the user should know.
    """

    series: dict[str, SeriesFacts] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def modality_of(series: SeriesFacts) -> Modality | None:
    """The sequence that a series' words and times tell, None for another kind of image (diffusion, scout ...)."""
    texts = [_plain(t) for t in (series.description, series.protocol, series.sequence_name)]
    if series.modality != "MR" or any(_OTHER_KIND.search(text) for text in texts[:2]):
        return None
    for text in texts:
        kind = _kind_in_words(text)
        if kind is not None:
            break
    else:
        kind = _kind_by_times(series)
    if kind is Modality.T1 and _has_contrast(series, texts):
        return Modality.T1CE
    return kind


def resolve(series: Sequence[SeriesFacts], chosen: str, mapping: SequenceMapping | None = None) -> Resolution:
    """Find the four sequences of a study.

    Args:
        series: all series of the study.
        chosen: uid of the series that the user has opened; of several candidates it, or the one most like
            it, is taken.
        mapping: the operator's patterns; a sequence with a pattern is decided by it alone.

    Returns:
        What was found, and for the rest why not.
    """
    candidates = _candidates(series, mapping or {})
    opened = next((s for s in series if s.uid == chosen), None)
    found, problems, notes = {}, {}, []
    for modality in Modality:
        fitting = candidates[modality.value]
        best, note = _best(fitting, opened)
        if best is not None:
            found[modality.value] = best
            notes += [f"{modality.value}: {note}"] if note else []
        elif fitting:
            problems[modality.value] = f"several series may be it: {_titles(fitting)}"
        else:
            problems[modality.value] = f"no series is it; the study holds {_titles(series)}"
    return Resolution(found, problems, tuple(notes))


def _plain(text: str) -> str:
    """Lower case, with ``_ - . / ,`` as spaces, so that word borders are where a reader sees them."""
    return re.sub(r"[_\-./,;:()\[\]\s]+", " ", text.lower()).strip()


def _kind_in_words(text: str) -> Modality | None:
    if _T1_FLAIR.search(text):
        return Modality.T1
    if _FLAIR.search(text):
        return Modality.FLAIR
    one, two = bool(_T1.search(text)), bool(_T2.search(text))
    if one == two:
        return None
    return Modality.T1 if one else Modality.T2


def _kind_by_times(series: SeriesFacts) -> Modality | None:
    echo, repetition, inversion = series.echo_time_ms, series.repetition_time_ms, series.inversion_time_ms
    if echo is None:
        return None
    inverted = inversion is not None and FLAIR_INVERSION_MS[0] <= inversion <= FLAIR_INVERSION_MS[1]
    if echo >= LONG_ECHO_MS:
        if inverted or (inversion is None and "IR" in series.scanning_sequence):
            return Modality.FLAIR
        return Modality.T2 if (repetition or 0.0) >= LONG_REPETITION_MS and not inversion else None
    if echo > SHORT_ECHO_MS or repetition is None:
        return None
    # A magnetization-prepared gradient echo (MPRAGE) has a long repetition time but inverts at about 1 s.
    prepared = "GR" in series.scanning_sequence and inversion is not None and not inverted
    return Modality.T1 if repetition < LONG_REPETITION_MS or prepared else None


def _has_contrast(series: SeriesFacts, texts: Sequence[str]) -> bool:
    """Words about contrast outweigh the agent's tag, which scanners fill in before the injection too."""
    for text in texts[:2]:
        if _BEFORE_CONTRAST.search(text):
            return False
        if _AFTER_CONTRAST.search(text):
            return True
    return _plain(series.contrast_agent) not in _NO_AGENT


def _candidates(series: Iterable[SeriesFacts], mapping: SequenceMapping) -> dict[str, list[SeriesFacts]]:
    candidates: dict[str, list[SeriesFacts]] = {m.value: [] for m in Modality}
    for entry in series:
        if entry.modality != "MR":
            continue
        named = [m for m, p in mapping.items() if p.search(entry.description) or p.search(entry.protocol)]
        for name in named:
            candidates[name].append(entry)
        own = modality_of(entry)
        if not named and own is not None and own.value not in mapping:
            candidates[own.value].append(entry)
    return candidates


def _best(fitting: list[SeriesFacts], opened: SeriesFacts | None) -> tuple[SeriesFacts | None, str]:
    """The one candidate, or the one most like the opened series; a note where a choice was made."""
    left = list(fitting)
    if opened is not None and opened in left:
        return opened, ""
    likenesses: list[Callable[[SeriesFacts], bool]] = []
    if opened is not None:
        likenesses = [
            lambda s: s.frame_of_reference == opened.frame_of_reference,
            lambda s: s.grid == opened.grid,
            lambda s: s.grid[4:] == opened.grid[4:],
        ]
    for likeness in likenesses:
        left = [s for s in left if likeness(s)] or left
    if len(left) > 1 and len({(s.description, s.protocol, s.grid) for s in left}) == 1:
        # The same protocol twice: the first one was repeated for a reason.
        left = [max(left, key=lambda s: s.number)]
    if len(left) != 1:
        return None, ""
    chosen = left[0]
    return chosen, (
        f"took {chosen.title!r} (series {chosen.number}) of {len(fitting)} candidates" if len(fitting) > 1 else ""
    )


def _titles(series: Iterable[SeriesFacts]) -> str:
    names = [repr(s.title) for s in series if s.modality == "MR"]
    return ", ".join(names[:20]) + (", ..." if len(names) > 20 else "") if names else "no MR series"
