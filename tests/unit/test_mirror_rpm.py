"""The RPM mirror's pages and answers, without a client."""

import gzip
import re
from datetime import timedelta
from hashlib import sha256

import pytest
from msgspec.structs import replace

from corpora.mirrorsite import START, MirrorSite, ask
from lockgate.core.errors import MalformedDocumentError
from lockgate.core.repository import dated
from lockgate.core.rpm import (
    REPOSITORY_FORMAT,
    RPM_FORMAT,
    Capability,
    Collection,
    Erratum,
    ErratumPackage,
    FileEntry,
    Module,
    Relation,
    RpmPackage,
    RpmRepository,
    rpm_purl,
)
from lockgate.core.statement import Operation
from lockgate.core.wire import checked, encode
from lockgate.mirror import LayoutError, generate_pages

BASE = "/rpm/rocky/base/x86_64"


def package(name="leaf", version="1.0", epoch="0", architecture="x86_64", **facts):
    return RpmPackage(
        format=RPM_FORMAT,
        name=name,
        epoch=epoch,
        version=version,
        release="1.el9",
        architecture=architecture,
        summary="leaves & <branches>",
        files=(FileEntry("/etc/leaf.conf"), FileEntry("/usr/bin/leaf"), FileEntry("/usr/share/leaf", "dir")),
        relations={Relation.REQUIRES: (Capability("libtree", "GE", "0", "1"), Capability('a"b', pre=True))},
        **facts,
    )


def about(channel="base", **facts):
    return RpmRepository(
        format=REPOSITORY_FORMAT, repository="rocky", channel=channel, architecture="x86_64", **facts
    )


LEAF, WORDS, GONE = package(epoch="1"), package("words", architecture="noarch"), package("gone")


def listed(each):
    return ErratumPackage(each.name, each.epoch, each.version, each.release, each.architecture)


ERRATA = (
    Erratum("E-1", "security", (Collection((listed(LEAF), listed(GONE)), short="c"),), title="x & y"),
    Erratum("E-2", "bugfix", (Collection((listed(GONE),)),)),
)
MODULES = (
    Module("wood", "document: modulemd\n", "2", (LEAF.nevra,)),
    Module("wood", "document: modulemd-defaults\n", "2"),
    Module("wood", "document: gone\n", "3", (GONE.nevra,)),
    Module("iron", "document: iron\n", "1", (GONE.nevra,)),
)


@pytest.fixture
def site(tmp_path):
    """Return a site that a test may change."""
    return filled(MirrorSite(tmp_path))


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """Return a site for tests that only look."""
    return filled(MirrorSite(tmp_path_factory.mktemp("site")))


def filled(site):
    site.add_rpm_repository(about(errata=ERRATA, modules=MODULES), "vendor's keys")
    site.add_rpm_repository(about("updates"), "vendor's keys")
    site.add_rpm(LEAF, b"leaf", "base:x86_64")
    site.add_rpm(WORDS, b"words", "base:x86_64", "updates:x86_64", "elsewhere:x86_64")
    site.publish()
    return site


def indexes(app, folder=BASE):
    """Return the indexes that a repository names, each compared with what is said of it."""
    text = ask(app, f"{folder}/repodata/repomd.xml").body.decode()
    found = {}
    for kind, body in re.findall(r'<data type="(\w+)">(.*?)</data>', text, re.DOTALL):
        (path,) = re.findall(r'<location href="(.+?)"/>', body)
        answer = ask(app, f"{folder}/{path}")
        plain = gzip.decompress(answer.body)
        assert f'<checksum type="sha256">{sha256(answer.body).hexdigest()}<' in body
        assert f'<open-checksum type="sha256">{sha256(plain).hexdigest()}<' in body
        assert (f"<size>{len(answer.body)}<" in body, f"<open-size>{len(plain)}<" in body) == (True, True)
        assert "immutable" in answer.headers["cache-control"]
        found[kind] = plain.decode()
    return found


def test_every_index_is_what_the_signed_one_says_and_lists_what_lies_there(standing):
    app = standing.app()
    found = indexes(app)
    assert set(found) == {"primary", "filelists", "other", "updateinfo", "modules"}
    assert set(indexes(app, "/rpm/rocky/updates/x86_64")) == {"primary", "filelists", "other"}
    primary = found["primary"]
    assert 'packages="2"' in primary
    assert "leaves &amp; &lt;branches&gt;" in primary
    assert '<rpm:entry name="libtree" flags="GE" epoch="0" ver="1"/>' in primary
    assert '<rpm:entry name=\'a"b\' pre="1"/>' in primary
    assert re.findall(r"<file>(.+?)</file>", primary) == ["/etc/leaf.conf", "/usr/bin/leaf"] * 2
    assert '<file type="dir">/usr/share/leaf</file>' in found["filelists"]
    assert f'pkgid="{sha256(b"leaf").hexdigest()}"' in found["filelists"]
    assert ask(app, "/rpm/rocky/elsewhere/x86_64/repodata/repomd.xml").status == 404
    for path, data in (("l/leaf-1.0-1.el9.x86_64.rpm", b"leaf"), ("w/words-1.0-1.el9.noarch.rpm", b"words")):
        assert f'<location href="Packages/{path}"/>' in primary
        assert ask(app, f"{BASE}/Packages/{path}").body == data
    assert ask(app, "/rpm/rocky/updates/x86_64/Packages/w/words-1.0-1.el9.noarch.rpm").body == b"words"
    assert ask(app, "/rpm/rocky/updates/x86_64/Packages/l/leaf-1.0-1.el9.x86_64.rpm").status == 404
    assert ask(app, f"{BASE}/keys.asc").body == b"vendor's keys"


def test_errata_and_modules_are_cut_to_what_was_admitted(standing):
    found = indexes(standing.app())
    assert re.findall(r"<id>(.+?)</id>", found["updateinfo"]) == ["E-1"]
    assert re.findall(r'<package name="(\w+)"', found["updateinfo"]) == ["leaf"]
    assert "<title>x &amp; y</title>" in found["updateinfo"]
    assert found["modules"] == "---\ndocument: modulemd\n...\n---\ndocument: modulemd-defaults\n...\n"


def test_the_index_is_dated_by_the_statement_and_by_nothing_else(site):
    app = site.app()
    first = ask(app, f"{BASE}/repodata/repomd.xml").body
    seconds = str(int(START.timestamp())).encode()
    assert first.count(b"<timestamp>" + seconds + b"<") == 5
    assert b"<revision>" + seconds + b"<" in first
    site.publish(operation=Operation.ROLLBACK, created=START + timedelta(seconds=7))
    again = ask(app, f"{BASE}/repodata/repomd.xml", client=("client", 2)).body
    assert again == first.replace(seconds, str(int(seconds) + 7).encode())
    assert dated("rpm/a/repomd.xml", b"<revision>-</revision><a>-</a>", START).endswith(b"<a>-</a>")


def test_pages_do_not_depend_on_the_order_of_what_is_admitted(standing):
    pages = generate_pages(standing.entries, standing.blobs.read)
    assert generate_pages(standing.entries[::-1], standing.blobs.read) == pages


def test_a_download_goes_on_only_where_the_date_is_the_very_one(standing):
    path = f"{BASE}/Packages/w/words-1.0-1.el9.noarch.rpm"
    app = standing.app()
    date = ask(app, path).headers["last-modified"]
    part = ask(app, path, range="bytes=2-", if_range=date)
    assert (part.status, part.body) == (206, b"rds")
    assert ask(app, path, range="bytes=2-", if_range="Fri, 01 May 2020 12:00:00 GMT").status == 200
    index = f"{BASE}/repodata/repomd.xml"
    assert ask(app, index, if_modified_since=ask(app, index).headers["last-modified"]).status == 304


def test_what_a_newer_crossing_brings_under_one_path_is_listed_alone(site):
    site.add_rpm(WORDS, b"other words", "base:x86_64", crossing=2)
    site.publish()
    found = indexes(site.app())
    assert found["primary"].count("<name>words</name>") == 1
    assert sha256(b"other words").hexdigest() in found["primary"]


def test_an_index_that_a_client_read_of_is_still_there_after_the_channel_moved(site):
    app = site.app()
    old = ask(app, f"{BASE}/repodata/repomd.xml").body.decode()
    (path,) = re.findall(r'href="(.+?-primary.xml.gz)"', old)
    body = ask(app, f"{BASE}/{path}").body
    site.add_rpm(package("late"), b"late", "base:x86_64", crossing=2)
    site.publish()
    assert path not in ask(app, f"{BASE}/repodata/repomd.xml", client=("client", 2)).body.decode()
    assert ask(app, f"{BASE}/{path}", client=("client", 3)).body == body


def test_without_signatures_nothing_of_a_repository_is_vouched_for(standing):
    app = standing.app()
    app.state.site.view._verifier.signed = lambda *_: None
    for name in ("repomd.xml", "repomd.xml.asc"):
        answer = ask(app, f"{BASE}/repodata/{name}")
        assert (answer.status, answer.headers["x-error-code"]) == (503, "LG-2920")
    assert ask(app, "/rpm/lockgate.asc").status == 503


def test_misses_are_packages_and_repositories_and_not_what_clients_try(standing):
    app = standing.app()
    tried = f"{BASE}/repodata/{'0' * 64}-comps.xml"
    for path in (
        tried,
        f"{BASE}/Packages/a/absent-1-1.noarch.rpm",
        "/rpm/rocky/nine/x86_64/repodata/repomd.xml",
    ):
        assert ask(app, path).status == 404
    missed = {name for _, name in app.state.site.misses.counts()}
    assert missed == {
        "rocky/base/x86_64/Packages/a/absent-1-1.noarch.rpm",
        "rocky/nine/x86_64/repodata/repomd.xml",
    }


def test_a_document_about_another_version_or_place_is_refused(site):
    artifact = site.add_rpm(package("other"), b"other", "base:x86_64")
    known = artifact.files[1]
    entry = site.entries.pop()
    for liar in (package("other", "9.9"), package("leaf")):
        file = site.file(known.path, encode(liar), known.role)
        changed = replace(entry, artifact=replace(artifact, files=(artifact.files[0], file)))
        with pytest.raises(LayoutError, match=f"is about {liar.name} "):
            generate_pages([*site.entries, changed], site.blobs.read)
    moved = replace(artifact.files[0], path="rpm/alma/Packages/o/other-1.0-1.el9.x86_64.rpm")
    changed = replace(entry, artifact=replace(artifact, files=(moved, known)))
    with pytest.raises(LayoutError, match="does not lie in the distribution 'rocky'"):
        generate_pages([*site.entries, changed], site.blobs.read)


@pytest.mark.parametrize(
    "facts",
    [
        {"name": "../leaf"},
        {"version": "1-2"},
        {"epoch": "x"},
        {"architecture": "x86/64"},
        {"summary": "a\x00b"},
        {"url": "a\nb"},
        {"relations": {"requires": [{"name": "a", "flags": "NE"}]}},
        {"files": [{"path": "/a\x1b"}]},
        {"files": [{"path": "/a", "type": "x"}]},
        {"unknown": "x"},
    ],
)
def test_no_field_of_a_package_breaks_out_of_its_index(facts):
    given = {name: getattr(LEAF, name) for name in LEAF.__struct_fields__}
    assert checked(RpmPackage, given) == LEAF
    with pytest.raises(MalformedDocumentError):
        checked(RpmPackage, {**given, **facts})


def test_a_module_is_one_document_and_a_repository_stays_in_its_folder():
    for text in ("a\n---\nb\n", "a\n...\n", "%YAML 1.2\n"):
        with pytest.raises(MalformedDocumentError, match="holds another one"):
            Module("wood", text)
    for channel in ("a/b", "..", ""):
        with pytest.raises(MalformedDocumentError):
            about(channel)


def test_package_urls_name_epoch_and_architecture():
    assert rpm_purl("rocky", LEAF) == "pkg:rpm/rocky/leaf@1.0-1.el9?arch=x86_64&epoch=1"
    assert LEAF.evr == "1:1.0-1.el9"
    assert WORDS.nevra == "words-0:1.0-1.el9.noarch"
