"""What was given -> studies: DICOM folders, case folders, single 4-D files, four files named one by one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import count as numbers
from pathlib import Path

from medsynth_app.errors import InvalidValueError, MedSynthError, NotFoundError
from medsynth_app.imaging.dicom.sequence_mapping import SequenceMapping
from medsynth_app.imaging.dicom.series_facts import SeriesFacts
from medsynth_app.imaging.dicom.series_roles import modality_of
from medsynth_app.imaging.reading import is_image_name, read_volume
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder, image_stem, sequence_of
from medsynth_app.imaging.studies.studies import case_name
from medsynth_app.preparation.dicom_studies import DicomSeries, choose_series, is_dicom_file, read_folder
from medsynth_app.preparation.study_input import SeriesInput, StudyInput, study_of_case
from medsynth_app.vocabulary import Modality

MOST_FILES = 200_000
_OTHER_ENDINGS = (".json", ".txt", ".csv", ".md", ".html", ".png", ".jpg", ".jpeg", ".pdf", ".bval", ".bvec", ".zip")
_SHORT_NAMES = {"fla": "flair", "t1wce": "t1ce", "t1cegd": "t1ce", "t1wc": "t1ce", "gd": "t1ce"}
_NO_IMAGE = re.compile(r"(^|[_\-. ])(\w*mask|seg|segmentation|labels?|roi|tumou?r)([_\-. ]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Found:
    """What lies in an input.

    Attributes:
        studies: those that can be looked at.
        failures: name -> why it cannot.
    """

    studies: tuple[StudyInput, ...] = ()
    failures: dict[str, str] = field(default_factory=dict)


def find_studies(path: Path, mapping: SequenceMapping | None = None) -> Found:
    """All studies of one input.

    Args:
        path: a folder (DICOM files, however nested; case folders, itself or below) or a 4-D image file.
        mapping: an operator's patterns for DICOM series.

    Raises:
        NotFoundError: there is no such file or folder.
        InvalidValueError: nothing in it is a study; says what is there.
    """
    if path.is_file():
        return Found((_single_file(path),))
    if not path.is_dir():
        raise NotFoundError(f"input: there is no file or folder {path.name!r}")
    images, others = _files(path)
    found = [case for folder, names in images.items() if (case := _case(folder, names)) is not None]
    dicom = read_folder(file for file in others if is_dicom_file(file))
    studies, failures = _dicom_studies(path, dicom, mapping)
    studies += [study_of_case(case) for case in found]
    if not studies and not failures:
        count = sum(map(len, images.values()))
        raise InvalidValueError(
            f"input: {path.name!r} holds no study; expected DICOM images, or CASE_flair.nii.gz, _t1, _t1ce, _t2 "
            f"(it holds {count} image files of other names and {len(others)} other files)"
        )
    return Found(tuple(named_apart(studies)), failures)


def study_of_files(files: Mapping[str, Path], name: str | None = None) -> StudyInput:
    """A study of files whose sequence the caller names.

    Args:
        files: modality -> image file, or a folder with one DICOM series.
        name: of the study; what the files' names have in common by default.

    Raises:
        NotFoundError: a file does not exist.
        InvalidValueError: a folder holds no or several DICOM series; two sequences are the same file.
    """
    if len(set(files.values())) < len(files):
        raise InvalidValueError(f"files: {' and '.join(files)} must be different files")
    series: dict[str, SeriesInput] = {}
    for modality, path in files.items():
        if path.is_dir():
            series[modality] = _one_series(path, modality)
        elif path.is_file():
            series[modality] = SeriesInput(modality, path.name, (path,))
        else:
            raise NotFoundError(f"{modality}: there is no file {path.name!r}")
    stems = [image_stem(path.name) for path in files.values()]
    common = name or os.path.commonprefix(stems).strip("_-. ") or stems[0]
    plain = all(not s.is_dicom for s in series.values())
    case = CaseFiles(common, dict(files)) if plain else None
    return StudyInput(case_name(common), series, case)


def _one_series(folder: Path, modality: str) -> SeriesInput:
    _, others = _files(folder)
    series = [s for study in read_folder(f for f in others if is_dicom_file(f)).values() for s in study]
    if len(series) != 1:
        raise InvalidValueError(f"{modality}: folder {folder.name!r} must hold one DICOM series, holds {len(series)}")
    return series[0].as_input(modality)


def _single_file(path: Path) -> StudyInput:
    if is_dicom_file(path):
        raise InvalidValueError(f"input: {path.name!r} is one DICOM file; give the folder of the study")
    volume = read_volume(path)
    stem = image_stem(path.name)
    if volume.array.shape[0] != len(Modality):
        own = sequence_of(path.name)
        raise InvalidValueError(
            f"input: {path.name!r} has {volume.array.shape[0]} channels; a 4-D file must have {len(Modality)} "
            f"({', '.join(m.value for m in Modality)})"
            + (f"; it is {own} alone: give its folder, or the others by --flair --t1 --t1ce --t2" if own else ""),
            code="missing_sequence",
        )
    return study_of_case(CaseFiles(case_name(stem), combined=path))


def _files(root: Path) -> tuple[dict[Path, list[str]], list[Path]]:
    """Image files by folder, and all other files that may be DICOM."""
    images: dict[Path, list[str]] = {}
    others: list[Path] = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if not f.startswith("."))
        for name in sorted(names):
            if name.startswith(".") or name.upper() == "DICOMDIR":
                continue
            if is_image_name(name):
                images.setdefault(Path(folder), []).append(name)
            elif not name.lower().endswith(_OTHER_ENDINGS):
                others.append(Path(folder) / name)
        if len(others) > MOST_FILES:
            raise InvalidValueError(f"input: {root.name!r} holds more than {MOST_FILES} files; give one study's folder")
    return images, others


def _case(folder: Path, names: list[str]) -> CaseFiles | None:
    """The case of a folder: by BraTS names, else by looser ones (``_T1w``, ``T1_POST``, ``ce-gadolinium``)."""
    case = case_in_folder(folder)
    loose: dict[str, list[str]] = {}
    for name in names:
        role = loose_sequence_of(name)
        if role is not None:
            loose.setdefault(role, []).append(name)
    sequences = {role: folder / fitting[0] for role, fitting in loose.items() if len(fitting) == 1}
    if case is not None and len(case.sequences) >= len(sequences):
        return case
    if not sequences:
        return case
    exact = case.sequences if case is not None else {}
    notes = tuple(
        f"{role}: several files may be it ({', '.join(fitting[:4])}); none was taken"
        for role, fitting in loose.items()
        if len(fitting) > 1 and role not in exact
    )
    return CaseFiles(folder.name, {**sequences, **exact}, label=case.label if case else None, notes=notes)


def loose_sequence_of(file_name: str) -> str | None:
    """The sequence that a file's name tells in anybody's words, None for masks and other images."""
    own = sequence_of(file_name)
    if own is not None:
        return None if own == "label" else own
    # BIDS names begin with sub-NAME, and "sub" says subtraction elsewhere.
    stem = re.sub(r"(^|_)(sub|ses)-[^_]+_", r"\1", image_stem(file_name))
    if _NO_IMAGE.search(stem):
        return None
    last = re.split(r"[_\-. ]", stem.lower())[-1]
    if last in _SHORT_NAMES:
        return _SHORT_NAMES[last]
    role = modality_of(SeriesFacts(uid="", description=stem))
    return role.value if role else None


def _dicom_studies(
    root: Path, studies: Mapping[tuple[str, str], list[DicomSeries]], mapping: SequenceMapping | None
) -> tuple[list[StudyInput], dict[str, str]]:
    found, failures = [], {}
    for (patient, _), series in studies.items():
        date = series[0].study_date
        name = root.name if len(studies) == 1 else "_".join(filter(None, (patient or "patient", date)))
        study = _dicom_study(case_name(name or "study"), series, mapping)
        if study.series:
            found.append(study)
        else:
            kinds = sorted({s.facts.modality or "?" for s in series})
            titles = ", ".join(repr(s.facts.title) for s in series[:8])
            failures[study.name] = (
                f"{study.name}: no series is one of FLAIR, T1, T1ce, T2; the study holds {', '.join(kinds)}: {titles}"
            )
    return found, failures


def _dicom_study(name: str, series: list[DicomSeries], mapping: SequenceMapping | None) -> StudyInput:
    choice = choose_series(series, mapping)
    taken: dict[str, SeriesInput] = {}
    problems: dict[str, str] = {}
    passed_over = list(choice.passed_over)
    for role, candidates in choice.candidates.items():
        for candidate in candidates:
            entry = candidate.as_input(role)
            try:
                entry.read()
            except MedSynthError as error:
                passed_over.append({"series": entry.title, "reason": f"{role}: {error.message}"})
                problems[role] = error.message
                continue
            taken[role] = entry
            problems.pop(role, None)
            break
        else:
            titles = ", ".join(repr(s.facts.title) for s in series[:20])
            problems.setdefault(role, f"no series is it; the study holds {titles}")
    return StudyInput(name, taken, None, tuple(passed_over), problems, choice.notes)


def named_apart(studies: Iterable[StudyInput]) -> Iterator[StudyInput]:
    """Studies of the same name get numbers: ``case``, ``case_2``."""
    taken: set[str] = set()
    for study in studies:
        names = (study.name if number == 1 else f"{study.name}_{number}" for number in numbers(1))
        name = next(name for name in names if name not in taken)
        taken.add(name)
        yield replace(study, name=name)
