"""``lockgate root``: what a side trusts."""

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import HomeOption, JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Show the roots that a side trusts, and their pins as words.")


@app.callback()
def _root() -> None:
    """Keep `show` a subcommand."""


@app.command()
def show(home: HomeOption = None, as_json: JsonOption = False) -> None:
    """Show both roots: version, expiry, who holds which key, and the pins to compare aloud.

    Example: lockgate root show --home lane/high
    """
    import msgspec

    from lockgate.app.settings import load_settings
    from lockgate.app.trust import site_root, supply_root, utc_now
    from lockgate.core.digests import words

    side = load_settings(home)
    roots = [supply_root(side)[1], site_root(side, utc_now())]
    pins = [side.settings.trust.supply_pin, side.settings.trust.site_pin]
    value = [
        {"pin": pin, "words": words(pin), **msgspec.to_builtins(r)}
        for r, pin in zip(roots, pins, strict=True)
    ]

    def render(out: Console) -> None:
        for root, pin in zip(roots, pins, strict=True):
            table = Table("Person", "Purpose", "Key", "Expires", title_justify="left")
            table.title = f"{root.kind} root {root.version} of lane {root.lane} ({root.assurance})"
            for keyid, held in sorted(root.keys.items(), key=lambda item: (item[1].person, item[1].purpose)):
                table.add_row(held.person, held.purpose, keyid[:12], f"{held.expires:%Y-%m-%d}")
            out.print(table)
            out.print(f"  pinned: [bold]{words(pin)}[/]\n")

    emit(as_json, value, render)
