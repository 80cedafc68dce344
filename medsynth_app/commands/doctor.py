"""``medsynth doctor``: whether this machine can run MedSynth, and how fast it will be."""

from __future__ import annotations

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

import psutil
import torch
import typer

from medsynth_app import __version__
from medsynth_app.commands.audit_check import check_audits
from medsynth_app.commands.support.results import console, store_json
from medsynth_app.precision import disagreements, has_native_bf16
from medsynth_app.segmentation.current_network import SHIPPED_WEIGHTS, CurrentNetwork

PACKAGES = (
    "monai", "monailabel", "torch", "torchvision", "nibabel", "pydicom", "SimpleITK", "fastapi", "uvicorn",
    "numpy", "itk", "nilearn", "safetensors", "mlflow",
)  # fmt: skip
NEEDED_MEMORY_GB = 4.0


def doctor(
    audit: Annotated[
        bool, typer.Option("--audit", help="Verify the audits instead: who changed which label, model, decision.")
    ] = False,
    studies: Annotated[Path | None, typer.Option(help="With --audit: the folder that is served.")] = None,
    database: Annotated[
        str, typer.Option(help="With --audit: the clinic's database, by default that beside the studies.")
    ] = "",
    anchor: Annotated[
        list[str], typer.Option(help="With --audit: a hash noted from the log that must still be there.")
    ] = [],  # noqa: B006 - typer copies it
    json_file: Annotated[Path | None, typer.Option("--json", help="Write the findings to this file.")] = None,
) -> None:
    """Check Python, packages, processor, memory, devices and weights; exit status 1 if something is missing."""
    if audit:
        _show_audits(*check_audits(studies, database, anchor), json_file)
        return
    findings, faults = examine()
    for name, value in findings.items():
        console.print(f"{name:22} {value}", highlight=False)
    for fault in faults:
        console.print(f"[red]missing:[/red] {fault}", highlight=False)
    store_json({**findings, "faults": faults}, json_file)
    if faults:
        raise typer.Exit(1)
    console.print("everything MedSynth needs is here")


def _show_audits(rows: dict[str, Any], faults: list[str], json_file: Path | None) -> None:
    for name, row in rows.items():
        word = "whole" if row["intact"] else "BROKEN"
        console.print(f"{name:8} {word}, {row.get('length', '?')} records, newest hash {row.get('head', '?')}")
    for fault in faults:
        console.print(f"[red]audit:[/red] {fault}", highlight=False, soft_wrap=True)
    store_json({"audits": rows, "faults": faults}, json_file)
    if faults:
        raise typer.Exit(1)


def examine() -> tuple[dict[str, Any], list[str]]:
    """What was found, and what is missing."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    memory = psutil.virtual_memory()
    findings: dict[str, Any] = {
        "medsynth": __version__,
        "python": platform.python_version(),
        "processor cores": os.cpu_count(),
        "memory free / all GB": f"{memory.available / 1e9:.1f} / {memory.total / 1e9:.1f}",
        "device": torch.cuda.get_device_name(0) if device.type == "cuda" else "cpu",
        "native bf16": has_native_bf16(device),
        "training in bf16": _training_in_bf16(device),
    }
    faults = []
    if not (3, 10) <= sys.version_info[:2] <= (3, 12):
        faults.append(f"Python 3.10 to 3.12; this is {platform.python_version()}")
    for package in PACKAGES:
        try:
            findings[package] = version(package)
        except PackageNotFoundError:
            faults.append(f"package {package}; install requirements.txt")
    if memory.available / 1e9 < NEEDED_MEMORY_GB:
        faults.append(f"{NEEDED_MEMORY_GB:g} GB of free memory for a whole-brain pass; windows will be used")
    network = CurrentNetwork([SHIPPED_WEIGHTS])
    if network.path() is None:
        faults.append("the shipped weights of brain_tumor_segmentation")
    else:
        _, configuration, notes = network.get()
        findings["segmentation model"] = f"{configuration.name}, step {notes.get('step')}"
    return findings, faults


def _training_in_bf16(device: torch.device) -> str:
    """Whether layers learn in bf16 as in fp32, in words."""
    if not has_native_bf16(device):
        return "not native: fp32 is taken"
    wrong = disagreements(device)
    if not wrong:
        return "right"
    return f"wrong gradients on this machine, fp32 is taken there: {', '.join(wrong)}"
