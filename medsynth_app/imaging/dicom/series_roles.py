"""Which series of a study is FLAIR, T1, contrast-enhanced T1 and T2.

A series' words decide first (description, then protocol, then sequence name), its echo, repetition and
inversion times where the words say nothing. What the scanner wrote about the acquisition can veto words (see
``acquisition_vetoes``): a gradient echo of 26 ms named t2 is T2*, and a T2 map is no T2 image. Limits of the times
follow common practice at 1.5 and 3 T: T2 weighting needs a long echo (>= 60 ms) and a long repetition time, FLAIR in
addition an inversion time near the null of cerebrospinal fluid (De Coene 1992, 1.6-2.9 s), T1 weighting a short echo
(<= 30 ms).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from medsynth_app.imaging.dicom.acquisition_vetoes import contradiction
from medsynth_app.imaging.dicom.contrast_words import contrast_of
from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.vocabulary import Modality

LONG_ECHO_MS = 60.0
SHORT_ECHO_MS = 30.0
LONG_REPETITION_MS = 2000.0
FLAIR_INVERSION_MS = (1500.0, 3200.0)
_WORDS = ("description", "protocol", "sequence_name")

_OTHER_KIND = re.compile(
    r"\b(loc|locali[sz]er|scout|survey|3 ?pl(ane)?|aahead\w*|dwi|dti|adc|trace\w*|diff\w*|b ?1000|ep2d\w*|"
    r"swi|swan|perf\w*|dsc|dce|asl|pwi|cbv|cbf|mtt|ttp|tof|mra|mrv|angio\w*|mip|bold|fmri|csi|svs|spectro\w*|"
    r"phase|sub|subtract\w*|calib\w*|stir|fa map|medic|me ?[23]d|qsm|inv ?[12])\b|t2 ?\*|t2 ?star|\bt2 (gre|fl2d|ffe)|"
    r"\bseg(mentation)?\b",
)
_T1_FLAIR = re.compile(r"t1w? ?flair|t1 .*\bflair")
_FLAIR = re.compile(r"flair|dark ?fluid|tirm|t2f\b")
_T1 = re.compile(r"t1(?!\d)|mp ?rage|spgr|bravo|\btfl|vibe|\b3d ?tfe|\bct1")
_T2 = re.compile(r"t2(?!\d)")
@dataclass(frozen=True)
class Resolution:
    """The sequences of a study.

    Attributes:
        series: modality -> series, where exactly one fits.
        problems: modality -> why none was taken, in words for the user.
        notes: choices that were made and that the user should know.
        reasons: modality -> what told that the series is it.
    """

    series: dict[str, SeriesFacts] = field(default_factory=dict)
    problems: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    reasons: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Role:
    """What one series is.

    Attributes:
        modality: its sequence, None for another kind of image.
        why: what told it.
        doubt: what a user should know before trusting it; empty where nothing speaks against it.
        veto: why it is not the sequence that its words name, ``(sequence, reason)``.
    """

    modality: Modality | None = None
    why: str = ""
    doubt: str = ""
    veto: tuple[Modality, str] | None = None


def modality_of(series: SeriesFacts) -> Modality | None:
    """The sequence that a series' words and times tell, None for another kind of image (diffusion, scout ...)."""
    return role_of(series).modality


def role_of(series: SeriesFacts) -> Role:
    """The sequence of a series, and why.

    Words name the sequence; what the scanner wrote about the acquisition can only speak against them, or decide where
    there are none.
    """
    texts = [_plain(getattr(series, attribute)) for attribute in _WORDS]
    if series.modality != "MR" or any(_OTHER_KIND.search(text) for text in texts[:2]):
        return Role()
    for text, attribute in zip(texts, _WORDS):
        kind = _kind_in_words(text)
        if kind is not None:
            why = f"{attribute.replace('_', ' ')} {getattr(series, attribute)[:64]!r}"
            break
    else:
        kind, why = _kind_by_times(series), _times(series)
    if kind is None:
        return Role()
    against = contradiction(kind, series)
    if against:
        return Role(veto=(kind, f"{series.title!r} {against}"))
    if kind is not Modality.T1:
        return Role(kind, why)
    contrast = contrast_of(series.description, series.protocol, series.contrast_agent)
    modality = Modality.T1CE if contrast.given else Modality.T1
    doubt = f"{series.title!r}: {contrast.doubt}" if contrast.doubt else ""
    return Role(modality, "; ".join(filter(None, (why, contrast.why))), doubt)


def _times(series: SeriesFacts) -> str:
    named = (("echo", series.echo_time_ms), ("repetition", series.repetition_time_ms),
             ("inversion", series.inversion_time_ms))  # fmt: skip
    known = ", ".join(f"{name} time {value:g} ms" for name, value in named if value)
    return f"no words; {known}"


def resolve(series: Sequence[SeriesFacts], chosen: str, mapping: SequenceMapping | None = None) -> Resolution:
    """Find the four sequences of a study.

    Args:
        series: all series of the study.
        chosen: uid of the series that the user has opened; of several candidates it, or the one most like
            it, is taken.
        mapping: the operator's patterns; a sequence with a pattern is decided by it alone.

    Returns:
        What was found and why, and for the rest why not.
    """
    roles = {entry.uid: role_of(entry) for entry in series}
    candidates = _candidates(series, mapping or {}, roles)
    opened = next((s for s in series if s.uid == chosen), None)
    found, problems, reasons, notes = {}, {}, {}, []
    for modality in Modality:
        fitting = candidates[modality.value]
        best, note = _best(fitting, opened)
        if best is not None:
            found[modality.value] = best
            by_operator = modality.value in (mapping or {})
            reasons[modality.value] = "sequence_mapping of the operator" if by_operator else roles[best.uid].why
            doubt = "" if by_operator else roles[best.uid].doubt
            notes += [f"{modality.value}: {text}" for text in (note, doubt) if text]
        elif fitting:
            problems[modality.value] = f"several series may be it: {_titles(fitting)}"
        else:
            vetoes = [role.veto[1] for role in roles.values() if role.veto and _means(role.veto[0], modality)]
            problems[modality.value] = "; ".join(
                [f"no series is it; the study holds {_titles(series)}", *vetoes[:5]]
            )
    return Resolution(found, problems, tuple(notes), reasons)


def _means(vetoed: Modality, wanted: Modality) -> bool:
    """Whether a series whose words were vetoed might have been the wanted sequence."""
    return vetoed is wanted or (vetoed is Modality.T1 and wanted is Modality.T1CE)


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


def _candidates(
    series: Iterable[SeriesFacts], mapping: SequenceMapping, roles: Mapping[str, Role]
) -> dict[str, list[SeriesFacts]]:
    candidates: dict[str, list[SeriesFacts]] = {m.value: [] for m in Modality}
    for entry in series:
        if entry.modality != "MR":
            continue
        named = [m for m, p in mapping.items() if p.search(entry.description) or p.search(entry.protocol)]
        for name in named:
            candidates[name].append(entry)
        own = roles[entry.uid].modality
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
