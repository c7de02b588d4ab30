"""Looking at the newest verdicts when something is loaded: the signed list of what may not be."""

from pathlib import Path

from lockgate.app.files import read_named, write_whole
from lockgate.app.settings import Side
from lockgate.approve import SiteRoots
from lockgate.core.errors import TrustError
from lockgate.core.refusals import REFUSALS_FORMAT, REFUSALS_LIMIT, REFUSALS_TYPE, Refusals
from lockgate.core.roots import Purpose
from lockgate.core.wire import decode
from lockgate.trust.dsse import open_envelope, verify

_DIGITS = 18


class RefusalsLostError(TrustError):
    """The list of what may not be loaded is gone, older than one seen before, or not what was signed."""

    code = "LG-2f21"
    advice = "Nothing new is loaded until it is back: `lockgate gate reinspect` writes it again."


def refusals_file(side: Side) -> Path:
    """Return where the gate writes the signed list."""
    return side.home.channels / "refusals.dsse.json"


class SignedRefusals:
    """The newest list, as far as a service of its own has seen; it never goes back to an older one.

    Args:
        side: The high side.
        roots: Names the inspectors.
        service: Names the service's own file, which keeps the highest number that it saw.

    """

    def __init__(self, side: Side, roots: SiteRoots, service: str) -> None:
        """Keep what is needed; nothing is read yet."""
        self._side = side
        self._roots = roots
        self._floor_file = side.home.run / f"{service}-refusals.number"

    def reason(self, sha256: str) -> str | None:
        """Return why a file may not be loaded, or None where nothing speaks against it.

        Raises:
            RefusalsLostError: Nobody can tell.

        """
        file, floor = refusals_file(self._side), self._floor()
        if not file.is_file():
            if floor:
                what = f"List {floor} of what may not be loaded was here, and is gone."
                raise RefusalsLostError(what)
            return None
        newest = self._read(file)
        if newest.number < floor:
            what = f"List {newest.number} of what may not be loaded is older than {floor}, which was here."
            raise RefusalsLostError(what)
        if newest.number > floor:
            write_whole(self._floor_file, str(newest.number).encode())
        return newest.refused.get(sha256)

    def _read(self, file: Path) -> Refusals:
        site = self._roots.newest()
        opened = open_envelope(read_named(file, limit=REFUSALS_LIMIT), limit=REFUSALS_LIMIT)
        made = decode(Refusals, opened.payload, limit=REFUSALS_LIMIT, name="refusals")
        verify(opened, site, Purpose.INSPECTOR, made.made, REFUSALS_TYPE)
        if (made.format, made.lane) != (REFUSALS_FORMAT, site.lane):
            what = f"The list of what may not be loaded is of lane {made.lane!r} and format {made.format!r}."
            raise RefusalsLostError(what)
        return made

    def _floor(self) -> int:
        if not self._floor_file.is_file():
            return 0
        text = read_named(self._floor_file, limit=_DIGITS).decode("ascii", "replace")
        if not text.isascii() or not text.isdecimal():
            what = f"{self._floor_file} does not say which list was here before."
            raise RefusalsLostError(what, advice="Look at the newest list, then remove the file.")
        return int(text)
