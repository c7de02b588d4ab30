"""What builders and registries attest of npm versions: bundles over package URL and SHA-512 of the file."""

import hashlib
import json
from base64 import b64decode
from datetime import timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from corpora import npmregistry
from corpora.signing import (
    BUNDLE,
    IN_TOTO,
    NOW,
    REPOSITORY,
    World,
    b64,
    dsse_record,
    pae,
    sign,
    spki,
)
from lockgate.core.provenance import Fact, PublicKey, State
from lockgate.inspect.provenance import npm_attestations
from lockgate.inspect.provenance.errors import InvalidProvenanceError

DAY = timedelta(days=1)
OLDEST = "application/vnd.dev.sigstore.bundle+json;version=0.1"
PURL, SHA512 = "pkg:npm/%40acme/demo@1.0.0", hashlib.sha512(b"tarball").hexdigest()


def attested(world: World, *made: tuple[str, dict[str, Any]], **roots: Any) -> list[Fact]:
    """Judge a registry's answer with these bundles, each under its predicate type."""
    return list(npm_attestations.judge(npmregistry.answer(*made), PURL, SHA512, world.roots(**roots), NOW))


def by_registry(
    world: World, made: dict[str, Any], *, hint: str = "SHA256:npm", log: bool = True
) -> dict[str, Any]:
    """Return a bundle as a registry signs it: by its key, with an entry in the log."""
    payload = json.dumps(made).encode()
    signature = sign(world.npm, pae(payload))
    key = world.npm.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    material: dict[str, Any] = {"publicKey": {"hint": hint}}
    if log:
        material["tlogEntries"] = [world.entry(dsse_record(payload, signature, key), NOW)]
    envelope = {
        "payload": b64(payload),
        "payloadType": IN_TOTO,
        "signatures": [{"sig": b64(signature), "keyid": hint}],
    }
    return {"mediaType": BUNDLE, "verificationMaterial": material, "dsseEnvelope": envelope}


def test_a_builder_and_a_registry_attest_one_version_of_npm() -> None:
    world = World()
    built = npmregistry.statement(PURL, SHA512)
    published = npmregistry.statement(PURL, SHA512, npmregistry.PUBLISH)
    facts = attested(
        world,
        (npmregistry.SLSA, world.bundle(built)),
        (npmregistry.PUBLISH, by_registry(world, published)),
    )
    assert [fact.state for fact in facts] == [State.VERIFIED, State.VERIFIED]
    assert (facts[0].repository, facts[0].signed) == (REPOSITORY, NOW)
    assert (facts[1].keyid, facts[1].signed) == ("SHA256:npm", NOW)
    for name, digest in ((PURL, "0" * 128), ("pkg:npm/%40acme/demo@1.0.1", SHA512)):
        other = world.bundle(npmregistry.statement(name, digest))
        (fact,) = attested(world, (npmregistry.SLSA, other))
        assert (fact.state, "another version or archive" in fact.why) == (State.INVALID, True)
    (fact,) = attested(world, (npmregistry.SLSA, World().bundle(built)))
    assert fact.state is State.INVALID
    (fact,) = attested(world, (npmregistry.SLSA, world.bundle(built, by=world.signer(NOW - DAY))))
    assert fact.state is State.EXPIRED


def test_a_registrys_key_attests_that_it_published_and_nothing_more() -> None:
    world = World()
    built = npmregistry.statement(PURL, SHA512)
    published = npmregistry.statement(PURL, SHA512, npmregistry.PUBLISH)
    kind = npmregistry.PUBLISH

    def why(bundle: dict[str, Any], kind: str = kind, **roots: Any) -> tuple[State, str]:
        (fact,) = attested(world, (kind, bundle), **roots)
        return fact.state, fact.why

    assert "only a builder can attest" in why(by_registry(world, built), npmregistry.SLSA)[1]
    assert "not one that npm registries keep" in why(by_registry(world, published), npmregistry.SLSA)[1]
    assert "No registry key" in why(by_registry(world, published, hint="SHA256:else"))[1]
    assert "No registry key" in why(by_registry(world, published), npm_keys=())[1]
    assert "no log entry" in why(by_registry(world, published, log=False))[1]
    for expires, state in ((NOW, State.EXPIRED), (NOW + DAY, State.VERIFIED)):
        key = PublicKey(name="SHA256:npm", key=spki(world.npm), expires=expires)
        assert why(by_registry(world, published), npm_keys=(key,))[0] is state
    site = PublicKey(name="SHA256:npm", key=spki(world.known))
    assert why(by_registry(world, published), npm_keys=(site,))[0] is State.INVALID


def test_older_attestations_of_npm_are_read_too() -> None:
    """Bundle 0.1 with a log's promise alone, over an entry of the kind ``intoto`` 0.0.2."""
    world = World()
    bundle = world.bundle(npmregistry.statement(PURL, SHA512))
    payload, signature = bundle["dsseEnvelope"]["payload"], bundle["dsseEnvelope"]["signatures"][0]["sig"]
    certificate = b64decode(bundle["verificationMaterial"].pop("certificate")["rawBytes"])
    pem = x509.load_der_x509_certificate(certificate).public_bytes(Encoding.PEM)

    def old(payload: str, media: str = OLDEST) -> dict[str, Any]:
        content = {
            "envelope": {
                "payloadType": IN_TOTO,
                "signatures": [{"publicKey": b64(pem), "sig": b64(signature.encode())}],
            },
            "payloadHash": {"algorithm": "sha256", "value": hashlib.sha256(b64decode(payload)).hexdigest()},
        }
        entry = world.entry({"apiVersion": "0.0.2", "kind": "intoto", "spec": {"content": content}}, NOW)
        del entry["inclusionProof"]
        chain = {"certificates": [{"rawBytes": b64(certificate)}]}
        material = {"x509CertificateChain": chain, "tlogEntries": [entry]}
        return {**bundle, "mediaType": media, "verificationMaterial": material}

    (fact,) = attested(world, (npmregistry.SLSA, old(payload)))
    assert (fact.state, fact.why, fact.signed) == (State.VERIFIED, "", NOW)
    (fact,) = attested(world, (npmregistry.SLSA, old(payload, BUNDLE)))
    assert (fact.state, "no inclusion proof" in fact.why) == (State.INVALID, True)
    (fact,) = attested(world, (npmregistry.SLSA, old(b64(b"{}"))))
    assert (fact.state, "about another signature" in fact.why) == (State.INVALID, True)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"attestations": []}', b'{"attestations": [1]}', b"[" * 9000])
def test_what_is_no_answer_about_attestations_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidProvenanceError):
        npm_attestations.judge(data, PURL, SHA512, World().roots(), NOW)
    bundle = {"predicateType": npmregistry.SLSA, "bundle": {}}
    (fact,) = attested(World(), (npmregistry.SLSA, bundle))
    assert fact.state is State.INVALID
