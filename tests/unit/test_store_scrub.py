"""Scrubbing: every blob hashed again at its pace, mended from a replica, the rest told of."""

import json

import pytest
from typer.testing import CliRunner

from corpora.homes import HighSide
from lockgate.app.high.scrub import DamagedBlobsError, run_scrub
from lockgate.app.trust import audit_log
from lockgate.core.ports import Silent
from lockgate.store import FileBlobs
from lockgate.store.scrub import Pace, scrub

GOOD = [b"one" * 400_000, b"two", b""]


class Clock:
    """A clock that goes on only while somebody waits. A test double."""

    def __init__(self):
        self.now = 0.0

    def elapsed(self):
        return self.now

    def pause(self, seconds):
        self.now += seconds


def filled(folder, contents=GOOD):
    blobs = FileBlobs(folder)
    return blobs, [blobs.put_bytes(data) for data in contents]


def damage(blobs, digest, data=b"evil"):
    path = blobs.path(digest)
    path.chmod(0o644)
    path.write_bytes(data)


def paced(rate=1 << 40):
    clock = Clock()
    return clock, Pace(rate, clock.elapsed, clock.pause)


def test_a_whole_store_is_read_once_at_its_pace(tmp_path):
    blobs, _ = filled(tmp_path / "blobs")
    clock, pace = paced(rate=100_000)
    found = scrub(blobs, pace)
    assert (found.blobs, found.size, found.mended, found.damaged) == (3, sum(map(len, GOOD)), (), ())
    assert clock.now == pytest.approx(found.size / 100_000)


def test_what_is_damaged_is_mended_from_a_replica_and_read_whole_again(tmp_path):
    blobs, digests = filled(tmp_path / "blobs")
    replica, _ = filled(tmp_path / "replica")
    damage(blobs, digests[0])
    damage(blobs, digests[1], b"tw!")
    found = scrub(blobs, paced()[1], replica=replica)
    assert sorted(found.mended) == sorted(digests[:2])
    assert found.damaged == ()
    assert blobs.read(digests[0]) == GOOD[0]
    assert scrub(blobs, paced()[1]).damaged == ()


def test_a_replica_that_is_damaged_too_or_lacks_the_blob_mends_nothing(tmp_path):
    blobs, digests = filled(tmp_path / "blobs")
    replica, _ = filled(tmp_path / "replica", GOOD[:1])
    damage(replica, digests[0])
    for digest in digests[:2]:
        damage(blobs, digest)
    found = scrub(blobs, paced()[1], replica=replica)
    assert (found.mended, sorted(found.damaged)) == ((), sorted(digests[:2]))
    assert blobs.path(digests[0]).read_bytes() == b"evil"


def test_who_reads_meanwhile_sees_the_old_file_or_the_new_one(tmp_path):
    blobs, digests = filled(tmp_path / "blobs")
    replica, _ = filled(tmp_path / "replica")
    damage(blobs, digests[1], b"old")
    with blobs.open(digests[1]) as reading:
        scrub(blobs, paced()[1], replica=replica)
        assert reading.read() == b"old"
    assert blobs.read(digests[1]) == b"two"


def test_damage_that_stays_is_an_error_and_in_the_log(tmp_path):
    high = HighSide.new(tmp_path)
    digest = FileBlobs(high.side.home.blobs).put_bytes(b"thing")
    assert run_scrub(high.side, 1 << 40, None, Silent()).damaged == ()
    damage(FileBlobs(high.side.home.blobs), digest, b"th!ng")
    with pytest.raises(DamagedBlobsError, match=digest[:12]):
        run_scrub(high.side, 1 << 40, None, Silent())
    *_, (_, outcome) = audit_log(high.side).events()
    assert (outcome["status"], outcome["facts"]["damaged"]) == ("failed", [digest])
    replica = FileBlobs(tmp_path / "replica")
    replica.put_bytes(b"thing")
    from lockgate.cli.mirror import app

    arguments = [
        "scrub",
        "--home",
        str(high.side.home.root),
        "--replica",
        str(tmp_path / "replica"),
        "--json",
    ]
    done = CliRunner().invoke(app, arguments)
    assert json.loads(done.stdout)["mended"] == [digest]
