"""``lockgate store``: what a side's blob store holds, and what nothing holds any more."""

from typing import TYPE_CHECKING, Annotated

import typer

from lockgate.cli.shared import HomeOption, JsonOption, emit

if TYPE_CHECKING:
    from rich.console import Console

app = typer.Typer(no_args_is_help=True, help="Look after the blobs of a side.")


@app.callback()
def _group() -> None:
    """Keep `gc` a command of its own."""


@app.command()
def gc(
    grace_hours: Annotated[
        int, typer.Option(help="How long a blob stays marked before it is removed, in hours.", min=1)
    ] = 168,
    keep: Annotated[
        int,
        typer.Option(help="Versions of each channel whose content is kept, the newest; 0 keeps all.", min=0),
    ] = 0,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Mark blobs that nothing holds; remove those that were marked longer ago than the grace.

    Services, publications and sealing go on meanwhile: what one of them picks up is not removed.
    With `--keep` a channel can be rolled back to no older version than those.

    Examples:
      lockgate store gc --dry-run --home lane/high
      lockgate store gc --keep 5 --home lane/high
    """
    from datetime import timedelta

    from lockgate.app.record.garbage import collect_garbage
    from lockgate.app.settings import load_settings
    from lockgate.cli.shared import Bars, human

    with Bars(quiet=as_json, unit_bytes=False) as bars:
        grace = timedelta(hours=grace_hours)
        found = collect_garbage(load_settings(home), grace, keep, bars, dry=dry_run)
    parts = {
        "marked": found.marked,
        "waiting": found.waiting,
        "removed": found.removed,
        "spared": found.spared,
    }

    def show(console: "Console") -> None:
        console.print(f"{found.blobs} blobs, {found.live} of them held")
        would = "would be " if dry_run else ""
        for name, blobs in parts.items():
            if blobs:
                console.print(f"  {len(blobs)} {would}{name}, {human(sum(blobs.values()))}")

    counts = {"dry_run": dry_run, "blobs": found.blobs, "held": found.live}
    sizes = {f"{name}_bytes": sum(blobs.values()) for name, blobs in parts.items()}
    emit(as_json, {**counts, **{name: sorted(blobs) for name, blobs in parts.items()}, **sizes}, show)
