"""Delivering what a channel serves to a registry or folder that the site owns; the log says what is there."""

import ssl
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.high.serving import CHANNEL, channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log
from lockgate.core.errors import HostError, LockgateError
from lockgate.core.ports import Progress
from lockgate.store.address import read_secret
from lockgate.targets import (
    DirectoryTarget,
    NpmTarget,
    OciTarget,
    PypiTarget,
    Report,
    Target,
    TargetAddressError,
    Web,
    deliver,
)

KINDS = ("directory", "oci", "pypi", "npm")
SHOWN = 100
"""Most artifacts that the log names of one delivery."""


class DeliveryUnfinishedError(HostError):
    """A target does not hold everything that was delivered, with its bytes."""

    code = "LG-5fbd"
    advice = "The report names what is missing. What is there stays; run the command again to go on."


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a delivery goes.

    Attributes:
        kind: One of `KINDS`.
        address: The folder, or the address of the registry (for ``pypi``: of its uploads).
        index: Address of the simple pages (``pypi``).
        prefix: What comes before the names of repositories (``oci``).
        credentials: File with ``user:password``, or with a token.
        authority: Certificate of the authority that the host's certificate is judged by.

    """

    kind: str
    address: str
    index: str = ""
    prefix: str = ""
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
    secret = read_secret(where.credentials) if where.credentials else ""
    tls = None
    try:
        if where.authority:
            tls = ssl.create_default_context(cafile=str(where.authority))
    except (OSError, ssl.SSLError) as error:
        what = f"{where.authority} cannot be used as an authority."
        raise TargetAddressError(what) from error
    web = Web(where.address, secret, tls)
    if where.kind == "oci":
        return OciTarget(web, where.prefix)
    return PypiTarget(web, where.index) if where.kind == "pypi" else NpmTarget(web)


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
        "failed" if failed else "done",
        artifacts=len(report.delivered),
        passed_over=len(report.passed_over),
        failed=[each.purl for each in failed[:SHOWN]],
    )
    return report
