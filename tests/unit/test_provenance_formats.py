"""npm's registry signatures, cosign's two forms and whole models: each about exactly what it signs."""

import hashlib
import json
from base64 import b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from corpora import images
from corpora.signing import (
    BUNDLE,
    NOW,
    World,
    b64,
    hashed_record,
    model_statement,
    pem,
    sign,
    signer,
    spki,
)
from lockgate.core.npm import NPM_FORMAT, NpmSignature, NpmVersion
from lockgate.core.provenance import Demand, Fact, PublicKey, Scheme, State, TrustRoots, meets
from lockgate.core.wire import encode
from lockgate.inspect.provenance import cosign, models, npm
from lockgate.inspect.provenance.errors import InvalidProvenanceError

DAY = timedelta(days=1)
INTEGRITY = f"sha512-{b64encode(hashlib.sha512(b'tarball').digest()).decode()}"
OTHER = f"sha512-{b64encode(hashlib.sha512(b'other').digest()).decode()}"


def version(*signatures: tuple[str, str], published: Any = NOW, integrity: str = INTEGRITY) -> bytes:
    return encode(
        NpmVersion(
            format=NPM_FORMAT,
            name="@acme/demo",
            version="1.0.0",
            integrity=integrity,
            shasum="0" * 40,
            signatures=tuple(NpmSignature(keyid=k, sig=s) for k, s in signatures),
            published=published,
        )
    )


def test_a_registry_signs_name_version_and_archive() -> None:
    world = World()
    good = world.registry_signature("@acme/demo", "1.0.0", INTEGRITY)

    def states(data: bytes, integrity: str = INTEGRITY, **roots: Any) -> list[State]:
        return [fact.state for fact in npm.judge(data, integrity, world.roots(**roots))]

    assert states(version(("SHA256:npm", good))) == [State.VERIFIED]
    assert states(version()) == []
    for name, number, archive in (
        ("@acme/other", "1.0.0", INTEGRITY),
        ("@acme/demo", "1.0.1", INTEGRITY),
        ("@acme/demo", "1.0.0", OTHER),
    ):
        other = world.registry_signature(name, number, archive)
        assert states(version(("SHA256:npm", other))) == [State.INVALID]
    assert states(version(("SHA256:else", good), ("SHA256:npm", good))) == [State.INVALID, State.VERIFIED]
    assert states(version(("SHA256:npm", "no base64!"))) == [State.INVALID]
    with pytest.raises(InvalidProvenanceError, match="not the one that its registry signed"):
        states(version(("SHA256:npm", good)), OTHER)


def test_a_registry_key_is_judged_when_the_version_was_published() -> None:
    world = World()
    good = world.registry_signature("@acme/demo", "1.0.0", INTEGRITY)
    key = PublicKey(name="SHA256:npm", key=spki(world.npm), expires=NOW)
    for published, state in ((NOW - DAY, State.VERIFIED), (NOW, State.EXPIRED), (None, State.EXPIRED)):
        data = version(("SHA256:npm", good), published=published)
        (fact,) = npm.judge(data, INTEGRITY, world.roots(npm_keys=(key,)))
        assert fact.state is state


def raw(digest: str) -> str:
    return digest.removeprefix("sha256:")


def held(*made: images.Image) -> tuple[dict[str, bytes], dict[str, bytes]]:
    manifests = {raw(d): body for each in made for d, body in each.manifests.items()}
    blobs = {raw(d): body for each in made for d, body in each.blobs.items()}
    return manifests, blobs


def referring(subject: images.Image, bundle: dict[str, Any]) -> images.Image:
    """Return a bundle as cosign attaches it to an image."""
    payload = json.dumps(bundle).encode()
    made = images.refers(subject, BUNDLE, payload)
    body = json.loads(made.manifests[made.root])
    body["layers"][0]["mediaType"] = BUNDLE
    manifest = images.to_json(body)
    return images.Image(images.digest(manifest), {images.digest(manifest): manifest}, made.blobs)


def about(image: images.Image) -> dict[str, Any]:
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "", "digest": {"sha256": raw(image.root)}}],
        "predicateType": "https://signing.example/cosign/sign/v1",
        "predicate": {},
    }


def judged(world: World, *made: images.Image, roots: TrustRoots | None = None) -> list[tuple[str, State]]:
    found = cosign.judge(*held(*made), roots or world.roots(), NOW + 300 * DAY)
    assert {each.fact.scheme for each in found} <= {Scheme.COSIGN}
    return [(each.digest, each.fact.state) for each in found]


def test_a_bundle_among_the_referrers_is_about_its_image() -> None:
    world, image, other = World(), images.image(), images.image({"b": b"b"})
    good = referring(image, world.bundle(about(image)))
    assert judged(world, image, good) == [(raw(image.root), State.VERIFIED)]
    swapped = referring(image, world.bundle(about(other)))
    assert judged(world, image, other, swapped) == [(raw(image.root), State.INVALID)]
    late = referring(image, world.bundle(about(image), by=world.signer(NOW - DAY)))
    assert judged(world, image, late) == [(raw(image.root), State.EXPIRED)]
    lost = images.Image(good.root, good.manifests, {})
    assert judged(world, image, lost) == [(raw(image.root), State.INVALID)]
    assert judged(world, image) == []


def test_a_signature_over_the_manifests_own_bytes() -> None:
    world, image = World(), images.image()
    by, digest = world.signer(), bytes.fromhex(raw(image.root))
    signature = sign(by.key, image.manifests[image.root])
    entry = world.entry(hashed_record(digest, signature, pem(by)), NOW)
    bundle = {
        "mediaType": BUNDLE,
        "verificationMaterial": {"certificate": {"rawBytes": b64(by.der)}, "tlogEntries": [entry]},
        "messageSignature": {
            "messageDigest": {"algorithm": "SHA2_256", "digest": b64(digest)},
            "signature": b64(signature),
        },
    }
    assert judged(world, image, referring(image, bundle)) == [(raw(image.root), State.VERIFIED)]
    bundle["messageSignature"]["messageDigest"]["digest"] = b64(bytes(32))
    assert judged(world, image, referring(image, bundle)) == [(raw(image.root), State.INVALID)]


def tagged(
    world: World, image: images.Image, *, by: Any = None, key: Any = None, digest: str = "", log: bool = True
) -> images.Image:
    """Return a signature as cosign's older tag holds it: a payload, and everything else in annotations."""
    by = by or world.signer()
    payload = json.dumps(
        {
            "critical": {
                "identity": {"docker-reference": "registry.example/demo"},
                "image": {"docker-manifest-digest": digest or image.root},
                "type": "cosign container image signature",
            },
            "optional": None,
        }
    ).encode()
    signature = sign(key or by.key, payload)
    notes = {"dev.cosignproject.cosign/signature": b64(signature)}
    if key is None:
        notes["dev.sigstore.cosign/certificate"] = pem(by).decode()
    if log:
        entry = world.entry(hashed_record(sha256(payload).digest(), signature, pem(by)), NOW)
        notes["dev.sigstore.cosign/bundle"] = json.dumps(
            {
                "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
                "Payload": {
                    "body": entry["canonicalizedBody"],
                    "integratedTime": int(entry["integratedTime"]),
                    "logIndex": int(entry["logIndex"]),
                    "logID": sha256(spki(world.rekor)).hexdigest(),
                },
            }
        )
    manifest = images.to_json(
        {
            "schemaVersion": 2,
            "mediaType": images.IMAGE,
            "config": images.descriptor(b"{}", images.CONFIG),
            "layers": [images.descriptor(payload, cosign.SIMPLE, annotations=notes)],
        }
    )
    blobs = {images.digest(b"{}"): b"{}", images.digest(payload): payload}
    return images.Image(images.digest(manifest), {images.digest(manifest): manifest}, blobs)


def test_the_older_form_in_a_tag() -> None:
    world, image, other = World(), images.image(), images.image({"b": b"b"})
    assert judged(world, image, tagged(world, image)) == [(raw(image.root), State.VERIFIED)]
    late = tagged(world, image, by=world.signer(NOW - DAY))
    assert judged(world, image, late)[0][1] is State.EXPIRED
    assert judged(world, image, tagged(world, image, log=False))[0][1] is State.INVALID
    assert judged(world, image, tagged(world, image, digest=other.root))[0][1] is State.INVALID
    keyed = tagged(world, image, key=world.known, log=False)
    assert judged(world, image, keyed) == [(raw(image.root), State.VERIFIED)]
    stranger = tagged(world, image, key=ec.generate_private_key(ec.SECP256R1()), log=False)
    assert judged(world, image, stranger)[0][1] is State.INVALID


FILES = {"config.json": "1" * 64, "model.safetensors": "2" * 64, "sub/tokenizer.json": "3" * 64}


def of_model(world: World, statement: dict[str, Any], files: dict[str, str]) -> tuple[Fact, frozenset[str]]:
    by = signer(world.site, NOW - DAY, minutes=400 * 24 * 60)
    data = json.dumps(world.bundle(statement, by=by, log=False)).encode()
    return models.judge(data, files, world.roots(), NOW)


def test_a_models_signature_is_about_the_files_that_it_names() -> None:
    world = World()
    fact, covered = of_model(world, model_statement(FILES), FILES)
    assert (fact.state, covered) == (State.VERIFIED, frozenset(FILES))
    more = {**FILES, "extra.py": "4" * 64}
    fact, covered = of_model(world, model_statement(FILES), more)
    assert (fact.state, covered) == (State.VERIFIED, frozenset(FILES))
    fact, covered = of_model(world, model_statement(FILES), {**FILES, "config.json": "9" * 64})
    assert (fact.state, covered) == (State.INVALID, frozenset())
    assert fact.why == "config.json is not the file that was signed."


def test_a_models_signature_that_contradicts_itself_or_is_another() -> None:
    world = World()
    wrong = model_statement(FILES)
    wrong["subject"][0]["digest"]["sha256"] = "0" * 64
    twice = model_statement(FILES)
    twice["predicate"]["resources"] *= 2
    whole = sha256(b"".join(bytes.fromhex(r["digest"]) for r in twice["predicate"]["resources"])).hexdigest()
    twice["subject"][0]["digest"]["sha256"] = whole
    shards = model_statement(FILES)
    shards["predicate"]["serialization"]["method"] = "shards"
    for bad in (wrong, twice, shards, {**model_statement(FILES), "predicateType": "x"}):
        assert of_model(world, bad, FILES)[0].state is State.INVALID
    assert models.judge(b"{}", FILES, world.roots(), NOW)[0].state is State.INVALID


def fact(state: State, **more: Any) -> Fact:
    return Fact(scheme=Scheme.PEP740, state=state, **more)


def test_what_meets_a_demand() -> None:
    good = fact(State.VERIFIED, identity="https://forge/acme/demo/x@v1", repository="https://forge/acme/demo")
    for bad in (State.INVALID, State.EXPIRED):
        for demand in Demand:
            assert f"is {bad}" in meets(demand, [good, fact(bad, why="because")], (), ())
    for missing in (State.ABSENT, State.UNCHECKED):
        assert meets(Demand.INTACT, [fact(missing)], (), ()) == ""
        assert f"is {missing}" in meets(Demand.VERIFIED, [fact(missing)], (), ())
    assert "is absent" in meets(Demand.VERIFIED, [], (), ())
    for signer_, counts in (
        ("https://forge/acme/*", True),
        ("https://forge/acme/demo", True),
        ("https://forge/acme", False),
        ("https://forge/ac*", False),
        ("https://forge/acme/demo/x@v1", True),
        ("https://forge/acme-evil/*", False),
    ):
        assert (meets(Demand.VERIFIED, [good], [signer_], ()) == "") is counts, signer_
    assert meets(Demand.VERIFIED, [good], (), ["https://issuer"])
    sly = fact(State.VERIFIED, identity="https://forge/acme/../evil/x")
    assert meets(Demand.VERIFIED, [sly], ["https://forge/acme/*"], ())
