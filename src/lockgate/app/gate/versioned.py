"""Documents that two persons sign, version after version, each kept as two files in ``trust/``."""

from dataclasses import dataclass
from pathlib import Path

from lockgate.app.settings import Side


@dataclass(frozen=True, slots=True)
class Versioned:
    """How the versions of one kind of document are named.

    Attributes:
        prefix: What every name begins with, before six digits of the version.
        document: What the name of the document ends with.
        signed: What the name of the statement that puts it in force ends with.

    """

    prefix: str
    document: str
    signed: str

    def files(self, side: Side, version: int) -> tuple[Path, Path]:
        """Return the document and its signed statement of a version; they need not be there."""
        stem = f"{self.prefix}{version:06d}"
        return side.home.trust / f"{stem}{self.document}", side.home.trust / f"{stem}{self.signed}"

    def newest(self, side: Side) -> int:
        """Return the newest version that has a signed statement; 0 where there is none."""
        found = [
            path.name.removeprefix(self.prefix)
            for path in side.home.trust.glob(f"{self.prefix}*{self.signed}")
        ]
        numbers = [name.removesuffix(self.signed) for name in found]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)
