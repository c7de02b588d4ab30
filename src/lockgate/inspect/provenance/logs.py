"""Entries of transparency logs: the promise, the proof that the log holds them, and what they hold.

Sources: Sigstore, "Rekor v1" and "Rekor v2" client specifications; RFC 6962, section 2.1 (audit paths);
C2SP, "signed-note" (checkpoints).
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import msgspec

from lockgate.core.provenance import LogKey
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.provenance import keys
from lockgate.inspect.provenance.certificates import demand_window
from lockgate.inspect.provenance.errors import InvalidProvenanceError

MOST_HASHES = 64
"""Longest audit path: a log of 2**64 entries."""

_HASH = 32
_PROMISED = frozenset({("hashedrekord", "0.0.1"), ("dsse", "0.0.1"), ("intoto", "0.0.2")})
"""Entries whose time the log promises with the entry."""


class _KindVersion(msgspec.Struct, frozen=True):
    kind: str
    version: str


class _LogId(msgspec.Struct, frozen=True, rename="camel"):
    key_id: bytes


class _Promise(msgspec.Struct, frozen=True, rename="camel"):
    signed_entry_timestamp: bytes


class _Checkpoint(msgspec.Struct, frozen=True):
    envelope: str


class _Proof(msgspec.Struct, frozen=True, rename="camel"):
    root_hash: bytes
    tree_size: int
    checkpoint: _Checkpoint
    hashes: tuple[bytes, ...] = ()
    log_index: int = 0


class LogEntry(msgspec.Struct, frozen=True, rename="camel"):
    """An entry as Sigstore's bundles carry it (``TransparencyLogEntry``)."""

    log_id: _LogId
    kind_version: _KindVersion
    canonicalized_body: bytes
    log_index: int = 0
    integrated_time: int = 0
    inclusion_promise: _Promise | None = None
    inclusion_proof: _Proof | None = None


def demand_entry(
    entry: LogEntry, logs: Sequence[LogKey], stamps: Sequence[datetime] = (), *, proof: bool = True
) -> datetime | None:
    """Demand that a log that counts holds an entry; return when it took it in, where it promises that.

    Args:
        entry: The entry.
        logs: The logs that count.
        stamps: When time stamps show that the signature was there, for a log that promises no time.
        proof: Whether its inclusion has to be proved; else a promise does (cosign's old form).

    Raises:
        InvalidProvenanceError: No log that counts holds it, as far as it shows.
        ExpiredProvenanceError: The log was not trusted at that time.

    """
    log = next((log for log in logs if log.keyid == entry.log_id.key_id), None)
    if log is None:
        raise InvalidProvenanceError("The log that its entry names is not in the trust roots.")
    key = keys.load(log.key)
    if proof:
        _demand_included(entry, log, key)
    elif entry.inclusion_promise is None:
        raise InvalidProvenanceError("Nothing shows that a log holds its signature.")
    kind = (entry.kind_version.kind, entry.kind_version.version)
    if entry.inclusion_promise is None or not entry.integrated_time or kind not in _PROMISED:
        for stamp in stamps:
            demand_window(log.start, log.end, stamp, "The log")
        return None
    _demand_promised(entry, key)
    moment = _moment(entry.integrated_time)
    demand_window(log.start, log.end, moment, "The log")
    return moment


def _moment(seconds: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, tz=UTC)
    except (OverflowError, ValueError, OSError) as error:
        raise InvalidProvenanceError("The time of its log entry is none.") from error


def _demand_promised(entry: LogEntry, key: keys.Key) -> None:
    said = {
        "body": b64encode(entry.canonicalized_body).decode(),
        "integratedTime": entry.integrated_time,
        "logID": entry.log_id.key_id.hex(),
        "logIndex": entry.log_index,
    }
    data = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
    promise = entry.inclusion_promise
    if promise is None or not keys.signed(key, promise.signed_entry_timestamp, data):
        raise InvalidProvenanceError("The log's promise over its entry does not verify.")


def _demand_included(entry: LogEntry, log: LogKey, key: keys.Key) -> None:
    proof = entry.inclusion_proof
    if proof is None:
        raise InvalidProvenanceError("Nothing proves that a log holds its signature (no inclusion proof).")
    leaf = sha256(b"\x00" + entry.canonicalized_body).digest()
    if _root(leaf, proof) != proof.root_hash:
        raise InvalidProvenanceError(
            "The proof that a log holds its signature does not lead to the log's root."
        )
    size, root = _checkpoint(proof.checkpoint.envelope, log, key)
    if (size, root) != (proof.tree_size, proof.root_hash):
        raise InvalidProvenanceError("The log's signed checkpoint is of another tree than the proof.")


def _root(leaf: bytes, proof: _Proof) -> bytes:
    """Return the root that an audit path leads to (RFC 9162, section 2.1.3.2)."""
    index, last = proof.log_index, proof.tree_size - 1
    if (
        not 0 <= index <= last
        or len(proof.hashes) > MOST_HASHES
        or any(len(h) != _HASH for h in proof.hashes)
    ):
        raise InvalidProvenanceError("The proof that a log holds its signature is malformed.")
    found = leaf
    for sibling in proof.hashes:
        if last == 0:
            raise InvalidProvenanceError("The proof that a log holds its signature is too long.")
        if index & 1 or index == last:
            found = sha256(b"\x01" + sibling + found).digest()
            while not index & 1 and index:
                index, last = index >> 1, last >> 1
        else:
            found = sha256(b"\x01" + found + sibling).digest()
        index, last = index >> 1, last >> 1
    if last:
        raise InvalidProvenanceError("The proof that a log holds its signature is too short.")
    return found


def _checkpoint(envelope: str, log: LogKey, key: keys.Key) -> tuple[int, bytes]:
    """Return size and root hash of a checkpoint that the log signed."""
    text, gap, signatures = envelope.partition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) < 3:  # noqa: PLR2004  # origin, size, root
        raise InvalidProvenanceError("The log's checkpoint is malformed.")
    body = f"{text}\n".encode()
    for line in signatures.split("\n")[:16]:
        dash, _, rest = line.partition(" ")
        raw = _base64(rest.rpartition(" ")[2])
        if dash == "—" and raw[:4] == log.keyid[:4] and keys.signed(key, raw[4:], body):
            if not lines[1].isdecimal() or len(lines[1]) > 20:  # noqa: PLR2004  # 2**64 in decimal
                break
            return int(lines[1]), _base64(lines[2])
    raise InvalidProvenanceError("The log did not sign the checkpoint that comes with its entry.")


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return b""


class Recorded(msgspec.Struct, frozen=True):
    """What an entry holds: the digest that was signed, the signature, and who verifies it."""

    kind: str
    digest: bytes
    signature: bytes
    verifier: bytes
    """A certificate or key, in PEM (Rekor v1) or DER (Rekor v2)."""


def recorded(entry: LogEntry) -> Recorded:
    """Return what the body of an entry holds.

    Raises:
        InvalidProvenanceError: It is of another kind, or not what its kind demands.

    """
    kind = (entry.kind_version.kind, entry.kind_version.version)
    try:
        body = loads(entry.canonicalized_body.decode())
        said = (body["kind"], body["apiVersion"])
        return _READERS[kind if said == kind else ("", "")](body["spec"])
    except (BrokenContentError, ValueError, KeyError, TypeError, IndexError) as error:
        raise InvalidProvenanceError(
            "The log's entry is of a kind that is not read, or malformed."
        ) from error


def _hashed_1(spec: Any) -> Recorded:
    digest = spec["data"]["hash"]
    if digest["algorithm"] not in {"sha256", "sha384", "sha512"}:
        raise ValueError(digest)
    signature = spec["signature"]
    return Recorded(
        "hashedrekord",
        bytes.fromhex(digest["value"]),
        b64decode(signature["content"], validate=True),
        b64decode(signature["publicKey"]["content"], validate=True),
    )


def _dsse_1(spec: Any) -> Recorded:
    (signature,) = spec["signatures"]
    digest = spec["payloadHash"]
    if digest["algorithm"] != "sha256":
        raise ValueError(digest)
    return Recorded(
        "dsse",
        bytes.fromhex(digest["value"]),
        b64decode(signature["signature"], validate=True),
        b64decode(signature["verifier"], validate=True),
    )


def _intoto_2(spec: Any) -> Recorded:
    """Read the kind that recorded envelopes before ``dsse``; its signature is in base64 twice."""
    content = spec["content"]
    (signature,) = content["envelope"]["signatures"]
    digest = content["payloadHash"]
    if digest["algorithm"] != "sha256":
        raise ValueError(digest)
    once = b64decode(signature["sig"], validate=True)
    return Recorded(
        "dsse",
        bytes.fromhex(digest["value"]),
        b64decode(once, validate=True),
        b64decode(signature["publicKey"], validate=True),
    )


def _hashed_2(spec: Any) -> Recorded:
    inner = spec["hashedRekordV002"]
    digest, signature = inner["data"]["digest"], inner["signature"]
    return Recorded("hashedrekord", b64decode(digest, validate=True), *_signature_2(signature))


def _dsse_2(spec: Any) -> Recorded:
    inner = spec["dsseV002"]
    (signature,) = inner["signatures"]
    return Recorded(
        "dsse", b64decode(inner["payloadHash"]["digest"], validate=True), *_signature_2(signature)
    )


def _signature_2(signature: Any) -> tuple[bytes, bytes]:
    verifier = signature["verifier"]
    holder = verifier.get("x509Certificate") or verifier["publicKey"]
    return b64decode(signature["content"], validate=True), b64decode(holder["rawBytes"], validate=True)


_READERS = {
    ("hashedrekord", "0.0.1"): _hashed_1,
    ("dsse", "0.0.1"): _dsse_1,
    ("intoto", "0.0.2"): _intoto_2,
    ("hashedrekord", "0.0.2"): _hashed_2,
    ("dsse", "0.0.2"): _dsse_2,
}
