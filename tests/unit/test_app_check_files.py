"""`doctor --files`: one byte changed anywhere is named by its file, with what to do; nothing is changed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from test_who import TEXT, _site

from corpora.commands import Commands
from lockgate.app.check.files import DatabaseDamagedError, Looked, _whole, look
from lockgate.app.settings import load_settings
from lockgate.core.digests import sha256
from lockgate.core.ports import Silent

HIGH, LOW = "high", "low"
UNSIGNED = {"api-keys.json", "quotas.json", "grants.json", "publish-000001.json"}


@pytest.fixture(scope="module")
def lane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("LOCKGATE_HOME", raising=False)
        made = _site(tmp_path_factory.mktemp("files")).lane
        commands, home = Commands(), ("--home", made / HIGH)
        commands.json("gateway", "key", "add", "desk", *home)
        commands.run("gateway", "quota", "set", "desk", "--requests", 5, *home)
        commands.run("gateway", "grant", "set", "local", "desk", "--label", "internal", *home)
        yield made


def looked(lane: Path, side: str) -> Looked:
    return look(load_settings(lane / side), Silent())


@contextmanager
def flipped(file: Path) -> Iterator[None]:
    """Change one byte of a file for a while: in the middle; of a first name where nothing is signed."""
    before = file.read_bytes()
    at = 3 if file.name in UNSIGNED else len(before) // 2
    file.write_bytes(before[:at] + bytes([before[at] ^ 1]) + before[at + 1 :])
    try:
        yield
    finally:
        file.write_bytes(before)


def kept(folder: Path) -> dict[str, str]:
    """Return the digest of each file; of a database that of its rows, since SQLite moves what it holds."""
    found = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".sqlite":
            with closing(sqlite3.connect(path)) as database:
                found[str(path)] = sha256("\n".join(database.iterdump()).encode())
        elif path.is_file() and not path.name.endswith(("-wal", "-shm")):
            found[str(path)] = sha256(path.read_bytes())
    return found


@pytest.mark.parametrize("side", [HIGH, LOW])
def test_a_whole_side_has_no_fault_and_nothing_is_written(lane: Path, side: str) -> None:
    before = kept(lane / side)
    found = looked(lane, side)
    assert found.faults == []
    assert kept(lane / side) == before
    parts = {"roots", "databases", "documents", "requests", "channels", "verdicts", "audit log", "crates"}
    wanted = {
        HIGH: {*parts, "blobs", "quarantine"},
        LOW: {"roots", "databases", "lock", "audit log", "blobs"},
    }
    assert set(found.parts) >= wanted[side]
    assert found.parts["blobs"] > 0


@pytest.mark.parametrize(
    ("side", "pattern", "part", "code"),
    [
        (HIGH, "trust/site.dsse.json", "roots", "LG-"),
        (HIGH, "trust/1.root.json", "roots", "LG-"),
        (LOW, "trust/1.root.json", "roots", "LG-"),
        (HIGH, "trust/api-keys.json", "documents", "LG-1001"),
        (HIGH, "trust/quotas.json", "documents", "LG-1001"),
        (HIGH, "trust/grants.json", "documents", "LG-1001"),
        (HIGH, "pending/publish-000001.json", "requests", "LG-"),
        (HIGH, "channels/stable.dsse.json", "channels", "LG-"),
        (HIGH, "inbox/crate-000001-*/vol-0001.lgv", "crates", "LG-2f31"),
        (HIGH, "inbox/crate-000001-*/shards.idx", "crates", "LG-2708"),
        (LOW, "outbox/crate-000001-*/vol-0001.lgv", "crates", "LG-2f31"),
        (HIGH, f"blobs/*/{sha256(TEXT)}", "blobs", "LG-2f20"),
        (LOW, f"blobs/*/{sha256(TEXT)}", "blobs", "LG-2f20"),
        (HIGH, f"quarantine/*/{sha256(TEXT)}", "quarantine", "LG-2f20"),
        (LOW, "locks/lock.dsse.json", "lock", "LG-"),
        (LOW, "locks/lock.json", "lock", "LG-"),
        (LOW, "locks/sbom.cdx.json", "lock", "LG-"),
    ],
)
def test_one_changed_byte_is_named_by_its_file_with_what_to_do(
    lane: Path, side: str, pattern: str, part: str, code: str
) -> None:
    (file,) = (lane / side).glob(pattern)
    with flipped(file):
        faults = [fault for fault in looked(lane, side).faults if fault.part == part]
    (fault,) = faults
    assert fault.error.code.startswith(code)
    named = str(fault.error.where["file"])
    # one signature is over all of a lock, and what a root says is in its folder
    assert named.endswith(file.name) or named in {str(file.parent), str(file.parent / "lock.dsse.json")}
    assert fault.error.what_to_do
    assert "bytes and not" not in fault.error.what  # its length is what it was
    assert looked(lane, side).faults == []


def test_a_channels_own_file_is_written_again_as_the_advice_says(lane: Path) -> None:
    file = lane / HIGH / "channels/stable.dsse.json"
    whole = file.read_bytes()
    file.write_bytes(whole[:-40])
    (fault,) = looked(lane, HIGH).faults
    assert "`lockgate gate list` writes the file again" in fault.error.what_to_do
    assert Commands().run("gate", "list", "--home", lane / HIGH).status == 0
    assert file.read_bytes() == whole


def test_what_is_served_and_missing_is_named_with_the_crossing_that_brings_it(lane: Path) -> None:
    (blob,) = (lane / HIGH).glob(f"blobs/*/{sha256(TEXT)}")
    aside = blob.rename(lane / "aside")
    (fault,) = looked(lane, HIGH).faults
    aside.rename(blob)
    assert fault.part == "channels"
    assert "notes/01-pump.md" in fault.error.what
    assert "crossing 1" in fault.error.what_to_do
    assert fault.error.where["sha256"] == sha256(TEXT)


def test_verdicts_that_nobody_signed_are_named_with_their_crossing(lane: Path) -> None:
    digests = [path for path in (lane / HIGH).glob("quarantine/*/*") if path.stat().st_size < 1 << 20]
    (file,) = (path for path in digests if path.read_bytes().startswith(b'{"crate_sha256"'))
    with flipped(file):
        faults = looked(lane, HIGH).faults
    assert {fault.part for fault in faults} == {"verdicts", "quarantine"}
    assert next(f.error.where["of"] for f in faults if f.part == "verdicts") == "crossing 1"


def test_a_damaged_database_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a b.sqlite"
    with closing(sqlite3.connect(file)) as database:
        database.execute("CREATE TABLE t (a TEXT)")
        database.executemany("INSERT INTO t VALUES (?)", [("x" * 500,) for _ in range(100)])
        database.commit()
    _whole(file)
    data = bytearray(file.read_bytes())
    data[4096:4104] = bytes(8)  # the head of the second page
    file.write_bytes(data)
    with pytest.raises(DatabaseDamagedError, match=r"a b\.sqlite is damaged: "):
        _whole(file)
    file.write_bytes(b"no database, but long enough to be looked at as if it were one" * 20)
    with pytest.raises(DatabaseDamagedError, match="file is not a database"):
        _whole(file)


def test_databases_of_the_side_are_among_what_is_looked_at(lane: Path) -> None:
    file = lane / HIGH / "knowledge" / "strange.sqlite"
    file.parent.mkdir(exist_ok=True)
    file.write_bytes(b"no database" * 100)
    (fault,) = looked(lane, HIGH).faults
    file.unlink()
    assert (fault.part, fault.error.code, fault.error.where["file"]) == ("databases", "LG-5f30", file)


def test_the_command_tells_people_and_programs(lane: Path) -> None:
    home = ("--home", lane / HIGH)
    fine = Commands().run("doctor", "--files", *home)
    assert fine.status == 0
    assert "quarantine" in fine.out
    (file,) = (lane / HIGH).glob("trust/api-keys.json")
    with flipped(file):
        told, ran = (
            Commands().run("doctor", "--files", *home),
            Commands().run("doctor", "--files", "--json", *home),
        )
    assert told.status == ran.status == 1
    assert "1 wrong" in told.out
    assert f"file: {file}" in told.out
    assert "What to do: " in told.out
    (fault,) = ran.value["faults"]
    assert (fault["part"], fault["where"]["file"]) == ("documents", str(file))
    assert ran.value["looked"]["channels"] == 1
