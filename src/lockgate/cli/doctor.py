"""``lockgate doctor``: what this machine has and lacks."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, escape

app = typer.Typer(help="Check what this machine has and lacks.")


@app.command()
def doctor(
    home: HomeOption = None,
    migrate: Annotated[
        bool, typer.Option("--migrate", help="Move the side's databases to this version's schema.")
    ] = False,
    sandbox: Annotated[
        bool,
        typer.Option("--sandbox", help="Try to escape from the sandbox of inspection, in every known way."),
    ] = False,
    files: Annotated[
        bool,
        typer.Option("--files", help="Read every file of the side, and name each that is not what it was."),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Check the machine and, with a home, the side. Exit status 1 when something needed is missing.

    Before --migrate, make a backup and stop the services. With --sandbox: exit status 1 when an
    attempt to escape succeeds or cannot be made. With --files: exit status 1 when a file is damaged,
    altered or missing; services go on meanwhile, and nothing is changed.

    Examples:
      lockgate doctor --home lane/high
      lockgate doctor --files --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.check.doctor import examine

    if migrate:
        _migrate(home, as_json)
        return
    if sandbox:
        _sandbox(home, as_json)
        return

    if files:
        _files(home, as_json)
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


def _sandbox(home: Path | None, as_json: bool) -> None:
    from dataclasses import asdict

    from lockgate.app.check.doctor import try_sandbox

    with Bars(quiet=as_json, unit_bytes=False) as bars:
        layers, tried = try_sandbox(home, bars)
    held = all(each.result == "PASS" for each in tried)

    def render(out: Console) -> None:
        for each in tried:
            style = "green" if each.result == "PASS" else "bold red"
            said = escape(f"{each.title}: {each.inside} ({each.control})")
            out.print(f"[{style}]{each.result}[/] {said}", soft_wrap=True)
        out.print(
            "The sandbox held." if held else "[bold red]The sandbox did not hold: inspect nothing here.[/]"
        )

    emit(as_json, {"held": held, "layers": layers, "attempts": [asdict(each) for each in tried]}, render)
    if not held:
        raise typer.Exit(1)


def _files(home: Path | None, as_json: bool) -> None:
    from lockgate.app.check.files import look
    from lockgate.app.settings import load_settings

    with Bars(quiet=as_json) as bars:
        found = look(load_settings(home), bars)

    def render(out: Console) -> None:
        table = Table("What", "Looked at", "State")
        wrong = {part: sum(fault.part == part for fault in found.faults) for part in found.parts}
        for part, count in found.parts.items():
            state = f"[bold red]{wrong[part]} wrong[/]" if wrong[part] else "[green]ok[/]"
            table.add_row(part, str(count), state)
        out.print(table)
        for fault in found.faults:
            out.print(f"[bold red]{fault.error.code}[/] {escape(fault.error.what)}", soft_wrap=True)
            for key, value in fault.error.where.items():
                out.print(f"  {key}: {escape(str(value))}", soft_wrap=True)
            out.print(f"  What to do: {escape(fault.error.what_to_do)}", soft_wrap=True)

    value = {
        "looked": found.parts,
        "faults": [{"part": fault.part, **fault.error.as_dict()} for fault in found.faults],
    }
    emit(as_json, value, render)
    if found.faults:
        raise typer.Exit(1)
