"""The bill of materials of a lock: CycloneDX 1.6 in JSON (ECMA-424), with models as ML components.

It is determined by the lock alone, so that anybody can make it again and compare.
"""

import uuid
from typing import Any

from lockgate import __version__
from lockgate.collect.wheels import spdx
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.wire import digest_of, encode, stamp

NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "urn:lockgate:bill-of-materials:v1")
"""Name space of serial numbers (RFC 9562, version 5)."""

_TYPES = {
    Kind.PYTHON: "library",
    Kind.NPM: "library",
    Kind.MODEL: "machine-learning-model",
    Kind.DOCUMENT: "data",
    Kind.FILE: "file",
    Kind.OCI: "container",
    Kind.OLLAMA: "machine-learning-model",
    Kind.DATASET: "data",
    Kind.SPACE: "application",
    Kind.RULES: "data",
    Kind.APT: "application",
    Kind.GIT: "library",
    Kind.RPM: "application",
    Kind.CONDA: "library",
}
_TASKS = {"chat": "text-generation", "embed": "feature-extraction"}


def bill_of_materials(lock: Lock) -> bytes:
    """Return the bill of materials of a lock, as canonical JSON."""
    serial = uuid.uuid5(NAMESPACE, digest_of(lock))
    tool = {"type": "application", "name": "lockgate", "version": __version__}
    return encode(
        {
            "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
            "bomFormat": "CycloneDX",
            "specVersion": "1.6",
            "serialNumber": f"urn:uuid:{serial}",
            "version": 1,
            "metadata": {
                "timestamp": stamp(lock.created),
                "tools": {"components": [tool]},
                "component": {"type": "data", "name": f"lane {lock.lane}", "bom-ref": "lane"},
                "properties": [
                    {"name": "lockgate:lock", "value": digest_of(lock)},
                    {"name": "lockgate:manifest", "value": lock.manifest_sha256},
                ],
            },
            "components": [_component(artifact) for artifact in lock.artifacts],
        }
    )


def _component(artifact: Artifact) -> dict[str, Any]:
    group, _, name = artifact.name.rpartition("/")
    component: dict[str, Any] = {
        "type": _TYPES[artifact.kind],
        "bom-ref": artifact.purl,
        "name": name,
        "version": artifact.version,
        "purl": artifact.purl,
        "components": [_file(artifact, file) for file in artifact.files],
        "properties": [{"name": "lockgate:label", "value": artifact.label}],
    }
    if group:
        component["group"] = group
    if artifact.licence != "unknown":
        component["licenses"] = [_licence(artifact.licence)]
    main = [f for f in artifact.files if f.role not in {Role.CORE_METADATA, Role.PROVENANCE}]
    if len(main) == 1:
        component["hashes"] = _hashes(main[0].sha256)
    if summary := artifact.attributes.get("summary"):
        component["description"] = summary
    if references := [_reference(f) for f in main if f.source.startswith(("https:", "http:"))]:
        component["externalReferences"] = references
    if artifact.origin is not None:
        origin = {
            "type": "library",
            "name": artifact.origin.purl.rpartition("/")[2].partition("@")[0],
            "purl": artifact.origin.purl,
            "hashes": _hashes(artifact.origin.sha256),
        }
        component["pedigree"] = {"ancestors": [origin], "notes": f"member {artifact.origin.member}"}
    component.update(_of_kind(artifact))
    return component


def _of_kind(artifact: Artifact) -> dict[str, Any]:
    if artifact.kind is Kind.MODEL:
        task = _TASKS.get(artifact.attributes.get("task", ""), "unknown")
        form = {"name": "format", "value": artifact.attributes.get("format", "unknown")}
        return {"modelCard": {"modelParameters": {"task": task}, "properties": [form]}}
    if artifact.kind is Kind.DOCUMENT:
        return {"data": [{"type": "other", "name": artifact.attributes.get("title", artifact.name)}]}
    return {}


def _file(artifact: Artifact, file: ArtifactFile) -> dict[str, Any]:
    properties = [
        {"name": "lockgate:role", "value": str(file.role)},
        {"name": "lockgate:size", "value": str(file.size)},
    ]
    if file.source:
        properties.append({"name": "lockgate:source", "value": file.source})
    return {
        "type": "file",
        "bom-ref": f"{artifact.purl}|{file.path}",
        "name": file.path,
        "hashes": _hashes(file.sha256),
        "properties": properties,
    }


def _reference(file: ArtifactFile) -> dict[str, Any]:
    return {"type": "distribution", "url": file.source, "hashes": _hashes(file.sha256)}


def _hashes(digest: str) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": digest}]


def _licence(text: str) -> dict[str, Any]:
    expression = spdx(text)
    return {"expression": expression} if expression else {"license": {"name": text}}
