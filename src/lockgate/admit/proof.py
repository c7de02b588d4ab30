"""Who let this in? Everything that answers it for one file, in one document that is checked offline.

The document trusts nothing of itself: the site root is pinned by whoever checks. From it follow the
approvers' signatures on the statement, from the statement the snapshot with the file and the inspector's
verdict, and from the log's key that the publication stands in the log. Who collected and sealed the file
follows from the supply root, where its pin is known too.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from lockgate.admit.errors import AdmissionProofError
from lockgate.admit.model import Verdicts
from lockgate.approve import judge
from lockgate.approve.service import read_statement
from lockgate.audit import Checkpoint, LogProof, check_proof, log_keys
from lockgate.core.artifact import Digest
from lockgate.core.digests import sha256
from lockgate.core.errors import LockgateError
from lockgate.core.parts import SNAPSHOT_LIMIT, opened, parts_of
from lockgate.core.policy import Policy
from lockgate.core.roots import Purpose, Root
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import Operation, Statement
from lockgate.core.submission import is_submission
from lockgate.core.verdict import Verdict
from lockgate.core.wire import Document, Moment, decode, digest_of
from lockgate.crossing.payload import LOCK
from lockgate.trust.attest import COLLECTION, INSPECTION, SEALING, InTotoStatement, check
from lockgate.trust.dsse import open_envelope
from lockgate.trust.roots import (
    advance_supply_root,
    load_site_chain,
    load_supply_root,
    read_supply_root,
    site_root_lane,
)

PROOF_FORMAT = "lockgate-admission-proof/1"
PROOF_LIMIT = 2 * SNAPSHOT_LIMIT
"""Longest proof that is read, in bytes: the snapshot that was signed is most of it."""


class AdmissionProof(Document, frozen=True):
    """What stands behind one admitted file; signed documents are carried as their exact texts.

    `part` is the part of a snapshot in parts that lists the file, else empty. `collection` and `sealing` are
    empty for what was made inside.
    """

    format: str
    sha256: Digest
    site_roots: tuple[str, ...]
    supply_roots: tuple[str, ...]
    statement: str
    snapshot: str
    part: str
    inspection: str
    collection: str
    sealing: str
    log: LogProof


@dataclass(frozen=True, slots=True)
class LetIn:
    """Who let a file in, as signatures say it.

    Attributes:
        sha256: The file's digest.
        path: Its path in the crossing.
        admitted: The artifact that it belongs to, as the snapshot lists it.
        verdict: What the inspector signed of it.
        inspector: Who did.
        inspected: When.
        statement: What the approvers signed.
        approvers: The persons who did.
        site_version: The site root by which they count.
        collectors: Who collected it; nobody where the supply root's pin was not given, or it was made inside.
        sealers: Who sealed it, likewise.
        leaf: Which event of the log says that it took effect.
        recorded: When that was recorded.
        checkpoint: The log that has it.

    """

    sha256: str
    path: str
    admitted: Admitted
    verdict: Verdict
    inspector: str
    inspected: datetime
    statement: Statement
    approvers: tuple[str, ...]
    site_version: int
    collectors: tuple[str, ...]
    sealers: tuple[str, ...]
    leaf: int
    recorded: str
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Pins:
    """What whoever checks knows by other ways: the pin of the site root, and perhaps of the supply root."""

    site: str
    supply: str = ""


@dataclass(frozen=True, slots=True)
class _OnePart:
    """Gives the one part that a proof carries."""

    data: bytes

    def read(self, digest: str, *, limit: int) -> bytes:
        if len(self.data) > limit or sha256(self.data) != digest:
            raise AdmissionProofError("The proof carries another part of the snapshot than it needs.")
        return self.data


def read_proof(data: bytes) -> AdmissionProof:
    """Return a proof; nothing in it is trusted yet.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not a proof.
        AdmissionProofError: Of a format that this version does not read.

    """
    proof = decode(AdmissionProof, data, limit=PROOF_LIMIT, name="proof of an admission")
    if proof.format != PROOF_FORMAT or not proof.site_roots:
        what = f"The proof has the format {proof.format[:80]!r}, which this version does not read."
        raise AdmissionProofError(what)
    return proof


def check_admission(proof: AdmissionProof, pins: Pins) -> LetIn:
    """Return who let a file in, after checking every signature and every digest on the way.

    Expiry is judged as of when each thing was signed: that a key has expired since takes nothing back.

    Raises:
        PinMismatchError: Another site root, or another supply root.
        AdmissionProofError: One thing does not follow from the other.
        LockgateError: A signature is missing or does not verify.

    """
    envelopes = [text.encode() for text in proof.site_roots]
    chain = load_site_chain(envelopes, pins.site, site_root_lane(envelopes[0]))
    statement, approvers, site = _approved(proof.statement.encode(), chain)
    admitted, path = _listed(proof, statement)
    verdict, inspector, inspected = _inspected(proof, statement, chain, path)
    collectors, sealers = _brought(proof, statement, path, pins.supply)
    origin = f"lockgate/{site.lane}/high"
    checkpoint = check_proof(proof.log, origin, *log_keys(chain[-1]))
    _demand_recorded(proof.log.event, statement, approvers)
    return LetIn(
        sha256=proof.sha256,
        path=path,
        admitted=admitted,
        verdict=verdict,
        inspector=inspector,
        inspected=inspected,
        statement=statement,
        approvers=tuple(sorted(approvers)),
        site_version=site.version,
        collectors=collectors,
        sealers=sealers,
        leaf=proof.log.index,
        recorded=str(proof.log.event.get("time", "")),
        checkpoint=checkpoint,
    )


def is_publication(event: dict[str, Any], statement: Statement) -> bool:
    """Tell whether an event of the log says that a statement took effect."""
    facts = event.get("facts")
    return (
        event.get("kind") == "outcome"
        and event.get("status") == "done"
        and isinstance(facts, dict)
        and facts.get("operation") == statement.operation
        and facts.get("crossing") == statement.crossing
        and facts.get("snapshot") == statement.snapshot_sha256
        and facts.get("requester") == statement.requester
    )


def of_file(entries: Iterable[Admitted], digest: str, crossing: int) -> tuple[Admitted, str] | None:
    """Return the artifact that a crossing brought with a file of this digest, and the file's path."""
    for admitted in entries:
        if admitted.crossing == crossing:
            for file in admitted.artifact.files:
                if file.sha256 == digest:
                    return admitted, file.path
    return None


def _approved(envelope: bytes, chain: Sequence[Root]) -> tuple[Statement, frozenset[str], Root]:
    """Return a publication with its approvers, by the newest site root that counts their keys.

    A root that followed may no longer list who approved: what they signed before stays signed.
    """
    claimed = read_statement(envelope)
    if claimed.operation is not Operation.PUBLISH:
        what = f"The statement is about {claimed.operation}, not about letting something in."
        raise AdmissionProofError(what)
    refused: LockgateError | None = None
    for site in reversed(chain):
        try:
            statement, people = judge(
                envelope, site, claimed.created, need=(site.policy or Policy()).approvers
            )
        except LockgateError as error:
            refused = refused or error
        else:
            return statement, people, site
    raise refused or AdmissionProofError("The proof carries no site root.")


def _listed(proof: AdmissionProof, statement: Statement) -> tuple[Admitted, str]:
    data = proof.snapshot.encode()
    if sha256(data) != statement.snapshot_sha256:
        raise AdmissionProofError("The snapshot is not the one that the approvers signed.")
    part = proof.part.encode()
    snapshot = opened(statement.snapshot_sha256, data, _OnePart(part))
    entries: Iterable[Admitted] = snapshot.admitted
    if (parts := parts_of(snapshot)) is None and part:
        raise AdmissionProofError("The proof carries a part of a snapshot that has none.")
    if parts is not None:
        names = [name for name in parts.index.branches if name.sha256 == sha256(part)]
        entries = [admitted for name in names for admitted in parts.read(name).admitted]
    found = of_file(entries, proof.sha256, statement.crossing)
    if found is None:
        what = f"The snapshot lists no file {proof.sha256[:16]}… that crossing {statement.crossing} brought."
        raise AdmissionProofError(what)
    if found[0].crate_sha256 != statement.crate_sha256:
        raise AdmissionProofError("The snapshot names another crate than the statement.")
    return found


def _inspected(
    proof: AdmissionProof, statement: Statement, chain: Sequence[Root], path: str
) -> tuple[Verdict, str, datetime]:
    envelope = proof.inspection.encode()
    said = decode(InTotoStatement, open_envelope(envelope).payload, name="inspection")
    try:
        verdicts = msgspec.convert(said.predicate, Verdicts)
    except msgspec.ValidationError as error:
        raise AdmissionProofError("The inspection is none of this version.") from error
    if digest_of(verdicts) != statement.verdicts_sha256:
        raise AdmissionProofError("The verdicts are not those that the approvers signed.")
    root = _signed(envelope, chain, Purpose.INSPECTOR, INSPECTION, verdicts.inspected)
    verdict = next((v for v in verdicts.verdicts if (v.path, v.sha256) == (path, proof.sha256)), None)
    if verdict is None:
        what = f"The verdicts say nothing of {path}."
        raise AdmissionProofError(what)
    people = _people(envelope, root, Purpose.INSPECTOR, verdicts.inspected)
    return verdict, ", ".join(people), verdicts.inspected


def _brought(
    proof: AdmissionProof, statement: Statement, path: str, pin: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return who collected and who sealed a file; nobody where nothing vouches for the supply root."""
    if not pin or is_submission(statement.crossing):
        return (), ()
    if not proof.sealing or not proof.supply_roots:
        raise AdmissionProofError("The proof does not say who sealed the crossing.")
    versions = [text.encode() for text in proof.supply_roots]
    first = load_supply_root(versions[0], pin, statement.lane)
    later = advance_supply_root(versions[0], versions[1:])
    chain = [first, *(read_supply_root(data) for data, _ in later)]
    sealed, sealers = _attested(proof.sealing, chain, Purpose.SEALER, SEALING)
    collected, collectors = _attested(proof.collection, chain, Purpose.COLLECTOR, COLLECTION)
    subjects = {subject.name: subject.digest.get("sha256") for subject in sealed.subject}
    of_lock = {subject.name: subject.digest.get("sha256") for subject in collected.subject}
    if sealed.predicate.get("sequence") != statement.crossing or subjects.get(path) != proof.sha256:
        raise AdmissionProofError("The sealers attested another crossing, or not this file.")
    if LOCK not in subjects or subjects[LOCK] != of_lock.get(LOCK):
        raise AdmissionProofError("The collectors attested another lock than the sealers.")
    return collectors, sealers


def _attested(
    text: str, chain: Sequence[Root], purpose: Purpose, predicate_type: str
) -> tuple[InTotoStatement, tuple[str, ...]]:
    envelope = text.encode()
    claimed = decode(InTotoStatement, open_envelope(envelope).payload, name="attestation")
    try:
        moment: datetime = msgspec.convert(claimed.predicate.get("created"), Moment)
    except msgspec.ValidationError as error:
        raise AdmissionProofError("An attestation does not say when it was made.") from error
    root = _signed(envelope, chain, purpose, predicate_type, moment)
    return claimed, _people(envelope, root, purpose, moment)


def _signed(
    envelope: bytes, chain: Sequence[Root], purpose: Purpose, predicate_type: str, moment: datetime
) -> Root:
    """Return the newest root by which an attestation is signed as it has to be."""
    refused: LockgateError | None = None
    for root in reversed(chain):
        try:
            check(envelope, root, purpose, predicate_type, moment)
        except LockgateError as error:
            refused = refused or error
        else:
            return root
    raise refused or AdmissionProofError("The proof carries no root.")


def _people(envelope: bytes, root: Root, purpose: Purpose, moment: datetime) -> tuple[str, ...]:
    keyids = open_envelope(envelope).signatures
    return tuple(sorted({root.held(keyid, purpose, moment).person for keyid in keyids}))


def _demand_recorded(event: dict[str, Any], statement: Statement, approvers: frozenset[str]) -> None:
    named = (event.get("facts") or {}).get("approvers") if isinstance(event.get("facts"), dict) else None
    if not is_publication(event, statement) or named != sorted(approvers):
        raise AdmissionProofError("The log's event is about something else than this publication.")
