"""Uploads by twine's protocol: a key for each name, nothing parsed but the form, and nothing served by it."""

import asyncio
import hashlib
import tomllib

import pytest
from test_mirror_access import basic
from test_mirror_push import Journal

from corpora.mirrorsite import MirrorSite, ask
from corpora.wheels import build_wheel
from lockgate.core.submission import FIRST
from lockgate.mirror import Caller, Callers
from lockgate.mirror.errors import BadUploadError, PushLimitError
from lockgate.mirror.taking.multipart import FIELD_LIMIT, FIELDS_LIMIT, FormReader, boundary_of
from lockgate.mirror.taking.python import Door

WHEEL = build_wheel("team-tool", "1.0", padding=b"\r\n--edg\r\n--" * 3)
EDGE = "edge"


class Keys(Callers):
    """One may upload what begins with team-, one exactly one project. A test double."""

    def find(self, secret):
        labels = {"team": {"push:pypi/team-*"}, "one": {"push:pypi/one"}, "reader": {"internal"}}.get(secret)
        return Caller(secret, frozenset(labels)) if labels else None


def form(*parts, edge=EDGE):
    body = b""
    for name, value, *filename in parts:
        extra = f'; filename="{filename[0]}"' if filename else ""
        body += f'--{edge}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'.encode()
        body += (value if isinstance(value, bytes) else value.encode()) + b"\r\n"
    return body + f"--{edge}--\r\n".encode()


def wheel_form(wheel=WHEEL, name="team-tool", **fields):
    facts = {":action": "file_upload", "protocol_version": "1", "name": name, **fields}
    return form(*facts.items(), ("content", wheel.data, wheel.filename))


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_wheels("team-crossed", "1", build_wheel("team-crossed", "1"))
    site.publish()
    return site


class Uploads:
    """A mirror with a door, and what waits behind it."""

    def __init__(self, site, total=1 << 20):
        self.folder = site.root / "drop"
        self.journal = Journal()
        self.door = Door(("team-*", "one"), Keys(), self.folder, total, self.journal)
        self.app = site.app(door=self.door)

    def post(self, body, key="team", **headers):
        headers = {"content_type": f"multipart/form-data; boundary={EDGE}", **headers}
        if key:
            headers["authorization"] = basic(key)
        return ask(self.app, "/legacy/", "POST", body=body, **headers)

    @property
    def waiting(self):
        return sorted(p.name for p in self.folder.iterdir()) if self.folder.is_dir() else []


@pytest.fixture
def uploads(site):
    return Uploads(site)


def test_a_wheel_is_laid_beside_who_brought_it_and_the_answer_says_that_it_waits(uploads):
    digest = hashlib.sha256(WHEEL.data).hexdigest()
    answer = uploads.post(wheel_form(sha256_digest=digest))
    assert answer.status == 200, answer.body
    assert b"waits for the gate" in answer.body
    assert uploads.waiting == [WHEEL.filename, f"{WHEEL.filename}.toml"]
    assert (uploads.folder / WHEEL.filename).read_bytes() == WHEEL.data
    about = tomllib.loads((uploads.folder / f"{WHEEL.filename}.toml").read_text())
    assert about == {"by": "team", "way": "twine"}
    assert ask(uploads.app, "/simple/team-tool/").status == 404
    assert uploads.journal.events[0][1] == {"file": WHEEL.filename, "sha256": digest, "key": "team"}


@pytest.mark.parametrize(("key", "status"), [("", 401), ("wrong", 401), ("reader", 403), ("one", 403)])
def test_who_may_not_upload_a_name_leaves_nothing(uploads, key, status):
    assert uploads.post(wheel_form(), key).status == status
    assert uploads.waiting == []


def test_a_name_that_crossed_is_not_taken(uploads):
    wheel = build_wheel("team-crossed", "99")
    assert uploads.post(wheel_form(wheel, name="team-crossed")).status == 403
    assert uploads.waiting == []


def test_a_newer_version_of_what_was_made_inside_is_taken(site, uploads):
    site.add_wheels("team-own", "1", build_wheel("team-own", "1"), crossing=FIRST)
    site.publish()
    assert uploads.post(wheel_form(build_wheel("team-own", "2"), name="team-own")).status == 200


@pytest.mark.parametrize(
    "body",
    [
        wheel_form(name="team-other"),
        wheel_form(sha256_digest="0" * 64),
        form((":action", "submit"), ("name", "team-tool"), ("content", WHEEL.data, WHEEL.filename)),
        form(
            (":action", "file_upload"),
            ("name", "team-tool"),
            ("content", b"x", "../team_tool-1-py3-none-any.whl"),
        ),
        form((":action", "file_upload"), ("name", "team-tool"), ("content", b"x", "team_tool-1.tar.gz")),
        form((":action", "file_upload"), ("name", "team-tool")),
        form(("content", b"x", "a.whl"), ("content", b"x", "b.whl")),
        wheel_form()[:-20],
        wheel_form()[:200],
        b"",
        b"nothing of the kind",
    ],
)
def test_what_is_malformed_is_refused_and_leaves_nothing(uploads, body):
    assert uploads.post(body).status in {400, 413}
    assert uploads.waiting == []


def test_another_kind_of_body_and_a_second_file_of_one_name_are_refused(uploads):
    assert uploads.post(b"{}", content_type="application/json").status == 400
    assert uploads.post(wheel_form()).status == 200
    assert uploads.post(wheel_form()).status == 400
    assert uploads.waiting == [WHEEL.filename, f"{WHEEL.filename}.toml"]


def test_uploads_that_wait_are_bounded(site):
    small = Uploads(site, total=len(WHEEL.data) - 1)
    assert small.post(wheel_form()).status == 413
    assert small.waiting == []


def test_without_an_open_name_there_is_no_such_address(site):
    assert ask(site.app(), "/legacy/", "POST", body=wheel_form()).status in {404, 405}


def read(body, size, field="content"):
    async def pieces():
        for at in range(0, len(body), size):
            yield body[at : at + size]

    async def run():
        got = bytearray()

        async def sink(piece):
            got.extend(piece)

        form = await FormReader(pieces(), b"--edge").read(field, sink)
        return form, bytes(got)

    return asyncio.run(run())


@pytest.mark.parametrize("size", [1, 2, 3, 7, 64, 1 << 20])
def test_a_form_reads_alike_however_it_is_cut(size):
    data = b"\r\n--edg\r\n--edgf\r\n" + b"-\r--edge\n--edge" + b"\r\n--edge"[:-1]
    form_, got = read(form(("a", "1"), ("content", data, "f.whl"), ("b", "\r\n2")), size)
    assert got == data
    assert form_.fields == {"a": "1", "b": "\r\n2"}
    assert form_.filename == "f.whl"


def test_fields_are_bounded_in_length_and_number():
    with pytest.raises(PushLimitError, match="FIELD_LIMIT"):
        read(form(("a", b"x" * (FIELD_LIMIT + 1)), ("content", b"", "f.whl")), 1 << 16)
    with pytest.raises(PushLimitError):
        read(form(*[("a", "x")] * (FIELDS_LIMIT + 1), ("content", b"", "f.whl")), 1 << 16)
    with pytest.raises(PushLimitError, match="HEAD_LIMIT"):
        read(b"--edge\r\n" + b"x" * 20_000, 1 << 10)


def test_a_boundary_has_to_be_one():
    assert boundary_of('multipart/form-data; boundary="a b"; charset=utf-8') == b"--a b"
    for wrong in (
        "multipart/form-data",
        "text/plain; boundary=x",
        "multipart/form-data; boundary=" + "x" * 71,
    ):
        with pytest.raises(BadUploadError):
            boundary_of(wrong)
