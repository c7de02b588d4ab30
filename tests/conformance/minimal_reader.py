"""A second reader of crates, written from docs/formats/crate-v1.md alone.

It uses the standard library and `cryptography`, and nothing of Lockgate. It is given the newest
supply root and a recipient key that the caller trusts already; it judges signatures, digests,
bindings and tags, and leaves out what needs the state of a side (ledger, clock, TUF history).
"""

import base64
import hashlib
import json
import struct
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

MIB = 1 << 20
FORMAT = "lockgate-crate/1"
SUITE = "DHKEM-P256-HKDF-SHA256/HKDF-SHA256/AES-256-GCM"


class RefusedError(Exception):
    """The crate is not what the text says."""


def demand(truth: object, what: str) -> None:
    """Refuse the crate unless something holds."""
    if not truth:
        raise RefusedError(what)


def digest(data: bytes) -> str:
    """SHA-256 in hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def canonical(value: Any) -> bytes:
    """The one JSON form of a value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def parsed(data: bytes, what: str) -> Any:
    """Read canonical JSON."""
    value = json.loads(data)
    demand(canonical(value) == data, f"{what} is not canonical")
    return value


def unbase64(text: str) -> bytes:
    """Read base64 in its canonical form."""
    data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


def opened_manifest(envelope: bytes, root: dict[str, Any]) -> dict[str, Any]:
    """Judge the signatures of crate.json by the supply root and return its payload."""
    signed = parsed(envelope, "crate.json")
    kind, payload = signed["payloadType"], unbase64(signed["payload"])
    demand(kind == "application/vnd.lockgate.crate+json", "another payload type")
    message = b"DSSEv1 %d %b %d %b" % (len(kind), kind.encode(), len(payload), payload)
    ids = [s["keyid"] for s in signed["signatures"]]
    demand(ids and ids == sorted(set(ids)), "signatures are out of order")
    for signature in signed["signatures"]:
        key = root["keys"][signature["keyid"]]
        demand(root["lockgate"]["holders"][signature["keyid"]]["purpose"] == "sealer", "not a sealer")
        public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(key["keyval"]["public"]))
        public.verify(unbase64(signature["sig"]), message)
    manifest: dict[str, Any] = parsed(payload, "manifest")
    demand(manifest["format"] == FORMAT and manifest["kind"] == "full", "another format")
    demand(manifest["parity"] is None and manifest["sealer"]["keyid"] in ids, "another sealer")
    return manifest


def shard_digests(data: bytes, manifest: dict[str, Any]) -> list[tuple[int, list[bytes]]]:
    """Read shards.idx: header length and digests of each volume."""
    demand(digest(data) == manifest["shards_sha256"], "shards.idx was altered")
    demand(data[:8] == b"LGIDX1\r\n", "another index")
    (count,) = struct.unpack_from(">I", data, 8)
    demand(count == len(manifest["volumes"]), "other volumes")
    at, found = 12, []
    for number, volume in enumerate(manifest["volumes"], 1):
        kind, listed, header, shards = struct.unpack_from(">4sIII", data, at)
        demand((kind, listed, shards) == (b"VOL1", number, volume["records"] + 1), "another section")
        at += 16
        found.append((header, [data[at + 32 * n : at + 32 * n + 32] for n in range(shards)]))
        at += 32 * shards
    demand(at == len(data), "the index goes on")
    return found


def volume_key(header: dict[str, Any], manifest: dict[str, Any], key: ec.EllipticCurvePrivateKey) -> bytes:
    """Unwrap the key of a volume."""
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    recipient = digest(der)
    demand({"recipient": recipient, "suite": SUITE} in manifest["recipients"], "not a recipient")
    info = {name: header[name] for name in ("crate", "format", "lane", "volume")} | {
        "recipient": recipient,
        "sealer": manifest["sealer"]["keyid"],
        "suite": SUITE,
        "use": "volume key",
    }
    suite = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
    return suite.decrypt(unbase64(header["keys"][recipient]), key, canonical(info))


def volume_plaintext(
    data: bytes,
    number: int,
    shards: tuple[int, list[bytes]],
    manifest: dict[str, Any],
    key: ec.EllipticCurvePrivateKey,
) -> bytes:
    """Open one volume."""
    length, digests = shards
    entry = manifest["volumes"][number - 1]
    demand(len(data) == entry["size"], "another length")
    block, sealed = data[:length], data[length:]
    demand(hashlib.sha256(block).digest() == digests[0], "the header was altered")
    demand(block[:8] == b"LGVOL1\r\n" and int.from_bytes(block[8:12], "big") == length - 12, "another header")
    header = parsed(block[12:], "header")
    place = {"crate": manifest["crate"], "format": FORMAT, "lane": manifest["lane"], "volume": number}
    demand(header.items() >= place.items(), "a header of another place")
    secret = volume_key(header, manifest, key)
    aad = canonical(place)
    info = b"lockgate-crate/1 commit" + aad
    commitment = HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(secret)
    demand(commitment.hex() == entry["commitment"], "another key than committed to")
    plain = []
    for record in range(entry["records"]):
        piece = sealed[record * (MIB + 16) : (record + 1) * (MIB + 16)]
        demand(hashlib.sha256(piece).digest() == digests[record + 1], f"record {record} was altered")
        last = record == entry["records"] - 1
        nonce = bytes.fromhex(header["nonce"]) + struct.pack(">IB", record, last)
        plain.append(AESGCM(secret).decrypt(nonce, piece, aad))
    joined = b"".join(plain)
    demand(len(joined) == entry["plaintext_size"], "another length inside")
    return joined


def payload_files(payload: bytes) -> dict[str, bytes]:
    """Cut the payload into its files."""
    demand(payload[:8] == b"LGPAY1\r\n", "another payload")
    (length,) = struct.unpack_from(">Q", payload, 8)
    index = parsed(payload[16 : 16 + length], "index")
    demand(index["format"] == "lockgate-payload/1", "another index")
    at, files = 16 + length, {}
    for entry in index["entries"]:
        files[entry["path"]] = payload[at : at + entry["size"]]
        at += entry["size"]
        demand(digest(files[entry["path"]]) == entry["sha256"], f"{entry['path']} was altered")
    demand(at == len(payload), "the payload goes on")
    return files


def read_crate(folder: Path, root: bytes, key: ec.EllipticCurvePrivateKey) -> dict[str, bytes]:
    """Return every file of a crate by its path.

    Args:
        folder: The crate.
        root: The supply root that the caller trusts.
        key: The private key of a recipient.

    """
    manifest = opened_manifest((folder / "crate.json").read_bytes(), json.loads(root)["signed"])
    demand(folder.name == f"crate-{manifest['sequence']:06d}-{manifest['crate'][:6]}", "another folder")
    roots = {p.name.split(".")[0]: digest(p.read_bytes()) for p in (folder / "roots").iterdir()}
    demand(roots == manifest["roots"], "other roots")
    shards = shard_digests((folder / "shards.idx").read_bytes(), manifest)
    names = [f"vol-{n:04d}.lgv" for n in range(1, len(shards) + 1)]
    demand([v["name"] for v in manifest["volumes"]] == names, "other volumes")
    plain = [
        volume_plaintext((folder / name).read_bytes(), number, shards[number - 1], manifest, key)
        for number, name in enumerate(names, 1)
    ]
    files = payload_files(b"".join(plain))
    tops = {"tuf/timestamp.json", "tuf/snapshot.json"}
    roles = [
        json.loads(data)["signed"]
        for path, data in files.items()
        if path.startswith("tuf/") and path not in tops
    ]
    demand(
        len({path for role in roles for path in role["targets"]}) == sum(len(r["targets"]) for r in roles),
        "a target in two roles",
    )
    targets = {path: target for role in roles for path, target in role["targets"].items()}
    named = {path: (len(data), digest(data)) for path, data in files.items() if not path.startswith("tuf/")}
    demand({p: (t["length"], t["hashes"]["sha256"]) for p, t in targets.items()} == named, "other targets")
    return files
