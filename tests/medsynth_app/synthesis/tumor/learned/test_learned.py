"""Learned appearance: a case taken apart and put together, a tiny training, and the manners of a generator."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from medsynth_app.errors import InvalidValueError
from medsynth_app.imaging.labels import read_submitted_label
from medsynth_app.imaging.studies.cases import find_cases
from medsynth_app.imaging.volume import Volume
from medsynth_app.options import parse_options
from medsynth_app.synthesis.generator import GenerationRequest
from medsynth_app.synthesis.tumor.learned.contrast import (
    LEAST_UPTAKE,
    LENGTH,
    MODALITIES,
    SEQUENCES,
    ContrastModel,
)
from medsynth_app.synthesis.tumor.learned.generator import (
    OF_THE_PHYSICS,
    LearnedConditions,
    LearnedTumorCaseGenerator,
)
from medsynth_app.synthesis.tumor.learned.network import TextureConfiguration, TextureNetwork
from medsynth_app.synthesis.tumor.learned.training import (
    TRAINER_OPTIONS,
    WEIGHTS_NAME,
    conditions_of,
    train_tumor_appearance,
)
from medsynth_app.synthesis.tumor.learned.transforms import (
    CLASSES,
    ObservedCase,
    block_mean,
    mean_image_of,
    take_apart,
)
from medsynth_app.synthesis.weights import WeightsStore
from medsynth_app.vocabulary import Modality

QUICK = {"steps": 4, "batch_size": 2, "patch_side": 16, "channels": "16", "validate_every": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, build: Any) -> Path:
    root = tmp_path_factory.mktemp("labelled")
    for number in range(4):
        head = build.head()
        build.write_case(root, f"case_{number}", replace(head, volume=with_tissues(head, number)))
    return root


def with_tissues(head: Any, seed: int) -> Volume:
    """The head with white matter, grey matter and fluid in its healthy part, and noise: FLAIR, T1, T1ce, T2."""
    chance = np.random.default_rng(seed)
    array = head.volume.array.copy()
    healthy = (array[0] > 0) & (head.labels == 0)
    x, y, _ = np.indices(healthy.shape)
    fluid = (np.abs(x - 15) < 5) & (np.abs(y - 25) < 8)
    for channel, white, grey, water in zip(array, (300, 500, 500, 250), (360, 400, 410, 350), (80, 150, 150, 900)):
        channel[healthy] = np.where(fluid, water, np.where(x % 12 < 6, white, grey))[healthy]
        channel[channel > 0] += chance.normal(0, 15, int((channel > 0).sum()))
    return Volume(np.maximum(array, 0), head.volume.affine)


@pytest.fixture(scope="module")
def store(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> WeightsStore:
    into = tmp_path_factory.mktemp("weights")
    options = parse_options(TRAINER_OPTIONS, {**QUICK, "validation": "case_3"})[0]
    train_tumor_appearance(folder, tmp_path_factory.mktemp("run"), options, into, "cpu")
    return WeightsStore((into,))


def make(store: WeightsStore, seed: int = 1, **conditions: Any) -> Any:
    parsed = LearnedConditions().parse({"spacing_mm": 3.0, "volume_ml": 40.0, "steps": 1, **conditions})
    return LearnedTumorCaseGenerator(store).generate(GenerationRequest(seed, parsed))


def first_case(folder: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, labels and brain of the first case."""
    files = find_cases(folder)[0]
    volume = files.read()
    assert files.label is not None
    return volume.array, read_submitted_label(files.label, volume, name="label"), (volume.array != 0).any(axis=0)


def test_parts_add_up_to_the_case(folder: Path) -> None:
    images, labels, brain = first_case(folder)
    case = take_apart("x", images, labels, brain)
    inside = case.shares.sum(axis=0) > 0.5
    np.testing.assert_allclose(case.shares.sum(axis=0)[inside], 1.0, atol=1e-3)
    assert not case.residual[:, ~inside].any()
    enhancing, (t1, t1ce) = CLASSES.index("enhancing_tumor"), (1, 2)
    assert case.means[enhancing, t1ce] > case.means[enhancing, t1] + 1.0
    fluid, t2 = CLASSES.index("fluid"), 3
    assert case.means[fluid, t2] > case.means[:2, t2].max() + 1.0
    pure = case.shares[enhancing] > 0.7
    assert case.residual[t1ce, pure].mean() == pytest.approx(
        (case.means[enhancing, t1ce] - case.mean_image[t1ce, pure]).mean(), abs=1e-3
    )


def test_values_do_not_see_the_scanners_gain(folder: Path) -> None:
    images, labels, brain = first_case(folder)
    one, other = (take_apart("x", gain * images, labels, brain) for gain in (1.0, 7.0))
    np.testing.assert_allclose(one.residual, other.residual, atol=1e-3)
    np.testing.assert_allclose(one.offsets, other.offsets, rtol=1e-4)


def test_block_mean_of_odd_sides() -> None:
    array = np.arange(3 * 2 * 2, dtype=np.float32).reshape(3, 2, 2)
    means = block_mean(array)
    assert means.shape == (2, 1, 1)
    assert means[0, 0, 0] == pytest.approx(array[:2].mean())


def observed(means: np.ndarray) -> ObservedCase:
    empty = np.zeros((1, 1, 1, 1), np.float32)
    return ObservedCase("x", empty, empty, empty, means, np.full(4, 4.0), np.full(4, 0.1))


def test_contrast_is_drawn_around_the_cases_and_fills_what_one_lacks() -> None:
    chance = np.random.default_rng(0)
    tables = [np.arange(24.0).reshape(6, 4) + chance.normal(0, 0.2, (6, 4)) for _ in range(8)]
    tables[0][5] = np.nan
    model = ContrastModel.of([observed(table) for table in tables])
    drawn = np.stack([model.draw(np.random.default_rng(seed)).means for seed in range(200)])
    np.testing.assert_allclose(drawn.mean(axis=0), np.nanmean(tables, axis=0), atol=0.1)
    assert 0.08 < drawn.std(axis=0).mean() < 0.35
    assert model.draw(np.random.default_rng(3)).grain == pytest.approx(np.full(4, 0.1), rel=0.2)
    with pytest.raises(InvalidValueError, match="none of the 3 shows enhancing_tumor"):
        ContrastModel.of([observed(np.where(np.arange(6)[:, None] == 5, np.nan, table)) for table in tables[:3]])
    with pytest.raises(InvalidValueError, match="2 are too few"):
        ContrastModel.of([observed(table) for table in tables[1:3]])


def test_the_network_sees_neighbouring_slices_and_keeps_the_shape() -> None:
    shares = torch.rand(6, 8, 12, 3)
    mean = torch.arange(3.0).expand(4, 8, 12, 3)
    told = conditions_of(mean, shares)
    assert told.shape == (3, 18, 8, 12)
    assert told[1, [0, 4, 8], 0, 0].tolist() == [1.0, 0.0, 2.0], "itself, the slice below, the slice above"
    network = TextureNetwork(TextureConfiguration((16, 32)))
    velocity = network(torch.randn(3, 4, 8, 12), torch.rand(3), told)
    assert velocity.shape == (3, 4, 8, 12)
    assert not velocity.any(), "a fresh network says nothing"
    with pytest.raises(InvalidValueError, match="multiples of 16"):
        TextureConfiguration((12,))


def test_mean_image_mixes_by_share() -> None:
    shares = np.zeros((6, 1, 1, 1), np.float32)
    shares[[0, 3], 0, 0, 0] = 0.25, 0.75
    means = np.zeros((6, 4))
    means[0], means[3] = 1.0, 3.0
    assert mean_image_of(shares, means)[:, 0, 0, 0] == pytest.approx(np.full(4, 2.5))


def test_a_stopped_training_goes_on_to_the_same_weights(folder: Path, tmp_path: Path) -> None:
    def train(into: str, steps: int) -> str:
        options = parse_options(TRAINER_OPTIONS, {**QUICK, "steps": 4, "validation": "case_3"})[0]
        stop = iter(range(steps))

        def report(progress: Any) -> None:
            if next(stop, None) is None:
                raise KeyboardInterrupt

        return str(train_tumor_appearance(folder, tmp_path / into, options, None, "cpu", report)["weights_sha256"])

    whole = train("whole", 10)
    with pytest.raises(KeyboardInterrupt):
        train("parts", 2)
    assert train("parts", 10) == whole


def test_same_seed_same_voxels_and_marked_with_its_weights(store: WeightsStore) -> None:
    first, again, other = make(store), make(store), make(store, seed=2)
    np.testing.assert_array_equal(first.array, again.array)
    assert (first.array != other.array).any()
    assert first.array.shape == (4, 80, 80, 52)
    assert ((first.array > 0).any(axis=0) | (first.label == 0)).all(), "no tumour outside of the brain"
    assert first.mark.generator == "tumor_case_synthesis.learned"
    assert first.mark.weights_hash is not None
    assert first.mark.conditions["steps"] == 1
    assert "noise" not in first.mark.conditions
    assert first.facts["volumes_ml"]["edema"] > 0


@pytest.mark.parametrize("change", [{"volume_ml": 80.0}, {"side": "left"}, {"grade": 2}, {"steps": 2}])
def test_conditions_change_the_images(store: WeightsStore, change: dict[str, Any]) -> None:
    base = make(store, side="right")
    changed = make(store, **{"side": "right", **change})
    assert (base.array != changed.array).any()


@pytest.mark.parametrize("name", OF_THE_PHYSICS)
def test_what_only_the_physics_knows_is_refused_by_name(name: str) -> None:
    with pytest.raises(InvalidValueError, match=f"{name}: learned images follow .* generator=growth_model"):
        LearnedConditions().parse({name: 0.5})


def test_without_weights_the_way_out_is_named() -> None:
    with pytest.raises(InvalidValueError, match="has no weights .*generator=growth_model"):
        make(WeightsStore(()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"validation": "nobody"}, "validation: there is no labelled case 'nobody'"),
        ({"validation": "case_0,case_1"}, "validation: leaves 2 cases"),
        ({"channels": "wide"}, "channels: 'wide' must be whole numbers"),
        ({"patch_side": 18}, "patch_side: 18 must be a multiple of 8"),
    ],
)
def test_impossible_trainings_are_refused(
    folder: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    options = parse_options(TRAINER_OPTIONS, {**QUICK, "channels": "16,16,16", **change})[0]
    with pytest.raises(InvalidValueError, match=message):
        train_tumor_appearance(folder, tmp_path, options, None, "cpu")


def test_weights_of_another_shape_are_refused(store: WeightsStore, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file  # noqa: PLC0415

    path = store.find(WEIGHTS_NAME)
    assert path is not None
    tensors = load_file(path)
    tensors.pop("scale")
    metadata = {"kind": "tumor_appearance", "configuration": '{"channels": [16], "embedding": 64}', "trained_on": ""}
    save_file(tensors, tmp_path / path.name, metadata=metadata)
    with pytest.raises(InvalidValueError, match="do not fit their configuration"):
        make(replace(store, folders=(tmp_path,)))


def test_nobody_is_drawn_whose_enhancing_tumor_does_not_enhance() -> None:
    mean = np.zeros(LENGTH)
    at = len(CLASSES) * SEQUENCES
    means = mean[:at].reshape(len(CLASSES), SEQUENCES)
    means[CLASSES.index("enhancing_tumor"), MODALITIES.index(Modality.T1CE)] = 1.0
    model = ContrastModel(mean, np.eye(LENGTH))
    for seed in range(30):
        drawn = model.draw(np.random.default_rng(seed)).means
        gained = drawn[:, MODALITIES.index(Modality.T1CE)] - drawn[:, MODALITIES.index(Modality.T1)]
        assert gained[CLASSES.index("enhancing_tumor")] - gained[CLASSES.index("necrotic_core")] >= LEAST_UPTAKE


def test_same_seed_same_weights_on_this_machine(folder: Path, tmp_path: Path) -> None:
    options = parse_options(TRAINER_OPTIONS, {**QUICK, "mixed_precision": True})[0]
    hashes = [
        train_tumor_appearance(folder, tmp_path / name, options, None, "cpu")["weights_sha256"]
        for name in ("once", "twice")
    ]
    assert hashes[0] == hashes[1]
