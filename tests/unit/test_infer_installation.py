"""An installed engine is compared with the admitted wheel before it runs."""

import base64
import hashlib
import io
import os
import zipfile
from pathlib import Path

import pytest

from lockgate.core.artifact import UnsafePathError
from lockgate.core.errors import TooLargeError
from lockgate.infer import Installation, wheel_files
from lockgate.infer.engines import installation as module
from lockgate.infer.engines.installation import record_digests, verify
from lockgate.infer.errors import EngineFilesError

FILES = {"engine/bin/server": b"program", "engine/bin/lib.so": b"library", "engine/__init__.py": b""}


def record(files: dict[str, bytes]) -> str:
    lines = []
    for path, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{path},sha256={digest},{len(data)}")
    return "\n".join([*lines, "engine-1.dist-info/RECORD,,", ""])


def wheel(files: dict[str, bytes], records: int = 1) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in files.items():
            archive.writestr(path, data)
        for n in range(records):
            archive.writestr(f"engine-{n}.dist-info/RECORD", record(files))
    out.seek(0)
    return out


@pytest.fixture
def installed(tmp_path: Path) -> Installation:
    for path, data in FILES.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    return Installation(tmp_path, "engine/bin/server", wheel_files(wheel(FILES)), "pkg:pypi/engine@1")


def test_wheel_lists_its_files() -> None:
    found = wheel_files(wheel(FILES))
    assert found == {path: hashlib.sha256(data).hexdigest() for path, data in FILES.items()}


def test_untouched_installation_passes(installed: Installation) -> None:
    verify(installed)
    assert installed.sha256 == hashlib.sha256(b"program").hexdigest()


def test_changed_file_is_refused(installed: Installation) -> None:
    (installed.root / "engine/bin/lib.so").write_bytes(b"librarY")
    with pytest.raises(EngineFilesError) as caught:
        verify(installed)
    assert caught.value.where["file"] == "engine/bin/lib.so"


def test_missing_file_is_refused(installed: Installation) -> None:
    (installed.root / "engine/bin/lib.so").unlink()
    with pytest.raises(EngineFilesError, match="missing"):
        verify(installed)


def test_extra_library_beside_the_program_is_refused(installed: Installation) -> None:
    (installed.root / "engine/bin/libggml-evil.so").write_bytes(b"x")
    with pytest.raises(EngineFilesError, match="not in the admitted wheel"):
        verify(installed)


def test_link_is_refused(installed: Installation) -> None:
    program = installed.root / "engine/bin/lib.so"
    program.rename(installed.root / "elsewhere")
    program.symlink_to(installed.root / "elsewhere")
    with pytest.raises(EngineFilesError, match="link"):
        verify(installed)


def test_pipe_in_place_of_a_file_is_refused_as_extra(installed: Installation) -> None:
    os.mkfifo(installed.root / "engine/bin/pipe")
    with pytest.raises(EngineFilesError):
        verify(installed)


def test_program_that_the_wheel_does_not_list_is_refused(tmp_path: Path) -> None:
    foreign = Installation(tmp_path, "engine/bin/server", {}, "pkg:pypi/engine@1")
    with pytest.raises(EngineFilesError):
        verify(foreign)
    with pytest.raises(EngineFilesError):
        _ = foreign.sha256


def test_missing_folder_is_a_missing_file(installed: Installation, tmp_path: Path) -> None:
    elsewhere = Installation(tmp_path / "none", installed.executable, installed.files, installed.name)
    with pytest.raises(EngineFilesError, match="missing"):
        verify(elsewhere)


def test_too_many_files_beside_the_program(installed: Installation, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FILES_LIMIT", 1)
    with pytest.raises(TooLargeError):
        verify(installed)
    with pytest.raises(TooLargeError):
        record_digests(record(FILES).encode())


@pytest.mark.parametrize("records", [0, 2])
def test_wheel_without_exactly_one_record_is_refused(records: int) -> None:
    with pytest.raises(EngineFilesError):
        wheel_files(wheel(FILES, records))


def test_damaged_wheel_is_refused() -> None:
    with pytest.raises(EngineFilesError):
        wheel_files(io.BytesIO(b"PK nonsense"))


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"a,md5=xx,1\n", EngineFilesError),
        (b"a,sha256=***,1\n", EngineFilesError),
        (b"\xff,sha256=AA,1\n", EngineFilesError),
        (b"../a,sha256=AAAA,1\n", UnsafePathError),
    ],
)
def test_malformed_record_is_refused(line: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        record_digests(line)


def test_record_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RECORD_LIMIT", 10)
    with pytest.raises(TooLargeError):
        record_digests(b"x" * 11)
