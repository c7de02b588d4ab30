"""The apt protocol: Release files with their signatures, indexes by name and by digest, and the pool."""

from types import MappingProxyType

from lockgate.core.repository import RELEASE
from lockgate.mirror.entries import SignedEntries, Table
from lockgate.mirror.protocols.repositories import SignedRoutes

_BY_HASH = "/by-hash/"


class AptRoutes(SignedRoutes):
    """Everything below ``/apt/``."""

    protocol = "apt"
    index = RELEASE
    signed = MappingProxyType(
        {
            "InRelease": lambda signed: signed.in_release,
            "Release": lambda signed: signed.release,
            "Release.gpg": lambda signed: signed.detached,
        }
    )

    def entries(self, table: Table) -> SignedEntries:
        """Return the suites and their pools."""
        return table.apt

    def names_content(self, path: str) -> bool:
        """Tell whether apt asks for an index by its digest."""
        return _BY_HASH in path

    def is_miss(self, path: str) -> bool:
        """Tell whether a package or a suite is missing."""
        return "/pool/" in path or path.endswith("/InRelease")
