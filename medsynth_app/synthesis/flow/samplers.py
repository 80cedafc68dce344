"""From noise to a code: three samplers of one network, by name.

The network predicts the velocity v = e - x of the straight path x_t = (1 - t) x + t e from picture to noise
(rectified flow, Liu 2022), so x = x_t - t v and e = x_t + (1 - t) v.

Denoising diffusion (Ho 2020) uses y_n = sqrt(a_n) x + sqrt(1 - a_n) e. Dividing by sqrt(a_n) + sqrt(1 - a_n) gives
a point of the straight path at t = sqrt(1 - a_n) / (sqrt(a_n) + sqrt(1 - a_n)): the same network serves both, exactly.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from medsynth_app.errors import InvalidValueError

Velocity = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""(codes (N, ...), times (N,) in 0..1) -> velocity."""
Progress = Callable[[float], None]

DDPM_STEPS = 1000
FIRST_BETA, LAST_BETA = 1e-4, 0.02
"""Linear schedule of Ho 2020."""


@dataclass(frozen=True)
class Scheduler:
    """One way from noise to a code.

    Attributes:
        description: one sentence.
        steps: by default.
        fewest / most: steps that are allowed.
        sample: (velocity, noise, steps, chance, progress) -> code.
    """

    description: str
    steps: int
    fewest: int
    most: int
    sample: Callable[[Velocity, torch.Tensor, int, torch.Generator, Progress], torch.Tensor]

    def checked(self, name: str, steps: int) -> int:
        """Steps to take; 0 = by default.

        Raises:
            InvalidValueError: fewer or more than this sampler is right with.
        """
        if steps == 0:
            return self.steps
        if not self.fewest <= steps <= self.most:
            allowed = str(self.fewest) if self.fewest == self.most else f"from {self.fewest} to {self.most}"
            raise InvalidValueError(
                f"steps: {steps} is not possible with scheduler {name}, which takes {allowed}"
            )
        return steps


def flow(
    velocity: Velocity, noise: torch.Tensor, steps: int, chance: torch.Generator, progress: Progress
) -> torch.Tensor:
    """dx/dt = v from t = 1 to 0 by Heun's method; the last step, where the path is straight, by Euler's."""
    code = noise
    times = torch.linspace(1.0, 0.0, steps + 1)
    for number, (now, then) in enumerate(zip(times[:-1].tolist(), times[1:].tolist())):
        first = velocity(code, _times(now, code))
        moved = code + (then - now) * first
        if then > 0:
            moved = code + (then - now) * 0.5 * (first + velocity(moved, _times(then, code)))
        code = moved
        progress((number + 1) / steps)
    return code


def ddim(
    velocity: Velocity, noise: torch.Tensor, steps: int, chance: torch.Generator, progress: Progress
) -> torch.Tensor:
    """Deterministic denoising in few steps (Song 2021, eta = 0), the steps evenly spaced along the straight path."""
    kept = _kept()
    numbers = _spaced(kept, steps)
    code = noise
    for index, number in enumerate(numbers):
        picture, error = _picture_and_noise(velocity, code, kept[number])
        after = kept[numbers[index + 1]] if index + 1 < len(numbers) else torch.tensor(1.0)
        code = after.sqrt() * picture + (1.0 - after).sqrt() * error
        progress((index + 1) / len(numbers))
    return code


def ddpm(
    velocity: Velocity, noise: torch.Tensor, steps: int, chance: torch.Generator, progress: Progress
) -> torch.Tensor:
    """Ancestral sampling (Ho 2020, equation 7) in all steps of the schedule: with fewer it would be wrong."""
    kept, betas = _kept(), _betas()
    code = noise
    for number in reversed(range(steps)):
        picture, _ = _picture_and_noise(velocity, code, kept[number])
        before = kept[number - 1] if number else torch.tensor(1.0)
        alpha = 1.0 - betas[number]
        mean = (before.sqrt() * betas[number] * picture + alpha.sqrt() * (1.0 - before) * code) / (
            1.0 - kept[number]
        )
        if number:
            spread = (betas[number] * (1.0 - before) / (1.0 - kept[number])).sqrt()
            mean = mean + spread * torch.randn(code.shape, generator=chance).to(code.device)
        code = mean
        progress((steps - number) / steps)
    return code


SCHEDULERS = {
    "rflow": Scheduler("rectified flow, Heun's method", 20, 1, 200, flow),
    "ddim": Scheduler("denoising diffusion, deterministic", 50, 5, DDPM_STEPS, ddim),
    "ddpm": Scheduler("denoising diffusion, every step", DDPM_STEPS, DDPM_STEPS, DDPM_STEPS, ddpm),
}


def _picture_and_noise(
    velocity: Velocity, code: torch.Tensor, kept: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """x and e of y = sqrt(a) x + sqrt(1 - a) e, through the straight path."""
    signal, spread = kept.sqrt(), (1.0 - kept).sqrt()
    time = float(spread / (signal + spread))
    point = code / (signal + spread)
    speed = velocity(point, _times(time, code))
    return point - time * speed, point + (1.0 - time) * speed


def _spaced(kept: torch.Tensor, steps: int) -> list[int]:
    """Numbers of the schedule, descending, whose points on the straight path lie evenly."""
    path = (1.0 - kept).sqrt() / (kept.sqrt() + (1.0 - kept).sqrt())
    wanted = torch.linspace(float(path[-1]), float(path[0]), steps)
    numbers = (path[None] - wanted[:, None]).abs().argmin(dim=1).tolist()
    return list(dict.fromkeys(numbers))


def _betas() -> torch.Tensor:
    return torch.linspace(FIRST_BETA, LAST_BETA, DDPM_STEPS, dtype=torch.float64).float()


def _kept() -> torch.Tensor:
    """a_n: the product of 1 - beta."""
    return torch.cumprod(1.0 - _betas().double(), dim=0).float()


def _times(time: float, like: torch.Tensor) -> torch.Tensor:
    return torch.full((len(like),), time, device=like.device)
