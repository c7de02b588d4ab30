"""Records that are opened by several threads: any order, one content; the first bad one is what is said."""

import threading
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag

from corpora.watched_records import SECONDS, THREADS, Counted, Watched
from crossing_lane import MIB, Lane, filler, tree
from lockgate.crossing import Received, SealedCrate, crew
from lockgate.crossing.errors import CrateIoError, RecordDamagedError, SealerFaultError
from lockgate.crossing.folder import CrateFile
from lockgate.crossing.format import RECORD_SIZE, TAG_SIZE

FILES = {"files/a": filler("a", 2 * MIB + 7), "files/b": filler("b", 4 * MIB)}


@pytest.fixture(autouse=True)
def _three_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many cores there are."""
    monkeypatch.setattr(crew, "workers", lambda: THREADS)


@pytest.fixture
def lane() -> Lane:
    return Lane()


@pytest.fixture
def crate(lane: Lane, tmp_path: Path) -> SealedCrate:
    sealed = lane.seal(tmp_path / "outbox", FILES, volume_bytes=8 * MIB)
    assert len(sealed.manifest.volumes) == 1
    return sealed


def altered(crate: SealedCrate, *numbers: int) -> None:
    """Change a byte of some records of the only volume."""
    volume = crate.manifest.volumes[0]
    header = volume.size - volume.plaintext_size - TAG_SIZE * volume.records
    with (crate.path / volume.name).open("r+b") as file:
        for number in numbers:
            file.seek(header + number * (RECORD_SIZE + TAG_SIZE))
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 1]))


def test_records_that_are_opened_in_another_order_stand_in_their_own(
    lane: Lane, crate: SealedCrate, tmp_path: Path
) -> None:
    together, later = threading.Barrier(THREADS), threading.Event()

    def before(number: int) -> None:
        if number < THREADS:
            together.wait(SECONDS)  # each in a thread of its own, or this never ends
        if number == 0:
            assert later.wait(SECONDS)

    def after(number: int) -> None:
        if number == THREADS:
            later.set()

    progress, cipher = Counted("open"), Watched(before, after)
    received = lane.opener(tmp_path / "staging", cipher=cipher).receive(crate.path, progress)
    assert isinstance(received, Received)
    assert sorted(cipher.numbers) == list(range(crate.manifest.volumes[0].records))
    for path, data in FILES.items():
        assert lane.quarantine.read(received.targets[path].sha256) == data
    assert progress.done == crate.manifest.plaintext_size


def test_of_several_bad_records_the_first_is_named_whichever_is_judged_first(
    lane: Lane, crate: SealedCrate, tmp_path: Path
) -> None:
    judged = threading.Event()

    def before(number: int) -> None:
        if number == 1:
            assert judged.wait(SECONDS)
            raise InvalidTag
        if number == 2:
            judged.set()
            raise InvalidTag

    with pytest.raises(SealerFaultError, match="Record 1 of"):
        lane.opener(tmp_path / "staging", cipher=Watched(before)).receive(crate.path)
    assert tree(tmp_path / "staging") == {}


def test_what_a_digest_refuses_is_never_decrypted(lane: Lane, crate: SealedCrate, tmp_path: Path) -> None:
    altered(crate, 1, 2, 4)
    cipher = Watched(lambda _: None)
    with pytest.raises(RecordDamagedError, match="Record 1 of"):
        lane.opener(tmp_path / "staging", cipher=cipher).receive(crate.path)
    assert not {1, 2, 4} & set(cipher.numbers)


def test_a_medium_that_fails_is_named_after_what_lies_before_it(
    lane: Lane, crate: SealedCrate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, failed = CrateFile.fill, threading.Event()

    def failing(file: CrateFile, target: memoryview, offset: int) -> bool:
        if offset > 3 * RECORD_SIZE:
            failed.set()
            raise CrateIoError("The medium is worn.", file=file.name)
        return real(file, target, offset)

    def before(number: int) -> None:
        if number == 1:
            assert failed.wait(SECONDS)
            raise InvalidTag

    monkeypatch.setattr(CrateFile, "fill", failing)
    with pytest.raises(SealerFaultError, match="Record 1 of"):
        lane.opener(tmp_path / "staging", cipher=Watched(before)).receive(crate.path)
    with pytest.raises(CrateIoError, match="worn"):
        lane.opener(tmp_path / "staging").receive(crate.path)
