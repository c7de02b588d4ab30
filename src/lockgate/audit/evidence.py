"""What a log shows to an approver's device beside a request: that it only grew.

The device remembers the last checkpoint that it saw. Evidence carries one checkpoint, signed by
the log, and proofs from older sizes. A device accepts it when both the checkpoint that the
statement names and the one that it remembers are among those older sizes (or are the checkpoint
itself) and their proofs hold.
"""

import re
from datetime import datetime

from lockgate.audit.checkpoint import Checkpoint, decode_path, open_checkpoint
from lockgate.audit.errors import OutdatedProofError, ProofError, TruncatedLogError
from lockgate.audit.merkle import consistency_holds
from lockgate.audit.seen import Seen
from lockgate.audit.witness import log_keys
from lockgate.core.artifact import Size
from lockgate.core.roots import Root
from lockgate.core.wire import Document, decode

EVIDENCE_FORMAT = "lockgate-log-evidence/1"
EVIDENCE_LIMIT = 1 << 20
"""Longest evidence that is read, in bytes."""

_NAMED = re.compile(r"(0|[1-9][0-9]{0,15}) ([0-9a-f]{64})")


class Extension(Document, frozen=True):
    """A proof that a checkpoint continues an older size; hashes in base64."""

    size: Size
    path: tuple[str, ...]


class LogEvidence(Document, frozen=True):
    """A signed checkpoint, and proofs that it continues some older sizes."""

    format: str
    checkpoint: str
    extends: tuple[Extension, ...]


def read_evidence(data: bytes) -> LogEvidence:
    """Read evidence; nothing in it is trusted yet.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not evidence.
        ProofError: Of a format that this version does not read.

    """
    evidence = decode(LogEvidence, data, limit=EVIDENCE_LIMIT, name="log evidence")
    if evidence.format != EVIDENCE_FORMAT:
        what = f"The evidence has the format {evidence.format[:80]!r}, which this version does not read."
        raise ProofError(what)
    return evidence


def named_checkpoint(text: str, origin: str) -> Checkpoint:
    """Return the checkpoint that a statement names (``SIZE ROOT``, the root in hexadecimal).

    Raises:
        ProofError: The statement names none.

    """
    match = _NAMED.fullmatch(text)
    if match is None:
        raise ProofError("The statement names no checkpoint of the log.")
    return Checkpoint(origin, int(match[1]), bytes.fromhex(match[2]))


def _path(evidence: LogEvidence, size: int, newest: int) -> list[bytes]:
    if size == newest:
        return []
    for each in evidence.extends:
        if each.size == size:
            return decode_path(each.path)
    what = f"The evidence has no proof from size {size}."
    raise OutdatedProofError(what, seen=size, advice=_advice(size))


def _advice(size: int) -> str:
    return (
        f"Ask the operator for `lockgate audit evidence --since {size} --request REQUEST --out FILE`, "
        "and approve with `--log FILE`."
    )


_CUT = (
    "Where the operator is told that the log is shorter than that, leaves were removed or an old state was "
    "restored: stop admission and look at the backups."
)


def watch(
    seen: Seen,
    evidence: LogEvidence,
    named: Checkpoint,
    site: Root,
    at: datetime,
    *,
    broken: bool = False,
) -> int | None:
    """Demand that the log only grew since this device saw it last, and remember the checkpoint.

    Args:
        seen: The device's memory.
        evidence: What came beside the request.
        named: The checkpoint that the statement names.
        site: The pinned site root.
        at: The present moment; an expired log key is refused.
        broken: Remember the checkpoint although the log contradicts the one seen last; the person
            who signs knows that the log was lost.

    Returns:
        The size that was seen last, or None when this device sees the log for the first time.

    Raises:
        ProofError: Not signed by the log, or a proof does not hold.
        OutdatedProofError: No proof begins at the checkpoint that this device remembers.
        ForkedLogError, TruncatedLogError: The log contradicts the checkpoint seen last.

    """
    now = open_checkpoint(evidence.checkpoint, named.origin, *log_keys(site, at))
    path = _path(evidence, named.size, now.size) if named.size <= now.size else []
    if not consistency_holds(named.size, now.size, named.root, now.root, path):
        raise ProofError("The log does not continue the checkpoint that the statement names.")
    with seen.open(named.origin) as memory:
        last = memory.size if memory.known else None
        known = last is not None and memory.size <= now.size
        if not broken:
            if now.size < memory.size:
                what = f"The log shows {now.size} leaves; {memory.size} were seen before."
                advice = f"Either this was written before what you signed last: {_advice(memory.size)} {_CUT}"
                raise TruncatedLogError(what, seen=memory.size, offered=now.size, advice=advice)
            memory.demand_continued(now, _path(evidence, memory.size, now.size) if known else [])
        memory.keep(now)
    return last
