"""Restoring a backup: a discontinuity that two people sign, in which nothing goes back in time.

Of each record the newer of backup and present wins. Where something protected was lost, the floor
is what the operator brings from outside: the last crossing that the low side knows, or a
checkpoint that a witness holds. Without one, admission is held until a restore with one is signed.
"""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from lockgate.admit.model import CHANNELS, SPENT, ChannelPointer
from lockgate.app.files import read_named, write_named
from lockgate.app.gate.gate import open_gate
from lockgate.app.gate.holds import HOLDS, LAST, RESTORED, Hold, Restored
from lockgate.app.high.receipts import digest_rings
from lockgate.app.record.backup import EVIDENCE, LOG, RECORDS, OpenedBackup, open_backup
from lockgate.app.record.gateway_record import QUOTAS, RECEIPTS, merge_databases
from lockgate.app.record.leaves import LEAVES, Leaves
from lockgate.app.record.merge import PROTECTED, HistoriesDifferError, behind, merged
from lockgate.app.record.merge import Records as Held
from lockgate.app.settings import Side
from lockgate.app.stores import audit_records_of, blobs_of, records_of
from lockgate.app.trust import audit_log, log_origin, site_root, utc_now
from lockgate.approve import combine, demand_counting, judge, read_statement, request
from lockgate.approve.errors import ApprovalSpentError, StatementChangedError
from lockgate.audit import log_keys, open_checkpoint
from lockgate.core.artifact import Digest
from lockgate.core.errors import InputError
from lockgate.core.policy import Policy
from lockgate.core.roots import Root, UnknownKeyError
from lockgate.core.sequence import CrossingState, LedgerEntry
from lockgate.core.statement import NOTHING, STATEMENT_FORMAT, Operation, Statement
from lockgate.core.wire import Document, Moment, decode, digest_of, encode, whole_second
from lockgate.crossing.ledger import LEDGER, ledger_key
from lockgate.store import FileBlobs, Records, Transaction
from lockgate.trust.keys import Signer

PLAN_FORMAT = "lockgate-restore/1"
RECEIPT_FORMAT = "lockgate-restore-receipt/1"
RECEIPT_LIMIT = 1 << 20
"""Longest receipt that is read, in bytes."""
_PLANS = "restore"
_HOLD = "restore"


class FloorError(InputError):
    """The floor that the operator named is not one."""

    code = "LG-1f0e"
    advice = "Take the number and digest of the last crossing from the low side: `lockgate seal` shows them."


@dataclass(frozen=True, slots=True)
class Floor:
    """What is known from outside: the low side's last crossing, a checkpoint that a witness holds."""

    last_crossing: int = 0
    last_crate: str = NOTHING
    checkpoint: str = ""


class RestorePlan(Document, frozen=True):
    """What a restore would leave: signed by its digest, and told to the low side.

    `lost` says that something protected was not there any more, `anchored` that it is known where
    the lane stood nevertheless; without that, admission stays held.
    """

    format: str
    lane: str
    backup_sha256: Digest
    present_sha256: Digest
    lost: bool
    anchored: bool
    last_crossing: int
    last_crate_sha256: Digest
    log_size: int
    log_root: Digest
    snapshots: dict[str, Digest]
    made: Moment


class Receipt(Document, frozen=True):
    """What the low side is told: the plan, and the statement that two approvers signed over it."""

    format: str
    plan: RestorePlan
    statement: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A restore that was thought through: its plan, and the records that it would leave."""

    backup: OpenedBackup
    plan: RestorePlan
    after: dict[tuple[str, str], bytes]


@dataclass(frozen=True, slots=True)
class Restoration:
    """What a restore did."""

    plan: RestorePlan
    receipt: Path
    missing_blobs: int


def _everything(tx: Transaction) -> dict[tuple[str, str], bytes]:
    return {(name, key): value for name in tx.collections() for key, value in tx.scan(name)}


def _fingerprint(held: Held) -> str:
    """Return the digest of what must not change between request and restore."""
    protected = sorted((c, k, v.hex()) for (c, k), v in held.items() if c in PROTECTED)
    return digest_of(protected)


def _last(held: Held) -> tuple[int, str]:
    entries = [decode(LedgerEntry, value) for (name, _), value in held.items() if name == LEDGER]
    newest = max(entries, key=lambda entry: entry.sequence, default=None)
    return (newest.sequence, newest.crate_sha256) if newest else (0, NOTHING)


def prepare(side: Side, folder: Path, floor: Floor) -> Prepared:
    """Verify a backup and say what restoring it would leave; nothing is changed.

    Raises:
        BackupFolderError, BackupAlteredError: Not a whole backup of this lane.
        HistoriesDifferError: Backup and present cannot both be true.
        FloorError: The floor contradicts the records.

    """
    backup = open_backup(side, folder)
    records = records_of(side)
    with records.transaction() as tx:
        present = _everything(tx)
    records.close()
    after = merged(present, {(c, k): v for c, k, v in backup.rows(RECORDS)})
    leaves, log_lost = _log_after(side, backup)
    lost = log_lost or (HOLDS, _HOLD) in present or behind(present, after)
    anchored = not lost or _floored(after, floor) or _witnessed(side, leaves, floor.checkpoint)
    last, crate = _last(after)
    pointers = {key: decode(ChannelPointer, value) for (c, key), value in after.items() if c == CHANNELS}
    plan = RestorePlan(
        format=PLAN_FORMAT,
        lane=side.lane,
        backup_sha256=backup.sha256,
        present_sha256=_fingerprint(present),
        lost=lost,
        anchored=anchored,
        last_crossing=last,
        last_crate_sha256=crate,
        log_size=backup.manifest.log_size,
        log_root=backup.manifest.log_root,
        snapshots={name: pointer.snapshot_sha256 for name, pointer in pointers.items()},
        made=backup.manifest.created,
    )
    return Prepared(backup, plan, after)


def _log_after(side: Side, backup: OpenedBackup) -> tuple[Leaves, bool]:
    """Return the leaves of the longer log, and whether the present one is the shorter."""
    records = audit_records_of(side)
    with records.transaction() as tx:
        present = Leaves(value for _, value in tx.scan(LEAVES))
    records.close()
    saved = Leaves(v for c, _, v in backup.rows(LOG) if c == LEAVES)
    shared = min(present.size, saved.size)
    if present.root(shared) != saved.root(shared):
        what = f"The logs differ within their first {shared} leaves."
        advice = (
            "If the present log was begun after the loss, keep its database elsewhere and start from none."
        )
        raise HistoriesDifferError(what, advice=advice)
    return (saved, True) if present.size < saved.size else (present, False)


def _floored(after: dict[tuple[str, str], bytes], floor: Floor) -> bool:
    """Raise the ledger to the crossing that the low side knows; tell whether one was named."""
    if not floor.last_crossing:
        return False
    last, crate = _last(after)
    known = floor.last_crossing == last and floor.last_crate == crate
    if floor.last_crossing < last or (floor.last_crossing == last and not known):
        what = f"The records know crossing {last} ({crate[:16]}…); the floor names {floor.last_crossing}."
        raise FloorError(what)
    if not known:
        after[LEDGER, ledger_key(floor.last_crossing)] = encode(
            LedgerEntry(
                sequence=floor.last_crossing,
                crate_sha256=floor.last_crate,
                state=CrossingState.INCOMPLETE,
                previous_sha256=NOTHING,
            )
        )
    return True


def _witnessed(side: Side, leaves: Leaves, note: str) -> bool:
    """Tell whether the log reaches at least to a checkpoint that somebody outside holds."""
    if not note:
        return False
    keys = log_keys(site_root(side, None))
    if not keys:
        raise UnknownKeyError("The site root lists no key for the log.")
    seen = open_checkpoint(note, log_origin(side), *keys)
    if seen.size <= leaves.size and leaves.root(seen.size) != seen.root:
        what = f"The log is not the one whose first {seen.size} leaves the checkpoint names."
        raise HistoriesDifferError(what)
    return seen.size <= leaves.size


def ask(side: Side, prepared: Prepared, requester: Signer) -> bytes:
    """Return the request to restore, signed by who asks, as it travels to the approvers.

    Where something was lost, admission is held from here on. The log is made whole at once: it only
    grows by this, and the approvers' machines ask for proofs from it before they sign.
    """
    plan = prepared.plan
    if plan.lost:
        records = records_of(side)
        _hold(records)
        records.close()
    _restore_log(side, prepared.backup)
    log = audit_log(side)
    log.intent("request-restore", plan=digest_of(plan), requester=requester.person)
    checkpoint = log.checkpoint()
    site = site_root(side, None)
    policy = site.policy or Policy()
    now = whole_second(utc_now())
    statement = Statement(
        format=STATEMENT_FORMAT,
        lane=side.lane,
        operation=Operation.RESTORE,
        crossing=plan.last_crossing,
        crate_sha256=plan.last_crate_sha256,
        snapshot_sha256=plan.backup_sha256,
        verdicts_sha256=NOTHING,
        waivers=(),
        policy_sha256=digest_of(policy),
        custody_sha256=NOTHING,
        channel="",
        channel_version=1,
        previous_sha256=digest_of(plan),
        requester=requester.person,
        log_checkpoint=f"{checkpoint.size} {checkpoint.root.hex()}",
        nonce=secrets.token_hex(16),
        created=now,
        expires=now + timedelta(seconds=policy.approval_seconds),
    )
    return request(statement, requester, site, now)


def restore(side: Side, folder: Path, floor: Floor, signed: Sequence[Path]) -> Restoration:
    """Carry out a restore that enough approvers signed; doing it again completes it.

    Raises:
        StatementChangedError: What is there, the backup, the floor or the policy is another.
        ApprovalSpentError: The statement was used for something else.
        LockgateError: Too few approvers, or see `prepare`.

    """
    site = site_root(side, utc_now())
    policy = site.policy or Policy()
    envelope = combine([read_named(file) for file in signed])
    statement, approvers = judge(envelope, site, utc_now(), need=policy.approvers)
    records = records_of(side)
    demand_counting(records, envelope, site)
    plan = _done_before(records, statement)
    backup = open_backup(side, folder)
    if plan is None:
        prepared = prepare(side, folder, floor)
        plan = prepared.plan
        _demand_same(statement, plan, policy)
        if plan.lost:
            _hold(records)  # until the commit, and after it where there is no floor
        _restore_log(side, backup)
        log = audit_log(side)
        intent = log.intent(
            "restore", backup=backup.sha256, plan=digest_of(plan), approvers=sorted(approvers)
        )
        _restore_files(side, backup)
        names = frozenset(file.path for file in backup.manifest.files)
        changed = merge_databases(side.home.root, backup.folder, names, digest_rings(side))
        _commit(records, prepared, statement)
        log.outcome(
            intent,
            "done",
            lost=plan.lost,
            anchored=plan.anchored,
            last=plan.last_crossing,
            receipts=changed.get(RECEIPTS, 0),
            quotas=changed.get(QUOTAS, 0),
        )
    records.close()
    missing = _missing(side, backup)
    if not missing:
        open_gate(side)  # writes the files of channels from the records
    receipt = side.home.root / "receipts" / f"restore-{statement.nonce[:12]}.json"
    said = Receipt(format=RECEIPT_FORMAT, plan=plan, statement=envelope.decode())
    write_named(receipt, encode(said))
    return Restoration(plan, receipt, missing)


def _demand_same(statement: Statement, plan: RestorePlan, policy: Policy) -> None:
    if statement.operation is not Operation.RESTORE:
        what = f"The statement is about {statement.operation}, not about a restore."
        raise StatementChangedError(what)
    if statement.snapshot_sha256 != plan.backup_sha256:
        raise StatementChangedError("The statement names another backup.")
    if statement.previous_sha256 != digest_of(plan):
        raise StatementChangedError(
            "The records or the floor are others than when the restore was asked for."
        )
    if statement.policy_sha256 != digest_of(policy):
        raise StatementChangedError("The policy changed after the request.")


def _done_before(records: Records, statement: Statement) -> RestorePlan | None:
    with records.transaction() as tx:
        spent = tx.get(SPENT, statement.nonce)
        plan = tx.get(_PLANS, statement.nonce)
    if spent is None:
        return None
    if plan is None or spent != digest_of(statement).encode():
        raise ApprovalSpentError("The approval was used before.")
    return decode(RestorePlan, plan)


def _hold(records: Records) -> None:
    hold = Hold(reason="records were lost, and no floor replaces them yet.", since=whole_second(utc_now()))
    with records.transaction() as tx:
        if tx.get(HOLDS, _HOLD) is None:
            tx.put(HOLDS, _HOLD, encode(hold))


def _restore_log(side: Side, backup: OpenedBackup) -> None:
    """Add what the present log lacks, and hash all of it again."""
    records = audit_records_of(side)
    _, shorter = _log_after(side, backup)
    if shorter:
        with records.transaction() as tx:
            for collection, key, value in backup.rows(LOG):
                tx.put(collection, key, value)
    records.close()
    audit_log(side).verify()


def _restore_files(side: Side, backup: OpenedBackup) -> None:
    """Put back trust files that are gone (never over one that is there), evidence and blobs."""
    quarantine = FileBlobs(side.home.quarantine)
    for file in backup.manifest.files:
        target = side.home.root / file.path
        if file.path.startswith("trust/") and not target.exists():
            write_named(target, (backup.folder / file.path).read_bytes())
        if file.path.startswith(EVIDENCE) and not quarantine.has(file.sha256):
            quarantine.put_bytes((backup.folder / file.path).read_bytes())
    if backup.manifest.with_blobs:
        held, saved = blobs_of(side), FileBlobs(backup.folder / "blobs")
        for digest, size in backup.blobs():
            if not held.has(digest):
                with saved.open(digest) as stream:
                    held.put_stream(stream, expected=digest, limit=size)


def _commit(records: Records, prepared: Prepared, statement: Statement) -> None:
    plan, now = prepared.plan, whole_second(utc_now())
    with records.transaction() as tx:
        present = _everything(tx)
        if plan.present_sha256 != _fingerprint(present):
            raise StatementChangedError("The records changed while the restore ran.")
        for (collection, key), value in prepared.after.items():
            if present.get((collection, key)) != value:
                tx.put(collection, key, value)
        if plan.anchored:
            tx.delete(HOLDS, _HOLD)
        if plan.lost:
            mark = Restored(at=now, statement_sha256=digest_of(statement))
            tx.put(RESTORED, LAST, encode(mark))
        tx.insert(SPENT, statement.nonce, digest_of(statement).encode())
        tx.put(_PLANS, statement.nonce, encode(plan))


def _missing(side: Side, backup: OpenedBackup) -> int:
    held = blobs_of(side)
    return sum(not held.has(digest) for digest, _ in backup.blobs())


def read_receipt(data: bytes, site: Root) -> RestorePlan:
    """Return what a high side says after a restore, when two of its approvers signed it.

    Raises:
        StatementChangedError: The plan is not the one that was signed.
        LockgateError: Not enough approvers, or malformed.

    """
    receipt = decode(Receipt, data, limit=RECEIPT_LIMIT, name="receipt")
    envelope = receipt.statement.encode()
    need = (site.policy or Policy()).approvers
    statement, _ = judge(envelope, site, read_statement(envelope).created, need=need)
    if statement.operation is not Operation.RESTORE or statement.previous_sha256 != digest_of(receipt.plan):
        raise StatementChangedError("The receipt's plan is not the one that the approvers signed.")
    return receipt.plan
