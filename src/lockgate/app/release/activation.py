"""Activating a release of Lockgate, and going back: each is signed by two approvers and takes effect once."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lockgate.app.files import read_named
from lockgate.app.gate.holds import demand_usable
from lockgate.app.high.channel import channel_reader
from lockgate.app.release.release import release_digest
from lockgate.app.release.slots import demand_unaltered, read_slot
from lockgate.app.release.update import (
    ACTIVE,
    BUSY,
    active_in,
    active_release,
    find,
    release_of,
    trial_of,
    tried_slot,
)
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, demand_newest, site_root, utc_now
from lockgate.approve import combine, demand_counting, judge, read_statement, request
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.core.policy import Policy
from lockgate.core.release import (
    RELEASES,
    Active,
    Installation,
    NotTriedError,
    ReleaseRefusedError,
    activated,
    demand_newer,
    reverted,
)
from lockgate.core.roots import Root
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import digest_of, encode, whole_second
from lockgate.crossing.disk import alone
from lockgate.store.blobs import sync_folder
from lockgate.trust.keys import Signer

SPENT = "spent-nonce"
CURRENT = "current"
"""The link to the active slot: services are started from ``releases/current/bin/lockgate``."""


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a request is about: the operation, the release, its trial, and the crossing that brought it."""

    operation: Operation
    release_sha256: str
    trial_sha256: str
    crossing: int
    crate_sha256: str


def request_activation(side: Side, version: str, requester: Signer) -> bytes:
    """Return the request to activate a release that was tried, as it travels to the approvers.

    Raises:
        NotTriedError: It was not tried.
        LockgateError: It may not follow what is active; see `try_release`.

    """
    admitted, envelope, release = find(side, version)
    digest, active = release_digest(envelope), active_release(side)
    demand_newer(release.version, digest, active)
    trial = trial_of(side, digest)
    demand_unaltered(tried_slot(side, release, trial))
    asked = _Asked(Operation.ACTIVATE, digest, digest_of(trial), admitted.crossing, admitted.crate_sha256)
    return _request(side, asked, active, requester)


def request_revert(side: Side, requester: Signer) -> bytes:
    """Return the request to go back to the release before the active one.

    Raises:
        ReleaseRefusedError: There is none.

    """
    active = active_release(side)
    if active.previous is None:
        raise ReleaseRefusedError("There is no release to go back to.")
    last = channel_reader(side, "update").current().statement
    before = active.previous.release_sha256
    asked = _Asked(Operation.REVERT, before, NOTHING, last.crossing, last.crate_sha256)
    return _request(side, asked, active, requester)


def _request(side: Side, asked: _Asked, active: Active, requester: Signer) -> bytes:
    log = audit_log(side)
    log.intent(f"request-{asked.operation}", release=asked.release_sha256, requester=requester.person)
    checkpoint = log.checkpoint()
    site, now = site_root(side, utc_now()), whole_second(utc_now())
    policy = site.policy or Policy()
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane=side.lane,
        operation=asked.operation,
        crossing=asked.crossing,
        crate_sha256=asked.crate_sha256,
        snapshot_sha256=asked.release_sha256,
        verdicts_sha256=asked.trial_sha256,
        waivers=(),
        policy_sha256=digest_of(policy),
        custody_sha256=NOTHING,
        channel="",
        channel_version=1,
        previous_sha256=active.release_sha256,
        requester=requester.person,
        log_checkpoint=f"{checkpoint.size} {checkpoint.root.hex()}",
        nonce=secrets.token_hex(16),
        created=now,
        expires=now + timedelta(seconds=policy.approval_seconds),
    )
    return request(statement, requester, site, now)


def activate(side: Side, signed: Sequence[Path]) -> Active:
    """Carry out what two approvers signed: activate a release, or go back to the one before.

    Doing it again completes it. The services go on with the version that they were started with.

    Raises:
        StatementChangedError: Something changed after the request.
        ApprovalSpentError: The statement was used before.
        LockgateError: Too few approvers; or the release may not follow, see `try_release`.

    """
    envelope = combine([read_named(file) for file in signed])
    records = records_of(side)
    demand_usable(records, read_statement(envelope))
    records.close()
    digest = digest_of(envelope.decode("ascii", "replace"))
    with audit_log(side).recorded("activate", envelope=digest) as done:
        with alone(side.home.releases / BUSY):
            site = demand_newest(side, site_root(side, None))
            need = (site.policy or Policy()).approvers
            statement, approvers = judge(envelope, site, utc_now(), need=need)
            demand_counting(records_of(side), envelope, site)
            active = _carry_out(side, site, statement)
            settle(side)
        done.update(
            operation=statement.operation,
            version=active.version,
            release=active.release_sha256,
            approvers=sorted(approvers),
        )
    return active


def _carry_out(side: Side, site: Root, statement: Statement) -> Active:
    if statement.operation not in {Operation.ACTIVATE, Operation.REVERT}:
        what = f"The statement is about {statement.operation}, not about a release."
        raise StatementChangedError(what)
    digest = digest_of(statement)
    records = records_of(side)
    with records.transaction() as tx:
        spent, active = tx.get(SPENT, statement.nonce), active_in(tx)
    try:
        if spent is not None:
            if spent != digest.encode() or active.statement_sha256 != digest:
                raise ApprovalSpentError("The approval was used before.")
            return active
        if statement.policy_sha256 != digest_of(site.policy or Policy()):
            raise StatementChangedError("The policy changed after the request.")
        if statement.previous_sha256 != active.release_sha256:
            raise StatementChangedError("Another release became active after the request.")
        if statement.operation is Operation.ACTIVATE:
            site.demand_current(utc_now())
        new = _next(side, active, statement, digest)
        with records.transaction() as tx:
            if (
                tx.get(SPENT, statement.nonce) is not None
                or active_in(tx).release_sha256 != active.release_sha256
            ):
                raise StatementChangedError("Somebody activated a release at the same moment.")
            tx.insert(SPENT, statement.nonce, digest.encode())
            tx.put(RELEASES, ACTIVE, encode(new))
        return new
    finally:
        records.close()


def _next(side: Side, active: Active, statement: Statement, digest: str) -> Active:
    now = whole_second(utc_now())
    if statement.operation is Operation.REVERT:
        new = reverted(active, digest, now)
        if new.release_sha256 != statement.snapshot_sha256:
            raise StatementChangedError("Another release is before the active one now.")
        _demand_slot(Path(new.slot))
        return new
    trial = trial_of(side, statement.snapshot_sha256)
    if digest_of(trial) != statement.verdicts_sha256:
        raise StatementChangedError("The release was tried again after the request.")
    release = release_of(side, statement.snapshot_sha256)
    demand_newer(release.version, statement.snapshot_sha256, active)
    installed = tried_slot(side, release, trial)
    demand_unaltered(installed)
    found = Installation(
        version=release.version, release_sha256=statement.snapshot_sha256, slot=str(installed.folder)
    )
    return activated(active, found, digest, now)


def _demand_slot(folder: Path) -> None:
    """Demand that the slot to go back to is whole; the first kit's installation has no document."""
    found = read_slot(folder)
    if found is not None:
        demand_unaltered(found)
    elif not (folder / "bin" / "lockgate").exists():
        what = f"The release to go back to is not there any more: {folder.name}."
        raise NotTriedError(what, advice="Install it again from its kit, or activate a newer release.")


def settle(side: Side) -> Path | None:
    """Let the link point to what the record says is active; return where it points.

    A kill between record and link is completed by this. Before the first update there is no link.
    """
    records = records_of(side)
    with records.transaction() as tx:
        recorded = tx.get(RELEASES, ACTIVE) is not None
        active = active_in(tx)
    records.close()
    if not recorded:
        return None
    link = side.home.releases / CURRENT
    if link.is_symlink() and str(link.readlink()) == active.slot:
        return Path(active.slot)
    partial = link.with_name(f".{CURRENT}")
    partial.unlink(missing_ok=True)
    partial.symlink_to(active.slot)
    partial.replace(link)
    sync_folder(link.parent)
    return Path(active.slot)
