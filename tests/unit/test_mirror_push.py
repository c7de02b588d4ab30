"""What is pushed into open namespaces: recorded, bounded, kept apart, and gone when it is removed."""

import asyncio
import json

import pytest

from corpora.images import IMAGE, digest, image
from corpora.mirrorsite import MirrorSite, ask
from lockgate.mirror.errors import (
    BadPushError,
    NotPushedError,
    PushDigestError,
    PushLimitError,
    UploadOrderError,
    UploadUnknownError,
)
from lockgate.mirror.taking import push as serve_push
from lockgate.mirror.taking.push import Internal
from lockgate.mirror.taking.pushed import STATE, ManifestPush, Pushed
from lockgate.mirror.taking.sessions import PushLimits, Uploads
from lockgate.store import FileBlobs, open_records

REPO = "team/app"
MADE = image()
BODY = MADE.manifests[MADE.root]
STALL = object()
"""Stands for bytes that never come."""


class Journal:
    """A log in memory. A test double."""

    def __init__(self):
        self.events = []

    def intent(self, action, **facts):
        self.events.append((action, facts))
        return len(self.events) - 1

    def outcome(self, intent, status, **facts):
        self.events.append((intent, status, facts))
        return len(self.events) - 1


class Place:
    """An open namespace in a folder, without a server."""

    def __init__(self, folder, **limits):
        self.folder, self.limits, self.now = folder, PushLimits(**limits), 0.0
        self.open()

    def open(self):
        """Begin as a server does, which may have been killed before."""
        self.journal = Journal()
        self.blobs = FileBlobs(self.folder / "internal" / "blobs")
        records = open_records(f"sqlite:///{self.folder}/pushed.sqlite")
        self.pushed = Pushed(records, self.blobs, self.journal, self.limits)
        self.pushed.recover()
        folder = self.folder / "internal" / "uploads"
        self.uploads = Uploads(folder, lambda: self.now, self.limits, self.pushed.held_bytes)

    def push(self, data, key=None, repo=REPO):
        upload = self.uploads.start(repo)
        with self.uploads.writing(upload, None) as file:
            self.uploads.write(upload, file, data)
        self.uploads.demand(upload, key or digest(data))
        self.pushed.keep_blob(upload, key or digest(data), "client")
        self.uploads.end(upload)

    def put(self, reference="1", body=BODY, media_type=IMAGE, tags=()):
        return self.pushed.keep_manifest(ManifestPush(REPO, reference, body, media_type, tags), "client")

    def held(self):
        return {key for key, _ in self.blobs.digests()}


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def test_every_change_is_recorded_before_and_after(place):
    place.push(b"one")
    place.put()
    place.pushed.mount("team/other", digest(b"one"), None, "client")
    place.pushed.remove_manifest(REPO, "1", "client")
    place.pushed.remove_blob(REPO, digest(b"one"), "client")
    actions = [event[0] for event in place.journal.events if isinstance(event[0], str)]
    pushes = ["oci push blob", "oci push manifest", "oci mount blob"]
    assert actions == [*pushes, "oci remove manifest", "oci remove blob"]
    assert all(event[1]["state"] == STATE for event in place.journal.events[::2])
    assert [event[:2] for event in place.journal.events[1::2]] == [(n, "done") for n in range(0, 10, 2)]
    assert place.journal.events[0][1]["digest"] == digest(b"one")


def test_a_refused_change_is_recorded_as_refused_and_changes_nothing(tmp_path):
    place = Place(tmp_path, tags=1)
    place.put("1")
    with pytest.raises(PushLimitError, match="At most 1 tags"):
        place.put("2", MADE.manifests[MADE.root])
    assert place.journal.events[-1][1:] == (
        "refused",
        {"code": "LG-4901", "error": "At most 1 tags are kept."},
    )
    assert place.pushed.tags(REPO) == ["1"]
    assert place.pushed.manifest(REPO, "2") is None


def test_bytes_go_with_their_last_use(place):
    other = "team/other"
    for repo in (REPO, other):
        place.push(b"shared", repo=repo)
    assert place.pushed.held_bytes() == 6
    place.pushed.remove_blob(REPO, digest(b"shared"), "client")
    assert len(place.held()) == 1
    place.pushed.remove_blob(other, digest(b"shared"), "client")
    assert place.held() == set()
    assert place.pushed.held_bytes() == 0
    with pytest.raises(NotPushedError):
        place.pushed.remove_blob(other, digest(b"shared"), "client")


def test_it_is_all_there_after_a_restart_and_what_was_half_done_is_not(place):
    place.push(b"kept")
    place.put("1")
    half = place.uploads.start(REPO)
    with place.uploads.writing(half, 0) as file:
        place.uploads.write(half, file, b"half")
    place.blobs.put_bytes(b"stored by a server that was killed before it wrote the record")
    place.open()
    assert place.pushed.tags(REPO) == ["1"]
    assert place.held() == {MADE.root.removeprefix("sha256:"), digest(b"kept").removeprefix("sha256:")}
    assert place.pushed.held_bytes() == len(b"kept") + len(BODY)
    assert list((place.folder / "internal" / "uploads").iterdir()) == []
    with pytest.raises(UploadUnknownError):
        place.uploads.find(REPO, half.name)


def test_blobs_and_all_of_them_have_a_bound(tmp_path):
    place = Place(tmp_path, blob_bytes=10, total_bytes=15)
    place.push(b"0123456789")
    with pytest.raises(PushLimitError, match="blob is longer"):
        place.push(b"0123456789a")
    one = place.uploads.start(REPO)
    with place.uploads.writing(one, 0) as file, pytest.raises(PushLimitError, match="at most 15 bytes"):
        place.uploads.write(one, file, b"abcdef")
    with pytest.raises(PushLimitError, match="at most 15 bytes"):
        place.put()
    place.uploads.end(one)


def test_sessions_have_a_bound_and_an_end(tmp_path):
    place = Place(tmp_path, sessions=2, session_seconds=60)
    first, second = place.uploads.start(REPO), place.uploads.start(REPO)
    with pytest.raises(PushLimitError, match="in progress"):
        place.uploads.start(REPO)
    place.now = 59
    with place.uploads.writing(second, None) as file:
        place.uploads.write(second, file, b"x")
    place.now = 61
    place.uploads.start(REPO)
    with pytest.raises(UploadUnknownError):
        place.uploads.find(REPO, first.name)
    assert not first.file.exists()
    assert place.uploads.find(REPO, second.name) is second


def test_a_session_belongs_to_its_repository_and_to_one_writer(place):
    upload = place.uploads.start(REPO)
    with pytest.raises(UploadUnknownError):
        place.uploads.find("team/other", upload.name)
    with place.uploads.writing(upload, 0), pytest.raises(UploadOrderError), place.uploads.writing(upload, 0):
        pass
    with pytest.raises(UploadOrderError), place.uploads.writing(upload, 1):
        pass
    with pytest.raises(PushDigestError):
        place.uploads.demand(upload, digest(b"x"))
    assert not upload.file.exists()


@pytest.mark.parametrize(
    ("reference", "body", "media_type", "kind"),
    [
        ("-x", BODY, IMAGE, BadPushError),
        ("1", b"no manifest", IMAGE, BadPushError),
        ("1", BODY, "text/plain", BadPushError),
        (f"sha256:{'0' * 64}", BODY, IMAGE, PushDigestError),
        ("sha256:short", BODY, IMAGE, PushDigestError),
    ],
)
def test_manifests_that_are_wrong_are_refused(place, reference, body, media_type, kind):
    with pytest.raises(kind):
        place.put(reference, body, media_type)
    assert place.held() == set()
    assert place.pushed.repositories() == []


@pytest.fixture
def app(tmp_path, place):
    site = MirrorSite(tmp_path)
    site.publish()
    internal = Internal(("team",), place.pushed, place.uploads, place.blobs)
    made = site.app(internal=internal)
    yield made
    made.state.site.blobs.close()


async def sending(app, method, path, pieces, **headers):
    """Send a request whose body comes in pieces."""
    from corpora.mirrorsite import Answer

    end = {"type": "http.request", "body": b"", "more_body": False}
    answer, waiting = Answer(), iter([*pieces, end])
    scope = {
        "type": "http",
        "method": method,
        "path": path.partition("?")[0],
        "raw_path": path.partition("?")[0].encode(),
        "query_string": path.partition("?")[2].encode(),
        "root_path": "",
        "headers": [(k.replace("_", "-").encode(), str(v).encode()) for k, v in headers.items()],
        "client": ("client", 1),
    }

    async def receive():
        piece = next(waiting, STALL)
        if piece is STALL:
            await asyncio.Event().wait()
        return (
            {"type": "http.request", "body": piece, "more_body": True} if isinstance(piece, bytes) else piece
        )

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode().lower(): v.decode() for k, v in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


def send(app, method, path, *pieces, **headers):
    return asyncio.run(sending(app, method, path, pieces, **headers))


def test_answers_say_that_it_was_not_admitted_and_no_snapshot_holds_it(app, place):
    created = send(app, "POST", f"/v2/{REPO}/blobs/uploads/?digest={digest(b'data')}", b"da", b"ta")
    assert created.status == 201
    for answer in (
        created,
        send(app, "GET", created.headers["location"]),
        send(app, "GET", f"/v2/{REPO}/tags/list"),
    ):
        assert answer.headers["lockgate-state"] == STATE
    table = app.state.site.view
    table.refresh()
    assert dict(table.table.images.by_name) == {}
    assert send(app, "GET", f"/v2/team-b/app/blobs/{digest(b'data')}").status == 404


def test_a_client_that_stalls_or_leaves_can_go_on_later(app, monkeypatch):
    monkeypatch.setattr(serve_push, "BODY_SECONDS", 0.01)
    location = send(app, "POST", f"/v2/{REPO}/blobs/uploads/").headers["location"]
    for end in (STALL, {"type": "http.disconnect"}):
        answer = send(app, "PATCH", location, b"abc", end)
        assert answer.status == 400
    monkeypatch.setattr(serve_push, "BODY_SECONDS", 60)
    state = send(app, "GET", location)
    assert state.headers["range"] == "0-5"
    done = send(app, "PUT", f"{location}?digest={digest(b'abcabcdef')}", b"def", content_range="6-8")
    assert send(app, "GET", done.headers["location"]).body == b"abcabcdef"


def test_ranges_that_are_no_ranges_are_refused(app):
    location = send(app, "POST", f"/v2/{REPO}/blobs/uploads/").headers["location"]
    for said, length in (("x", 3), ("0-", 3), ("0-9", 3), ("2-0", 3), ("9" * 30 + "-1", 3)):
        answer = send(app, "PATCH", location, b"abc", content_range=said, content_length=length)
        assert (answer.status, answer.headers["range"]) == (416, "0-0")


def test_a_manifest_that_is_too_long_is_refused_while_it_comes(app):
    pieces = [b" " * (1 << 20)] * 5
    answer = send(app, "PUT", f"/v2/{REPO}/manifests/1", *pieces, content_type=IMAGE)
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (413, "SIZE_INVALID")


def test_whoever_begins_too_many_uploads_is_asked_to_wait(app, place):
    while len(place.uploads._open) < place.limits.sessions:
        place.uploads.start(REPO)
    answer = send(app, "POST", f"/v2/{REPO}/blobs/uploads/")
    assert (answer.status, json.loads(answer.body)["errors"][0]["code"]) == (429, "TOOMANYREQUESTS")
    place.now = place.limits.session_seconds + 1
    assert send(app, "POST", f"/v2/{REPO}/blobs/uploads/").status == 202


def test_an_altered_blob_is_not_served(app, place):
    created = send(app, "POST", f"/v2/{REPO}/blobs/uploads/?digest={digest(b'data')}", b"data")
    path = place.blobs.path(digest(b"data").removeprefix("sha256:"))
    path.chmod(0o644)
    path.write_bytes(b"evil")
    assert ask(app, created.headers["location"]).status == 500
