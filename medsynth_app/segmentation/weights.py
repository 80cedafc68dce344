"""Weights on disk: safetensors only, written beside the target and renamed, read without pickle.

The network's configuration travels in the file's metadata, so a weights file is complete by itself.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.segmentation.fitted import Fitted
from medsynth_app.segmentation.network import NetworkConfiguration, build_network


def save_weights(
    network: nn.Module,
    configuration: NetworkConfiguration,
    path: Path,
    notes: dict[str, object] | None = None,
) -> None:
    """Store half-precision weights; the file appears whole or not at all.

    Args:
        network: what to store.
        configuration: how to build it again.
        path: target, ``.safetensors``.
        notes: further JSON-able facts (steps, Dice, ...) for the metadata.
    """
    tensors = {name: value.detach().half().contiguous().cpu() for name, value in network.state_dict().items()}
    metadata = {"network": json.dumps(asdict(configuration)), "notes": json.dumps(notes or {})}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        save_file(tensors, str(temporary), metadata=metadata)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def load_weights(path: Path) -> tuple[nn.Module, NetworkConfiguration, dict[str, object]]:
    """The network of a weights file, in float32 and evaluation mode, its configuration and its notes.

    The network carries what was fitted for it, see ``fitted_of``.

    Raises:
        UnsupportedKindError: not a safetensors file (415).
        InvalidValueError: not of a MedSynth segmentation network, or its tensors do not fit (422).
    """
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118 - not a mapping
    except (SafetensorError, OSError) as error:
        raise UnsupportedKindError(f"weights {path.name}: not a readable safetensors file") from error
    try:
        record = json.loads(metadata["network"])
        configuration = NetworkConfiguration(**{**record, "modalities": tuple(record["modalities"])})
        network = build_network(configuration)
        network.load_state_dict(tensors)
        notes = dict(json.loads(metadata.get("notes", "{}")))
        network.fitted = Fitted.of_notes(notes, configuration.modalities)  # type: ignore[assignment]
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidValueError(f"weights {path.name}: do not fit a MedSynth segmentation network") from error
    if not all(bool(torch.isfinite(tensor).all()) for tensor in tensors.values()):
        raise InvalidValueError(f"weights {path.name}: hold NaN or infinite values")
    return network.eval(), configuration, notes
