"""What a scanner wrote about an acquisition that speaks against the name of a series.

The limits are wider than those that decide where there are no words: only what no practice reaches is a contradiction.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.vocabulary import Modality

SHORTEST_T2_ECHO_MS, SHORTEST_T2_REPETITION_MS = 40.0, 1000.0
"""Of T2 and FLAIR: proton density and T2* are taken with shorter echoes."""
LONGEST_T1_ECHO_MS, LONGEST_T1_REPETITION_MS = 50.0, 4000.0
"""The repetition time does not bind gradient echoes: MP2RAGE repeats after 5 s."""
POSSIBLE_FLAIR_INVERSION_MS = (1200.0, 3500.0)
_PARAMETER_MAP = re.compile(r"(?<![a-z])(map|maps|mapping|mapit|relaxometry|relaxation)(?![a-z])", re.IGNORECASE)
"""In a series' own description only: a protocol may be called brain mapping."""
_OTHER_IMAGE_TYPE = re.compile(
    r"(^|[ _])MAPS?$|^(ADC|FA|P|FAT|CBF|CBV|MTT|TTP|TMAX|MIP|LOCALIZER|DIFFUSION|PHASE|PHASE CONTRAST.*)$|"
    r"TRACEW?$|^PERFUSION|SUBTRACT|^SUB$|PROJECTION IMAGE|T2[ _]?STAR|SCREEN|REPORT"
)


def contradiction(kind: Modality, series: SeriesFacts) -> str:
    """Why a series cannot be what its words name, in words that follow its title; empty where nothing speaks against.

    Args:
        kind: FLAIR, T1 (with contrast agent or without) or T2.
        series: its facts; unknown ones say nothing.
    """
    return next(_contradictions(kind, series), "")


def _contradictions(kind: Modality, series: SeriesFacts) -> Iterator[str]:
    for word in series.image_type:
        if _OTHER_IMAGE_TYPE.search(word.strip().upper()):
            yield f"is another kind of image (ImageType {word.strip()[:30]!r})"
    if _PARAMETER_MAP.search(series.description):
        yield "is a map of a quantity, by its description"
    gradient_echo = "GR" in series.scanning_sequence and "SE" not in series.scanning_sequence
    if kind in (Modality.T1, Modality.T1CE):
        yield from _too_long("echo", series.echo_time_ms, LONGEST_T1_ECHO_MS, "T1")
        if not gradient_echo:
            yield from _too_long("repetition", series.repetition_time_ms, LONGEST_T1_REPETITION_MS, "T1")
        return
    name = kind.value.upper()
    if gradient_echo:
        told = f", echo time {series.echo_time_ms:g} ms" if series.echo_time_ms else ""
        yield f"is a gradient echo (ScanningSequence {'/'.join(series.scanning_sequence)}{told}), no {name}"
    yield from _too_short("echo", series.echo_time_ms, SHORTEST_T2_ECHO_MS, name)
    yield from _too_short("repetition", series.repetition_time_ms, SHORTEST_T2_REPETITION_MS, name)
    if kind is Modality.FLAIR:
        yield from _too_short("inversion", series.inversion_time_ms, POSSIBLE_FLAIR_INVERSION_MS[0], name)
        yield from _too_long("inversion", series.inversion_time_ms, POSSIBLE_FLAIR_INVERSION_MS[1], name)


def _too_short(time: str, value: float | None, least: float, name: str) -> Iterator[str]:
    if value and value < least:
        yield f"has an {time} time of {value:g} ms, too short for {name}".replace("an repetition", "a repetition")


def _too_long(time: str, value: float | None, most: float, name: str) -> Iterator[str]:
    if value and value > most:
        yield f"has an {time} time of {value:g} ms, too long for {name}".replace("an repetition", "a repetition")
