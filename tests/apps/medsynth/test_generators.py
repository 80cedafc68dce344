"""Every generator of tumour cases and volumes over REST, by MONAI Label's own client, with ``image=_``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813 - the package's own abbreviation
from monailabel.client import MONAILabelClient
from monailabel.client.client import MONAILabelClientException

from medsynth_app.imaging.provenance.marking import is_marked_synthetic, read_mark
from medsynth_app.options import parse_options
from medsynth_app.synthesis.catalogue import CATALOGUE, TrainingRequest

TUMOR, VOLUME = "tumor_case_synthesis", "volume_synthesis"
NODULE = {"volume_type": "ct_chest", "pathology": "nodule", "lesion_size_mm": 40, "spacing_mm": "8,8,8"}


@dataclass(frozen=True)
class Row:
    """How one generator is asked.

    Attributes:
        base: small and quick.
        spacing_mm: voxel size that ``base`` gives.
        changes: condition -> what is sent instead; a pair where the condition needs another base.
    """

    base: dict[str, Any]
    spacing_mm: float
    changes: dict[str, Any] = field(default_factory=dict)


GROWTH = {
    "site": {"site": "parietal"}, "side": {"side": "left"}, "seed_point_mm": {"seed_point_mm": [-140, 110, 80]},
    "volume_ml": {"volume_ml": 70}, "grade": {"grade": 2}, "enhancing_fraction": {"enhancing_fraction": 0.2},
    "necrotic_fraction": {"necrotic_fraction": 0.1}, "edema_extent": {"edema_extent": 0.3},
    "mass_effect": {"mass_effect": 0.1}, "spacing_mm": {"spacing_mm": 2.8},
}  # fmt: skip
PHYSICS = {
    "contrast_agent": {"contrast_agent": False}, "contrast_uptake": {"contrast_uptake": 0.3},
    "edema_density": {"edema_density": 0.4}, "tissue_variation": {"tissue_variation": 2.5},
    "field_strength_t": {"field_strength_t": 1.5}, "sequences": {"sequences": {"t2": {"echo_time_ms": 60}}},
    "bias_field": {"bias_field": 0.4}, "noise": {"noise": 0.1}, "slice_thickness_mm": {"slice_thickness_mm": 7},
    "in_plane_resolution_mm": {"in_plane_resolution_mm": 4},
}  # fmt: skip
ROWS: dict[tuple[str, str], Row] = {
    (TUMOR, "growth_model"): Row({"spacing_mm": 3, "volume_ml": 40}, 3.0, {**GROWTH, **PHYSICS}),
    (TUMOR, "learned"): Row({"spacing_mm": 3, "volume_ml": 40, "steps": 1}, 3.0, {**GROWTH, "steps": {"steps": 2}}),
    (VOLUME, "phantom"): Row(NODULE, 8.0, {
        "volume_type": {"volume_type": "ct_head", "pathology": "none", "lesion_size_mm": 0},
        "pathology": {"pathology": "emphysema", "lesion_size_mm": 0},
        "severity": ({"pathology": "emphysema", "lesion_size_mm": 0}, {"severity": 1.0}),
        "lesion_position_mm": ({"lesion_position_mm": [-70, 0, 20]}, {"lesion_position_mm": [70, 0, -20]}),
        "lesion_size_mm": {"lesion_size_mm": 20},
        "age": {"age": 90},
        "sex": {"sex": "female"},
        "contrast_agent": {"contrast_agent": True},
        "slice_thickness_mm": {"slice_thickness_mm": 16},
        "spacing_mm": {"spacing_mm": "9,9,9"},
        "region": {"region": "upper", "pathology": "none", "lesion_size_mm": 0},
        "sequence": (
            {"volume_type": "mri_brain", "pathology": "none", "lesion_size_mm": 0, "sequence": "t1"}, {"sequence": "t2"}
        ),
    }),
    (VOLUME, "vae_gan"): Row({"volume_type": "mri_heart", "sequence": "t1"}, 0.0, {
        "variety": {"variety": 2.0}, "sequence": {"sequence": "t2"},
    }),
    (VOLUME, "diffusion"): Row({"volume_type": "mri_heart", "steps": 1, "sequence": "t1"}, 0.0, {
        "steps": {"steps": 2}, "sequence": {"sequence": "t2"}, "grain": {"grain": 1.0},
    }),
}  # fmt: skip
NAMES = [f"{task}.{generator}" for task, generator in ROWS]


@pytest.fixture(scope="module")
def server(start_server: Any, tmp_path_factory: pytest.TempPathFactory, build: Any) -> Iterator[Any]:
    """A server whose learned generators have weights of a few updates."""
    root = tmp_path_factory.mktemp("generators")
    served = start_server(root, use_shipped_weights="false")
    train(build, root, served.model_folder / "synthesis")
    with served.process:
        yield served


def train(build: Any, root: Path, into: Path) -> None:
    """Weights that were hardly trained: what is tested is how they are asked."""
    for number in range(4):
        build.case(root / "labelled", f"case_{number}", with_tissues(build.head(seed=number)), with_label=True)
        for name, image in zip(("flair", "t1", "t1ce", "t2"), build.head(seed=number).sequences):
            build.nifti(root / "hearts" / f"heart_{number}_{name}.nii.gz", image, np.eye(4))
    tiny = {"resolution": 16, "channels": "8,16", "steps": 1, "batch_size": 1, "perceptual": 0, "flow_channels": "16",
            "volume_type": "mri_heart"}  # fmt: skip
    tumor = {"steps": 1, "batch_size": 1, "patch_side": 16, "channels": "16", "validation": "case_3"}
    for task, data, options in (
        (TUMOR, "labelled", tumor),
        (VOLUME, "hearts", {**tiny, "stage": "vae"}),
        (VOLUME, "hearts", {**tiny, "stage": "diffusion", "steps": 12, "learning_rate": 0.02}),
    ):
        trainer = CATALOGUE.trainer(task)
        parsed = parse_options(trainer.options, options)[0]
        asked = TrainingRequest(root / data, root / f"run-{task}", parsed, into, "cpu")
        trainer.train(asked, lambda progress: None)


def with_tissues(head: Any) -> Any:
    """The head with white matter, grey matter and fluid in its healthy part, in place."""
    healthy = (head.sequences[0] > 0) & (head.labels == 0)
    x, y, _ = np.indices(healthy.shape)
    fluid = (np.abs(x - 12) < 5) & (np.abs(y - 20) < 8)
    for channel, white, grey, water in zip(
        head.sequences, (300, 500, 500, 250), (360, 400, 410, 350), (80, 150, 150, 900)
    ):
        channel[healthy] = np.where(fluid, water, np.where(x % 12 < 6, white, grey))[healthy]
    return head


KNOWN: dict[str, tuple[Path, dict[str, Any]]] = {}


def known(server: Any, key: tuple[str, str], **params: Any) -> tuple[Path, dict[str, Any]]:
    """``ask``, once for each request: the same base is compared with many changes."""
    name = json.dumps([key, params], sort_keys=True)
    if name not in KNOWN:
        KNOWN[name] = ask(server, key, **params)
    return KNOWN[name]


def ask(server: Any, key: tuple[str, str], seed: int = 5, **params: Any) -> tuple[Path, dict[str, Any]]:
    """File and params of one request by MONAI Label's own client."""
    client = MONAILabelClient(server.url, tmpdir=str(server.temporary))
    task, generator = key
    file, facts = client.infer(task, "_", {"generator": generator, "seed": seed, **params})
    return Path(file), facts


def voxels(path: Path) -> np.ndarray:
    image: Any = nib.load(path)
    return np.asarray(image.dataobj)


def test_the_table_holds_every_generator_and_every_condition(server: Any) -> None:
    listed = server.get("/medsynth/api/synthesis").json()["generators"]
    ours = {(row["task"], row["generator"]): row for row in listed if row["task"] in (TUMOR, VOLUME)}
    assert set(ours) == set(ROWS)
    for key, row in ours.items():
        names = {condition["name"] for condition in row["conditions"]}
        learned_volume = key[1] in ("vae_gan", "diffusion")
        # ``host`` names a case of the studies: tests/medsynth_app/synthesis/tumor/host.
        assert set(ROWS[key].changes) == names - {"host"} - ({"volume_type"} if learned_volume else set()), key


@pytest.mark.parametrize("key", ROWS, ids=NAMES)
def test_same_seed_same_bytes_other_seed_other_image(server: Any, key: tuple[str, str]) -> None:
    base = ROWS[key].base
    (first, facts), (again, _) = known(server, key, **base), ask(server, key, **base)
    other, _ = ask(server, key, 6, **base)
    assert first.read_bytes() == again.read_bytes()
    assert (voxels(first) != voxels(other)).any()
    assert facts["seed"] == 5
    assert facts["synthetic"]["generator"].startswith(key[0])
    image: Any = nib.load(first)
    mark = read_mark(image)
    assert mark is not None
    assert mark["seed"] == 5
    if ROWS[key].spacing_mm:
        assert image.header.get_zooms()[:3] == pytest.approx([ROWS[key].spacing_mm] * 3)


@pytest.mark.parametrize(
    ("key", "name"), [(key, name) for key, row in ROWS.items() for name in row.changes],
    ids=lambda value: ".".join(value) if isinstance(value, tuple) else value,
)  # fmt: skip
def test_every_condition_is_accepted_and_effective(server: Any, key: tuple[str, str], name: str) -> None:
    change = ROWS[key].changes[name]
    before, after = change if isinstance(change, tuple) else ({}, change)
    base = {**ROWS[key].base, **before}
    first, _ = known(server, key, **base)
    second, facts = ask(server, key, **{**base, **after})
    assert name in facts["conditions"]
    one, two = voxels(first), voxels(second)
    assert one.shape != two.shape or np.abs(one.astype(float) - two.astype(float)).mean() > 0


@pytest.mark.parametrize("key", ROWS, ids=NAMES)
def test_saved_it_is_listed_opens_everywhere_and_stays_marked(
    server: Any, key: tuple[str, str], tmp_path: Path
) -> None:
    allow = {"allow_flagged": True} if key[1] not in ("growth_model", "phantom") else {}
    _, facts = ask(server, key, save=True, **allow, **ROWS[key].base)
    name = facts["image"]
    assert name in server.get("/datastore/?output=all").json()["objects"]
    answer = server.get(f"/datastore/image?image={name}")
    path = tmp_path / "image.nii.gz"
    path.write_bytes(answer.content)
    by_nibabel: Any = nib.load(path)
    by_sitk = sitk.ReadImage(str(path))
    assert by_nibabel.ndim == by_sitk.GetDimension() == 3
    assert by_sitk.GetSpacing() == pytest.approx([float(v) for v in by_nibabel.header.get_zooms()[:3]])
    if ROWS[key].spacing_mm:
        assert by_sitk.GetSpacing() == pytest.approx([ROWS[key].spacing_mm] * 3)
    sitk.WriteImage(by_sitk, str(tmp_path / "again.nii.gz"))
    assert is_marked_synthetic(tmp_path / "again.nii.gz"), "the mark survives ITK's writer"
    if key[0] == TUMOR:
        for tag in ("final", "drawn"):
            if tag == "drawn":  # an annotator's label of a generated case is one of a generated case too
                assert server.put_label(name, tmp_path / "label.nii.gz", tag=tag).status_code == 200
            (tmp_path / "label.nii.gz").write_bytes(server.get(f"/datastore/label?label={name}&tag={tag}").content)
            label: Any = nib.load(tmp_path / "label.nii.gz")
            assert read_mark(label) == read_mark(by_nibabel)
            nib.save(nib.Nifti1Image(np.asarray(label.dataobj), label.affine), tmp_path / "label.nii.gz")


@pytest.mark.parametrize(
    ("task", "params", "complaint"),
    [
        (TUMOR, {"volume_ml": 0}, "volume_ml: 0 must be a number between 0.5 and 350"),
        (TUMOR, {"volume_ml": 2000}, "volume_ml: 2000 must be a number between 0.5 and 350"),
        (TUMOR, {"spacing_mm": 0}, "spacing_mm: 0 must be a number between 1 and 3"),
        (TUMOR, {"seed": "seven"}, "seed: 'seven' must be a whole number"),
        (TUMOR, {"seed": 1.5}, "seed: 1.5 must be a whole number"),
        (TUMOR, {"seed": True}, "seed: True must be a whole number"),
        (TUMOR, {"seed": -1}, "seed: -1 must be between"),
        (TUMOR, {"colour": 1}, "colour: is no condition of this generator"),
        (TUMOR, {"generator": "magic"}, "generator: 'magic' must be one of growth_model, learned"),
        (TUMOR, {"generator": "learned", "noise": 0.1}, "noise: learned images follow their training cases"),
        (TUMOR, {"generator": "learned", "steps": 0}, "steps: 0 must be between 1 and 50"),
        (VOLUME, {"volume_type": "mri_knee"}, "volume_type: 'mri_knee' must be one of ct_chest"),
        (VOLUME, {"volume_type": "ct_head", "pathology": "nodule"}, "pathology: 'nodule' is impossible in ct_head"),
        (VOLUME, {"spacing_mm": "0,0,0"}, "spacing_mm: 0 must be between"),
        (VOLUME, {"spacing_mm": "1,1"}, "spacing_mm: '1,1' must be 3 numbers"),
        (VOLUME, {"severity": 2}, "severity: 2"),
        (VOLUME, {"generator": "vae_gan", "volume_type": "ct_chest"}, "vae_gan of ct_chest has no weights"),
    ],
)
def test_bad_requests_get_the_contracts_error(server: Any, task: str, params: dict[str, Any], complaint: str) -> None:
    answer = server.request("POST", f"/infer/{task}", params={"image": "_"}, data={"params": json.dumps(params)})
    assert answer.status_code in (400, 422)
    body = answer.json()
    assert set(body) == {"detail", "code"}
    assert complaint in body["detail"]


def test_a_mask_on_a_foreign_grid_is_refused(server: Any, build: Any, tmp_path: Path) -> None:
    mask = build.nifti(tmp_path / "mask.nii.gz", np.ones((20, 20, 20), np.uint8), np.eye(4))
    client = MONAILabelClient(server.url, tmpdir=str(server.temporary))
    with pytest.raises(MONAILabelClientException, match="label: its grid .* is foreign"):
        client.infer(TUMOR, "_", {"spacing_mm": 3}, label_in=str(mask))


@pytest.mark.parametrize("generator", ["growth_model", "learned"])
def test_a_mask_comes_back_as_images(server: Any, tmp_path: Path, generator: str) -> None:
    key = (TUMOR, generator)
    base = ROWS[key].base
    file, _ = ask(server, key, **base, result="label")
    client = MONAILabelClient(server.url, tmpdir=str(server.temporary))
    image, facts = client.infer(TUMOR, "_", {"generator": generator, "seed": 8, **base}, label_in=str(file))
    assert facts["conditions"]["label"] == "drawn"
    drawn_ml = float((voxels(file) == 2).sum()) * 27 / 1000
    assert 0.95 * drawn_ml < facts["volumes_ml"]["edema"] <= drawn_ml + 0.01, "cut only at another person's brain"
    assert voxels(Path(image)).shape[3] == 4
