"""Signing a statement as an approver, and judging the approvals of one."""

from datetime import datetime

from lockgate.approve.errors import NotRequesterError
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.roots import Purpose, Root
from lockgate.core.statement import (
    AUTOMATIC,
    STATEMENT_FORMAT,
    STATEMENT_TYPE,
    OwnRequestError,
    Statement,
    approved_by,
)
from lockgate.core.wire import decode, encode
from lockgate.trust.dsse import Opened, add_signature, merge, open_envelope, sign
from lockgate.trust.errors import EnvelopeError, SignatureError, WrongLaneError
from lockgate.trust.keys import Signer, verifies

STATEMENT_LIMIT = 1 << 20
"""Longest statement envelope that is read, in bytes."""


def asks_as(statement: Statement) -> Purpose:
    """Return whose key asks: an operator's, or for what the gate does by itself, the inspector's."""
    return Purpose.INSPECTOR if statement.operation in AUTOMATIC else Purpose.OPERATOR


def request(statement: Statement, signer: Signer, site: Root, at: datetime) -> bytes:
    """Return a statement's envelope, signed by who asks, as it travels to the approvers.

    Raises:
        NotRequesterError: The signer is not the person that the statement names.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: Not a key that may ask for this.

    """
    person = site.held(signer.keyid, asks_as(statement), at).person
    if person != statement.requester:
        what = f"{person} cannot ask in the name of {statement.requester}."
        raise NotRequesterError(what)
    return sign(STATEMENT_TYPE, encode(statement), [signer])


def read_statement(envelope: bytes) -> Statement:
    """Return the statement inside an envelope; whoever signs it renders it from these bytes.

    Raises:
        EnvelopeError, MalformedDocumentError, NotCanonicalError: Not a statement's envelope.

    """
    return _statement(open_envelope(envelope, limit=STATEMENT_LIMIT))


def _statement(opened: Opened) -> Statement:
    if opened.payload_type != STATEMENT_TYPE:
        what = f"The envelope holds {opened.payload_type[:80]!r}, not a statement."
        raise EnvelopeError(what)
    statement = decode(Statement, opened.payload, limit=STATEMENT_LIMIT, name="statement")
    if statement.format != STATEMENT_FORMAT:
        what = f"The statement has the format {statement.format[:80]!r}, which this version does not read."
        raise MalformedDocumentError(what)
    return statement


def approve(envelope: bytes, signer: Signer, site: Root, at: datetime) -> bytes:
    """Return the envelope with an approver's signature added.

    The key must be one that the site root lists for approvers, and not the requester's.

    Raises:
        OwnRequestError: The signer asked for it.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: The key may not approve.
        WrongLaneError: A statement of another lane.

    """
    statement = read_statement(envelope)
    if statement.lane != site.lane:
        what = f"The statement is for lane {statement.lane!r}, the site root for {site.lane!r}."
        raise WrongLaneError(what)
    person = site.held(signer.keyid, Purpose.APPROVER, at).person
    if person == statement.requester:
        what = f"{person} asked for this and cannot approve it."
        raise OwnRequestError(what)
    return add_signature(envelope, signer)


def combine(envelopes: list[bytes]) -> bytes:
    """Return one envelope with the signatures that approvers made apart."""
    return merge(envelopes)


def judge(envelope: bytes, site: Root, at: datetime, *, need: int) -> tuple[Statement, frozenset[str]]:
    """Return a statement and who approved it, when enough persons did.

    A signature that does not verify refuses the whole envelope.

    Raises:
        SignatureError: A signature does not verify.
        NotRequesterError: The person named as requester did not sign.
        WrongLaneError: A statement of another lane.
        StatementExpiredError, OwnRequestError, TooFewApproversError: See `core.statement`.
        UnknownKeyError, KeyPurposeError, KeyExpiredError: A key that may not approve.

    """
    opened = open_envelope(envelope, limit=STATEMENT_LIMIT)
    statement = _statement(opened)
    if statement.lane != site.lane:
        what = f"The statement is for lane {statement.lane!r}, this side is on {site.lane!r}."
        raise WrongLaneError(what)
    valid: dict[str, bool] = {}
    requested, asking = False, asks_as(statement)
    for keyid, signature in opened.signatures.items():
        asks = keyid in site.keys and site.keys[keyid].purpose is asking
        held = site.held(keyid, asking if asks else Purpose.APPROVER, at)
        if not verifies(held.key, signature, opened.message):
            what = f"The signature of {held.person} does not verify over this statement."
            raise SignatureError(what, keyid=keyid)
        if asks:
            requested = requested or held.person == statement.requester
        else:
            valid[keyid] = True
    if not requested:
        what = f"{statement.requester} did not sign this request."
        raise NotRequesterError(what)
    return statement, approved_by(statement, valid, site, at, need=need)
