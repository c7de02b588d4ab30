"""What a registry attests of npm versions, kept beside their archives; the gate verifies it.

Source: npm's registry, ``dist.attestations.url`` of a version's entry and the answer there; in-toto
statements with SLSA provenance 0.2 (``invocation.configSource``) and 1 (``externalParameters.workflow``).
"""

import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec

from lockgate.collect.errors import NoAttestationsError
from lockgate.collect.npm.ports import NpmClient
from lockgate.collect.room import Room
from lockgate.collect.web import shown
from lockgate.core.artifact import ArtifactFile, Kind, Lock, Role
from lockgate.core.errors import LockgateError
from lockgate.core.npm import npm_purl, tarball_name

ASKERS = 4
"""How many attestations are asked for at a time."""

ENDING = ".provenance"
_LINE = 300
_MOST = 16


class _Envelope(msgspec.Struct, frozen=True):
    payload: bytes


class _Bundle(msgspec.Struct, frozen=True, rename="camel"):
    dsse_envelope: _Envelope


class _Attestation(msgspec.Struct, frozen=True):
    bundle: _Bundle


class _Answer(msgspec.Struct, frozen=True):
    attestations: Annotated[tuple[_Attestation, ...], msgspec.Meta(min_length=1, max_length=_MOST)]


@dataclass(frozen=True, slots=True)
class Asked:
    """A version whose entry names attestations: name, version, their address, the project's settings."""

    name: str
    version: str
    address: str
    settings: bytes | None = None


def named_in(said: Mapping[str, Any]) -> str:
    """Return the address of attestations that a version's entry names; empty where it names none."""
    dist = said.get("dist")
    listed = dist.get("attestations") if isinstance(dist, dict) else None
    address = listed.get("url") if isinstance(listed, dict) else None
    return address if isinstance(address, str) else ""


def attestations(
    room: Room, client: NpmClient, wanted: list[Asked], previous: Lock | None
) -> dict[tuple[str, str], ArtifactFile]:
    """Return the file of attestations of each version that has them, by name and version.

    What a registry names and does not give is noted; it is never fatal. Attestations are made once, when a
    version is published: those of the previous lock are taken as long as the store holds them.
    """
    held = _held(room, previous)
    found = {(one.name, one.version): held[key] for one in wanted if (key := _path(one)) in held}
    missing = [one for one in wanted if (one.name, one.version) not in found]
    if missing:
        room.progress.start(f"ask for attestations of {len(missing)} npm packages", len(missing))

        def ask(one: Asked) -> ArtifactFile | LockgateError:
            try:
                with TemporaryDirectory(dir=room.work, prefix="npm-attested-") as folder:
                    limit = room.limits.provenance_bytes
                    data = client.attested(one.name, one.address, Path(folder), limit, one.settings)
                sources_of(data)
            except LockgateError as error:
                return error
            finally:
                room.progress.advance(1)
            return ArtifactFile(
                path=_path(one),
                role=Role.PROVENANCE,
                size=len(data),
                sha256=room.keep(data),
                source=shown(one.address),
            )

        with ThreadPoolExecutor(ASKERS) as pool:
            answers = list(pool.map(ask, missing))
        room.progress.finish()
        for one, answer in zip(missing, answers, strict=True):
            if isinstance(answer, ArtifactFile):
                found[one.name, one.version] = answer
            else:
                room.note(
                    f"{one.name} {one.version}: attestations are named but were not kept: {answer.what}"
                )
    return found


def sources_of(data: bytes) -> tuple[str, ...]:
    """Return the repositories that a version was built from, by the SLSA statements of its attestations.

    They are claims until the gate verified them; a version that only its registry attests names none.

    Raises:
        NoAttestationsError: They are no such answer.

    """
    try:
        answer = msgspec.json.decode(data, type=_Answer)
        stated = [json.loads(one.bundle.dsse_envelope.payload) for one in answer.attestations]
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise NoAttestationsError("The registry's answer holds no attestations.") from error
    return tuple(sorted({name for each in stated for name in _repository(each)}))


def _repository(statement: Any) -> tuple[str, ...]:
    match statement:
        case {
            "predicate": {"buildDefinition": {"externalParameters": {"workflow": {"repository": str(said)}}}}
        }:
            pass
        case {"predicate": {"invocation": {"configSource": {"uri": str(said)}}}}:
            said = said.removeprefix("git+").partition("@")[0]
        case _:
            return ()
    line = " ".join(said.replace(",", " ").split())[:_LINE]
    return (line,) if line and line.isprintable() else ()


def _held(room: Room, previous: Lock | None) -> dict[str, ArtifactFile]:
    return {
        file.path: file
        for artifact in (previous.artifacts if previous else ())
        if artifact.kind is Kind.NPM and artifact.purl == npm_purl(artifact.name, artifact.version)
        for file in artifact.files
        if file.role is Role.PROVENANCE and room.blobs.has(file.sha256)
    }


def _path(one: Asked) -> str:
    return f"npm/{one.name}/{tarball_name(one.name, one.version)}{ENDING}"
