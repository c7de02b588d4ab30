"""A real collection through the machine's own pip and its configured sources."""

import json
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from lockgate.collect import Collected, PipPackages, UrlWeb, collect
from lockgate.collect.errors import UnresolvableError
from lockgate.core.artifact import Lock, Role
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs

pytestmark = pytest.mark.online


def gather(tmp_path: Path, requirement: str, previous: Lock | None = None) -> Collected:
    manifest = tmp_path / "m.toml"
    manifest.write_text(f'[[python]]\nrequirements = ["{requirement}"]\n')
    pip = PipPackages(os.environ)
    return collect(
        manifest,
        blobs=FileBlobs(tmp_path / "blobs"),
        work=tmp_path / "work",
        lane="online",
        clock=lambda: datetime.now(UTC),
        progress=Silent(),
        packages=pip,
        web=UrlWeb(pip.web_settings()),
        previous=previous,
    )


def test_httpx_with_everything_it_needs(tmp_path: Path) -> None:
    first = gather(tmp_path, "httpx")
    blobs = FileBlobs(tmp_path / "blobs")
    names = {a.name for a in first.lock.artifacts}
    assert {"httpx", "httpcore", "h11", "idna", "certifi", "anyio"} <= names
    for artifact in first.lock.artifacts:
        roles = [f.role for f in artifact.files]
        assert roles[:2] == [Role.DISTRIBUTION, Role.CORE_METADATA]
        assert artifact.licence != "unknown"
        for file in artifact.files:
            assert sha256(blobs.read(file.sha256)) == file.sha256
    httpx = next(a for a in first.lock.artifacts if a.name == "httpx")
    assert httpx.files[0].uploaded is not None
    assert httpx.licence == "BSD-3-Clause"
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(first.sbom.decode()) is None
    assert len(json.loads(first.sbom)["components"]) == len(names)
    assert gather(tmp_path, "httpx", first.lock).lock is first.lock


def test_what_nobody_offers_is_told_in_pips_words(tmp_path: Path) -> None:
    with pytest.raises(UnresolvableError) as caught:
        gather(tmp_path, "httpx==0.0.0.1")
    assert "httpx==0.0.0.1" in caught.value.what
