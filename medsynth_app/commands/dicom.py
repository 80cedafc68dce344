"""``medsynth dicom``: a case as a DICOM study, to try a DICOM viewer or to fill an archive."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from medsynth_app.commands.support.results import console, store_json
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.dicom.study_writing import write_study
from medsynth_app.imaging.studies.cases import CaseFiles, case_in_folder, image_stem


def dicom(
    case_dir: Annotated[Path, typer.Argument(help="BraTS-style case folder, or a 4-D NIfTI file.")],
    out_dir: Annotated[Path, typer.Argument(help="Folder to make, or an empty one.")],
    synthetic: Annotated[
        bool | None,
        typer.Option(
            "--synthetic/--patient",
            help="Set or leave out Synthetic Data (0008,001C); by default as the NIfTI headers say.",
        ),
    ] = None,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the UIDs to this file.")] = None,
) -> None:
    """Turn a case into a DICOM study: one MR series a sequence, right geometry, the same UIDs every time."""
    study = write_study(_case(case_dir), out_dir, synthetic=synthetic)
    console.print(
        f"{study.files} images of {', '.join(study.series_uids)} in {out_dir.name}"
        + (", marked as synthetic" if study.synthetic else "")
        + (f"; missing: {', '.join(study.missing)}" if study.missing else ""),
        highlight=False,
    )
    console.print(f"StudyInstanceUID {study.study_uid}", highlight=False)
    store_json(study.as_dict(), json_file)


def _case(path: Path) -> CaseFiles:
    if path.is_file():
        return CaseFiles(image_stem(path.name), combined=path)
    case = case_in_folder(path) if path.is_dir() else None
    if case is None:
        raise InvalidValueError(
            f"case_dir: {path.name!r} is no case; expected a folder with CASE_flair.nii.gz, _t1, _t1ce, _t2"
        )
    return case
