"""``lockgate cadence``: the planned crossings as a calendar, and whether one was missed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Show planned crossings, as a calendar too, and missed ones.")

MISSED = 1


@app.command()
def ics(
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many planned crossings.")] = 12,
    out: Annotated[Path | None, typer.Option(help="Where the file goes (default: printed).")] = None,
    home: HomeOption = None,
) -> None:
    """Write the next planned crossings as an iCalendar file (either side).

    Example: lockgate cadence ics --out crossings.ics --home lane/high
    """
    import sys

    from lockgate.app.advice.cadence import calendar_of
    from lockgate.app.files import write_named
    from lockgate.app.settings import load_settings

    data = calendar_of(load_settings(home), count)
    if out:
        write_named(out, data)
    else:
        sys.stdout.buffer.write(data)


@app.command()
def status(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show the next planned crossing and those that did not come; ends with 1 when there are some.

    Example: lockgate cadence status --home lane/high
    """
    from lockgate.app.advice.cadence import plan_of
    from lockgate.app.settings import load_settings

    found = plan_of(load_settings(home).require("high")).standing

    def render(out: Console) -> None:
        out.print(f"Next planned crossing: {found.next}; last one: {found.last or 'none yet'}")
        for day in found.missed:
            out.print(f"[bold red]missed:[/] the crossing planned for {day}")

    value = {"next": found.next, "last": found.last, "missed": [str(day) for day in found.missed]}
    emit(as_json, value, render)
    if found.missed:
        raise typer.Exit(MISSED)
