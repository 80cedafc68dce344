"""The classifier learns what is there and refuses what it cannot learn."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.synthesis.measures.pathology_classifier import PathologyClassifier, fit_linear_head
from medsynth_app.synthesis.measures.quality import area_under_curve


def _data(count: int, seed: int) -> tuple[torch.Tensor, list[str]]:
    chance = torch.Generator().manual_seed(seed)
    names = ["normal", "pneumonia", "covid-19"]
    labels = torch.arange(count) % 3
    centers = torch.tensor([[0.0, 0.0, 5.0], [3.0, 0.0, 5.0], [0.0, 3.0, 5.0]])
    return centers[labels] + torch.randn(count, 3, generator=chance), [names[i] for i in labels]


def test_learns_three_classes() -> None:
    features, names = _data(240, 0)
    classifier = PathologyClassifier.of(features, names, penalty=1e-3)
    fresh, wanted = _data(240, 1)
    found = classifier.found(fresh)
    assert sum(a == b for a, b in zip(found, wanted)) / 240 > 0.85
    labels = torch.tensor([name == "pneumonia" for name in wanted]).numpy()
    assert area_under_curve(classifier.scores(fresh, "pneumonia"), labels) > 0.95


def test_rare_classes_weigh_as_much_as_common_ones() -> None:
    chance = torch.Generator().manual_seed(0)
    features = torch.randn(400, 1, generator=chance)
    labels = (torch.arange(400) >= 380).long()
    features[labels == 1] += 2.0
    head = fit_linear_head(features, labels, 2, 1e-4)
    found = head.probabilities(features).argmax(dim=1)
    assert float((found[labels == 1] == 1).float().mean()) > 0.75


def test_one_class_is_refused() -> None:
    with pytest.raises(InvalidValueError, match="at least two"):
        PathologyClassifier.of(torch.zeros(3, 2), ["normal"] * 3)
    with pytest.raises(InvalidValueError, match=r"\[3, 0\]"):
        fit_linear_head(torch.zeros(3, 2), torch.zeros(3, dtype=torch.long), 2)
