"""Roots: who holds which key for which purpose. Pure data and pure rules.

The *supply root* names the low side's roles, the *site root* the high side's. Both are read
into the same `Root`; how each is encoded and signed is `lockgate.trust`'s business.
"""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import TrustError
from lockgate.core.policy import Policy
from lockgate.core.wire import Document, Moment


class Purpose(StrEnum):
    """What a key may sign. A key has exactly one purpose."""

    SUPPLY_ROOT = "supply-root"
    COLLECTOR = "collector"
    SEALER = "sealer"
    TARGETS = "targets"
    SNAPSHOT = "snapshot"
    TIMESTAMP = "timestamp"
    SITE_ROOT = "site-root"
    APPROVER = "approver"
    INSPECTOR = "inspector"
    OPERATOR = "operator"
    LOG = "log"
    WITNESS = "witness"
    RELEASE = "lockgate-release"
    CUSTODIAN = "custodian"
    SCANNER = "scanner"
    CANARY = "canary"
    REPOSITORY = "repository"


class RootKind(StrEnum):
    """Which of the two roots a document is."""

    SUPPLY = "supply"
    SITE = "site"


class UnknownKeyError(TrustError):
    """A key is not in the root."""

    code = "LG-2002"
    advice = "Compare the key id with `lockgate root show`; the key may be of another lane or revoked."


class KeyPurposeError(TrustError):
    """A key was used outside its purpose."""

    code = "LG-2003"
    advice = "Each role has its own key. Sign with the key that the root names for this role."


class KeyExpiredError(TrustError):
    """A key is past its expiry."""

    code = "LG-2004"
    advice = "Ask the holders of the root for a new version that lists a new key, and sign with that one."


class ThresholdError(TrustError):
    """Too few distinct persons signed."""

    code = "LG-2005"
    advice = "Collect the missing signatures from other persons that hold this role."


class KeyRevokedError(TrustError):
    """A key was revoked by the site root of this side."""

    code = "LG-2007"
    advice = (
        "Have it sealed again with another key; `lockgate root affected` lists what this one signed before."
    )


class RootExpiredError(TrustError):
    """A root is past its expiry."""

    code = "LG-2006"
    advice = "Nothing more is admitted; serving goes on. Bring a newer root that its holders signed."


class PublicKey(Document, frozen=True):
    """A public key in TUF's form: `keytype`, `scheme`, and `public` (hex or PEM text)."""

    keytype: str
    scheme: str
    public: str


class HeldKey(Document, frozen=True):
    """A key with its holder: one purpose, one person, one expiry."""

    key: PublicKey
    purpose: Purpose
    person: str
    expires: Moment


class Recipient(Document, frozen=True):
    """A key that crates may be sealed to (HPKE). `public` is the P-256 key as PEM text."""

    name: str
    suite: str
    public: str
    expires: Moment


class Root(Document, frozen=True):
    """One version of a root: keys by id, how many persons each purpose needs, recipients.

    `revoked` stands in site roots alone: ids of supply keys that this site no longer believes,
    whatever the supply root says. It is left out of the document while there is none.
    """

    format: str
    kind: RootKind
    lane: str
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    assurance: str
    expires: Moment
    keys: dict[str, HeldKey]
    thresholds: dict[Purpose, int]
    recipients: dict[Digest, Recipient] = msgspec.field(default_factory=dict)
    policy: Policy | None = None
    revoked: tuple[Digest, ...] | msgspec.UnsetType = msgspec.UNSET

    @property
    def revoked_keys(self) -> frozenset[str]:
        """Return the ids of supply keys that the site root revokes on this side."""
        return frozenset() if isinstance(self.revoked, msgspec.UnsetType) else frozenset(self.revoked)

    def held(self, keyid: str, purpose: Purpose, at: datetime) -> HeldKey:
        """Return the key when the root lists it for this purpose and it has not expired.

        Raises:
            UnknownKeyError: Not listed.
            KeyPurposeError: Listed for another purpose.
            KeyExpiredError: Past its expiry at `at`.

        """
        held = self.keys.get(keyid)
        if held is None:
            what = f"The {self.kind} root of lane {self.lane!r} does not list the key {keyid[:16]}…"
            raise UnknownKeyError(what, keyid=keyid)
        if held.purpose != purpose:
            what = f"The key of {held.person} is for {held.purpose}, not for {purpose}."
            raise KeyPurposeError(what, keyid=keyid)
        if at >= held.expires:
            what = f"The {purpose} key of {held.person} expired on {held.expires:%Y-%m-%d}."
            raise KeyExpiredError(what, keyid=keyid)
        return held

    def demand_current(self, at: datetime) -> None:
        """Refuse a root that has expired; only admission asks.

        Raises:
            RootExpiredError: At or past its expiry.

        """
        if at >= self.expires:
            what = f"The {self.kind} root of lane {self.lane!r} expired on {self.expires:%Y-%m-%d}."
            raise RootExpiredError(what)

    def threshold(self, purpose: Purpose) -> int:
        """Return how many distinct persons must sign for a purpose (at least one)."""
        return max(1, self.thresholds.get(purpose, 1))

    def persons(self, keyids: Iterable[str], purpose: Purpose, at: datetime) -> frozenset[str]:
        """Return the distinct persons behind keys that verified, and demand the threshold.

        Raises:
            ThresholdError: Fewer distinct persons than the root demands.

        """
        people = frozenset(self.held(keyid, purpose, at).person for keyid in keyids)
        need = self.threshold(purpose)
        if len(people) < need:
            what = f"{len(people)} of {need} needed persons signed as {purpose}."
            raise ThresholdError(what, signed=", ".join(sorted(people)) or "nobody")
        return people


ROOT_FORMAT = "lockgate-root/1"
