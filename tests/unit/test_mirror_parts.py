"""A mirror of a snapshot in parts answers as of one document; a part that is gone is never "not there"."""

import threading

import pytest

from corpora.mirrorsite import MirrorSite, ask, statement_for
from corpora.spreadsite import SpreadSite
from corpora.wheels import build_wheel
from lockgate.core.parts import key_of_project, part_digests, parts_of
from lockgate.mirror.pages import parted
from lockgate.mirror.pages.parted import project_of_address
from lockgate.mirror.tables import build_table
from lockgate.store.errors import BlobMismatchError, BlobMissingError

JSON = "application/vnd.pypi.simple.v1+json"
NAMES = ("alpha", "beta-ray", "gamma")


def fill(site):
    for name in NAMES:
        site.add_wheels(name, "1.0", build_wheel(name, "1.0"))
    site.add_document("handbook.txt", b"read me")
    return site


@pytest.fixture
def site(tmp_path):
    return fill(SpreadSite(tmp_path / "parted"))


def addresses(site):
    wheels = [f for entry in site.entries for f in entry.artifact.files if f.path.startswith("python/")]
    pages = [f"/simple/{name}/" for name in NAMES]
    files = [f"/packages/{f.sha256}/{f.path.rpartition('/')[2]}" for f in wheels if f.path.endswith(".whl")]
    files += [f"{file}.metadata" for file in files]
    return [
        "/simple/",
        *pages,
        *files,
        "/files/handbook.txt",
        "/simple/nobody/",
        "/packages/x/alpha-9-py3-none-any.whl",
    ]


def test_every_address_answers_as_from_one_document(site, tmp_path):
    flat = fill(MirrorSite(tmp_path / "flat"))
    answers = []
    for each in (site, flat):
        each.publish()
        app = each.app()
        answers.append(
            [(r.status, r.body) for r in (ask(app, path, accept=JSON) for path in addresses(site))]
        )
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} == {200, 404}


def test_a_part_that_went_missing_is_an_error_and_not_an_absent_project(site):
    site.publish()
    app = site.app()
    assert ask(app, "/simple/alpha/", accept=JSON).status == 200
    snapshot = site.view()
    snapshot.refresh()
    named = parts_of(snapshot.table.snapshot).name(key_of_project("gamma"))
    path = site.blobs.path(named.sha256)
    held = path.read_bytes()
    path.chmod(0o600)
    for damage in (lambda: path.write_bytes(held[:-1]), path.unlink):
        damage()
        assert ask(app, "/simple/gamma/", accept=JSON).status == 500
        assert ask(app, "/simple/nobody/", accept=JSON).status == 404, "the signed index says so"
        assert ask(app, "/simple/alpha/", accept=JSON).status == 200
        with pytest.raises((BlobMissingError, BlobMismatchError)):
            snapshot.table.projects["gamma"]


def test_few_parts_are_kept_and_many_ask_at_once(site, monkeypatch):
    monkeypatch.setattr(parted, "PARTS_KEPT", 2)
    snapshot = site.snapshot()
    table = build_table(statement_for(snapshot, 1), snapshot)
    wanted = {name: table.projects[name] for name in NAMES}
    assert len(table.projects._made) == 2
    assert sorted(table.projects) == sorted(NAMES)
    wrong = []

    def look() -> None:
        for _ in range(20):
            wrong.extend(name for name in NAMES if table.projects[name] != wanted[name])

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert len(table.projects._made) == 2


@pytest.mark.parametrize(
    ("address", "project"),
    [
        ("0/Beta_Ray-1.0-py3-none-any.whl", "beta-ray"),
        ("0/beta_ray-1.0-1-py3-none-any.whl.metadata", "beta-ray"),
        ("0/beta-ray-1.0.tar.gz", "beta-ray"),
        ("0/beta.ray-1.0.zip.provenance", "beta-ray"),
        ("0/", ""),
        ("nothing", ""),
        ("", ""),
    ],
)
def test_a_files_name_says_its_project(address, project):
    assert project_of_address(address) == project


def test_a_switch_hashes_what_is_new_alone(site):
    before = site.snapshot()
    site.add_wheels("gamma", "1.1", build_wheel("gamma", "1.1"))
    after = site.snapshot()
    read = []

    class Noted:
        def read(self, digest, *, limit):
            read.append(digest)
            return site.blobs.read(digest, limit=limit)

    parts = parts_of(after)
    parts._source = Noted()
    assert parts.hash(part_digests(before)) == part_digests(after)
    assert set(read) == part_digests(after) - part_digests(before)
    assert len(read) == 1
