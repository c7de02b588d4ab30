"""What a case of the inspection corpus is."""

from dataclasses import dataclass, field

from lockgate.core.verdict import Outcome
from lockgate.inspect.engine import inspect_bytes
from lockgate.inspect.limits import Limits

WHEEL = "lock_demo-1.0-py3-none-any.whl"


@dataclass(frozen=True)
class Case:
    """A file, and what must come out: an outcome, or a code among its findings."""

    title: str
    name: str
    data: bytes = field(repr=False)
    kind: str = "file"
    outcome: Outcome | None = None
    code: str = ""
    detected: str = ""

    def __str__(self) -> str:
        return self.title


def inspected(data: bytes, name: str, kind: str = "file", limits: Limits | None = None):
    return inspect_bytes(memoryview(data), name, kind, limits or Limits())


def good(title, name, data, kind="file", *, outcome=Outcome.CLEAN, detected="") -> Case:
    return Case(title, name, data, kind, outcome=outcome, detected=detected)


def bad(title, name, data, code, kind="file") -> Case:
    return Case(title, name, data, kind, code=code)
