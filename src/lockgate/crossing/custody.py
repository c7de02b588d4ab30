"""Signing hand-overs and reading chains of them: who signed, for which crate, in which order."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lockgate.core.custody import (
    CUSTODY_FORMAT,
    CUSTODY_TYPE,
    STEPS_LIMIT,
    HandOver,
    SignedHandOver,
)
from lockgate.core.digests import sha256
from lockgate.core.roots import Purpose, Root, UnknownKeyError
from lockgate.core.wire import Document, decode, encode
from lockgate.crossing.errors import ChainFullError, CustodyChainError, CustodyPlaceError, NotTheClerkError
from lockgate.crossing.format import NOTHING
from lockgate.trust.dsse import Envelope, add_signature, open_envelope, sign
from lockgate.trust.errors import EnvelopeError, SignatureError
from lockgate.trust.keys import Signer, verifies

if TYPE_CHECKING:
    from lockgate.trust.dsse import Opened

CHAIN_FORMAT = "lockgate-custody-chain/1"
CHAIN_LIMIT = 1 << 20
"""Longest chain that is read, in bytes."""


class CustodyChain(Document, frozen=True):
    """The signed hand-overs of one crate, first to last, as they travel."""

    format: str
    handovers: tuple[Envelope, ...]


@dataclass(frozen=True, slots=True)
class Custodians:
    """The roots that list custodians: the site's own, and the low side's from the supply root.

    Names are one space: a key of the supply root never speaks for a person that the site root lists.
    """

    site: Root
    supply: Root

    def signer(self, keyid: str, at: HandOver) -> tuple[str, bool]:
        """Return the person of a custodian's key, and whether the site root lists it.

        Raises:
            UnknownKeyError, KeyPurposeError, KeyExpiredError: Not a custodian's key at that time.
            CustodyChainError: A key of the low side in the name of a person of the site.

        """
        if keyid in self.site.revoked_keys:
            what = f"The site root revokes the key {keyid[:16]}…"
            raise UnknownKeyError(what, keyid=keyid)
        listed = keyid in self.site.keys or keyid not in self.supply.keys
        held = (self.site if listed else self.supply).held(keyid, Purpose.CUSTODIAN, at.signed)
        if not listed and held.person in {h.person for h in self.site.keys.values()}:
            what = f"The low side lists a key in the name of {held.person}, who is a person of the site."
            raise CustodyChainError(what, step=at.step)
        return held.person, listed

    def holds(self, keyid: str, opened: "Opened") -> bool:
        """Tell whether a listed key's signature verifies."""
        held = self.site.keys.get(keyid) or self.supply.keys[keyid]
        return verifies(held.key, opened.signatures[keyid], opened.message)


def read_chain(data: bytes) -> CustodyChain:
    """Return a chain whose form is right; `verify_chain` judges it.

    Raises:
        MalformedDocumentError, NotCanonicalError, TooLargeError: Not a chain in its one form.
        CustodyChainError: Of another format, empty or too long.

    """
    chain = decode(CustodyChain, data, limit=CHAIN_LIMIT, name="custody chain")
    if chain.format != CHAIN_FORMAT or not 1 <= len(chain.handovers) <= STEPS_LIMIT:
        raise CustodyChainError("This is not a chain of hand-overs that this version reads.")
    return chain


def verify_chain(
    data: bytes, custodians: Custodians, crossing: int = 0, crate_sha256: str = ""
) -> tuple[SignedHandOver, ...]:
    """Return the hand-overs of a chain in which every signature and link holds.

    Args:
        data: The chain as it travels.
        custodians: Who may sign.
        crossing: The crossing it has to be of; 0 where only the chain itself is asked.
        crate_sha256: Digest of the crate's ``crate.json``; empty where only the chain is asked.

    Raises:
        CustodyPlaceError: Of another lane, crossing or crate.
        CustodyChainError: Out of order, cut in the middle, or begun by somebody else's hand-over.
        SignatureError, UnknownKeyError, KeyPurposeError, KeyExpiredError, EnvelopeError: Not signed
            by the clerk that it names, or by a stranger as well.

    """
    found: list[SignedHandOver] = []
    for step, envelope in enumerate(read_chain(data).handovers):
        signed = _verify(encode(envelope), custodians, step)
        this = signed.handover
        previous = found[-1].sha256 if found else NOTHING
        if this.step != step or this.previous_sha256 != previous:
            what = f"Hand-over {step + 1} does not continue the one before it."
            raise CustodyChainError(what, step=step)
        if not step and not (this.packed and this.clerk == this.giver):
            raise CustodyChainError("The chain does not begin with the packing of the crate.", step=0)
        first = found[0].handover if found else this
        expected = (custodians.site.lane, crossing or first.crossing, crate_sha256 or first.crate_sha256)
        if (this.lane, this.crossing, this.crate_sha256) != expected:
            what = f"Hand-over {step + 1} is of crossing {this.crossing} on lane {this.lane[:80]!r}."
            raise CustodyPlaceError(what, step=step, crate=this.crate_sha256)
        found.append(signed)
    return tuple(found)


def _verify(envelope: bytes, custodians: Custodians, step: int) -> SignedHandOver:
    opened = open_envelope(envelope, limit=CHAIN_LIMIT)
    if opened.payload_type != CUSTODY_TYPE:
        what = f"The envelope holds {opened.payload_type[:80]!r}, not a hand-over."
        raise EnvelopeError(what)
    this = decode(HandOver, opened.payload, limit=CHAIN_LIMIT, name="hand-over")
    if this.format != CUSTODY_FORMAT or _unsorted(this):
        raise CustodyChainError("A hand-over is not in the form that this version reads.", step=step)
    people: dict[str, bool] = {}
    for keyid in opened.signatures:
        person, of_site = custodians.signer(keyid, this)
        if not custodians.holds(keyid, opened):
            what = f"The signature of {person} does not verify over this hand-over."
            raise SignatureError(what, keyid=keyid)
        if person not in {this.clerk, this.giver, this.receiver}:
            what = f"{person} signed hand-over {step + 1} without a part in it."
            raise NotTheClerkError(what, step=step)
        people[person] = of_site
    if this.clerk not in people:
        what = f"{this.clerk[:80]}, who says so, did not sign hand-over {step + 1}."
        raise NotTheClerkError(what, step=step)
    site = tuple(sorted(person for person, of_site in people.items() if of_site))
    return SignedHandOver(
        handover=this, sha256=sha256(opened.payload), signers=tuple(sorted(people)), site_signers=site
    )


def _unsorted(this: HandOver) -> bool:
    lists = (this.seals, this.media, this.photos)
    return any(list(each) != sorted(set(each)) for each in lists)


def begin_chain(handover: HandOver, signer: Signer, custodians: Custodians) -> bytes:
    """Return a new chain that begins with a signed hand-over; see `verify_chain` for what is refused."""
    return _checked((), handover, signer, custodians)


def continue_chain(data: bytes, handover: HandOver, signer: Signer, custodians: Custodians) -> bytes:
    """Return a chain with one more signed hand-over, verified as a whole.

    Raises:
        ChainFullError: It has no room for one more.
        LockgateError: See `verify_chain`.

    """
    return _checked(read_chain(data).handovers, handover, signer, custodians)


def _checked(before: Sequence[Envelope], handover: HandOver, signer: Signer, custodians: Custodians) -> bytes:
    if len(before) >= STEPS_LIMIT:
        what = f"The chain has {len(before)} hand-overs; at most {STEPS_LIMIT} are kept."
        raise ChainFullError(what, limit="custody_steps")
    envelope = sign(CUSTODY_TYPE, encode(handover), [signer])
    chain = encode(CustodyChain(format=CHAIN_FORMAT, handovers=(*before, _envelope(envelope))))
    verify_chain(chain, custodians)
    return chain


def countersign_chain(data: bytes, signer: Signer, custodians: Custodians) -> bytes:
    """Return a chain whose last hand-over the other party signed as well, verified as a whole."""
    chain = read_chain(data)
    last = _envelope(add_signature(encode(chain.handovers[-1]), signer))
    signed = encode(CustodyChain(format=CHAIN_FORMAT, handovers=(*chain.handovers[:-1], last)))
    verify_chain(signed, custodians)
    return signed


def _envelope(data: bytes) -> Envelope:
    return decode(Envelope, data, limit=CHAIN_LIMIT, name="envelope")


def extends(longer: Sequence[SignedHandOver], shorter: Sequence[SignedHandOver]) -> bool:
    """Tell whether one chain begins with all hand-overs of another."""
    return [s.sha256 for s in longer[: len(shorter)]] == [s.sha256 for s in shorter]
