"""Checkpoints as signed notes (C2SP tlog-checkpoint and signed-note), Ed25519."""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from lockgate.audit.errors import NoteError, ProofError
from lockgate.core.roots import PublicKey
from lockgate.trust.keys import Signer, verifies

ED25519 = b"\x01"
"""Signature type of Ed25519 in signed notes."""

CHECKPOINT_LIMIT = 64 * 1024
"""Longest signed note that is read, in characters."""

SIGNATURE_LINES = 100
"""Most signature lines of a note that are looked at."""

SIZE_LIMIT = 1 << 53
"""Most leaves of a log; what is remembered of one holds no greater number."""

_HEAD_LINES = 3
_ROOT_BYTES = 32
DASH = "\N{EM DASH}"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log said of itself: its name, its size and its root hash."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """Return the note's text, which is what is signed."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_hash(name: str, key: PublicKey, kind: bytes = ED25519) -> bytes:
    """Return the four bytes by which a signature line names its key (C2SP signed-note).

    Raises:
        NoteError: Not an Ed25519 key; notes have no other kind here.

    """
    if key.keytype != "ed25519":
        what = f"Notes are signed with Ed25519 keys, not with {key.keytype[:20]!r}."
        raise NoteError(what, advice="List an Ed25519 key for this purpose in the site root.")
    return hashlib.sha256(name.encode() + b"\n" + kind + bytes.fromhex(key.public)).digest()[:4]


def signature_line(name: str, raw: bytes) -> str:
    """Return one signature line of a note."""
    return f"{DASH} {name} {base64.b64encode(raw).decode()}\n"


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the signed note."""
    raw = key_hash(checkpoint.origin, signer.public) + signer.sign(checkpoint.text.encode())
    return f"{checkpoint.text}\n{signature_line(checkpoint.origin, raw)}"


def read_checkpoint(note: str, origin: str) -> Checkpoint:
    """Return the checkpoint that a note carries, its signatures unverified.

    Raises:
        ProofError: Malformed, not canonical, or of another log.

    """
    if len(note) > CHECKPOINT_LIMIT:
        raise ProofError("The checkpoint is too long.")
    text, gap, _ = note.partition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) != _HEAD_LINES or lines[0] != origin:
        what = f"The checkpoint is not one of the log {origin!r}."
        raise ProofError(what)
    try:
        checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (ValueError, binascii.Error) as error:
        raise ProofError("The checkpoint is malformed.") from error
    sized = 0 <= checkpoint.size <= SIZE_LIMIT
    if checkpoint.text != text + "\n" or not sized or len(checkpoint.root) != _ROOT_BYTES:
        raise ProofError("The checkpoint is not in canonical form.")
    return checkpoint


def signatures(note: str) -> Iterator[tuple[str, bytes]]:
    """Yield name and raw signature of each readable signature line of a note."""
    for line in note.partition("\n\n")[2].split("\n")[:SIGNATURE_LINES]:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != DASH:
            continue
        try:
            yield name, base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            continue


def open_checkpoint(note: str, origin: str, *keys: PublicKey) -> Checkpoint:
    """Return a checkpoint that one of the log's keys signed.

    Raises:
        ProofError: Malformed, of another log, or signed with none of these keys.

    """
    checkpoint = read_checkpoint(note, origin)
    message = checkpoint.text.encode()
    for name, raw in signatures(note):
        if name == origin and any(_signed(raw, origin, key, message) for key in keys):
            return checkpoint
    raise ProofError("The checkpoint bears no valid signature of the log's key.")


def _signed(raw: bytes, name: str, key: PublicKey, message: bytes) -> bool:
    return raw[:4] == key_hash(name, key) and verifies(key, raw[4:], message)


def encode_path(path: Iterable[bytes]) -> tuple[str, ...]:
    """Return the hashes of a proof as base64 texts."""
    return tuple(base64.b64encode(value).decode() for value in path)


def decode_path(texts: Iterable[str]) -> list[bytes]:
    """Return the hashes of a proof.

    Raises:
        ProofError: One of them is no hash in base64.

    """
    try:
        path = [base64.b64decode(text, validate=True) for text in texts]
    except ValueError as error:
        raise ProofError("The proof is malformed.") from error
    if any(len(value) != _ROOT_BYTES for value in path):
        raise ProofError("The proof holds something that is no hash.")
    return path
