"""``lockgate rehearse``: the present lock tried on a throw-away high side, before it leaves."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from lockgate.cli.shared import Bars, HomeOption, JsonOption, emit, escape

if TYPE_CHECKING:
    from lockgate.core.rehearsal import Rehearsal, Rehearsed

app = typer.Typer(help="Try what was collected on a throw-away high side (low side).")

_ENDS = {"passed": 0, "failed": 1, "unproven": 8}
"""Exit statuses: a check found something is 1; nothing could be proven is 8."""

_COLOURS = {"passed": "green", "failed": "red", "unproven": "yellow"}


@app.command()
def rehearse(
    manifest: Annotated[Path, typer.Argument(help="The manifest that the present lock was collected from.")],
    host: Annotated[
        Path | None,
        typer.Option("--host", help="Signed profile of the high-side host (default: the one before)."),
    ] = None,
    home: HomeOption = None,
    as_json: JsonOption = False,
) -> None:
    """Publish the lock to a throw-away high side without a network, and use it with the real clients.

    Every requirement set is installed from its mirrors, every model loaded and asked one prompt, as far as
    this machine can stand for the host. What is missing is named, with the lines of a manifest that bring
    it. The signed result counts for this lock alone; `lockgate seal` warns without one that passed.
    It ends with 1 when it failed, and with 8 when nothing for the host's processor can be run here.

    Examples:
      lockgate rehearse demo/demo.toml --host host.profile.json --home lane/low
      lockgate rehearse demo/demo.toml --home lane/low --json
    """
    from lockgate.app.rehearsal.service import rehearse as try_out
    from lockgate.app.settings import load_settings

    side = load_settings(home).require("low")
    signal.signal(signal.SIGTERM, _leave)
    with Bars(quiet=as_json) as bars:
        found = try_out(side, manifest, host, bars)
    emit(as_json, as_value(found), lambda console: draw(console, found))
    if not found.passed:
        raise typer.Exit(_ENDS[found.mark])


def _leave(number: int, frame: object) -> None:
    """End as after Ctrl-C, so that nothing of the throw-away side stays."""
    del frame
    sys.exit(128 + number)


def as_value(found: "Rehearsal") -> dict[str, Any]:
    """Return a rehearsal as programs read it."""
    import msgspec

    value: dict[str, Any] = msgspec.to_builtins(found)
    return {"passed": found.passed, "result": found.mark, **value}


def draw(console: Console, found: "Rehearsal") -> None:
    """Print the steps, what is missing with the lines that bring it, and how it ended."""
    table = Table("Step", "Result", "Why", "s")
    for step in found.steps:
        colour = _COLOURS[step.mark]
        table.add_row(escape(step.what), f"[{colour}]{step.mark}[/]", escape(step.why), str(step.seconds))
    console.print(table)
    for each in found.missing:
        console.print(f"[red]missing[/] {each.protocol}: {escape(each.name)} {escape(each.version)}".rstrip())
        for line in each.proposal.splitlines():
            console.print(f"    {escape(line)}")
    console.print(f"for {escape(found.host)}; {found.left_packets} packets left the throw-away side")
    ends = {"passed": "passed", "failed": "failed", "unproven": "proves nothing for this host"}
    console.print(f"[{_COLOURS[found.mark]}]The rehearsal {ends[found.mark]}.[/]")


def warn(console: Console, found: "Rehearsed") -> None:
    """Print a warning where a lock has no rehearsal that passed, and one line where it has."""
    if found.passed:
        console.print(f"Rehearsed: {escape(found.why)}")
    else:
        console.print(
            f"[yellow]not rehearsed[/] {escape(found.why)} Run `lockgate rehearse` before it leaves."
        )
