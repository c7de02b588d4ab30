"""``lockgate repair``: a damaged crate becomes whole again, without keys."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

SHOWN = 40
"""Most damaged places that are listed for people."""

app = typer.Typer(help="Check and repair a crate by its parity, without keys.")


@app.command()
def repair(
    crate: Annotated[Path, typer.Argument(help="The crate's folder.")],
    into: Annotated[Path | None, typer.Option("--into", help="Write a whole copy below this folder.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Only look; status 7 when damaged.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Rebuild what is missing or damaged in a crate, in its place or into another folder.

    No key is needed and nothing is opened: every byte is judged by the digests in shards.idx. Whether
    crate.json was forged is judged only with --home; receiving judges it in any case. Killed at
    any moment, it can be started again.

    Examples:
      lockgate repair --check /media/usb/crate-000001-7f3a9c
      lockgate repair inbox/crate-000001-7f3a9c --into repaired
    """
    from lockgate.app.crossing.repair import repair_crate
    from lockgate.app.settings import load_settings

    side = None if home is None else load_settings(home)
    with Bars(quiet=as_json) as bars:
        found = repair_crate(side, crate, into, bars, check=check)
    value = {
        "crate_sha256": found.crate_sha256,
        "sequence": found.manifest.sequence,
        "signatures": "checked" if found.authentic else "not checked",
        "damages": [asdict(part) for part in found.damages],
        "repaired": not check,
    }

    def render(out: Console) -> None:
        done = "damaged" if check else "repaired"
        for part in found.damages[:SHOWN]:
            out.print(f"  {done}: {part.file}, {part.why} at {part.offset}, {human(part.length)}")
        if len(found.damages) > SHOWN:
            out.print(f"  {len(found.damages) - SHOWN} more places (all with --json)")
        state = "is whole" if not found.damages or not check else f"has {len(found.damages)} damaged places"
        signed = "signatures checked" if found.authentic else "signatures not checked (name --home for it)"
        out.print(f"{found.manifest.folder} {state}; {signed}")

    emit(as_json, value, render)
    if check and found.damages:
        raise typer.Exit(7)
