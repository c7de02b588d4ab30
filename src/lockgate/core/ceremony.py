"""What a ceremony decides: which root the cards make, what follows a root, what a signer is shown.

Pure data and pure rules. A *card* is what a holder hands to whoever writes the document: their
public key, what it is for, and their name. Nothing here touches a key, a file or a clock.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import msgspec

from lockgate.core.errors import InputError
from lockgate.core.policy import Policy
from lockgate.core.profiles import demand_profile
from lockgate.core.roots import ROOT_FORMAT, HeldKey, PublicKey, Purpose, Recipient, Root, RootKind
from lockgate.core.wire import Document, next_second, whole_second

CARD_FORMAT = "lockgate-key/1"
CARD_TYPE = "application/vnd.lockgate.key+json"
"""DSSE payload type of a card; the envelope is signed by the very key on it."""

KEYS_LIMIT = 512
"""Most keys and recipients of one root."""

ASSURANCES = ("demo", "production")
HOLDERS_LEAST = 2
"""Fewest persons that must sign a production root."""

SUPPLY_PURPOSES = (
    Purpose.SUPPLY_ROOT,
    Purpose.COLLECTOR,
    Purpose.SEALER,
    Purpose.TARGETS,
    Purpose.SNAPSHOT,
    Purpose.TIMESTAMP,
    Purpose.CUSTODIAN,
)
SITE_PURPOSES = (
    Purpose.SITE_ROOT,
    Purpose.APPROVER,
    Purpose.INSPECTOR,
    Purpose.OPERATOR,
    Purpose.LOG,
    Purpose.WITNESS,
    Purpose.RELEASE,
    Purpose.CUSTODIAN,
    Purpose.SCANNER,
    Purpose.CANARY,
    Purpose.REPOSITORY,
)
NEEDED = {
    RootKind.SUPPLY: SUPPLY_PURPOSES[:-1],  # hand-overs are the site's to demand
    RootKind.SITE: (Purpose.SITE_ROOT, Purpose.APPROVER, Purpose.INSPECTOR, Purpose.OPERATOR, Purpose.LOG),
}
"""Purposes without which a root cannot do its work."""

_TUF_PURPOSES = frozenset({Purpose.SUPPLY_ROOT, Purpose.TARGETS, Purpose.SNAPSHOT, Purpose.TIMESTAMP})


_NOTES = frozenset({Purpose.LOG, Purpose.WITNESS})
_Listed = TypeVar("_Listed", HeldKey, Recipient)


class CeremonyError(InputError):
    """Cards or changes do not make a root."""

    code = "LG-1005"
    advice = (
        "`lockgate root inspect` shows what a document says; make the missing card with `lockgate root card`."
    )


class KeyCard(Document, frozen=True):
    """A holder's public key on its way into a root: a signing key, or one that crates are sealed to."""

    format: str
    lane: str
    person: str
    purpose: Purpose | None = None
    key: PublicKey | None = None
    recipient: Recipient | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """A card that was checked: the id under which the root lists its key."""

    identifier: str
    card: KeyCard


@dataclass(frozen=True, slots=True)
class Changes:
    """What a new version changes.

    Attributes:
        add: Cards of new keys.
        retire: Ids of keys that sign nothing new from the next second on; what they signed stays valid.
        drop: Ids of keys and recipients that count for nothing any more.
        revoke: Ids of supply keys that a site root revokes.
        restore: Ids of supply keys that a site root no longer revokes.
        thresholds: Persons needed by purpose.
        policy: A new policy of the site.
        renew: Let keys and recipients that have not expired live as long as the new version.

    """

    add: tuple[Entry, ...] = ()
    retire: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    revoke: tuple[str, ...] = ()
    restore: tuple[str, ...] = ()
    thresholds: Mapping[Purpose, int] = field(default_factory=dict)
    policy: Policy | None = None
    renew: bool = False


def purposes_of(kind: RootKind) -> tuple[Purpose, ...]:
    """Return what the keys of a root may be for."""
    return SUPPLY_PURPOSES if kind is RootKind.SUPPLY else SITE_PURPOSES


def holder_purpose(kind: RootKind) -> Purpose:
    """Return the purpose of the keys that sign a root."""
    return Purpose.SUPPLY_ROOT if kind is RootKind.SUPPLY else Purpose.SITE_ROOT


def first_root(
    kind: RootKind, lane: str, assurance: str, expires: datetime, changes: Changes, *, at: datetime
) -> Root:
    """Return version 1 of a root, made of cards.

    Raises:
        CeremonyError: The cards do not make a root that can do its work.

    """
    empty = Root(
        format=ROOT_FORMAT,
        kind=kind,
        lane=lane,
        version=1,
        assurance=assurance,
        expires=whole_second(expires),
        keys={},
        thresholds={},
        policy=Policy() if kind is RootKind.SITE else None,
    )
    root = _changed(empty, changes, at)
    demand_sound(root, at)
    return root


def next_root(old: Root, expires: datetime, changes: Changes, *, at: datetime) -> Root:
    """Return the version that follows a root.

    Raises:
        CeremonyError: The changes name what is not there, or do not make a working root.

    """
    known = old.keys.keys() | old.recipients.keys()
    named = (*changes.retire, *changes.drop)
    if unknown := [i for i in named if i not in known]:
        what = f"The {old.kind} root {old.version} does not list {unknown[0][:16]}…."
        raise CeremonyError(what)
    moved = msgspec.structs.replace(old, version=old.version + 1, expires=whole_second(expires))
    root = _changed(moved, changes, at)
    demand_sound(root, next_second(at))  # without the keys that it retires
    return root


def _changed(root: Root, changes: Changes, at: datetime) -> Root:
    keys = {k: _lasting(h, root, changes, at) for k, h in root.keys.items() if k not in changes.drop}
    for keyid in changes.retire:
        if keyid in keys and keys[keyid].purpose in _TUF_PURPOSES:
            what = f"A key for {keys[keyid].purpose} cannot be retired: TUF roles know no expiry of keys."
            raise CeremonyError(what, advice="Drop it, and add the new one in the same version.")
        if keyid in keys:
            # What it signed is dated by whole seconds, so all of this one still counts.
            ends = min(next_second(at), keys[keyid].expires)
            keys[keyid] = msgspec.structs.replace(keys[keyid], expires=ends)
    gone = {*changes.drop, *changes.retire}
    recipients = {i: _lasting(r, root, changes, at) for i, r in root.recipients.items() if i not in gone}
    for entry in changes.add:
        card = entry.card
        _demand_card(root, card)
        if entry.identifier in keys or entry.identifier in recipients:
            what = f"The key of {card.person} is listed already; a key has one purpose and one holder."
            raise CeremonyError(what, keyid=entry.identifier)
        if card.key is not None and card.purpose is not None:
            keys[entry.identifier] = HeldKey(
                key=card.key, purpose=card.purpose, person=card.person, expires=root.expires
            )
        elif card.recipient is not None:
            recipients[entry.identifier] = msgspec.structs.replace(card.recipient, expires=root.expires)
    revoked = (root.revoked_keys | set(changes.revoke)) - set(changes.restore)
    return msgspec.structs.replace(
        root,
        keys=keys,
        recipients=recipients,
        thresholds={**root.thresholds, **changes.thresholds},
        policy=changes.policy or root.policy,
        revoked=tuple(sorted(revoked)) if revoked else msgspec.UNSET,
    )


def _lasting(listed: _Listed, root: Root, changes: Changes, at: datetime) -> _Listed:
    """Return a key with a later expiry where everything is renewed and it has not ended yet."""
    if not changes.renew or listed.expires <= next_second(at):  # one retired in this very second has ended
        return listed
    return msgspec.structs.replace(listed, expires=max(listed.expires, root.expires))


def _demand_card(root: Root, card: KeyCard) -> None:
    if card.format != CARD_FORMAT or card.lane != root.lane:
        what = f"The card of {card.person[:80]!r} is for lane {card.lane[:80]!r}, the root for {root.lane!r}."
        raise CeremonyError(what)
    signing = card.key is not None and card.purpose is not None
    if signing == (card.recipient is not None):
        what = f"The card of {card.person[:80]!r} has to hold one key, for signing or for opening."
        raise CeremonyError(what)
    if card.purpose is not None and card.purpose not in purposes_of(root.kind):
        what = f"A {root.kind} root lists no keys for {card.purpose}."
        raise CeremonyError(what)
    if card.purpose in _NOTES and card.key is not None and card.key.keytype != "ed25519":
        what = (
            f"The key of {card.person} for {card.purpose} is {card.key.keytype}; notes are signed by Ed25519."
        )
        raise CeremonyError(what)
    if card.key is not None and card.key.keytype == "webauthn" and card.purpose is not Purpose.APPROVER:
        what = (
            f"The key of {card.person} for {card.purpose} is an authenticator's; those approve, and no more."
        )
        raise CeremonyError(what)
    if card.recipient is not None and root.kind is not RootKind.SITE:
        raise CeremonyError("Recipients stand in the site root.")


def holders(root: Root, purpose: Purpose, at: datetime) -> frozenset[str]:
    """Return the persons that hold a key for a purpose which has not expired."""
    return frozenset(h.person for h in root.keys.values() if h.purpose is purpose and at < h.expires)


def demand_sound(root: Root, at: datetime) -> None:
    """Refuse a root that could not do its work, or that production must not trust.

    Raises:
        CeremonyError: Says what is missing.
        ProfileError: A site root is less than its profile demands.

    """
    if fault := _fault(root, at):
        raise CeremonyError(fault)
    if root.kind is RootKind.SITE:
        demand_profile(root, at)


def _fault(root: Root, at: datetime) -> str:
    if root.assurance not in ASSURANCES:
        return f"The assurance {root.assurance[:40]!r} is not one of {', '.join(ASSURANCES)}."
    if len(root.keys) + len(root.recipients) > KEYS_LIMIT:
        return f"A root lists at most {KEYS_LIMIT} keys (bound: keys_limit)."
    if at >= root.expires:
        return f"The root would expire on {root.expires:%Y-%m-%d}, which is past."
    for purpose in NEEDED[root.kind]:
        people = holders(root, purpose, at)
        if len(people) < root.threshold(purpose):
            need = root.threshold(purpose)
            return f"{len(people)} persons hold a key for {purpose}; {need} of them must sign."
    if root.kind is RootKind.SITE and not any(at < r.expires for r in root.recipients.values()):
        return "The site root lists no key that crates could be sealed to."
    return _production_fault(root, at) if root.assurance == "production" else ""


def _production_fault(root: Root, at: datetime) -> str:
    own = holder_purpose(root.kind)
    if root.threshold(own) < HOLDERS_LEAST:
        return f"In production at least {HOLDERS_LEAST} persons must sign as {own}."
    if root.kind is RootKind.SUPPLY:
        return ""
    need = (root.policy or Policy()).approvers
    for operator in sorted(holders(root, Purpose.OPERATOR, at)):
        others = holders(root, Purpose.APPROVER, at) - {operator}
        if len(others) < need:
            return f"When {operator} asks, only {len(others)} others may approve; the policy needs {need}."
    if holders(root, Purpose.RELEASE, at) and root.threshold(Purpose.RELEASE) < HOLDERS_LEAST:
        return f"In production at least {HOLDERS_LEAST} persons must sign as {Purpose.RELEASE}."
    return ""
