"""What is known of media: their life, what fits on them, and encrypted ones."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossing_lane import NOW
from lockgate.crossing.media import (
    MEDIA,
    Disposition,
    MediaLife,
    MediumEvent,
    format_luks,
    luks,
    medium_named,
    open_luks,
    pieces,
    read_luks,
    write_seconds,
)
from lockgate.crossing.media.errors import (
    DeviceMapperError,
    MediumEndedError,
    MediumInUseError,
    MediumNameError,
    MediumSpaceError,
    MediumUnknownError,
    ProgramFailedError,
    ReadBackError,
)
from lockgate.crossing.media.sizes import RESERVE, file_bytes, spread
from lockgate.store import MemoryRecords

MIB = 1 << 20


def event(done: Disposition, by: str = "B. Clerk", hours: int = 0) -> MediumEvent:
    return MediumEvent(at=NOW + timedelta(hours=hours), done=done, by=by, crates=("a" * 64,))


def test_a_medium_is_open_until_somebody_says_what_became_of_it() -> None:
    life = MediaLife(MemoryRecords())
    assert life.note("USB-1", event(Disposition.READ), marking="internal", write_once=True).open
    done = life.note("USB-1", event(Disposition.DESTROYED, "C. Guard", 1))
    assert (done.open, done.marking, done.write_once) == (False, "internal", True)
    assert [(e.done, e.by) for e in done.events] == [("read", "B. Clerk"), ("destroyed", "C. Guard")]
    assert list(life.lives()) == [done]


def test_a_destroyed_medium_does_not_come_back_and_a_marking_does_not_change() -> None:
    life = MediaLife(MemoryRecords())
    life.note("USB-1", event(Disposition.READ), marking="internal")
    with pytest.raises(MediumEndedError):
        life.note("USB-1", event(Disposition.READ), marking="public")
    life.note("USB-1", event(Disposition.WIPED))
    life.note("USB-1", event(Disposition.DESTROYED))
    with pytest.raises(MediumEndedError):
        life.note("USB-1", event(Disposition.READ))
    assert [len(one.events) for one in life.lives()] == [3]


@pytest.mark.parametrize("text", ["", "a\nb", "\x1b[2J", "x" * 121])
def test_what_cannot_stand_on_a_label_is_refused(text: str) -> None:
    life = MediaLife(MemoryRecords())
    with pytest.raises(MediumNameError):
        life.note(text, event(Disposition.READ))
    with pytest.raises(MediumNameError):
        life.note("USB-1", event(Disposition.READ, by=text))
    assert list(life.lives()) == []


def test_media_have_their_sizes() -> None:
    assert MEDIA["fat32"].volume_bytes == 4 * 2**30 - 1
    assert (MEDIA["dvd"].capacity, MEDIA["bd25"].capacity) == (4_700_372_992, 25_025_314_816)
    assert (MEDIA["bd50"].capacity, MEDIA["bd100"].capacity) == (50_050_629_632, 100_103_356_416)
    assert all(m.capacity is None or m.volume_bytes < m.capacity for m in MEDIA.values())
    assert MEDIA["bd25"].write_once
    assert medium_named("5000000").volume_bytes == 5_000_000
    for text in ("bd", "", "12", "1e9", "-5", "²"):
        with pytest.raises(MediumUnknownError):
            medium_named(text)


def test_discs_and_time_are_told_beforehand() -> None:
    volumes = [24 * 10**9] * 3
    assert pieces(volumes, 5 * MIB, MEDIA["bd25"]) == [[0], [1], [2]]
    assert pieces(volumes, 5 * MIB, MEDIA["bd50"]) == [[0, 1], [2]]
    assert pieces(volumes, 5 * MIB, MEDIA["fat32"]) == [[0, 1, 2]]
    assert 2000 < write_seconds(24 * 10**9, MEDIA["bd25"]) < 3000
    with pytest.raises(MediumSpaceError):
        pieces([26 * 10**9], 0, MEDIA["bd25"])


@given(st.lists(st.integers(0, 50 * MIB), max_size=30), st.integers(0, MIB), st.integers(3 * MIB, 200 * MIB))
def test_nothing_is_put_where_it_has_no_room(sizes: list[int], repeated: int, room: int) -> None:
    rooms = [room] * 20
    try:
        placed = spread(sizes, repeated, rooms)
    except MediumSpaceError as error:
        assert error.where["missing"] > 0  # noqa: PT017  # both outcomes are judged
        return
    assert [place for places in placed for place in places] == list(range(len(sizes)))
    for places in placed:
        assert sum(file_bytes(sizes[n]) for n in places) + repeated * bool(places) <= room - RESERVE * bool(
            places
        )


@pytest.fixture
def device(tmp_path: Path) -> tuple[Path, Path]:
    path, key = tmp_path / "device", tmp_path / "key"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    key.write_text("a passphrase for the test")
    return path, key


@pytest.mark.alone
@pytest.mark.slow  # its key derivation takes all memory and seconds, as it should
def test_an_encrypted_medium_has_the_header_that_was_asked_for(device: tuple[Path, Path]) -> None:
    path, key = device
    header = format_luks(path, key, erase=False)
    assert (header.cipher, header.derivation, header.key_bits) == ("aes-xts-plain64", "argon2id", 512)
    assert read_luks(path) == header
    with pytest.raises(MediumInUseError):
        format_luks(path, key, erase=False)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 8000)
        file.seek(16384 + 4096)
        file.write(b"\xff" * 8000)
    with pytest.raises(ProgramFailedError):
        read_luks(path)


def test_what_is_no_device_is_not_encrypted(device: tuple[Path, Path], tmp_path: Path) -> None:
    path, key = device
    with pytest.raises(ReadBackError):
        read_luks(path)
    path.write_bytes(b"somebody's letters")
    with pytest.raises(MediumInUseError):
        format_luks(path, key, erase=False)
    assert path.read_bytes() == b"somebody's letters"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(MediumInUseError):
        format_luks(tmp_path / "pipe", key, erase=True)


def test_without_device_mapper_opening_is_refused_by_name(
    device: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(luks, "CONTROL", tmp_path / "no-control")
    with pytest.raises(DeviceMapperError) as caught:
        open_luks(*device, name="lockgate-test")
    assert caught.value.code == "LG-5733"
