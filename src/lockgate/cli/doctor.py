"""``lockgate doctor``: what this machine has and lacks."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(help="Check what this machine has and lacks.")


@app.command()
def doctor(
    home: HomeOption = None,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Move the side's databases to this version's schema.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the machine and, with a home, the side. Exit status 1 when something needed is missing.

    Before --migrate, make a backup and stop the services.

    Example: lockgate doctor --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.doctor import examine

    if migrate:
        _migrate(home, as_json)
        return

    points = examine(home)

    def render(out: Console) -> None:
        table = Table("What", "State", "Detail")
        styles = {"ok": "green", "missing": "red", "absent": "yellow", "soon": "yellow"}
        for point in points:
            state = f"[{styles[point.state]}]{point.state}[/]"
            table.add_row(point.name, state, escape(point.detail))
        out.print(table)

    emit(as_json, [asdict(p) for p in points], render)
    if any(p.state == "missing" for p in points):
        raise typer.Exit(1)


def _migrate(home: Path | None, as_json: bool) -> None:
    from lockgate.app.settings import load_settings
    from lockgate.app.stores import migrate_side

    moved = migrate_side(load_settings(home))

    def render(out: Console) -> None:
        for name, old, new in moved:
            out.print(f"{name}: schema {new}, " + ("as before" if old == new else f"from {old or 'none'}"))

    emit(as_json, [{"database": name, "from": old, "to": new} for name, old, new in moved], render)
