"""Ceremonies: each holder signs alone on their own machine; documents go around as files or pictures."""

import secrets
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from lockgate.app.files import write_named
from lockgate.app.keys import KeyPlace, holds_key, opening_key, signing_key
from lockgate.app.lane.qr_parts import read_document, write_pictures
from lockgate.core.ceremony import (
    CARD_FORMAT,
    CeremonyError,
    Entry,
    KeyCard,
    demand_sound,
    holder_purpose,
)
from lockgate.core.digests import words
from lockgate.core.root_changes import differences
from lockgate.core.roots import Purpose, Recipient, Root
from lockgate.trust.ceremony import RootDocument, countersign, read_card, read_root, sign_card, signed_by
from lockgate.trust.errors import KeyFileError
from lockgate.trust.keys import (
    RecipientKey,
    Signer,
    new_recipient_key,
    new_signer,
    save_recipient_key,
    save_signer,
)

RECIPIENT = "recipient"
"""Names the key that crates are sealed to, where others name a purpose."""


@dataclass(frozen=True, slots=True)
class Written:
    """A document that was written, and its pictures when they were asked for."""

    file: Path
    pictures: tuple[Path, ...]


def write_document(document: bytes, out: Path, *, qr: bool) -> Written:
    """Write a document as a file, and as pictures beside it."""
    write_named(out, document)
    return Written(out, tuple(write_pictures(document, out)) if qr else ())


def _passphrase(folder: Path, name: str) -> str:
    """Write a fresh passphrase that its owner alone may read."""
    passphrase = secrets.token_urlsafe(24)
    file = folder / f"{name}.pass"
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        file.touch(mode=0o600, exist_ok=False)
        file.write_text(passphrase)
    except OSError as error:
        what = f"The passphrase file {file} cannot be written: {error.strerror}."
        raise KeyFileError(what) from error
    return passphrase


def _own_signer(place: KeyPlace, purpose: Purpose, person: str) -> Signer:
    if isinstance(place, Path) and not holds_key(place, purpose):
        made = new_signer(purpose, person)
        save_signer(made, place / f"{purpose}.pem", _passphrase(place, purpose).encode())
        return made
    return signing_key(place, purpose, person)


def _own_recipient(place: KeyPlace, name: str) -> RecipientKey:
    if not isinstance(place, Path):
        what = "A key that crates are sealed to belongs to a side's keys: name its folder."
        raise KeyFileError(what, advice="Write the address into recipient.uri in that folder.")
    if not holds_key(place, RECIPIENT):
        made = new_recipient_key(name)
        save_recipient_key(made, place / f"{RECIPIENT}.pem", _passphrase(place, RECIPIENT).encode())
        return made
    return opening_key(place, name)


def make_card(place: KeyPlace, purpose: str, person: str, lane: str, at: datetime) -> tuple[bytes, str]:
    """Return a holder's card and the id of the key on it; a folder without the key gets a new one.

    Args:
        place: A folder, or a key in a token (which the token's own program made).
        purpose: One of `Purpose`, or `RECIPIENT`.
        person: Who holds it.
        lane: The lane it is meant for.
        at: The present moment; it stands where the root will put the end of a recipient's key.

    Raises:
        KeyFileError, KeyAddressError, TokenError, TokenFailedError: The key cannot be had.

    """
    if purpose == RECIPIENT:
        mine = _own_recipient(place, person)
        published: Recipient = mine.published(at)
        card = KeyCard(format=CARD_FORMAT, lane=lane, person=person, recipient=published)
        return sign_card(card, None), mine.recipient_id
    signer = _own_signer(place, Purpose(purpose), person)
    card = KeyCard(format=CARD_FORMAT, lane=lane, person=person, purpose=Purpose(purpose), key=signer.public)
    return sign_card(card, signer), signer.keyid


def read_cards(files: list[Path]) -> tuple[Entry, ...]:
    """Return the cards in files, each a document of its own."""
    return tuple(read_card(read_document([file])) for file in files)


@dataclass(frozen=True, slots=True)
class Looked:
    """What a signer is shown of a document: the root, its words, what changes, who signed."""

    document: RootDocument
    before: RootDocument | None
    changes: list[str]
    signed: frozenset[str]
    signed_before: frozenset[str]

    @property
    def words(self) -> str:
        """Return the document's digest as words to compare aloud."""
        return words(self.document.pin)

    @property
    def missing(self) -> tuple[int, int]:
        """Return how many persons are missing: of this version, and of the version before it."""
        own = holder_purpose(self.document.kind)
        after = max(0, self.document.root.threshold(own) - len(self.signed))
        if self.before is None:
            return after, 0
        return after, max(0, self.before.root.threshold(own) - len(self.signed_before))

    @property
    def whole(self) -> bool:
        """Tell whether enough persons signed."""
        return self.missing == (0, 0)


def look(files: list[Path], after: list[Path]) -> Looked:
    """Return what a document says, and who signed it.

    Args:
        files: The document, as a file or as pictures.
        after: The version before it, the same way; empty for a first version.

    Raises:
        RootFileError: Not a root.
        CeremonyError: The version before it is missing or another one.
        SignatureError: It bears a signature that does not count.

    """
    return look_at(read_root(read_document(files)), read_root(read_document(after)) if after else None)


def look_at(document: RootDocument, before: RootDocument | None) -> Looked:
    """Return what a document says beside the version before it; see `look`."""
    _demand_succession(document.root, before.root if before else None)
    known = before.root if before else None
    return Looked(
        document=document,
        before=before,
        changes=differences(known, document.root),
        signed=signed_by(document, document.root, known),
        signed_before=signed_by(document, known, known) if known else frozenset(),
    )


def _demand_succession(root: Root, before: Root | None) -> None:
    if root.version == 1 and before is None:
        return
    if before is None:
        what = (
            f"This is version {root.version}; what it changes shows only beside version {root.version - 1}."
        )
        raise CeremonyError(what, advice="Name the version before it with --after.")
    follows = (before.kind, before.lane, before.version + 1, before.assurance)
    if (root.kind, root.lane, root.version, root.assurance) != follows:
        what = (
            f"{root.kind} root {root.version} of {root.lane!r} ({root.assurance}) does not follow "
            f"{before.kind} root {before.version} of {before.lane!r} ({before.assurance})."
        )
        raise CeremonyError(what)


def sign_root(looked: Looked, key: KeyPlace, at: datetime) -> tuple[bytes, str]:
    """Return a root's document with one more holder's signature, and the holder's name.

    Raises:
        CeremonyError: The key may not sign it, or the root would not be sound.
        KeyFileError, TokenError, TokenFailedError: The key cannot be had.

    """
    demand_sound(looked.document.root, at)
    purpose = holder_purpose(looked.document.kind)
    signer = signing_key(key, purpose)
    before = looked.before.root if looked.before else None
    data = countersign(looked.document, signer, before)
    listed = {**(before.keys if before else {}), **looked.document.root.keys}
    return data, listed[signer.keyid].person
