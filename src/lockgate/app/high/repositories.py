"""What clients of package repositories have to be told of what is served now."""

from lockgate.app.gate.repository import signed_repositories
from lockgate.app.high.channel import CHANNEL, channel_reader, derived_pages
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.core.artifact import Kind
from lockgate.core.parts import rest_of
from lockgate.core.repository import RELEASE, REPOMD
from lockgate.core.snapshot import Snapshot
from lockgate.mirror import AptSource, AptSuites, DnfRepositories, DnfSource, SignedRepository

_COMPONENTS = "Components: "
_KEYS_LIMIT = 1 << 22
"""Longest file of a distribution's keys that is shown, in bytes."""


def served_to_apt(side: Side, channel: str = CHANNEL) -> AptSuites | None:
    """Return the repositories of a channel with the key that signs them; None where there are none.

    Raises:
        LockgateError: The channel does not verify.

    """
    signed, snapshot = _signed(side, channel)
    sources = tuple(
        _suite(path, each.release.decode(), snapshot)
        for path, each in sorted(signed.releases.items() if signed else ())
        if path.endswith(f"/{RELEASE}")
    )
    return AptSuites(signed.certificate, signed.fingerprint, sources) if signed and sources else None


def served_to_dnf(side: Side, channel: str = CHANNEL) -> DnfRepositories | None:
    """Return the RPM repositories of a channel with their keys; None where there are none.

    Raises:
        LockgateError: The channel does not verify.

    """
    signed, snapshot = _signed(side, channel)
    found: dict[tuple[str, str], DnfSource] = {}
    for path in sorted(signed.releases if signed else ()):
        if path.endswith(f"/{REPOMD}"):
            folder = path.removesuffix(f"/repodata/{REPOMD}")
            _, distribution, name, _ = folder.split("/")
            keys = _keys(side, snapshot, folder)
            found.setdefault((distribution, name), DnfSource(distribution, name, keys))
    sources = tuple(found.values())
    return DnfRepositories(signed.certificate, signed.fingerprint, sources) if signed and sources else None


def _signed(side: Side, channel: str) -> tuple[SignedRepository | None, Snapshot]:
    verified = channel_reader(side, "client-config", channel, pages=derived_pages).current()
    return signed_repositories(side, verified.statement, verified.snapshot), verified.snapshot


def _suite(path: str, release: str, snapshot: Snapshot) -> AptSource:
    """Return what one suite's Release file says of it."""
    folder = path.removesuffix(f"/{RELEASE}")
    repository, _, suite = folder.removeprefix("apt/").partition("/dists/")
    line = next(line for line in release.splitlines() if line.startswith(_COMPONENTS))
    has_sources = any(
        page.path.startswith(f"{folder}/") and page.path.endswith("/source/Sources")
        for page in rest_of(snapshot).generated
    )
    return AptSource(repository, (suite,), tuple(line.removeprefix(_COMPONENTS).split()), has_sources)


def _keys(side: Side, snapshot: Snapshot, folder: str) -> str:
    """Return the keys of a repository's distribution, as they were admitted last."""
    files = [
        (entry.crossing, file.sha256)
        for entry in rest_of(snapshot).admitted
        if entry.artifact.kind is Kind.RPM
        for file in entry.artifact.files
        if file.path == f"{folder}/keys.asc"
    ]
    return blobs_of(side).read(max(files)[1], limit=_KEYS_LIMIT).decode() if files else ""
