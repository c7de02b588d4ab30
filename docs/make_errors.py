"""Writes `docs/errors.md` from the error classes themselves.

Run it when an error was added or changed: `python docs/make_errors.py`. A test compares the file
with what this script would write.
"""  # noqa: INP001  # a script beside the documents, no package

import importlib
import inspect
import pkgutil
from pathlib import Path

import lockgate
from lockgate.core.errors import LockgateError

TARGET = Path(__file__).resolve().with_name("errors.md")

FAULTS = {
    "1": ("Input", 2, "The operator can fix it: a wrong argument, file or configuration."),
    "2": ("Trust", 3, "Somebody tampered, or a key is wrong."),
    "3": ("Policy", 4, "A rule said no."),
    "4": ("Limit", 5, "A bound was reached."),
    "5": ("Host", 6, "The machine: disk, network, a missing tool."),
}
SHARED = {"app": "app and cli", "cli": "app and cli"}
"""Rooms that share one digit and one name."""

HEAD = """# Errors

Every error that Lockgate raises has a stable code, one sentence of what happened, and advice.
The command line prints all three and ends with the exit status of the group; `--json` prints them
as one object on standard error; `--debug` adds the traceback.

A code is `LG-` and four hexadecimal digits: whose fault it is (the groups below), the room of
`src/lockgate/` that raises it, and a number of the room's own.

Other exit statuses: 0 done, 1 a check found something or a command was left, 7 a crossing waits for
volumes. `lockgate inspect` and `lockgate isolate check` end with 4 when what they looked at does not
pass. `lockgate advisories match` ends with 4 when a package is affected, and with 8 when none is
and one is unknown to the database or the database is too old.

This file is generated: `python docs/make_errors.py`.
"""


def error_classes() -> list[type[LockgateError]]:
    """Return every error class of the product that has a code of its own, by code."""
    for module in pkgutil.walk_packages(lockgate.__path__, "lockgate."):
        importlib.import_module(module.name)
    found: list[type[LockgateError]] = []
    waiting: list[type[LockgateError]] = [LockgateError]
    while waiting:
        for kind in waiting.pop().__subclasses__():
            waiting.append(kind)
            if kind not in found and "code" in vars(kind) and kind.__module__.startswith("lockgate."):
                found.append(kind)
    return sorted(found, key=lambda kind: (kind.code, kind.__qualname__))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _row(kind: type[LockgateError]) -> str:
    folder = kind.__module__.split(".")[1]
    room = SHARED.get(folder, folder)
    summary = (inspect.getdoc(kind) or "").partition("\n\n")[0]
    return f"| `{kind.code}` | {room} | `{kind.__name__}` | {_cell(summary)} | {_cell(kind.advice)} |"


def render() -> str:
    """Return the whole document."""
    classes = error_classes()
    parts = [HEAD]
    for digit, (name, status, meaning) in FAULTS.items():
        rows = [_row(kind) for kind in classes if kind.code[3] == digit]
        parts.append(f"\n## {name} errors (exit status {status})\n\n{meaning}\n\n")
        parts.append("| Code | Room | Class | What happened | What to do |\n|---|---|---|---|---|\n")
        parts.append("\n".join(rows) + "\n")
    return "".join(parts)


if __name__ == "__main__":
    TARGET.write_text(render())
