"""``lockgate gate reinspect``: look again at what was admitted, since rules or inspectors are newer."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, escape, human

if TYPE_CHECKING:
    from lockgate.app.gate.rechecked import ReinspectionState
    from lockgate.app.gate.reinspect import Due

BEYOND = 5


def reinspect(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what is old.")] = False,
    rate: Annotated[
        int, typer.Option(min=0, help="Most bytes to look at in a second; 0: as lockgate.toml says.")
    ] = 0,
    jobs: Annotated[int, typer.Option(min=0, help="Files at a time, and one more; 0: one a processor.")] = 0,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Look again at everything admitted whose verdicts rest on older rules or inspectors, and sign new ones.

    What newer verdicts hold is taken from the channels as far as the policy lets the gate do that by itself.
    Ends with 5 while something is still served though newer verdicts hold it.

    Example: lockgate gate reinspect --dry-run --home lane/high
    """
    import msgspec

    from lockgate.app.gate import reinspect as job
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("high")
    if dry_run:
        with Bars(quiet=as_json) as bars:
            found = job.due(side, bars)
        value = {"artifacts": list(found.artifacts), "files": found.files, "bytes": found.size}
        emit(as_json, value, lambda out: _list(out, found))
        return
    with Bars(quiet=as_json) as bars:
        state = job.reinspect(side, bars, rate=rate, jobs=jobs or None)
    emit(as_json, msgspec.to_builtins(state), lambda out: _show(out, state))
    if state.beyond:
        raise typer.Exit(BEYOND)


def _list(out: Console, found: "Due") -> None:
    what = f"{len(found.artifacts)} artifacts, {found.files} files, {human(found.size)}"
    out.print(f"Old verdicts: {what}")
    for purl in found.artifacts[:50]:
        out.print(f"  {escape(purl)}")


def _show(out: Console, state: "ReinspectionState") -> None:
    out.print(f"{state.sentence[:1].upper()}{state.sentence[1:]}")
    for each in state.changed:
        held = " [red]held[/]" if each.held else ""
        codes = escape(", ".join(each.codes))
        out.print(f"  {escape(each.purl)}: {each.before} → {each.after}{held} {codes}")
    for taken in state.taken:
        for word, names in (("withdrawn", taken.withdrawn), ("held", taken.held)):
            for purl in names:
                out.print(f"  [yellow]{word}[/] from {taken.channel}: {escape(purl)}")
        for purl in taken.beyond:
            out.print(f"  [bold red]still served[/] on {taken.channel}: {escape(purl)}")
