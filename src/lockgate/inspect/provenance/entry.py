"""What the sandbox runs: one call judges the provenance of one file, one image or one model."""

from collections.abc import Callable
from datetime import datetime

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.errors import LockgateError
from lockgate.core.provenance import Fact, Scheme, State, TrustRoots
from lockgate.inspect.provenance import cosign, models, npm, npm_attestations, pep740

PYPI = "lockgate.inspect.provenance.entry:pypi"
NPM = "lockgate.inspect.provenance.entry:npm_version"
NPM_ATTESTED = "lockgate.inspect.provenance.entry:npm_attested"
IMAGE = "lockgate.inspect.provenance.entry:image"
MODEL = "lockgate.inspect.provenance.entry:model"


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is judged: `name` and `digest` of a file, or `files` and `blobs` of an artifact."""

    roots: TrustRoots
    now: datetime
    name: str = ""
    digest: str = ""
    files: dict[str, str] = {}
    blobs: dict[Digest, bytes] = {}
    manifests: tuple[Digest, ...] = ()


class Said(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Facts by what they are about: a digest (images), or a path (models); empty: the one file."""

    facts: dict[str, tuple[Fact, ...]]


def pypi(data: memoryview, args: bytes) -> bytes:
    """Judge a PEP 740 provenance object."""
    asked = _asked(args)
    return _answer(
        Scheme.PEP740,
        lambda: {"": pep740.judge(bytes(data), asked.name, asked.digest, asked.roots, asked.now)},
        asked.roots,
    )


def npm_version(data: memoryview, args: bytes) -> bytes:
    """Judge what a registry signed of an npm version."""
    asked = _asked(args)
    return _answer(Scheme.NPM, lambda: {"": npm.judge(bytes(data), asked.digest, asked.roots)}, asked.roots)


def npm_attested(data: memoryview, args: bytes) -> bytes:
    """Judge the attestations that a registry keeps of an npm version; its name is a package URL here."""
    asked = _asked(args)
    return _answer(
        Scheme.NPM_ATTESTATION,
        lambda: {"": npm_attestations.judge(bytes(data), asked.name, asked.digest, asked.roots, asked.now)},
        asked.roots,
    )


def image(data: memoryview, args: bytes) -> bytes:
    """Judge the signatures of an image; its manifests and short blobs come with the arguments."""
    del data
    asked = _asked(args)
    manifests = {digest: asked.blobs[digest] for digest in asked.manifests}

    def judged() -> dict[str, tuple[Fact, ...]]:
        found: dict[str, tuple[Fact, ...]] = {}
        for each in cosign.judge(manifests, asked.blobs, asked.roots, asked.now):
            found[each.digest] = (*found.get(each.digest, ()), each.fact)
        return found

    return _answer(Scheme.COSIGN, judged, asked.roots)


def model(data: memoryview, args: bytes) -> bytes:
    """Judge a model's signature."""
    asked = _asked(args)

    def judged() -> dict[str, tuple[Fact, ...]]:
        fact, covered = models.judge(bytes(data), asked.files, asked.roots, asked.now)
        return dict.fromkeys(sorted(covered), (fact,)) or {"": (fact,)}

    return _answer(Scheme.MODEL, judged, asked.roots)


def _asked(args: bytes) -> Asked:
    return msgspec.json.decode(args, type=Asked)


def _answer(scheme: Scheme, judged: Callable[[], dict[str, tuple[Fact, ...]]], roots: TrustRoots) -> bytes:
    try:
        facts = judged()
    except LockgateError as error:
        facts = {"": (Fact(scheme=scheme, state=State.INVALID, why=error.what[:300], roots=roots.version),)}
    return msgspec.json.encode(Said(facts))
