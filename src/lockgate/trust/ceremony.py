"""Documents of a ceremony: cards signed by their own keys, and roots that gather signatures.

A root under way is the root's own document with some of its signatures, so that nothing has to be
converted at the end: whoever holds enough of them holds the root.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tuf.api.metadata import Metadata
from tuf.api.metadata import Root as TufRoot
from tuf.api.serialization.json import JSONSerializer

from lockgate.core.ceremony import CARD_TYPE, CeremonyError, Entry, KeyCard, holder_purpose
from lockgate.core.errors import LockgateError
from lockgate.core.roots import HeldKey, Root, RootKind
from lockgate.core.wire import decode, encode
from lockgate.trust.dsse import add_signature, merge, open_envelope, sign
from lockgate.trust.errors import EnvelopeError, RootFileError, SignatureError
from lockgate.trust.keys import Signer, keyid_of, recipient_id, verifies
from lockgate.trust.roots import (
    ROOT_LIMIT,
    SITE_ROOT_TYPE,
    countersign_supply_root,
    make_supply_root,
    read_site_root,
    read_supply_root,
    sign_site_root,
    site_root_pin,
    supply_root_pin,
)

CARD_LIMIT = 16 * 1024
"""Longest card that is read, in bytes."""

_COMPACT = JSONSerializer(compact=True)


def sign_card(card: KeyCard, signer: Signer | None) -> bytes:
    """Return a card; the key on it signs it, unless it is one that crates are sealed to."""
    return sign(CARD_TYPE, encode(card), [signer] if signer else [])


def read_card(data: bytes) -> Entry:
    """Return a card after checking that whoever made it holds the signing key on it.

    A key that crates are sealed to cannot sign: its words have to be compared with its holder.

    Raises:
        EnvelopeError: Not a card.
        SignatureError: The key on it did not sign it.

    """
    opened = open_envelope(data, limit=CARD_LIMIT)
    if opened.payload_type != CARD_TYPE:
        what = f"The document is {opened.payload_type[:80]!r}, not a card."
        raise EnvelopeError(what)
    card = decode(KeyCard, opened.payload, limit=CARD_LIMIT, name="card")
    if card.key is None:
        if card.recipient is None or opened.signatures:
            raise EnvelopeError("The card holds no key, or signatures that nobody can check.")
        return Entry(recipient_id(card.recipient.public), card)
    keyid = keyid_of(card.key)
    if set(opened.signatures) != {keyid} or not verifies(card.key, opened.signatures[keyid], opened.message):
        what = f"The card of {card.person[:80]!r} is not signed by the key on it."
        raise SignatureError(what, keyid=keyid)
    return Entry(keyid, card)


@dataclass(frozen=True, slots=True)
class RootDocument:
    """A root with the signatures that it has so far: `keyids` says whose, unjudged."""

    data: bytes
    root: Root
    pin: str
    keyids: frozenset[str]

    @property
    def kind(self) -> RootKind:
        """Return which of the two roots it is."""
        return self.root.kind


def draft(root: Root) -> bytes:
    """Return a root's document without any signature."""
    return sign_site_root(root, []) if root.kind is RootKind.SITE else make_supply_root(root, [])


def read_root(data: bytes) -> RootDocument:
    """Return what a root's document says and who put a signature on it; none is judged.

    Raises:
        RootFileError: Neither a site root nor a supply root.

    """
    try:
        root = read_supply_root(data)
    except RootFileError as error:
        return _read_site(data, error)
    return RootDocument(data, root, supply_root_pin(data), frozenset(_metadata(data).signatures))


def _read_site(data: bytes, supply: RootFileError) -> RootDocument:
    try:
        opened = open_envelope(data, limit=ROOT_LIMIT)
        root = read_site_root(opened)
    except LockgateError as error:
        what = f"The document is no root: {error.what} ({supply.what})"
        raise RootFileError(what) from error
    if opened.payload_type != SITE_ROOT_TYPE:
        raise RootFileError("The document is not a root of a format this version reads.")
    return RootDocument(data, root, site_root_pin(data), frozenset(opened.signatures))


def _metadata(data: bytes) -> Metadata[TufRoot]:
    return Metadata[TufRoot].from_bytes(data)


def _holders(document: RootDocument, before: Root | None) -> dict[str, HeldKey]:
    purpose = holder_purpose(document.kind)
    listed = {**(before.keys if before else {}), **document.root.keys}
    return {k: h for k, h in listed.items() if h.purpose is purpose}


def signed_by(document: RootDocument, by: Root, before: Root | None = None) -> frozenset[str]:
    """Return the persons of one root whose signatures on a document verify.

    Args:
        document: The root under way.
        by: Whose holders are asked for: the document's own root, or the version before it.
        before: The version before it, where `by` is not that one.

    Raises:
        SignatureError: A signature does not verify, or of a key that may not sign this document.

    """
    known = _holders(document, before or by)
    for keyid in document.keyids:
        if keyid not in known or not _verifies(document, keyid, known[keyid]):
            what = f"The document bears a signature of the key {keyid[:16]}… that does not count."
            raise SignatureError(what, keyid=keyid)
    purpose = holder_purpose(document.kind)
    return frozenset(
        held.person for k, held in by.keys.items() if k in document.keyids and held.purpose is purpose
    )


def _verifies(document: RootDocument, keyid: str, held: HeldKey) -> bool:
    if document.kind is RootKind.SITE:
        opened = open_envelope(document.data, limit=ROOT_LIMIT)
        return verifies(held.key, opened.signatures[keyid], opened.message)
    metadata = _metadata(document.data)
    return verifies(held.key, bytes.fromhex(metadata.signatures[keyid].signature), metadata.signed_bytes)


def countersign(document: RootDocument, signer: Signer, before: Root | None) -> bytes:
    """Return a root's document with one more holder's signature.

    Raises:
        CeremonyError: Neither the document nor the version before it lists the key for that.

    """
    if signer.keyid not in _holders(document, before):
        what = f"The key {signer.keyid[:16]}… is not one that signs this {document.kind} root."
        raise CeremonyError(what, advice="Name the version before it with --after, or use the holder's key.")
    if document.kind is RootKind.SITE:
        return add_signature(document.data, signer)
    return countersign_supply_root(document.data, signer)


def gather(documents: Sequence[RootDocument]) -> bytes:
    """Return one document with the signatures that holders made apart.

    Raises:
        CeremonyError: They are not the same root.

    """
    first = documents[0]
    if any((d.pin, d.kind) != (first.pin, first.kind) for d in documents):
        raise CeremonyError("The documents are not signatures on the same root.")
    if first.kind is RootKind.SITE:
        return merge([d.data for d in documents])
    whole = _metadata(first.data)
    for document in documents[1:]:
        for keyid, signature in sorted(_metadata(document.data).signatures.items()):
            whole.signatures.setdefault(keyid, signature)
    return whole.to_bytes(_COMPACT)
