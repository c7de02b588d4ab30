"""Reading, signing and chaining the two roots.

The *site root* is a `Root` in a DSSE envelope. The *supply root* is TUF root metadata (TUF
specification, section 4.3) that carries Lockgate's own facts in the field ``lockgate``: any TUF
client can read it. Both are pinned by the SHA-256 of what is signed, not of the signatures.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Key, Metadata, Role
from tuf.api.metadata import Root as TufRoot
from tuf.api.serialization.json import JSONSerializer

from lockgate.core.digests import sha256
from lockgate.core.roots import ROOT_FORMAT, Purpose, Root, RootKind
from lockgate.core.wire import decode, encode, whole_second
from lockgate.trust.dsse import Opened, add_signature, open_envelope, sign, verify
from lockgate.trust.errors import PinMismatchError, RootChainError, RootFileError, WrongLaneError
from lockgate.trust.keys import Signer, keyid_of, tuf_key

SITE_ROOT_TYPE = "application/vnd.lockgate.root+json"
ROOT_LIMIT = 512 * 1024
"""Longest root document that is read, in bytes."""

CHAIN_LIMIT = 256
"""Most root versions that one crate may bring."""

_TUF_ROLES = {
    "root": Purpose.SUPPLY_ROOT,
    "targets": Purpose.TARGETS,
    "snapshot": Purpose.SNAPSHOT,
    "timestamp": Purpose.TIMESTAMP,
}
_BEFORE_EXPIRY = datetime.min.replace(tzinfo=UTC)
_COMPACT = JSONSerializer(compact=True)


def sign_site_root(root: Root, signers: Iterable[Signer]) -> bytes:
    """Return the site root's envelope, signed by some holders."""
    return sign(SITE_ROOT_TYPE, encode(root), signers)


def countersign_site_root(envelope: bytes, signer: Signer) -> bytes:
    """Return the site root's envelope with one more holder's signature."""
    return add_signature(envelope, signer)


def site_root_pin(envelope: bytes) -> str:
    """Return the digest that both sides pin: SHA-256 of the signed root."""
    return sha256(open_envelope(envelope, limit=ROOT_LIMIT).payload)


def site_root_lane(envelope: bytes) -> str:
    """Return the lane that a site root names; `load_site_root` judges its pin and signatures."""
    return decode(Root, open_envelope(envelope, limit=ROOT_LIMIT).payload, limit=ROOT_LIMIT).lane


def read_site_root(opened: Opened) -> Root:
    """Return the facts of a site root without judging its signatures.

    Raises:
        RootFileError: Not a site root of a format this version reads.

    """
    root = decode(Root, opened.payload, limit=ROOT_LIMIT, name="site root")
    if root.kind is not RootKind.SITE or root.format != ROOT_FORMAT:
        raise RootFileError("The document is not a site root of a format this version reads.")
    _demand_key_ids(root)
    return root


def _demand_key_ids(root: Root) -> None:
    """Demand that every key stands under its own id, so that one key cannot count as two persons."""
    for keyid, held in root.keys.items():
        if keyid_of(held.key) != keyid:
            what = f"The {root.kind} root lists a key of {held.person} under another id than its own."
            raise RootFileError(what, keyid=keyid)


def load_site_root(envelope: bytes, pin: str, lane: str, at: datetime | None) -> Root:
    """Return the pinned site root.

    Args:
        envelope: As stored.
        pin: Digest that was pinned when the lane was made.
        lane: The lane of this side.
        at: The moment that expiry is judged by; None for what serves and for proofs, which
            expiry never stops: the pin says that the root is the right one.

    Raises:
        PinMismatchError: Not the pinned root.
        RootExpiredError: Past its expiry.
        WrongLaneError: A root of another lane.
        EnvelopeError, SignatureError, ThresholdError: Not signed as it has to be.

    """
    if site_root_pin(envelope) != pin:
        raise PinMismatchError("The site root is not the one that was pinned.", pin=pin)
    opened = open_envelope(envelope, limit=ROOT_LIMIT)
    root = read_site_root(opened)
    verify(opened, root, Purpose.SITE_ROOT, at or _BEFORE_EXPIRY, SITE_ROOT_TYPE)
    if at is not None:
        root.demand_current(at)
    if root.lane != lane:
        what = f"The site root is for lane {root.lane!r}, this side is on {lane!r}."
        raise WrongLaneError(what)
    return root


def rotate_site_root(old: Root, envelope: bytes, at: datetime | None) -> Root:
    """Return a newer site root when holders of the old and of the new one signed it.

    The old one's holders count although their keys or their root have expired, or a site that was
    late could never again have a root (TUF specification, 5.3: intermediate roots may be expired).

    Args:
        old: The root before it.
        envelope: The newer one.
        at: The moment that the new holders' keys are judged by; None where the chain is only read.

    Raises:
        RootFileError: Not a site root of a format this version reads.
        RootChainError: Not the next version, another lane, or another assurance.
        ThresholdError, SignatureError, UnknownKeyError: Either threshold is not met.

    """
    opened = open_envelope(envelope, limit=ROOT_LIMIT)
    new = read_site_root(opened)
    if new.version != old.version + 1 or new.lane != old.lane:
        what = f"Site root {new.version} of {new.lane!r} does not follow {old.version} of {old.lane!r}."
        raise RootChainError(what)
    _demand_same_assurance(old, new)
    judged = ((old, _BEFORE_EXPIRY), (new, at or _BEFORE_EXPIRY))
    for root, moment in judged:
        listed = {k: s for k, s in opened.signatures.items() if _signs_site(k, root, moment)}
        part = Opened(opened.payload, opened.payload_type, listed)
        verify(part, root, Purpose.SITE_ROOT, moment, SITE_ROOT_TYPE)
    if not all(any(_signs_site(k, *each) for each in judged) for k in opened.signatures):
        raise RootChainError("The new site root bears a signature of a key that neither root lists.")
    return new


def _signs_site(keyid: str, root: Root, moment: datetime) -> bool:
    held = root.keys.get(keyid)
    return held is not None and held.purpose is Purpose.SITE_ROOT and moment < held.expires


def _demand_same_assurance(old: Root, new: Root) -> None:
    if new.assurance != old.assurance:
        what = f"The {new.kind} root {new.version} has the assurance {new.assurance!r}, not {old.assurance!r}"
        advice = "A rotation does not make a lane a production lane: its keys were made otherwise."
        raise RootChainError(what, advice=advice)


def load_site_chain(envelopes: Sequence[bytes], pin: str, lane: str) -> list[Root]:
    """Return the site roots of a side, from the pinned one to the newest; expiry is not judged.

    Raises:
        PinMismatchError, WrongLaneError, EnvelopeError, SignatureError, ThresholdError: The first
            one is not the pinned root.
        RootChainError: One does not follow the one before it.

    """
    if len(envelopes) > CHAIN_LIMIT:
        what = f"There are {len(envelopes)} site roots; at most {CHAIN_LIMIT} are read."
        raise RootChainError(what)
    chain = [load_site_root(envelopes[0], pin, lane, None)]
    for envelope in envelopes[1:]:
        chain.append(rotate_site_root(chain[-1], envelope, None))
    return chain


def load_newest_site_root(envelopes: Sequence[bytes], pin: str, lane: str, at: datetime | None) -> Root:
    """Return the newest of a chain of site roots whose first one is pinned.

    Args:
        envelopes: The pinned root and those that followed it, oldest first.
        pin: Digest of the first one.
        lane: The lane of this side.
        at: The moment that the newest one's expiry is judged by, or None.

    Raises:
        RootExpiredError: The newest one is past its expiry.
        LockgateError: See `load_site_chain`.

    """
    newest = load_site_chain(envelopes, pin, lane)[-1]
    if at is not None:
        newest.demand_current(at)
    return newest


def make_supply_root(root: Root, signers: Sequence[Signer]) -> bytes:
    """Return the supply root as compact TUF root metadata, signed by some holders."""
    keys: dict[str, Key] = {keyid: tuf_key(held.key) for keyid, held in root.keys.items()}
    roles = {
        name: Role([k for k, h in root.keys.items() if h.purpose == purpose], root.threshold(purpose))
        for name, purpose in _TUF_ROLES.items()
    }
    extension: dict[str, Any] = msgspec.to_builtins(root)
    for redundant in ("keys", "version", "expires"):
        del extension[redundant]
    extension["holders"] = {
        keyid: {k: v for k, v in msgspec.to_builtins(held).items() if k != "key"}
        for keyid, held in root.keys.items()
    }
    signed = TufRoot(
        version=root.version,
        expires=whole_second(root.expires),
        keys=keys,
        roles=roles,
        consistent_snapshot=True,
        unrecognized_fields={"lockgate": extension},
    )
    metadata = Metadata(signed)
    for signer in signers:
        metadata.sign(signer.raw, append=True)
    return metadata.to_bytes(_COMPACT)


def countersign_supply_root(data: bytes, signer: Signer) -> bytes:
    """Return the supply root with one more holder's signature."""
    metadata = _tuf_root(data)
    metadata.sign(signer.raw, append=True)
    return metadata.to_bytes(_COMPACT)


def _tuf_root(data: bytes) -> Metadata[TufRoot]:
    if len(data) > ROOT_LIMIT:
        what = f"A supply root has {len(data)} bytes; at most {ROOT_LIMIT} are read."
        raise RootFileError(what)
    try:
        metadata = Metadata[TufRoot].from_bytes(data)
        again = metadata.to_bytes(_COMPACT)
        _ = metadata.signed_bytes  # what has no canonical form, such as a fraction, cannot be signed
    except (RepositoryError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise RootFileError("The document is not TUF root metadata.") from error
    if not isinstance(metadata.signed, TufRoot):
        raise RootFileError("The document is TUF metadata, but not of a root.")
    signatures = metadata.signatures.values()
    loose = any(s.unrecognized_fields or s.signature != s.signature.lower() for s in signatures)
    if again != data or loose:
        raise RootFileError("The supply root is not in its compact canonical form.")
    return metadata


def supply_root_pin(data: bytes) -> str:
    """Return the digest that both sides pin: SHA-256 of the signed part's canonical form."""
    return sha256(_tuf_root(data).signed_bytes)


def read_supply_root(data: bytes) -> Root:
    """Return the facts of a supply root without judging its signatures.

    Raises:
        RootFileError: Not a supply root.

    """
    signed = _tuf_root(data).signed
    try:
        extension = dict(signed.unrecognized_fields["lockgate"])
        holders = extension.pop("holders")
        if set(holders) != set(signed.keys):
            raise RootFileError("The supply root lists other holders than keys.")
        keys = {
            keyid: {
                **holders[keyid],
                "key": {"keytype": key.keytype, "scheme": key.scheme, "public": key.keyval["public"]},
            }
            for keyid, key in signed.keys.items()
        }
        facts = {**extension, "keys": keys, "version": signed.version, "expires": signed.expires}
        root = msgspec.convert(facts, Root)
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise RootFileError("The supply root lacks Lockgate's facts or has malformed ones.") from error
    if root.kind is not RootKind.SUPPLY or root.format != ROOT_FORMAT:
        raise RootFileError("The document is not a supply root of a format this version reads.")
    _demand_key_ids(root)
    for name, purpose in _TUF_ROLES.items():
        listed = set(signed.roles[name].keyids)
        if listed != {k for k, h in root.keys.items() if h.purpose == purpose}:
            what = f"The TUF role {name} of the supply root lists other keys than its holders say."
            raise RootFileError(what)
        if signed.roles[name].threshold != root.threshold(purpose):
            what = f"The TUF role {name} of the supply root has two thresholds."
            raise RootFileError(what)
    return root


def _demand_signatures(metadata: Metadata[TufRoot], by: Metadata[TufRoot], root: Root) -> None:
    try:
        result = by.signed.get_verification_result("root", metadata.signed_bytes, metadata.signatures)
    except (RepositoryError, ValueError) as error:
        raise RootChainError("The supply root's signatures cannot be judged.") from error
    persons = {root.keys[keyid].person for keyid in result.signed}
    if not result.verified or len(persons) < root.threshold(Purpose.SUPPLY_ROOT):
        what = (
            f"{len(persons)} holders of supply root {root.version} signed version {metadata.signed.version}."
        )
        raise RootChainError(what)


def load_supply_root(data: bytes, pin: str, lane: str) -> Root:
    """Return the pinned supply root.

    Raises:
        PinMismatchError, WrongLaneError, RootChainError, RootFileError: As their names say.

    """
    metadata = _tuf_root(data)
    if sha256(metadata.signed_bytes) != pin:
        raise PinMismatchError("The supply root is not the one that was pinned.", pin=pin)
    root = read_supply_root(data)
    _demand_signatures(metadata, metadata, root)
    _demand_known_signatures(metadata, [metadata])
    if root.lane != lane:
        what = f"The supply root is for lane {root.lane!r}, this side is on {lane!r}."
        raise WrongLaneError(what)
    return root


def _demand_known_signatures(
    metadata: Metadata[TufRoot],
    listed_by: Sequence[Metadata[TufRoot]],
    accepted: Metadata[TufRoot] | None = None,
) -> None:
    """Refuse signatures of keys that no root lists, but those that were accepted with it before.

    A root that came by a rotation bears signatures of the holders before it, whom it does not list.
    """
    before = accepted.signatures if accepted else {}
    for keyid, signature in metadata.signatures.items():
        valid = keyid in before and before[keyid].signature == signature.signature
        for other in listed_by:
            if keyid in other.signed.roles["root"].keyids:
                result = other.signed.get_verification_result(
                    "root", metadata.signed_bytes, metadata.signatures
                )
                valid = valid or keyid in result.signed
        if not valid:
            what = f"Supply root {metadata.signed.version} bears an unknown or invalid signature."
            raise RootChainError(what, keyid=keyid)


def advance_supply_root(trusted: bytes, newer: Sequence[bytes]) -> list[tuple[bytes, Root]]:
    """Return the chain of supply roots that follows a trusted one, each signed by old and new.

    Versions at or below the trusted one must be byte-equal in what is signed only if they are
    the trusted one itself; older ones are ignored.

    Raises:
        RootChainError: A gap, another lane, a missing threshold, or a second root of one version.
        RootFileError: Not a supply root.

    """
    if len(newer) > CHAIN_LIMIT:
        what = f"{len(newer)} supply roots arrived; at most {CHAIN_LIMIT} are read."
        raise RootChainError(what)
    current, root = _tuf_root(trusted), read_supply_root(trusted)
    chain: list[tuple[bytes, Root]] = []
    for data in newer:
        candidate = _tuf_root(data)
        if candidate.signed.version < current.signed.version:
            continue
        if candidate.signed.version == current.signed.version:
            if candidate.signed_bytes != current.signed_bytes:
                what = f"There are two supply roots with version {candidate.signed.version}."
                raise RootChainError(what)
            _demand_known_signatures(candidate, [current], accepted=current)
            continue
        if candidate.signed.version != current.signed.version + 1:
            what = f"Supply root {candidate.signed.version} does not follow {current.signed.version}."
            raise RootChainError(what)
        following = read_supply_root(data)
        if following.lane != root.lane:
            what = f"Supply root {following.version} is for lane {following.lane!r}."
            raise WrongLaneError(what)
        _demand_same_assurance(root, following)
        _demand_signatures(candidate, current, root)
        _demand_signatures(candidate, candidate, following)
        _demand_known_signatures(candidate, [current, candidate])
        chain.append((data, following))
        current, root = candidate, following
    return chain


__all__ = [
    "CHAIN_LIMIT",
    "ROOT_LIMIT",
    "advance_supply_root",
    "countersign_site_root",
    "countersign_supply_root",
    "load_newest_site_root",
    "load_site_chain",
    "load_site_root",
    "load_supply_root",
    "make_supply_root",
    "read_site_root",
    "read_supply_root",
    "rotate_site_root",
    "sign_site_root",
    "site_root_lane",
    "site_root_pin",
    "supply_root_pin",
]
