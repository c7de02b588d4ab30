"""What every command shares: options, printing, progress, and how errors end a run."""

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.markup import escape as _escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.segment import Segment
from rich.table import Table

from lockgate.core.visible import tame, tame_json, visible

HomeOption = Annotated[
    Path | None,
    typer.Option("--home", envvar="LOCKGATE_HOME", help="Folder of this side (holds lockgate.toml)."),
]
HostOption = Annotated[str, typer.Option("--host", help="Address to listen on (default: lockgate.toml).")]
PortOption = Annotated[int, typer.Option("--port", help="Port to listen on (default: lockgate.toml).")]
SignedArguments = Annotated[
    list[Path] | None, typer.Argument(help="Carry it out: the request as each approver signed it.")
]
AskKeyOption = Annotated[
    Path | None, typer.Option("--key", help="Ask for it: folder with your operator.pem and operator.pass.")
]
RequestOutOption = Annotated[
    Path | None, typer.Option("--out", help="Where the request goes (default: pending/).")
]
ApproverKeyOption = Annotated[
    str, typer.Option("--key", help="Folder with approver.pem and approver.pass, or a pkcs11: address.")
]
TokenPinOption = Annotated[Path | None, typer.Option("--token-pin-file", help="File with the token's PIN.")]
SiteRootOption = Annotated[
    list[Path],
    typer.Option("--site-root", help="The site root (trust/site.dsse.json); repeat it for later versions."),
]
SitePinOption = Annotated[str, typer.Option("--pin", help="The site root's pin, from your own notes.")]
YesOption = Annotated[bool, typer.Option("--yes", help="Sign without asking.")]
QrOption = Annotated[Path | None, typer.Option("--qr", help="Write it as a QR picture (PNG) as well.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


class Terminal(Console):
    """A console that hands no character of a text to the terminal that the terminal would obey."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Yield what is drawn; the console's own control sequences stay as they are.

        No cell of a table is cut on a narrow terminal: two of them may begin alike.
        """
        if isinstance(renderable, Table):
            for column in renderable.columns:
                column.overflow = "fold"
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(tame(segment.text), segment.style)


out = Terminal(highlight=False)
err = Terminal(stderr=True, highlight=False)


def escape(text: str) -> str:
    """Return a text of others for one line of a console: neither markup, nor hidden, nor of more lines."""
    return _escape(visible(text))


def emit(as_json: bool, value: Any, render: Callable[[Console], None]) -> None:
    """Print a result: one JSON object for programs, or what `render` draws for people."""
    if as_json:
        sys.stdout.write(tame_json(json.dumps(value, default=str, ensure_ascii=False)) + "\n")
    else:
        render(out)


def draw_list(console: Console, table: Table, nothing: str) -> None:
    """Draw a table, or say in words that there is nothing in it."""
    console.print(table if table.row_count else nothing)


class Bars:
    """A `core.ports.Progress` that draws bars on standard error, and plain lines when it is no terminal."""

    def __init__(self, *, quiet: bool = False, unit_bytes: bool = True) -> None:
        """Begin; `quiet` draws nothing (with ``--json``)."""
        columns = [TextColumn("[bold]{task.description}"), BarColumn()]
        columns += (
            [DownloadColumn(), TransferSpeedColumn()]
            if unit_bytes
            else [TextColumn("{task.completed}/{task.total}")]
        )
        self._bars = Progress(
            *columns, TimeRemainingColumn(), console=err, disable=quiet or not err.is_terminal
        )
        self._quiet = quiet
        self._task: Any = None

    def __enter__(self) -> Self:
        """Start drawing."""
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop drawing."""
        self._bars.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Draw nothing while somebody is asked something."""
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def start(self, task: str, total: int) -> None:
        """Begin a task."""
        if not self._quiet and not err.is_terminal:
            err.print(f"  {task} …")
        self._task = self._bars.add_task(task, total=total or None)

    def advance(self, count: int) -> None:
        """Report that much more done."""
        if self._task is not None:
            self._bars.advance(self._task, count)

    def finish(self) -> None:
        """End the task."""
        self._task = None


def human(size: int) -> str:
    """Return a length in bytes as people read it."""
    value = float(size)
    for unit in ("B", "kB", "MB", "GB"):
        if value < 1000 or unit == "GB":  # noqa: PLR2004  # SI steps
            return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1000
    return f"{size} B"
