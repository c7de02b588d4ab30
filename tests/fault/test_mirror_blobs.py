"""Whoever can write to the blob folder can stop the mirror, not make it serve something else."""

import asyncio
import hashlib
import json
import os
import threading
from pathlib import Path

import pytest

from corpora.mirrorsite import MirrorSite, ask, asking
from corpora.wheels import build_wheel
from lockgate.core.digests import sha256_stream
from lockgate.core.errors import LockgateError, TooLargeError
from lockgate.mirror import MissingBlobError, TamperedBlobError
from lockgate.mirror.blobs import CHUNK, LARGE, PAGE_LIMIT, VerifiedBlobs

WHEEL = build_wheel("box", "1", padding=bytes(range(256)) * (3 * CHUNK // 256))
PACKAGE = f"/packages/{WHEEL.sha256}/{WHEEL.filename}"


@pytest.fixture
def site(tmp_path):
    made = MirrorSite(tmp_path)
    made.add_wheels("box", "1", WHEEL)
    made.add_model("org/m", {"model.gguf": b"w" * 100, "config.json": b"{}"})
    made.publish()
    return made


@pytest.fixture
def app(site):
    made = site.app()
    yield made
    made.state.site.blobs.close()


def overwrite(path, at, data):
    """Write into a file in place and put its modification time back."""
    path.chmod(0o644)
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def refused(answer):
    assert answer.status == 500
    assert json.loads(answer.body)["code"].startswith("LG-")
    assert b"/" not in json.loads(answer.body)["error"].encode()
    return json.loads(answer.body)["code"]


@pytest.mark.parametrize("first_asked", [False, True])
def test_a_byte_changed_in_place_is_refused_before_and_after_it_was_served(site, app, first_asked):
    if first_asked:
        assert ask(app, PACKAGE).body == WHEEL.data
    overwrite(site.blobs.path(WHEEL.sha256), len(WHEEL.data) // 2, b"!!")
    for headers in ({}, {"range": "bytes=0-9"}):
        assert refused(ask(app, PACKAGE, **headers)) == TamperedBlobError.code
    assert "lockgate_mirror_refused_blobs_total 2.0" in ask(app, "/metrics").body.decode()


def test_a_file_put_in_its_place_is_refused(site, app, tmp_path):
    assert ask(app, PACKAGE).status == 200
    path = site.blobs.path(WHEEL.sha256)
    other = tmp_path / "other"
    other.write_bytes(WHEEL.data[:-1] + b"!")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.replace(path)
    assert refused(ask(app, PACKAGE)) == TamperedBlobError.code


def test_another_length_a_link_and_a_missing_file_are_refused(site, app, tmp_path):
    path = site.blobs.path(WHEEL.sha256)
    path.chmod(0o644)
    path.write_bytes(WHEEL.data + b"!")
    for method in ("GET", "HEAD"):
        answer = ask(app, PACKAGE, method)
        assert answer.status == 500
        assert answer.headers["x-error-code"] == TamperedBlobError.code
    path.rename(tmp_path / "moved")
    (tmp_path / "moved").write_bytes(WHEEL.data)
    path.symlink_to(tmp_path / "moved")
    refused(ask(app, PACKAGE))
    path.unlink()
    refused(ask(app, PACKAGE))
    path.mkdir()
    refused(ask(app, PACKAGE))


def test_what_is_put_right_is_served_again(site, app):
    path = site.blobs.path(WHEEL.sha256)
    overwrite(path, 5, b"!")
    assert ask(app, PACKAGE).status == 500
    overwrite(path, 5, WHEEL.data[5:6])
    assert ask(app, PACKAGE).body == WHEEL.data


def test_an_altered_page_stops_that_page_only(site, app):
    snapshot = site.snapshot()
    page = next(p for p in snapshot.generated if p.path.endswith("tree.json"))
    overwrite(site.blobs.path(page.sha256), 0, b"{")
    assert refused(ask(app, "/org/m/resolve/main/config.json")) == TamperedBlobError.code
    assert ask(app, PACKAGE).status == 200


def test_writing_during_a_download_breaks_it_off(site, app):
    path = site.blobs.path(WHEEL.sha256)

    def tamper(answer):
        if len(answer.body) == CHUNK:
            overwrite(path, 2 * CHUNK, b"!" * 100)

    async def run():
        with pytest.raises(TamperedBlobError):
            await asking(app, PACKAGE, on_chunk=tamper)
        return await asking(app, PACKAGE)

    refused(asyncio.run(run()))


def test_bytes_that_left_before_the_tampering_are_the_signed_ones(site, app):
    seen = []

    def tamper(answer):
        seen.append(answer.body)
        if len(seen) == 2:
            overwrite(site.blobs.path(WHEEL.sha256), 2 * CHUNK, b"!" * 100)

    async def run():
        with pytest.raises(LockgateError):
            await asking(app, PACKAGE, on_chunk=tamper)

    asyncio.run(run())
    assert WHEEL.data.startswith(seen[-1])
    assert len(seen[-1]) < len(WHEEL.data)


def test_a_name_that_changes_during_a_download_changes_nothing(site, app, tmp_path):
    path = site.blobs.path(WHEEL.sha256)
    evil = tmp_path / "evil"
    evil.write_bytes(b"!" * len(WHEEL.data))

    def swap(answer):
        if len(answer.body) == CHUNK:
            evil.replace(path)

    answer = asyncio.run(asking(app, PACKAGE, on_chunk=swap))
    assert answer.body == WHEEL.data
    refused(ask(app, PACKAGE))


def test_a_client_that_leaves_ends_the_reading(site, app):
    answer = ask(app, PACKAGE, leave_after=CHUNK)
    assert CHUNK <= len(answer.body) < len(WHEEL.data)
    assert not answer.complete
    still_open = [str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()]
    assert not [target for target in still_open if WHEEL.sha256 in target]


def test_a_blob_stored_again_during_a_download_does_not_break_it(site, app):
    def store_again(answer):
        if len(answer.body) == CHUNK:
            site.blobs.put_bytes(WHEEL.data)

    assert asyncio.run(asking(app, PACKAGE, on_chunk=store_again)).body == WHEEL.data


def test_many_first_readers_share_one_hashing(tmp_path, monkeypatch):
    site = MirrorSite(tmp_path)
    data = bytes(LARGE + 1)
    digest = site.blobs.put_bytes(data)
    blobs = VerifiedBlobs(site.blobs, lambda _: None)
    hashed = []
    original = blobs._hash
    monkeypatch.setattr(blobs, "_hash", lambda *a: (hashed.append(a), original(*a))[1])

    async def run():
        opened = await asyncio.gather(*(blobs.open(digest, len(data)) for _ in range(20)))
        for blob in opened:
            blob.close()

    asyncio.run(run())
    blobs.close()
    assert len(hashed) == 1


def test_hashing_goes_on_when_the_one_who_asked_has_left(tmp_path, monkeypatch):
    site = MirrorSite(tmp_path)
    digest = site.blobs.put_bytes(b"data")
    blobs = VerifiedBlobs(site.blobs, lambda _: None)
    entered, let_go = threading.Event(), threading.Event()
    original = blobs._hash

    def slow(*arguments):
        entered.set()
        let_go.wait(120)
        original(*arguments)

    monkeypatch.setattr(blobs, "_hash", slow)

    async def run():
        first = asyncio.ensure_future(blobs.open(digest, 4))
        await asyncio.to_thread(entered.wait, 10)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        let_go.set()
        blob = await blobs.open(digest, 4)
        assert blob.read(0, 4) == b"data"
        blob.close()

    asyncio.run(run())
    blobs.close()


def test_only_short_blobs_are_read_into_memory_and_the_memory_of_hashes_is_bounded(tmp_path, monkeypatch):
    site = MirrorSite(tmp_path)
    blobs = VerifiedBlobs(site.blobs, lambda _: None)
    monkeypatch.setattr("lockgate.mirror.blobs.FINGERPRINT_LIMIT", 3)

    async def run():
        with pytest.raises(TooLargeError, match="at most"):
            await blobs.read("0" * 64, PAGE_LIMIT + 1)
        for n in range(6):
            data = b"%d" % n
            assert await blobs.read(site.blobs.put_bytes(data), 1) == data
        assert len(blobs._known) == 3

    asyncio.run(run())
    blobs.close()


def test_a_store_that_cannot_open_a_file_says_so_without_its_path(tmp_path):
    class Nowhere:
        def path(self, digest):
            return tmp_path / "absent"

    blobs = VerifiedBlobs(Nowhere(), lambda _: None)
    with pytest.raises(MissingBlobError) as caught:
        blobs.present("0" * 64, 1)
    assert str(tmp_path) not in str(caught.value)
    blobs.close()


def test_no_link_is_followed_even_to_the_right_bytes(tmp_path):
    """A store that only names the file (it checks nothing) is the one that servers use."""
    (tmp_path / "real").write_bytes(b"data")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    class Links:
        def path(self, digest):
            return tmp_path / "link"

    blobs = VerifiedBlobs(Links(), lambda _: None)
    with pytest.raises(MissingBlobError):
        asyncio.run(blobs.open(hashlib.sha256(b"data").hexdigest(), 4))
    blobs.close()


@pytest.mark.parametrize("times", [1, 2, 5, 20])
def test_a_blob_that_is_put_again_while_it_is_hashed_is_still_served(site, app, monkeypatch, times):
    """A publication may bring what is there already; each time the name goes to a new file."""
    left = [times]

    def hashing(stream, *arguments, **options):
        result = sha256_stream(stream, *arguments, **options)
        if left[0]:
            left[0] -= 1
            site.blobs.put_bytes(WHEEL.data)
        return result

    monkeypatch.setattr("lockgate.mirror.blobs.sha256_stream", hashing)
    answer = ask(app, PACKAGE)
    assert (answer.status, answer.body) == (200, WHEEL.data)
    assert "lockgate_mirror_refused_blobs_total 0.0" in ask(app, "/metrics").body.decode()


@pytest.mark.parametrize("times", [1, 20])
def test_a_file_that_is_written_to_while_it_is_hashed_is_refused(site, app, monkeypatch, times):
    left = [times]

    def hashing(stream, *arguments, **options):
        result = sha256_stream(stream, *arguments, **options)
        if left[0]:
            left[0] -= 1
            overwrite(site.blobs.path(WHEEL.sha256), left[0], b"!")
        return result

    monkeypatch.setattr("lockgate.mirror.blobs.sha256_stream", hashing)
    assert refused(ask(app, PACKAGE)) == TamperedBlobError.code
