"""Which rules a sandbox scans with: the project's own, and packs that crossed and were admitted.

A pack is YARA source text (``virustotal.github.io/yara-x``, "Writing YARA rules"). It is signed by the
collector, admitted by two persons like everything, and compiled inside the sandbox only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from lockgate.core.digests import sha256
from lockgate.core.wire import digest_of
from lockgate.inspect.errors import BrokenContentError, NotInspectableError
from lockgate.inspect.limits import Limits, demand

OWN = Path(__file__).with_name("packs")
"""The project's own packs: general rules, and rules for scripts and pages."""

GENERAL, SCRIPTS = "own.yar", "scripts.yar"

MOUNT = Path("/rules")
"""Where a sandbox shows packs that crossed."""


@dataclass(frozen=True, slots=True)
class RulePack:
    """One pack that crossed: what it is called, its digest, and where a copy of it lies."""

    name: str
    sha256: str
    file: Path


@dataclass(frozen=True, slots=True)
class RuleSet:
    """The packs that count beside the project's own."""

    packs: tuple[RulePack, ...] = ()

    @classmethod
    def of(cls, packs: Iterable[RulePack], limits: Limits | None = None) -> Self:
        """Return a set within its bounds, its packs in order of their digests.

        Raises:
            OverLimitError: Too many packs, or too long together.
            NotInspectableError: A copy is not there, or not what its digest says.

        """
        bounds = limits or Limits()
        chosen = tuple(sorted(packs, key=lambda pack: pack.sha256))
        demand(len(chosen), bounds.rule_packs, "rule_packs")
        total = 0
        for pack in chosen:
            try:
                data = pack.file.read_bytes()
            except OSError as error:
                what = f"The rules {pack.name!r} cannot be read: {error.strerror}."
                raise NotInspectableError(what) from error
            total = demand(total + len(data), bounds.rule_bytes, "rule_bytes")
            if sha256(data) != pack.sha256:
                what = f"The copy of the rules {pack.name!r} is not what was admitted."
                raise NotInspectableError(what)
        return cls(chosen)

    @property
    def sha256(self) -> str:
        """Return the digest of the whole set; every verdict names the one that it was made under."""
        return digest_of({"own": own_digest(), "packs": [pack.sha256 for pack in self.packs]})


@cache
def own_digest() -> str:
    """Return the digest of the project's own packs."""
    return digest_of({name: sha256((OWN / name).read_bytes()) for name in (GENERAL, SCRIPTS)})


def source(data: bytes, name: str) -> str:
    """Return a pack's text.

    Raises:
        BrokenContentError: It is not UTF-8.

    """
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"The rules {name!r} are not UTF-8."
        raise BrokenContentError(what) from error
