"""Signatures of container images: Sigstore bundles among the referrers, and cosign's older tags.

Sources: cosign, "SIGNATURE_SPEC" (simple signing payload, annotations of the layer) and "BUNDLE_SPEC"
(OCI 1.1 referrers); Sigstore bundle v0.3. A signature counts for the manifest that it names by digest.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from lockgate.core.errors import LockgateError
from lockgate.core.oci import Descriptor, OciManifest, parse_manifest
from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.strict_json import loads
from lockgate.inspect.provenance.bundles import (
    Material,
    Proved,
    Signed,
    envelope_of,
    message_of,
    prove,
    read_bundle,
)
from lockgate.inspect.provenance.errors import ExpiredProvenanceError, InvalidProvenanceError
from lockgate.inspect.provenance.pep740 import IN_TOTO, proved, statement_of

SIMPLE = "application/vnd.dev.cosign.simplesigning.v1+json"
_BUNDLES = ("application/vnd.dev.sigstore.bundle.", "application/vnd.dev.sigstore.bundle+json")
_NOTE = "dev.cosignproject.cosign/signature"
_SIGSTORE = "dev.sigstore.cosign/"
MOST_SIGNATURES = 64
"""Most signatures of one image that are judged."""


@dataclass(frozen=True, slots=True)
class Judged:
    """A fact about the manifest with a digest (SHA-256 in hex)."""

    digest: str
    fact: Fact


def judge(
    manifests: Mapping[str, bytes], blobs: Mapping[str, bytes], roots: TrustRoots, now: datetime
) -> tuple[Judged, ...]:
    """Return one fact for each signature among what came with an image.

    Args:
        manifests: Every manifest of the artifact, by SHA-256.
        blobs: The short blobs, by SHA-256: signatures are short.
        roots: What counts.
        now: The present moment.

    Raises:
        InvalidProvenanceError: There are more signatures than are judged.

    """
    found: list[Judged] = []
    for manifest in filter(None, map(_read, manifests.values())):
        for layer in manifest.layers:
            if layer.media_type == SIMPLE or layer.media_type.startswith(_BUNDLES):
                found += _judged(manifest, layer, (manifests, blobs), roots, now)
        if len(found) > MOST_SIGNATURES:
            what = f"There are more than {MOST_SIGNATURES} signatures."
            raise InvalidProvenanceError(what)
    return tuple(found)


def _read(data: bytes) -> OciManifest | None:
    try:
        return parse_manifest(data)
    except LockgateError:
        return None


def _judged(
    manifest: OciManifest,
    layer: Descriptor,
    held: tuple[Mapping[str, bytes], Mapping[str, bytes]],
    roots: TrustRoots,
    now: datetime,
) -> Iterator[Judged]:
    """Yield what a layer that is a signature proves, for the one manifest that it speaks of."""
    manifests, blobs = held
    subject = manifest.subject.sha256 if manifest.subject else ""
    try:
        named, found = _proved(layer, _body(layer, blobs), roots, now)
        _demand_about(named, subject, manifests)
        yield Judged(named, proved(Scheme.COSIGN, found, roots))
    except (InvalidProvenanceError, ExpiredProvenanceError) as error:
        late = isinstance(error, ExpiredProvenanceError)
        state = State.EXPIRED if late else State.INVALID
        fact = Fact(scheme=Scheme.COSIGN, state=state, why=error.what, roots=roots.version)
        yield Judged(subject, fact)


def _body(layer: Descriptor, blobs: Mapping[str, bytes]) -> bytes:
    body = blobs.get(layer.sha256)
    if body is None or sha256(body).hexdigest() != layer.sha256:
        raise InvalidProvenanceError("A signature is named and not there, or too long to be one.")
    return body


def _demand_about(named: str, subject: str, manifests: Mapping[str, bytes]) -> None:
    if named not in manifests or subject not in {"", named}:
        raise InvalidProvenanceError("A signature is about another image.")


def _proved(layer: Descriptor, body: bytes, roots: TrustRoots, now: datetime) -> tuple[str, Proved]:
    """Return the digest that a signature names, and who made it."""
    if layer.media_type == SIMPLE:
        return _simple(body), prove(*_noted(layer.annotations or {}, body), roots, now)
    bundle = read_bundle(body)
    if bundle.dsse_envelope is None:  # a signature over the manifest's own bytes
        digest = bundle.message_signature.message_digest if bundle.message_signature else None
        over = digest.digest if digest else b""
        return over.hex(), prove(bundle.verification_material, message_of(bundle, over), roots, now)
    payload, signed = envelope_of(bundle, IN_TOTO)
    match statement_of(payload):
        case {"subject": [{"digest": {"sha256": str(named)}}]}:
            return named, prove(bundle.verification_material, signed, roots, now)
        case _:
            raise InvalidProvenanceError("A statement about an image names no image.")


def _simple(body: bytes) -> str:
    """Return the digest in a simple signing payload."""
    try:
        match loads(body.decode()):
            case {"critical": {"image": {"docker-manifest-digest": str(named)}, "type": str(kind)}}:
                if "cosign" in kind and named.startswith("sha256:"):
                    return named.removeprefix("sha256:")
    except (BrokenContentError, UnicodeDecodeError):
        pass
    raise InvalidProvenanceError("What was signed names no image.")


def _noted(notes: Mapping[str, str], body: bytes) -> tuple[Material, Signed]:
    """Return what the annotations of a signature's layer say."""
    try:
        signature = msgspec.convert(notes.get(_NOTE, ""), bytes)
        pem = notes.get(f"{_SIGSTORE}certificate", "") + "\n" + notes.get(f"{_SIGSTORE}chain", "")
        found = x509.load_pem_x509_certificates(pem.encode()) if pem.strip() else []
        plain: dict[str, Any] = {"tlogEntries": _entries(notes.get(f"{_SIGSTORE}bundle", ""))}
        if found:
            plain["x509CertificateChain"] = {
                "certificates": [{"rawBytes": each.public_bytes(Encoding.DER)} for each in found[:8]]
            }
        else:
            plain["publicKey"] = {}
        if stamp := notes.get(f"{_SIGSTORE}rfc3161timestamp", ""):
            stamps = [{"signedTimestamp": json.loads(stamp)["SignedRFC3161Timestamp"]}]
            plain["timestampVerificationData"] = {"rfc3161Timestamps": stamps}
        material = msgspec.convert(plain, Material, strict=False)
    except (ValueError, KeyError, TypeError, RecursionError, x509.InvalidVersion) as error:
        raise InvalidProvenanceError("The annotations of a signature cannot be read.") from error
    # This old form carries the log's promise and no proof of inclusion.
    return material, Signed(signature, sha256(body).digest(), "hashedrekord", body, proof=False)


def _entries(text: str) -> list[dict[str, Any]]:
    if not text:
        return []
    said = json.loads(text)
    payload = said["Payload"]
    body = msgspec.convert(payload["body"], bytes)
    inner = json.loads(body)
    return [
        {
            "logId": {"keyId": bytes.fromhex(payload["logID"])},
            "kindVersion": {"kind": inner["kind"], "version": inner["apiVersion"]},
            "canonicalizedBody": body,
            "logIndex": payload["logIndex"],
            "integratedTime": payload["integratedTime"],
            "inclusionPromise": {"signedEntryTimestamp": said["SignedEntryTimestamp"]},
        }
    ]
