"""Signed tokens: JSON Web Signature in compact form (RFC 7515) and sets of public keys (RFC 7517).

Verification is with public keys alone. An algorithm is taken only where it is on the list below, belongs to
the key's own type, and is the one that the key declares, if it declares one: a token can choose neither
``none`` nor a shared-secret algorithm with a public key for its secret, and keys or addresses in its header
are not looked at (RFC 8725, sections 3.1, 3.2 and 3.5).
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from lockgate.infer.errors import BadCredentialsError

TOKEN_LIMIT = 8192
"""Longest token that is read, in characters."""

KEYS_LIMIT = 64
"""Most keys of an issuer's set that are looked at."""

RSA_BITS = (2048, 8192)
"""Shortest and longest RSA modulus that is taken, in bits (RFC 7518, section 3.3)."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_CURVES: Mapping[str, tuple[str, type[ec.EllipticCurve], int]] = {
    "P-256": ("ES256", ec.SECP256R1, 32),
    "P-384": ("ES384", ec.SECP384R1, 48),
}
_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_HASHES: Mapping[str, hashes.HashAlgorithm] = {
    "256": hashes.SHA256(),
    "384": hashes.SHA384(),
    "512": hashes.SHA512(),
}
ALGORITHMS = frozenset({*_RSA, "ES256", "ES384", "EdDSA"})
"""Every algorithm that is taken (RFC 7518, section 3.1, and RFC 8037)."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A public key of an issuer, and the algorithms that it verifies."""

    kid: str
    algorithms: frozenset[str]
    public: PublicKey


@dataclass(frozen=True, slots=True)
class Token:
    """A token in its parts; nothing of it is believed before its signature is verified."""

    algorithm: str
    kid: str
    kind: str
    signed: bytes
    signature: bytes
    payload: bytes


def _bad(what: str) -> BadCredentialsError:
    return BadCredentialsError(what)


def unpadded(text: str) -> bytes:
    """Decode base64url without padding (RFC 7515, section 2), in its one canonical spelling.

    Raises:
        BadCredentialsError: It is not that.

    """
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
    except ValueError as error:
        what = "The token is not base64url."
        raise _bad(what) from error
    if base64.urlsafe_b64encode(data).rstrip(b"=").decode() != text:
        what = "The token is not base64url in its canonical spelling."
        raise _bad(what)
    return data


def _refuse(text: str) -> NoReturn:
    raise ValueError(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a member twice")  # named to the caller below
    return found


def strict_object(data: bytes, name: str) -> dict[str, Any]:
    """Read a JSON object in which no member stands twice and every number is one.

    Raises:
        BadCredentialsError: It is none.

    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_once, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        what = f"{name} is no JSON object with each member once."
        raise _bad(what) from error
    if not isinstance(found, dict):
        what = f"{name} is no JSON object."
        raise _bad(what)
    return found


def parse(token: str) -> Token:
    """Take a token apart.

    Raises:
        BadCredentialsError: It is longer than `TOKEN_LIMIT`, malformed, or demands what is not understood.

    """
    if len(token) > TOKEN_LIMIT:
        what = f"The token has more than {TOKEN_LIMIT} characters."
        raise _bad(what)
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004  # RFC 7515, section 7.1
        what = "The token does not have three parts."
        raise _bad(what)
    header = strict_object(unpadded(parts[0]), "The token's header")
    algorithm, kid, kind = header.get("alg"), header.get("kid", ""), header.get("typ", "")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
        what = f"The token's algorithm {str(algorithm)[:20]!r} is none that is taken."
        raise _bad(what)
    if "crit" in header or header.get("b64", True) is not True or not isinstance(kid, str):
        what = "The token's header demands what is not understood."
        raise _bad(what)
    signed = f"{parts[0]}.{parts[1]}".encode()
    return Token(algorithm, kid, str(kind).lower(), signed, unpadded(parts[2]), unpadded(parts[1]))


def verify(token: Token, key: VerificationKey) -> bool:
    """Tell whether a key made a token's signature, with an algorithm that the key is for."""
    if token.algorithm not in key.algorithms:
        return False
    try:
        _check(token, key.public)
    except InvalidSignature:
        return False
    return True


def _check(token: Token, public: PublicKey) -> None:
    if isinstance(public, ed25519.Ed25519PublicKey):
        public.verify(token.signature, token.signed)
        return
    digest = _HASHES[token.algorithm[2:]]
    if isinstance(public, ec.EllipticCurvePublicKey):
        half = (public.curve.key_size + 7) // 8
        if len(token.signature) != 2 * half:
            raise InvalidSignature
        r, s = (int.from_bytes(token.signature[at : at + half], "big") for at in (0, half))
        public.verify(encode_dss_signature(r, s), token.signed, ec.ECDSA(digest))
        return
    if token.algorithm.startswith("PS"):
        pss = padding.PSS(padding.MGF1(digest), digest.digest_size)
        public.verify(token.signature, token.signed, pss, digest)
        return
    public.verify(token.signature, token.signed, padding.PKCS1v15(), digest)


def key_set(data: bytes) -> tuple[VerificationKey, ...]:
    """Read an issuer's set of public keys; keys of other types, or for other uses, are left out.

    Raises:
        BadCredentialsError: It is no set, or has more than `KEYS_LIMIT` keys.

    """
    keys = strict_object(data, "The set of keys").get("keys")
    if not isinstance(keys, list) or len(keys) > KEYS_LIMIT:
        what = f"The set of keys has no list of at most {KEYS_LIMIT} keys."
        raise _bad(what)
    return tuple(key for each in keys if isinstance(each, dict) and (key := _key(each)) is not None)


def _key(entry: dict[str, Any]) -> VerificationKey | None:
    """Return a key, or nothing where it does not verify signatures or cannot be one."""
    kid = entry.get("kid", "")
    try:
        if entry.get("use", "sig") != "sig" or "verify" not in entry.get("key_ops", ["verify"]):
            return None
        public, algorithms = _public(entry)
    except (ValueError, KeyError, TypeError, AttributeError, BadCredentialsError):
        return None
    if "alg" in entry:
        algorithms &= {entry["alg"]} if isinstance(entry["alg"], str) else frozenset()
    return VerificationKey(kid, algorithms, public) if isinstance(kid, str) and algorithms else None


def _public(entry: dict[str, Any]) -> tuple[PublicKey, frozenset[str]]:
    """Read a public key (RFC 7518, section 6, and RFC 8037, section 2). A shared secret (``oct``) is none."""
    if entry["kty"] == "RSA":
        numbers = rsa.RSAPublicNumbers(_number(entry["e"]), _number(entry["n"]))
        if not RSA_BITS[0] <= numbers.n.bit_length() <= RSA_BITS[1]:
            raise ValueError("modulus")  # the key is left out
        return numbers.public_key(), frozenset(_RSA)
    if entry["kty"] == "EC":
        algorithm, curve, half = _CURVES[entry["crv"]]
        x, y = unpadded(entry["x"]), unpadded(entry["y"])
        if len(x) != half or len(y) != half:
            raise ValueError("coordinate")  # the key is left out
        point = ec.EllipticCurvePublicNumbers(int.from_bytes(x, "big"), int.from_bytes(y, "big"), curve())
        return point.public_key(), frozenset({algorithm})
    if entry["kty"] == "OKP" and entry["crv"] == "Ed25519":
        return ed25519.Ed25519PublicKey.from_public_bytes(unpadded(entry["x"])), frozenset({"EdDSA"})
    raise KeyError(entry["kty"])


def _number(text: str) -> int:
    return int.from_bytes(unpadded(text), "big")
