"""Requests that wait for approvals, as the console shows them, and signatures that browsers hand in.

The console holds no key and decides nothing. It renders a statement from the bytes that are signed, and
puts a signature that verifies into a file beside the request. Whether it counts, the gate judges anew.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from lockgate.admit.assess import Assessor
from lockgate.admit.model import SPENT, ChannelPointer
from lockgate.app.files import read_named, write_whole
from lockgate.app.gate.approve import BESIDE, difference_beside, shown_difference
from lockgate.app.gate.gate import reading_parts
from lockgate.app.settings import Side
from lockgate.app.stores import records_of
from lockgate.app.trust import site_root, utc_now
from lockgate.approve import judge, read_statement
from lockgate.approve.service import STATEMENT_LIMIT
from lockgate.core.ceremony import CARD_FORMAT, CARD_TYPE, KeyCard
from lockgate.core.difference import Difference
from lockgate.core.digests import words
from lockgate.core.errors import InputError, LockgateError, MalformedDocumentError
from lockgate.core.roots import Purpose, Root
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.core.statement import (
    CHANNEL_OPERATIONS,
    GATE_OPERATIONS,
    NOTHING,
    STATEMENT_TYPE,
    OwnRequestError,
    Statement,
    StatementExpiredError,
)
from lockgate.core.wire import decode, digest_of, encode
from lockgate.trust.ceremony import CARD_LIMIT, read_card
from lockgate.trust.dsse import attach, open_envelope, sign
from lockgate.trust.errors import CredentialError
from lockgate.trust.keys import keyid_of
from lockgate.trust.webauthn import (
    WEBAUTHN,
    Assertion,
    Credential,
    check_assertion,
    credential_of,
    padded,
    signature_bytes,
    unpadded,
)

SIGNED = "signed"
"""Folder below the waiting requests in which browsers' signatures are kept."""

REQUESTS_LIMIT = 256
"""Most waiting requests that are listed."""

_SUFFIX = ".json"


class NoSuchRequestError(InputError):
    """There is no request of this name that waits."""

    code = "LG-1f63"
    advice = "Look at the list of what waits; it may have been carried out or moved."


class PersonNameError(InputError):
    """A person's name cannot stand on a card."""

    code = "LG-1f64"
    advice = "Use letters, digits, dots and hyphens, at most 64, as the site root names people."


@dataclass(frozen=True, slots=True)
class Waiting:
    """A request that waits: its file's name, what it asks, who signed it, and whether it is too late.

    `void` says why the gate would not carry it out any more, however many sign it; empty: it might.
    """

    name: str
    statement: Statement
    signed: tuple[str, ...]
    expired: bool = False
    void: str = ""


@dataclass(frozen=True, slots=True)
class Shown:
    """A statement as it is shown before it is signed.

    `payload` is what is signed, base64url, of the type `payload_type`; `credentials` are the approvers'
    authenticators at this origin, as person and credential id.
    """

    name: str
    statement: Statement
    digest: str
    payload: str
    payload_type: str
    rp_id: str
    credentials: tuple[tuple[str, str], ...]
    signed: tuple[str, ...]


def _void(statement: Statement, pointers: Mapping[str, ChannelPointer | None], policy_sha256: str) -> str:
    """Return why a statement cannot take effect any more, as far as that is seen without judging it."""
    if statement.operation in CHANNEL_OPERATIONS and statement.channel in pointers:
        pointer = pointers[statement.channel]
        follows = (pointer.version + 1, pointer.snapshot_sha256) if pointer else (1, NOTHING)
        if (statement.channel_version, statement.previous_sha256) != follows:
            return f"{statement.channel} moved on since"
    if statement.operation in GATE_OPERATIONS and statement.policy_sha256 != policy_sha256:
        return "the policy changed since"
    return ""


@dataclass(frozen=True, slots=True)
class HandedIn:
    """Who signed, and the file with the signature."""

    person: str
    file: str


class WaitingRequests:
    """What waits on a high side."""

    def __init__(self, side: Side) -> None:
        """Look at this side; nothing is read yet."""
        self._side = side

    @property
    def _folder(self) -> Path:
        return self._side.home.pending

    def _files(self) -> dict[str, Path]:
        found = sorted(self._folder.glob(f"*{_SUFFIX}")) if self._folder.is_dir() else []
        named = [path for path in found if not path.name.endswith(BESIDE) and not path.name.startswith(".")]
        return {path.name.removesuffix(_SUFFIX): path for path in named[-REQUESTS_LIMIT:]}

    def waiting(self) -> tuple[Waiting, ...]:
        """Return the requests that wait, and none that was carried out.

        A file that is no request is passed over, and so are signed copies beside their request: who
        signed those is told with it.
        """
        found: dict[str, Statement] = {}
        for name, path in self._files().items():
            try:
                found[name] = read_statement(read_named(path, limit=STATEMENT_LIMIT))
            except LockgateError:
                continue
        spent, now = self._spent(found.values()), utc_now()
        parts = reading_parts(self._side)
        pointers = {name: Assessor(parts).pointer(name) for name in (STABLE, CANDIDATE)}
        return tuple(
            Waiting(
                name,
                statement,
                self._signed(name, statement),
                now >= statement.expires,
                _void(statement, pointers, parts.policy_sha256),
            )
            for name, statement in found.items()
            if statement.nonce not in spent
            and not any(name.startswith(f"{other}.") and found[other] == statement for other in found)
        )

    def _spent(self, statements: Iterable[Statement]) -> frozenset[str]:
        """Return the nonces of those that took effect: each counts once."""
        records = records_of(self._side)
        with records.transaction() as tx:
            spent = frozenset(each.nonce for each in statements if tx.get(SPENT, each.nonce) is not None)
        records.close()
        return spent

    def _request(self, name: str) -> bytes:
        file = self._files().get(name)
        if file is None:
            what = f"No request called {name[:80]!r} waits."
            raise NoSuchRequestError(what)
        return read_named(file, limit=STATEMENT_LIMIT)

    def _signed(self, name: str, statement: Statement) -> tuple[str, ...]:
        """Return who signed this very statement: in a browser, or in a copy beside the request."""
        site, people = site_root(self._side, None), set[str]()
        for copy, path in self._files().items():
            if copy.startswith(f"{name}."):
                people |= _approvers(path, statement, site)
        for file in sorted((self._folder / SIGNED).glob(f"{name}.*{_SUFFIX}")):
            try:
                opened = open_envelope(read_named(file, limit=STATEMENT_LIMIT))
            except LockgateError:
                continue
            if opened.payload == encode(statement):
                held = [site.keys[k] for k in opened.signatures if k in site.keys]
                people |= {key.person for key in held if key.purpose is Purpose.APPROVER}
        return tuple(sorted(people))

    def difference(self, name: str) -> Difference | None:
        """Return the difference that a waiting statement binds; None where it binds none.

        Raises:
            NoSuchRequestError: None of this name waits.
            DifferenceUnshownError: It is not beside the request, or another one.

        """
        statement = read_statement(self._request(name))
        return shown_difference(statement, difference_beside(self._files()[name]))

    def shown(self, name: str, origin: str) -> Shown:
        """Return a statement as it is shown at an origin, from the bytes that are signed.

        Raises:
            NoSuchRequestError: None of this name waits.
            LockgateError: It is no statement.

        """
        envelope = self._request(name)
        statement, opened = read_statement(envelope), open_envelope(envelope, limit=STATEMENT_LIMIT)
        known = _credentials(site_root(self._side, None))
        here = [(person, each) for person, each in known.values() if each.origin == origin]
        return Shown(
            name=name,
            statement=statement,
            digest=digest_of(statement),
            payload=padded(opened.payload),
            payload_type=STATEMENT_TYPE,
            rp_id=here[0][1].rp_id if here else "",
            credentials=tuple((person, each.identifier) for person, each in here),
            signed=self._signed(name, statement),
        )

    def hand_in(self, name: str, credential: str, assertion: Assertion) -> HandedIn:
        """Keep a signature that a browser made, when it verifies and its person may approve.

        Raises:
            NoSuchRequestError: None of this name waits.
            CredentialError: The site root lists no such credential.
            AssertionRefusedError: It signs something else, or elsewhere, or does not verify.
            OwnRequestError, StatementExpiredError, KeyExpiredError: It would not count.

        """
        envelope, now = self._request(name), utc_now()
        statement, site = read_statement(envelope), site_root(self._side, None)
        keyid = next((k for k, (_, c) in _credentials(site).items() if c.identifier == credential), "")
        if not keyid:
            raise CredentialError("The site root lists no approver with this authenticator.")
        held = site.held(keyid, Purpose.APPROVER, now)
        if held.person == statement.requester:
            what = f"{held.person} asked for this and cannot approve it."
            raise OwnRequestError(what)
        if now >= statement.expires:
            what = f"The statement {statement.subject} has expired."
            raise StatementExpiredError(what)
        signature = signature_bytes(assertion)
        check_assertion(held.key, signature, open_envelope(envelope, limit=STATEMENT_LIMIT).message)
        file = self._folder / SIGNED / f"{name}.{keyid[:16]}{_SUFFIX}"
        write_whole(file, attach(envelope, keyid, signature))
        return HandedIn(held.person, str(file.relative_to(self._folder.parent)))


def _approvers(path: Path, statement: Statement, site: Root) -> frozenset[str]:
    """Return who approves a statement by a signed copy; nobody where it does not verify or is another."""
    try:
        judged, people = judge(read_named(path, limit=STATEMENT_LIMIT), site, utc_now(), need=1)
    except LockgateError:
        return frozenset()
    return people if judged == statement else frozenset()


def _credentials(site: Root) -> dict[str, tuple[str, Credential]]:
    """Return the approvers' authenticators by key id, with the person of each."""
    return {
        keyid: (held.person, credential_of(held.key))
        for keyid, held in site.keys.items()
        if held.purpose is Purpose.APPROVER and held.key.keytype == WEBAUTHN
    }


class Enrolment(msgspec.Struct, forbid_unknown_fields=True):
    """What a browser says of a credential that was just made."""

    person: str
    origin: str
    credential: str
    spki: str


class Proof(msgspec.Struct, forbid_unknown_fields=True):
    """A card, and the new credential's signature over it."""

    payload: str
    credential: str
    assertion: Assertion


def begin_card(lane: str, asked: Enrolment) -> bytes:
    """Return the card that a new credential has to sign, so that nobody enrols what they do not hold.

    Raises:
        PersonNameError: A name that no card bears.
        CredentialError: Malformed, or of another kind than P-256 and Ed25519.

    """
    bare = asked.person.replace("-", "").replace(".", "")
    if not (0 < len(asked.person) <= 64 and asked.person.isascii() and bare.isalnum()):  # noqa: PLR2004  # said
        what = f"{asked.person[:80]!r} is no name of a person."
        raise PersonNameError(what)
    rp_id = urlsplit(asked.origin).hostname or ""
    key = Credential(rp_id, asked.origin, asked.credential, asked.spki).public
    card = KeyCard(format=CARD_FORMAT, lane=lane, person=asked.person, purpose=Purpose.APPROVER, key=key)
    return encode(card)


def finish_card(lane: str, proof: Proof) -> tuple[bytes, str, str]:
    """Return a card that its credential signed, the key's id, and the words to read aloud.

    Raises:
        AssertionRefusedError, SignatureError: The credential did not sign this card.

    """
    payload = unpadded(proof.payload)
    card = decode(KeyCard, payload, limit=CARD_LIMIT, name="card")
    if card.key is None or card.lane != lane:
        raise MalformedDocumentError("The card is of another lane, or holds no key.")
    unsigned = sign(CARD_TYPE, payload, [])
    signed = attach(unsigned, keyid_of(card.key), signature_bytes(proof.assertion))
    entry = read_card(signed)
    return signed, entry.identifier, words(entry.identifier)
