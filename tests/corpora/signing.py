"""A whole world of signers, made here: authorities, logs, time stamps, all of them ours.

Certificates, time stamps and log entries are written by other code than the one that reads them: the
time stamps by asn1crypto, the tree of the log by its definition (RFC 6962, section 2.1), not by paths.
"""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from lockgate.core.provenance import ROOTS_FORMAT, Authority, LogKey, PublicKey, TrustRoots

NOW = datetime(2026, 6, 1, 12, 0, 0, tzinfo=UTC)
ISSUER = "https://issuer.example"
REPOSITORY = "https://forge.example/acme/demo"
WORKFLOW = f"{REPOSITORY}/.github/workflows/release.yml@refs/tags/v1"
BUNDLE = "application/vnd.dev.sigstore.bundle.v0.3+json"
IN_TOTO = "application/vnd.in-toto+json"
_CLAIMS = "1.3.6.1.4.1.57264.1."
_PRIVATE = ec.EllipticCurvePrivateKey
_SCTS = "1.3.6.1.4.1.11129.2.4.2"


def b64(data: bytes) -> str:
    """Return base64 as text."""
    return b64encode(data).decode()


def spki(key: Any) -> bytes:
    """Return a private key's public half as SubjectPublicKeyInfo in DER."""
    found: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return found


def sign(key: Any, data: bytes) -> bytes:
    """Sign as Sigstore's clients do."""
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(data)
    found: bytes = key.sign(data, ec.ECDSA(hashes.SHA256()))
    return found


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


@dataclass
class Issuer:
    """A key with its certificate, which issues others."""

    key: _PRIVATE
    certificate: x509.Certificate

    @property
    def der(self) -> bytes:
        """Return the certificate in DER."""
        return self.certificate.public_bytes(Encoding.DER)


def _usage(*, issues: bool) -> x509.KeyUsage:
    """Return what a key may do: issue certificates, or sign."""
    return x509.KeyUsage(
        digital_signature=not issues,
        key_cert_sign=issues,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _identified(builder: x509.CertificateBuilder, key: Any, above: Any) -> x509.CertificateBuilder:
    """Add the identifiers of a certificate's own key and of its issuer's (RFC 5280, 4.2.1)."""
    own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(above.public_key())
    return builder.add_extension(own, critical=False).add_extension(issuer, critical=False)


def authority(
    name: str,
    above: Issuer | None = None,
    *,
    start: datetime = NOW - timedelta(days=1000),
    days: int = 3000,
    path_length: int | None = None,
) -> Issuer:
    """Make a certificate authority, by itself or below another."""
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(name))
        .issuer_name(above.certificate.subject if above else _name(name))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(_usage(issues=True), critical=True)
    )
    builder = _identified(builder, key, above.key if above else key)
    return Issuer(key, builder.sign(above.key if above else key, hashes.SHA256()))


@dataclass
class World:
    """Everything that signs: change a part, and what it makes is no longer believed."""

    root: Issuer = field(default_factory=lambda: authority("root"))
    fulcio: Issuer = field(init=False)
    tsa_root: Issuer = field(default_factory=lambda: authority("stamps"))
    tsa: Issuer = field(init=False)
    site: Issuer = field(default_factory=lambda: authority("site"))
    rekor: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    ct_log: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    npm: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    known: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    leaves: list[bytes] = field(default_factory=lambda: [b"first", b"second", b"third"])

    def __post_init__(self) -> None:
        """Make what others certify."""
        self.fulcio = authority("between", self.root, path_length=0)
        self.tsa = self.stamper(NOW - timedelta(days=900), 2000)

    def stamper(self, start: datetime, days: int, usage: Any = ExtendedKeyUsageOID.TIME_STAMPING) -> Issuer:
        """Make the signer of time stamps."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name("stamper"))
            .issuer_name(self.tsa_root.certificate.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + timedelta(days=days))
            .add_extension(x509.ExtendedKeyUsage([usage]), critical=True)
            .add_extension(_usage(issues=False), critical=True)
        )
        builder = _identified(builder, key, self.tsa_root.key)
        return Issuer(key, builder.sign(self.tsa_root.key, hashes.SHA256()))

    def roots(self, version: int = 1, **changes: Any) -> TrustRoots:
        """Return the trust roots that believe this world."""
        parts: dict[str, Any] = {
            "format": ROOTS_FORMAT,
            "version": version,
            "made": NOW - timedelta(days=10),
            "expires": NOW + timedelta(days=2000),
            "logs": (log("log.example", self.rekor),),
            "certificate_logs": (log("certificates.example", self.ct_log),),
            "authorities": (Authority(name="short", certificates=(self.fulcio.der, self.root.der)),),
            "timestamp_authorities": (
                Authority(name="stamps", certificates=(self.tsa.der, self.tsa_root.der)),
            ),
            "site_authorities": (Authority(name="site", certificates=(self.site.der,)),),
            "npm_keys": (PublicKey(name="SHA256:npm", key=spki(self.npm)),),
            "keys": (PublicKey(name="release-key", key=spki(self.known)),),
        }
        return TrustRoots(**{**parts, **changes})

    def signer(self, at: datetime = NOW, **options: Any) -> Issuer:
        """Make a signer whose certificate lives for ten minutes from a moment on."""
        return signer(self.fulcio, at, self.ct_log, **options)

    def entry(self, body: Mapping[str, Any], at: datetime, *, promise: bool = True) -> dict[str, Any]:
        """Take a record into the log; return the entry as bundles carry it."""
        raw = json.dumps(body, sort_keys=True, separators=(",", ":")).encode()
        self.leaves.append(raw)
        index, seconds, keyid = len(self.leaves) - 1, int(at.timestamp()), sha256(spki(self.rekor)).digest()
        root, note = tree(self.leaves), "log.example - 1"
        text = f"{note}\n{len(self.leaves)}\n{b64(root)}\n"
        signature = b64(keyid[:4] + sign(self.rekor, text.encode()))
        made: dict[str, Any] = {
            "logIndex": str(index + 1000),
            "logId": {"keyId": b64(keyid)},
            "kindVersion": {"kind": body["kind"], "version": body["apiVersion"]},
            "integratedTime": str(seconds if promise else 0),
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root),
                "treeSize": str(len(self.leaves)),
                "hashes": [b64(h) for h in path(index, self.leaves)],
                "checkpoint": {"envelope": f"{text}\n— log.example {signature}\n"},
            },
            "canonicalizedBody": b64(raw),
        }
        if promise:
            said = {
                "body": b64(raw),
                "integratedTime": seconds,
                "logID": keyid.hex(),
                "logIndex": index + 1000,
            }
            data = json.dumps(said, sort_keys=True, separators=(",", ":")).encode()
            made["inclusionPromise"] = {"signedEntryTimestamp": b64(sign(self.rekor, data))}
        return made

    def bundle(
        self,
        statement: Mapping[str, Any],
        at: datetime = NOW,
        *,
        by: Issuer | None = None,
        stamp: datetime | None = None,
        log: bool = True,
        promise: bool = True,
    ) -> dict[str, Any]:
        """Return a Sigstore bundle over a statement, signed for real."""
        by = by or self.signer(at)
        payload = json.dumps(statement).encode()
        signature = sign(by.key, pae(payload))
        material: dict[str, Any] = {"certificate": {"rawBytes": b64(by.der)}}
        if log:
            material["tlogEntries"] = [
                self.entry(dsse_record(payload, signature, pem(by)), at, promise=promise)
            ]
        if stamp is not None:
            material["timestampVerificationData"] = {
                "rfc3161Timestamps": [{"signedTimestamp": b64(self.stamp(signature, stamp))}]
            }
        return {
            "mediaType": BUNDLE,
            "verificationMaterial": material,
            "dsseEnvelope": {
                "payload": b64(payload),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": b64(signature)}],
            },
        }

    def stamp(self, data: bytes, at: datetime) -> bytes:
        """Return a time-stamp response over data."""
        info = tsp.TSTInfo(
            {
                "version": "v1",
                "policy": "1.2.3.4",
                "message_imprint": {
                    "hash_algorithm": {"algorithm": "sha256"},
                    "hashed_message": sha256(data).digest(),
                },
                "serial_number": 7,
                "gen_time": at,
            }
        )
        mine = asn1_x509.Certificate.load(self.tsa.der)
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [sha256(info.dump()).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [{"certs": [{"cert_hash": sha256(self.tsa.der).digest()}]}],
                },
            ]
        )
        signed = cms.SignedData(
            {
                "version": "v3",
                "digest_algorithms": [{"algorithm": "sha256"}],
                "encap_content_info": {
                    "content_type": "tst_info",
                    "content": core.ParsableOctetString(info.dump()),
                },
                "certificates": [cms.CertificateChoices(name="certificate", value=mine)],
                "signer_infos": [
                    {
                        "version": "v1",
                        "sid": {
                            "issuer_and_serial_number": {
                                "issuer": mine.issuer,
                                "serial_number": mine.serial_number,
                            }
                        },
                        "digest_algorithm": {"algorithm": "sha256"},
                        "signed_attrs": attributes,
                        "signature_algorithm": algos.SignedDigestAlgorithm({"algorithm": "sha256_ecdsa"}),
                        "signature": sign(self.tsa.key, attributes.dump()),
                    }
                ],
            }
        )
        token = cms.ContentInfo({"content_type": "signed_data", "content": signed})
        made: bytes = tsp.TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump()
        return made

    def registry_signature(self, name: str, version: str, integrity: str) -> str:
        """Return an npm registry's signature over a version."""
        return b64(sign(self.npm, f"{name}@{version}:{integrity}".encode()))


def log(name: str, key: Any, **window: Any) -> LogKey:
    """Return a log as trust roots list it."""
    return LogKey(name=name, keyid=sha256(spki(key)).digest(), key=spki(key), **window)


def signer(
    issuer: Issuer,
    at: datetime,
    ct_log: Any = None,
    *,
    minutes: int = 10,
    usage: Any = ExtendedKeyUsageOID.CODE_SIGNING,
    repository: str = REPOSITORY,
    more: Sequence[tuple[x509.ExtensionType, bool]] = (),
) -> Issuer:
    """Make a signer's certificate; with a log, one that the log promised to hold."""
    key = ec.generate_private_key(ec.SECP256R1())
    claims = {"8": ISSUER, "12": repository, "18": WORKFLOW}

    def text(value: str) -> bytes:
        raw: bytes = core.UTF8String(value).dump()
        return raw

    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.certificate.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(at - timedelta(minutes=1))
        .not_valid_after(at + timedelta(minutes=minutes - 1))
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(_usage(issues=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(WORKFLOW)]), critical=True)
    )
    builder = _identified(builder, key, issuer.key)
    for extension, critical in more:
        builder = builder.add_extension(extension, critical=critical)
    for number, value in claims.items():
        oid = x509.ObjectIdentifier(f"{_CLAIMS}{number}")
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, text(value)), critical=False)
    if ct_log is not None:
        before = builder.sign(issuer.key, hashes.SHA256()).tbs_certificate_bytes
        promise = _promise(ct_log, spki(issuer.key), before, at)
        octets: bytes = core.OctetString(len(promise).to_bytes(2, "big") + promise).dump()
        oid = x509.ObjectIdentifier(_SCTS)
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, octets), critical=False)
    return Issuer(key, builder.sign(issuer.key, hashes.SHA256()))


def _promise(ct_log: Any, issuer: bytes, before: bytes, at: datetime) -> bytes:
    """Return a log's promise over a certificate that does not hold it yet (RFC 6962, 3.2 and 3.3)."""
    when = int(at.timestamp() * 1000).to_bytes(8, "big")
    data = b"\x00\x00" + when + b"\x00\x01" + sha256(issuer).digest()
    data += len(before).to_bytes(3, "big") + before + b"\x00\x00"
    signature = sign(ct_log, data)
    made = b"\x00" + sha256(spki(ct_log)).digest() + when + b"\x00\x00"
    made += b"\x04\x03" + len(signature).to_bytes(2, "big") + signature
    return len(made).to_bytes(2, "big") + made


def pem(issuer: Issuer) -> bytes:
    """Return a certificate in PEM."""
    return issuer.certificate.public_bytes(Encoding.PEM)


def pae(payload: bytes, kind: str = IN_TOTO) -> bytes:
    """Return what DSSE signs."""
    return f"DSSEv1 {len(kind)} {kind} {len(payload)} ".encode() + payload


def dsse_record(payload: bytes, signature: bytes, verifier: bytes) -> dict[str, Any]:
    """Return the record of an envelope (Rekor v1)."""
    spec = {
        "envelopeHash": {"algorithm": "sha256", "value": "0" * 64},
        "payloadHash": {"algorithm": "sha256", "value": sha256(payload).hexdigest()},
        "signatures": [{"signature": b64(signature), "verifier": b64(verifier)}],
    }
    return {"apiVersion": "0.0.1", "kind": "dsse", "spec": spec}


def hashed_record(digest: bytes, signature: bytes, verifier: bytes) -> dict[str, Any]:
    """Return the record of a digest (Rekor v1)."""
    spec = {
        "data": {"hash": {"algorithm": "sha256", "value": digest.hex()}},
        "signature": {"content": b64(signature), "publicKey": {"content": b64(verifier)}},
    }
    return {"apiVersion": "0.0.1", "kind": "hashedrekord", "spec": spec}


def tree(leaves: Sequence[bytes]) -> bytes:
    """Return the root hash of leaves by the definition of RFC 6962, section 2.1."""
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + tree(leaves[:half]) + tree(leaves[half:])).digest()


def path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """Return the audit path of a leaf by the definition of RFC 6962, section 2.1.1."""
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if index < half:
        return [*path(index, leaves[:half]), tree(leaves[half:])]
    return [*path(index - half, leaves[half:]), tree(leaves[:half])]


def publish_statement(filename: str, digest: str) -> dict[str, Any]:
    """Return what an index attests of a distribution (PEP 740)."""
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": filename, "digest": {"sha256": digest}}],
        "predicateType": "https://docs.index.example/attestations/publish/v1",
        "predicate": None,
    }


def provenance(*bundles: Mapping[str, Any], repository: str = "acme/demo") -> bytes:
    """Return a provenance object (PEP 740) of bundles."""
    attestations = []
    for bundle in bundles:
        material, envelope = bundle["verificationMaterial"], bundle["dsseEnvelope"]
        attestations.append(
            {
                "version": 1,
                "verification_material": {
                    "certificate": material["certificate"]["rawBytes"],
                    "transparency_entries": material["tlogEntries"],
                },
                "envelope": {"statement": envelope["payload"], "signature": envelope["signatures"][0]["sig"]},
            }
        )
    publisher = {"kind": "GitHub", "repository": repository, "workflow": "release.yml"}
    whole = {
        "version": 1,
        "attestation_bundles": [{"publisher": publisher, "attestations": attestations}],
    }
    return json.dumps(whole).encode()


def model_statement(files: Mapping[str, str]) -> dict[str, Any]:
    """Return what signs a whole model: digests by path (OpenSSF model signing 1.0)."""
    resources = [{"name": n, "algorithm": "sha256", "digest": d} for n, d in sorted(files.items())]
    whole = sha256(b"".join(bytes.fromhex(str(r["digest"])) for r in resources)).hexdigest()
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": "model", "digest": {"sha256": whole}}],
        "predicateType": "https://model_signing/signature/v1.0",
        "predicate": {"serialization": {"method": "files", "hash_type": "sha256"}, "resources": resources},
    }
