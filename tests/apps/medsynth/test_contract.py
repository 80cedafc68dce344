"""What others rely on, as it was written down: routes, models with their options, conditions, commands.

A change of a snapshot is a change of the contract: rows may be added, none may be renamed or lost. After an addition
that is wanted, ``MEDSYNTH_UPDATE_SNAPSHOTS=1 pytest tests/apps/medsynth/test_contract.py`` writes them anew.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from medsynth_app.cli import application

SNAPSHOTS = Path(__file__).resolve().parents[2] / "contract"
UPDATE = bool(os.environ.get("MEDSYNTH_UPDATE_SNAPSHOTS"))
OF_TYPER = ("help", "install_completion", "show_completion")


def check(name: str, found: Any) -> None:
    """Compare with the snapshot of that name, or write it."""
    path = SNAPSHOTS / f"{name}.json"
    text = json.dumps(found, indent=1, ensure_ascii=False, sort_keys=True) + "\n"
    if UPDATE:
        path.write_text(text, encoding="utf-8")
    assert json.loads(text) == json.loads(path.read_text(encoding="utf-8"))


def operation(described: dict[str, Any]) -> dict[str, Any]:
    """What a client must know of one operation."""
    content = described.get("requestBody", {}).get("content", {})
    return {
        "parameters": sorted(
            f"{p['in']} {p['name']}{' required' if p.get('required') else ''}" for p in described.get("parameters", ())
        ),
        "takes": sorted(content),
        "answers": sorted(described["responses"]),
    }


def test_routes(served: Any) -> None:
    paths = served.get("/openapi.json").json()["paths"]
    check("routes", {p: {m: operation(o) for m, o in methods.items()} for p, methods in paths.items()})


def test_models_and_their_options(served: Any) -> None:
    info = served.get("/info/").json()
    kept = {
        part: {
            name: {key: model.get(key) for key in ("type", "labels", "dimension", "config", "description")}
            for name, model in info[part].items()
        }
        for part in ("models", "trainers", "strategies", "scoring")
    }
    kept["order"] = list(info["models"])
    kept["labels"], kept["keys"] = info["labels"], sorted(info)
    check("info", kept)


def test_generators_and_their_conditions(served: Any) -> None:
    check("synthesis", served.get("/medsynth/api/synthesis").json())


def commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    """A command and all below it; typer brings a click of its own."""
    yield name, command
    for each, below in sorted(getattr(command, "commands", {}).items()):
        real = command.loaded(each) if hasattr(command, "loaded") else below
        assert real.help.splitlines()[0] == below.help.splitlines()[0], "what the group's help says of it"
        yield from commands(real, f"{name} {each}")


def described(parameter: Any) -> dict[str, Any]:
    default = parameter.default
    plain = default if isinstance(default, (str, int, float, bool, type(None))) else str(default)
    if str(plain).startswith("/"):
        plain = "of the machine"
    return {
        "default": plain,
        "required": parameter.required,
        "help": getattr(parameter, "help", None),
    }


def test_commands_and_their_help() -> None:
    found = {
        name: {
            "help": command.help,
            "takes": {
                " ".join(p.opts) or p.name: described(p) for p in command.params if p.name not in OF_TYPER
            },
        }
        for name, command in commands(typer.main.get_command(application), "medsynth")
    }
    check("commands", found)


@pytest.mark.parametrize(("name", "least"), [("routes", 40), ("info", 6), ("synthesis", 1), ("commands", 20)])
def test_snapshots_hold_something(name: str, least: int) -> None:
    assert len(json.loads((SNAPSHOTS / f"{name}.json").read_text(encoding="utf-8"))) >= least
