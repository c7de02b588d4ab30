"""The stores of a side come from its settings: folders and SQLite unless servers are named."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.settings import SettingsError, Side, load_settings
from lockgate.app.stores import blob_files, blobs_of, migrate_side, records_of
from lockgate.cli.doctor import app
from lockgate.core.digests import sha256
from lockgate.store import FileBlobs
from lockgate.store.errors import StoreAddressError
from lockgate.store.objects import ObjectBlobs


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return make_demo_lane(tmp_path, "test", datetime.now(UTC)).high


def configured(home: Path, *lines: str) -> Side:
    with (home / "lockgate.toml").open("a") as file:
        file.write("\n[store]\n" + "\n".join(lines) + "\n")
    return load_settings(home)


def test_without_settings_everything_lies_in_the_home(home: Path) -> None:
    side = load_settings(home)
    assert isinstance(blobs_of(side), FileBlobs)
    digest = blobs_of(side).put_bytes(b"blob")
    assert blob_files(side).path(digest).read_bytes() == b"blob"
    assert not blob_files(side).path(sha256(b"absent")).exists()
    records_of(side).close()
    assert (home / "records.sqlite").is_file()


def test_databases_and_buckets_are_named_by_settings(home: Path) -> None:
    (home / "key").write_text("id:secret")
    side = configured(
        home,
        f'records = "sqlite:///{home / "elsewhere.sqlite"}"',
        'blobs = "s3://bucket/lane/high"',
        's3_endpoint = "https://127.0.0.1:1"',
        's3_key_file = "key"',
    )
    assert isinstance(blobs_of(side), ObjectBlobs)
    records_of(side).close()
    assert (home / "elsewhere.sqlite").is_file()
    assert not (home / "records.sqlite").exists()


def test_a_copy_that_the_bucket_lacks_is_a_missing_file(home: Path) -> None:
    from obstore.store import MemoryStore

    from lockgate.app.stores import BucketFiles

    blobs = ObjectBlobs(MemoryStore(), home / "run", spool_bytes=100, copies_bytes=100)
    files = BucketFiles(blobs)
    assert files.path(blobs.put_bytes(b"blob")).read_bytes() == b"blob"
    with pytest.raises(FileNotFoundError):
        files.path(sha256(b"absent"))


@pytest.mark.parametrize(
    "line",
    ['blobs = "s3://bucket"', 'blobs = "https://bucket"\ns3_endpoint = "https://h"\ns3_key_file = "k"'],
)
def test_half_a_bucket_is_refused(home: Path, line: str) -> None:
    with pytest.raises(SettingsError, match="s3://bucket/prefix"):
        blobs_of(configured(home, line))


def test_a_password_in_the_settings_is_refused(home: Path) -> None:
    side = configured(home, 'records = "postgresql://u:secret@127.0.0.1/d"')
    with pytest.raises(StoreAddressError, match="holds a password"):
        records_of(side)


def test_doctor_migrates_both_databases(home: Path) -> None:
    assert migrate_side(load_settings(home)) == [("records", "", "0001"), ("audit log", "", "0001")]
    ran = CliRunner().invoke(app, ["--migrate", "--home", str(home), "--json"])
    assert ran.exit_code == 0, ran.output
    assert ran.output.count('"from": "0001", "to": "0001"') == 2
    assert "as before" in CliRunner().invoke(app, ["--migrate", "--home", str(home)]).output
