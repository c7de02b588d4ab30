"""Counters of authenticators: one that does not rise may mean that a credential was copied.

WebAuthn Level 3, section 6.1.1: an authenticator that counts gives each assertion a higher number; one that
does not count always says nought. The highest number is kept where statements are carried out.
"""

from lockgate.approve.errors import CounterBackError
from lockgate.approve.service import STATEMENT_LIMIT, read_statement
from lockgate.core.roots import Root
from lockgate.core.wire import Document, decode, digest_of, encode
from lockgate.store.ports import Records
from lockgate.trust.dsse import open_envelope
from lockgate.trust.webauthn import WEBAUTHN, counter_of

COUNTERS = "webauthn-counter"
"""Key id → the highest counter that was seen, and for which statement."""


class SeenCounter(Document, frozen=True):
    """The highest counter of one credential, and the statement that it was seen on."""

    count: int
    statement_sha256: str


def demand_counting(records: Records, envelope: bytes, site: Root) -> None:
    """Demand that every authenticator's counter rose since the last statement, and keep it.

    The envelope's signatures were verified. Carrying out the same statement again changes nothing.

    Raises:
        CounterBackError: A counter is one that was seen on another statement, or lower.

    """
    digest = digest_of(read_statement(envelope))
    opened = open_envelope(envelope, limit=STATEMENT_LIMIT)
    counts = {
        keyid: counter_of(signature)
        for keyid, signature in opened.signatures.items()
        if keyid in site.keys and site.keys[keyid].key.keytype == WEBAUTHN
    }
    if not counts:
        return
    with records.transaction() as tx:
        for keyid, count in counts.items():
            value = tx.get(COUNTERS, keyid)
            seen = decode(SeenCounter, value) if value else SeenCounter(count=0, statement_sha256="")
            if seen.statement_sha256 == digest and seen.count == count:
                continue
            if count <= seen.count and (count, seen.count) != (0, 0):
                person = site.keys[keyid].person
                what = f"The authenticator of {person} counted {count}; it had counted {seen.count} before."
                raise CounterBackError(what, keyid=keyid)
            tx.put(COUNTERS, keyid, encode(SeenCounter(count=count, statement_sha256=digest)))
