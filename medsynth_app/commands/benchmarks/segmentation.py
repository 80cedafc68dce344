"""MedSynth's segmentation beside the stock MONAI Label way: same weights, same case, same run."""

from __future__ import annotations

import gzip
import io
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import nibabel as nib
import numpy as np
import requests
import typer

from medsynth_app.commands.support.results import console, store_json
from medsynth_app.commands.support.server_process import ServerProcess, server_environment
from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.geometry import reorient
from medsynth_app.imaging.studies.cases import CaseFiles, find_cases
from medsynth_app.imaging.volume import Volume
from medsynth_app.vocabulary import Modality

APPS = Path(__file__).resolve().parents[3] / "apps"
MODEL = "brain_tumor_segmentation"
TIMEOUT_SECONDS = 1800


def run(
    studies: Path,
    case_name: str,
    repeats: int,
    stock_repeats: int,
    tell: Callable[[str], object] = lambda text: None,
) -> dict[str, Any]:
    """Measure both servers, one after the other, each warmed up by one request.

    Args:
        studies: folder of case folders.
        case_name: which case; ``""`` = the one with the largest files.
        repeats: timed requests to MedSynth.
        stock_repeats: timed requests to the stock server.
        tell: called with a line about what happens now.

    Returns:
        seconds of both, their ratio, agreement of the masks, peak memory.
    """
    case = _choose(studies, case_name)
    with tempfile.TemporaryDirectory(prefix="medsynth-benchmark-") as folder:
        root = Path(folder)
        _link_case(case, root / "cases")
        _write_four_dimensional(case, root / "stock")
        tell(f"MedSynth on {case.name}: 1 + {repeats} requests")
        ours, our_mask, our_memory = _measure(
            APPS / "medsynth", root / "cases", case.name, repeats, server_environment(APPS / "medsynth")
        )
        tell(f"stock MONAI Label on {case.name}: 1 + {stock_repeats} requests")
        stock, stock_mask, stock_memory = _measure(
            APPS / "stock_baseline", root / "stock", case.name, stock_repeats
        )
    return {
        "case": case.name,
        "shape": list(our_mask.shape[1:]),
        "medsynth_seconds": ours,
        "medsynth_median_seconds": float(np.median(ours)),
        "stock_seconds": stock,
        "stock_median_seconds": float(np.median(stock)),
        "times_faster": float(np.median(stock) / np.median(ours)),
        "mask_agreement_dice": _agreement(our_mask, stock_mask),
        "medsynth_peak_memory_gb": our_memory / 1e9,
        "stock_peak_memory_gb": stock_memory / 1e9,
    }


def _choose(studies: Path, name: str) -> CaseFiles:
    cases = [case for case in find_cases(studies) if not case.missing([m.value for m in Modality])]
    if name:
        cases = [case for case in cases if case.name == name]
    if not cases:
        raise InvalidValueError(f"case: no case {name!r} with all four sequences in {studies.name!r}")
    return max(cases, key=lambda case: sum(path.stat().st_size for path in case.sequences.values()))


def _link_case(case: CaseFiles, studies: Path) -> None:
    folder = studies / case.name
    folder.mkdir(parents=True)
    for path in case.sequences.values():
        (folder / path.name).symlink_to(path.resolve())


def _write_four_dimensional(case: CaseFiles, studies: Path) -> None:
    """The stock server takes one 4-D file; it gets one, outside the timed part."""
    studies.mkdir(parents=True)
    volume = case.read()
    image = nib.Nifti1Image(np.moveaxis(volume.array, 0, 3).astype(np.int16), volume.affine)
    nib.save(image, studies / f"{case.name}.nii.gz")


def _measure(
    app: Path, studies: Path, case: str, repeats: int, environment: dict[str, str] | None = None
) -> tuple[list[float], np.ndarray, int]:
    """Seconds of each request from sending to the last byte, the last mask (1, X, Y, Z) in RAS, peak memory."""
    with ServerProcess(app, studies, environment) as server:
        seconds = []
        content = b""
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            response = requests.post(
                f"{server.url}/infer/{MODEL}",
                params={"image": case, "output": "image"},
                data={"params": '{"result_extension": ".nii.gz", "device": "cpu"}'},
                timeout=TIMEOUT_SECONDS,
            )
            content = response.content
            seconds.append(time.perf_counter() - begin)
            response.raise_for_status()
        return seconds[1:], _read_mask(content), server.peak_memory_bytes


def _read_mask(content: bytes) -> np.ndarray:
    image = nib.Nifti1Image.from_stream(io.BytesIO(_unzipped(content)))
    array = np.asarray(image.dataobj).astype(np.uint8).reshape(image.shape[:3])
    return reorient(Volume(array[None], image.affine)).array


def _unzipped(content: bytes) -> bytes:
    return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content


def _agreement(first: np.ndarray, second: np.ndarray) -> dict[str, float]:
    """Dice of the two masks for the whole tumour and for all labels exactly equal."""
    whole = 2 * ((first > 0) & (second > 0)).sum() / max((first > 0).sum() + (second > 0).sum(), 1)
    exact = 2 * ((first == second) & (first > 0)).sum() / max((first > 0).sum() + (second > 0).sum(), 1)
    return {"whole_tumor": float(whole), "all_labels": float(exact)}


def segmentation(
    case_dir: Annotated[Path, typer.Option(help="Studies folder; its first full-size case is used.")] = Path(
        "sample-data/studies"
    ),
    case: Annotated[str, typer.Option(help="Case name; the largest by default.")] = "",
    repeats: Annotated[int, typer.Option(help="Requests on MedSynth's side.", min=1)] = 5,
    stock_repeats: Annotated[
        int, typer.Option(help="Requests on the stock side; each takes a minute.", min=1)
    ] = 1,
    json_file: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
) -> None:
    """Seconds from request to last byte, beside MONAI Label's stock inference with the same weights."""
    result = run(case_dir, case, repeats, stock_repeats, console.print)
    agreement = result["mask_agreement_dice"]
    console.print(
        f"MedSynth      {result['medsynth_median_seconds']:.2f} s, {result['medsynth_peak_memory_gb']:.1f} GB"
    )
    console.print(
        f"stock         {result['stock_median_seconds']:.2f} s, {result['stock_peak_memory_gb']:.1f} GB"
    )
    console.print(f"times faster  {result['times_faster']:.1f}")
    console.print(
        f"same mask     Dice {agreement['whole_tumor']:.4f} (all labels {agreement['all_labels']:.4f})"
    )
    store_json(result, json_file)
