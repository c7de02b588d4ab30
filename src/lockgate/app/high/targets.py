"""Delivering what a channel serves to a registry or folder that the site owns; the log says what is there."""

import ssl
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path

from lockgate.app.high.channel import CHANNEL, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log
from lockgate.core.errors import HostError, InputError, LockgateError
from lockgate.core.ports import Progress
from lockgate.store.address import read_secret
from lockgate.targets import (
    DirectoryTarget,
    HarborTarget,
    NpmTarget,
    OciTarget,
    PypiTarget,
    Report,
    Repositories,
    Target,
    TargetAddressError,
    Web,
    artifactory,
    deliver,
    nexus,
)

PRODUCTS = ("harbor", "artifactory", "nexus")
KINDS = ("directory", "oci", "pypi", "npm", *PRODUCTS)
SHOWN = 100
"""Most artifacts that the log names of one delivery."""


class DeliveryUnfinishedError(HostError):
    """A target does not hold everything that was delivered, with its bytes."""

    code = "LG-5fbd"
    advice = "The report names what is missing. What is there stays; run the command again to go on."


class NoTargetError(InputError):
    """The configuration has no target of that name."""

    code = "LG-1fd1"
    advice = "Write a table [targets.NAME] into lockgate.toml; docs/targets.md shows one for each product."


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes.

    Attributes:
        kind: One of `KINDS`.
        address: The folder, or the address of the registry (for ``pypi``: of its uploads).
        index: Address of the simple pages (``pypi``).
        prefix: What comes before the names of images.
        names: The product's repositories (``artifactory``, ``nexus``).
        project: The project of images (``harbor``).
        images: Address of the images' own connector (``nexus``).
        credentials: File with ``user:password``, or with a token.
        authority: Certificate of the authority that the host's certificate is judged by.

    """

    kind: str
    address: str
    index: str = ""
    prefix: str = ""
    names: Repositories = field(default_factory=Repositories)
    project: str = ""
    images: str = ""
    credentials: Path | None = None
    authority: Path | None = None


def target_of(where: Destination) -> Target:
    """Return the adapter for a destination.

    Raises:
        TargetAddressError: There is no such kind, or its address is incomplete.
        StoreAddressError: The file with credentials cannot be read.

    """
    if where.kind == "directory":
        return DirectoryTarget(Path(where.address))
    if where.kind not in KINDS:
        what = f"There are no targets of the kind {where.kind[:40]!r}."
        raise TargetAddressError(what, advice=f"Name one of: {', '.join(KINDS)}.")
    if where.kind == "pypi" and not where.index:
        raise TargetAddressError("A Python index needs the address of its pages too.", advice="Give --index.")
    web = _web(where, where.address)
    if where.kind == "oci":
        return OciTarget(web, where.prefix)
    if where.kind in PRODUCTS:
        return _product(web, where)
    return PypiTarget(web, where.index) if where.kind == "pypi" else NpmTarget(web)


def _web(where: Destination, address: str) -> Web:
    secret = read_secret(where.credentials) if where.credentials else ""
    try:
        tls = ssl.create_default_context(cafile=str(where.authority)) if where.authority else None
    except (OSError, ssl.SSLError) as error:
        what = f"{where.authority} cannot be used as an authority."
        raise TargetAddressError(what) from error
    return Web(address, secret, tls)


def _product(web: Web, where: Destination) -> Target:
    if where.kind == "harbor":
        if not where.project:
            raise TargetAddressError("A Harbor takes images into a project.", advice="Name the project.")
        return HarborTarget(web, where.project, where.prefix)
    if where.names == Repositories():
        what = "No repository of the target is named, so nothing can be brought."
        raise TargetAddressError(what, advice=f"Name one or more of: {', '.join(asdict(where.names))}.")
    if where.kind == "nexus":
        images = _web(where, where.images) if where.images else None
        return nexus(web, images, where.names, where.prefix)
    return artifactory(web, where.names, where.prefix)


def configured(side: Side, name: str) -> tuple[Destination, str]:
    """Return a target of `lockgate.toml` and the channel that goes there; its paths are below the home.

    Raises:
        NoTargetError: There is none of that name.

    """
    section = side.settings.targets.get(name)
    if section is None:
        known = ", ".join(sorted(side.settings.targets)) or "none"
        what = f"There is no target {name[:80]!r} in the configuration; there are: {known}."
        raise NoTargetError(what)
    folder = side.home.root
    where = Destination(
        kind=section.kind,
        address=str(folder / section.path) if section.kind == "directory" else section.url,
        prefix=section.prefix,
        names=Repositories(**{each.name: getattr(section, each.name) for each in fields(Repositories)}),
        project=section.project,
        images=section.images_url,
        credentials=folder / section.credentials if section.credentials else None,
        authority=folder / section.ca if section.ca else None,
    )
    if section.kind == "directory" and not section.path:
        raise TargetAddressError("A directory as a target needs its path.", advice="Give `path`.")
    return where, section.channel


def run_delivery(
    side: Side, where: Destination, progress: Progress, *, channel: str = CHANNEL, compare_only: bool = False
) -> Report:
    """Bring what a channel serves to a destination, and compare what is there.

    Raises:
        LockgateError: The channel does not verify, or the destination cannot be used.

    """
    verified = channel_reader(side, "deliver", channel).current()
    target, statement = target_of(where), verified.statement
    log = audit_log(side)
    intent = log.intent(
        "deliver",
        kind=where.kind,
        to=where.address,
        channel=channel,
        version=statement.channel_version,
        snapshot=statement.snapshot_sha256,
        compare_only=compare_only,
    )
    try:
        report = deliver(
            verified.snapshot.admitted, blobs_of(side).open, target, progress, compare_only=compare_only
        )
    except LockgateError as error:
        log.outcome(intent, "failed", code=error.code, error=error.what)
        raise
    failed = report.failed
    log.outcome(
        intent,
        "failed" if failed or report.problem else "done",
        artifacts=len(report.delivered),
        passed_over=len(report.passed_over),
        failed=[each.purl for each in failed[:SHOWN]],
    )
    return report
