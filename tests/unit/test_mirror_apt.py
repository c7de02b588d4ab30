"""The apt mirror's pages and answers, without a client."""

import gzip
import re
from datetime import timedelta
from hashlib import sha256

import pytest
from msgspec.structs import replace

from corpora.debs import DebFile, SourceFiles, suite
from corpora.mirrorsite import START, MirrorSite, ask
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.repository import dated
from lockgate.core.statement import Operation
from lockgate.core.wire import encode
from lockgate.mirror import LayoutError, generate_pages

LEAF = DebFile("leaf", "1:2.0+dfsg~rc1-1", fields={"Depends": "libtree1 (>= 1), g++-12", "Section": "utils"})
TREE = DebFile("libtree1", "1.2-3", fields={"Source": "tree (1.2)"})
EVERY = DebFile("words", "7", "all")
ARM = DebFile("leaf", "1:2.0+dfsg~rc1-1", "arm64")
SOURCE = SourceFiles("tree", "1.2", binary="libtree1")
INDEX = "/apt/debian/dists/bookworm"


@pytest.fixture
def site(tmp_path):
    """Return a site that a test may change."""
    return filled(MirrorSite(tmp_path))


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """Return a site for tests that only look."""
    return filled(MirrorSite(tmp_path_factory.mktemp("site")))


def filled(site):
    site.add_suite(suite(architectures=("amd64", "arm64"), sources=True))
    site.add_suite(suite("bookworm-security", label="Debian-Security"))
    site.add_deb(LEAF, "bookworm", "bookworm-security")
    for deb in (TREE, EVERY, ARM):
        site.add_deb(deb, "bookworm")
    site.add_source(SOURCE, "bookworm")
    site.publish()
    return site


def listed(app, path):
    answer = ask(app, path)
    assert answer.status == 200
    return dict(re.findall(r"^ (\w+ \d+) (\S+)$", answer.body.decode(), re.MULTILINE)), answer


def sums(app, folder=INDEX):
    found, _ = listed(app, f"{folder}/Release")
    return {path: what.split() for what, path in found.items()}


def test_every_index_is_what_the_release_file_says_by_name_and_by_digest(standing):
    app = standing.app()
    for path, (digest, size) in sums(app).items():
        by_name = ask(app, f"{INDEX}/{path}")
        assert (len(by_name.body), sha256(by_name.body).hexdigest()) == (int(size), digest)
        folder = path.rpartition("/")[0]
        by_hash = ask(app, f"{INDEX}/{folder}/by-hash/SHA256/{digest}")
        assert by_hash.body == by_name.body
        assert "immutable" in by_hash.headers["cache-control"]


def test_indexes_list_each_package_where_its_suite_and_architecture_are(standing):
    app = standing.app()

    def names(folder, index="main/binary-amd64/Packages"):
        return re.findall(r"^Package: (\S+)$", ask(app, f"{folder}/{index}").body.decode(), re.MULTILINE)

    assert names(INDEX) == ["leaf", "libtree1", "words"]
    assert names(INDEX, "main/binary-arm64/Packages") == ["leaf", "words"]
    assert names(INDEX, "main/source/Sources") == ["tree"]
    assert names(f"{INDEX}-security") == ["leaf"]
    assert "Label: Debian-Security" in ask(app, f"{INDEX}-security/Release").body.decode()


def test_both_forms_of_an_index_say_the_same(standing):
    app = standing.app()
    plain = ask(app, f"{INDEX}/main/binary-amd64/Packages").body
    assert gzip.decompress(ask(app, f"{INDEX}/main/binary-amd64/Packages.gz").body) == plain
    assert plain.endswith(b"\n\n")
    first = plain.decode().split("\n\n")[0]
    assert first.startswith("Package: leaf\nVersion: 1:2.0+dfsg~rc1-1\n")
    assert "\nDescription: the leaf\n It says so.\n .\n At length.\n" in first
    assert f"\nFilename: pool/main/l/leaf/leaf_2.0+dfsg~rc1-1_amd64.deb\nSize: {len(LEAF.data)}\n" in first
    assert f"SHA256: {sha256(LEAF.data).hexdigest()}" in first


def test_names_with_plus_and_tilde_are_found_however_they_are_written(standing):
    app = standing.app()
    for written in ("leaf_2.0+dfsg~rc1-1_amd64.deb", "leaf_2.0%2bdfsg%7Erc1-1_amd64.deb"):
        assert ask(app, f"/apt/debian/pool/main/l/leaf/{written}").body == LEAF.data
    assert ask(app, "/apt/debian/pool/main/libt/libtree1/absent_1_amd64.deb").status == 404
    assert ask(app, f"/apt/debian/pool/main/t/tree/{TREE.filename}").body == TREE.data
    assert ask(app, f"/apt/debian/pool/main/t/tree/{SOURCE.filename}").body == SOURCE.archive
    assert ask(app, "/apt/debian/pool/main/l/leaf/leaf_2.0+dfsg~rc1-1_amd64.deb.json").status == 404


def test_a_date_answers_304_and_goes_on_only_where_it_is_the_very_one(standing):
    app = standing.app()
    for path in (f"{INDEX}/InRelease", "/apt/debian/pool/main/t/tree/tree_1.2.dsc"):
        first = ask(app, path)
        date = first.headers["last-modified"]
        assert ask(app, path, if_modified_since=date).status == 304
        assert ask(app, path, if_modified_since="Fri, 01 May 2037 12:00:00 GMT").status == 200
    part = ask(app, path, range="bytes=10-", if_range=date)
    assert (part.status, part.body) == (206, first.body[10:])
    whole = ask(app, path, range="bytes=10-", if_range="Fri, 01 May 2020 12:00:00 GMT")
    assert (whole.status, whole.body) == (200, first.body)


def test_the_release_file_is_dated_by_the_statement_so_that_a_rollback_is_newer(site):
    app = site.app()
    release = ask(app, f"{INDEX}/Release").body
    assert release.startswith(b"Date: Fri, 01 May 2026 12:00:00 UTC\nOrigin: Debian\n")
    assert b"Valid-Until" not in release
    site.publish(operation=Operation.ROLLBACK, created=START + timedelta(hours=1, seconds=7))
    again = ask(app, f"{INDEX}/Release", client=("client", 2)).body
    assert again.startswith(b"Date: Fri, 01 May 2026 13:00:07 UTC\n")
    assert again.partition(b"\n")[2] == release.partition(b"\n")[2]


def test_dates_are_english_whatever_the_machine_speaks():
    assert dated("apt/a/Release", b"", START.replace(month=12, day=3)).startswith(
        b"Date: Thu, 03 Dec 2026 12:00:00 UTC"
    )


def test_pages_do_not_depend_on_the_order_of_what_is_admitted(standing):
    pages = generate_pages(standing.entries, standing.blobs.read)
    assert generate_pages(standing.entries[::-1], standing.blobs.read) == pages


def test_what_a_newer_crossing_brings_under_one_path_is_listed_alone(site):
    other = DebFile("words", "7", "all", files={"usr/share/words/more": b"x"})
    site.add_deb(other, "bookworm", crossing=2)
    site.publish()
    index = ask(site.app(), f"{INDEX}/main/binary-amd64/Packages").body.decode()
    assert index.count("Package: words") == 1
    assert sha256(other.data).hexdigest() in index


def test_an_index_that_a_client_read_of_is_still_there_after_the_channel_moved(site):
    app = site.app()
    digest = sums(app)["main/binary-amd64/Packages.gz"][0]
    old = f"{INDEX}/main/binary-amd64/by-hash/SHA256/{digest}"
    body = ask(app, old).body
    site.add_deb(DebFile("late", "1"), "bookworm", crossing=2)
    site.publish()
    assert digest.encode() not in ask(app, f"{INDEX}/Release", client=("client", 2)).body
    assert ask(app, old, client=("client", 3)).body == body


def test_packages_outlive_their_suite_and_are_listed_nowhere(site):
    site.entries = [a for a in site.entries if "security" not in a.artifact.name]
    site.publish()
    app = site.app()
    assert ask(app, f"{INDEX}-security/InRelease").status == 404
    assert ask(app, f"{INDEX}/InRelease").status == 200


def test_without_signatures_nothing_of_a_repository_is_vouched_for(standing):
    app = standing.app()
    app.state.site.view._verifier.signed = lambda *_: None
    for name in ("InRelease", "Release", "Release.gpg"):
        answer = ask(app, f"{INDEX}/{name}")
        assert (answer.status, answer.headers["x-error-code"]) == (503, "LG-2920")
    assert ask(app, "/apt/lockgate.asc").status == 503
    assert ask(app, "/files/").status == 200


def test_misses_are_packages_and_suites_and_not_what_clients_try(standing):
    app = standing.app()
    tried = (f"{INDEX}/main/i18n/Translation-en.xz", f"{INDEX}/main/binary-amd64/by-hash/SHA256/{'0' * 64}")
    for path in (*tried, "/apt/debian/pool/main/a/absent_1.deb", "/apt/debian/dists/trixie/InRelease"):
        assert ask(app, path).status == 404
    missed = {name for _, name in app.state.site.misses.counts()}
    assert missed == {"debian/pool/main/a/absent_1.deb", "debian/dists/trixie/InRelease"}


def test_a_document_about_another_version_is_refused(site):
    artifact = site.add_deb(DebFile("other", "1"), "bookworm")
    known = artifact.files[1]
    liar = site.file(known.path, encode(DebFile("leaf", "9.9").known), known.role)
    entry = site.entries.pop()
    site.entries.append(replace(entry, artifact=replace(artifact, files=(artifact.files[0], liar))))
    with pytest.raises(LayoutError, match=r"is about leaf 9\.9"):
        generate_pages(site.entries, site.blobs.read)


@pytest.mark.parametrize(
    "fields",
    [
        {"Depends": "a\n\nPackage: evil"},
        {"Depends": "a\nFilename: pool/evil.deb"},
        {"Filename": "pool/evil.deb"},
        {"sha256": "0" * 64},
        {"Bad Name": "x"},
        {"Package": "other"},
        {"Depends": "a\x00b"},
    ],
)
def test_no_field_breaks_out_of_its_paragraph(fields):
    known = DebFile("leaf", "1").known
    given = {name: getattr(known, name) for name in known.__struct_fields__}
    assert type(known)(**given) == known
    given["fields"] = (*(f for f in known.fields if f[0] != "Depends"), *fields.items())
    with pytest.raises(MalformedDocumentError):
        type(known)(**given)
