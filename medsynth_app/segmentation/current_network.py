"""The network that is served now: the newest published weights, loaded again when a training publishes others."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import torch
from torch import nn

from medsynth_app.errors import MedSynthError, NotFoundError
from medsynth_app.segmentation.folding import fold_batch_norm
from medsynth_app.segmentation.network import NetworkConfiguration, to_device
from medsynth_app.segmentation.weights import load_weights

logger = logging.getLogger(__name__)

SHIPPED_WEIGHTS = Path(__file__).parent / "model" / "brain_tumor_segmentation.safetensors"


class CurrentNetwork:
    """Loads the first of several weights files that exists, and again when that file changes.

    Args:
        paths: candidates, the most wanted first (published by training, then shipped).
        device: ``cuda`` where there is one by default.
    """

    def __init__(self, paths: list[Path], device: str | None = None) -> None:
        self.paths = paths
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self._lock = threading.Lock()
        self._loaded: tuple[Path, int] | None = None
        self._network: tuple[nn.Module, NetworkConfiguration, dict[str, object]] | None = None

    def path(self) -> Path | None:
        """The weights file that is served, or None."""
        return next((path for path in self.paths if path.is_file()), None)

    @property
    def loaded(self) -> tuple[Path, int] | None:
        """Which file, of which time, is in memory."""
        return self._loaded

    def get(self) -> tuple[nn.Module, NetworkConfiguration, dict[str, object]]:
        """Network in evaluation mode on the device, its configuration, the notes of its weights.

        A published file that cannot be read does not stop the service: the next candidate is served and the
        log says why.

        Raises:
            NotFoundError: no candidate can be loaded.
        """
        with self._lock:
            for path in self.paths:
                if not path.is_file():
                    continue
                key = (path, path.stat().st_mtime_ns)
                if key == self._loaded and self._network is not None:
                    return self._network
                try:
                    network, configuration, notes = load_weights(path)
                except MedSynthError as error:
                    logger.error("weights are passed over: %s", error)
                    continue
                network = to_device(fold_batch_norm(network), self.device)
                self._loaded, self._network = key, (network, configuration, notes)
                return self._network
        raise NotFoundError("model: no weights of brain_tumor_segmentation are installed", code="no_weights")
