"""A weights file is complete by itself, appears whole or not at all, and is never trusted blindly."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from medsynth_app.errors import InvalidValueError, UnsupportedKindError
from medsynth_app.segmentation.network import NETWORKS, NetworkConfiguration, build_network
from medsynth_app.segmentation.weights import load_weights, save_weights

SMALL = NetworkConfiguration("unet", ("flair", "t1ce", "t2"), width=2)


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "weights.safetensors"
    save_weights(build_network(SMALL), SMALL, path, {"step": 7, "validation_dice": {"WT": 0.5}})
    return path


@pytest.mark.parametrize("name", list(NETWORKS))
def test_a_network_comes_back_with_its_configuration_and_notes(tmp_path: Path, name: str) -> None:
    configuration = NetworkConfiguration(name, ("flair", "t2"), width=4, dropout=0.2)
    network = build_network(configuration).eval()
    path = tmp_path / "deep" / "folder" / "w.safetensors"
    save_weights(network, configuration, path, {"step": 7, "seconds": 1.5, "name": "p1"})
    loaded, loaded_configuration, notes = load_weights(path)
    assert loaded_configuration == configuration
    assert notes == {"step": 7, "seconds": 1.5, "name": "p1"}
    assert not loaded.training
    for (key, found), (_, stored) in zip(loaded.state_dict().items(), network.state_dict().items()):
        torch.testing.assert_close(found, stored.half().to(stored.dtype), rtol=0, atol=0, msg=key)
        assert found.dtype == stored.dtype


def test_weights_take_two_bytes_each_and_nothing_else_lies_around(stored: Path) -> None:
    tensors = load_file(stored)
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float16}
    assert [path.name for path in stored.parent.iterdir()] == ["weights.safetensors"]


def test_saving_leaves_the_network_alone() -> None:
    network = build_network(SMALL)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    dtypes = {value.dtype for value in network.state_dict().values()}
    assert dtypes == {value.dtype for value in before.values()}
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())


def test_a_failed_save_keeps_the_old_file_and_leaves_no_rest(
    stored: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = stored.read_bytes()

    def half_written(tensors: object, name: str, metadata: object) -> None:
        Path(name).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("medsynth_app.segmentation.weights.save_file", half_written)
    with pytest.raises(OSError, match="disk full"):
        save_weights(build_network(SMALL), SMALL, stored)
    assert stored.read_bytes() == before
    assert [path.name for path in stored.parent.iterdir()] == ["weights.safetensors"]


@pytest.mark.parametrize(
    "content",
    [b"", b"garbage", b"\x80\x04\x95 a pickle", b"\xff" * 64],
    ids=["empty", "text", "pickle", "bytes"],
)
def test_what_is_no_safetensors_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(
        UnsupportedKindError, match=r"^weights w\.safetensors: not a readable safetensors file$"
    ):
        load_weights(tmp_path / "w.safetensors")


def test_a_pickled_model_is_refused(tmp_path: Path) -> None:
    torch.save(build_network(SMALL).state_dict(), tmp_path / "w.pt")
    with pytest.raises(UnsupportedKindError, match=r"weights w\.pt: not a readable"):
        load_weights(tmp_path / "w.pt")


def test_a_cut_file_is_refused(stored: Path) -> None:
    stored.write_bytes(stored.read_bytes()[:-100])
    with pytest.raises(UnsupportedKindError, match="not a readable safetensors file"):
        load_weights(stored)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsupportedKindError, match="weights gone.safetensors"):
        load_weights(tmp_path / "gone.safetensors")


def record(**changes: object) -> dict[str, str]:
    network = {"name": "unet", "modalities": ["flair", "t1ce", "t2"], "width": 2, "dropout": 0.1, **changes}
    return {"network": json.dumps(network), "notes": "{}"}


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({}, "do not fit"),
        ({"network": "not json", "notes": "{}"}, "do not fit"),
        ({"network": "[1, 2]", "notes": "{}"}, "do not fit"),
        ({"network": "3", "notes": "{}"}, "do not fit"),
        (record(depth=3), "do not fit"),
        (record(width="wide"), "do not fit"),
        (record(modalities=None), "do not fit"),
        (record(width=4), "do not fit"),
        (record(modalities=["flair"]), "do not fit"),
        (record(name="segresnet"), "do not fit"),
        (record(name="vnet"), "unknown name 'vnet'"),
        ({**record(), "notes": "not json"}, "do not fit"),
    ],
)
def test_tensors_that_do_not_fit_their_record_are_refused(
    stored: Path, metadata: dict[str, str], message: str
) -> None:
    save_file(load_file(stored), str(stored), metadata=metadata)
    with pytest.raises(InvalidValueError, match=message):
        load_weights(stored)


@pytest.mark.parametrize("change", ["missing", "extra", "shape"])
def test_other_tensors_are_refused(stored: Path, change: str) -> None:
    tensors = load_file(stored)
    first = next(iter(tensors))
    if change == "missing":
        del tensors[first]
    elif change == "extra":
        tensors["stranger"] = torch.zeros(3)
    else:
        tensors[first] = torch.zeros(3, dtype=torch.float16)
    save_file(tensors, str(stored), metadata=record())
    with pytest.raises(InvalidValueError, match="do not fit a MedSynth segmentation network"):
        load_weights(stored)


def test_weights_that_are_no_numbers_are_refused(stored: Path) -> None:
    tensors = load_file(stored)
    tensors[next(iter(tensors))][...] = float("nan")
    save_file(tensors, str(stored), metadata=record())
    with pytest.raises(InvalidValueError, match="NaN or infinite"):
        load_weights(stored)
