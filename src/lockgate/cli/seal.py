"""``lockgate seal``: what was collected becomes a crate."""

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

app = typer.Typer(help="Seal what was collected into a crate (low side).")


@app.command()
def seal(
    home: HomeOption = None,
    plan: Annotated[bool, typer.Option("--plan", "--dry-run", help="Show what would be written.")] = False,
    parity: Annotated[
        str | None, typer.Option("--parity", help="Share of parity volumes, as 10%; 0% for none.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Seal the current lock for the site's recipients, into the outbox.

    Every file is hashed again while it is sealed. An interrupted sealing leaves nothing behind.
    With parity, volumes that get lost or damaged on the way are rebuilt on arrival.

    Examples:
      lockgate seal --plan --home lane/low
      lockgate seal --home lane/low
      lockgate seal --parity 10% --home lane/low
    """
    from lockgate.app.seal import SealChoices, plan_crate, seal_crate
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("low")
    choices = SealChoices(parity=parity)
    if plan:
        planned = plan_crate(side, choices)
        volumes = [{"name": v.name, "size": v.size} for v in planned.volumes]
        value = {
            "sequence": planned.sequence,
            "files": planned.files,
            "bytes": planned.sealed,
            "volumes": volumes,
            "parity_volumes": sum(one.group.parity for one in planned.parity),
            "parity_bytes": planned.parity_bytes,
        }

        def show(out: Console) -> None:
            table = Table("Volume", "Size")
            for volume in planned.volumes:
                table.add_row(volume.name, human(volume.size))
            out.print(table)
            out.print(f"Crossing {planned.sequence}: {planned.files} files, {human(planned.sealed)} sealed")
            for one in planned.parity:
                group = one.group
                out.print(
                    f"  parity: {group.parity} for {group.volumes} volumes, {human(one.size * group.parity)};"
                    f" any {group.parity} of them may be lost"
                )

        emit(as_json, value, show)
        return
    with Bars(quiet=as_json) as bars:
        crate = seal_crate(side, bars, choices)
    manifest = crate.manifest
    size = sum(f.stat().st_size for f in crate.path.rglob("*") if f.is_file())
    value = {
        "path": crate.path,
        "crate_id": crate.path.name,
        "sequence": manifest.sequence,
        "sha256": crate.crate_sha256,
        "bytes": size,
        "volumes": len(manifest.volumes),
        "parity_volumes": len(manifest.parity.volumes) if manifest.parity else 0,
        "expires": manifest.expires,
    }

    def render(out: Console) -> None:
        out.print(f"Crossing {manifest.sequence} sealed: {crate.path}")
        spare = f" and {value['parity_volumes']} of parity" if manifest.parity else ""
        out.print(
            f"  {len(manifest.volumes)} volumes{spare}, {human(size)}, expires {manifest.expires:%Y-%m-%d}"
        )
        out.print(f"  crate.json {crate.crate_sha256}")

    emit(as_json, value, render)
