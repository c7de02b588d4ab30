"""What clients of package repositories have to be told of what is served now."""

from lockgate.app.gate.repository import signed_repositories
from lockgate.app.high.serving import CHANNEL, channel_reader, derived_pages
from lockgate.app.settings import Side
from lockgate.core.repository import RELEASE
from lockgate.core.snapshot import Snapshot
from lockgate.mirror import AptSource, AptSuites

_COMPONENTS = "Components: "


def served_to_apt(side: Side, channel: str = CHANNEL) -> AptSuites | None:
    """Return the repositories of a channel with the key that signs them; None where there are none.

    Raises:
        LockgateError: The channel does not verify.

    """
    verified = channel_reader(side, "client-config", channel, pages=derived_pages).current()
    signed = signed_repositories(side, verified.statement, verified.snapshot)
    if signed is None:
        return None
    sources = tuple(
        _source(path, each.release.decode(), verified.snapshot)
        for path, each in sorted(signed.releases.items())
    )
    return AptSuites(signed.certificate, signed.fingerprint, sources)


def _source(path: str, release: str, snapshot: Snapshot) -> AptSource:
    """Return what one suite's Release file says of it."""
    folder = path.removesuffix(f"/{RELEASE}")
    repository, _, suite = folder.removeprefix("apt/").partition("/dists/")
    line = next(line for line in release.splitlines() if line.startswith(_COMPONENTS))
    has_sources = any(
        page.path.startswith(f"{folder}/") and page.path.endswith("/source/Sources")
        for page in snapshot.generated
    )
    return AptSource(repository, (suite,), tuple(line.removeprefix(_COMPONENTS).split()), has_sources)
