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
from minimal_patch import apply_patch

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
    demand(manifest["format"] == FORMAT and manifest["kind"] in {"full", "delta"}, "another format")
    bases = manifest.get("bases", {})
    demand((manifest["kind"] == "delta") == bool(bases), "bases of another kind")
    demand(manifest["base_sha256"] == (digest(canonical(bases)) if bases else "0" * 64), "another base")
    demand(manifest["sealer"]["keyid"] in ids, "another sealer")
    return manifest


def shard_digests(data: bytes, manifest: dict[str, Any]) -> list[tuple[int, list[bytes]]]:
    """Read shards.idx: header length and digests of each volume, then of each parity volume."""
    demand(digest(data) == manifest["shards_sha256"], "shards.idx was altered")
    demand(data[:8] == b"LGIDX1\r\n", "another index")
    (count,) = struct.unpack_from(">I", data, 8)
    expected = [(b"VOL1", n, v["records"] + 1) for n, v in enumerate(manifest["volumes"], 1)]
    parity = manifest["parity"] or {"groups": [], "volumes": []}
    for group, volumes in grouped(manifest):
        longest = max(manifest["volumes"][n]["records"] for n in volumes) + 1
        first = len(expected) - len(manifest["volumes"]) + 1
        expected += [(b"PAR1", first + n, longest) for n in range(group["parity"])]
    demand(count == len(expected) == len(manifest["volumes"]) + len(parity["volumes"]), "other volumes")
    at, found = 12, []
    for section in expected:
        kind, listed, header, shards = struct.unpack_from(">4sIII", data, at)
        demand((kind, listed, shards) == section, "another section")
        at += 16
        found.append((header, [data[at + 32 * n : at + 32 * n + 32] for n in range(shards)]))
        at += 32 * shards
    demand(at == len(data), "the index goes on")
    return found


def grouped(manifest: dict[str, Any]) -> list[tuple[dict[str, int], range]]:
    """Each group of the parity with the places of its volumes."""
    found, first = [], 0
    for group in (manifest["parity"] or {"groups": []})["groups"]:
        found.append((group, range(first, first + group["volumes"])))
        first += group["volumes"]
    demand(not found or first == len(manifest["volumes"]), "other groups")
    return found


def times(a: int, b: int) -> int:
    """Multiply in GF(2^8)."""
    made = 0
    while b:
        made ^= a if b & 1 else 0
        a, b = (a << 1) ^ (0x11D if a & 0x80 else 0), b >> 1
    return made


def inverse(a: int) -> int:
    """What gives 1 when it is multiplied by `a`."""
    return next(b for b in range(1, 256) if times(a, b) == 1)


def added(shards: list[bytes], factors: list[int]) -> bytes:
    """The sum of shards, padded with zeros, each multiplied by its factor."""
    longest, total = max(map(len, shards)), 0
    for shard, factor in zip(shards, factors, strict=True):
        scaled = shard.translate(bytes(times(factor, b) for b in range(256)))
        total ^= int.from_bytes(scaled.ljust(longest, b"\0"), "big")
    return total.to_bytes(longest, "big")


def solved(matrix: list[list[int]], values: list[bytes]) -> list[bytes]:
    """Solve a square system by Gauss and Jordan; the unknowns are shards."""
    rows = [(list(row), value) for row, value in zip(matrix, values, strict=True)]
    for place in range(len(rows)):
        pivot = next(n for n in range(place, len(rows)) if rows[n][0][place])
        rows[place], rows[pivot] = rows[pivot], rows[place]
        scale = inverse(rows[place][0][place])
        row, value = [times(scale, c) for c in rows[place][0]], added([rows[place][1]], [scale])
        rows[place] = row, value
        for other in (n for n in range(len(rows)) if n != place and rows[n][0][place]):
            factor = rows[other][0][place]
            rows[other] = (
                [c ^ times(factor, d) for c, d in zip(rows[other][0], row, strict=True)],
                added([rows[other][1], value], [1, factor]),
            )
    return [value for _, value in rows]


def cut(data: bytes, header: int, shards: int) -> list[bytes]:
    """Cut a volume into its shards; what is missing is empty."""
    size = MIB + 16
    return [data[:header]] + [data[header + n * size : header + (n + 1) * size] for n in range(shards - 1)]


def rebuilt_volumes(
    folder: Path, manifest: dict[str, Any], index: list[tuple[int, list[bytes]]]
) -> list[bytes]:
    """Every volume, with what is missing or damaged rebuilt from parity."""
    entries = manifest["volumes"] + (manifest["parity"] or {"volumes": []})["volumes"]
    paths = [folder / entry["name"] for entry in entries]
    data = [p.read_bytes()[: e["size"]] if p.exists() else b"" for p, e in zip(paths, entries, strict=True)]
    shards = [cut(d, header, len(digests)) for d, (header, digests) in zip(data, index, strict=True)]
    first = len(manifest["volumes"])
    for group, volumes in grouped(manifest):
        parity = range(first, first + group["parity"])
        first += group["parity"]
        for stripe in range(max(len(index[n][1]) for n in volumes)):
            rebuild_stripe(
                stripe, volumes=volumes, parity=parity, shards=shards, index=index, entries=entries
            )
    return [b"".join(shards[n]) for n in range(len(manifest["volumes"]))]


def rebuild_stripe(
    stripe: int,
    *,
    volumes: range,
    parity: range,
    shards: list[list[bytes]],
    index: list[tuple[int, list[bytes]]],
    entries: list[dict[str, Any]],
) -> None:
    """Put what was lost of a stripe in its place; what stays lost is refused later, by its digest."""

    def good(n: int) -> bool:
        return hashlib.sha256(shards[n][stripe]).digest() == index[n][1][stripe]

    there = [n for n in volumes if stripe < len(index[n][1])]
    lost = [n for n in there if not good(n)]
    spare = [n for n in parity if good(n)][: len(lost)]
    if not lost or len(spare) < len(lost):
        return
    known = [n for n in there if n not in lost]

    def factor(p: int, d: int) -> int:
        return inverse((len(volumes) + p - parity[0]) ^ (d - volumes[0]))

    values = [
        added([shards[p][stripe], *(shards[n][stripe] for n in known)], [1, *(factor(p, n) for n in known)])
        for p in spare
    ]
    for n, shard in zip(lost, solved([[factor(p, n) for n in lost] for p in spare], values), strict=True):
        header = index[n][0]
        rest = entries[n]["size"] - header - (stripe - 1) * (MIB + 16)
        shards[n][stripe] = shard[: header if stripe == 0 else min(MIB + 16, rest)]


def cleartext_records(sealed: bytes, digests: list[bytes], entry: dict[str, Any]) -> bytes:
    """Read the records of a volume that is signed and not sealed."""
    demand(entry["commitment"] == "0" * 64, "a commitment without a key")
    plain = []
    for record in range(entry["records"]):
        piece = sealed[record * (MIB + 16) : (record + 1) * (MIB + 16)]
        demand(hashlib.sha256(piece).digest() == digests[record + 1], f"record {record} was altered")
        demand(piece[-16:] == bytes(16), "something else than zeros")
        plain.append(piece[:-16])
    return b"".join(plain)


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
    if manifest.get("cleartext"):
        demand((header["suite"], header["keys"], manifest["recipients"]) == ("cleartext", {}, []), "keys")
        return cleartext_records(sealed, digests, entry)
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


def content(entry: dict[str, Any], body: bytes, held: dict[str, bytes]) -> bytes:
    """Return the file of an entry."""
    if entry["kind"] == "same":
        return held[entry["sha256"]]
    if entry["kind"] == "patch":
        demand(digest(body) == entry["carried_sha256"], f"the patch of {entry['path']} was altered")
        return apply_patch(body, held, entry["bases"])
    return body


def payload_files(payload: bytes, held: dict[str, bytes]) -> dict[str, bytes]:
    """Cut the payload into its files."""
    demand(payload[:8] == b"LGPAY1\r\n", "another payload")
    (length,) = struct.unpack_from(">Q", payload, 8)
    index = parsed(payload[16 : 16 + length], "index")
    demand(index["format"] == "lockgate-payload/1", "another index")
    at, files = 16 + length, {}
    for entry in index["entries"]:
        length = 0 if entry["kind"] == "same" else entry.get("carried", entry["size"])
        files[entry["path"]] = content(entry, payload[at : at + length], held)
        at += length
        demand(digest(files[entry["path"]]) == entry["sha256"], f"{entry['path']} was altered")
    demand(at == len(payload), "the payload goes on")
    return files


def read_crate(
    folder: Path, root: bytes, key: ec.EllipticCurvePrivateKey, held: dict[str, bytes] | None = None
) -> dict[str, bytes]:
    """Return every file of a crate by its path.

    Args:
        folder: The crate.
        root: The supply root that the caller trusts.
        key: The private key of a recipient.
        held: Files of the crossings that a delta builds on, by digest.

    """
    manifest = opened_manifest((folder / "crate.json").read_bytes(), json.loads(root)["signed"])
    demand(folder.name == f"crate-{manifest['sequence']:06d}-{manifest['crate'][:6]}", "another folder")
    roots = {p.name.split(".")[0]: digest(p.read_bytes()) for p in (folder / "roots").iterdir()}
    demand(roots == manifest["roots"], "other roots")
    shards = shard_digests((folder / "shards.idx").read_bytes(), manifest)
    names = [f"vol-{n:04d}.lgv" for n in range(1, len(manifest["volumes"]) + 1)]
    demand([v["name"] for v in manifest["volumes"]] == names, "other volumes")
    plain = [
        volume_plaintext(data, number, shards[number - 1], manifest, key)
        for number, data in enumerate(rebuilt_volumes(folder, manifest, shards), 1)
    ]
    files = payload_files(b"".join(plain), held or {})
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
