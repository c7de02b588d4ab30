"""Bubblewrap killed before its promise to end what it made holds: nothing is left, nothing stays open."""

import os
import select
import signal
import sys
from pathlib import Path

from lockgate.inspect.launch import Bubblewrap, Layout
from lockgate.inspect.outer import Outer

WAIT = 180
"""Seconds until what holds a pipe counts as left behind."""

SETTING_UP = """#!{python}
import os, signal, sys
if not os.fork():
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(1, b"made")
    signal.pause()  # as bubblewrap's inner process waits for its users, whoever dies meanwhile
signal.pause()
"""


def ends(pipe: int) -> bool:
    """Tell whether every holder of a pipe's other end goes away."""
    return bool(select.select([pipe], [], [], WAIT)[0]) and os.read(pipe, 1) == b""


def started(folder: Path, held: int) -> Outer:
    program = folder / "bwrap"
    program.write_text(SETTING_UP.format(python=sys.executable))
    program.chmod(0o755)
    return Bubblewrap(str(program)).start(Layout((), (), ("python",)), (), None, (held,), answers=True)


def test_what_bubblewrap_made_ends_with_it_before_it_is_set_up(tmp_path: Path) -> None:
    reading, held = os.pipe()
    with started(tmp_path, held) as child:
        os.close(held)
        assert child.stdout is not None
        assert child.stdout.read(4) == b"made"
        child.kill()
        assert ends(reading)
        assert child.wait(WAIT) == -signal.SIGKILL
        child.kill()  # once it was waited for, its number may be another's
    os.close(reading)


def test_one_that_ended_by_itself_is_no_error(tmp_path: Path) -> None:
    program = tmp_path / "bwrap"
    program.write_text("#!/bin/sh\nexit 3\n")
    program.chmod(0o755)
    with Bubblewrap(str(program)).start(Layout((), (), ("python",)), (), None, (), answers=True) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        child.kill()
        assert child.wait(WAIT) == 3
