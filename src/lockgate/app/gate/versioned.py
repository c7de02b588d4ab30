"""Documents that two persons put in force, version after version: kept as files, verified anew at each use.

Each version lies in ``trust/`` with the statement that its approvers signed. The newest one counts, and
a record keeps its number and digest: whoever takes files away brings nothing older back.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from lockgate.app.files import read_named, write_whole
from lockgate.app.gate.decisions import Decision, ask, decided, spend
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import audit_log, site_root
from lockgate.approve import judge, read_statement
from lockgate.approve.errors import StatementChangedError
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, TrustError, about
from lockgate.core.policy import Policy
from lockgate.core.statement import NOTHING, Operation, Statement
from lockgate.core.wire import Document, decode, encode
from lockgate.trust.keys import Signer

VERSION, DOCUMENT, PREVIOUS = "version", "document", "previous"
"""Facts of a statement about a document; beside them stands each sentence of the document."""

_SIGNED = ".dsse.json"


class Worded(Protocol):
    """A document of a version that says in sentences what it means."""

    @property
    def version(self) -> int:
        """Its number, from 1."""

    def sentences(self) -> Iterable[str]:
        """Yield what an approver reads."""


D = TypeVar("D", bound=Worded)


class Floor(Document, frozen=True):
    """The newest version of a document that was ever in force on this side."""

    version: int
    document_sha256: str


@dataclass(frozen=True, slots=True)
class InForce(Generic[D]):
    """A document in force, and who signed it."""

    document: D
    document_sha256: str
    approvers: tuple[str, ...]
    requester: str


@dataclass(frozen=True, slots=True)
class Versioned(Generic[D]):
    """One kind of document that two persons put in force.

    Attributes:
        name: What people call it, in the plural: ``admission rules``.
        operation: What its statements are about.
        prefix: What the names of its files begin with, before six digits of the version.
        ending: What the name of a document ends with.
        limit: Longest document that is read, in bytes.
        read: Reads one; raises `LockgateError`.
        withdrawn: Raised when what was in force is gone or is not what was signed.
        floor: Where the record of the newest version is: its kind and key.

    """

    name: str
    operation: Operation
    prefix: str
    ending: str
    limit: int
    read: Callable[[bytes], D]
    withdrawn: type[TrustError]
    floor: tuple[str, str]

    def files(self, side: Side, version: int) -> tuple[Path, Path]:
        """Return the document and its signed statement of a version; they need not be there."""
        stem = f"{self.prefix}{version:06d}"
        return side.home.trust / f"{stem}{self.ending}", side.home.trust / f"{stem}{_SIGNED}"

    def newest(self, side: Side) -> int:
        """Return the newest version that has a signed statement; 0 where there is none."""
        found = [p.name.removeprefix(self.prefix) for p in side.home.trust.glob(f"{self.prefix}*{_SIGNED}")]
        numbers = [name.removesuffix(_SIGNED) for name in found]
        return max((int(number) for number in numbers if number.isdecimal()), default=0)

    def in_force(self, side: Side) -> InForce[D] | None:
        """Return what is in force, its signatures verified now; None where there never was any.

        Raises:
            TrustError: As `withdrawn`: a version that was in force is gone, or not what was signed.
            LockgateError: Its signatures do not verify.

        """
        floor = self._floor(side)
        version = self.newest(side)
        if version < (floor.version if floor else 0):
            what = f"Version {floor.version if floor else 0} of the {self.name} was in force and is gone."
            raise self.withdrawn(what)
        if version == 0:
            return None
        found = self._verified(side, version)
        if floor and floor.version == version and found.document_sha256 != floor.document_sha256:
            what = f"Version {version} of the {self.name} is not the one that was in force."
            raise self.withdrawn(what)
        return found

    def _floor(self, side: Side) -> Floor | None:
        records = records_of(side)
        with records.transaction() as tx:
            value = tx.get(*self.floor)
        records.close()
        return decode(Floor, value) if value else None

    def _verified(self, side: Side, version: int) -> InForce[D]:
        document, signed = self.files(side, version)
        site = site_root(side, None)
        try:
            envelope, data = read_named(signed), read_named(document, limit=self.limit)
            made = read_statement(envelope).created
            statement, approvers = judge(envelope, site, made, need=(site.policy or Policy()).approvers)
            same = self.about(statement, data, self.before(side, statement, version))
        except InputError as error:  # a file is gone or is no such document: nobody is to mend it by hand
            what = f"Version {version} of the {self.name} is not what its approvers signed: {error.what}"
            raise self.withdrawn(what) from error
        if not same or (statement.facts or {}).get(VERSION) != str(version):
            what = f"Version {version} of the {self.name} is not what its approvers signed."
            raise self.withdrawn(what)
        return InForce(self.read(data), sha256(data), tuple(sorted(approvers)), statement.requester)

    def before(self, side: Side, statement: Statement, version: int) -> str:  # noqa: ARG002  # for kinds that look
        """Return the digest of what was in force before a version, as its approvers signed."""
        return (statement.facts or {}).get(PREVIOUS, "")

    def facts(self, data: bytes, previous: str) -> dict[str, str]:
        """Return what approvers read and sign: version, digests, and every sentence of the document."""
        document = self.read(data)
        numbered = {f"says {number:03d}": text for number, text in enumerate(document.sentences(), 1)}
        return {VERSION: str(document.version), DOCUMENT: sha256(data), PREVIOUS: previous, **numbered}

    def about(self, statement: Statement, data: bytes, previous: str) -> bool:
        """Tell whether a statement says of a document exactly what the document says."""
        said = dict(statement.facts or {})
        return statement.operation is self.operation and self.facts(data, previous) == said

    def demand_about(self, statement: Statement, data: bytes) -> None:
        """Demand that a statement says of a document exactly what the document says.

        Raises:
            StatementChangedError: It is about something else.

        """
        if not self.about(statement, data, (statement.facts or {}).get(PREVIOUS, "")):
            what = f"The request is not about these {self.name}."
            raise StatementChangedError(what)

    def propose(self, side: Side, data: bytes, requester: Signer) -> bytes:
        """Return the request to put a document in force; it holds every sentence of it.

        Raises:
            UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.
            LockgateError: The document is malformed.

        """
        present = self.in_force(side)
        previous = present.document_sha256 if present else NOTHING
        return ask(side, self.operation, self.facts(data, previous), requester)

    def demand_follows(self, decision: Decision, present: InForce[D] | None) -> None:
        """Demand that what was decided follows what is in force now.

        Raises:
            StatementChangedError: Another document came in force after the request.

        """
        if decision.facts[PREVIOUS] != (present.document_sha256 if present else NOTHING):
            what = f"Other {self.name} came in force after the request."
            raise StatementChangedError(what)

    def put(self, side: Side, data: bytes, decision: Decision) -> None:
        """Put a document in force that was decided and checked; the decision is spent with it.

        Raises:
            ApprovalSpentError: Used before.

        """
        version, log = self.read(data).version, audit_log(side)
        intent = log.intent(
            str(self.operation), version=version, document=sha256(data), approvers=sorted(decision.approvers)
        )
        document, statement = self.files(side, version)
        records = records_of(side)
        with records.transaction() as tx:
            spend(tx, decision.statement)
            write_whole(document, data)
            write_whole(statement, decision.envelope)
            tx.put(*self.floor, encode(Floor(version=version, document_sha256=sha256(data))))
        records.close()
        log.outcome(intent, "done", version=version)


def faultless(side: Side, document: Worded) -> Iterable[str]:  # noqa: ARG001  # what all such functions take
    """Yield no fault: what can be read can be signed."""
    return ()


@dataclass(frozen=True, slots=True)
class Numbered(Versioned[D]):
    """One kind that an operator writes as a file, each version numbered by one more than that in force.

    So a version is held against the one before it by the files, whatever its statement says.

    Attributes:
        refused: Raised when a document cannot be signed now.
        faults: Yields what this site finds wrong with a document that could be read.

    """

    refused: type[InputError]
    faults: Callable[[Side, D], Iterable[str]] = faultless

    def before(self, side: Side, statement: Statement, version: int) -> str:  # noqa: ARG002  # as its base
        """Return the digest of the version before it, as the files say."""
        if version == 1:
            return NOTHING
        return sha256(read_named(self.files(side, version - 1)[0], limit=self.limit))

    def checked(self, side: Side, file: Path) -> D:
        """Return the document in a file when it could be signed now.

        Raises:
            InputError: As `refused`: malformed, wrong for this site, or not the next version.

        """
        document = self.read(read_named(file, limit=self.limit))
        for fault in self.faults(side, document):
            raise self.refused(fault)
        present = self.in_force(side)
        follows = (present.document.version if present else 0) + 1
        if document.version != follows:
            what = (
                f"The {self.name} have the version {document.version}; "
                f"the next one on this side is {follows}."
            )
            raise self.refused(what)
        return document

    def propose_file(self, side: Side, file: Path, requester: Signer) -> bytes:
        """Return the request to put the document in a file in force; it holds every sentence of it.

        Raises:
            InputError: See `checked`.
            UnknownKeyError, KeyPurposeError, KeyExpiredError: Not an operator's key.

        """
        self.checked(side, file)
        return self.propose(side, read_named(file, limit=self.limit), requester)

    def activate(self, side: Side, file: Path, signed: Sequence[Path]) -> Decision:
        """Put the document in a file in force that enough approvers signed.

        Raises:
            StatementChangedError: It is not the one that was signed, or another came in force meanwhile.
            InputError: As `refused`: it could not be signed any more.
            ApprovalSpentError: Used before.
            LockgateError: Too few approvers, expired, or see `approve.judge`.

        """
        data = read_named(file, limit=self.limit)
        with about(file):
            self.read(data)
        decision = decided(side, self.operation, signed)
        present = self.in_force(side)
        self.demand_about(decision.statement, data)
        if present is None or present.document_sha256 != sha256(data):  # else a crash left it half done
            self.checked(side, file)
            self.demand_follows(decision, present)
        self.put(side, data, decision)
        return decision
