"""Verifying a channel's statement from the pinned site root alone, emergencies included.

A statement that moves a channel bears the policy's approvals, or it is an emergency that one operator
signed. An emergency names the envelope that it follows; that one is verified in the same way, down to
what two persons signed. So whoever serves needs no row to know what one person may have taken away.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import msgspec

from lockgate.approve.errors import SnapshotMismatchError
from lockgate.approve.service import STATEMENT_LIMIT, judge, read_statement
from lockgate.core.emergency import BASE, CHAIN_LIMIT, EmergencyBoundError, Standing, follow
from lockgate.core.errors import LockgateError
from lockgate.core.parts import open_snapshot
from lockgate.core.policy import Policy
from lockgate.core.roots import Root
from lockgate.core.snapshot import Admitted, Generated, Snapshot
from lockgate.core.statement import CHANNEL_OPERATIONS, EMERGENCIES, Statement
from lockgate.store.ports import BlobStore
from lockgate.trust.errors import EnvelopeError

Pages = Callable[[Sequence[Admitted], Callable[[str], bytes]], Iterable[Generated]]
"""Makes the entries of all pages for a set of artifacts; reads small blobs by digest."""


def verify_channel(envelope: bytes, site: Root, blobs: BlobStore, pages: Pages | None = None) -> Standing:
    """Return how a channel stands by one signed statement.

    Signatures are judged at the time they were asked for: expiry stops admission, never serving.

    Args:
        envelope: The statement, signed.
        site: The pinned site root.
        blobs: Holds snapshots, and the envelopes that emergencies follow.
        pages: Makes the pages of an emergency's snapshot anew, so that no page is believed that
            one person signed alone; without it such a snapshot comes back without its pages.

    Raises:
        SnapshotMismatchError: A snapshot is missing, altered or not what it has to be.
        EnvelopeError: The statement is about something else.
        LockgateError: Signatures that the policy demands are missing, or an emergency goes too far.

    """
    return _verify(envelope, site, blobs, pages, CHAIN_LIMIT)


def _verify(envelope: bytes, site: Root, blobs: BlobStore, pages: Pages | None, depth: int) -> Standing:
    claimed = read_statement(envelope)
    policy = site.policy or Policy()
    if claimed.operation in EMERGENCIES:
        return _emergency(envelope, site, blobs, pages, depth)
    if claimed.operation not in CHANNEL_OPERATIONS:
        what = f"The statement is about {claimed.operation} on {claimed.channel!r}."
        raise EnvelopeError(what)
    statement, approvers = judge(envelope, site, claimed.created, need=policy.approvers)
    snapshot = read_snapshot(statement, site, blobs)
    return Standing(statement, snapshot, snapshot, statement, snapshot, approvers)


def _emergency(envelope: bytes, site: Root, blobs: BlobStore, pages: Pages | None, depth: int) -> Standing:
    claimed = read_statement(envelope)
    statement, approvers = judge(envelope, site, claimed.created, need=0)
    if depth <= 0:
        what = f"More than {CHAIN_LIMIT} emergencies follow one another (bound: chain_limit)."
        raise EmergencyBoundError(what)
    try:
        earlier = blobs.read((statement.facts or {}).get(BASE, ""), limit=STATEMENT_LIMIT)
    except (LockgateError, ValueError) as error:
        what = f"The statement that an emergency on {statement.channel!r} follows cannot be read."
        raise SnapshotMismatchError(what) from error
    before = _verify(earlier, site, blobs, pages, depth - 1)
    after = read_snapshot(statement, site, blobs)
    standing = follow(before, statement, after, site.policy or Policy())
    if pages is None:
        after = msgspec.structs.replace(after, generated=())
    else:
        made = tuple(sorted(pages(tuple(after.admitted), blobs.read), key=lambda page: page.path))
        if made != tuple(sorted(after.generated, key=lambda page: page.path)):
            what = f"The pages of the snapshot of {statement.channel!r} do not follow from its artifacts."
            raise SnapshotMismatchError(what, digest=statement.snapshot_sha256)
    return replace(standing, snapshot=after, approvers=approvers)


def read_snapshot(statement: Statement, site: Root, blobs: BlobStore) -> Snapshot:
    """Return the snapshot that a statement names, hashed again.

    Raises:
        SnapshotMismatchError: Missing, altered or of another lane.

    """
    try:
        snapshot = open_snapshot(statement.snapshot_sha256, blobs)
    except LockgateError as error:
        what = f"The snapshot of {statement.channel!r} cannot be read: {error.what}"
        raise SnapshotMismatchError(what, digest=statement.snapshot_sha256) from error
    if snapshot.lane != site.lane:
        what = f"The snapshot is of lane {snapshot.lane!r}."
        raise SnapshotMismatchError(what, digest=statement.snapshot_sha256)
    return snapshot
