"""Engines that are an environment of wheels, or a folder of files: all of it admitted, or nothing starts."""

import hashlib
import io
import zipfile
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from corpora.wheels import Wheel, build_wheel
from lockgate.app.high import engine as module
from lockgate.app.high.engine import EngineInstallError, NoEngineError, environment, program
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import Admitted
from lockgate.infer.engines.installation import installed_files, verify
from lockgate.infer.errors import EngineFilesError

ENGINE = build_wheel("vllm", "1.0", requires=("helper==2.0",))
HELPER = build_wheel("Helper", "2.0")


def admitted(kind: Kind, name: str, version: str, path: str, digest: str) -> Admitted:
    role = Role.DISTRIBUTION if kind is Kind.PYTHON else Role.OTHER
    artifact = Artifact(
        purl=f"pkg:generic/{name}@{version}",
        kind=kind,
        name=name,
        version=version,
        files=(ArtifactFile(path=path, role=role, size=1, sha256=digest),),
    )
    return Admitted(
        artifact=artifact, crossing=1, crate_sha256="c" * 64, verdicts_sha256="d" * 64, outcome="clean"
    )


class Site:
    """A high side whose channel has these wheels and files."""

    def __init__(
        self, tmp: Path, patch: pytest.MonkeyPatch, *wheels: Wheel, files: tuple[bytes, ...] = ()
    ) -> None:
        self.wheels = {wheel.sha256: wheel.data for wheel in wheels}
        snapshot = [
            admitted(Kind.PYTHON, *wheel.filename.split("-")[:2], wheel.filename, wheel.sha256)
            for wheel in wheels
        ]
        snapshot += [
            admitted(Kind.FILE, f"file{at}", "1", f"files/{at}", hashlib.sha256(data).hexdigest())
            for at, data in enumerate(files)
        ]
        channel = SimpleNamespace(snapshot=SimpleNamespace(admitted=tuple(snapshot)))
        reader = SimpleNamespace(current=lambda: channel)
        blobs = SimpleNamespace(open=lambda digest: io.BytesIO(self.wheels[digest]))
        patch.setattr(module, "channel_reader", lambda *_: reader)
        patch.setattr(module, "blobs_of", lambda _: blobs)
        section = SimpleNamespace(project="vllm", executable="", folder="", kind="vllm")
        self.side: Any = SimpleNamespace(
            home=SimpleNamespace(runtime=tmp), settings=SimpleNamespace(engine=section)
        )
        self.root = tmp / f"vllm-1.0-{ENGINE.sha256[:12]}"

    def install(self, *wheels: Wheel) -> None:
        """Unpack wheels as pip does, with what it writes beside them."""
        for wheel in wheels:
            with zipfile.ZipFile(io.BytesIO(wheel.data)) as archive:
                archive.extractall(self.root)
        for info in self.root.glob("*.dist-info"):
            (info / "INSTALLER").write_text("pip\n")
        module_file = self.root / module.EXECUTABLE
        assert not module_file.exists(), "the wheel of these tests has no such module"


def test_the_digests_are_those_of_admitted_wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, ENGINE, HELPER)
    site.install(ENGINE, HELPER)
    found = environment(site.side)
    assert {"vllm/__init__.py", "helper/__init__.py"} <= found.files.keys()
    assert found.files["helper/__init__.py"] == hashlib.sha256(b'VERSION = "2.0"\n').hexdigest()
    with pytest.raises(EngineFilesError, match="api_server"):
        verify(found)  # all is there but the module that would be started
    (site.root / "helper/__init__.py").write_text("VERSION = 3\n")
    complete = {**found.files, module.EXECUTABLE: hashlib.sha256(b"").hexdigest()}
    (site.root / module.EXECUTABLE).parent.mkdir(parents=True)
    (site.root / module.EXECUTABLE).touch()
    changed = type(found)(found.root, found.executable, complete, found.name, found.module)
    with pytest.raises(EngineFilesError, match=r"helper/__init__\.py"):
        verify(changed)


def test_a_project_that_nobody_admitted_stops_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch, ENGINE)
    site.install(ENGINE, HELPER)
    with pytest.raises(EngineInstallError, match=r"helper-2\.0"):
        environment(site.side)


def test_another_build_of_an_admitted_version_stops_the_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(tmp_path, monkeypatch, ENGINE, HELPER)
    site.install(ENGINE, HELPER)
    (site.root / "helper-2.0.dist-info/WHEEL").write_text(
        "Wheel-Version: 1.0\nTag: cp311-cp311-linux_x86_64\n"
    )
    with pytest.raises(EngineInstallError, match=r"helper-2\.0"):
        environment(site.side)


def test_an_environment_that_is_not_installed_is_said_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EngineInstallError, match="not installed"):
        environment(Site(tmp_path, monkeypatch, ENGINE).side)


def test_files_of_a_wheel_lie_where_installers_put_them() -> None:
    listed = {
        "pkg/a.py": "1",
        "pkg-1.data/purelib/b.py": "2",
        "pkg-1.data/platlib/c.so": "3",
        "pkg-1.data/data/share/d": "4",
        "pkg-1.data/data/lib/libd.so": "6",
        "pkg-1.data/scripts/run": "5",
    }
    assert installed_files(listed) == {"pkg/a.py": "1", "b.py": "2", "c.so": "3", "share/d": "4"}


def test_every_file_of_a_programs_folder_is_admitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site(tmp_path, monkeypatch, files=(b"program", b"library"))
    folder = tmp_path / "ollama"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/ollama").write_bytes(b"program")
    (folder / "libx.so").write_bytes(b"library")
    section = site.side.settings.engine
    section.folder, section.executable = str(folder), "bin/ollama"
    found = program(site.side)
    assert found.name == "pkg:generic/file0@1"
    assert found.files.keys() == {"bin/ollama", "libx.so"}
    section.executable = "bin/other"
    with pytest.raises(NoEngineError, match="bin/other"):
        program(site.side)
    section.executable = "bin/ollama"
    (folder / "liby.so").write_bytes(b"other")
    with pytest.raises(NoEngineError, match=r"liby\.so"):
        program(site.side)
    section.folder = "relative/ollama"
    with pytest.raises(NoEngineError):
        program(site.side)
