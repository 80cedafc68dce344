"""Every loss by name: near zero for the right answer, larger for worse ones, and it can be learned from."""

from __future__ import annotations

import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.segmentation.training.losses import CORE_OF_UNKNOWN_KIND, LOSSES, build_loss

NAMES = ("dice", "focal", "dice_focal", "dice_ce", "region_dice_ce")


def labels(batch: int = 2) -> torch.Tensor:
    """Labels (N, 8, 8, 8) with all four values in every sample."""
    result = torch.zeros((batch, 8, 8, 8), dtype=torch.int64)
    result[:, 2:7, 2:7, 2:7] = 2
    result[:, 3:6, 3:6, 3:6] = 3
    result[:, 4, 4, 4] = 1
    return result


def logits_for(wanted: torch.Tensor, sureness: float) -> torch.Tensor:
    """Logits (N, 4, X, Y, Z) that say ``wanted`` with that margin."""
    return torch.nn.functional.one_hot(wanted, 4).movedim(-1, 1).float() * sureness


def test_all_names_are_known() -> None:
    assert set(LOSSES) == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_the_right_answer_costs_nothing_and_worse_ones_more(name: str) -> None:
    loss, wanted = build_loss(name), labels()
    wrong = torch.where(wanted == 3, 1, wanted)
    costs = [
        float(loss(logits_for(wanted, 30.0), wanted)),
        float(loss(logits_for(wanted, 3.0), wanted)),
        float(loss(torch.zeros((2, 4, 8, 8, 8)), wanted)),
        float(loss(logits_for((wanted + 1) % 4, 30.0), wanted)),
    ]
    assert costs[0] == pytest.approx(0, abs=1e-3)
    assert costs == sorted(costs)
    assert float(loss(logits_for(wrong, 30.0), wanted)) > costs[0] + 0.1


@pytest.mark.parametrize("name", NAMES)
def test_a_few_steps_downhill_find_the_labels(name: str) -> None:
    loss, wanted = build_loss(name), labels(1)
    logits = torch.zeros((1, 4, 8, 8, 8), requires_grad=True)
    optimizer = torch.optim.Adam([logits], lr=0.5)
    for _ in range(25):
        optimizer.zero_grad()
        loss(logits, wanted).backward()
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()
        optimizer.step()
    assert (logits.argmax(dim=1) == wanted).float().mean() > 0.99


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [0, 2])
def test_patches_without_a_tumour_give_finite_losses(name: str, value: int) -> None:
    wanted = torch.full((1, 8, 8, 8), value)
    logits = torch.randn((1, 4, 8, 8, 8), generator=torch.Generator().manual_seed(0)).requires_grad_()
    result = build_loss(name)(logits, wanted)
    result.backward()
    assert torch.isfinite(result)
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", NAMES)
def test_half_precision_logits_are_summed_in_full(name: str) -> None:
    wanted = labels()
    logits = torch.randn((2, 4, 8, 8, 8), generator=torch.Generator().manual_seed(1)).bfloat16()
    result = build_loss(name)(logits, wanted)
    assert result.dtype == torch.float32
    assert float(result) == float(build_loss(name)(logits.float(), wanted))


def test_region_loss_by_hand() -> None:
    # Two voxels, undecided between all four classes, of which one is enhancing tumour and one is background.
    wanted = torch.tensor([0, 3]).reshape(1, 2, 1, 1)
    found = float(build_loss("region_dice_ce")(torch.zeros((1, 4, 2, 1, 1)), wanted))
    cross_entropy = torch.log(torch.tensor(4.0))
    dice = [2 * 0.75 / (1.5 + 1), 2 * 0.5 / (1 + 1), 2 * 0.25 / (0.5 + 1)]
    assert found == pytest.approx(float(cross_entropy) + 1 - sum(dice) / 3, abs=1e-4)


def test_region_loss_forgives_what_keeps_the_regions() -> None:
    loss, wanted = build_loss("region_dice_ce"), labels()
    as_edema = torch.where(wanted == 1, 2, wanted)  # leaves WT as it is, changes TC
    as_background = torch.where(wanted == 1, 0, wanted)  # changes WT and TC
    assert loss(logits_for(as_edema, 8.0), wanted) < loss(logits_for(as_background, 8.0), wanted)


def test_an_unknown_loss_lists_the_known_ones() -> None:
    with pytest.raises(InvalidValueError, match="loss: unknown name 'tversky', known: dice, focal"):
        build_loss("tversky")


@pytest.mark.parametrize("name", NAMES)
def test_core_of_unknown_kind_is_taken_by_every_loss(name: str) -> None:
    wanted = labels()
    wanted[(wanted == 1) | (wanted == 3)] = CORE_OF_UNKNOWN_KIND
    assert torch.isfinite(build_loss(name)(torch.zeros((*wanted.shape[:1], 4, *wanted.shape[1:])), wanted))


def test_either_kind_is_right_where_it_is_unknown() -> None:
    loss = build_loss("region_dice_ce")
    unknown = torch.full((1, 4, 4, 4), CORE_OF_UNKNOWN_KIND)
    necrotic, enhancing, edema = (loss(logits_for(torch.full_like(unknown, k), 20.0), unknown) for k in (1, 3, 2))
    assert float(necrotic) == pytest.approx(float(enhancing), abs=1e-4)
    assert float(edema) > float(necrotic) + 1
