"""What the engines begin with: small, valid examples of each format, from the corpora and the vectors."""

import hashlib
import json
from collections.abc import Callable, Iterable
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

SEED_BYTES = 64 << 10
"""Longer files are no seeds: what they show, a shorter one shows sooner."""
VECTORS = Path(__file__).parents[2] / "docs" / "formats" / "vectors"


def more_cases() -> dict[str, list[tuple[str, str, bytes]]]:
    """Return a file for each inspector that the corpus has no short one for."""
    pack = b"PACK\0\0\0\2\0\0\0\0"
    bundle = b"# v2 git bundle\n" + b"0" * 40 + b" refs/heads/main\n\n"
    bundle += pack + hashlib.sha1(pack, usedforsecurity=False).digest()
    rule = b'rule a { strings: $x = "evil" condition: $x }'
    return {
        "git_bundles:GitBundleInspector": [("a.bundle", "file", bundle)],
        "rules:RulesInspector": [("own.yar", "rules", rule)],
    }


JWK = {
    "kty": "RSA",
    "kid": "a",
    "use": "sig",
    "alg": "RS256",
    "n": "s" * 342,
    "e": "AQAB",
}
"""A public key in the form of RFC 7517."""


@cache
def world() -> Any:
    """Return who signs at upstream."""
    from corpora.signing import World

    return World()


def provenance_seeds() -> Iterable[bytes]:
    """Return a real provenance object and its bundle, signed by authorities of the test's own."""
    from corpora.signing import NOW, provenance, publish_statement

    bundle = world().bundle(publish_statement("a.whl", "0" * 64), stamp=NOW)
    return [provenance(bundle), json.dumps(bundle).encode()]


def attestation_seeds() -> Iterable[bytes]:
    """Return what a registry answers about a version of npm, by a builder of the test's own."""
    from corpora.npmregistry import SLSA, answer, statement

    return [answer((SLSA, world().bundle(statement("pkg:npm/a@1", "0" * 128))))]


def stamp_seeds() -> Iterable[bytes]:
    """Return a time stamp."""
    from corpora.signing import NOW

    return [world().stamp(b"a", NOW)]


@cache
def cases() -> dict[str, list[tuple[str, str, bytes]]]:
    """Return the inspection corpus by the module and class of the inspector that reads it."""
    from corpora.inspection_corpus import BAD, GOOD
    from lockgate.inspect.detect import detect
    from lockgate.inspect.engine import _RULES, _WHERE

    found: dict[str, list[tuple[str, str, bytes]]] = {}
    for case in sorted((*GOOD, *BAD), key=lambda case: len(case.data)):
        if case.data and len(case.data) <= SEED_BYTES:
            detected = detect(memoryview(case.data), case.name, 4 << 20)
            where = _RULES if case.kind == "rules" else _WHERE.get(detected)
            if where:
                found.setdefault(where, []).append((case.name, case.kind, case.data))
    for where, extra in more_cases().items():
        found.setdefault(where, []).extend(extra)
    return found


def cases_of(*wheres: str) -> Callable[[], Iterable[bytes]]:
    """Return seeds from the inspection corpus, by inspector."""
    return lambda: [data for where in wheres for _, _, data in cases().get(where, [])]


def texts(*texts: Any) -> Callable[[], Iterable[bytes]]:
    """Return seeds: bytes as they are, everything else as JSON."""
    return lambda: [each if isinstance(each, bytes) else json.dumps(each).encode() for each in texts]


def vectors(*patterns: str) -> Callable[[], Iterable[bytes]]:
    """Return seeds from the vectors that the formats are documented with."""
    return lambda: [path.read_bytes() for pattern in patterns for path in sorted(VECTORS.glob(pattern))]


def envelope_seeds() -> Iterable[bytes]:
    from corpora.trusted import Site, Supply

    return [Supply().signed(), Site().signed(), *vectors("*.json", "custody/chain.json", "station/*.json")()]


@cache
def documents() -> list[Any]:
    """Return every kind of document, in a fixed order."""
    import pkgutil

    import lockgate
    from lockgate.core.wire import Document

    for module in pkgutil.walk_packages(lockgate.__path__, "lockgate."):
        if not module.name.startswith(("lockgate.cli", "lockgate.console")):
            import_module(module.name)
    kinds, todo = set(), [Document]
    while todo:
        for kind in todo.pop().__subclasses__():
            kinds.add(kind)
            todo.append(kind)
    return sorted(kinds, key=lambda kind: (kind.__module__, kind.__qualname__))


def document_seeds() -> Iterable[bytes]:
    import msgspec

    for number, kind in enumerate(documents()):
        names = {each.encode_name: None for each in msgspec.structs.fields(kind)}
        yield number.to_bytes(2) + json.dumps(names, sort_keys=True, separators=(",", ":")).encode()


def manifests() -> Iterable[bytes]:
    from corpora.images import image, index

    first, second = image(), image(architecture="arm64")
    return [*first.manifests.values(), *index(first, second).manifests.values()]


def guard_modes() -> Iterable[bytes]:
    head = 'format = "lockgate-guards/1"\nversion = 1\nreason = "a"\n'
    return [f'{head}[rules]\nuser = "log"\n[answers]\nsystem_prompt = "off"\n'.encode()]


def rulebook() -> bytes:
    from corpora.rulebook import rules_text

    return rules_text().encode()


def patches() -> Iterable[bytes]:
    """Return a patch that the project's own writer makes, with its base behind it."""
    import os
    from concurrent.futures import ThreadPoolExecutor

    from delta_files import tar, text
    from lockgate.crossing.delta.bounds import MemoryFile, Spool
    from lockgate.crossing.delta.plan import OldFile, Planner

    made = []
    pairs = {"note.txt": (text("1", 40), text("2", 40)), "a.tar": (tar("1", 0)[:20480], tar("2", 2)[:20480])}
    for name, (old, new) in pairs.items():
        spool = Spool(os.memfd_create("spool"))
        with ThreadPoolExecutor(1) as pool:
            patch = Planner(pool, spool).members(
                name, MemoryFile(new), OldFile(name, "0" * 64, MemoryFile(old))
            )
            data = patch.file.at(0, patch.size)
        made.append(len(data).to_bytes(2) + data + old)
    return made


def deflated() -> Iterable[bytes]:
    import zlib

    made = []
    for level in (0, 1, 9):
        packer = zlib.compressobj(level, wbits=-15)
        made.append(packer.compress(b"lockgate " * 40) + packer.flush())
    return made


def bundles() -> Iterable[bytes]:
    return [certificate(), b'{"mediaType":"application/vnd.dev.sigstore.bundle.v0.3+json"}']


@cache
def certificate() -> bytes:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fuzz")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key().public_key())
    dated = builder.serial_number(7).not_valid_before(at).not_valid_after(at + timedelta(days=9))
    return dated.sign(key(), hashes.SHA256()).public_bytes(Encoding.DER)


@cache
def key() -> Any:
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


def public_key(encoding: str) -> bytes:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    kind = getattr(Encoding, encoding)
    public: bytes = key().public_key().public_bytes(kind, PublicFormat.SubjectPublicKeyInfo)
    return public


def captured() -> Iterable[bytes]:
    """Return an IPv4 and an IPv6 packet that carry TCP."""
    tcp = bytes.fromhex("1f90c0010000000000000000501000000000 0000".replace(" ", ""))
    return [
        bytes.fromhex("4500002c000000004006") + bytes(10) + tcp,
        b"\x60" + bytes(5) + b"\x06" + bytes(33) + tcp,
    ]


def directory_seeds() -> Iterable[bytes]:
    """Return the end of an LDAP bind (RFC 4511) and an entry, with and without their heads."""
    bound = bytes.fromhex("0201016107 0a0100 0400 0400".replace(" ", ""))
    found = bytes.fromhex("020101640f 0403636e3d 3008 3006 0402636e 3100".replace(" ", ""))
    return [bound, found, *(bytes((0x30, len(body))) + body for body in (bound, found))]
