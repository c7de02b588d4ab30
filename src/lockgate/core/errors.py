"""Errors, sorted by whose fault they are; each has a stable code and advice.

A code is ``LG-`` and four hexadecimal digits: whose fault (1 input, 2 trust, 3 policy,
4 limit, 5 host), the room (0 core, 1 trust, 2 store, 3 audit, 4 approve and advisories, 5 collect,
6 inspect, 7 crossing, 8 admit, 9 mirror, a infer and guard, b knowledge, c watch, d isolate,
e console, f app and cli), and two digits of the room's own.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar


class LockgateError(Exception):
    """Anything Lockgate refuses or cannot do.

    Args:
        what: One sentence of what happened.
        advice: What to do about it; the class's own advice when left out.
        where: Facts that locate the trouble (file, offset, purl …), shown and logged.

    """

    code: ClassVar[str] = "LG-0000"
    advice: ClassVar[str] = "Run the command again with --debug and report what it prints."
    exit_status: ClassVar[int] = 1

    def __init__(self, what: str, *, advice: str | None = None, **where: Any) -> None:
        """Keep the sentence, the advice and the facts."""
        super().__init__(what)
        self.what = what
        self.what_to_do = advice or self.advice
        self.where = {key: value for key, value in where.items() if value is not None}

    def as_dict(self) -> dict[str, Any]:
        """Return the error as the object that ``--json`` prints."""
        where = {k: v if isinstance(v, int | bool) else str(v) for k, v in self.where.items()}
        return {"code": self.code, "error": self.what, "advice": self.what_to_do, "where": where}

    def __str__(self) -> str:
        """Return code, sentence and the facts."""
        facts = "".join(f" [{key}={value}]" for key, value in self.where.items())
        return f"{self.code}: {self.what}{facts}"


@contextmanager
def about(path: Path) -> Iterator[None]:
    """Let an error of what is read out of a file say which file that is."""
    try:
        yield
    except LockgateError as error:
        error.where.setdefault("file", path)
        raise


class InputError(LockgateError):
    """The operator can fix it: a wrong argument, file or configuration."""

    code = "LG-1000"
    exit_status = 2


class TrustError(LockgateError):
    """Somebody tampered, or a key is wrong."""

    code = "LG-2000"
    exit_status = 3


class PolicyError(LockgateError):
    """A rule said no."""

    code = "LG-3000"
    exit_status = 4


class LimitError(LockgateError):
    """A bound was reached."""

    code = "LG-4000"
    exit_status = 5


class HostError(LockgateError):
    """The machine: disk, network, a missing tool."""

    code = "LG-5000"
    exit_status = 6


class MalformedDocumentError(InputError):
    """A document of our own is not what its format says."""

    code = "LG-1001"
    advice = "Check that the file is complete and was made by this or an older Lockgate."


class NotCanonicalError(TrustError):
    """A signed document has bytes that its content does not determine."""

    code = "LG-2001"
    advice = "Somebody re-encoded or altered the document. Ask for the original."


class TooLargeError(LimitError):
    """An input is over its bound."""

    code = "LG-4001"
    advice = "The bound belongs to this version. If the input is honest, split it."
