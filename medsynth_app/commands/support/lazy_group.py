"""A group of commands that are imported when they are called: its help need not wait for PyTorch."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup


@dataclass(frozen=True)
class CommandPlace:
    """Where a command lives.

    Attributes:
        module: its module.
        attribute: a function, or a Typer application with commands of its own.
        summary: what the group's help says of it: the first line of its own help.
    """

    module: str
    attribute: str
    summary: str


def lazy_group(places: Mapping[str, CommandPlace]) -> type[TyperGroup]:
    """The class of a group with these commands, for ``typer.Typer(cls=...)``; help lists them in this order."""

    class LazyGroup(TyperGroup):
        def __init__(self, **attributes: Any) -> None:
            super().__init__(**attributes)
            for name, place in places.items():
                self.commands[name] = TyperCommand(name=name, help=place.summary)

        def list_commands(self, ctx: Any) -> list[str]:
            return list(places)

        def loaded(self, name: str) -> Any:
            """The command itself."""
            return load_command(name, places[name])

        def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
            name, command, rest = super().resolve_command(ctx, args)
            return name, self.loaded(name) if name is not None else command, rest

    return LazyGroup


def load_command(name: str, place: CommandPlace) -> Any:
    """Import a command."""
    found = getattr(importlib.import_module(place.module), place.attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
        alone.command(name)(found)
        found = alone
    command = typer.main.get_command(found)
    command.name = name
    return command
