"""A folder becomes weights: end to end on tiny pictures, going on after a stop, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.options import parse_options
from medsynth_app.synthesis.data.images import Pictures, find_pictures, read_pictures
from medsynth_app.synthesis.flow.losses import channel_weights, guided, velocity_loss
from medsynth_app.synthesis.image_diffusion.conditions import ConditionBatch, Vocabulary
from medsynth_app.synthesis.image_diffusion.training import balanced_shares
from medsynth_app.synthesis.image_diffusion.weights import DiffusionModel
from medsynth_app.synthesis.trainers.images import TRAINER_OPTIONS, train_image_synthesis
from medsynth_app.synthesis.training.loop import TrainingProgress, untold
from medsynth_app.synthesis.weights import WeightsStore

TINY = {
    "resolution": 32,
    "channels": "32,32",
    "code_channels": 6,
    "steps": 2,
    "batch_size": 4,
    "validate_every": 2,
}


def train(data: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    options = parse_options(TRAINER_OPTIONS, {**TINY, **changes})[0]
    return train_image_synthesis(data, folder, options, None, "cpu", untold)


@pytest.fixture(scope="module")
def pictures(collection: Path) -> Pictures:
    return read_pictures(find_pictures(collection)[0], 32)


def test_weights_tell_what_they_know(store: WeightsStore) -> None:
    path = store.find("image-diffusion")
    assert path is not None
    model = DiffusionModel.from_file(path)
    assert model.vocabulary.modality == ("ct", "retina")
    assert set((model.vocabulary.honoured or {})["ct"]) == {"severity", "lesion"}
    assert (model.vocabulary.honoured or {})["retina"] == ("age",)
    assert model.grey == ("ct",)
    assert list(model.habits) == ["ct/haemorrhage"]
    assert "held out by patient" in model.trained_on
    assert store.find("image-diffusion-reference") is not None


def test_a_stopped_run_goes_on_as_if_it_never_had_been(collection: Path, tmp_path: Path) -> None:
    whole = train(collection, tmp_path / "a", steps=4)
    train(collection, tmp_path / "b", steps=2)
    steps: list[int] = []

    def note(progress: TrainingProgress) -> None:
        steps.append(progress.step)

    options = parse_options(TRAINER_OPTIONS, {**TINY, "steps": 4})[0]
    train_image_synthesis(collection, tmp_path / "b", options, None, "cpu", note)
    assert steps == [3, 4]
    assert whole["steps"] == 4
    assert list((tmp_path / "b" / "image-diffusion").glob("samples-*.png"))
    with pytest.raises(InvalidValueError, match="batch_size: the run in this folder has 4, not 8"):
        train(collection, tmp_path / "b", steps=6, batch_size=8)


def test_resolution_grows(collection: Path, tmp_path: Path) -> None:
    assert train(collection, tmp_path, grow_until=1)["steps"] == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"channels": "a"}, "channels: 'a' must be whole numbers"),
        ({"channels": "20,40"}, "channels: .* multiples of 32"),
        ({"resolution": 40}, "resolution: 40 must be a multiple of 16 with 2 levels"),
        ({"modality": "mri"}, "data: .* holds 0 pictures of mri"),
        ({"validation": "mri"}, "validation: no patient's name begins with 'mri'"),
        (
            {"grow_until": 1, "channels": "32,32,32"},
            "grow_until: half of the resolution 32 cannot be trained",
        ),
        ({"code_channels": 6, "generator": "vae"}, "generator: 'vae' must be one of"),
    ],
)
def test_wrong_options_are_refused(
    collection: Path, tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        train(collection, tmp_path, **changes)


def test_rare_kinds_are_drawn_more_often_than_they_occur(pictures: Pictures) -> None:
    few = pictures.chosen(
        np.array([s.modality == "ct" or i % 8 == 1 for i, s in enumerate(pictures.sources)])
    )
    shares = balanced_shares(few)
    assert float(shares.sum()) == pytest.approx(1.0)
    retina = np.array([s.modality == "retina" for s in few.sources])
    assert retina.mean() < float(shares[torch.from_numpy(retina)].sum()) < 0.5


def test_conditions_are_dropped_and_opened(pictures: Pictures) -> None:
    batch = ConditionBatch.of_pictures(pictures, Vocabulary.of(pictures.sources), 8)
    opened = batch.opened()
    assert not opened.words["pathology"].any()
    assert torch.equal(opened.words["modality"], batch.words["modality"])
    assert all(bool(values.isnan().all()) for values in opened.numbers.values())
    assert not opened.mask_known.any()
    dropped = batch.dropped(torch.Generator().manual_seed(0))
    kept = dropped.words["modality"] > 0
    assert 0.6 < float(kept.float().mean()) < 1.0
    assert len(batch.joined(opened)) == 2 * len(batch)


def test_guidance_and_weights_of_channels() -> None:
    told, untold_ = torch.tensor([1.0]), torch.tensor([0.5])
    assert float(guided(told, untold_, 1.0)) == 1.0
    assert float(guided(told, untold_, 3.0)) == 2.0
    weights = channel_weights(torch.tensor([3.0, 1.0]))
    torch.testing.assert_close(weights, torch.tensor([1.5, 0.5]))
    codes = torch.zeros(2, 2, 4, 4)
    chance = torch.Generator().manual_seed(0)
    # x = 0, so x_t = t e, and x_t / t is the exact velocity.
    loss = velocity_loss(lambda x, t: x / t.view(-1, 1, 1, 1), codes, weights, chance)
    torch.testing.assert_close(loss, torch.zeros(2), atol=1e-9, rtol=0)


def test_same_seed_same_weights_on_this_machine(collection: Path, tmp_path: Path) -> None:
    hashes = [train(collection, tmp_path / n, mixed_precision=True)["weights_sha256"] for n in ("once", "twice")]
    assert hashes[0] == hashes[1]
