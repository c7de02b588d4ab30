"""A reader of chains and receipts written from docs/formats alone: no part of Lockgate is used."""

import base64
import hashlib
import json
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_public_key

HANDOVER = "application/vnd.lockgate.custody+json"
RECEIPT = "application/vnd.lockgate.receipt"
KEEP = "application/vnd.lockgate.keep"
ENDINGS = {1: "published", 2: "rejected", 3: "incomplete", 4: "void"}


class RefusedError(Exception):
    """What was read does not hold."""


def demand(holds: object, why: str) -> None:
    if not holds:
        raise RefusedError(why)


def canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def exact(data: bytes) -> Any:
    value = json.loads(data)
    demand(canonical(value) == data, "not canonical")
    return value


def pae(kind: str, payload: bytes) -> bytes:
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind.encode(), len(payload), payload)


def verify(key: dict[str, str], signature: bytes, message: bytes, *, raw: bool = False) -> None:
    try:
        if key["keytype"] == "ed25519":
            Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["public"])).verify(signature, message)
            return
        if raw:
            halves = (int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big"))
            signature = encode_dss_signature(*halves)
        load_pem_public_key(key["public"].encode()).verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature as error:
        raise RefusedError("signature") from error


def read_chain(data: bytes, keys: dict[str, dict[str, str]], lane: str, crate: str) -> list[dict[str, Any]]:
    chain = exact(data)
    demand(set(chain) == {"format", "handovers"}, "keys")
    demand(chain["format"] == "lockgate-custody-chain/1" and 1 <= len(chain["handovers"]) <= 64, "format")
    found: list[dict[str, Any]] = []
    previous = "0" * 64
    for step, envelope in enumerate(chain["handovers"]):
        demand(envelope["payloadType"] == HANDOVER, "type")
        payload = base64.b64decode(envelope["payload"], validate=True)
        this = exact(payload)
        people = set()
        for entry in envelope["signatures"]:
            demand(entry["keyid"] in keys and keys[entry["keyid"]]["purpose"] == "custodian", "key")
            verify(keys[entry["keyid"]], base64.b64decode(entry["sig"]), pae(HANDOVER, payload))
            people.add(keys[entry["keyid"]]["person"])
        demand(
            this["clerk"] in people and people <= {this["clerk"], this["giver"], this["receiver"]}, "clerk"
        )
        demand(
            (this["format"], this["lane"], this["crate_sha256"]) == ("lockgate-custody/1", lane, crate),
            "place",
        )
        demand(this["step"] == step and this["previous_sha256"] == previous, "order")
        demand(step or this["giver"] == this["receiver"] == this["clerk"], "packing")
        previous = hashlib.sha256(payload).hexdigest()
        found.append(this)
    return found


def unpack(line: str, prefix: str) -> bytes:
    text = line.strip()
    demand(text.startswith(prefix), "prefix")
    digits = text.removeprefix(prefix)
    signed = base64.b32decode(digits + "=" * (-len(digits) % 8))
    demand(base64.b32encode(signed).decode().rstrip("=") == digits, "form")
    return signed


def approvers_of(
    signed: bytes, size: int, kind: str, keys: dict[str, dict[str, str]], approvers: int
) -> list[str]:
    demand(len(signed) == size + 96 * approvers, "length")
    people, before = set(), ""
    for at in range(size, len(signed), 96):
        keyid = signed[at : at + 32].hex()
        demand(keyid > before and keyid in keys and keys[keyid]["purpose"] == "approver", "key")
        verify(keys[keyid], signed[at + 32 : at + 96], pae(kind, signed[:size]), raw=True)
        people.add(keys[keyid]["person"])
        before = keyid
    demand(len(people) == approvers, "persons")
    return sorted(people)


def read_receipt(line: str, keys: dict[str, dict[str, str]], lane: str, approvers: int) -> dict[str, Any]:
    signed = unpack(line, "LGR1.")
    people = approvers_of(signed, 149, RECEIPT, keys, approvers)
    body = signed[:149]
    demand(body[:8] == b"LGRCPT1\n" and body[8:40] == hashlib.sha256(lane.encode()).digest(), "lane")
    return {
        "crossing": int.from_bytes(body[40:44], "big"),
        "crate_sha256": body[44:76].hex(),
        "ending": ENDINGS[body[76]],
        "snapshot_sha256": body[77:109].hex(),
        "log_size": int.from_bytes(body[109:117], "big"),
        "log_root": body[117:].hex(),
        "approvers": people,
    }


def read_keep(line: str, keys: dict[str, dict[str, str]], lane: str, approvers: int) -> dict[str, Any]:
    signed = unpack(line, "LGK1.")
    count = int.from_bytes(signed[76:80], "big")
    size = 80 + -(-count // 8)
    people = approvers_of(signed, size, KEEP, keys, approvers)
    demand(signed[:8] == b"LGKEEP1\n" and signed[8:40] == hashlib.sha256(lane.encode()).digest(), "lane")
    demand(1 <= count <= 100_000, "count")
    bits = "".join(f"{byte:08b}" for byte in signed[80:size])
    demand("1" not in bits[count:], "bits that stand for nothing")
    return {
        "crossing": int.from_bytes(signed[40:44], "big"),
        "lock_sha256": signed[44:76].hex(),
        "dropped": [place for place in range(count) if bits[place] == "0"],
        "count": count,
        "approvers": people,
    }
