"""A classifier of what images show, learned in seconds: logistic regression on frozen features of photographs.

It judges whether synthetic images show what was asked for (trained on real ones), and how much they teach (trained
on synthetic ones, measured on real ones). It is a measure, not a diagnosis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional

from medsynth_app.errors import InvalidValueError

PENALTY = 3e-2
MOST_ITERATIONS = 200
SMALLEST_SPREAD = 1e-4


@dataclass(frozen=True)
class LinearHead:
    """Multinomial logistic regression on standardised features.

    Attributes:
        center, spread: (D,) mean and standard deviation of the training features.
        weight: (K, D).
        bias: (K,).
    """

    center: torch.Tensor
    spread: torch.Tensor
    weight: torch.Tensor
    bias: torch.Tensor

    def probabilities(self, features: torch.Tensor) -> torch.Tensor:
        """(N, K) of features (N, D)."""
        standardised = (features - self.center) / self.spread
        return torch.softmax(functional.linear(standardised, self.weight, self.bias), dim=1)


def fit_linear_head(
    features: torch.Tensor, labels: torch.Tensor, classes: int, penalty: float = PENALTY
) -> LinearHead:
    """The regression, all classes weighted alike, by L-BFGS: the one best answer, no learning rate, no chance.

    Args:
        features: (N, D).
        labels: (N,) class numbers, 0 to ``classes`` - 1.
        classes: K.
        penalty: weight of the squared weights.

    Raises:
        InvalidValueError: a class without images.
    """
    counts = torch.bincount(labels, minlength=classes)
    if bool((counts == 0).any()) or classes < 2:
        raise InvalidValueError(f"labels: each of at least 2 classes needs images, have {counts.tolist()}")
    center, spread = features.mean(dim=0), features.std(dim=0).clamp_min(SMALLEST_SPREAD)
    values = (features - center) / spread
    weight = torch.zeros(classes, features.shape[1], requires_grad=True)
    bias = torch.zeros(classes, requires_grad=True)
    balance = len(labels) / (classes * counts.float())
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = functional.cross_entropy(functional.linear(values, weight, bias), labels, reduction="none")
        total = (each * balance[labels]).mean() + penalty * weight.square().sum()
        total.backward()  # type: ignore[no-untyped-call]
        return total

    optimizer.step(loss)  # type: ignore[no-untyped-call, arg-type]
    return LinearHead(center, spread, weight.detach(), bias.detach())


@dataclass(frozen=True)
class PathologyClassifier:
    """A head with the names of its classes.

    Attributes:
        names: of the classes, in order.
        head: see there.
    """

    names: tuple[str, ...]
    head: LinearHead

    @classmethod
    def of(
        cls, features: torch.Tensor, pathologies: Sequence[str], penalty: float = PENALTY
    ) -> PathologyClassifier:
        """Learn from features (N, D) and the names of what the images show.

        Raises:
            InvalidValueError: fewer than two different names.
        """
        names = tuple(sorted(set(pathologies)))
        if len(names) < 2:
            raise InvalidValueError(
                f"pathology: at least two are needed to tell apart, have {', '.join(names)}"
            )
        labels = torch.tensor([names.index(name) for name in pathologies])
        return cls(names, fit_linear_head(features, labels, len(names), penalty))

    def found(self, features: torch.Tensor) -> list[str]:
        """The likeliest name of each image."""
        best = self.head.probabilities(features).argmax(dim=1)
        return [self.names[int(number)] for number in best]

    def scores(self, features: torch.Tensor, name: str) -> np.ndarray:
        """(N,) probability of one name."""
        return self.head.probabilities(features)[:, self.names.index(name)].numpy()
