"""Mirrors for PyPI, npm, the Hugging Face Hub and plain files, served from a signed snapshot.

The gate takes `generate_pages`: the pages that approvers sign with the snapshot. The server
takes `SignedView`, `build_app` and `serve`; the last two are loaded when they are first used,
because the gate needs no web server.
"""

from typing import TYPE_CHECKING, Any

from lockgate.mirror.access import PUSH, Access, Caller, Callers, CertifiedCallers
from lockgate.mirror.channel import SignedChannel
from lockgate.mirror.clients.assets import Asset, asset_config, assets_of
from lockgate.mirror.clients.config import client_config, clients, shell_lines
from lockgate.mirror.clients.files import ClientConfig
from lockgate.mirror.clients.lockfiles import LOCKFILE_LIMIT, Rewritten, rewrite
from lockgate.mirror.clients.names import DNS, MirrorNames, dns_config
from lockgate.mirror.clients.repositories import (
    APT,
    DNF,
    AptSource,
    AptSuites,
    DnfRepositories,
    DnfSource,
)
from lockgate.mirror.errors import (
    AmbiguousSnapshotError,
    CannotListenError,
    LayoutError,
    MissingBlobError,
    NothingForClientError,
    NothingPublishedError,
    OlderChannelError,
    TamperedBlobError,
    UnsignedRepositoryError,
    WrongStatementError,
)
from lockgate.mirror.misses import Miss, read_misses
from lockgate.mirror.pages.base import Page, ReadBlob
from lockgate.mirror.pages.form import page_form
from lockgate.mirror.pages.pypi import generate_index
from lockgate.mirror.pages.renewed import renewed
from lockgate.mirror.ports import (
    Advice,
    Advisor,
    Asked,
    BlobFiles,
    ChannelVerifier,
    KnownAdvisory,
    RegistryKey,
    VerifiedChannel,
)
from lockgate.mirror.service import generate_pages
from lockgate.mirror.signed import SignedRepository, verify_signatures
from lockgate.mirror.uses import Use, read_uses
from lockgate.mirror.view import SignedView, ViewStatus

if TYPE_CHECKING:
    from lockgate.mirror.run import serve
    from lockgate.mirror.server import build_app

__all__ = [
    "APT",
    "DNF",
    "DNS",
    "LOCKFILE_LIMIT",
    "PUSH",
    "Access",
    "Advice",
    "Advisor",
    "AmbiguousSnapshotError",
    "AptSource",
    "AptSuites",
    "Asked",
    "Asset",
    "BlobFiles",
    "Caller",
    "Callers",
    "CannotListenError",
    "CertifiedCallers",
    "ChannelVerifier",
    "ClientConfig",
    "DnfRepositories",
    "DnfSource",
    "KnownAdvisory",
    "LayoutError",
    "MirrorNames",
    "Miss",
    "MissingBlobError",
    "NothingForClientError",
    "NothingPublishedError",
    "OlderChannelError",
    "Page",
    "ReadBlob",
    "RegistryKey",
    "Rewritten",
    "SignedChannel",
    "SignedRepository",
    "SignedView",
    "TamperedBlobError",
    "UnsignedRepositoryError",
    "Use",
    "VerifiedChannel",
    "ViewStatus",
    "WrongStatementError",
    "asset_config",
    "assets_of",
    "build_app",
    "client_config",
    "clients",
    "dns_config",
    "generate_index",
    "generate_pages",
    "page_form",
    "read_misses",
    "read_uses",
    "renewed",
    "rewrite",
    "serve",
    "shell_lines",
    "verify_signatures",
]


def __getattr__(name: str) -> Any:
    """Load the web server when it is asked for."""
    if name == "build_app":
        from lockgate.mirror.server import build_app  # noqa: PLC0415 - only servers need it

        return build_app
    if name == "serve":
        from lockgate.mirror.run import serve  # noqa: PLC0415 - only servers need it

        return serve
    message = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(message)
