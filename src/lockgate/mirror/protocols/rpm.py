"""The protocol of dnf: ``repomd.xml`` with its signature, indexes by their digest, and packages."""

from types import MappingProxyType

from lockgate.core.repository import REPOMD
from lockgate.mirror.entries import SignedEntries, Table
from lockgate.mirror.protocols.repositories import SignedRoutes


class RpmRoutes(SignedRoutes):
    """Everything below ``/rpm/``."""

    protocol = "rpm"
    index = REPOMD
    signed = MappingProxyType(
        {REPOMD: lambda signed: signed.release, f"{REPOMD}.asc": lambda signed: signed.detached}
    )

    def entries(self, table: Table) -> SignedEntries:
        """Return the repositories and their packages."""
        return table.rpm

    def names_content(self, path: str) -> bool:
        """Tell whether an index is asked for: each bears its digest in its name."""
        return "/repodata/" in path

    def is_miss(self, path: str) -> bool:
        """Tell whether a package or a repository is missing."""
        return path.endswith((".rpm", f"/{REPOMD}"))
