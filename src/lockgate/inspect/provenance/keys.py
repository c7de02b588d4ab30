"""Signatures of the key types that provenance uses, checked; no other type counts."""

from hashlib import sha256, sha384, sha512

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_public_key
from cryptography.hazmat.primitives.serialization import load_pem_public_key as load_pem

from lockgate.inspect.provenance.errors import InvalidProvenanceError

Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey
LEAST_RSA_BITS = 2048
_CURVES: dict[str, hashes.HashAlgorithm] = {
    "secp256r1": hashes.SHA256(),
    "secp384r1": hashes.SHA384(),
    "secp521r1": hashes.SHA512(),
}
_HASHES = {"sha256": sha256, "sha384": sha384, "sha512": sha512}
_BY_NAME: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


def usable(key: object) -> Key:
    """Return a key when its type is one that counts.

    Raises:
        InvalidProvenanceError: It is of another type, on another curve, or too short.

    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        return key
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= LEAST_RSA_BITS:
        return key
    raise InvalidProvenanceError("It rests on a key of a type or length that does not count.")


def load(der: bytes) -> Key:
    """Return a public key from SubjectPublicKeyInfo in DER.

    Raises:
        InvalidProvenanceError: It is none that counts.

    """
    try:
        return usable(load_der_public_key(der))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidProvenanceError("A public key in it cannot be read.") from error


def load_pem_key(pem: bytes) -> Key:
    """Return a public key from PEM.

    Raises:
        InvalidProvenanceError: It is none that counts.

    """
    try:
        return usable(load_pem(pem))
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise InvalidProvenanceError("A public key in it cannot be read.") from error


def signed(key: Key, signature: bytes, data: bytes, algorithm: str = "") -> bool:
    """Tell whether a signature over data is a key's.

    Args:
        key: The public key.
        signature: ECDSA in DER, PKCS#1 v1.5, or Ed25519.
        data: What was signed.
        algorithm: ``sha256``, ``sha384`` or ``sha512``; what belongs to the key when left out.

    """
    if isinstance(key, ed25519.Ed25519PublicKey):
        try:
            key.verify(signature, data)
        except InvalidSignature:
            return False
        return True
    name = algorithm or _own(key)
    return signed_digest(key, signature, _HASHES[name](data).digest(), name)


def signed_digest(key: Key, signature: bytes, digest: bytes, algorithm: str) -> bool:
    """Tell whether a signature over what hashes to a digest is a key's.

    Raises:
        InvalidProvenanceError: The key signs no digests, or the digest is of another length.

    """
    kind = Prehashed(_BY_NAME[algorithm])
    if len(digest) != _BY_NAME[algorithm].digest_size or isinstance(key, ed25519.Ed25519PublicKey):
        raise InvalidProvenanceError("Its key and its digest do not belong together.")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            key.verify(signature, digest, padding.PKCS1v15(), kind)
        else:
            key.verify(signature, digest, ec.ECDSA(kind))
    except InvalidSignature:
        return False
    return True


def _own(key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey) -> str:
    return "sha256" if isinstance(key, rsa.RSAPublicKey) else _CURVES[key.curve.name].name
