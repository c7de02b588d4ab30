"""What signatures say of artifacts: which file holds them, judged in the sandbox, told as facts."""

import hashlib
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path, PurePosixPath

import msgspec

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.provenance import ROOTS_FORMAT, Fact, Scheme, State, TrustRoots
from lockgate.inspect.limits import Limits
from lockgate.inspect.ports import Sandbox, Whole
from lockgate.inspect.provenance.entry import IMAGE, MODEL, NPM, NPM_ATTESTED, PYPI, Asked, Said
from lockgate.inspect.service import OWN_FAULT, run_in_sandbox
from lockgate.inspect.wholes import Extras, notes_of

NAME = "provenance/1"
"""How verdicts name this inspector."""

SHORT_BLOB = 256 * 1024
"""Longest blob of an image that may be a signature, in bytes."""

SHORT_TOTAL = 8 << 20
"""Most bytes of manifests and short blobs of one image that are looked at together."""

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Trust:
    """What signatures are judged by: trust roots, or why there are none; and the present moment."""

    now: datetime
    roots: TrustRoots | None = None
    why: str = "No trust roots are in force."

    @property
    def judging(self) -> TrustRoots:
        """Return the trust roots, or some by which nothing is ever verified."""
        nothing = TrustRoots(format=ROOTS_FORMAT, version=1, made=self.now, expires=self.now)
        return self.roots or nothing

    def told(self, facts: Iterable[Fact]) -> tuple[Fact, ...]:
        """Return facts as they are told: without trust roots nothing was checked."""
        if self.roots is not None:
            return tuple(facts)
        return tuple(
            fact
            if fact.state is State.ABSENT
            else Fact(scheme=fact.scheme, state=State.UNCHECKED, why=self.why)
            for fact in facts
        )


class Signatures:
    """Judges the signatures of artifacts, each in a process of its own."""

    def __init__(self, sandbox: Sandbox, limits: Limits, trust: Trust) -> None:
        """Judge with a sandbox, within limits, by trust roots."""
        self._sandbox = sandbox
        self._limits = limits
        self._trust = trust

    def judge(self, whole: Whole) -> Extras:
        """Return what signatures say of an artifact's files; nothing for kinds that have none.

        Raises:
            SandboxUnavailableError: Nothing can be parsed safely here.

        """
        artifact = whole.artifact
        if artifact.kind is Kind.PYTHON:
            found = self._python(whole)
        elif artifact.kind is Kind.NPM:
            found = self._npm(whole)
        elif artifact.kind is Kind.OCI:
            found = self._image(whole)
        elif artifact.kind in {Kind.MODEL, Kind.DATASET, Kind.SPACE}:
            found = self._model(whole)
        else:
            return {}
        extras: Extras = {}
        named = {NAME} | ({f"trust-roots/{self._trust.roots.version}"} if self._trust.roots else set())
        for path, facts in found.items():
            notes = notes_of(extras, path)
            notes.facts += self._trust.told(facts)
            notes.inspectors |= named
        return extras

    def _python(self, whole: Whole) -> dict[str, tuple[Fact, ...]]:
        """Judge each distribution by the provenance object beside it."""
        found: dict[str, tuple[Fact, ...]] = {}
        paths = {file.path for file in whole.artifact.files if file.role is Role.PROVENANCE}
        for file in _with_role(whole.artifact, Role.DISTRIBUTION):
            beside = f"{file.path}.provenance"
            if beside not in paths:
                found[file.path] = (_absent(Scheme.PEP740),)
                continue
            asked = self._asked(name=PurePosixPath(file.path).name, digest=file.sha256)
            said = self._run(PYPI, whole.places[beside], asked, Scheme.PEP740)
            found[file.path] = said.get("", ()) or (_absent(Scheme.PEP740),)
        return found

    def _npm(self, whole: Whole) -> dict[str, tuple[Fact, ...]]:
        """Judge each archive by what its registry signed and attests of it, over its own SHA-512."""
        found: dict[str, tuple[Fact, ...]] = {}
        beside = {f.path for f in whole.artifact.files if f.role in {Role.CORE_METADATA, Role.PROVENANCE}}
        for file in _with_role(whole.artifact, Role.DISTRIBUTION):
            digest = _sha512(whole.places[file.path])
            integrity = f"sha512-{b64encode(digest).decode()}"
            ways = (
                (".json", NPM, self._asked(digest=integrity), Scheme.NPM),
                (
                    ".provenance",
                    NPM_ATTESTED,
                    self._asked(name=whole.artifact.purl, digest=digest.hex()),
                    Scheme.NPM_ATTESTATION,
                ),
            )
            for ending, entry, asked, scheme in ways:
                path = f"{file.path}{ending}"
                said = self._run(entry, whole.places[path], asked, scheme) if path in beside else {}
                facts = said.get("", ()) or (_absent(scheme),)
                found[file.path] = (*found.get(file.path, ()), *facts)
        return found

    def _image(self, whole: Whole) -> dict[str, tuple[Fact, ...]]:
        """Judge the signatures among an image's manifests; each is about one manifest."""
        files = {file.sha256: file for file in whole.artifact.files}
        root = files.get(whole.artifact.version.removeprefix("sha256:"))
        if root is None:
            return {}
        manifests = [file for file in whole.artifact.files if file.role is Role.MANIFEST]
        short = [f for f in whole.artifact.files if f.role is not Role.MANIFEST and f.size <= SHORT_BLOB]
        if sum(file.size for file in (*manifests, *short)) > SHORT_TOTAL:
            why = f"Manifests and short blobs have more than {SHORT_TOTAL} bytes (bound: short_total)."
            return {root.path: (Fact(scheme=Scheme.COSIGN, state=State.INVALID, why=why),)}
        asked = self._asked(
            blobs={file.sha256: whole.places[file.path].read_bytes() for file in (*manifests, *short)},
            manifests=tuple(file.sha256 for file in manifests),
        )
        said = self._run(IMAGE, whole.places[root.path], asked, Scheme.COSIGN)
        found: dict[str, tuple[Fact, ...]] = {}
        for digest, facts in said.items():
            path = files[digest].path if digest in files else root.path
            found[path] = (*found.get(path, ()), *facts)
        found.setdefault(root.path, (_absent(Scheme.COSIGN),))
        return found

    def _model(self, whole: Whole) -> dict[str, tuple[Fact, ...]]:
        """Judge a model's files by the signatures that lie among them."""
        files = [file for file in whole.artifact.files if file.role is not Role.PROVENANCE]
        found: dict[str, tuple[Fact, ...]] = {}
        for signature in _with_role(whole.artifact, Role.PROVENANCE):
            folder = f"{PurePosixPath(signature.path).parent}/"
            inside = {f.path.removeprefix(folder): f.sha256 for f in files if f.path.startswith(folder)}
            said = self._run(MODEL, whole.places[signature.path], self._asked(files=inside), Scheme.MODEL)
            for name, facts in said.items():
                path = f"{folder}{name}" if name in inside else signature.path
                found[path] = (*found.get(path, ()), *facts)
        for file in files:
            found.setdefault(file.path, (_absent(Scheme.MODEL),))
        return found

    def _asked(
        self,
        *,
        name: str = "",
        digest: str = "",
        files: dict[str, str] | None = None,
        blobs: dict[str, bytes] | None = None,
        manifests: tuple[str, ...] = (),
    ) -> Asked:
        return Asked(
            roots=self._trust.judging,
            now=self._trust.now,
            name=name,
            digest=digest,
            files=files or {},
            blobs=blobs or {},
            manifests=manifests,
        )

    def _run(self, entry: str, file: Path, asked: Asked, scheme: Scheme) -> Mapping[str, tuple[Fact, ...]]:
        """Run one judgement; what fails proves nothing."""
        try:
            args = msgspec.json.encode(asked)
            answer = run_in_sandbox(self._sandbox, entry, file, args, limits=self._limits)
            return msgspec.json.decode(answer, type=Said).facts
        except tuple(OWN_FAULT) as error:
            return {"": (Fact(scheme=scheme, state=State.INVALID, why=error.what[:300]),)}
        except msgspec.DecodeError:
            why = "The judging process answered nothing that can be read."
            return {"": (Fact(scheme=scheme, state=State.INVALID, why=why),)}


def _with_role(artifact: Artifact, role: Role) -> list[ArtifactFile]:
    return [file for file in artifact.files if file.role is role]


def _absent(scheme: Scheme) -> Fact:
    return Fact(scheme=scheme, state=State.ABSENT)


def _sha512(file: Path) -> bytes:
    found = hashlib.sha512()
    with file.open("rb") as stream:
        while block := stream.read(_BLOCK):
            found.update(block)
    return found.digest()
