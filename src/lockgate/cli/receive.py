"""``lockgate receive``: a crate becomes a crossing in quarantine."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

SHOWN = 20
"""Most repaired places that are listed for people."""

app = typer.Typer(help="Verify a crate and move its contents to quarantine (high side).")


@app.command()
def receive(
    crate: Annotated[Path, typer.Argument(help="The crate's folder, as it was copied.")],
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Verify a crate step by step, decrypt it and put its contents into quarantine.

    Volumes may arrive over days: run it again when more of them are there. A refusal names the
    file and the byte range; inbox and store stay as they were. What is lost or damaged is rebuilt
    from parity where the crate has some. Exit status 7 while volumes miss.

    Example: lockgate receive inbox/crate-000001-7f3a9c --home lane/high
    """
    from lockgate.app.crossing.receive import receive_crate
    from lockgate.app.settings import load_settings
    from lockgate.crossing.open import Waiting

    side = load_settings(home).require("high")
    with Bars(quiet=as_json) as bars:
        received, crossing = receive_crate(side, crate, bars)
    manifest = received.manifest
    if isinstance(received, Waiting):
        value = {
            "sequence": manifest.sequence,
            "state": "waiting",
            "missing": list(received.missing),
            "damaged": list(received.damaged),
        }

        def waits(out: Console) -> None:
            out.print(f"Crossing {manifest.sequence} waits for {', '.join(received.missing)}")
            for name in received.damaged:
                out.print(f"  {name} is here and damaged; copy it again, or bring what else is missing")

        emit(as_json, value, waits)
        raise typer.Exit(7)
    size = sum(t.size for t in received.targets.values())
    value = {
        "sequence": manifest.sequence,
        "state": crossing.state if crossing else "",
        "files": len(received.targets),
        "bytes": size,
        "crate_sha256": received.crate_sha256,
        "sealer": manifest.sealer.person,
        "repaired": [asdict(part) for part in received.repaired],
    }

    def render(out: Console) -> None:
        out.print(f"Crossing {manifest.sequence} verified: sealed by {manifest.sealer.person}")
        for part in received.repaired[:SHOWN]:
            out.print(f"  repaired: {part.file}, {part.why} at {part.offset}, {human(part.length)}")
        if len(received.repaired) > SHOWN:
            out.print(f"  repaired: {len(received.repaired) - SHOWN} more places (all with --json)")
        out.print(
            f"  {len(received.targets)} files, {human(size)}, in quarantine; next: `lockgate gate inspect`"
        )

    emit(as_json, value, render)
