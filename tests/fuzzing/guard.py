"""Watches a parser while it runs: whatever the input, it must not reach for anything outside of itself."""

import sys
from collections.abc import Callable
from typing import Any

WRITING = frozenset("wax+")
LEAVING = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.kill",
    "os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.chown",
    "subprocess.Popen", "os.truncate", "shutil.", "socket.", "urllib.Request", "webbrowser.open",
    "pty.spawn", "pickle.find_class", "sqlite3.connect", "ftplib.", "smtplib.",
)  # fmt: skip
"""Audit events (PEP 578) by their beginnings: each would be a way out of a parser."""


LOADING = ("exec", "marshal.loads", "ctypes.dlopen")
"""What an import does too."""


class EscapeError(BaseException):
    """A parser reached for something outside of itself. Nothing that a parser catches."""


class Guard:
    """Runs a parser on one input after another and keeps it from leaving."""

    def __init__(self) -> None:
        """Begin to watch; an audit hook stays for the life of the process."""
        self._watching = False
        self._seen = ""
        sys.addaudithook(self._hook)

    def _hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._watching:
            return
        leaves = event == "open" and _writes(arguments)
        if not leaves:
            leaves = event.startswith(LEAVING) or (event.startswith(LOADING) and not _imports())
        if leaves:
            self._seen = f"{event} {arguments[:2]!r}"[:300]
            raise EscapeError(self._seen)

    def call(self, run: Callable[[bytes], object], data: bytes) -> None:
        """Run a parser on one input.

        Raises:
            EscapeError: It tried to leave, whatever it made of the refusal.
            Exception: Anything that the target does not expect.

        """
        self._seen, self._watching = "", True
        try:
            run(data)
        finally:
            self._watching = False
            if self._seen:
                raise EscapeError(self._seen)


def _imports() -> bool:
    """Tell whether Python's own import loads code, or Jinja shows where a template is wrong.

    Jinja raises its error once more out of a code object of its own, which holds nothing of the template's.
    """
    frame = sys._getframe(2)
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        if frame.f_code.co_filename.endswith("jinja2/debug.py"):
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False


def _writes(arguments: tuple[Any, ...]) -> bool:
    _, mode, flags = arguments
    if isinstance(mode, str):
        return bool(WRITING & set(mode))
    return bool(isinstance(flags, int) and flags & 0o3)
