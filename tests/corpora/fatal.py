"""Killing a child at a named function, so that what a power cut leaves can be looked at."""

import os
import signal
from collections.abc import Callable
from typing import Any


def killed(work: Callable[[], Any], place: tuple[Any, str], *, before: bool) -> None:
    """Do something in a child that is killed when it comes to a function, before or after it."""
    child = os.fork()
    if child == 0:
        owner, name = place
        real = getattr(owner, name)

        def fatal(*words: Any, **more: Any) -> None:
            if not before:
                real(*words, **more)
            os.kill(os.getpid(), signal.SIGKILL)

        setattr(owner, name, fatal)
        try:
            work()
        finally:
            os._exit(3)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status), f"the child came past {place[1]}: {status}"
    assert os.WTERMSIG(status) == signal.SIGKILL
