"""Keys of receipts' digests lie encrypted: without the file of keys no guess can be tested."""

import hmac
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.homes import HighSide
from infer_doubles import NOW, Counting
from lockgate.app.high.receipts import RING, digest_rings, receipts_of, rotate_receipt_key, seal_bare_keys
from lockgate.core.errors import MalformedDocumentError
from lockgate.infer import FileReceipts, FileRings, MemoryRings, RecordReceipts, digestkeys
from lockgate.infer.digestkeys import KEY, DigestKeyAlteredError, new_ring_key, seal_anew
from lockgate.infer.receiptstore import RECEIPT
from lockgate.store import MemoryRecords, Transaction, open_records

ID, OTHER = "ab" * 16, "cd" * 16
SECRET = bytes(range(100, 132))
GUESSES = [f"my pin is {number}".encode() for number in range(1000)]
PROMPT = GUESSES[417]


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


class CountingRecords(MemoryRecords):
    """Records that count their transactions."""

    begun = 0

    def transaction(self) -> AbstractContextManager[Transaction]:
        self.begun += 1
        return super().transaction()


def database(high: HighSide) -> Path:
    return high.side.home.root / "receipts.sqlite"


def bytes_of(folder: Path, name: str) -> bytes:
    """Everything that lies in files whose names begin so: a database, its log, its index."""
    return b"".join(path.read_bytes() for path in sorted(folder.glob(f"{name}*")))


def guessed(stolen: bytes, digest: bytes) -> bytes | None:
    """Try every run of 32 stolen bytes as the key of a digest, with every guess that is worth one."""
    for at in range(len(stolen) - 31):
        if hmac.digest(stolen[at : at + 32], PROMPT, "sha256") == digest:
            return next(g for g in GUESSES if hmac.digest(stolen[at : at + 32], g, "sha256") == digest)
    return None


def keep(high: HighSide, receipt_id: str = ID, key: bytes = SECRET) -> bytes:
    """Keep a receipt with a digest of the prompt; return the digest."""
    digest = hmac.digest(key, PROMPT, "sha256")
    receipts_of(high.side).put(receipt_id, b'{"prompt_hmac":"%b"}' % digest.hex().encode(), key)
    return digest


def keep_bare(high: HighSide, receipt_id: str = ID, key: bytes = SECRET) -> None:
    """Keep a receipt as an earlier version did."""
    with open_records(f"sqlite:///{database(high)}").transaction() as tx:
        tx.insert(RECEIPT, receipt_id, b"{}")
        tx.insert(KEY, receipt_id, key)


def test_a_stolen_database_tests_no_guess(high: HighSide) -> None:
    digest = keep(high)
    stolen = bytes_of(high.side.home.root, "receipts.sqlite")
    assert digest.hex().encode() in stolen
    assert guessed(stolen, digest) is None
    found = receipts_of(high.side).get(ID)
    assert found is not None
    assert guessed(b"xy" + found[1], digest) == PROMPT, "with the file of keys the digest can be compared"


def test_keys_of_an_earlier_version_are_encrypted_and_leave_no_trace(high: HighSide) -> None:
    console = open_records(f"sqlite:///{database(high)}")  # keeps the log of what was written before
    keep_bare(high)
    older = FileReceipts(high.side.home.root / "receipts")
    older.put(OTHER, b"{}", SECRET[::-1])
    digest = hmac.digest(SECRET, PROMPT, "sha256")
    assert guessed(bytes_of(high.side.home.root, "receipts.sqlite"), digest) == PROMPT
    assert receipts_of(high.side).get(ID) == (b"{}", SECRET), "it is read before it is encrypted"
    assert seal_bare_keys(high.side) == 2
    assert SECRET not in bytes_of(high.side.home.root, "receipts.sqlite")
    assert SECRET[::-1] not in bytes_of(high.side.home.root / "receipts" / OTHER[:2], "")
    receipts = receipts_of(high.side)
    assert (receipts.get(ID), receipts.get(OTHER)) == ((b"{}", SECRET), (b"{}", SECRET[::-1]))
    assert seal_bare_keys(high.side) == 0
    console.close()


def test_a_rotation_encrypts_everything_anew_and_forgets_the_old_key(high: HighSide, tmp_path: Path) -> None:
    keep(high)
    stolen = tmp_path / "stolen-keys"
    shutil.copy(high.side.home.keys / RING, stolen)
    ran = Commands().run("gateway", "rotate-receipt-key", "--home", high.side.home.root)
    assert ran.status == 0, ran.err
    assert "1 keys" in ran.out
    receipts = receipts_of(high.side)
    assert receipts.get(ID) == (receipts.get(ID)[0], SECRET)  # type: ignore[index]
    with open_records(f"sqlite:///{database(high)}").transaction() as tx:
        kept = tx.get(KEY, ID)
    assert kept is not None
    assert FileRings(stolen, lambda: NOW).ring().open(ID, kept) == b""
    assert len(digest_rings(high.side).ring().keys) == 1


def test_receipts_that_are_kept_during_a_rotation_stay_readable(high: HighSide) -> None:
    writing, stop, kept = receipts_of(high.side), threading.Event(), []

    def write() -> None:
        while not stop.is_set():
            receipt_id = f"{len(kept) % 256:02x}{len(kept):030x}"
            writing.put(receipt_id, b"{}", SECRET)
            kept.append(receipt_id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(2):
            before = len(kept)
            rotate_receipt_key(high.side)
            while len(kept) < before + 5 and writer.is_alive():
                stop.wait(0.01)
    finally:
        stop.set()
        writer.join()
    receipts = receipts_of(high.side)
    assert len(kept) >= 10
    assert all(receipts.get(each) == (b"{}", SECRET) for each in kept)


def test_a_rotation_that_was_stopped_goes_on(high: HighSide) -> None:
    keep(high)
    seal_bare_keys(high.side)
    digest_rings(high.side).add(new_ring_key(lambda: NOW, Counting()))
    assert receipts_of(high.side).get(ID)[1] == SECRET  # type: ignore[index]
    assert seal_bare_keys(high.side) == 1
    assert digest_rings(high.side).drop_older() == 1
    assert receipts_of(high.side).get(ID)[1] == SECRET  # type: ignore[index]


def test_a_backup_holds_no_key_and_one_that_is_lost_is_as_good_as_erased(high: HighSide) -> None:
    high.publish(1, "first")
    digest = keep(high)
    high.backup()
    files = [path for path in (high.folder / "backup").rglob("*") if path.is_file()]
    assert any(path.name == "receipts.sqlite" for path in files)
    stolen = b"".join(path.read_bytes() for path in files if "receipts" in path.name)
    assert digest.hex().encode() in stolen
    assert guessed(stolen, digest) is None
    assert RING not in {path.name for path in files}
    high.lose("receipts.sqlite")
    ring = (high.side.home.keys / RING).read_bytes()
    (high.side.home.keys / RING).unlink()
    high.restore()
    data, key = receipts_of(high.side).get(ID) or (b"", b"none")
    assert digest.hex().encode() in data
    assert key == b""
    (high.side.home.keys / RING).write_bytes(ring)
    assert receipts_of(high.side).get(ID) == (data, SECRET), "what was restored unopened opens with its key"


def test_a_backup_of_an_earlier_version_comes_back_encrypted(high: HighSide) -> None:
    high.publish(1, "first")
    keep_bare(high)
    high.backup()
    high.lose("receipts.sqlite")
    high.restore()
    assert receipts_of(high.side).get(ID) == (b"{}", SECRET)
    assert SECRET not in bytes_of(high.side.home.root, "receipts.sqlite")


def test_a_key_opens_for_its_own_receipt_alone() -> None:
    entropy = Counting()
    records, rings = MemoryRecords(), MemoryRings(lambda: NOW, entropy)
    receipts = RecordReceipts(records, rings)
    receipts.put_all([(ID, b"1", SECRET), (OTHER, b"2", SECRET[::-1])])
    with records.transaction() as tx:
        mine, others = tx.get(KEY, ID), tx.get(KEY, OTHER)
        assert mine is not None
        assert others is not None
        tx.put(KEY, ID, others)
    with pytest.raises(DigestKeyAlteredError, match=ID):
        receipts.get(ID)
    rings.add(new_ring_key(lambda: NOW, entropy))
    with pytest.raises(DigestKeyAlteredError):
        seal_anew(records, rings.ring())
    for altered in (mine[:-1] + bytes([mine[-1] ^ 1]), mine[:40], mine[:13]):
        with pytest.raises(DigestKeyAlteredError):
            rings.ring().open(ID, altered)


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7])
def test_keys_are_encrypted_anew_some_at_a_time_and_none_is_left_out(
    count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digestkeys, "ROWS", 3)
    records, rings = CountingRecords(), MemoryRings(lambda: NOW)
    receipts = RecordReceipts(records, rings)
    names = [f"{'ab' * 15}{number:02x}" for number in range(count)]  # their first digits tell nothing apart
    receipts.put_all([(name, b"{}", SECRET) for name in names])
    rings.add(new_ring_key(lambda: NOW, Counting()))
    before = records.begun
    assert seal_anew(records, rings.ring()) == count
    assert records.begun - before == count // 3 + 1
    assert seal_anew(records, rings.ring()) == 0
    assert rings.drop_older() == 1
    assert [receipts.get(name) for name in names] == [(b"{}", SECRET)] * count


def test_two_processes_that_begin_at_once_have_one_key(tmp_path: Path) -> None:
    places = [FileRings(tmp_path / "keys" / RING, lambda: NOW) for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda place: place.ring().keys, places))
    assert len({keys[0].id for keys in found}) == 1
    assert (tmp_path / "keys" / RING).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in (tmp_path / "keys").iterdir()] == [RING]


def test_a_file_of_keys_that_is_none_is_refused(tmp_path: Path) -> None:
    place = tmp_path / RING
    place.write_bytes(b'{"format":"lockgate-receipt-keys/1","keys":[]}')
    with pytest.raises(MalformedDocumentError):
        FileRings(place, lambda: NOW).ring()


def test_keys_that_are_sealed_together_have_nonces_of_their_own_and_open_one_by_one() -> None:
    ring = MemoryRings(lambda: NOW).ring()
    keys = [(f"{at:032x}", bytes([at]) * 32) for at in range(20)]
    sealed = ring.seal_each(keys)
    assert [ring.open(name, kept) for (name, _), kept in zip(keys, sealed, strict=True)] == [
        k for _, k in keys
    ]
    same = ring.seal_each([(ID, SECRET)] * 20)
    assert len({kept[13:25] for kept in sealed + same}) == len({*sealed, *same}) == 40
    with pytest.raises(DigestKeyAlteredError):
        ring.open(keys[1][0], sealed[0])
    assert ring.seal_each([]) == []
