"""Sealing: what is refused before a byte is written, what an interruption leaves, fresh keys."""

import multiprocessing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from crossing_lane import MIB, NOW, Lane, filler, tree
from lockgate.core.errors import LockgateError
from lockgate.core.roots import KeyPurposeError, Purpose
from lockgate.crossing import Received, RecordSealLedger, SealedCrate, errors
from lockgate.crossing.disk import alone
from lockgate.crossing.ports import Aead
from lockgate.crossing.volumes import aes_gcm
from lockgate.trust.errors import WrongLaneError

FILES = {"files/a": filler("a", 3 * MIB), "files/b": b"b"}


@pytest.fixture
def lane() -> Lane:
    return Lane()


class Watched:
    """A cipher that remembers every key and nonce, and may fail at one of them."""

    def __init__(self, fail_at: int = -1) -> None:
        self.used: list[tuple[bytes, bytes]] = []
        self.fail_at = fail_at

    def __call__(self, key: bytes) -> Aead:
        watched = self

        class Cipher:
            def encrypt_into(
                self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
            ) -> int:
                watched.used.append((key, nonce))
                if len(watched.used) == watched.fail_at:
                    raise OSError(5, "Input/output error")
                return aes_gcm(key).encrypt_into(nonce, data, associated_data, buf)

            def decrypt_into(
                self, nonce: bytes, data: memoryview, associated_data: bytes, buf: memoryview
            ) -> int:
                return aes_gcm(key).decrypt_into(nonce, data, associated_data, buf)

        return Cipher()


def test_no_key_and_nonce_repeat_over_volumes_crates_and_failures(lane: Lane, tmp_path: Path) -> None:
    watched = Watched(fail_at=3)
    with pytest.raises(errors.CrateIoError):
        lane.seal(tmp_path / "outbox", FILES, cipher=watched)
    failed = len(watched.used)  # another thread may have begun a record meanwhile
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]
    first = lane.seal(tmp_path / "outbox", FILES, cipher=watched)
    second = lane.seal(tmp_path / "outbox", FILES, cipher=watched)
    assert first.manifest.sequence == 1
    assert len(set(watched.used)) == len(watched.used)
    volumes = len(first.manifest.volumes) + len(second.manifest.volumes)
    assert len({key for key, _ in watched.used[failed:]}) == volumes
    assert len({nonce[:7] for _, nonce in watched.used[failed:]}) == volumes


def test_the_last_record_is_marked_and_only_that(lane: Lane, tmp_path: Path) -> None:
    watched = Watched()
    sealed = lane.seal(tmp_path / "outbox", FILES, cipher=watched)
    flags = [(int.from_bytes(nonce[7:11], "big"), nonce[11]) for _, nonce in watched.used]
    expected = [(n, int(n == v.records - 1)) for v in sealed.manifest.volumes for n in range(v.records)]
    assert sorted(flags) == sorted(expected)  # threads seal them in no order


def test_equal_randomness_gives_equal_volumes_but_for_the_wrapped_keys(lane: Lane, tmp_path: Path) -> None:
    """What is random in a crate comes in through the entropy, apart from HPKE's own."""
    crates = []
    for number in (1, 2):
        counter = iter(range(1000))
        lane.low_records = type(lane.low_records)()
        crates.append(
            lane.seal(
                tmp_path / str(number),
                FILES,
                entropy=lambda n, counter=counter: filler(str(next(counter)), n),  # type: ignore[misc]
            )
        )
    one, two = (c.manifest for c in crates)
    assert one.crate == two.crate
    assert [v.commitment for v in one.volumes] == [v.commitment for v in two.volumes]
    sealed = [(c.path / "vol-0002.lgv").read_bytes() for c in crates]
    header = one.volumes[1].size - one.volumes[1].plaintext_size - 16 * one.volumes[1].records
    assert sealed[0][header:] == sealed[1][header:]
    assert sealed[0][:header] != sealed[1][:header]


def test_too_little_space_is_said_before_a_byte_is_written(lane: Lane, tmp_path: Path) -> None:
    with pytest.raises(errors.NoSpaceError) as caught:
        lane.seal(tmp_path / "outbox", FILES, free=lambda _: 3 * MIB)
    assert caught.value.where["missing"] > 0
    assert [p.name for p in (tmp_path / "outbox").iterdir()] == [".sealing"]
    crate = lane.seal(tmp_path / "outbox", FILES)
    with pytest.raises(errors.NoSpaceError):
        lane.opener(tmp_path / "staging", free=lambda _: 3 * MIB).receive(crate.path)
    assert tree(tmp_path / "staging") == {}
    assert isinstance(lane.opener(tmp_path / "staging").receive(crate.path), Received)


@pytest.mark.parametrize(
    ("files", "error"),
    [
        ({"meta/lock.json": b"mine"}, errors.SealRequestError),
        ({"tuf/timestamp.json": b"mine"}, errors.SealRequestError),
    ],
)
def test_files_in_the_crate_s_own_places(
    lane: Lane, tmp_path: Path, files: dict[str, bytes], error: type[LockgateError]
) -> None:
    with pytest.raises(error):
        lane.seal(tmp_path / "outbox", files)


def test_a_file_that_the_store_does_not_hold(lane: Lane, tmp_path: Path) -> None:
    request = lane.request(FILES)
    lane.low_blobs._blobs.clear()  # type: ignore[attr-defined]
    with pytest.raises(errors.SealRequestError) as caught:
        lane.sealer(tmp_path / "outbox").seal(request)
    assert caught.value.where["path"] == "files/a"


def test_a_lock_of_another_lane(lane: Lane, tmp_path: Path) -> None:
    other = Lane(name="elsewhere", low_blobs=lane.low_blobs).request(FILES)
    with pytest.raises(WrongLaneError):
        lane.sealer(tmp_path / "outbox").seal(other)


def test_keys_that_the_high_side_would_refuse(lane: Lane, tmp_path: Path) -> None:
    with pytest.raises(KeyPurposeError):
        lane.seal(tmp_path / "outbox", FILES, signers=(lane.signers[Purpose.TARGETS],))
    with pytest.raises(errors.SealRequestError):
        lane.seal(tmp_path / "outbox", FILES, signers=())


def test_a_volume_size_without_room(lane: Lane, tmp_path: Path) -> None:
    with pytest.raises(errors.VolumeSizeError):
        lane.seal(tmp_path / "outbox", FILES, volume_bytes=700)
    with pytest.raises(errors.CrateLimitError):
        lane.seal(tmp_path / "outbox", {"files/a": filler("x", 40 * MIB)}, volume_bytes=4096)


def test_the_inspection_travels_as_evidence(lane: Lane, tmp_path: Path) -> None:
    sealed = lane.sealer(tmp_path / "outbox").seal(replace(lane.request(FILES), inspection=b"{}"))
    received = lane.opener(tmp_path / "staging").receive(sealed.path)
    assert isinstance(received, Received)
    assert lane.quarantine.read(received.targets["meta/inspection.dsse.json"].sha256) == b"{}"


def test_planning_reserves_nothing(lane: Lane, tmp_path: Path) -> None:
    plan = lane.sealer(tmp_path / "outbox").plan(lane.request(FILES))
    assert plan.sequence == 1
    assert plan.files == 8 + 4 + len(FILES)  # update metadata, documents, files
    assert lane.low_records._data == {}
    assert not (tmp_path / "outbox").exists()


def unfinished(crate: SealedCrate) -> Path:
    """What a kill between the ledger and the last rename leaves."""
    return crate.path.rename(crate.path.with_name(f".partial-{crate.path.name}"))


def test_a_whole_crate_that_lacked_its_name_gets_it(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES)
    unfinished(crate)
    assert lane.sealer(tmp_path / "outbox").settle() == [crate.path]
    assert (crate.path / "crate.json").is_file()


def test_an_unfinished_crate_is_discarded(lane: Lane, tmp_path: Path) -> None:
    crate = lane.seal(tmp_path / "outbox", FILES)
    (unfinished(crate) / "crate.json").unlink()
    assert lane.sealer(tmp_path / "outbox").settle() == []
    assert tree(tmp_path / "outbox") == {}
    assert RecordSealLedger(lane.low_records).peek().sequence == 2


def _hold(file: Path, held: object, leave: object) -> None:
    with alone(file):
        held.set()  # type: ignore[attr-defined]
        leave.wait(120)  # type: ignore[attr-defined]


def test_one_process_seals_at_a_time(lane: Lane, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    held, leave = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(tmp_path / "outbox" / ".sealing", held, leave))
    other.start()
    try:
        assert held.wait(120)
        with pytest.raises(errors.CrossingBusyError):
            lane.seal(tmp_path / "outbox", FILES)
    finally:
        leave.set()
        other.join()
    assert lane.seal(tmp_path / "outbox", FILES).manifest.sequence == 1


def test_the_crate_s_validity_follows_the_clock(lane: Lane, tmp_path: Path) -> None:
    manifest = lane.seal(tmp_path / "outbox", FILES, valid=timedelta(days=3)).manifest
    assert (manifest.created, manifest.expires) == (NOW, NOW + timedelta(days=3))


def test_every_error_has_a_code_of_its_own() -> None:
    classes = [c for c in vars(errors).values() if isinstance(c, type) and c.__module__ == errors.__name__]
    codes = [c.code for c in classes]
    assert len(set(codes)) == len(codes) > 25
    faults = {2: "1", 3: "2", 4: "3", 5: "4", 6: "5"}
    for error in classes:
        assert error.code.startswith(f"LG-{faults[error.exit_status]}7"), error
