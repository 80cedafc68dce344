"""A user's folder becomes weights that answer: both stages, end to end, on tiny volumes."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.provenance.marking import SyntheticMark, synthetic_nifti
from medsynth_app.options import parse_options
from medsynth_app.synthesis.catalogue import CATALOGUE
from medsynth_app.synthesis.data.volumes import Cubes, find_volumes, split, to_cube
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.measures.privacy import audit_with_store
from medsynth_app.synthesis.measures.reconstruction_losses import edge_loss, medical_squared_error
from medsynth_app.synthesis.trainers.volumes import TRAINER_OPTIONS, _codes, train_volume_synthesis
from medsynth_app.synthesis.training.loop import TrainingProgress, untold
from medsynth_app.synthesis.vae_gan import training as vae_training
from medsynth_app.synthesis.vae_gan.losses import (
    TissueModel,
    anatomical_consistency,
    divergence,
)
from medsynth_app.synthesis.vae_gan.network import VaeConfiguration, VolumeAutoencoder
from medsynth_app.synthesis.vae_gan.transforms import augmented, with_copies
from medsynth_app.synthesis.weights import WeightsStore

TINY = {"resolution": 16, "channels": "8,16", "latent_channels": 2, "flow_channels": "16", "steps": 4,
        "validate_every": 2, "adversarial_from": 2, "perceptual": 0,
        "validation": "scan_0,scan_1,scan_2"}  # fmt: skip


def brain_like(seed: int) -> np.ndarray:
    """A ball with a darker middle, (24, 28, 20)."""
    chance = np.random.default_rng(seed)
    grid = np.stack(np.meshgrid(*[np.linspace(-1, 1, n) for n in (24, 28, 20)], indexing="ij"))
    radius = np.sqrt((grid**2).sum(0)) / chance.uniform(0.85, 1.0)
    return (np.where(radius < 0.8, 600 + 200 * radius, 0) + chance.normal(0, 10, radius.shape)).clip(0).astype(np.int16)


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scans")
    for seed in range(8):
        nib.save(nib.Nifti1Image(brain_like(seed), np.diag([2.0, 2.0, 2.5, 1.0])), folder / f"scan_{seed}.nii.gz")
    made = synthetic_nifti(brain_like(9), np.eye(4), SyntheticMark("x", "1", 0))
    nib.save(made, folder / "made_up.nii.gz")
    nib.save(nib.Nifti1Image((brain_like(0) > 0).astype(np.uint8), np.eye(4)), folder / "scan_0_seg.nii.gz")
    return folder


def train(scans: Path, folder: Path, **changes: Any) -> dict[str, Any]:
    options = parse_options(TRAINER_OPTIONS, {**TINY, **changes})[0]
    return train_volume_synthesis(scans, folder, options, folder / "weights", "cpu", untold)


@pytest.fixture(scope="module")
def trained(scans: Path, tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    folder = tmp_path_factory.mktemp("run")
    figures = train(scans, folder, perceptual=0.05)
    assert figures["steps"] == 4
    assert figures["psnr"] > 3
    assert train(scans, folder, stage="diffusion")["flow"] > 0
    return WeightsStore((folder / "weights",))


def test_labels_and_synthetic_volumes_are_left_out(scans: Path) -> None:
    assert [volume.name for volume in find_volumes(scans)] == [f"scan_{i}" for i in range(8)]


def test_a_cube_keeps_the_proportions(scans: Path) -> None:
    cube, spacing = to_cube(find_volumes(scans)[0].read(), 16, "mri_brain")
    assert cube.shape == (1, 16, 16, 16)
    assert cube.min() == 0.0
    assert 0.9 < cube.max() <= 1.0
    sides = [np.ptp(axis) + 1 for axis in np.nonzero(cube[0] > 0.1)]
    assert sides[1] > sides[0], "28 voxels of 2 mm are longer than 24"
    assert 2.5 < spacing < 4.0


@pytest.mark.parametrize("generator", ["vae_gan", "diffusion"])
def test_trained_weights_answer_repeatably(trained: WeightsStore, generator: str) -> None:
    row = CATALOGUE.row("volume_synthesis", generator)
    conditions = row.conditions.parse({"volume_type": "mri_brain"})
    made = [row.build(trained).generate(GenerationRequest(seed, conditions)) for seed in (1, 1, 2)]
    assert made[0].array.shape == (1, 16, 16, 16)
    np.testing.assert_array_equal(made[0].array, made[1].array)
    assert (made[0].array != made[2].array).any()
    assert made[0].mark.weights_hash
    assert "8" not in made[0].facts["trained_on"].split()[0], "three of the eight were held out"
    found = audit_with_store(made[0].array, row.weights_of(conditions), trained)
    assert found.status in ("clear", "flagged")
    described = {kind["kind"]: kind for kind in row.described(trained)["kinds"]}
    assert described["mri_brain"]["ready"]
    assert not described["ct_chest"]["ready"]


def test_a_training_volume_itself_is_flagged(scans: Path, trained: WeightsStore) -> None:
    copy = 1000 * to_cube(find_volumes(scans)[5].read(), 16, "mri_brain")[0]
    assert audit_with_store(copy, "vae-gan-mri-brain", trained).status == "flagged"


@pytest.fixture(scope="module")
def two_sequences(tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    """Weights of heads that are bright in T2 and dark in T1."""
    folder = tmp_path_factory.mktemp("sequences")
    for seed in range(8):
        for sequence, gain in (("t1", 0.2), ("t2", 0.9)):
            head = brain_like(seed) * gain
            head[:6, :6, :6] = 1000  # what brightness is measured by
            nib.save(nib.Nifti1Image(head.astype(np.int16), np.eye(4)), folder / f"scan_{seed}_{sequence}.nii.gz")
    train(folder, folder, steps=2)
    train(folder, folder, stage="diffusion", steps=12, learning_rate=0.02, validate_every=100)
    return WeightsStore((folder / "weights",))


@pytest.mark.parametrize("generator", ["vae_gan", "diffusion"])
def test_a_sequence_is_asked_for(two_sequences: WeightsStore, generator: str) -> None:
    row = CATALOGUE.row("volume_synthesis", generator)
    made = {}
    for sequence in ("t1", "t2", ""):
        conditions = row.conditions.parse({"volume_type": "mri_brain", "sequence": sequence})
        made[sequence] = row.build(two_sequences).generate(GenerationRequest(3, conditions)).array
    assert (made["t1"] != made["t2"]).any()
    if generator == "vae_gan":
        assert made["t1"].mean() < 0.5 * made["t2"].mean()
        assert any(np.array_equal(made[""], made[name]) for name in ("t1", "t2")), "one of them, by the seed"


@pytest.mark.parametrize("generator", ["vae_gan", "diffusion"])
@pytest.mark.parametrize(("several", "told"), [(True, "know t1, t2"), (False, "one kind of image only")])
def test_a_sequence_that_the_weights_do_not_know_is_refused(
    trained: WeightsStore, two_sequences: WeightsStore, generator: str, several: bool, told: str
) -> None:
    row = CATALOGUE.row("volume_synthesis", generator)
    conditions = row.conditions.parse({"volume_type": "mri_brain", "sequence": "flair"})
    with pytest.raises(InvalidValueError, match=f"sequence: 'flair' .*{told}"):
        row.build(two_sequences if several else trained).generate(GenerationRequest(0, conditions))


def test_the_flow_learns_known_sequences_and_warped_copies_of_them() -> None:
    torch.manual_seed(0)
    vae = VolumeAutoencoder(VaeConfiguration(16, (8, 16), 2))
    array = np.random.default_rng(0).random((3, 1, 16, 16, 16), dtype=np.float32)
    vae.linear.fit(torch.from_numpy(array))
    codes = _codes(vae, Cubes(array, (1.0,) * 3, ("t1", "flair", "t2")), ("t1", "t2"), copies=2, warp=0.02)
    assert codes.array.shape == (6, 2, 4, 4, 4)
    assert codes.kinds.tolist() == [0, 1, 0, 1, 0, 1]
    assert not torch.equal(codes.array[:2], codes.array[2:4])
    assert not torch.equal(codes.array[2:4], codes.array[4:])


def test_warped_copies_stay_where_they_are() -> None:
    cubes = torch.zeros(1, 1, 16, 16, 16)
    cubes[..., 4:12, 4:12, 4:12] = 1.0
    made = with_copies(cubes, 3, 0.02, seed=0)
    assert torch.equal(made[:1], cubes)
    assert torch.equal(made, with_copies(cubes, 3, 0.02, seed=0))
    for copy in made[1:]:
        assert not torch.equal(copy, cubes[0])
        assert 2.0 * (copy * cubes[0]).sum() / (copy.sum() + cubes.sum()) > 0.9


def test_one_volume_is_enough_with_copies_and_its_draws_cannot_be_audited(scans: Path, tmp_path: Path) -> None:
    alone = tmp_path / "head"
    alone.mkdir()
    shutil.copy(scans / "scan_0.nii.gz", alone)
    changes = {"validation": "", "volume_type": "ct_head", "copies": 5, "warp": 0.02}
    with pytest.raises(InvalidValueError, match="at least 2 NIfTI"):
        train(alone, tmp_path / "run", **{**changes, "copies": 0})
    train(alone, tmp_path / "run", **changes)
    store = WeightsStore((tmp_path / "run" / "weights",))
    row = CATALOGUE.row("volume_synthesis", "vae_gan")
    request = GenerationRequest(1, row.conditions.parse({"volume_type": "ct_head"}))
    made = row.build(store).generate(request)
    assert made.facts["trained_on"] == "1 volume of head and 5 warped copies of each, 0 held out"
    assert audit_with_store(made.array, "vae-gan-ct-head", store).status == "unavailable"


def test_a_flow_of_other_sequences_than_the_autoencoders_is_refused(
    two_sequences: WeightsStore, tmp_path: Path
) -> None:
    for seed in range(4):
        nib.save(nib.Nifti1Image(brain_like(seed), np.eye(4)), tmp_path / f"scan_{seed}_flair.nii.gz")
    shutil.copytree(two_sequences.folders[0], tmp_path / "weights")
    with pytest.raises(InvalidValueError, match="holds none of the sequences that vae-gan-mri-brain"):
        train(tmp_path, tmp_path, stage="diffusion")


@pytest.mark.parametrize("generator", ["vae_gan", "diffusion"])
def test_without_weights_the_generator_says_so_and_offers_the_phantom(tmp_path: Path, generator: str) -> None:
    row = CATALOGUE.row("volume_synthesis", generator)
    request = GenerationRequest(0, row.conditions.parse({"volume_type": "mri_heart"}))
    with pytest.raises(InvalidValueError, match=f"{generator} of mri_heart has no weights .*phantom") as error:
        row.build(WeightsStore((tmp_path,))).generate(request)
    assert error.value.code == "weights_missing"


def test_diffusion_of_another_autoencoder_is_refused(scans: Path, tmp_path: Path) -> None:
    train(scans, tmp_path, steps=1)
    train(scans, tmp_path, steps=1, stage="diffusion")
    (tmp_path / "vae-mri_brain" / "last.pt").unlink()
    train(scans, tmp_path, steps=1, seed=1)
    row = CATALOGUE.row("volume_synthesis", "diffusion")
    request = GenerationRequest(0, row.conditions.parse({"volume_type": "mri_brain"}))
    with pytest.raises(InvalidValueError, match="trained with another autoencoder"):
        row.build(WeightsStore((tmp_path / "weights",))).generate(request)


def test_out_of_memory_halves_the_batch(scans: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forced where it happens in life: inside of the network, as PyTorch's CPU allocator says it."""
    passed = vae_training.VaeLearner._passed
    sizes: list[int] = []

    def tight(self: Any, part: torch.Tensor, chance: torch.Generator) -> Any:
        sizes.append(len(part))
        if len(part) > 1:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory")
        return passed(self, part, chance)

    monkeypatch.setattr(vae_training.VaeLearner, "_passed", tight)
    figures = train(scans, tmp_path, steps=1, batch_size=4)
    assert figures["part_size"] == 1
    assert sizes[:3] == [4, 2, 1]


def test_resolution_grows(scans: Path, tmp_path: Path) -> None:
    seen: list[TrainingProgress] = []
    options = parse_options(TRAINER_OPTIONS, {**TINY, "resolution": 32, "grow_until": 1, "steps": 2})[0]
    train_volume_synthesis(scans, tmp_path, options, None, "cpu", seen.append)
    assert seen[-1].step == 2


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"stage": "diffusion"}, "stage: diffusion needs vae-gan-mri-brain.safetensors of the stage vae"),
        ({"channels": "a,b"}, "channels: 'a,b' must be whole numbers"),
        ({"channels": "10,20"}, "channels: .* multiples of 8"),
        ({"resolution": 17}, "resolution: 17 must be a multiple of 4"),
        ({"validation": "nobody"}, "validation: no volume's name begins with 'nobody'"),
        ({"sequence": "flair"}, "data: .* holds 0 volumes of the sequence 'flair'"),
        ({"grow_until": 2}, "grow_until: half of the resolution 16 cannot be trained"),
    ],
)
def test_wrong_options_are_refused(scans: Path, tmp_path: Path, changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidValueError, match=complaint):
        train(scans, tmp_path, **changes)


def test_nothing_left_to_train_on(scans: Path) -> None:
    with pytest.raises(InvalidValueError, match="none is left"):
        split(find_volumes(scans), "scan", 0)


def test_losses_are_zero_for_the_same_image_and_see_what_they_should() -> None:
    real = torch.zeros(1, 1, 12, 12, 12)
    real[..., 3:9, 3:9, 3:9] = 0.6
    shifted = real.roll(1, dims=2)
    for loss in (medical_squared_error, edge_loss, lambda a, b: anatomical_consistency(a, b, TissueModel())):
        assert float(loss(real, real)) == pytest.approx(0.0, abs=1e-6)
        assert float(loss(shifted, real)) > 1e-3
    in_body, in_air = real.clone(), real.clone()
    in_body[..., 5, 5, 5] += 0.2
    in_air[..., 0, 0, 0] += 0.2
    assert medical_squared_error(in_body, real) == pytest.approx(3 * float(medical_squared_error(in_air, real)))
    assert float(divergence(torch.zeros(4), torch.ones(4))) == pytest.approx(0.0)
    assert float(divergence(torch.ones(4), torch.ones(4))) == pytest.approx(0.5)


def test_augmentation_is_repeatable_and_small() -> None:
    cube = torch.zeros(1, 1, 16, 16, 16)
    cube[..., 4:12, 4:12, 4:12] = 0.5
    made = [augmented(cube, torch.Generator().manual_seed(s)) for s in (1, 1, 2)]
    assert torch.equal(made[0], made[1])
    assert not torch.equal(made[0], made[2])
    assert float((made[0] - cube).abs().mean()) < 0.12


def test_checkpointing_changes_no_gradient() -> None:
    gradients = []
    for checkpointing in (False, True):
        torch.manual_seed(0)
        vae = VolumeAutoencoder(VaeConfiguration(16, (8, 16), 2, checkpointing))
        cube = torch.linspace(0, 1, 16**3).reshape(1, 1, 16, 16, 16).requires_grad_()
        vae.decode(vae.encode(cube)[0]).square().mean().backward()
        gradients.append(next(vae.parameters()).grad)
    torch.testing.assert_close(gradients[0], gradients[1])


def test_same_seed_same_weights_on_this_machine(scans: Path, tmp_path: Path) -> None:
    hashes = [
        [train(scans, tmp_path / name, stage=stage, mixed_precision=True)["weights_sha256"] for stage in stages]
        for name in ("once", "twice") for stages in [("vae", "diffusion")]
    ]  # fmt: skip
    assert hashes[0] == hashes[1]
