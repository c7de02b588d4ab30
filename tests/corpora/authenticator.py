"""A software authenticator: it answers as a security key does, and as an attacker would like it to."""

import hashlib
import json
import struct
from dataclasses import dataclass, field

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from corpora.homes import HighSide
from lockgate.app.trust import signer_from, site_root, site_root_files
from lockgate.core.roots import HeldKey, Purpose
from lockgate.trust.keys import keyid_of
from lockgate.trust.roots import sign_site_root
from lockgate.trust.webauthn import Assertion, Credential, challenge_of, padded

ORIGIN = "http://localhost:8730"
PRESENT, VERIFIED = 0x01, 0x04


@dataclass
class Authenticator:
    """One credential of one person."""

    person: str
    origin: str = ORIGIN
    rp_id: str = "localhost"
    count: int = 0
    private: object = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def eddsa(cls, person: str) -> "Authenticator":
        return cls(person, private=Ed25519PrivateKey.generate())

    @property
    def credential(self) -> Credential:
        spki = self.private.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return Credential(self.rp_id, self.origin, padded(hashlib.sha256(spki).digest()), padded(spki))

    @property
    def keyid(self) -> str:
        return keyid_of(self.credential.public)

    def held(self, expires) -> HeldKey:
        return HeldKey(
            key=self.credential.public, purpose=Purpose.APPROVER, person=self.person, expires=expires
        )

    def sign(
        self, message: bytes, *, flags: int = PRESENT | VERIFIED, tail: bytes = b"", **client
    ) -> Assertion:
        """Answer for a message; `client` replaces fields of the browser's data."""
        self.count += 1
        said = {
            "type": "webauthn.get",
            "challenge": challenge_of(message),
            "origin": self.origin,
            "crossOrigin": False,
        }
        data = json.dumps({**said, **client}).encode()
        party = hashlib.sha256(self.rp_id.encode()).digest()
        head = struct.pack(">32sBI", party, flags, self.count) + tail
        signed = head + hashlib.sha256(data).digest()
        if isinstance(self.private, Ed25519PrivateKey):
            signature = self.private.sign(signed)
        else:
            signature = self.private.sign(signed, ec.ECDSA(hashes.SHA256()))
        return Assertion(
            authenticator_data=padded(head), client_data=padded(data), signature=padded(signature)
        )


def list_in_root(high: HighSide, *held: HeldKey) -> None:
    """Install the next site root of a demo lane, which lists some keys more."""
    side = high.side
    site = site_root(side, None)
    keys = {**site.keys, **{keyid_of(each.key): each for each in held}}
    newer = msgspec.structs.replace(site, version=site.version + 1, keys=keys)
    holders = [signer_from(high.lane.people[f"site-holder-{n}"], Purpose.SITE_ROOT, site) for n in (1, 2)]
    target = site_root_files(side)[0].with_name(f"{newer.version}.site.dsse.json")
    target.write_bytes(sign_site_root(newer, holders))
