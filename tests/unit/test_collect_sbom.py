"""The bill of materials: valid CycloneDX 1.6, determined by the lock."""

import json

import msgspec
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from collect_doubles import make_artifact, make_lock, sha
from lockgate.collect import bill_of_materials
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Lock, Origin, Role


def sample() -> Lock:
    wheel = Artifact(
        purl="pkg:pypi/thing@1.0",
        kind=Kind.PYTHON,
        name="thing",
        version="1.0",
        files=(
            ArtifactFile(
                path="python/thing/t.whl",
                role=Role.DISTRIBUTION,
                size=3,
                sha256=sha(b"whl"),
                source="https://index.invalid/t.whl",
            ),
            ArtifactFile(
                path="python/thing/t.whl.metadata", role=Role.CORE_METADATA, size=2, sha256=sha(b"md")
            ),
        ),
        licence="MIT OR Apache-2.0",
        attributes={"summary": "A thing"},
    )
    model = make_artifact(
        "org/small",
        "f" * 40,
        b"weights",
        b"tokens",
        kind=Kind.MODEL,
        licence="A licence of its own",
        origin=Origin(purl="pkg:pypi/weights@1.0", member="weights/a.gguf", sha256=sha(b"w")),
        attributes={"format": "gguf", "task": "chat"},
    )
    document = make_artifact(
        "book/a.md", "1", b"# A", kind=Kind.DOCUMENT, attributes={"title": "A", "collection": "book"}
    )
    npm = make_artifact("@garden/tree", "1.0.0", b"tgz", kind=Kind.NPM, licence="MIT")
    return make_lock(wheel, model, document, npm, make_artifact("blob", "1", b"...", kind=Kind.FILE))


def test_it_is_valid_by_the_published_schema() -> None:
    error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(bill_of_materials(sample()).decode())
    assert error is None, error


def test_the_validator_would_object() -> None:
    bom = json.loads(bill_of_materials(sample()))
    bom["components"][0]["type"] = "thing"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bom)) is not None


def test_components_carry_what_the_lock_knows() -> None:
    found = {c["bom-ref"]: c for c in json.loads(bill_of_materials(sample()))["components"]}
    wheel = found["pkg:pypi/thing@1.0"]
    assert wheel["licenses"] == [{"expression": "MIT OR Apache-2.0"}]
    assert wheel["hashes"] == [{"alg": "SHA-256", "content": sha(b"whl")}]
    assert wheel["externalReferences"][0]["url"] == "https://index.invalid/t.whl"
    model = next(c for c in found.values() if c["type"] == "machine-learning-model")
    assert (model["group"], model["name"]) == ("org", "small")
    assert model["modelCard"]["modelParameters"]["task"] == "text-generation"
    assert model["licenses"] == [{"license": {"name": "A licence of its own"}}]
    assert model["pedigree"]["ancestors"][0]["purl"] == "pkg:pypi/weights@1.0"
    assert [c["hashes"][0]["content"] for c in model["components"]] == [sha(b"weights"), sha(b"tokens")]
    assert {c["type"] for c in found.values()} == {"library", "machine-learning-model", "data", "file"}


def test_the_lock_determines_it() -> None:
    lock = sample()
    assert bill_of_materials(lock) == bill_of_materials(sample())
    other = msgspec.structs.replace(lock, lane="other")
    serial, changed = (json.loads(bill_of_materials(each))["serialNumber"] for each in (lock, other))
    assert serial != changed
    assert serial.startswith("urn:uuid:")
