"""``lockgate doctor``: what this machine has and lacks."""

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(help="Check what this machine has and lacks.")


@app.command()
def doctor(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Check the machine and, with a home, the side. Exit status 1 when something needed is missing.

    Example: lockgate doctor --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.doctor import examine

    points = examine(home)

    def render(out: Console) -> None:
        table = Table("What", "State", "Detail")
        styles = {"ok": "green", "missing": "red", "absent": "yellow"}
        for point in points:
            state = f"[{styles[point.state]}]{point.state}[/]"
            table.add_row(point.name, state, escape(point.detail))
        out.print(table)

    emit(as_json, [asdict(p) for p in points], render)
    if any(p.state == "missing" for p in points):
        raise typer.Exit(1)
