"""Signing on the approver's own machine: no home, no gate, only key, root and statement.

The machine remembers the last checkpoint of the high side's log that it saw, and signs nothing
without a proof that the log only grew since.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.files import NamedFileError, read_named, write_named
from lockgate.app.keys import KeyPlace
from lockgate.app.lane.qr_parts import QrPartsError, read_documents, write_pictures
from lockgate.app.trust import signer_from, utc_now
from lockgate.approve import approve, read_statement
from lockgate.audit import Seen, named_checkpoint, read_evidence, watch
from lockgate.audit.evidence import EVIDENCE_LIMIT
from lockgate.core.custody import CustodyReport
from lockgate.core.difference import DIFFERENCE, Difference
from lockgate.core.digests import sha256
from lockgate.core.errors import InputError, LockgateError, about
from lockgate.core.roots import Purpose
from lockgate.core.statement import NOTHING, Operation, Statement
from lockgate.core.wire import decode
from lockgate.trust.dsse import open_envelope
from lockgate.trust.roots import load_newest_site_root

EVIDENCE_SUFFIX = ".log.json"
"""What the log shows beside a request is named like the request, with this ending."""


CUSTODY_SUFFIX = ".custody.json"
"""The report of the crate's way beside a request is named like the request, with this ending."""

DIFFERENCE_SUFFIX = ".difference.json"
"""What approving would change, beside the request, is named like the request, with this ending."""

BESIDE = (EVIDENCE_SUFFIX, CUSTODY_SUFFIX, DIFFERENCE_SUFFIX)
"""Endings of what lies beside a request and is no request."""

_BREAKS = frozenset({Operation.ANCHOR, Operation.RESTORE})
"""What may be signed though the log does not continue what this machine saw: it is about that."""

REPORT_LIMIT = 1 << 22
"""Longest report of a crate's way that is read, in bytes."""


class CustodyUnshownError(InputError):
    """A statement binds a report of the crate's way that is not there or is another one."""

    code = "LG-1f50"
    advice = "Fetch the file that the gate wrote beside the request, or name it with --custody."


class DifferenceUnshownError(InputError):
    """A statement binds what approving would change, and that is not there or is another one."""

    code = "LG-1fb1"
    advice = "Fetch the file that the gate wrote beside the request, or name it with --difference."


@dataclass(frozen=True, slots=True)
class Signed:
    """Who signed, and from which size of the log on this machine knows that it only grew.

    `seen` is None when this machine saw the log for the first time: then nothing was compared.
    """

    person: str
    seen: int | None


def unpack_pictures(pictures: Sequence[Path]) -> Path:
    """Write what pictures carry as files beside the first of them; return the request's file.

    A request comes with what the log shows, and where the statement binds one with the report of
    the crate's way; which is which is told by what they are.

    Raises:
        QrPartsError: The pictures do not make whole documents, or not one request with what it needs.

    """
    target = pictures[0].with_name(f"{pictures[0].name.split('.')[0]}.json")
    found: dict[Path, bytes] = {}
    for document in read_documents(pictures):
        place = _place(document, target)
        if place in found:
            raise QrPartsError("The pictures carry more than one request.")
        found[place] = document
    if target not in found:
        raise QrPartsError("The pictures carry no request.")
    for place, document in found.items():
        write_named(place, document)
    return target


def _place(document: bytes, request: Path) -> Path:
    """Return where a document of a request's pictures belongs."""
    kinds: tuple[tuple[Callable[[bytes], object], Path], ...] = (
        (read_statement, request),
        (read_evidence, evidence_beside(request)),
        (lambda data: decode(CustodyReport, data, limit=REPORT_LIMIT), custody_beside(request)),
        (lambda data: decode(Difference, data, limit=REPORT_LIMIT), difference_beside(request)),
    )
    for read, place in kinds:
        with suppress(LockgateError):
            read(document)
            return place
    raise QrPartsError("A picture's document is nothing that belongs to a request.")


def request_pictures(request: Path) -> list[Path]:
    """Write a request and what lies beside it as QR pictures; return them.

    Raises:
        NamedFileError: The request or its evidence is not there.
        QrPartsLimitError: Too long for pictures.

    """
    read_statement(read_named(request))
    files = [request, evidence_beside(request)]
    files += [file for file in (custody_beside(request), difference_beside(request)) if file.is_file()]
    return [picture for file in files for picture in write_pictures(read_named(file), file)]


def default_state(pin: str) -> Path:
    """Return where this machine remembers checkpoints (XDG Base Directory Specification).

    Each site root has a memory of its own: two sites may call their lanes the same.
    """
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "lockgate" / "seen" / pin[:32]


def evidence_beside(request: Path) -> Path:
    """Return where the evidence for a request lies."""
    return request.with_suffix(EVIDENCE_SUFFIX)


def custody_beside(request: Path) -> Path:
    """Return where the report of the crate's way lies."""
    return request.with_suffix(CUSTODY_SUFFIX)


def shown_custody(statement: Statement, file: Path) -> CustodyReport | None:
    """Return the report that a statement binds, which approvers must see; None where it binds none.

    Raises:
        CustodyUnshownError: It is not there, or not the one that the statement binds.

    """
    if statement.custody_sha256 == NOTHING:
        return None
    try:
        data = read_named(file, limit=REPORT_LIMIT)
    except NamedFileError as error:
        what = f"The report of the crate's way is missing: {error.what}"
        raise CustodyUnshownError(what) from error
    if sha256(data) != statement.custody_sha256:
        what = f"{file} is not the report of the crate's way that the statement binds."
        raise CustodyUnshownError(what)
    return decode(CustodyReport, data, limit=REPORT_LIMIT, name="custody report")


def difference_beside(request: Path) -> Path:
    """Return where what approving would change lies."""
    return request.with_suffix(DIFFERENCE_SUFFIX)


def shown_difference(statement: Statement, file: Path) -> Difference | None:
    """Return the difference that a statement binds, which approvers must see; None where it binds none.

    Raises:
        DifferenceUnshownError: It is not there, or not the one that the statement binds.

    """
    bound = (statement.facts or {}).get(DIFFERENCE)
    if bound is None:
        return None
    try:
        data = read_named(file, limit=REPORT_LIMIT)
    except NamedFileError as error:
        what = f"What approving would change is missing: {error.what}"
        raise DifferenceUnshownError(what) from error
    if sha256(data) != bound:
        what = f"{file} is not the difference that the statement binds."
        raise DifferenceUnshownError(what)
    return decode(Difference, data, limit=REPORT_LIMIT, name="difference")


@dataclass(frozen=True, slots=True)
class Device:
    """What an approver's machine trusts and remembers.

    `site_root` is the pinned site root and those that followed it, oldest first; `pin` the digest
    of the first from the approver's own notes; and `state` the folder of checkpoints that were seen
    (None: `default_state`). `broken` signs a re-anchoring or a restore though the log lost what this
    machine saw. The pin stays when the root is rotated, and so does the memory.
    """

    site_root: tuple[bytes, ...]
    pin: str
    state: Path | None = None
    broken: bool = False


def read_root(file: Path) -> bytes:
    """Return a site root's envelope; its signatures are judged where it is used.

    Raises:
        LockgateError: It is no envelope; the error names the file.

    """
    with about(file):
        data = read_named(file)
        open_envelope(data)
    return data


def sign_as_approver(request: bytes, evidence: Path, key: KeyPlace, device: Device, target: Path) -> Signed:
    """Sign a request with an approver's key and write it; return who signed.

    The signature leaves this function only after the checkpoint that the evidence shows is
    remembered.

    Args:
        request: The statement's envelope.
        evidence: What the log showed beside it.
        key: A folder with ``approver.pem`` and ``approver.pass`` or with ``approver.uri``, or a key
            in a token.
        device: What this machine trusts and remembers.
        target: The file to write.

    Raises:
        PinMismatchError: Another site root.
        OwnRequestError, UnknownKeyError, KeyPurposeError, KeyExpiredError: May not approve this.
        TokenError, TokenFailedError: The token is not there, does not open, or failed.
        ProofError, OutdatedProofError, ForkedLogError, TruncatedLogError: The log does not show
            that it only grew since this machine saw it last.

    """
    now = utc_now()
    statement = read_statement(request)
    site = load_newest_site_root(device.site_root, device.pin, statement.lane, now)
    signer = signer_from(key, Purpose.APPROVER, site)
    signed = approve(request, signer, site, now)
    named = named_checkpoint(statement.log_checkpoint, f"lockgate/{site.lane}/high")
    with about(evidence):
        shown = read_evidence(read_named(evidence, limit=EVIDENCE_LIMIT))
    broken = device.broken and statement.operation in _BREAKS
    seen = watch(Seen(device.state or default_state(device.pin)), shown, named, site, now, broken=broken)
    write_named(target, signed)
    return Signed(signer.person, seen)
