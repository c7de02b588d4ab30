"""Envelopes and attestations: no free byte, no stray signature, no other type."""

import base64
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from corpora.trusted import LATER, NOW, Site, Supply
from lockgate.core.errors import LockgateError, MalformedDocumentError, NotCanonicalError, TooLargeError
from lockgate.core.roots import (
    KeyExpiredError,
    KeyPurposeError,
    Purpose,
    Root,
    ThresholdError,
    UnknownKeyError,
)
from lockgate.core.wire import Document, encode
from lockgate.trust.attest import COLLECTION, INSPECTION, INTOTO_TYPE, attest, check
from lockgate.trust.dsse import SIGNATURES_LIMIT, add_signature, merge, open_envelope, pae, sign, verify
from lockgate.trust.errors import EnvelopeError, SignatureError
from lockgate.trust.keys import new_signer, verifies

TYPE = "application/test"
SITE = Site()
ONE, TWO, THREE = SITE.approvers


@pytest.fixture
def root() -> Root:
    return SITE.root(thresholds={Purpose.APPROVER: 2})


def demand(
    envelope: bytes, root: Root, kind: str = TYPE, purpose: Purpose = Purpose.APPROVER
) -> frozenset[str]:
    return verify(open_envelope(envelope), root, purpose, NOW, kind)


def edited(envelope: bytes, edit: Callable[[dict[str, Any]], object]) -> bytes:
    """Return an envelope that was changed and encoded canonically again."""
    fields = msgspec.json.decode(envelope)
    edit(fields)
    return encode(fields)


def test_the_signed_bytes_are_those_of_the_specification() -> None:
    assert pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )
    assert pae("ä", b"") == b"DSSEv1 2 \xc3\xa4 0 "
    opened = open_envelope(sign(TYPE, b"payload", [ONE]))
    assert verifies(ONE.public, opened.signatures[ONE.keyid], b"DSSEv1 16 application/test 7 payload")


def test_signatures_can_be_made_at_once_one_by_one_or_apart(root: Root) -> None:
    at_once = sign(TYPE, b"x", [TWO, ONE])
    one_by_one = add_signature(sign(TYPE, b"x", [ONE]), TWO)
    apart = merge([sign(TYPE, b"x", [TWO]), sign(TYPE, b"x", [ONE])])
    assert at_once == one_by_one == apart == merge([at_once, apart]) == add_signature(at_once, ONE)
    assert demand(at_once, root) == {"ap-1", "ap-2"}
    assert open_envelope(at_once).payload == b"x"


def test_only_envelopes_over_the_same_bytes_merge() -> None:
    for others in (
        [],
        [sign(TYPE, b"x", [ONE]), sign(TYPE, b"y", [TWO])],
        [sign(TYPE, b"x", []), sign("t", b"x", [])],
    ):
        with pytest.raises(EnvelopeError):
            merge(others)


def test_too_few_persons_are_refused(root: Root) -> None:
    for signers in ([], [ONE]):
        with pytest.raises(ThresholdError):
            demand(sign(TYPE, b"x", signers), root)


def test_one_signature_too_many_refuses_the_envelope(root: Root) -> None:
    good = sign(TYPE, b"x", [ONE, TWO])
    with pytest.raises(UnknownKeyError):
        demand(add_signature(good, new_signer(Purpose.APPROVER, "ap-1")), root)
    with pytest.raises(KeyPurposeError):
        demand(add_signature(good, SITE.operator), root)
    swapped = edited(good, lambda e: e["signatures"][0].update(sig=e["signatures"][1]["sig"]))
    with pytest.raises(SignatureError):
        demand(swapped, root)
    expired = msgspec.structs.replace(root.keys[THREE.keyid], expires=NOW)
    aged = msgspec.structs.replace(root, keys={**root.keys, THREE.keyid: expired})
    with pytest.raises(KeyExpiredError):
        demand(add_signature(good, THREE), aged)


def test_payload_type_and_purpose_must_be_those_expected(root: Root) -> None:
    good = sign(TYPE, b"x", [ONE, TWO])
    with pytest.raises(EnvelopeError, match="not 'application/other'"):
        demand(good, root, "application/other")
    relabelled = edited(good, lambda e: e.update(payloadType="application/other"))
    with pytest.raises(SignatureError):
        demand(relabelled, root, "application/other")
    with pytest.raises(KeyPurposeError):
        demand(good, root, purpose=Purpose.SITE_ROOT)


def spell(text: str, edit: Callable[[str], str]) -> str:
    changed = edit(text)
    assert changed != text
    return changed


BASE64 = {
    "no padding": lambda t: t.rstrip("="),
    "more padding": lambda t: t + "====",
    "line end": lambda t: t + "\n",
    "line break": lambda t: t[:4] + "\n" + t[4:],
    "space": lambda t: " " + t,
    "free bits": lambda t: t.rstrip("=")[:-1] + "B" + "=" * (len(t) - len(t.rstrip("="))),
    "other letters": lambda t: "é" + t[1:],
    "url alphabet": lambda t: "-_" + t[2:],
    "one letter": lambda t: t + "A",
}


@pytest.mark.parametrize("name", BASE64)
def test_only_the_canonical_base64_is_read(name: str) -> None:
    payload = sign(TYPE, b"1234", [ONE])
    assert base64.b64encode(b"1234").endswith(b"A==")
    for edit in (
        lambda e: e.update(payload=spell(e["payload"], BASE64[name])),
        lambda e: e["signatures"][0].update(sig=spell(e["signatures"][0]["sig"], BASE64[name])),
    ):
        with pytest.raises(EnvelopeError, match="base64"):
            open_envelope(edited(payload, edit))


def test_signatures_stand_in_order_each_once() -> None:
    good = sign(TYPE, b"x", [ONE, TWO])
    for edit in (
        lambda e: e["signatures"].reverse(),
        lambda e: e["signatures"].append(e["signatures"][1]),
        lambda e: e["signatures"].insert(0, e["signatures"][0]),
    ):
        with pytest.raises(EnvelopeError, match="not in order, or one is there twice"):
            open_envelope(edited(good, edit))


def test_signatures_and_bytes_are_bounded() -> None:
    def fill(envelope: dict[str, Any], count: int) -> None:
        envelope["signatures"] = [{"keyid": f"{n:064x}", "sig": "AA=="} for n in range(count)]

    good = sign(TYPE, b"x", [])
    assert (
        len(open_envelope(edited(good, lambda e: fill(e, SIGNATURES_LIMIT))).signatures) == SIGNATURES_LIMIT
    )
    with pytest.raises(EnvelopeError, match=f"at most {SIGNATURES_LIMIT}"):
        open_envelope(edited(good, lambda e: fill(e, SIGNATURES_LIMIT + 1)))
    with pytest.raises(TooLargeError):
        open_envelope(good, limit=len(good) - 1)


@pytest.mark.parametrize(
    ("edit", "error"),
    [
        (lambda e: e.update(extra=1), MalformedDocumentError),
        (lambda e: e.pop("payloadType"), MalformedDocumentError),
        (lambda e: e.update(payload_type=e.pop("payloadType")), MalformedDocumentError),
        (lambda e: e.update(payload=None), MalformedDocumentError),
        (lambda e: e["signatures"][0].update(keyid="short"), MalformedDocumentError),
        (lambda e: e["signatures"][0].update(extra=1), MalformedDocumentError),
    ],
)
def test_other_fields_are_refused(
    edit: Callable[[dict[str, Any]], object], error: type[LockgateError]
) -> None:
    with pytest.raises(error):
        open_envelope(edited(sign(TYPE, b"x", [ONE]), edit))


def test_an_envelope_that_was_only_spaced_is_refused() -> None:
    good = sign(TYPE, b"x", [ONE])
    for other in (good + b"\n", good.replace(b":", b": ", 1), msgspec.json.format(good)):
        with pytest.raises(NotCanonicalError):
            open_envelope(other)


class Facts(Document, frozen=True):
    count: int


def test_an_attestation_names_its_subjects_and_predicate() -> None:
    supply = Supply()
    root = supply.root()
    made = attest({"b": "b" * 64, "a": "a" * 64}, COLLECTION, Facts(count=2), supply.collector)
    statement = check(made, root, Purpose.COLLECTOR, COLLECTION, NOW)
    assert [(s.name, s.digest) for s in statement.subject] == [
        ("a", {"sha256": "a" * 64}),
        ("b", {"sha256": "b" * 64}),
    ]
    assert statement.predicate == {"count": 2}
    assert b'"_type":"https://in-toto.io/Statement/v1"' in open_envelope(made).payload


def test_an_attestation_of_another_kind_or_signer_is_refused() -> None:
    supply = Supply()
    root = supply.root()
    made = attest({"a": "a" * 64}, COLLECTION, Facts(count=2), supply.collector)
    with pytest.raises(EnvelopeError, match=f"not '{INSPECTION}'"):
        check(made, root, Purpose.COLLECTOR, INSPECTION, NOW)
    with pytest.raises(KeyPurposeError):
        check(made, root, Purpose.INSPECTOR, COLLECTION, NOW)
    with pytest.raises(KeyExpiredError):
        check(made, root, Purpose.COLLECTOR, COLLECTION, LATER)
    with pytest.raises(UnknownKeyError):
        check(made, Supply().root(), Purpose.COLLECTOR, COLLECTION, NOW)
    with pytest.raises(EnvelopeError):
        check(sign("text/plain", b"x", [supply.collector]), root, Purpose.COLLECTOR, COLLECTION, NOW)
    payload = open_envelope(made).payload.replace(b"Statement/v1", b"Statement/v0.1")
    with pytest.raises(EnvelopeError):
        check(sign(INTOTO_TYPE, payload, [supply.collector]), root, Purpose.COLLECTOR, COLLECTION, NOW)
    fraction = open_envelope(made).payload.replace(b'"count":2', b'"count":2.5')
    with pytest.raises(MalformedDocumentError):
        check(sign(INTOTO_TYPE, fraction, [supply.collector]), root, Purpose.COLLECTOR, COLLECTION, NOW)
