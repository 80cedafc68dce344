"""The skin course over the protocol: MONAI Label's own client, uploads, storing, and pictures that cannot be used."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from monailabel.client import MONAILabelClient
from PIL import Image

SYNTHESIS, INVERSION, PROGRESSION = "skin_lesion_synthesis", "skin_lesion_inversion", "skin_lesion_progression"


@pytest.fixture
def client(served: Any, tmp_path: Path) -> MONAILabelClient:
    return MONAILabelClient(served.url, tmpdir=str(tmp_path), client_id="test")


def photograph(size: tuple[int, int] = (300, 225), mode: str = "RGB", kind: str = "JPEG") -> bytes:
    """A brown blotch on pink skin, as a camera would store it."""
    rows, columns = np.mgrid[: size[1], : size[0]]
    away = np.hypot((rows - size[1] / 2) / 1.2, columns - size[0] / 2) / min(size)
    share = 1 / (1 + np.exp(40 * (away - 0.25)))[..., None]
    array = share * (95, 55, 45) + (1 - share) * (222, 172, 160)
    buffer = io.BytesIO()
    Image.fromarray(array.astype(np.uint8)).convert(mode).save(buffer, kind)
    return buffer.getvalue()


def test_the_clients_upload_comes_back_as_reconstruction(client: MONAILabelClient, tmp_path: Path) -> None:
    (tmp_path / "lesion.jpg").write_bytes(photograph())
    file, facts = client.infer(INVERSION, "_", {"seed": 1}, file=str(tmp_path / "lesion.jpg"))
    assert Image.open(file).size == (128, 128)
    assert 0 < facts["squared_error"] < 0.2
    assert "not LPIPS" in facts["perceptual_backbone"]
    assert facts["memorisation"]["distance"] is not None


def test_a_walk_answers_sheet_curve_and_animation(client: MONAILabelClient, tmp_path: Path) -> None:
    (tmp_path / "lesion.png").write_bytes(photograph(kind="PNG"))
    asked = {"steps": 3, "alpha_to": 2.0, "animation": True}
    sheet, facts = client.infer(PROGRESSION, "_", asked, file=str(tmp_path / "lesion.png"))
    assert Image.open(sheet).width > 4 * 128
    assert [step["alpha"] for step in facts["steps"]] == [0.0, 1.0, 2.0]
    assert "no longitudinal truth" in facts["simulation"]
    moving = Image.open(io.BytesIO(base64.b64decode(facts["animation"].partition(",")[2])))
    assert moving.format == "GIF"
    curve, _ = client.infer(PROGRESSION, "_", {**asked, "picture": "curve"}, file=str(tmp_path / "lesion.png"))
    assert Image.open(curve).size == (800, 500)


def test_a_seed_repeats_a_lesion_to_the_byte(client: MONAILabelClient) -> None:
    contents = [Path(client.infer(SYNTHESIS, "_", {"seed": seed})[0]).read_bytes() for seed in (5, 5, 6)]
    assert contents[0] == contents[1] != contents[2]


def test_a_lesion_that_is_no_copy_is_kept_and_can_be_walked_from(served: Any, client: MONAILabelClient) -> None:
    for seed in range(10, 16):
        answer = served.request(
            "POST", f"/infer/{SYNTHESIS}", params={"image": "_", "output": "json"},
            data={"params": json.dumps({"seed": seed, "save": True})},
        )  # fmt: skip
        if answer.status_code == 200:
            break
        assert answer.json()["code"] == "memorisation_flagged"
    facts = answer.json()
    assert facts["memorisation"]["status"] == "clear"
    kept = served.get("/datastore/image", params={"image": facts["image"]})
    assert Image.open(io.BytesIO(kept.content)).size == (128, 128)
    _, walked = client.infer(PROGRESSION, facts["image"], {"steps": 2})
    assert len(walked["steps"]) == 2


BAD = [
    (photograph(mode="L"), {}, 422, "invalid_value", "image: is greyscale"),
    (photograph((1, 1), kind="PNG"), {}, 422, "invalid_value", "image: 1 x 1 pixels are too few"),
    (photograph()[:700], {}, 415, "unsupported_kind", "image: "),
    (b"\xff\xd8\xff nonsense", {}, 415, "unsupported_kind", "image: must be a PNG or JPEG picture"),
    (photograph(), {"alpha_to": 1e9}, 422, "invalid_value", "alpha_to: 1000000000.0 must be between -6 and 6"),
    (photograph(), {"direction": "age"}, 422, "invalid_value", "direction: 'age' is not known"),
    (photograph(), {"steps": 10**6}, 422, "invalid_value", "steps: 1000000 must be between 2 and 33"),
    (None, {}, 422, "invalid_value", "file: this generator needs an image"),
]


@pytest.mark.parametrize(("content", "params", "status", "code", "detail"), BAD)
def test_what_cannot_be_walked_is_refused_by_name(
    served: Any, nothing_written: None, content: bytes | None, params: dict[str, Any],
    status: int, code: str, detail: str,
) -> None:  # fmt: skip
    files = {} if content is None else {"file": ("lesion.jpg", content)}
    answer = served.request(
        "POST", f"/infer/{PROGRESSION}", params={"image": "_"}, data={"params": json.dumps(params)}, files=files
    )
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert answer.json()["detail"].startswith(detail)
