"""Programs that a station starts: without a shell, bounded, killed with all they started."""

import os
import selectors
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

from lockgate.crossing.station.errors import ScannerError

OUTPUT_LIMIT = 1 << 16
"""Bytes of a program's output that are kept; the rest is read and dropped."""

_PATHS = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: its status (negative for a signal), None where its time was over."""

    status: int | None
    output: str


def run_program(words: tuple[str, ...], seconds: float, folder: Path) -> Ended:
    """Run a program without a shell in a session of its own; all of it is killed when its time is over.

    Raises:
        ScannerError: It cannot be started.

    """
    try:
        process = subprocess.Popen(  # noqa: S603  # the operator names the program; there is no shell
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={"PATH": _PATHS, "LANG": "C.UTF-8"},
            start_new_session=True,
        )
    except OSError as error:
        what = f"The scanner {words[0]} cannot be started: {error.strerror}."
        raise ScannerError(what) from error
    with process:
        try:
            output, in_time = _drain(process, monotonic() + seconds)
        finally:
            # Whatever it started goes with it, and a child that kept the pipe cannot hold this process up.
            _kill(process.pid)
    return Ended(process.returncode if in_time else None, output.decode(errors="replace"))


def _drain(process: "subprocess.Popen[bytes]", until: float) -> tuple[bytes, bool]:
    """Read a program's output up to its end, keep the first of it, and tell whether it ended in time."""
    assert process.stdout is not None  # noqa: S101  # it was asked for
    kept, open_ = bytearray(), True
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while open_ and (left := until - monotonic()) > 0:
            if selector.select(left):
                piece = os.read(process.stdout.fileno(), 1 << 16)
                kept += piece[: OUTPUT_LIMIT - len(kept)]
                open_ = bool(piece)
    try:
        process.wait(max(0.0, until - monotonic()))
    except subprocess.TimeoutExpired:
        return bytes(kept), False
    return bytes(kept), True


def _kill(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
