"""What was fitted for weights: read from their notes, carried by the network, the same at every door."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.current_network import CurrentNetwork
from medsynth_app.segmentation.fitted import Fitted, fitted_of
from medsynth_app.segmentation.inference import (
    FOUR_SEQUENCES,
    InferenceConfiguration,
    predict_labels,
    predict_probabilities,
    segment,
)
from medsynth_app.segmentation.network import NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import load_weights, save_weights
from medsynth_app.segmentation.whole_study.study_segmentation import class_probabilities

WHOLE = InferenceConfiguration(precision="fp32", whole_brain=True)


@pytest.mark.parametrize(
    ("notes", "temperature", "offset"),
    [({}, 1.0, 0.0), ({"temperature": 2, "core_offset": 1.5}, 2.0, 1.5), ({"temperature": "x"}, 1.0, 0.0)],
)
def test_what_was_fitted_for_weights_is_taken(notes: dict[str, object], temperature: float, offset: float) -> None:
    assert Fitted.of_notes(notes, FOUR_SEQUENCES) == Fitted(temperature, offset, t1ce=2)
    assert Fitted.of_notes(notes, ("flair",)).t1ce is None


def test_less_core_is_called_only_where_t1ce_is_there() -> None:
    logits, image, fitted = torch.zeros(4, 2, 2, 2), torch.ones(4, 8, 8, 8), Fitted(core_offset=1.5, t1ce=2)
    assert fitted.less_core(logits, image)[:, 0, 0, 0].tolist() == [0, -1.5, 0, 0]
    assert not logits.any(), "what came in is left alone"
    image[2] = 0
    assert fitted.less_core(logits, image) is logits
    assert Fitted(core_offset=1.5).less_core(logits, image[:1]) is logits


@pytest.mark.parametrize("value", [0.0, -1.0, 21.0, float("nan")])
def test_impossible_temperature_is_refused(value: float) -> None:
    with pytest.raises(InvalidValueError, match="temperature"):
        Fitted(temperature=value)


def test_it_comes_with_the_weights_file(tmp_path: Path) -> None:
    path, configuration = tmp_path / "w.safetensors", NetworkConfiguration("unet", width=2)
    assert fitted_of(build_network(configuration)) == Fitted()
    save_weights(build_network(configuration), configuration, path, {"temperature": 2.0, "core_offset": 1.5})
    for network in (load_weights(path)[0], CurrentNetwork([path], "cpu").get()[0]):
        assert fitted_of(network) == Fitted(2.0, 1.5, t1ce=2)


@pytest.mark.parametrize("notes", ["5", '{"core_offset": 99}', '{"temperature": NaN}'])
def test_notes_that_cannot_be_are_refused_by_name(tmp_path: Path, notes: str) -> None:
    path, configuration = tmp_path / "w.safetensors", NetworkConfiguration("unet", width=2)
    save_weights(build_network(configuration), configuration, path)
    with safe_open(str(path), "pt") as file:
        metadata = {**file.metadata(), "notes": notes}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
    save_file(tensors, path, metadata)
    with pytest.raises(InvalidValueError, match="weights w.safetensors|core_offset: 99|temperature: nan"):
        load_weights(path)


class CoreEverywhere(nn.Module):
    """Core beats oedema by one."""

    def __init__(self) -> None:
        super().__init__()
        self.on_a_device = nn.Parameter(torch.zeros(1))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        logits = torch.zeros(image.shape[0], 4, *image.shape[2:])
        logits[:, 1], logits[:, 2] = 2.0, 1.0
        return logits


def test_every_way_to_ask_the_network_takes_it(head: Any) -> None:
    network = CoreEverywhere()
    network.fitted = Fitted(core_offset=1.5, t1ce=2)  # type: ignore[assignment]
    image = torch.ones(4, 32, 32, 32)
    assert np.unique(predict_labels(image, network, WHOLE)[0]).tolist() == [2]
    assert int(predict_probabilities(image, network, WHOLE)[:, 16, 16, 16].argmax()) == 2
    assert 1 not in np.unique(segment(head.volume, network, WHOLE).labels)
    found = class_probabilities(head.volume, network, WHOLE, FOUR_SEQUENCES).probabilities
    assert int(found.mean(axis=(1, 2, 3)).argmax()) == 2
