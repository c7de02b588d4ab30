"""``lockgate lane``: make a lane."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Make a lane: two homes, two roots, keys for roles and people.")


@app.callback()
def _lane() -> None:
    """Keep `init` a subcommand."""


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Where low/, high/ and people/ are made.")],
    name: Annotated[str, typer.Option(help="The lane's name, the same on both sides.")] = "demo",
    as_json: JsonOption = False,
) -> None:
    """Make a demo lane on one machine, with all keys of all people below one folder.

    Both roots say `assurance: demo`; a side that is configured for production refuses them.

    Example: lockgate lane init ./lane --name demo
    """
    from datetime import UTC, datetime

    from lockgate.app.lane import make_demo_lane

    lane = make_demo_lane(folder, name, datetime.now(UTC))
    value = {
        "low": lane.low,
        "high": lane.high,
        "people": list(lane.people),
        "supply_pin": lane.supply_pin,
        "site_pin": lane.site_pin,
        "assurance": "demo",
    }

    def render(out: Console) -> None:
        out.print(f"Lane [bold]{name}[/] in {folder} (assurance: demo)")
        out.print(f"  low side   {lane.low}\n  high side  {lane.high}")
        out.print(f"  people     {', '.join(lane.people)}")
        out.print("Read these words aloud on both sides; they must be the same:")
        out.print(f"  supply root  [bold]{lane.supply_words}[/]\n  site root    [bold]{lane.site_words}[/]")

    emit(as_json, value, render)
