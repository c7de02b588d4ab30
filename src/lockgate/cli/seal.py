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
    as_json: JsonOption = False,
) -> None:
    """Seal the current lock for the site's recipients, into the outbox.

    Every file is hashed again while it is sealed. An interrupted sealing leaves nothing behind.

    Examples:
      lockgate seal --plan --home lane/low
      lockgate seal --home lane/low
    """
    from lockgate.app.seal import plan_crate, seal_crate
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("low")
    if plan:
        planned = plan_crate(side)
        volumes = [{"name": v.name, "size": v.size} for v in planned.volumes]
        value = {
            "sequence": planned.sequence,
            "files": planned.files,
            "bytes": planned.sealed,
            "volumes": volumes,
        }

        def show(out: Console) -> None:
            table = Table("Volume", "Size")
            for volume in planned.volumes:
                table.add_row(volume.name, human(volume.size))
            out.print(table)
            out.print(f"Crossing {planned.sequence}: {planned.files} files, {human(planned.sealed)} sealed")

        emit(as_json, value, show)
        return
    with Bars(quiet=as_json) as bars:
        crate = seal_crate(side, bars)
    manifest = crate.manifest
    size = sum(f.stat().st_size for f in crate.path.rglob("*") if f.is_file())
    value = {
        "path": crate.path,
        "crate_id": crate.path.name,
        "sequence": manifest.sequence,
        "sha256": crate.crate_sha256,
        "bytes": size,
        "volumes": len(manifest.volumes),
        "expires": manifest.expires,
    }

    def render(out: Console) -> None:
        out.print(f"Crossing {manifest.sequence} sealed: {crate.path}")
        out.print(f"  {len(manifest.volumes)} volumes, {human(size)}, expires {manifest.expires:%Y-%m-%d}")
        out.print(f"  crate.json {crate.crate_sha256}")

    emit(as_json, value, render)
