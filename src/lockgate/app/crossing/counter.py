"""A clerk's counter: the chains in a folder, one key of the clerk's own, and one hand-over at a time.

The key stays in this process, on the clerk's own machine. Whoever shows pages elsewhere, the console
included, can show something false and sign nothing.
"""

import os
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.crossing.custody import (
    CHAIN_SUFFIX,
    Seen,
    StopAndCallError,
    clerk_key,
    custodians_of,
    demand_package,
    hand_over,
    short_code,
)
from lockgate.app.files import NamedFileError, read_named
from lockgate.app.keys import KeyPlace
from lockgate.app.settings import Side
from lockgate.app.trust import utc_now
from lockgate.core.custody import HandOver, SignedHandOver, plain_marks
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.roots import Purpose
from lockgate.crossing.custody import CHAIN_LIMIT, verify_chain
from lockgate.crossing.errors import CustodyPlaceError
from lockgate.store.blobs import sync_folder

CHAINS_LIMIT = 256
"""Most chains that a counter's folder is searched for."""

MISTAKES_LIMIT = 3
"""How often a package may be looked at again before only calling is left."""


class NoPackageError(StopAndCallError):
    """No chain at this counter is of the package whose slip was read."""

    code = "LG-2f51"
    advice = "Stop and call the number on the slip: nobody handed this package over here."


class ManyChainsError(InputError):
    """A counter's folder cannot be searched."""

    code = "LG-1f51"
    advice = f"Name a folder with at most {CHAINS_LIMIT} chains; move those of ended crossings away."


@dataclass(frozen=True, slots=True)
class Package:
    """A package that a slip was read of: its chain's file and the last hand-over."""

    file: Path
    last: HandOver

    @property
    def code(self) -> str:
        """Return the short code that stands on the slip."""
        return short_code(self.last.crossing, self.last.crate_sha256)


class Desk:
    """What a clerk does at a counter: read a slip, look at seals and person, sign."""

    def __init__(self, side: Side, folder: Path, key: KeyPlace, place: str) -> None:
        """Open a counter.

        Args:
            side: The counter's side; of its home only the configuration and ``trust/`` are used.
            folder: Holds the chains of packages that come and go here.
            key: The clerk's own key.
            place: Where this counter is.

        Raises:
            UnknownKeyError, KeyPurposeError, KeyFileError, TokenError: Not a custodian's key.

        """
        self._side, self._folder, self._key, self.place = side, folder, key, place
        custodians = custodians_of(side)
        signer = clerk_key(key, custodians)
        root = custodians.site if signer.keyid in custodians.site.keys else custodians.supply
        self.person = root.held(signer.keyid, Purpose.CUSTODIAN, utc_now()).person
        self._mistakes: dict[str, int] = {}

    @property
    def lane(self) -> str:
        """Return the lane's name."""
        return self._side.lane

    @property
    def call(self) -> str:
        """Return whom to call."""
        return self._side.settings.custody.call

    def find(self, slip: str) -> Package:
        """Return the package that a slip names.

        Raises:
            NoPackageError: No chain here is of it, or the chain does not verify.
            ManyChainsError: The folder cannot be searched.

        """
        found, broken = [], 0
        for file in self._files():
            try:
                chain = verify_chain(read_named(file, limit=CHAIN_LIMIT), custodians_of(self._side))
                demand_package(slip, chain[-1].handover)
            except CustodyPlaceError:
                continue
            except (LockgateError, NamedFileError):
                broken += 1
                continue
            found.append((len(chain), Package(file, chain[-1].handover)))
        if not found:
            what = f"No chain at this counter is of the package {slip[:40]!r}."
            if broken:
                what += f" {broken} of the chains here do not verify."
            raise NoPackageError(what)
        return max(found, key=lambda pair: pair[0])[1]

    def _files(self) -> list[Path]:
        try:
            files = sorted(self._folder.glob(f"*{CHAIN_SUFFIX}"))
        except OSError as error:
            what = f"{self._folder} cannot be searched: {error.strerror}."
            raise ManyChainsError(what) from error
        if not self._folder.is_dir() or len(files) > CHAINS_LIMIT:
            what = f"{self._folder} is no folder, or has more than {CHAINS_LIMIT} chains."
            raise ManyChainsError(what)
        return files

    def gives(self, package: Package) -> bool:
        """Tell whether the clerk has the package, and can only give it away."""
        return package.last.receiver == self.person

    def done(self, package: Package) -> bool:
        """Tell whether the clerk signed the last hand-over of a package and gave or got it there."""
        last = package.last
        return not last.packed and last.clerk == self.person

    def closed(self, code: str) -> bool:
        """Tell whether a package was not right so often that only calling is left."""
        return self._mistakes.get(code, 0) >= MISTAKES_LIMIT

    def sign(self, slip: str, seals: str, other: str) -> SignedHandOver:
        """Sign that the package goes between the clerk and somebody, when everything is as it should be.

        Args:
            slip: What the slip says.
            seals: The numbers that the clerk read, with spaces between.
            other: Who gives it to the clerk, or gets it, by the name on the badge.

        Raises:
            StopAndCallError: Something is not; nothing was signed.

        """
        package = self.find(slip)
        if self.closed(package.code):
            what = f"The package {package.code} was looked at {MISTAKES_LIMIT} times and was never right."
            raise StopAndCallError(what)
        try:
            name = " ".join(other.split())
            if not name or name == self.person:
                raise StopAndCallError("Nobody is named on the other side of the counter.")
            parties = ("", name) if self.gives(package) else (name, "")
            seen = Seen(place=self.place, seals=plain_marks(seals.replace(",", " ").split()))
            data = read_named(package.file, limit=CHAIN_LIMIT)
            longer = hand_over(self._side, data, self._key, parties, seen)
        except LockgateError:
            self._mistakes[package.code] = self._mistakes.get(package.code, 0) + 1
            raise
        _replace(package.file, longer)
        self._mistakes.pop(package.code, None)
        return verify_chain(longer, custodians_of(self._side))[-1]


def _replace(file: Path, data: bytes) -> None:
    """Put a longer chain in a chain's place, whole or not at all."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with partial.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        partial.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        what = f"{file} cannot be written: {error.strerror}."
        raise NamedFileError(what) from error
