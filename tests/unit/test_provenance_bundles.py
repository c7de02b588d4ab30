"""Sigstore bundles and PEP 740 judged offline: what is believed, what is invalid, what is expired."""

import copy
import json
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID

from corpora.signing import (
    IN_TOTO,
    ISSUER,
    NOW,
    REPOSITORY,
    WORKFLOW,
    World,
    authority,
    b64,
    dsse_record,
    log,
    pae,
    pem,
    provenance,
    publish_statement,
    sign,
    signer,
    spki,
)
from lockgate.core.provenance import Authority, PublicKey, Scheme, State, TrustRoots
from lockgate.inspect.provenance import pep740
from lockgate.inspect.provenance.bundles import Proved, envelope_of, prove, read_bundle
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError

WHEEL, DIGEST = "demo-1-py3-none-any.whl", sha256(b"wheel").hexdigest()
STATEMENT = publish_statement(WHEEL, DIGEST)
DAY = timedelta(days=1)


def judge(world: World, bundle: dict[str, Any], roots: TrustRoots | None = None) -> Proved:
    read = read_bundle(json.dumps(bundle).encode())
    _, signed = envelope_of(read, IN_TOTO)
    return prove(read.verification_material, signed, roots or world.roots(), NOW + 300 * DAY)


def test_a_sound_bundle_tells_who_signed_and_when() -> None:
    world = World()
    proved = judge(world, world.bundle(STATEMENT))
    claims = proved.claims
    assert (claims.issuer, claims.identity, claims.repository) == (ISSUER, WORKFLOW, REPOSITORY)
    assert (claims.workflow, proved.keyid, proved.moment) == (WORKFLOW, "", NOW)


def test_time_may_come_from_a_stamp_where_the_log_promises_none() -> None:
    world = World()
    stamped = world.bundle(STATEMENT, stamp=NOW, promise=False)
    assert judge(world, stamped).moment == NOW
    del stamped["verificationMaterial"]["timestampVerificationData"]
    with pytest.raises(InvalidProvenanceError, match="Nothing proves when"):
        judge(world, stamped)


def test_a_newer_log_with_another_kind_of_key_and_record() -> None:
    world = World(rekor=ed25519.Ed25519PrivateKey.generate())
    by, payload = world.signer(), json.dumps(STATEMENT).encode()
    signature = sign(by.key, pae(payload))
    verifier = {"keyDetails": "PKIX_ECDSA_P256_SHA_256", "x509Certificate": {"rawBytes": b64(by.der)}}
    digest = {"algorithm": "SHA2_256", "digest": b64(sha256(payload).digest())}
    signatures = [{"content": b64(signature), "verifier": verifier}]
    spec = {"dsseV002": {"payloadHash": digest, "signatures": signatures}}
    entry = world.entry({"apiVersion": "0.0.2", "kind": "dsse", "spec": spec}, NOW, promise=False)
    bundle = world.bundle(STATEMENT, by=by, log=False, stamp=NOW)
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(signature)}]
    bundle["verificationMaterial"]["tlogEntries"] = [entry]
    stamps = [{"signedTimestamp": b64(world.stamp(signature, NOW))}]
    bundle["verificationMaterial"]["timestampVerificationData"]["rfc3161Timestamps"] = stamps
    assert judge(world, bundle).moment == NOW
    ended = world.roots(logs=(log("log.example", world.rekor, end=NOW - DAY),))
    with pytest.raises(ExpiredProvenanceError, match="The log was not trusted"):
        judge(world, bundle, ended)


def material(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = bundle["verificationMaterial"]
    return found


def entry_of(bundle: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = material(bundle)["tlogEntries"][0]
    return found


def _payload(bundle: dict[str, Any]) -> None:
    changed = json.dumps(publish_statement(WHEEL, "0" * 64)).encode()
    bundle["dsseEnvelope"]["payload"] = b64(changed)


def _signature(bundle: dict[str, Any]) -> None:
    raw = bytearray(b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"]))
    raw[-1] ^= 1
    bundle["dsseEnvelope"]["signatures"][0]["sig"] = b64(bytes(raw))


def _no_entry(bundle: dict[str, Any]) -> None:
    del material(bundle)["tlogEntries"]


def _no_proof(bundle: dict[str, Any]) -> None:
    del entry_of(bundle)["inclusionProof"]


def _no_checkpoint(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["checkpoint"]["envelope"] = ""


def _hash(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["hashes"][0] = b64(bytes(32))


def _index(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["logIndex"] = "0"


def _short(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["hashes"].pop()


def _long(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["hashes"].append(b64(bytes(32)))


def _beyond(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionProof"]["logIndex"] = "99"


def _time(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["integratedTime"] = str(int(NOW.timestamp()) + 1)


def _promise(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["inclusionPromise"]["signedEntryTimestamp"] = b64(b"no")


def _kind(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["kindVersion"]["kind"] = "hashedrekord"


def _unknown_log(bundle: dict[str, Any]) -> None:
    entry_of(bundle)["logId"]["keyId"] = b64(bytes(32))


def _version(bundle: dict[str, Any]) -> None:
    bundle["mediaType"] = "application/vnd.dev.sigstore.bundle.v9+json"


def _kind_of_payload(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["payloadType"] = "text/plain"


def _no_certificate(bundle: dict[str, Any]) -> None:
    del material(bundle)["certificate"]


def _downgraded(bundle: dict[str, Any]) -> None:
    """Leave the certificate out and claim that a known key signed."""
    del material(bundle)["certificate"]
    del material(bundle)["tlogEntries"]
    material(bundle)["publicKey"] = {"hint": "release-key"}


def _two(bundle: dict[str, Any]) -> None:
    bundle["dsseEnvelope"]["signatures"] *= 2


@pytest.mark.parametrize(
    "change",
    [
        _payload, _signature, _no_entry, _no_proof, _no_checkpoint, _hash, _index, _short, _long, _beyond,
        _time, _promise, _kind, _unknown_log, _version, _kind_of_payload, _no_certificate, _downgraded, _two,
    ],
)  # fmt: skip
def test_whatever_is_changed_in_a_bundle_makes_it_invalid(change: Callable[[dict[str, Any]], None]) -> None:
    world = World()
    bundle = world.bundle(STATEMENT)
    assert judge(world, bundle).moment == NOW
    changed = copy.deepcopy(bundle)
    change(changed)
    with pytest.raises(InvalidProvenanceError):
        judge(world, changed)


def test_an_entry_of_another_signature_proves_nothing() -> None:
    """CVE-2022-36056: a log entry that is sound, and about something else."""
    world = World()
    mine, other = world.bundle(STATEMENT), world.bundle(publish_statement("x-1.tar.gz", "1" * 64))
    material(mine)["tlogEntries"] = material(other)["tlogEntries"]
    with pytest.raises(InvalidProvenanceError, match="about another signature"):
        judge(world, mine)
    payload = b64decode(mine["dsseEnvelope"]["payload"])
    signature = b64decode(mine["dsseEnvelope"]["signatures"][0]["sig"])
    foreign = world.entry(dsse_record(payload, signature, pem(world.signer())), NOW)
    material(mine)["tlogEntries"] = [foreign]
    with pytest.raises(InvalidProvenanceError, match="about another signature"):
        judge(world, mine)


def test_a_proof_into_a_tree_that_the_log_did_not_sign_proves_nothing() -> None:
    """Anybody can make a tree that holds an entry; the log's checkpoint has to be of that very tree."""
    world = World()
    mine, later = world.bundle(STATEMENT), world.bundle(STATEMENT)
    proof, other = (entry_of(each)["inclusionProof"] for each in (mine, later))
    proof["checkpoint"] = other["checkpoint"]
    with pytest.raises(InvalidProvenanceError, match="of another tree"):
        judge(world, mine)
    alone = sha256(b"\x00" + b64decode(entry_of(mine)["canonicalizedBody"])).digest()
    proof |= {"logIndex": "0", "treeSize": "1", "hashes": [], "rootHash": b64(alone)}
    with pytest.raises(InvalidProvenanceError, match="of another tree"):
        judge(world, mine)


def test_a_certificate_that_was_over_when_it_signed_is_expired_and_nothing_else() -> None:
    world = World()
    for at in (NOW - timedelta(minutes=30), NOW + timedelta(minutes=30)):
        bundle = world.bundle(STATEMENT, NOW, by=world.signer(at))
        with pytest.raises(ExpiredProvenanceError, match="was valid from"):
            judge(world, bundle)
    late = world.bundle(STATEMENT, stamp=NOW + timedelta(hours=1))
    with pytest.raises(ExpiredProvenanceError):  # the log saw it in time, a stamp did not: both count
        judge(world, late)
    broken = world.bundle(STATEMENT, NOW, by=world.signer(NOW - DAY))
    _signature(broken)
    with pytest.raises(InvalidProvenanceError):  # what is both is invalid
        judge(world, broken)


def test_what_authorities_and_logs_were_trusted_for_is_judged_at_that_time() -> None:
    world = World()
    bundle = world.bundle(STATEMENT)
    chain = (world.fulcio.der, world.root.der)
    over = Authority(name="short", certificates=chain, end=NOW - DAY)
    with pytest.raises(ExpiredProvenanceError, match="The authority was not trusted"):
        judge(world, bundle, world.roots(authorities=(over,)))
    again = Authority(name="short", certificates=chain, start=NOW - DAY)
    assert judge(world, bundle, world.roots(authorities=(over, again))).moment == NOW
    with pytest.raises(ExpiredProvenanceError, match="The log was not trusted"):
        judge(world, bundle, world.roots(logs=(log("log.example", world.rekor, start=NOW + DAY),)))


@pytest.mark.parametrize("part", ["root", "rekor", "ct_log", "fulcio"])
def test_somebody_else_who_calls_himself_the_same_is_not_believed(part: str) -> None:
    world, other = World(), World()
    bundle = other.bundle(STATEMENT)
    roots = {
        "root": {"authorities": (Authority(name="a", certificates=(other.fulcio.der, world.root.der)),)},
        "rekor": {"logs": (log("log.example", world.rekor),)},
        "ct_log": {"certificate_logs": (log("c", world.ct_log),)},
        "fulcio": {"authorities": world.roots().authorities},
    }
    assert judge(other, bundle, other.roots()).moment == NOW
    with pytest.raises(InvalidProvenanceError):
        judge(other, bundle, other.roots(**roots[part]))


def test_certificates_that_must_not_sign_do_not() -> None:
    world = World()
    unlogged = world.bundle(STATEMENT, by=signer(world.fulcio, NOW))
    with pytest.raises(InvalidProvenanceError, match="No log of certificates"):
        judge(world, unlogged)
    assert judge(world, unlogged, world.roots(certificate_logs=())).moment == NOW
    usage = world.bundle(STATEMENT, by=world.signer(usage=ExtendedKeyUsageOID.SERVER_AUTH))
    with pytest.raises(InvalidProvenanceError, match="another purpose"):
        judge(world, usage)
    strange = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    critical = world.bundle(STATEMENT, by=world.signer(more=[(strange, True)]))
    with pytest.raises(InvalidProvenanceError, match="critical extension"):
        judge(world, critical)
    issuing = x509.BasicConstraints(ca=True, path_length=None)
    with pytest.raises(InvalidProvenanceError, match="not one of a signer"):
        judge(world, world.bundle(STATEMENT, by=world.signer(more=[(issuing, True)])))


def test_a_signer_cannot_issue_certificates_for_others() -> None:
    world = World()
    mine = world.signer()
    forged = signer(mine, NOW)
    bundle = world.bundle(STATEMENT, by=forged)
    chain = {"certificates": [{"rawBytes": b64(forged.der)}, {"rawBytes": b64(mine.der)}]}
    del material(bundle)["certificate"]
    material(bundle)["x509CertificateChain"] = chain
    with pytest.raises(InvalidProvenanceError, match="must not issue others"):
        judge(world, bundle, world.roots(certificate_logs=()))


def test_an_authority_below_one_that_allows_none_does_not_count() -> None:
    world = World()
    below = authority("below", world.fulcio)
    forged = signer(below, NOW)
    bundle = world.bundle(STATEMENT, by=forged)
    del material(bundle)["certificate"]
    chain = {"certificates": [{"rawBytes": b64(forged.der)}, {"rawBytes": b64(below.der)}]}
    material(bundle)["x509CertificateChain"] = chain
    with pytest.raises(InvalidProvenanceError, match="must not issue others"):
        judge(world, bundle, world.roots(certificate_logs=()))


def test_stamps_are_judged_as_strictly_as_signatures() -> None:
    world, other = World(), World()
    bundle = world.bundle(STATEMENT, stamp=NOW, promise=False)
    theirs = world.roots(timestamp_authorities=other.roots().timestamp_authorities)
    with pytest.raises(InvalidProvenanceError):
        judge(world, bundle, theirs)
    signature = b64decode(bundle["dsseEnvelope"]["signatures"][0]["sig"])
    stamps = material(bundle)["timestampVerificationData"]["rfc3161Timestamps"]
    stamps[0]["signedTimestamp"] = b64(world.stamp(signature + b"x", NOW))
    with pytest.raises(InvalidProvenanceError, match="over something else"):
        judge(world, bundle)
    raw = bytearray(world.stamp(signature, NOW))
    believed = 0
    for at in range(0, len(raw), 5):  # not every byte is signed; none brings another moment
        flipped = bytearray(raw)
        flipped[at] ^= 0xFF
        stamps[0]["signedTimestamp"] = b64(bytes(flipped))
        with suppress(InvalidProvenanceError, ExpiredProvenanceError):
            assert judge(world, bundle).moment == NOW
            believed += 1
    assert believed < len(raw) / 5 / 2  # the rest, which is not signed, is the certificate that came along


def test_a_stamp_by_a_stamper_that_was_over_is_expired() -> None:
    world = World()
    world.tsa = world.stamper(NOW - 900 * DAY, 100)
    with pytest.raises(ExpiredProvenanceError):
        judge(world, world.bundle(STATEMENT, stamp=NOW, promise=False))
    world.tsa = world.stamper(NOW - 900 * DAY, 2000, ExtendedKeyUsageOID.CODE_SIGNING)
    with pytest.raises(InvalidProvenanceError, match="another purpose"):
        judge(world, world.bundle(STATEMENT, stamp=NOW, promise=False))


def by_site(world: World, days: int, **options: Any) -> dict[str, Any]:
    """Return a bundle by a certificate of the site's own authority, without any log."""
    by = signer(world.site, NOW - DAY, minutes=days * 24 * 60)
    return world.bundle(STATEMENT, by=by, log=False, **options)


def test_a_site_certificate_without_evidence_of_time_is_judged_now() -> None:
    """The reference implementation judges such certificates at their own start: expiry is never seen."""
    world = World()
    assert judge(world, by_site(world, 400)).moment is None
    with pytest.raises(ExpiredProvenanceError):
        judge(world, by_site(world, 100))
    assert judge(world, by_site(world, 100, stamp=NOW)).moment == NOW


def test_known_keys_and_their_expiry() -> None:
    world = World()
    payload = json.dumps(STATEMENT).encode()
    bundle = world.bundle(STATEMENT, log=False)
    material(bundle).clear()
    material(bundle)["publicKey"] = {"hint": "whatever"}
    bundle["dsseEnvelope"]["signatures"] = [{"sig": b64(sign(world.known, pae(payload)))}]
    proved = judge(world, bundle)
    assert (proved.keyid, proved.moment) == ("release-key", None)
    over = PublicKey(name="release-key", key=spki(world.known), expires=NOW)
    with pytest.raises(ExpiredProvenanceError, match="release-key expired"):
        judge(world, bundle, world.roots(keys=(over,)))
    stranger = PublicKey(name="release-key", key=spki(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(InvalidProvenanceError, match="No key of the trust roots"):
        judge(world, bundle, world.roots(keys=(stranger,)))


def test_pep740_is_about_one_file_and_its_publisher() -> None:
    world = World()
    data = provenance(world.bundle(STATEMENT))

    def states(data: bytes, name: str = WHEEL, digest: str = DIGEST) -> list[tuple[State, str]]:
        found = pep740.judge(data, name, digest, world.roots(), NOW)
        assert {fact.scheme for fact in found} == {Scheme.PEP740}
        assert {fact.roots for fact in found} == {1}
        return [(fact.state, fact.why) for fact in found]

    assert states(data) == [(State.VERIFIED, "")]
    assert states(data, digest="0" * 64) == [(State.INVALID, "An attestation is about another file.")]
    assert states(data, name="other-1.tar.gz") == [(State.INVALID, "An attestation is about another file.")]
    other = provenance(world.bundle(STATEMENT), repository="acme/other")
    assert states(other)[0][1] == "The index names another publisher than the certificate does."
    late = world.bundle(STATEMENT, NOW, by=world.signer(NOW - DAY))
    assert [state for state, _ in states(provenance(world.bundle(STATEMENT), late))] == [
        State.VERIFIED,
        State.EXPIRED,
    ]
    strange = world.bundle({**STATEMENT, "predicateType": "https://example/other"})
    assert states(provenance(strange))[0][0] is State.INVALID


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"version":2}', b"\xff", b"[" * 100_000])
def test_pep740_that_is_none(data: bytes) -> None:
    with pytest.raises(InvalidProvenanceError):
        pep740.judge(data, WHEEL, DIGEST, World().roots(), NOW)


def test_a_payload_that_two_readers_read_differently_is_refused() -> None:
    world = World()
    bundle = world.bundle(STATEMENT)
    payload = json.dumps(STATEMENT)[:-1].encode() + b', "subject": []}'
    by = world.signer()
    signature = sign(by.key, pae(payload))
    material(bundle)["certificate"]["rawBytes"] = b64(by.der)
    material(bundle)["tlogEntries"] = [world.entry(dsse_record(payload, signature, pem(by)), NOW)]
    bundle["dsseEnvelope"] |= {"payload": b64(payload), "signatures": [{"sig": b64(signature)}]}
    (fact,) = pep740.judge(provenance(bundle), WHEEL, DIGEST, world.roots(), NOW)
    assert (fact.state, fact.why) == (State.INVALID, "What was signed is no statement.")
