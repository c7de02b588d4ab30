"""``lockgate console``: the web console, and who has a name and a password of the site's own for it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, HostOption, JsonOption, PortOption, emit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Serve the web console.")
users = typer.Typer(no_args_is_help=True, help="Names and passwords of the site's own: set, list, remove.")
app.add_typer(users, name="user")

Name = Annotated[str, typer.Argument(help="The name that they sign in with.")]


@app.callback()
def _console() -> None:
    """Keep `serve` a subcommand."""


@app.command()
def serve(
    home: HomeOption = None,
    host: HostOption = "",
    port: PortOption = 0,
) -> None:
    """Serve the console until interrupted.

    Example: lockgate console serve --home lane/high --port 8730
    """
    from lockgate.app.high.console import serve_console
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    serve_console(side, host or side.settings.serve.host, port or side.settings.serve.console_port)


@users.command("set")
def set_user(
    name: Name,
    group: Annotated[
        list[str] | None, typer.Option(help="A group that grants go by; may be repeated.")
    ] = None,
    from_file: Annotated[
        Path | None, typer.Option(help="File with the password (default: it is asked for).")
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give somebody a name and a password, or others; their sessions end. What they may see is granted apart.

    Example: lockgate console user set ann --group desk --home lane/high
    """
    from lockgate.app.files import read_named
    from lockgate.app.high.identities import set_person
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    if from_file is not None:
        password = read_named(from_file, limit=1024).decode("utf-8", "replace").rstrip("\r\n")
    else:
        password = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    set_person(side, name, password, tuple(sorted(set(group or ()))))
    emit(as_json, {"name": name, "groups": sorted(set(group or ()))}, lambda out: out.print(f"{name} is set"))


@users.command("list")
def list_users(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """List who has a name and a password of the site's own.

    Example: lockgate console user list --home lane/high
    """
    from lockgate.app.high.identities import people_of
    from lockgate.app.settings import load_settings

    rows = [
        {"name": each.name, "groups": list(each.groups)}
        for each in people_of(load_settings(home).require("high")).all()
    ]

    def render(out: "Console") -> None:
        for row in rows:
            out.print(f"{row['name']} {' '.join(row['groups'])}")

    emit(as_json, rows, render)


@users.command("remove")
def remove_user(name: Name, home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Take somebody's name and password away; their sessions end at once.

    Example: lockgate console user remove ann --home lane/high
    """
    from lockgate.app.high.identities import remove_person
    from lockgate.app.settings import load_settings

    remove_person(load_settings(home).require("high"), name)
    emit(as_json, {"name": name}, lambda out: out.print(f"{name} is removed"))
