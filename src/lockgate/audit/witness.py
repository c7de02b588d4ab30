"""Witnesses: who holds checkpoints elsewhere, and cosigns what continues them.

Formats: C2SP tlog-cosignature (cosignature/v1: Ed25519 with the moment of signing) on signed
notes, and C2SP tlog-witness (add-checkpoint) for requests. The same text travels by file, as a
QR picture and by HTTP.
"""

from dataclasses import dataclass
from datetime import UTC, datetime

from lockgate.audit.checkpoint import (
    CHECKPOINT_LIMIT,
    Checkpoint,
    decode_path,
    encode_path,
    key_hash,
    open_checkpoint,
    signature_line,
    signatures,
)
from lockgate.audit.errors import NoteError, OutdatedProofError, ProofError
from lockgate.audit.seen import Seen
from lockgate.core.ports import Clock
from lockgate.core.roots import HeldKey, PublicKey, Purpose, Root
from lockgate.trust.keys import Signer, verifies

COSIGNATURE = b"\x04"
"""Signature type of timestamped Ed25519 cosignatures in signed notes."""

PROOF_LINES = 63
"""Most hashes of a consistency proof in a request (C2SP tlog-witness)."""

REQUEST_LIMIT = CHECKPOINT_LIMIT
"""Longest request to a witness, in characters."""

_TIME_BYTES = 8
_LATEST = 253402300799  # the last second of year 9999, the end of what datetime holds


@dataclass(frozen=True, slots=True)
class WitnessRequest:
    """A signed checkpoint with the proof that it continues an older size (C2SP add-checkpoint)."""

    old: int
    path: tuple[bytes, ...]
    note: str

    @property
    def text(self) -> str:
        """Return the request as it travels."""
        lines = "".join(f"{line}\n" for line in encode_path(self.path))
        return f"old {self.old}\n{lines}\n{self.note}"

    @property
    def origin(self) -> str:
        """Return the log that the checkpoint claims to be of."""
        return self.note.partition("\n")[0]


def parse_request(text: str) -> WitnessRequest:
    """Read a request to a witness; nothing in it is trusted yet.

    Raises:
        NoteError, ProofError: Malformed or over a bound.

    """
    if len(text) > REQUEST_LIMIT:
        what = f"The request is longer than {REQUEST_LIMIT} characters."
        raise NoteError(what)
    head, gap, note = text.partition("\n\n")
    first, *lines = head.split("\n")
    word, _, size = first.partition(" ")
    canonical = size.isascii() and size.isdigit() and len(size) < len(str(1 << 63)) and str(int(size)) == size
    if not gap or word != "old" or not canonical or len(lines) > PROOF_LINES:
        raise NoteError("The file is not a request to a witness (C2SP add-checkpoint).")
    return WitnessRequest(int(size), tuple(decode_path(lines)), note)


def witness_name(lane: str, person: str) -> str:
    """Return the name that a witness signs notes with."""
    name = f"lockgate/{lane}/witness/{person}"
    if any(char.isspace() or char == "+" for char in name):
        what = f"The witness {person!r} cannot sign notes: names of keys have no space and no '+'."
        raise NoteError(what, advice="List the witness under another person id in the site root.")
    return name


def log_keys(site: Root, at: datetime | None = None) -> tuple[PublicKey, ...]:
    """Return the log's keys; with a moment, only those that have not expired by then."""
    held = [h for h in site.keys.values() if h.purpose is Purpose.LOG and h.key.keytype == "ed25519"]
    return tuple(h.key for h in held if at is None or at < h.expires)


def _message(moment: int, checkpoint: Checkpoint) -> bytes:
    return f"cosignature/v1\ntime {moment}\n{checkpoint.text}".encode()


def cosign(checkpoint: Checkpoint, name: str, signer: Signer, at: datetime) -> str:
    """Return the signature line by which a witness says that it saw this checkpoint last."""
    moment = int(at.timestamp())
    raw = key_hash(name, signer.public, COSIGNATURE) + moment.to_bytes(_TIME_BYTES, "big")
    return signature_line(name, raw + signer.sign(_message(moment, checkpoint)))


def _judged(raw: bytes, name: str, held: HeldKey, checkpoint: Checkpoint) -> datetime | None:
    """Return the moment of a cosignature that verifies and was made before the key's expiry."""
    moment = int.from_bytes(raw[4 : 4 + _TIME_BYTES], "big")
    if raw[:4] != key_hash(name, held.key, COSIGNATURE) or moment > _LATEST:
        return None
    when = datetime.fromtimestamp(moment, UTC)
    valid = verifies(held.key, raw[4 + _TIME_BYTES :], _message(moment, checkpoint))
    return when if valid and when < held.expires else None


def cosignatures(note: str, origin: str, site: Root) -> tuple[Checkpoint, dict[str, datetime]]:
    """Return a checkpoint that the log signed, and which witnesses cosigned it when.

    Signatures of keys that the site root does not list for witnesses count for nothing.

    Raises:
        ProofError: Not a checkpoint of this log, or not signed with its key.

    """
    checkpoint = open_checkpoint(note, origin, *log_keys(site))
    witnesses = {
        witness_name(site.lane, held.person): held
        for held in site.keys.values()
        if held.purpose is Purpose.WITNESS and held.key.keytype == "ed25519"
    }
    found: dict[str, datetime] = {}
    for name, raw in signatures(note):
        held = witnesses.get(name)
        when = _judged(raw, name, held, checkpoint) if held else None
        if held and when:
            found[held.person] = max(when, found.get(held.person, when))
    return checkpoint, found


class Witness:
    """Cosigns a log's checkpoints, each proven to continue the one before it.

    Args:
        site: The pinned site root: names the log's keys and the witness.
        signer: The witness's key.
        seen: What this witness saw last.
        clock: The present moment.

    Raises:
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not a witness's key.

    """

    def __init__(self, site: Root, signer: Signer, seen: Seen, clock: Clock) -> None:
        """Check the key; nothing is signed yet."""
        self.person = site.held(signer.keyid, Purpose.WITNESS, clock()).person
        self.name = witness_name(site.lane, self.person)
        self._site = site
        self._signer = signer
        self._seen = seen
        self._clock = clock
        self.origins = tuple(f"lockgate/{site.lane}/{side}" for side in ("high", "low"))

    def cosign(self, request: WitnessRequest, *, first: bool = False) -> str:
        """Return the signature line over a checkpoint, once it is remembered durably.

        Args:
            request: The checkpoint and its proof.
            first: Accept a log of which nothing is remembered.

        Raises:
            ProofError: Not signed by the log, or the proof does not hold.
            OutdatedProofError: The proof begins elsewhere; `seen` names the size seen last.
            FirstCheckpointError: Nothing is remembered, and `first` is not set.
            ForkedLogError, TruncatedLogError: The checkpoint contradicts the one seen last.
            KeyExpiredError: The witness's key expired meanwhile.

        """
        now = self._clock()
        self._site.held(self._signer.keyid, Purpose.WITNESS, now)
        if request.origin not in self.origins:
            what = f"This witness does not know the log {request.origin[:80]!r}."
            raise ProofError(what)
        checkpoint = open_checkpoint(request.note, request.origin, *log_keys(self._site, now))
        if request.old > checkpoint.size:
            raise NoteError("The proof begins beyond the checkpoint.")
        with self._seen.open(checkpoint.origin) as memory:
            memory.demand_known(first=first)
            if memory.size != request.old and memory.size <= checkpoint.size:
                what = f"This witness saw size {memory.size} last; the proof begins at {request.old}."
                raise OutdatedProofError(what, seen=memory.size)
            memory.demand_continued(checkpoint, request.path)
            line = cosign(checkpoint, self.name, self._signer, now)
            memory.keep(checkpoint)
        return line
