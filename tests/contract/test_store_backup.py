"""A backup made over one database is restored into another: SQLite to PostgreSQL and a bucket."""

from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from corpora.homes import HighSide, crate
from corpora.servers import Postgres
from lockgate.app import stores
from lockgate.app.record import restore as restoring
from lockgate.app.record.restore import Floor
from lockgate.app.stores import audit_records_of, blobs_of
from lockgate.app.trust import audit_log
from lockgate.store import FileBlobs
from lockgate.store.records import SqlRecords


def test_a_backup_of_files_is_restored_into_servers(
    tmp_path: Path, postgres_server: Postgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    high = HighSide.new(tmp_path)
    high.publish(1, "first")
    made = high.backup()
    before, blobs = high.records(), dict(FileBlobs(high.side.home.blobs).digests())
    high.lose()
    (high.lane.high / "password").write_bytes(postgres_server.password_file.read_bytes())
    (high.lane.high / "s3").write_text("id:secret")
    settings = [
        "[store]",
        f'records = "{postgres_server.new("restored_records")}"',
        f'audit = "{postgres_server.new("restored_audit")}"',
        'password_file = "password"',
        'blobs = "s3://bucket"',
        's3_endpoint = "http://127.0.0.1:9"',
        's3_key_file = "s3"',
    ]
    with (high.lane.high / "lockgate.toml").open("a") as file:
        file.write("\n" + "\n".join(settings) + "\n")
    bucket = MemoryStore()
    monkeypatch.setattr("lockgate.store.objects.s3_store", lambda _: bucket)

    done = high.restore(Floor(last_crossing=1, last_crate=crate(1)))
    assert (done.plan.lost, done.plan.anchored, done.missing_blobs) == (True, True, 0)
    assert isinstance(audit_records_of(high.side), SqlRecords)
    assert stores.records_url(high.side).startswith("postgresql://")
    after = high.records()
    assert {place: after[place] for place in before} == before
    assert audit_log(high.side).verify().size > made.manifest.log_size
    assert dict(blobs_of(high.side).digests()).items() >= blobs.items()
    assert len(obstore.list(bucket).collect()) >= len(blobs)
    assert not (high.lane.high / "records.sqlite").exists()
    assert restoring.prepare(high.side, made.folder, Floor()).plan.lost is False
