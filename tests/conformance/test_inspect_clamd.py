"""ClamAV's real daemon as a second opinion: what it finds, what it skips, and what counts without it."""

import os
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest

from corpora.homes import HighSide
from corpora.scanners import MARK, clam_data, clamd
from lockgate.admit import ToInspect
from lockgate.app.gate.gate import SandboxedInspection
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.ports import Silent
from lockgate.core.verdict import Outcome, Severity, Verdict
from lockgate.inspect.clamd import Clamd, ClamdPlace, Daemon, Shown
from lockgate.inspect.errors import ClamdDownError, ClamdOldError
from lockgate.store import FileBlobs

LIMITS = """StreamMaxLength 1M
MaxFileSize 1M
MaxFiles 3
AlertExceedsMax yes
"""
NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdPlace]:
    folder = tmp_path_factory.mktemp("clamd")
    folder.chmod(0o755)
    data = clam_data(folder / "data")
    with clamd(folder, data, LIMITS) as place:
        yield ClamdPlace(place, frozenset({"file"}), database=data)


def verdict(data: bytes) -> Verdict:
    return Verdict(
        path="files/a",
        sha256="0" * 64,
        size=len(data),
        detected="text",
        outcome=Outcome.CLEAN,
        covered=len(data),
        findings=(),
        inspectors=("text/1",),
    )


def asked(place: ClamdPlace, folder: Path, data: bytes, kind: str = "file") -> Verdict:
    file = folder / "sample"
    file.write_bytes(data)
    scanner = Clamd(place, lambda: NOW)
    (said,) = scanner.add(scanner.present(), [Shown(kind, file)], [verdict(data)])
    return said


def archive(*members: bytes) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for number, data in enumerate(members):
            made.writestr(f"{number}.txt", data)
    return out.getvalue()


def test_it_finds_what_its_data_names_also_inside_an_archive(daemon: ClamdPlace, tmp_path: Path) -> None:
    for data in (MARK, archive(b"fine", MARK)):
        said = asked(daemon, tmp_path, data)
        (found,) = said.findings
        assert (found.code, found.severity) == ("clamav-found", Severity.CRITICAL)
        assert "Lockgate-Test-1" in found.why
        assert said.outcome is Outcome.FINDINGS
    fine = asked(daemon, tmp_path, b"nothing to see")
    assert (fine.outcome, fine.findings) == (Outcome.CLEAN, ())
    assert any(name.startswith("clamav/") for name in fine.inspectors)


def test_a_limit_of_its_own_is_never_clean(daemon: ClamdPlace, tmp_path: Path) -> None:
    for data, said in (
        (b"x" * (2 << 20), "size limit exceeded"),
        (archive(*[b"a%d" % n for n in range(9)]), "MaxFiles"),
    ):
        found = asked(daemon, tmp_path, data)
        assert found.outcome is Outcome.INCOMPLETE
        assert found.covered < found.size
        assert said in found.findings[0].why
        assert not any(name.startswith("clamav/") for name in found.inspectors)


def test_a_longer_file_than_it_may_be_shown_is_incomplete(daemon: ClamdPlace, tmp_path: Path) -> None:
    said = asked(replace(daemon, largest=3), tmp_path, b"four")
    assert (said.outcome, said.findings[0].code) == (Outcome.INCOMPLETE, "clamav-unfinished")


def test_other_kinds_and_empty_files_are_not_shown(daemon: ClamdPlace, tmp_path: Path) -> None:
    for data, kind in ((MARK, "model"), (b"", "file")):
        assert asked(daemon, tmp_path, data, kind) == verdict(data)


def test_data_that_is_too_old_or_undated_is_not_relied_on(daemon: ClamdPlace, tmp_path: Path) -> None:
    data = clam_data(tmp_path / "old")
    long_ago = (NOW - timedelta(days=30)).timestamp()
    os.utime(data / "own.ndb", (long_ago, long_ago))
    for place in (replace(daemon, database=data), replace(daemon, database=None)):
        with pytest.raises(ClamdOldError):
            Clamd(place, lambda: NOW).present()
        said = asked(replace(place, required=False), tmp_path, MARK)
        assert [(f.code, f.severity) for f in said.findings] == [("clamav-absent", Severity.LOW)]
        assert said.outcome is Outcome.FINDINGS, "it is never clean"
    assert Clamd(replace(daemon, database=None, age=None), lambda: NOW).present().data == "undated"


def test_a_daemon_that_is_down_stops_inspection_where_it_is_required(tmp_path: Path) -> None:
    place = ClamdPlace(tmp_path / "nobody", frozenset({"file"}))
    with pytest.raises(ClamdDownError, match="cannot be asked"):
        Clamd(place, lambda: NOW).present()
    said = asked(replace(place, required=False), tmp_path, b"text")
    assert [f.code for f in said.findings] == ["clamav-absent"]
    assert said.inspectors == ("text/1",), "a rule that names clamav holds the file"


def test_a_daemon_without_data_is_as_good_as_none(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    data = tmp_path / "data"
    data.mkdir()
    (data / "own.ndb").write_text(f"Other-Thing:0:*:{b'nobody-writes-this-9876543210'.hex()}\n")
    with clamd(tmp_path, data) as place, pytest.raises(ClamdDownError, match="EICAR"):
        Clamd(ClamdPlace(place, frozenset(), database=data), lambda: NOW).present()


@contextmanager
def playing(folder: Path, play: Callable[[socket.socket], None]) -> Iterator[ClamdPlace]:
    """Stand in for a daemon; each connection is given to a function."""
    path = folder / "false"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()

        def loop() -> None:
            while True:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    play(connection)

        thread = threading.Thread(target=loop, daemon=True)
        thread.start()
        yield ClamdPlace(path, frozenset({"file"}), seconds=1.0, age=None)
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def drained(connection: socket.socket, answer: bytes) -> None:
    """Read a whole stream, then answer."""
    with connection.makefile("rb") as stream:
        stream.read(10)
        while size := int.from_bytes(stream.read(4), "big"):
            stream.read(size)
    connection.sendall(answer)


HERE = Daemon(engine="1.4.6", data="1")


@pytest.mark.parametrize(
    "answer",
    [b"stream: OK and more\0", b"OK\0", b"stream: two words FOUND\0", b"x" * 9000, b"stream: OKAY\0"],
)
def test_an_answer_that_is_none_leaves_the_file_incomplete(tmp_path: Path, answer: bytes) -> None:
    file = tmp_path / "sample"
    file.write_bytes(b"text")
    with playing(tmp_path, lambda connection: drained(connection, answer)) as place:
        (said,) = Clamd(place, lambda: NOW).add(HERE, [Shown("file", file)], [verdict(b"text")])
    assert said.outcome is Outcome.INCOMPLETE
    assert said.findings[0].why.isprintable()
    assert len(said.findings[0].why) <= 240


def test_a_daemon_that_goes_away_or_is_silent_is_never_clean(tmp_path: Path) -> None:
    file = tmp_path / "sample"
    file.write_bytes(b"text")
    shown, first = [Shown("file", file)], [verdict(b"text")]
    with (
        playing(tmp_path, lambda connection: drained(connection, b"")) as place,
        pytest.raises(ClamdDownError),
    ):
        Clamd(place, lambda: NOW).add(HERE, shown, first)
    (tmp_path / "false").unlink()
    held = threading.Event()
    with playing(tmp_path, lambda connection: held.wait(120)) as place:
        (said,) = Clamd(place, lambda: NOW).add(HERE, shown, first)
        held.set()
    assert (said.outcome, "silent" in said.findings[0].why) == (Outcome.INCOMPLETE, True)


def test_a_high_side_names_it_in_its_settings_and_its_verdicts_rest_on_it(
    daemon: ClamdPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = HighSide.new(tmp_path)
    monkeypatch.setenv("LOCKGATE_CLAMAV__SOCKET", str(daemon.socket))
    monkeypatch.setenv("LOCKGATE_CLAMAV__DATABASE", str(daemon.database))
    digest = FileBlobs(high.side.home.quarantine).put_bytes(MARK)
    file = ArtifactFile(path="files/a.txt", role=Role.OTHER, size=len(MARK), sha256=digest)
    artifact = Artifact(purl="pkg:generic/a@1", kind=Kind.FILE, name="a", version="1", files=(file,))
    inspection = SandboxedInspection(high.side, Silent(), 1)
    on_disk = FileBlobs(high.side.home.quarantine).path(digest)
    (said,) = inspection.inspect([ToInspect(artifact, file, on_disk)])
    assert [f.code for f in said.findings] == ["clamav-found"]
    assert said.rests_on == inspection.basis()
    assert said.rests_on["clamav"].startswith("1.")
    monkeypatch.setenv("LOCKGATE_CLAMAV__SOCKET", str(tmp_path / "nobody"))
    with pytest.raises(ClamdDownError):
        SandboxedInspection(high.side, Silent(), 1)
