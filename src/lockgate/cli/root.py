"""``lockgate root``: what a side trusts, and the ceremonies that make and change it."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli import ceremony
from lockgate.cli.ceremony_show import show_document
from lockgate.cli.shared import HomeOption, JsonOption, emit
from lockgate.cli.shared import out as out_console

app = typer.Typer(no_args_is_help=True, help="Make, sign, rotate and show the two roots; revoke keys.")

for _command in (
    ceremony.card,
    ceremony.init,
    ceremony.rotate,
    ceremony.revoke,
    ceremony.sign,
    ceremony.combine,
    ceremony.inspect,
):
    app.command()(_command)


@app.command()
def show(
    qr: Annotated[Path | None, typer.Option(help="Folder for QR pictures (PNG) of both pins.")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show both roots: version, expiry, who holds which key, and the pins to compare aloud.

    The other side compares the words, or scans the pins for `lane join --supply-pin --site-pin`.

    Example: lockgate root show --home lane/high
    """
    import msgspec

    from lockgate.app.settings import load_settings
    from lockgate.app.trust import site_root, supply_root
    from lockgate.core.digests import words

    side = load_settings(home)
    roots = [supply_root(side)[1], site_root(side, None)]
    pins = [side.settings.trust.supply_pin, side.settings.trust.site_pin]
    value = [
        {"pin": pin, "words": words(pin), **msgspec.to_builtins(r)}
        for r, pin in zip(roots, pins, strict=True)
    ]

    if qr is not None:
        from lockgate.app.lane.qr import write_qr

        for root, pin in zip(roots, pins, strict=True):
            write_qr(pin, qr / f"{root.kind}-pin.png")

    def render(out: Console) -> None:
        for root, pin in zip(roots, pins, strict=True):
            table = Table("Person", "Purpose", "Key", "Expires", title_justify="left")
            table.title = f"{root.kind} root {root.version} of lane {root.lane} ({root.assurance})"
            for keyid, held in sorted(root.keys.items(), key=lambda item: (item[1].person, item[1].purpose)):
                table.add_row(held.person, held.purpose, keyid[:12], f"{held.expires:%Y-%m-%d}")
            out.print(table)
            out.print(f"  pinned: [bold]{words(pin)}[/]\n")

    emit(as_json, value, render)


@app.command("affected")
def list_affected(
    key: Annotated[str, typer.Argument(help="Id of a supply key, or its beginning.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the crossings that a supply key signed, and what of them is served: what to look at again.

    Example: lockgate root affected 3f21… --home lane/high
    """
    from dataclasses import asdict

    from lockgate.app.lane.standing import affected, supply_key
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    found = affected(side, supply_key(side, key))

    def render(out: Console) -> None:
        if not found:
            out.print("No crossing on record was signed by this key")
        for each in found:
            where = f", served by {', '.join(each.channels)}" if each.channels else ""
            out.print(f"[bold]Crossing {each.sequence}[/] ({each.state}{where})")
            for purl in each.artifacts:
                out.print(f"  {purl}", markup=False)

    emit(as_json, [asdict(each) for each in found], render)


@app.command()
def install(
    document: ceremony.Document,
    home: HomeOption = None,
    yes: Annotated[bool, typer.Option("--yes", help="Install without asking.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Follow a newer root on this side. Both thresholds must have signed: its own, and the one before it.

    A new supply root comes with the next crate by itself; a new site root has to be installed on
    both sides, and no crossing brings it. Restart the services afterwards.

    Example: lockgate root install site-2.json --home lane/high
    """
    from lockgate.app.lane.install import follow, install_root
    from lockgate.app.settings import load_settings
    from lockgate.app.trust import utc_now

    side = load_settings(home)
    looked = follow(side, document)
    if not as_json:
        show_document(out_console, looked)
    if not yes and not typer.confirm("Are these the words that the holders read aloud?"):
        raise typer.Exit(1)
    done = install_root(side, looked, utc_now())
    value = {
        "kind": done.root.kind,
        "version": done.root.version,
        "pin": done.pin,
        "file": done.file,
        "fresh": done.fresh,
    }

    def render(out: Console) -> None:
        state = "installed" if done.fresh else "was installed before"
        out.print(f"{done.root.kind} root {done.root.version} {state}: {done.file}")

    emit(as_json, value, render)
