"""``lockgate lane``: make a lane."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Make a lane: two homes, two roots, keys for roles and people.")


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

    from lockgate.app.lane.lane import make_demo_lane

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


@app.command()
def join(
    side: Annotated[str, typer.Option(help="low, high or station.")],
    supply: Annotated[list[Path], typer.Option(help="Supply root 1 (repeat for its pictures).")],
    site: Annotated[list[Path], typer.Option(help="Site root 1 (repeat for its pictures).")],
    supply_pin: Annotated[str, typer.Option(help="Its digest, when you were told it another way.")] = "",
    site_pin: Annotated[str, typer.Option(help="Its digest, when you were told it another way.")] = "",
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="The words were compared already.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make one side of a lane from the two roots that their holders signed (`lockgate root init`, `sign`).

    Both sides read the words of both roots aloud; they must be the same. The side's own keys lie in
    `keys/` of its home, where `lockgate root card --key HOME/keys` made them.

    Example: lockgate lane join --side high --supply supply.json --site site.json --home lane/high
    """
    from lockgate.app.lane.install import demand_pins, join_lane
    from lockgate.app.lane.qr_parts import read_document
    from lockgate.app.settings import default_home
    from lockgate.app.trust import utc_now
    from lockgate.core.ceremony import CeremonyError
    from lockgate.core.digests import words
    from lockgate.trust.ceremony import read_root

    if side not in {"low", "high", "station"}:
        raise CeremonyError("A side is low, high or station.")
    roots = read_document(supply), read_document(site)
    documents = read_root(roots[0]), read_root(roots[1])
    demand_pins(*documents, (supply_pin, site_pin))
    if not yes and not (supply_pin and site_pin):
        for document in documents:
            typer.echo(f"{document.kind} root, read aloud: {words(document.pin)}", err=True)
        if not typer.confirm("Are these the words that the other side reads aloud?", err=True):
            raise typer.Exit(1)
    made = join_lane(home or default_home(), side, *roots, utc_now())
    value = {"home": made.home, "side": side, "supply_pin": made.supply_pin, "site_pin": made.site_pin}
    emit(as_json, value, lambda out: out.print(f"The {side} side is in {made.home}"))
