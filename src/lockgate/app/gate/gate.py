"""Joining the gate: records, stores, log, keys, pages and inspection of the high side."""

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from lockgate.admit import (
    Change,
    FileInspector,
    Gate,
    GateParts,
    Page,
    PageMaker,
    ReadingParts,
    Renewal,
    ToInspect,
)
from lockgate.app.crossing.custody import RecordedCustody
from lockgate.app.crossing.station import RecordedStations
from lockgate.app.files import read_named, write_named, write_whole
from lockgate.app.gate.admission import demand_admission
from lockgate.app.gate.advised import RecordedAdvisories
from lockgate.app.gate.approve import custody_beside, difference_beside, evidence_beside
from lockgate.app.gate.clamav import clamd_of
from lockgate.app.gate.holds import demand_usable
from lockgate.app.gate.pending import renew_evidence
from lockgate.app.gate.repository import demand_repository_key, sign_repositories
from lockgate.app.gate.rulepacks import active_rules
from lockgate.app.gate.rules import in_force, judging
from lockgate.app.gate.trust_roots import trust_basis, trust_now
from lockgate.app.gate.weights import SandboxedWeights
from lockgate.app.high.channel import channel_file
from lockgate.app.high.refusals import refusals_file
from lockgate.app.keys import key_place
from lockgate.app.lane.qr_parts import read_documents
from lockgate.app.lane.standing import distrusted_signers
from lockgate.app.record.audit import named_size, write_evidence
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of, records_of
from lockgate.app.trust import audit_log, demand_newest, signer_from, site_root, utc_now
from lockgate.approve import combine, read_statement
from lockgate.core.errors import LockgateError, about
from lockgate.core.ports import Progress
from lockgate.core.roots import Purpose
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import FORWARD, NOTHING, Operation, Statement
from lockgate.core.submission import is_submission
from lockgate.core.verdict import Verdict
from lockgate.core.wire import encode
from lockgate.crossing.ledger import mark
from lockgate.inspect import InspectItem, Limits, basis_of, inspect_files
from lockgate.inspect.announced import announced
from lockgate.inspect.clamd import Daemon, Shown
from lockgate.inspect.ports import Whole
from lockgate.inspect.warm import WarmSandbox
from lockgate.inspect.whole import WholeInspection
from lockgate.mirror import generate_index, generate_pages, page_form, renewed
from lockgate.store import FileBlobs
from lockgate.store.blobs import sync_folder
from lockgate.store.errors import StoreIoError
from lockgate.trust.keys import Signer

if TYPE_CHECKING:
    from lockgate.core.artifact import Artifact
    from lockgate.core.sequence import CrossingState
    from lockgate.store import Transaction


class MirrorPages(PageMaker):
    """The pages of all mirrors."""

    def form(self) -> str:
        """Return how the mirrors' pages are written."""
        return page_form()

    def pages(self, admitted: Sequence[Admitted], read: Callable[[str], bytes]) -> Iterable[Page]:
        """Yield the pages that the mirrors serve for a set of artifacts."""
        for page in generate_pages(admitted, read):
            yield Page(page.path, page.media_type, page.body)

    def renewal(self, change: Change, read: Callable[[str], bytes]) -> Renewal:
        """Return what a change does to the pages."""
        found = renewed(change, read)
        pages = [Page(page.path, page.media_type, page.body) for page in found.pages]
        return Renewal(frozenset(found.gone), pages)

    def index(self, projects: Sequence[str]) -> Iterable[Page]:
        """Yield the pages that list all Python projects."""
        for page in generate_index(projects):
            yield Page(page.path, page.media_type, page.body)


class SandboxedInspection(FileInspector):
    """Inspects each file in a child process of its own, in the sandbox; then artifacts as wholes."""

    def __init__(self, side: Side, progress: Progress, jobs: int | None = None) -> None:
        """Use as many children at a time as there are processors."""
        bounds = side.settings.limits
        self._limits = Limits(
            wall_seconds=bounds.inspect_seconds,
            memory_bytes=bounds.inspect_memory_bytes,
            member_bytes=bounds.inspect_member_bytes,
            unpacked_bytes=bounds.inspect_unpacked_bytes,
        )
        self._side = side
        self._progress = progress
        self._jobs = jobs or os.cpu_count() or 1
        self._rules = active_rules(side, self._limits)
        self._announced = announced()
        self._clamd = clamd_of(side)
        self._daemon = self._clamd.present() if self._clamd else Daemon()

    def basis(self) -> dict[str, str]:
        """Return the versions of all inspectors, and the rules and trust roots that count on this side."""
        scanner = self._daemon.basis if self._clamd else {}
        return {**basis_of(self._rules, self._announced), **trust_basis(self._side), **scanner}

    def inspect(self, items: Sequence[ToInspect]) -> list[Verdict]:
        """Return one verdict for each item, in order."""
        trust, wholes = trust_now(self._side, utc_now()), _wholes(items)
        with WarmSandbox(rules=self._rules, site=self._announced) as sandbox:
            looks = WholeInspection(sandbox, self._limits, trust, jobs=self._jobs, progress=self._progress)
            roles = looks.roles(wholes)
            todo = [
                InspectItem(
                    path=item.file.path,
                    kind=item.artifact.kind,
                    file=item.on_disk,
                    sha256=item.file.sha256,
                    size=item.file.size,
                    role=roles.get(item.file.path, ""),
                )
                for item in items
            ]
            verdicts = inspect_files(
                todo, sandbox, jobs=self._jobs, limits=self._limits, progress=self._progress
            )
            basis = self.basis()
            verdicts = looks.add(wholes, verdicts)
        if self._clamd:
            shown = [Shown(item.artifact.kind, item.on_disk) for item in items]
            verdicts = self._clamd.add(self._daemon, shown, verdicts, self._jobs)
        return [msgspec.structs.replace(verdict, basis=basis) for verdict in verdicts]


def _wholes(items: Iterable[ToInspect]) -> list[Whole]:
    """Return the artifacts that files belong to, each with the places of its files."""
    places: dict[str, dict[str, Path]] = {}
    artifacts: dict[str, Artifact] = {}
    for item in items:
        artifacts[item.artifact.purl] = item.artifact
        places.setdefault(item.artifact.purl, {})[item.file.path] = item.on_disk
    return [Whole(artifact=artifact, places=places[purl]) for purl, artifact in artifacts.items()]


def write_channel(side: Side, channel: str, envelope: bytes) -> None:
    """Put a channel's signed statement in place, after what clients of its package repositories verify.

    Raises:
        StoreIoError: The disk refused; the file is as it was.
        LockgateError: The repositories cannot be signed; the file is as it was.

    """
    try:
        sign_repositories(side, envelope)
    except OSError as error:
        what = f"The repositories of channel {channel!r} could not be signed: {error.strerror}."
        raise StoreIoError(what, file=str(error.filename or side.home.channels)) from error
    put_channel(side, channel, envelope)


def put_channel(side: Side, channel: str, envelope: bytes) -> None:
    """Put a channel's file in place, atomically and durably.

    Raises:
        StoreIoError: The disk refused; the file is as it was.

    """
    target = channel_file(side, channel)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_file() and target.read_bytes() == envelope:
            return
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        with partial.open("wb") as file:
            file.write(envelope)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
        sync_folder(target.parent)
    except OSError as error:
        what = f"The file of channel {channel!r} could not be written: {error.strerror}."
        raise StoreIoError(what, file=str(target)) from error


def reading_parts(side: Side) -> ReadingParts:
    """Return what reading and judging a high side needs; no key of the gate is opened, nothing is written.

    Where admission rules are gone that were in force, nothing can be judged; holding and withdrawing
    go on.
    """
    # The gate itself judges expiry where it admits; that a newer root was here is judged at once.
    site = demand_newest(side, site_root(side, None))
    rules, lost = None, None
    try:
        rules = in_force(side)
    except LockgateError as error:
        lost = error
    return ReadingParts(
        records=records_of(side),
        blobs=blobs_of(side),
        quarantine=FileBlobs(side.home.quarantine),
        site=site,
        clock=utc_now,
        distrusted=lambda sequence: distrusted_signers(side, sequence),
        custody=RecordedCustody(side),
        advisories=RecordedAdvisories(side),
        stations=RecordedStations(side),
        rules=judging(rules),
        rules_lost=lost,
    )


def mark_crossing(tx: "Transaction", number: int, state: "CrossingState") -> None:
    """Move a crossing on in the lane's ledger, which knows no submissions."""
    if not is_submission(number):
        mark(tx, number, state)


def gate_parts(side: Side) -> GateParts:
    """Return what the gate of a high side is joined from; nothing is written."""
    reading = reading_parts(side)
    return GateParts(
        **{field.name: getattr(reading, field.name) for field in fields(ReadingParts)},
        audit=audit_log(side),
        inspector=signer_from(side.home.keys, Purpose.INSPECTOR, reading.site),
        pages=MirrorPages(),
        entropy=secrets.token_bytes,
        write_channel=lambda channel, envelope: write_channel(side, channel, envelope),
        mark_ledger=mark_crossing,
        weights=SandboxedWeights(),
        write_refusals=lambda envelope: write_whole(refusals_file(side), envelope),
        demand_open=lambda: demand_admission(side),
    )


def open_gate(side: Side) -> Gate:
    """Return the gate of a high side, after completing what a crash may have left."""
    parts = gate_parts(side)
    gate = Gate(parts)
    gate.recover()
    parts.blobs.sweep()
    parts.quarantine.sweep()
    return gate


def operator_key(side: Side, folder: Path) -> Signer:
    """Return an operator's key: from their folder, or from a token that they name by its address."""
    return signer_from(key_place(str(folder)), Purpose.OPERATOR, site_root(side, None))


def write_request(side: Side, name: str, envelope: bytes, out: Path | None) -> Path:
    """Write a request where the approvers take it from; return the file.

    Beside it lie what the log shows, and the report of the crate's way where the statement binds one. The
    other requests that wait show as much of the log from then on.
    """
    target = out or side.home.pending / f"{name}.json"
    statement = read_statement(envelope)
    if statement.operation in FORWARD:
        demand_repository_key(side, statement.snapshot_sha256)
    write_evidence(side, evidence_beside(target), [named_size(envelope)])
    if statement.custody_sha256 != NOTHING:
        write_named(custody_beside(target), encode(open_gate(side).custody(statement.crossing)))
    if statement.operation is Operation.PUBLISH:
        gate = open_gate(side)
        drawn = gate.differ.draw(gate.crossing(statement.crossing), statement.channel)
        write_named(difference_beside(target), encode(drawn))
    write_named(target, envelope)
    renew_evidence(side)
    return target


def execute(side: Side, files: Sequence[Path]) -> Statement:
    """Carry out a statement that several approvers signed apart."""
    for file in files:
        if file.suffix == ".json":  # else a picture, which may be one of several
            with about(file):
                read_statement(read_named(file))
    envelope = combine(read_documents(files))
    demand_usable(records_of(side), read_statement(envelope))
    return open_gate(side).execute(envelope)
