"""The notebooks run from their first cell to their last."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

NOTEBOOKS = Path(__file__).resolve().parents[3] / "examples" / "notebooks"


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(path.name for path in NOTEBOOKS.glob("*.ipynb")))
def test_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(NOTEBOOKS)
    book = json.loads((NOTEBOOKS / name).read_text(encoding="utf-8"))
    code = ["".join(cell["source"]) for cell in book["cells"] if cell["cell_type"] == "code"]
    assert len(code) >= 4
    assert not any(cell.get("outputs") for cell in book["cells"]), "stored without outputs"
    shared: dict[str, object] = {"__name__": "notebook"}
    for number, source in enumerate(code, start=1):
        exec(compile(source, f"{name}, cell {number}", "exec"), shared)  # noqa: S102 - our own file
