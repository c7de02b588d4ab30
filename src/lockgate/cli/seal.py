"""``lockgate seal``: what was collected becomes a crate."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, err, human

if TYPE_CHECKING:
    from lockgate.app.crossing.seal import SealChoices
    from lockgate.app.settings import Side

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
    earliest: Annotated[
        int | None,
        typer.Option(
            "--from", min=1, help="Build only on crossings from this number on (default: seal.build_from)."
        ),
    ] = None,
    medium: Annotated[
        str | None, typer.Option("--medium", help="Volumes for fat32, dvd, bd25, bd50, bd100, or bytes.")
    ] = None,
    to: Annotated[
        list[Path] | None,
        typer.Option("--to", help="Seal straight onto a mounted medium; repeat it for media side by side."),
    ] = None,
    one_by_one: Annotated[
        bool, typer.Option("--one-by-one", help="Ask for one medium after another, all mounted at --to.")
    ] = False,
    next_from: Annotated[
        Path | None,
        typer.Option("--next-from", help="File that names the folders of the media after --to, one a line."),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an unfinished sealing onto media.")
    ] = False,
    replace: Annotated[
        int | None, typer.Option("--replace", min=1, help="With --resume: seal this lost medium again.")
    ] = None,
    give_up: Annotated[
        bool,
        typer.Option("--give-up", help="Discard an unfinished sealing, here and on media at --to."),
    ] = False,
    cleartext: Annotated[
        bool, typer.Option("--cleartext", help="Sign only: everybody can read it. The policy must permit it.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Seal the current lock for the site's recipients, into the outbox.

    Files that were sent before do not cross again, and new versions cross as patches against what was
    sent, acknowledged or not. When a crossing got lost, --since names the last one that arrived.
    A recipient that joined the lane later holds nothing from before: --from names its first crossing.

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
      lockgate seal --to /media/a --to /media/b --parity 20% --home lane/low
      lockgate seal --to /media/usb --one-by-one --home lane/low
      lockgate seal --resume --to /media/usb --one-by-one --home lane/low
    """
    from lockgate.app.crossing.seal import SealChoices
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("low")
    if full and (since is not None or earliest is not None):
        raise typer.BadParameter("--full builds on nothing, --since and --from on crossings")
    _demand_media(to, named=one_by_one or next_from is not None, replace=replace, resume=resume)
    choices = SealChoices(
        parity=parity,
        full=full,
        since=since,
        earliest=earliest,
        medium=medium,
        to=tuple(to or ()),
        one_by_one=one_by_one or next_from is not None,
        cleartext=cleartext,
    )
    if give_up:
        from lockgate.cli.seal_media import give_up_media

        give_up_media(side, choices, as_json=as_json)
    elif plan:
        from lockgate.cli.seal_plan import show_plan

        show_plan(side, choices, as_json=as_json)
    elif to:
        from lockgate.app.crossing.seal import Resuming
        from lockgate.cli.seal_media import seal_media

        more = Resuming(replace) if resume else None
        seal_media(side, choices, more, next_from=next_from, as_json=as_json)
    else:
        _to_outbox(side, choices, as_json=as_json)


def _demand_media(to: list[Path] | None, *, named: bool, replace: int | None, resume: bool) -> None:
    """Refuse options of sealing onto media that have no medium to go with."""
    if (named or resume) and not to:
        raise typer.BadParameter("--one-by-one, --next-from and --resume need the medium: name it with --to")
    if replace is not None and not resume:
        raise typer.BadParameter("--replace belongs to --resume")


def _to_outbox(side: "Side", choices: "SealChoices", *, as_json: bool) -> None:
    """Seal into the outbox and print what lies there."""
    from lockgate.app.crossing.seal import seal_crate
    from lockgate.app.rehearsal.standing import rehearsed
    from lockgate.cli.rehearse import warn

    tried = rehearsed(side)
    if not (as_json or tried.passed):
        warn(err, tried)
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
        "rehearsal": {"standing": tried.standing, "why": tried.why},
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

    emit(as_json, value, render)
