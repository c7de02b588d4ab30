"""``lockgate low``: what only the low side does beside collecting and sealing."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import HomeOption, JsonOption, emit, escape

app = typer.Typer(no_args_is_help=True, help="Turn what the high side wants into a manifest (low side).")


@app.callback()
def _group() -> None:
    """Keep `wanted` a command of its own."""


@app.command()
def wanted(
    file: Annotated[
        Path, typer.Argument(help="From `lockgate exposure --wanted` or `lockgate request export`.")
    ],
    out: Annotated[Path | None, typer.Option(help="Where the fragment goes (default: printed).")] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the list of what the high side lacks into a fragment of a manifest.

    A list of requests (`lockgate request export`) is checked through this side's pinned site root, kept for
    `lockgate request list`, and only what was not collected yet becomes part of the fragment.

    Examples:
      lockgate low wanted wanted.json --out wanted.toml
      lockgate low wanted requests.json --out wanted.toml --home lane/low
    """
    import sys

    from lockgate.advisories import manifest_of, manifest_of_requests, read_wanted
    from lockgate.app.files import read_named, write_named
    from lockgate.app.settings import load_settings
    from lockgate.app.wishes.low import is_signed_lists, take_lists
    from lockgate.core.wish import WishState

    data = read_named(file, limit=16 << 20)
    if is_signed_lists(data):
        side = load_settings(home).require("low")
        packages = take_lists(side, data)
        lane, purls = side.lane, [one.purl for one in packages if one.state is WishState.APPROVED]
        text = manifest_of_requests(purls)
    else:
        found = read_wanted(data)
        lane, purls, text = found.lane, list(found.purls), manifest_of(found)
    if out:
        write_named(out, text.encode())

    def render(console: Console) -> None:
        if out:
            counted = "one package" if len(purls) == 1 else f"{len(purls)} packages"
            console.print(f"{escape(lane)} wants {counted}: {out}")
        else:
            sys.stdout.write(text)

    emit(as_json, {"lane": lane, "purls": purls, "manifest": text}, render)
