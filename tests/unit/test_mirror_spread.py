"""Mirrors of a snapshot that is spread over parts answer the same, from the parts that addresses lead to."""

import asyncio
import gc
import itertools
import weakref
from functools import partial
from urllib.parse import quote

import pytest

from corpora.debs import DebFile
from corpora.everykind import add_every_kind, add_repositories
from corpora.mirrorsite import START, asking, statement_for
from corpora.npmpackages import NpmPackage
from corpora.served import mappings_of
from corpora.spreadsite import FlatSite, SpreadSite
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.part_keys import key_of_kind, key_of_page
from lockgate.core.parts import Parts, part_digests, parts_of
from lockgate.mirror import tables
from lockgate.mirror.spread.addresses import CONDAS, DEBS, FILES, RPMS, is_stray
from lockgate.mirror.spread.lookups import Kept, Lookups
from lockgate.mirror.tables import build_table

DIGESTS = ("/by-hash/", "-primary.xml")


def filled(site):
    add_every_kind(site)
    file = site.file("tools/elsewhere.bin", b"stray", Role.OTHER)
    purl = "pkg:generic/stray@1"
    site.add(Artifact(purl=purl, kind=Kind.FILE, name="stray", version="1", files=(file,)))
    return site


@pytest.fixture
def site(tmp_path):
    return filled(SpreadSite(tmp_path / "spread"))


def addresses(table):
    """Return every address of a table of everything, and some that there are not."""
    found = mappings_of(table)
    yield from (
        "/npm/",
        "/npm/-/v1/search?text=leaf",
        "/simple/",
        "/v2/",
        "/apt/lockgate.asc",
        "/rpm/lockgate.asc",
    )
    for folder in ("files", "conda"):
        yield from (f"/{folder}/{quote(path)}" for path in (*found[folder], "no.conda", "no/"))
    for kind, names in (("apt", ("Release",)), ("rpm", ("repomd.xml",))):
        yield from (f"/{kind}/{quote(path)}" for path in (*found[f"{kind} files"], "x/pool/no_1.deb"))
        yield from (f"/{kind}/{path}/{name}" for path in (*found[f"{kind} releases"], "x") for name in names)
    for name, entries in (*found["npm"].items(), ("no", None)):
        yield from (f"/npm/{name}", f"/npm/{quote(name, safe='')}", f"/npm/-/package/{name}/dist-tags")
        yield from (f"/npm/{name}/-/{file}" for file in (*(entries.archives if entries else ()), "no.tgz"))
        yield f"/npm/{name}/1.0.0"
    for name, model in (*found["models"].items(), ("org/no", None)):
        api = name if name.startswith(("datasets/", "spaces/")) else f"models/{name}"
        yield from (f"/api/{api}", f"/api/{api}/refs", f"/api/{api}/revision/{'f' * 40}")
        for commit, revision in (model.revisions if model else {}).items():
            yield from (f"/api/{api}/{what}/{commit}" for what in ("revision", "tree", "commits"))
            yield from (f"/{name}/resolve/{commit}/{path}" for path in (*revision.files, "no.txt"))
        yield f"/{name}/resolve/main/model.gguf"
    short = {**{rest: found["images"][full] for rest, full in found["aliases"].items()}, "no": None}
    for name, image in {**found["images"], **short}.items():
        yield f"/v2/{name}/tags/list"
        if image:
            yield from (f"/v2/{name}/manifests/{tag}" for tag in image.tags)
            held = (*image.manifests, *image.blobs, "0" * 64)
            yield from (
                f"/v2/{name}/{what}/sha256:{digest}"
                for digest in held
                for what in ("manifests", "blobs", "referrers")
            )
    yield from (f"/git/{name}.git/info/refs" for name in (*found["git"], "no"))


def get(app, path, port=1):
    """Ask for a path, perhaps with a query, by the mirror's name."""
    where, _, query = path.partition("?")
    return asyncio.run(asking(app, where, query=query, client=("client", port), host="mirror.test"))


def answers(app, paths, port=1):
    """Return what each address answers; dates of answers are not compared."""
    found = {}
    for path in paths:
        answer = get(app, path, port)
        headers = {key: value for key, value in answer.headers.items() if key != "date"}
        found[path] = answer.status, headers, answer.body
    return found


def test_every_address_answers_as_from_one_document(site, tmp_path, monkeypatch):
    """And nobody reads all parts to keep them."""
    flat = filled(FlatSite(tmp_path / "flat"))
    flat.publish()
    site.publish()
    view = flat.view()
    view.refresh()
    key = (flat.root / "repository.key").read_bytes()
    (site.root / "repository.key").write_bytes(key)
    (site.root / "repository.key").chmod(0o600)
    paths = list(addresses(view.table))
    assert len(paths) > 200
    expected = answers(flat.app(), paths)
    monkeypatch.setattr(Parts, "others", None)
    found = answers(site.app(), paths)
    certificates = {"/apt/lockgate.asc", "/rpm/lockgate.asc"}  # signed anew each time
    for path in paths:
        assert found[path][:2] == expected[path][:2] or path in certificates, path
        assert found[path][2] == expected[path][2] or path in certificates, path
        assert found[path][0] == expected[path][0], path
    assert {status for status, _, _ in found.values()} == {200, 403, 404}


LOST = {
    "/npm/leaf": key_of_kind(Kind.NPM, "leaf"),
    "/npm/twig": key_of_page("npm/twig/full.json"),
    "/v2/registry.test/app/tags/list": key_of_kind(Kind.OCI, "registry.test/app"),
    "/api/models/org/m": key_of_kind(Kind.MODEL, "org/m"),
    "/api/models/plain/refs": key_of_page("hub/plain/refs.json"),
    "/git/team/tool.git/info/refs": key_of_kind(Kind.GIT, "team/tool"),
}


@pytest.mark.parametrize("path", LOST)
def test_a_part_that_went_missing_is_an_error_and_not_an_absence(site, path):
    site.publish()
    app = site.app()
    assert get(app, "/npm/stem").status == 200
    file = site.part(LOST[path])
    held = file.read_bytes()
    file.chmod(0o600)
    for damage in (lambda: file.write_bytes(held[:-1]), file.unlink):
        damage()
        answer = get(app, path)
        assert answer.status == 500
        assert b"LG-" in answer.body
        assert get(app, "/npm/stem").status == 200
        assert get(app, "/npm/nobody").status == 404


def test_what_needs_all_parts_is_refused_where_one_is_missing(site):
    """Whether a file without its name in its path is there cannot be told then; all others are served."""
    site.publish()
    app = site.app()
    site.view().refresh()
    assert get(app, "/npm/leaf").status == 200
    site.part(key_of_kind(Kind.FILE, "stray")).unlink()
    for path in (
        "/files/b/d/e.pdf",
        "/v2/app/tool/tags/list",
        "/npm/",
        "/conda/science/noarch/repodata.json",
    ):
        assert get(app, path).status == 500, path
    for path in ("/npm/leaf", "/v2/registry.test/app/tags/list", "/api/models/org/m"):
        assert get(app, path).status == 200, path


NOWHERE = [
    "/npm/nobody",
    "/files/nowhere.txt",
    "/files/b/nowhere/",
    "/files/documents/nothing.md",
    "/v2/nobody/tags/list",
    "/v2/registry.test/nobody/tags/list",
    "/api/models/org/nobody",
    "/api/datasets/org/nobody",
    "/apt/debian/pool/main/n/nobody/nobody_1_amd64.deb",
    "/apt/debian/dists/nowhere/main/binary-amd64/by-hash/SHA256/" + "0" * 64,
    "/rpm/rocky/base/x86_64/Packages/n/nobody-1-1.x86_64.rpm",
    "/conda/science/linux-64/nobody-1-0.conda",
    "/git/nobody.git/info/refs",
]


def test_no_part_is_read_for_names_that_are_not_there(site, monkeypatch):
    site.publish()
    app = site.app()
    assert get(app, "/npm/").status == 200
    bare = f"/v2/registry.test/app/referrers/sha256:{'0' * 64}"
    found = {path: get(app, path).status for path in NOWHERE}
    assert get(app, bare).status == 200
    monkeypatch.setattr(Parts, "bytes_of", None)
    fresh = site.app()
    fresh.state.site.view._table = app.state.site.view.table
    fresh.state.site.view._seen = app.state.site.view._seen
    app.state.site.view.table.lookups.read._values.clear()
    assert {path: get(fresh, path).status for path in NOWHERE} == found
    assert get(fresh, bare).status == 200
    assert set(found.values()) == {404}


def test_a_part_is_read_for_nothing_that_it_has_not(site, monkeypatch):
    parts = parts_of(site.snapshot())
    known = Lookups(parts)
    assert known.survey.result.npm == 4
    absent = {
        "npm": (f"n{number}" for number in itertools.count()),
        "files": (f"files/n{number}/index.html" for number in itertools.count()),
        "oci": (f"oci/registry.test/app/_referrers/sha256:{number:064x}" for number in itertools.count()),
    }
    name = next(each for each in absent["npm"] if parts.name(key_of_kind(Kind.NPM, each)))
    paths = [next(p for p in absent[kind] if parts.name(key_of_page(p))) for kind in ("files", "oci")]
    fresh = Lookups(parts)
    monkeypatch.setattr(Parts, "bytes_of", None)
    assert known.named([(Kind.NPM, name)]) == []
    assert [known.page(path) for path in paths] == [None, None]
    for read in (lambda: fresh.named([(Kind.NPM, name)]), *(partial(fresh.page, path) for path in paths)):
        with pytest.raises(TypeError):  # as long as nobody knows, the part is read
            read()


NEW_PAGES = ("npm/new/full.json", "npm/new/short.json", "npm/-/search.json")


def test_a_switch_surveys_the_parts_that_are_new_alone(site, monkeypatch):
    first = site.snapshot()
    before = build_table(statement_for(first, 1), first)
    assert before.lookups.survey.result.npm == 4
    site.add_npm(NpmPackage("new", "1.0.0"))
    after = site.snapshot()
    read = []
    kept = Parts.bytes_of
    monkeypatch.setattr(
        Parts, "bytes_of", lambda parts, named: read.append(named.sha256) or kept(parts, named)
    )
    table = build_table(statement_for(after, 2), after, before=before)
    assert table.lookups.survey.done, "nobody waits for it after a switch"
    assert table.lookups.survey.result.npm == 5
    new = part_digests(after) - part_digests(first)
    index = key_of_page("simple/index.json")
    looked = {parts_of(after).name(key).sha256 for key in (index, key_of_page("npm/-/search.json"))}
    assert set(read) <= new | looked
    monkeypatch.setattr(tables, "AT_ONCE", 0)
    other = build_table(statement_for(after, 2), after, before=before)
    assert not other.lookups.survey.done, "where very many parts are new, a switch does not wait for them"
    assert other.lookups.survey.unseen == len({*map(key_of_page, NEW_PAGES), key_of_kind(Kind.NPM, "new")})
    waiting = build_table(statement_for(after, 2), after, before=build_table(statement_for(first, 1), first))
    assert not waiting.lookups.survey.done, "where nobody asked before, a start does not wait for it"


def test_nothing_holds_the_snapshots_before(site):
    """Mirrors run for months: what is taken over are parts and what is in them, and no snapshot's index."""
    served, indexes = None, []
    for number in range(4):
        site.add_npm(NpmPackage(f"new-{number}", "1.0.0"))
        snapshot = site.snapshot()
        table = build_table(statement_for(snapshot, 1), snapshot, before=served)
        assert table.npm["leaf"].archives
        assert table.images.by_name["registry.test/app"].manifests
        if number == 1:
            assert table.lookups.survey.result.npm == 6
        indexes.append(weakref.ref(parts_of(snapshot)))
        served = table
        del snapshot, table
    gc.collect()
    assert [index() is None for index in indexes] == [True, True, True, False]


def test_many_who_need_the_survey_wait_for_one(site, monkeypatch):
    site.publish()
    app = site.app()
    assert get(app, "/healthz").status == 200
    began = []
    kept = Parts.bytes_of
    monkeypatch.setattr(Parts, "bytes_of", lambda parts, named: began.append(named.key) or kept(parts, named))

    async def together():
        asked = [asking(app, "/files/a.txt", client=("client", port)) for port in range(1, 20)]
        return await asyncio.gather(*asked)

    assert {answer.status for answer in asyncio.run(together())} == {200}
    own = [key for key in began if key == key_of_kind(Kind.GIT, "team/tool")]
    assert len(own) == 1


def test_who_began_with_a_snapshot_is_given_its_files_after_the_switch(site):
    site.publish()
    app = site.app()
    view = app.state.site.view
    assert get(app, "/npm/leaf").status == 200
    old = [p for p in view.table.apt.files if "/by-hash/" in p] + list(view.table.rpm.files)
    named = [f"/apt/{p}" for p in old if "/by-hash/" in p] + [f"/rpm/{p}" for p in old if "-primary" in p]
    assert named
    image = view.table.images.by_name["registry.test/app/tool"]
    named += [f"/v2/app/tool/manifests/sha256:{digest}" for digest in image.manifests]
    before = answers(app, named)
    site.entries = [
        a for a in site.entries if a.artifact.kind not in {Kind.APT, Kind.RPM, Kind.OCI, Kind.OLLAMA}
    ]
    add_repositories(site)
    site.add_deb(DebFile("bud", "7"), "bookworm")
    site.publish()
    assert get(app, "/apt/debian/pool/main/b/bud/bud_7_amd64.deb", 2).status == 200
    assert {status for status, _, _ in before.values()} == {200}
    for port in (1, 2):  # who goes on with the older snapshot, and who sees the newest
        for path, (status, _, body) in answers(app, named, port).items():
            assert (status, body) == (200, before[path][2]), (path, port)


def test_long_files_are_hashed_ahead_and_unsigned_repositories_are_told_of(site, monkeypatch):
    from lockgate.mirror import build_app, server
    from lockgate.mirror.spread import survey

    told = []
    monkeypatch.setattr(server._log, "error", lambda what, **facts: told.append((what, facts)), raising=False)
    monkeypatch.setattr(survey, "LARGE", 4)
    site.publish()
    view = site.view()
    view._verifier.signed = lambda *_: None
    app = build_app(view, site.blobs, lambda: START)
    opened, blobs = [], app.state.site.blobs
    kept, every = blobs.open, asyncio.Event()

    async def noted(digest, size):
        opened.append((digest, size))
        if wanted <= set(opened):
            every.set()
        return await kept(digest, size)

    monkeypatch.setattr(blobs, "open", noted)
    files = [f for a in site.entries if a.artifact.kind is not Kind.PYTHON for f in a.artifact.files]
    wanted = {(f.sha256, f.size) for f in files if f.size > 4}

    async def started():
        async with app.router.lifespan_context(app):
            await asyncio.wait_for(every.wait(), 300)

    asyncio.run(started())
    assert set(opened) == wanted
    unsigned = {facts["path"] for what, facts in told if what == "repository not served"}
    assert unsigned == view.table.lookups.survey.result.releases
    assert len(unsigned) == 4
    assert get(app, "/apt/debian/dists/bookworm/InRelease").status == 503
    assert get(app, "/apt/lockgate.asc").status == 503


def test_what_is_kept_is_bounded_by_its_weight():
    kept, made = Kept(limit=10), []

    def make(key, weight):
        made.append(key)
        return weight, key

    for key, weight in (("a", 4), ("b", 4), ("a", 4), ("c", 4)):
        assert kept.get(key, lambda k=key, w=weight: make(k, w)) == key
    assert made == ["a", "b", "c"]
    assert kept.weight == 8
    kept.get("a", lambda: make("a", 4))
    kept.get("b", lambda: make("b", 4))
    assert made == ["a", "b", "c", "b"], "the one that was not asked for longest went"
    kept.get("long", lambda: make("long", 50))
    assert kept.weight == 50, "one that is longer than the bound is kept alone"

    def twice():
        kept.get("other", lambda: make("other", 3))
        return 5, "other"

    assert kept.get("other", twice) == "other"
    assert kept.weight == 5, "what two make at once counts once"


@pytest.mark.parametrize(
    ("paths", "path", "names"),
    [
        (FILES, "documents/a/b.md", {(Kind.DOCUMENT, "a/b.md")}),
        (FILES, "files/tool/x.bin", {(Kind.FILE, "tool"), (Kind.RULES, "tool")}),
        (FILES, "a/b.bin", {(kind, "a/b.bin") for kind in (Kind.DOCUMENT, Kind.FILE, Kind.RULES)}),
        (DEBS, "debian/pool/main/l/leaf/leaf_1_amd64.deb", {(Kind.APT, "debian/leaf")}),
        (DEBS, "a/b/pool/main/t/tree/tree_1.2.orig.tar.gz", {(Kind.APT, "a/b/tree")}),
        (DEBS, "debian/dists/bookworm/InRelease", set()),
        (RPMS, "rocky/base/x86_64/Packages/l/leaf-more-1-2.x86_64.rpm", {(Kind.RPM, "rocky/leaf-more")}),
        (RPMS, "rocky", {(Kind.RPM, "rocky/")}),
        (CONDAS, "a/b/linux-64/leaf-more-1-0.conda", {(Kind.CONDA, "a/b/leaf-more")}),
        (CONDAS, "", {(Kind.CONDA, "/")}),
    ],
)
def test_an_address_says_the_name(paths, path, names):
    assert set(paths.names(path)) == names
    for kind, name in names:
        assert not is_stray(kind, name, Role.DISTRIBUTION, f"{paths.folder}{path}")
        assert is_stray(kind, f"{name}x", Role.DISTRIBUTION, f"{paths.folder}{path}")
    assert not is_stray(Kind.NPM, "x", Role.DISTRIBUTION, path)


def test_what_lies_beside_a_package_is_no_stray():
    assert not is_stray(Kind.APT, "debian/tree", Role.CORE_METADATA, "apt/debian/pool/main/t/tree/tree.json")
    assert is_stray(Kind.FILE, "tool", Role.CORE_METADATA, "elsewhere.bin")
