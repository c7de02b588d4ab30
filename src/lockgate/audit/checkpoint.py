"""Checkpoints as signed notes (C2SP tlog-checkpoint and signed-note), Ed25519."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from lockgate.audit.errors import ProofError
from lockgate.core.roots import PublicKey
from lockgate.trust.keys import Signer, verifies

ED25519 = b"\x01"
"""Signature type of Ed25519 in signed notes."""

CHECKPOINT_LIMIT = 64 * 1024
_HEAD_LINES = 3


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


def _key_hash(name: str, key: PublicKey) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + bytes.fromhex(key.public)).digest()[:4]


def sign_checkpoint(checkpoint: Checkpoint, signer: Signer) -> str:
    """Return the signed note."""
    signature = _key_hash(checkpoint.origin, signer.public) + signer.sign(checkpoint.text.encode())
    encoded = base64.b64encode(signature).decode()
    return f"{checkpoint.text}\n\N{EM DASH} {checkpoint.origin} {encoded}\n"


def open_checkpoint(note: str, origin: str, key: PublicKey) -> Checkpoint:
    """Return a checkpoint whose signature by the log's key verifies.

    Raises:
        ProofError: Malformed, of another log, or not signed with this key.

    """
    if len(note) > CHECKPOINT_LIMIT:
        raise ProofError("The checkpoint is too long.")
    text, gap, tail = note.partition("\n\n")
    lines = text.split("\n")
    if not gap or len(lines) != _HEAD_LINES or lines[0] != origin:
        what = f"The checkpoint is not one of the log {origin!r}."
        raise ProofError(what)
    try:
        checkpoint = Checkpoint(lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True))
    except (ValueError, binascii.Error) as error:
        raise ProofError("The checkpoint is malformed.") from error
    if checkpoint.text != text + "\n" or checkpoint.size < 0:
        raise ProofError("The checkpoint is not in canonical form.")
    for line in tail.splitlines():
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        if dash != "\N{EM DASH}" or name != origin:
            continue
        try:
            raw = base64.b64decode(encoded, validate=True)
        except (ValueError, binascii.Error):
            continue
        if raw[:4] == _key_hash(origin, key) and verifies(key, raw[4:], checkpoint.text.encode()):
            return checkpoint
    raise ProofError("The checkpoint bears no valid signature of the log's key.")
