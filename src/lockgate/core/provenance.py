"""Provenance: what a signature proves of a file, and the trust roots that it is judged by.

Absent, unchecked, invalid and expired are facts of their own: only `verified` proves anything.
"""

from collections.abc import Collection, Iterator
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from lockgate.core.digests import sha256
from lockgate.core.wire import Document, Moment, decode

ROOTS_FORMAT = "lockgate-trust-roots/1"
ROOTS_LIMIT = 1 << 20
"""Longest document of trust roots that is read, in bytes."""

_MOST = 64
Line = Annotated[str, msgspec.Meta(pattern=r"^[^\x00-\x1f\x7f-\x9f]{0,500}\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/+=-]{0,127}\Z")]


class State(StrEnum):
    """What is known of one signature. `UNCHECKED`: there is one, and nothing to judge it by."""

    ABSENT = "absent"
    UNCHECKED = "unchecked"
    INVALID = "invalid"
    EXPIRED = "expired"
    VERIFIED = "verified"


class Scheme(StrEnum):
    """The published formats of provenance that are read."""

    PEP740 = "pep740"
    NPM = "npm-signature"
    NPM_ATTESTATION = "npm-attestation"
    COSIGN = "cosign"
    MODEL = "model-signing"
    NONE = "none"


class Fact(Document, frozen=True):
    """What one signature says of one file.

    `issuer` and `identity` are those of the signer's certificate, `repository` and `workflow` where it
    was built by the certificate's own words, `keyid` names a key of the trust roots. `signed` is the
    moment that was judged by, and `roots` the version of the trust roots.
    """

    scheme: Scheme
    state: State
    why: Line = ""
    issuer: Line = ""
    identity: Line = ""
    repository: Line = ""
    workflow: Line = ""
    keyid: Line = ""
    signed: Moment | None = None
    roots: int = 0

    @property
    def sentence(self) -> str:
        """Return the fact as people read it."""
        names = (("by", self.identity or self.keyid), ("issuer", self.issuer), ("of", self.repository))
        who = " ".join(f"{word} {value}" for word, value in names if value)
        when = f"at {self.signed:%Y-%m-%d %H:%M} UTC" if self.signed else ""
        return " ".join(part for part in (f"{self.scheme}: {self.state}", who, when, self.why) if part)


class LogKey(Document, frozen=True):
    """The key of a transparency log, or of a log of certificates: SubjectPublicKeyInfo in DER."""

    name: Line
    keyid: bytes
    key: bytes
    start: Moment | None = None
    end: Moment | None = None


class Authority(Document, frozen=True):
    """A certificate authority: its certificates in DER, the one that issues first, the root last."""

    name: Line
    certificates: Annotated[tuple[bytes, ...], msgspec.Meta(min_length=1, max_length=8)]
    start: Moment | None = None
    end: Moment | None = None


class PublicKey(Document, frozen=True):
    """A public key that people name: an npm registry's, or the site's own choice."""

    name: Name
    key: bytes
    expires: Moment | None = None


Logs = Annotated[tuple[LogKey, ...], msgspec.Meta(max_length=_MOST)]
Authorities = Annotated[tuple[Authority, ...], msgspec.Meta(max_length=_MOST)]
Keys = Annotated[tuple[PublicKey, ...], msgspec.Meta(max_length=_MOST)]


class TrustRoots(Document, frozen=True):
    """One version of what signatures are judged by; it crosses, and two persons put it in force.

    Attributes:
        format: `ROOTS_FORMAT`.
        version: Counts up by one.
        made: When it was put together.
        expires: From then on nothing is judged by it any more.
        logs: Transparency logs of signatures.
        certificate_logs: Logs of certificates; where there are any, a certificate has to be in one.
        authorities: Those that certify signers for minutes; what they sign needs an entry in a log.
        timestamp_authorities: Those whose time stamps count.
        site_authorities: Those that certify signers for long; what they sign needs no log.
        npm_keys: Keys of npm registries.
        keys: Keys of signers that this site knows.

    """

    format: str
    version: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)]
    made: Moment
    expires: Moment
    logs: Logs = ()
    certificate_logs: Logs = ()
    authorities: Authorities = ()
    timestamp_authorities: Authorities = ()
    site_authorities: Authorities = ()
    npm_keys: Keys = ()
    keys: Keys = ()

    def sentences(self) -> Iterator[str]:
        """Yield everything that the document says, as approvers read and sign it."""
        yield f"trust roots made {self.made:%Y-%m-%d}, valid until {self.expires:%Y-%m-%dT%H:%M:%SZ}"
        for what, logs in (("signature log", self.logs), ("certificate log", self.certificate_logs)):
            for log in logs:
                yield f"{what} {log.name}: key {sha256(log.key)}{_window(log.start, log.end)}"
        groups = (
            ("signing authority", self.authorities),
            ("time stamp authority", self.timestamp_authorities),
            ("site's signing authority", self.site_authorities),
        )
        for what, authorities in groups:
            for each in authorities:
                prints = ", ".join(sha256(der) for der in each.certificates)
                yield f"{what} {each.name}: certificates {prints}{_window(each.start, each.end)}"
        for what, keys in (("npm registry key", self.npm_keys), ("site's key", self.keys)):
            for key in keys:
                yield f"{what} {key.name}: key {sha256(key.key)}{_window(None, key.expires)}"
        if self.authorities and not self.certificate_logs:
            yield "no certificate log: certificates of signing authorities need not be logged"


def _window(start: datetime | None, end: datetime | None) -> str:
    said = [
        f" from {start:%Y-%m-%dT%H:%M:%SZ}" if start else "",
        f" until {end:%Y-%m-%dT%H:%M:%SZ}" if end else "",
    ]
    return "".join(said)


def read_roots(data: bytes) -> TrustRoots:
    """Return trust roots from their canonical bytes.

    Raises:
        TooLargeError, MalformedDocumentError, NotCanonicalError: They are no such document.

    """
    return decode(TrustRoots, data, limit=ROOTS_LIMIT, name="trust roots")


class Demand(StrEnum):
    """How much provenance a rule demands. `INTACT`: none may be invalid or expired; absent is fine."""

    INTACT = "intact"
    VERIFIED = "verified"


def meets(demand: Demand, facts: Collection[Fact], signers: Collection[str], issuers: Collection[str]) -> str:
    """Return why the facts about a file do not meet a demand; nothing where they do.

    Args:
        demand: The least that is asked for.
        facts: What is known of the file.
        signers: Identities, repositories or names of keys that count; empty: any. One that ends in
            ``/*`` stands for everything below it.
        issuers: Who may vouch for identities; empty: anybody in the trust roots.

    """
    bad = next((f for f in facts if f.state in {State.INVALID, State.EXPIRED}), None)
    if bad is not None:
        return f"its provenance is {bad.state} ({bad.scheme}: {bad.why or 'no reason is given'})"
    if demand is Demand.INTACT:
        return ""
    good = [f for f in facts if f.state is State.VERIFIED]
    if not good:
        states = ", ".join(sorted({f"{f.state}" for f in facts})) or "absent"
        why = next((f": {f.why}" for f in facts if f.why), "")
        return f"its provenance is {states}{why}"
    if not any(_counts(fact, signers, issuers) for fact in good):
        who = good[0].identity or good[0].repository or good[0].keyid
        return f"it is signed by {who}, who is not among those that count"
    return ""


def _counts(fact: Fact, signers: Collection[str], issuers: Collection[str]) -> bool:
    named = {name for name in (fact.identity, fact.repository, fact.keyid) if name}
    known = not signers or any(_matches(name, signer) for name in named for signer in signers)
    return known and (not issuers or fact.issuer in issuers)


def _matches(name: str, signer: str) -> bool:
    """Tell whether a name is the one that a rule gives, or lies below it; dots lead nowhere."""
    if signer.endswith("/*"):
        return name.startswith(signer[:-1]) and ".." not in name.split("/")
    return name == signer
