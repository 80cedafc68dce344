"""``medsynth users``: who may use the server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from medsynth_app.accounts import (
    SHORTEST_PASSWORD,
    Role,
    add_account,
    default_users_file,
    load_accounts,
    remove_account,
)
from medsynth_app.commands.support.results import console
from medsynth_app.errors import NotFoundError

application = typer.Typer(help="Users of the server. Once there is one, a login is needed.", no_args_is_help=True)
FileOption = Annotated[
    Path | None, typer.Option("--file", help="Users file; MEDSYNTH_USERS or ~/.config/medsynth/users.json by default.")
]


@application.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Name of the new user.")],
    role: Annotated[Role, typer.Option(help="viewer looks; annotator labels; reviewer decides; admin all.")] = (
        Role.ANNOTATOR
    ),
    password: Annotated[
        bool, typer.Option("--password", help=f"Ask for a password too ({SHORTEST_PASSWORD} characters or more).")
    ] = False,
    file: FileOption = None,
) -> None:
    """Add a user and show the new token, once: it is stored hashed."""
    chosen = typer.prompt("Password", hide_input=True, confirmation_prompt=True) if password else None
    token = add_account(file or default_users_file(), name, role, chosen)
    # Plain text: a script reads the last line.
    typer.echo(f"{name} ({role.value}) can log in with this token; it is not shown again:", err=True)
    typer.echo(token)


@application.command("list")
def show(file: FileOption = None) -> None:
    """Names and roles."""
    path = file or default_users_file()
    if not path.is_file():
        raise NotFoundError(f"users: there is no file {path.name!r} yet; `medsynth users add NAME` makes it")
    table = Table("name", "role", "password", "created")
    for account in load_accounts(path).accounts.values():
        table.add_row(account.name, account.role.value, "yes" if account.password_digest else "no", account.created)
    console.print(table)


@application.command("remove")
def remove(name: Annotated[str, typer.Argument(help="Name of the user.")], file: FileOption = None) -> None:
    """Remove a user; token and sessions end at once."""
    path = file or default_users_file()
    if not path.is_file():
        raise NotFoundError(f"users: there is no file {path.name!r}")
    remove_account(path, name)
    typer.echo(f"{name} is removed", err=True)
