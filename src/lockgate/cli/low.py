"""``lockgate low``: what only the low side does beside collecting and sealing."""

from pathlib import Path
from typing import Annotated

import typer

from lockgate.cli.shared import JsonOption, emit

app = typer.Typer(no_args_is_help=True, help="Turn what the high side wants into a manifest (low side).")


@app.callback()
def _group() -> None:
    """Keep `wanted` a command of its own."""


@app.command()
def wanted(
    file: Annotated[Path, typer.Argument(help="The list that `lockgate exposure --wanted` wrote.")],
    out: Annotated[Path | None, typer.Option(help="Where the fragment goes (default: printed).")] = None,
    as_json: JsonOption = False,
) -> None:
    """Turn the list of what the high side lacks into a fragment of a manifest.

    Example: lockgate low wanted wanted.json --out wanted.toml
    """
    import sys

    from lockgate.advisories import manifest_of, read_wanted
    from lockgate.app.files import read_named, write_named

    found = read_wanted(read_named(file, limit=16 << 20))
    text = manifest_of(found)
    if out:
        write_named(out, text.encode())
    emit(as_json, {"lane": found.lane, "purls": list(found.purls), "manifest": text}, lambda _: None)
    if not out and not as_json:
        sys.stdout.write(text)
