"""Signed tokens: published vectors verify; whatever a token says, the issuer's keys and our rules count."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from infer_doubles import NOW
from lockgate.infer.errors import BadCredentialsError
from lockgate.infer.identity.claims import LEEWAY_SECONDS, TokenRules, judge
from lockgate.infer.identity.jws import TOKEN_LIMIT, key_set, parse, strict_object, unpadded, verify
from oidc_double import AUDIENCE, CLIENT, MOMENT, EcKey, RsaKey, b64, signed

RS256 = (  # RFC 7515, appendix A.2
    {
        "kty": "RSA",
        "n": "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJ"
        "rcS2mJPMEzP1Pt0Bm4d4Ql"
        "L-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUs"
        "LA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoud"
        "F8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "e": "AQAB",
    },
    (
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn"
        "VlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9"
        "CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_d"
        "O--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
        "IoypGlUPQGe77Rw"
    ),
)
ES256 = (  # RFC 7515, appendix A.3
    {
        "kty": "EC",
        "crv": "P-256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
        "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    },
    (
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cn"
        "VlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"
    ),
)
EDDSA = (  # RFC 8037, appendix A.4
    {"kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    (
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki"
        "4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"
    ),
)
RULES = TokenRules("https://sso.plant.internal", AUDIENCE, frozenset({CLIENT}))


def keys(*entries: dict[str, Any]) -> Any:
    return key_set(json.dumps({"keys": entries}).encode())


def claims(**changed: Any) -> dict[str, Any]:
    made = {
        "iss": RULES.issuer,
        "aud": AUDIENCE,
        "azp": CLIENT,
        "sub": "u-17",
        "iat": MOMENT - 10,
        "exp": MOMENT + 300,
        **changed,
    }
    return {name: value for name, value in made.items() if value is not None}


@pytest.mark.parametrize("vector", [RS256, ES256, EDDSA], ids=["RS256", "ES256", "EdDSA"])
def test_the_published_vectors_verify_and_no_changed_bit_does(vector: tuple[dict[str, Any], str]) -> None:
    entry, text = vector
    (key,) = keys(entry)
    token = parse(text)
    assert verify(token, key)
    head, body, signature = text.split(".")
    for at in (0, len(unpadded(signature)) // 2, len(unpadded(signature)) - 1):
        broken = bytearray(unpadded(signature))
        broken[at] ^= 1
        assert not verify(parse(f"{head}.{body}.{b64(bytes(broken))}"), key)
    assert not verify(parse(f"{head}.{b64(b'{}')}.{signature}"), key)
    assert not verify(parse(f"{head}.{body}."), key)
    assert not verify(parse(f"{head}.{body}.{b64(unpadded(signature) + bytes(1))}"), key)


def test_a_token_chooses_no_weaker_algorithm() -> None:
    key = RsaKey("one")
    (known,) = keys(key.jwk())
    body = b64(json.dumps(claims()).encode())
    for name in ("none", "None", "", "HS256", "HS512", None, "RS1", "ES256K", ["RS256"], {"RS256": 1}):
        head = b64(json.dumps({"alg": name, "kid": "one"}).encode())
        public = key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        mac = hmac.digest(public, f"{head}.{body}".encode(), hashlib.sha256)
        for signature in ("", b64(mac)):
            with pytest.raises(BadCredentialsError, match=r"algorithm|parts"):
                parse(f"{head}.{body}.{signature}")
    assert verify(parse(signed(key, claims())), known)
    for name in ("PS256", "RS512", "ES256", "EdDSA"):  # on the list, and not what this key is for
        assert not verify(parse(signed(key, claims(), alg=name)), known)


def test_a_key_verifies_only_what_its_type_and_its_declaration_allow() -> None:
    key, curve = RsaKey("r"), EcKey("e")
    assert keys({"kty": "oct", "k": b64(b"s" * 32), "alg": "HS256"}) == ()
    assert (
        keys({**key.jwk(), "use": "enc"}, {**key.jwk(), "key_ops": ["sign"]}, {**key.jwk(), "key_ops": 5})
        == ()
    )
    assert keys({**key.jwk(), "alg": "HS256"}, {**key.jwk(), "alg": ["RS256"]}, {**key.jwk(), "kid": 7}) == ()
    assert keys({**curve.jwk(), "y": curve.jwk()["x"]}) == (), "a point that is not on the curve"
    assert (
        keys({**curve.jwk(), "crv": "secp256k1"}, {"kty": "EC"}, {}, {"kty": "OKP", "crv": "X25519", "x": ""})
        == ()
    )
    short = RsaKey("s", rsa.generate_private_key(65537, 1024))  # noqa: S505  # the one to be refused
    assert keys(short.jwk()) == ()
    entry = curve.jwk()
    del entry["kid"]
    (plain,) = keys(entry)
    assert plain.algorithms == {"ES256"}
    half = parse(signed(curve, claims()))
    assert verify(half, plain)
    with pytest.raises(BadCredentialsError, match="at most 64"):
        keys(*[key.jwk()] * 65)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a.b",
        "a.b.c.d",
        "é.e30.AA",
        "e30=.e30.AA",
        "e30.e30.A",
        "e31.e30.AA",
        "W10.e30.AA",
        "e30.e30." + "A" * 8192,
    ],
)
def test_what_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(BadCredentialsError):
        parse(text)


def test_headers_that_demand_more_are_refused() -> None:
    key = EcKey("one")
    for more in ({"crit": ["exp"]}, {"b64": False}, {"kid": 5}, {"kid": None}):
        with pytest.raises(BadCredentialsError):
            parse(signed(key, claims(), **more))
    assert parse(signed(key, claims(), jku="https://evil.example/keys", jwk=EcKey("x").jwk())).kid == "one"
    assert TOKEN_LIMIT == 8192


@pytest.mark.parametrize(
    "data",
    [b'{"sub":"a","sub":"b"}', b'{"exp":NaN}', b'{"exp":Infinity}', b"\xff{}", b"[" * 5000, b"[]", b"7", b""],
)
def test_json_is_read_in_one_way_only(data: bytes) -> None:
    with pytest.raises(BadCredentialsError):
        strict_object(data, "It")


def test_base64_has_one_spelling() -> None:
    assert unpadded("QQ") == b"A"
    for text in ("QR", "QQ==", "Q Q", "Q+", "Q/", "Q\n"):
        with pytest.raises(BadCredentialsError):
            unpadded(text)
    assert base64.urlsafe_b64decode("QR==") == b"A", "which a lenient reader takes for the same"


def test_a_good_token_proves_its_subject_and_groups() -> None:
    judged = judge(claims(preferred_username="jane", groups=["a", "b"]), RULES, "at+jwt")
    assert (judged.found.id, judged.found.name, judged.found.groups) == ("oidc:u-17", "jane", ("a", "b"))
    judged.demand_now(NOW.timestamp())


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://sso.plant.internal/"},
        {"iss": None},
        {"aud": None},
        {"aud": "other"},
        {"aud": ["other", "more"]},
        {"aud": {AUDIENCE: 1}},
        {"azp": "other"},
        {"azp": None},
        {"client_id": "other"},
        {"nonce": "n"},
        {"sub": None},
        {"sub": ""},
        {"sub": 7},
        {"sub": "x" * 256},
        {"sub": "a\nb"},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": float("inf")},
        {"iat": None},
        {"nbf": "x"},
        {"groups": "admins"},
        {"groups": ["a", 1]},
        {"groups": ["g"] * 513},
    ],
    ids=repr,
)
def test_a_token_that_says_something_else_proves_nothing(changed: dict[str, Any]) -> None:
    with pytest.raises(BadCredentialsError):
        judge(claims(**changed), RULES, "at+jwt")


def test_tokens_made_for_something_else_prove_nothing() -> None:
    for kind in ("logout+jwt", "dpop+jwt", "secevent+jwt"):
        with pytest.raises(BadCredentialsError, match="kind"):
            judge(claims(), RULES, kind)
    with pytest.raises(BadCredentialsError, match="not the answer"):
        judge(claims(nonce="theirs"), RULES, "jwt", nonce="ours")
    with pytest.raises(BadCredentialsError, match="not the answer"):
        judge(claims(), RULES, "jwt", nonce="ours")
    assert judge(claims(nonce="ours"), RULES, "jwt", nonce="ours").found.subject == "u-17"


@pytest.mark.parametrize(
    ("changed", "seconds", "outcome"),
    [
        ({}, 0, "counts"),
        ({"exp": MOMENT}, 0, "counts"),
        ({"exp": MOMENT - LEEWAY_SECONDS}, 0, "refused"),
        ({"nbf": MOMENT + LEEWAY_SECONDS}, 0, "counts"),
        ({"nbf": MOMENT + LEEWAY_SECONDS + 1}, 0, "refused"),
        ({"iat": MOMENT + LEEWAY_SECONDS + 1}, 0, "refused"),
        ({"iat": MOMENT, "exp": MOMENT + 10**7}, 899, "counts"),
        ({"iat": MOMENT, "exp": MOMENT + 10**7}, 900, "refused"),
    ],
)
def test_the_time_of_a_token(changed: dict[str, Any], seconds: int, outcome: str) -> None:
    judged = judge(claims(**changed), RULES)
    now = (NOW + timedelta(seconds=seconds)).timestamp()
    if outcome == "counts":
        judged.demand_now(now)
        return
    with pytest.raises(BadCredentialsError):
        judged.demand_now(now)


def test_groups_can_lie_deeper() -> None:
    rules = TokenRules(RULES.issuer, AUDIENCE, groups="realm_access.roles", name="name")
    found = judge(claims(realm_access={"roles": ["x"]}, name="Jane Doe"), rules).found
    assert (found.groups, found.name) == (("x",), "Jane Doe")
    assert judge(claims(realm_access=["roles"]), rules).found.groups == ()
