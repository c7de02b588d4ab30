"""Scanners that crash, hang, lie, change, take away or forge: nothing they do makes a file clean."""

import errno
import os
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Self

import pytest

from corpora.processes import demand_ended
from lockgate.core.artifact import LOCK_FORMAT, Artifact, ArtifactFile, Kind, Lock, Role
from lockgate.core.ports import Silent
from lockgate.core.station import ScannerFacts, StationReport
from lockgate.core.verdict import Outcome
from lockgate.crossing.station import (
    CommandScanner,
    DropScanner,
    Identity,
    Opened,
    ResultWords,
    Said,
    Scanner,
    Station,
    StationParts,
    demand_sight,
)
from lockgate.crossing.station import stage as staging
from lockgate.crossing.station.errors import (
    ScannerBlindError,
    ScannerChangedError,
    ScannerError,
    StageIoError,
    StageSpaceError,
    StationSettingsError,
)
from lockgate.crossing.station.sample import pattern
from lockgate.crossing.station.stage import write_staged
from lockgate.store import MemoryBlobs, MemoryRecords
from lockgate.store.errors import BlobMismatchError

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
GOOD, WORSE = b"a note about pumps\n", b"a note with malware\n"


def finds(data: bytes) -> bool:
    return b"EICAR" in data or b"malware" in data


@dataclass
class Honest(Scanner):
    """A scanner in this process that finds what it must; `then` does something to each staged file after."""

    stage: Path
    then: Callable[[Path], Path | None] = lambda path: path
    version: str = "1"
    outcome: Outcome = Outcome.CLEAN
    seen: list[bytes] = field(default_factory=list)

    def identify(self) -> ScannerFacts:
        return ScannerFacts(name="honest", version=self.version, adapter="double")

    def scan(self, staged):
        data = staged.path.read_bytes()
        self.seen.append(data)
        if finds(data):
            return Said(Outcome.FINDINGS, ("Bad",), path=staged.path)
        if data.startswith(b"a note"):
            return Said(self.outcome, path=self.then(staged.path))
        return Said(Outcome.CLEAN, path=staged.path)


@dataclass
class Desk:
    """A station whose crossing has the files that a test names."""

    scanner: Scanner
    contents: MemoryBlobs = field(default_factory=MemoryBlobs)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    free: int = 1 << 40
    largest: int = 1 << 20

    def scan(self, *files: bytes) -> StationReport:
        listed = tuple(
            ArtifactFile(
                path=f"documents/{n}.md",
                role=Role.DOCUMENT,
                size=len(data),
                sha256=self.contents.put_bytes(data),
            )
            for n, data in enumerate(files)
        )
        artifact = Artifact(purl="pkg:generic/a@1", kind=Kind.DOCUMENT, name="a", version="1", files=listed)
        lock = Lock(
            format=LOCK_FORMAT, lane="test", created=NOW, manifest_sha256="0" * 64, artifacts=(artifact,)
        )
        parts = StationParts(
            scanner=self.scanner,
            contents=self.contents,
            records=self.records,
            clock=lambda: NOW,
            free=lambda: self.free,
            largest=self.largest,
            lives=timedelta(days=7),
        )
        return Station(parts).scan(Opened("test", 1, "c" * 64, lock, "d" * 64), Silent())

    def outcomes(self, *files: bytes) -> list[tuple[str, str]]:
        return [(scan.outcome.value, scan.why) for scan in self.scan(*files).files]


@pytest.fixture
def honest(tmp_path: Path) -> Honest:
    (tmp_path / "stage").mkdir()
    return Honest(tmp_path / "stage")


def test_an_honest_scanner_tells_good_from_bad(honest: Honest) -> None:
    report = Desk(honest).scan(GOOD, WORSE)
    assert [scan.outcome for scan in report.files] == [Outcome.CLEAN, Outcome.FINDINGS]
    assert report.files[1].names == ("Bad",)
    assert report.outcome is Outcome.FINDINGS
    assert not list(honest.stage.iterdir())


def rewrite(path: Path) -> Path:
    path.chmod(0o600)
    path.write_bytes(b"a note about pomps\n")
    return path


def link(path: Path) -> Path:
    copy = path.with_name("copy")
    copy.write_bytes(path.read_bytes())
    path.unlink()
    path.symlink_to(copy)
    return path


def pipe(path: Path) -> Path:
    path.unlink()
    os.mkfifo(path)
    return path


@pytest.mark.parametrize(
    ("then", "why"),
    [
        (rewrite, "changed while"),
        (lambda path: path.unlink() or path, "took the file away"),
        (lambda path: path.unlink(), "took the file away"),
        (link, "cannot be read after"),
        (pipe, "no regular file"),
    ],
)
def test_a_file_that_is_not_as_it_was_after_the_scanner_had_it_is_not_clean(
    honest: Honest, then: Callable[[Path], Path | None], why: str
) -> None:
    honest.then = then
    ((outcome, said),) = Desk(honest).outcomes(GOOD)
    assert outcome == "incomplete"
    assert why in said


def test_a_scanner_that_takes_away_what_it_finds_is_still_believed_that_it_found(honest: Honest) -> None:
    class Taking(Honest):
        def scan(self, staged):
            said = super().scan(staged)
            if said.outcome is Outcome.FINDINGS:
                staged.path.unlink()
                return Said(said.outcome, said.names)
            return said

    assert Desk(Taking(honest.stage)).outcomes(GOOD, WORSE) == [("clean", ""), ("findings", "")]


@pytest.mark.parametrize("blind", ["everything", "nothing", "long", "later", "away"])
def test_a_scanner_that_does_not_look_signs_nothing(honest: Honest, blind: str) -> None:
    class Blind(Honest):
        calls = 0

        def scan(self, staged):
            self.calls += 1
            said = super().scan(staged)
            size = staged.path.stat().st_size
            if (
                blind == "everything"
                or (blind == "long" and size > 4096)
                or (blind == "later" and self.calls > 4)
            ):
                return Said(Outcome.CLEAN, path=staged.path)
            if blind == "nothing":
                return Said(Outcome.FINDINGS, ("all is bad",), path=staged.path)
            if blind == "away":
                staged.path.unlink()
                return Said(said.outcome)
            return said

    with pytest.raises(ScannerBlindError):
        Desk(Blind(honest.stage)).scan(GOOD, b"a note" + b"." * 8000)
    assert not list(honest.stage.iterdir())


def test_what_is_longer_than_the_scanner_reads_is_not_clean_and_never_shown(honest: Honest) -> None:
    desk = Desk(honest, largest=4096)
    assert desk.outcomes(GOOD, b"a note" + b"." * 5000) == [
        ("clean", ""),
        ("incomplete", "It has 5006 bytes; this scanner is asked about 4096 at most."),
    ]
    assert max(len(data) for data in honest.seen) < 5000


def test_a_scanner_that_is_replaced_meanwhile_signs_nothing(honest: Honest) -> None:
    def upgrade(path: Path) -> Path:
        honest.version = "2"
        return path

    honest.then = upgrade
    with pytest.raises(ScannerChangedError, match="was honest 1 and is honest 2"):
        Desk(honest).scan(GOOD)


def test_an_unfinished_answer_is_asked_again_and_a_finished_one_is_not(honest: Honest) -> None:
    desk = Desk(honest)
    honest.outcome = Outcome.INCOMPLETE
    assert desk.outcomes(GOOD)[0][0] == "incomplete"
    honest.outcome = Outcome.CLEAN
    assert desk.outcomes(GOOD)[0][0] == "clean"
    honest.outcome = Outcome.INCOMPLETE
    assert desk.outcomes(GOOD)[0][0] == "clean"
    honest.version = "2"
    assert desk.outcomes(GOOD)[0][0] == "incomplete"


def test_content_that_changed_on_the_station_s_disk_is_not_shown(honest: Honest) -> None:
    desk = Desk(honest)

    class Rotten(MemoryBlobs):
        def open(self, digest):
            stream = super().open(digest)
            if digest == sha256(GOOD).hexdigest():
                stream.read(1)
            return stream

    desk.contents = Rotten()
    with pytest.raises(BlobMismatchError):
        desk.scan(GOOD)
    assert GOOD[1:] not in honest.seen


def test_a_full_disk_stops_before_and_while_a_file_is_staged(
    honest: Honest, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(StageSpaceError, match="are free"):
        Desk(honest, free=1000).scan(GOOD)

    def full(*words: object) -> object:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(staging, "_create", full)
        with pytest.raises(StageSpaceError, match="no more room"):
            Desk(honest).scan(GOOD)
    assert Desk(honest).outcomes(GOOD) == [("clean", "")]


# Programs


def program(tmp_path: Path, body: str, **more: object) -> CommandScanner:
    script = tmp_path / "scanner"
    script.write_text(f"#!/bin/sh\n{body}\n")
    script.chmod(0o755)
    stage = tmp_path / "stage"
    stage.mkdir(exist_ok=True)
    return CommandScanner(Identity("own", "1"), (str(script), "{file}"), stage, **more)  # type: ignore[arg-type]


LOOKS = 'case "$(tail -c 200 "$1")" in *EICAR*|*malware*) echo "$1: Bad.Thing FOUND"; exit 1;; esac\n'


@pytest.mark.parametrize(
    ("body", "outcome", "why"),
    [
        ("exit 0", Outcome.CLEAN, ""),
        ("exit 1", Outcome.FINDINGS, ""),
        ("exit 2", Outcome.INCOMPLETE, "It ended with status 2."),
        ("kill -SEGV $$", Outcome.INCOMPLETE, "It ended with signal 11."),
        ('echo "$1: Bad.Thing FOUND"; exit 0', Outcome.FINDINGS, ""),
        ("head -c 3000000 /dev/zero; exit 0", Outcome.CLEAN, ""),
        ("exec 1>&- 2>&-; exit 0", Outcome.CLEAN, ""),
    ],
)
def test_an_exit_status_means_what_the_settings_say_and_no_more(
    tmp_path: Path, body: str, outcome: Outcome, why: str
) -> None:
    scanner = program(tmp_path, body)
    said = scanner.scan(write_staged(scanner.stage, "a.txt", [GOOD]))
    assert (said.outcome, said.why) == (outcome, why)


def test_a_program_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    scanner = program(tmp_path, f"sleep 600 & echo $! > {tmp_path}/child; wait", seconds=5)
    said = scanner.scan(write_staged(scanner.stage, "a.txt", [GOOD]))
    assert (said.outcome, said.why) == (Outcome.INCOMPLETE, "It did not finish within 5 seconds.")
    demand_ended(int((tmp_path / "child").read_text()))


def test_a_child_that_keeps_the_output_open_does_not_hold_the_station_up(tmp_path: Path) -> None:
    scanner = program(tmp_path, "sleep 600 & exit 0", seconds=2)
    assert scanner.scan(write_staged(scanner.stage, "a.txt", [GOOD])).outcome is Outcome.CLEAN


def test_a_program_that_only_says_clean_is_found_out(tmp_path: Path) -> None:
    with pytest.raises(ScannerBlindError):
        Desk(program(tmp_path, "exit 0")).scan(GOOD)
    assert Desk(program(tmp_path, LOOKS)).outcomes(GOOD, WORSE) == [("clean", ""), ("findings", "")]
    with pytest.raises(ScannerBlindError):
        Desk(program(tmp_path, f"[ $(wc -c < $1) -gt 2000 ] && exit 0\n{LOOKS}")).scan(
            b"a note" + b"." * 9000
        )


def test_names_that_draw_over_the_screen_are_made_plain(tmp_path: Path) -> None:
    scanner = program(tmp_path, "printf '%s: Evil\\033[2J\\tName FOUND\\n' x; exit 1")
    said = scanner.scan(write_staged(scanner.stage, "a.txt", [GOOD]))
    assert said.names == ("Evil [2J Name",)


def test_settings_that_cannot_tell_clean_from_found_are_refused(tmp_path: Path) -> None:
    for more in ({"clean": frozenset({0, 1})}, {"clean": frozenset()}, {"infected": frozenset()}):
        with pytest.raises(StationSettingsError):
            program(tmp_path, "exit 0", **more)
    with pytest.raises(StationSettingsError):
        CommandScanner(Identity("own", "1"), ("scanner",), tmp_path)
    with pytest.raises(StationSettingsError, match="version"):
        CommandScanner(Identity("own"), ("scanner", "{file}"), tmp_path).identify()
    with pytest.raises(ScannerError):
        CommandScanner(Identity("own", "", ("/nonexistent",)), ("x", "{file}"), tmp_path).identify()
    with pytest.raises(ScannerError):
        CommandScanner(Identity("own", "1", database=tmp_path / "no"), ("x", "{file}"), tmp_path).identify()
    with pytest.raises(ScannerError):
        CommandScanner(Identity("own", "", ("false",)), ("x", "{file}"), tmp_path).identify()


def test_nothing_of_a_file_s_name_reaches_the_scanner_but_a_plain_ending() -> None:
    for path, ending in (
        ("a/b.tar.gz", r"\.tar\.gz"),
        ("a/$(reboot).whl", r"\.whl"),
        ("a/--help", ""),
        ("a/x.a b", ""),
        ("a/x." + "y" * 40, ""),
        ("a/x.\u202etxt", ""),
    ):
        assert re.fullmatch(r"[0-9a-f]{32}" + ending, staging.name_for(path)), path


# Watched folders


class Watcher:
    """A scanner that watches a folder: moves files, or writes results, as a test says."""

    def __init__(self, folder: Path, act: Callable[[Path, bytes], None]) -> None:
        self.folder, self._act, self._done = folder, act, threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Self:
        for name in ("in", "clean", "infected", "result", "stage"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        known: set[str] = set()
        while not self._done.wait(0.005):
            for path in (self.folder / "in").iterdir():
                if path.name not in known:
                    known.add(path.name)
                    self._act(path, path.read_bytes())


def mover(path: Path, data: bytes) -> None:
    path.rename(path.parent.parent / ("infected" if finds(data) else "clean") / path.name)


def writer(path: Path, data: bytes) -> None:
    result = path.parent.parent / "result" / f"{path.name}.txt"
    result.write_text("INFECTED Bad.Thing\n" if finds(data) else "CLEAN\n")


def drop(folder: Path, words: ResultWords | None = None, seconds: int = 30) -> DropScanner:
    return DropScanner(
        Identity("own", "1"), folder, words, seconds, pause=lambda _: threading.Event().wait(0.005)
    )


@pytest.mark.parametrize(("act", "words"), [(mover, None), (writer, ResultWords())])
def test_a_watched_folder_answers_by_moving_or_by_a_result(
    tmp_path: Path, act: Callable[[Path, bytes], None], words: ResultWords | None
) -> None:
    with Watcher(tmp_path / "drop", act):
        report = Desk(drop(tmp_path / "drop", words)).scan(GOOD, WORSE)
    assert [scan.outcome.value for scan in report.files] == ["clean", "findings"]
    assert report.files[1].names == (("Bad.Thing",) if words else ())
    assert not [path for path in (tmp_path / "drop").rglob("*") if path.is_file()]


def test_a_folder_that_nobody_watches_is_no_clean_file(tmp_path: Path) -> None:
    ticks = iter(range(1000))
    scanner = DropScanner(
        Identity("own", "1"), tmp_path, None, 5, pause=lambda _: None, clock=lambda: float(next(ticks))
    )
    (tmp_path / "stage").mkdir()
    said = scanner.scan(write_staged(scanner.stage, "a.txt", [GOOD]))
    assert (said.outcome, said.why) == (Outcome.INCOMPLETE, "There was no answer within 5 seconds.")
    assert said.path == tmp_path / "in/a.txt"


def forged(words: str) -> Callable[[Path, bytes], None]:
    def act(path: Path, data: bytes) -> None:
        if not data.startswith(b"a note"):
            writer(path, data)
            return
        result = path.parent.parent / "result" / f"{path.name}.txt"
        if words == "link":
            (path.parent.parent / "real").write_text("CLEAN\n")
            result.symlink_to(path.parent.parent / "real")
        elif words == "pipe":
            os.mkfifo(result)
        elif words == "long":
            result.write_text("CLEAN" + " " * 5000)
        elif words == "gone":
            path.unlink()
            result.write_text("CLEAN\n")
        elif words == "swapped":
            path.unlink()
            path.write_bytes(b"something else\n")
            result.write_text("CLEAN\n")
        else:
            result.write_text(words)

    return act


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ("link", "cannot be opened"),
        ("pipe", "no regular file"),
        ("long", "no end"),
        ("MAYBE\n", "Its result says: MAYBE"),
        ("\n", "Its result says"),
        ("gone", "took the file away"),
        ("swapped", "changed while"),
    ],
)
def test_a_result_that_is_planted_or_odd_is_never_clean(tmp_path: Path, words: str, why: str) -> None:
    with Watcher(tmp_path / "drop", forged(words)):
        ((outcome, said),) = Desk(drop(tmp_path / "drop", ResultWords())).outcomes(GOOD)
    assert outcome == "incomplete"
    assert why in said


def test_a_result_is_taken_only_once_its_line_is_whole(tmp_path: Path) -> None:
    def slowly(path: Path, data: bytes) -> None:
        result = path.parent.parent / "result" / f"{path.name}.txt"
        with result.open("w") as file:
            for piece in ("CLE", "AN") if not finds(data) else ("CLEAN, no: ", "not"):
                file.write(piece)
                file.flush()
                threading.Event().wait(0.02)
            if finds(data):
                file.seek(0)
                file.truncate()
                file.write("INFECTED Bad")
            file.write("\n")

    with Watcher(tmp_path / "drop", slowly):
        report = Desk(drop(tmp_path / "drop", ResultWords())).scan(GOOD, WORSE)
    assert [scan.outcome.value for scan in report.files] == ["clean", "findings"]


@pytest.mark.parametrize("name", ["stage", "in", "clean", "infected"])
def test_a_link_in_place_of_one_of_the_folders_is_refused(tmp_path: Path, name: str) -> None:
    folder, elsewhere = tmp_path / "drop", tmp_path / "elsewhere"
    folder.mkdir()
    elsewhere.mkdir()
    (elsewhere / "keep").write_text("kept")
    (folder / name).symlink_to(elsewhere)
    with pytest.raises(StageIoError):
        Desk(drop(folder)).scan(GOOD)
    assert [path.name for path in elsewhere.iterdir()] == ["keep"]


def test_a_file_is_clean_in_neither_place_while_it_is_copied_and_found_where_it_lies_in_both(
    tmp_path: Path,
) -> None:
    looked = threading.Event()

    def copying(path: Path, data: bytes) -> None:
        target = path.parent.parent / ("infected" if finds(data) else "clean") / path.name
        target.write_bytes(data[:8])
        looked.clear()
        looked.wait(120)  # the station looks while half of it is there
        target.write_bytes(data)
        path.unlink()

    def both(path: Path, data: bytes) -> None:
        if data == GOOD:
            for place in ("clean", "infected"):
                (path.parent.parent / place / path.name).write_bytes(data)
            return
        mover(path, data)

    def pause(_: float) -> None:
        looked.set()
        threading.Event().wait(0.005)

    with Watcher(tmp_path / "one", copying):
        scanner = DropScanner(Identity("own", "1"), tmp_path / "one", None, 30, pause=pause)
        assert Desk(scanner).outcomes(GOOD) == [("clean", "")]
    with Watcher(tmp_path / "two", both):
        ((outcome, _),) = Desk(drop(tmp_path / "two")).outcomes(GOOD)
    assert outcome in {"findings", "incomplete"}


def test_what_an_interrupted_run_left_is_swept_and_links_are_not_followed(honest: Honest) -> None:
    outside = honest.stage.parent / "outside"
    outside.write_text("kept")
    (honest.stage / "left").write_bytes(GOOD)
    (honest.stage / "link").symlink_to(outside)
    Desk(honest).scan(GOOD)
    assert outside.read_text() == "kept"
    assert not list(honest.stage.iterdir())


def test_the_pattern_is_the_published_one() -> None:
    assert len(pattern()) == 68
    assert sha256(pattern()).hexdigest() == "275a021bbfb6489e54d471899f7db9d1663fc695ec2fe2a2c4538aabf651fd0f"


def test_the_samples_are_as_long_as_asked(honest: Honest) -> None:
    assert demand_sight(honest, 5 << 20) > 5 << 20
    assert max(len(data) for data in honest.seen) > 5 << 20
