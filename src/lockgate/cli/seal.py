"""``lockgate seal``: what was collected becomes a crate."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, human

if TYPE_CHECKING:
    from lockgate.crossing import Plan
    from lockgate.crossing.needs import Discs, MediumNeed

app = typer.Typer(help="Seal what was collected into a crate (low side).")


@app.command()
def seal(
    home: HomeOption = None,
    plan: Annotated[bool, typer.Option("--plan", "--dry-run", help="Show what would be written.")] = False,
    parity: Annotated[
        str | None, typer.Option("--parity", help="Share of parity volumes, as 10%; 0% for none.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Build on nothing that was sent before: every file crosses whole.")
    ] = False,
    since: Annotated[
        int | None,
        typer.Option(
            "--since", min=1, help="Build only on crossings up to this number, the last that arrived."
        ),
    ] = None,
    medium: Annotated[
        str | None, typer.Option("--medium", help="Volumes for fat32, dvd, bd25, bd50, bd100, or bytes.")
    ] = None,
    to: Annotated[
        Path | None, typer.Option("--to", help="Write straight to a mounted medium, and read it back.")
    ] = None,
    cleartext: Annotated[
        bool, typer.Option("--cleartext", help="Sign only: everybody can read it. The policy must permit it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Seal the current lock for the site's recipients, into the outbox.

    Files that were sent before do not cross again, and new versions cross as patches against what was
    sent, acknowledged or not. When a crossing got lost, --since names the last one that arrived.

    Every file is hashed again while it is sealed. An interrupted sealing leaves nothing behind.
    With parity, volumes that get lost or damaged on the way are rebuilt on arrival.

    Examples:
      lockgate seal --plan --home lane/low
      lockgate seal --home lane/low
      lockgate seal --parity 10% --home lane/low
      lockgate seal --since 41 --home lane/low
      lockgate seal --full --home lane/low
      lockgate seal --plan --medium bd25 --home lane/low
      lockgate seal --to /media/usb --home lane/low
    """
    from lockgate.app.crossing.seal import SealChoices, media_need, plan_crate, seal_crate
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("low")
    if full and since is not None:
        raise typer.BadParameter("--full builds on nothing, --since on crossings: name one of them")
    choices = SealChoices(parity=parity, full=full, since=since, medium=medium, to=to, cleartext=cleartext)
    if plan:
        from lockgate.crossing.needs import per_medium

        with Bars(quiet=as_json) as bars:
            planned = plan_crate(side, choices, bars)
        need = media_need(planned, medium) if medium else None
        volumes = [{"name": v.name, "size": v.size} for v in planned.volumes]
        value = {
            "sequence": planned.sequence,
            "files": planned.files,
            "bytes": planned.sealed,
            "volumes": volumes,
            "parity_volumes": sum(one.group.parity for one in planned.parity),
            "parity_bytes": planned.parity_bytes,
            "kind": "delta" if planned.bases else "full",
            "per_medium": [
                {"medium": m.medium, "pieces": m.pieces, "bytes": m.size, "seconds": m.seconds}
                for m in per_medium(planned)
            ],
            "bases": dict(planned.bases),
            "artifacts": [
                {
                    "path": e.path,
                    "kind": e.kind,
                    "size": e.size,
                    "bytes": e.carried,
                    "why": e.why,
                    "kept": list(e.kept),
                }
                for e in planned.entries
            ],
            "medium": None if need is None else need.medium.name,
            "media": None if need is None else need.count,
            "write_seconds": None if need is None else need.seconds,
            "discs": [] if need is None else [asdict(disc) for disc in need.spread.discs],
            "losses": None if need is None else need.spread.losses,
        }

        def show(out: Console) -> None:
            show_entries(out, planned)
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

            if need is not None:
                kept = "write-once" if need.medium.write_once else "rewritable"
                minutes = -(-need.seconds // 60)
                out.print(
                    f"  {need.count} of {need.medium.name} ({kept}), about {minutes} min to write and read"
                )
                show_discs(out, need.spread)

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
        "cleartext": manifest.open_to_all,
        "expires": manifest.expires,
    }

    def render(out: Console) -> None:
        out.print(f"Crossing {manifest.sequence} sealed: {crate.path}")
        spare = f" and {value['parity_volumes']} of parity" if manifest.parity else ""
        out.print(
            f"  {len(manifest.volumes)} volumes{spare}, {human(size)}, expires {manifest.expires:%Y-%m-%d}"
        )
        out.print(f"  crate.json {crate.crate_sha256}")
        if manifest.open_to_all:
            out.print("  [bold]Not sealed:[/] signed only, everybody can read it")
        if to is not None:
            out.print("  Read back from the medium. Safe to unplug.")

    emit(as_json, value, render)


def show_entries(out: Console, planned: "Plan") -> None:
    """Print how each file crosses, what is built on, and how many media it takes."""
    from lockgate.crossing.needs import per_medium

    table = Table("File", "Crosses as", "Size", "Carried", "Why")
    for entry in planned.entries:
        table.add_row(entry.path, entry.kind, human(entry.size), human(entry.carried), entry.why)
    out.print(table)
    size, carried = sum(e.size for e in planned.entries), sum(e.carried for e in planned.entries)
    based = f", building on crossings {', '.join(planned.bases)}" if planned.bases else ""
    out.print(f"{human(carried)} for files of {human(size)}{based}")
    out.print("On media: " + "; ".join(map(_need, per_medium(planned))))


def show_discs(out: Console, spread: "Discs") -> None:
    """Print what goes on which disc, and which of them may get lost."""
    count = len(spread.discs)
    for disc in spread.discs:
        first, last = (disc.files[0], disc.files[-1]) if disc.files else ("nothing", "nothing")
        names = first if first == last else f"{first} to {last}"
        spare = "rebuilt from the others if it is lost" if disc.spare else "has to arrive"
        out.print(f"  disc {disc.number} of {count}: {names}, {human(disc.size)}; {spare}")
    if count > 1:
        out.print(
            f"  any {spread.losses} of the {count} may be lost" if spread.losses else "  none may be lost"
        )


def _need(need: "MediumNeed") -> str:
    return f"{need.pieces} of {need.medium}, about {max(1, round(need.seconds / 60))} min with reading back"
