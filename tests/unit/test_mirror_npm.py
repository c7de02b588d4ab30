"""The npm mirror without a client: pages, addresses, tags, search, audit, and what is refused."""

import gzip
import json
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from corpora.homes import HighSide
from corpora.mirrorsite import MirrorSite, ask
from corpora.npmpackages import NpmPackage
from lockgate.app.gate import trust_roots
from lockgate.app.gate.trust_roots import TrustRootsWithdrawnError
from lockgate.app.high.reading import is_p256, registry_keys
from lockgate.collect.trust_roots import Sources, make_roots
from lockgate.core.errors import LockgateError
from lockgate.mirror import (
    Advice,
    Advisor,
    AmbiguousSnapshotError,
    Asked,
    KnownAdvisory,
    LayoutError,
    NothingPublishedError,
    RegistryKey,
    generate_pages,
)
from lockgate.mirror.pages.npm import ABBREVIATED
from lockgate.mirror.protocols.npm import _Kept
from lockgate.mirror.protocols.npm_audit import BODY_LIMIT

LEAF_1 = NpmPackage("leaf", "1.0.0", facts={"deprecated": "old"})
LEAF_2 = NpmPackage("leaf", "2.0.0", facts={"tags": ("latest",)})
SCOPED = NpmPackage("@garden/tree", "1.0.0", {"dependencies": {"leaf": "^2"}})
HOST = {"host": "mirror.example:8710"}


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path)
    for package in (LEAF_1, LEAF_2, SCOPED):
        site.add_npm(package)
    site.publish()
    return site


@pytest.fixture
def app(site):
    return site.app()


def packument(app, path, **headers):
    answer = ask(app, path, **{**HOST, **headers})
    assert answer.status == 200, answer.body
    return json.loads(answer.body), answer


def test_both_forms_are_chosen_by_accept(app):
    full, answer = packument(app, "/npm/leaf")
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["vary"] == "Accept, Host"
    assert full["versions"]["2.0.0"]["license"] == "MIT"
    npm = f"{ABBREVIATED}; q=1.0, application/json; q=0.8, */*"
    short, answer = packument(app, "/npm/leaf", accept=npm)
    assert answer.headers["content-type"] == ABBREVIATED
    assert "license" not in short["versions"]["2.0.0"]
    assert short["versions"]["1.0.0"]["deprecated"] == "old"
    assert short["time"]["2.0.0"] == full["time"]["2.0.0"] == "2026-01-02T03:04:05.000Z"
    for accept in ("application/json", f"{ABBREVIATED};q=0.5, application/json", "*/*", "x" * 5000):
        assert packument(app, "/npm/leaf", accept=accept)[1].headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "path", ["/npm/@garden%2ftree", "/npm/@garden%2Ftree", "/npm/@garden/tree", "/npm/%40garden%2ftree"]
)
def test_a_scoped_name_is_found_however_it_is_written(app, path):
    found, _ = packument(app, path)
    assert found["versions"]["1.0.0"]["dependencies"] == {"leaf": "^2"}
    address = found["versions"]["1.0.0"]["dist"]["tarball"]
    assert address == "http://mirror.example:8710/npm/@garden/tree/-/tree-1.0.0.tgz"
    assert ask(app, "/npm/@garden%2ftree/-/tree-1.0.0.tgz", **HOST).body == SCOPED.data
    assert ask(app, "/npm/@garden/tree/-/tree-1.0.0.tgz", **HOST).body == SCOPED.data


def test_an_entity_tag_belongs_to_a_page_and_the_address_in_it(app):
    _, first = packument(app, "/npm/leaf")
    again = ask(app, "/npm/leaf", **HOST, if_none_match=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    other = ask(app, "/npm/leaf", host="other.example", if_none_match=first.headers["etag"])
    assert other.status == 200
    assert b"http://other.example/npm/leaf/-/leaf-2.0.0.tgz" in other.body
    short = ask(app, "/npm/leaf", **HOST, accept=ABBREVIATED, if_none_match=first.headers["etag"])
    assert short.status == 200


@pytest.mark.parametrize("host", ["", "a b", 'x"/', "evil.example/path", "user@evil.example", "a:1:2", "<x>"])
def test_a_host_that_is_none_is_refused(app, host):
    answer = ask(app, "/npm/leaf", host=host)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == "LG-1920"


def test_a_configured_address_is_believed_whatever_the_client_asked(site):
    app = site.app(asked=Asked(address="https://packages.example/"))
    found, _ = packument(app, "/npm/leaf", host="evil.example")
    assert found["versions"]["2.0.0"]["dist"]["tarball"].startswith("https://packages.example/npm/leaf/-/")


def test_no_text_of_a_package_passes_for_an_address(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_npm(NpmPackage("leaf", "1.0.0", facts={"description": '","tarball":"{registry}/evil'}))
    site.publish()
    found, _ = packument(site.app(), "/npm/leaf")
    assert found["description"] == '","tarball":"{registry}/evil'


def test_a_version_and_the_tags_have_addresses_of_their_own(app):
    assert json.loads(ask(app, "/npm/leaf/1.0.0", **HOST).body)["deprecated"] == "old"
    assert json.loads(ask(app, "/npm/leaf/latest", **HOST).body)["version"] == "2.0.0"
    assert json.loads(ask(app, "/npm/-/package/@garden%2ftree/dist-tags", **HOST).body) == {"latest": "1.0.0"}
    assert ask(app, "/npm/-/ping", **HOST).body == b"{}"
    assert json.loads(ask(app, "/npm/", **HOST).body)["doc_count"] == 2


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/npm/absent", "No package called absent"),
        ("/npm/@garden%2fabsent", "No package called @garden/absent"),
        ("/npm/leaf/9.9.9", "version not found: leaf@9.9.9"),
        ("/npm/leaf/-/leaf-9.9.9.tgz", "No such file of leaf"),
        ("/npm/leaf/-/../../x", "No such file of leaf"),
        ("/npm/leaf/-", "No such file of leaf"),
        ("/npm/-/package/absent/dist-tags", "No package called absent"),
        ("/npm/-/package/leaf/x/dist-tags", "Nothing is served here"),
        ("/npm/-/whoami", "No package called -"),
        ("/npm/@garden", "No package called @garden"),
    ],
)
def test_what_is_missing_is_told_in_json(app, path, says):
    answer = ask(app, path, **HOST)
    assert answer.status == 404
    assert says in json.loads(answer.body)["error"]
    noted = app.state.site.misses.counts()
    assert (("npm", "absent") in noted) == (path == "/npm/absent")


def test_nothing_is_written_and_only_questions_are_posted(app):
    for method, path in (("PUT", "/npm/leaf"), ("POST", "/npm/leaf"), ("DELETE", "/npm/leaf/-rev/1")):
        answer = ask(app, path, method, **HOST)
        assert (answer.status, b"read only" in answer.body) == (405, True)
    assert ask(app, "/npm/-/npm/v1/security/advisories/bulk", **HOST).status == 404


def test_archives_have_ranges_and_stay_for_ever(app):
    answer = ask(app, "/npm/leaf/-/leaf-2.0.0.tgz", **HOST, range="bytes=0-9")
    assert (answer.status, answer.body) == (206, LEAF_2.data[:10])
    assert "immutable" in answer.headers["cache-control"]


def search(app, query):
    return json.loads(ask(app, "/npm/-/v1/search", query=query, **HOST).body)


def test_search_finds_by_every_word_and_pages(app):
    found = search(app, "text=LEA")
    assert [o["package"]["name"] for o in found["objects"]] == ["leaf"]
    assert found["total"] == 1
    everything = search(app, "")
    assert everything["total"] == 2
    assert [o["package"]["name"] for o in search(app, "size=1&from=1")["objects"]] == ["leaf"]
    assert search(app, "size=-1&from=x")["total"] == 2
    assert search(app, "text=leaf+tree")["total"] == 0


def test_an_exact_name_comes_first(tmp_path):
    site = MirrorSite(tmp_path)
    for name in ("a-leaf", "leaf", "leaf-b"):
        site.add_npm(NpmPackage(name, "1.0.0"))
    site.publish()
    found = search(site.app(), "text=leaf")
    assert [o["package"]["name"] for o in found["objects"]] == ["leaf", "a-leaf", "leaf-b"]


class Scripted(Advisor):
    """Knows one hole in leaf."""

    def __init__(self, error=None):
        self.error, self.asked = error, []

    def npm(self, packages):
        self.asked.append(packages)
        if self.error:
            raise self.error
        hole = KnownAdvisory("CVE-2026-1", "A hole", "medium", "<2.0.0", "2.0.0", ("1.0.0",), 53)
        return Advice({"leaf": [hole]} if "1.0.0" in packages.get("leaf", ()) else {}, ("it is old",))


def post(app, path, body, **headers):
    return ask(app, f"/npm/-/npm/v1/security/{path}", "POST", body=body, **HOST, **headers)


def test_an_audit_is_answered_from_the_advisories(site):
    advisor = Scripted()
    app = site.app(asked=Asked(advisor=advisor))
    question = json.dumps({"leaf": ["1.0.0"], "@garden/tree": ["1.0.0"]}).encode()
    answer = post(app, "advisories/bulk", gzip.compress(question), content_encoding="gzip")
    (one,) = json.loads(answer.body)["leaf"]
    assert (one["severity"], one["vulnerable_versions"], one["cvss"]["score"]) == ("moderate", "<2.0.0", 5.3)
    assert one["url"].endswith("CVE-2026-1")
    assert answer.headers["npm-notice"] == "it is old"
    assert post(app, "advisories/bulk", question).body == answer.body
    assert advisor.asked[0] == {"leaf": ["1.0.0"], "@garden/tree": ["1.0.0"]}


def test_an_older_audit_gets_one_report(site):
    tree = {"dependencies": {"a": {"version": "1.0.0", "dependencies": {"leaf": {"version": "1.0.0"}}}}}
    for path in ("audits", "audits/quick"):
        answer = post(site.app(asked=Asked(advisor=Scripted())), path, json.dumps(tree).encode())
        report = json.loads(answer.body)
        assert report["metadata"]["vulnerabilities"]["moderate"] == 1
        (one,) = report["advisories"].values()
        assert (one["module_name"], one["patched_versions"]) == ("leaf", ">=2.0.0")
        assert one["findings"] == [{"version": "1.0.0", "paths": ["a>leaf"]}]


def nested(depth):
    text = '{"version":"1.0.0"}'
    for _ in range(depth):
        text = f'{{"version":"1.0.0","dependencies":{{"a":{text}}}}}'
    return text.encode()


@pytest.mark.parametrize(
    ("path", "body", "headers", "code"),
    [
        ("advisories/bulk", b"[]", {}, "LG-1921"),
        ("advisories/bulk", b"\xff", {}, "LG-1921"),
        ("advisories/bulk", b"not packed", {"content_encoding": "gzip"}, "LG-1921"),
        ("advisories/bulk", b" " * (BODY_LIMIT + 1), {}, "LG-4920"),
        (
            "advisories/bulk",
            gzip.compress(b" " * (BODY_LIMIT * 8 + 1)),
            {"content_encoding": "gzip"},
            "LG-4920",
        ),
        ("advisories/bulk", json.dumps({"a": ["1"] * 100_001}).encode(), {}, "LG-4920"),
        ("audits", nested(300), {}, "LG-4920"),
        ("audits", b"7", {}, "LG-1921"),
    ],
)
def test_a_bad_question_is_named(site, path, body, headers, code):
    answer = post(site.app(asked=Asked(advisor=Scripted())), path, body, **headers)
    assert answer.status == 400
    assert json.loads(answer.body)["code"] == code


def test_where_nobody_can_tell_the_answer_is_no_clean_one(site):
    for asked in (Asked(), Asked(advisor=Scripted(NothingPublishedError("Nothing is loaded.")))):
        answer = post(site.app(asked=asked), "advisories/bulk", b'{"leaf":["1.0.0"]}')
        assert answer.status == 503
        assert "error" in json.loads(answer.body)


def admitted(*packages, tmp_path):
    site = MirrorSite(tmp_path)
    for package, crossing in packages:
        site.add_npm(package, crossing=crossing)
    return site


def pages(site):
    return {
        page.path: json.loads(page.body)
        for page in generate_pages(site.entries, site.blobs.read)
        if "npm" in page.path
    }


def test_tags_follow_the_newest_crossing_and_latest_is_never_missing(tmp_path):
    newer = NpmPackage("leaf", "2.1.0", facts={"tags": ("latest", "beta")})
    site = admitted(
        (LEAF_1, 1),
        (newer, 1),
        (NpmPackage("leaf", "1.9.0", facts={"tags": ("latest",)}), 2),
        tmp_path=tmp_path,
    )
    assert pages(site)["npm/leaf/short.json"]["dist-tags"] == {"beta": "2.1.0", "latest": "1.9.0"}
    plain = admitted(
        *[(NpmPackage("x", v), 1) for v in ("9.0.0", "10.0.0", "11.0.0-rc.1")], tmp_path=tmp_path / "plain"
    )
    assert pages(plain)["npm/x/full.json"]["dist-tags"] == {"latest": "10.0.0"}


def test_the_order_of_admission_changes_no_byte(tmp_path):
    first = admitted((LEAF_1, 1), (LEAF_2, 2), (SCOPED, 1), tmp_path=tmp_path / "a")
    second = admitted((SCOPED, 1), (LEAF_2, 2), (LEAF_1, 1), tmp_path=tmp_path / "b")
    assert pages(first) == pages(second)


def test_what_the_newest_crossing_knows_counts(tmp_path):
    later = NpmPackage("leaf", "1.0.0", facts={"deprecated": "really, do not"})
    site = admitted((LEAF_1, 1), (later, 2), tmp_path=tmp_path)
    assert pages(site)["npm/leaf/short.json"]["versions"]["1.0.0"]["deprecated"] == "really, do not"


def test_one_version_with_two_archives_is_refused(tmp_path):
    other = NpmPackage("leaf", "1.0.0", files={"more.js": b"1"})
    with pytest.raises(AmbiguousSnapshotError):
        pages(admitted((LEAF_1, 1), (other, 2), tmp_path=tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"name": "-"},
        {"version": "1"},
        {"purl": "pkg:pypi/leaf@1.0.0"},
        {"files": ()},
    ],
)
def test_an_artifact_of_another_shape_is_refused(tmp_path, change):
    site = admitted((LEAF_1, 1), tmp_path=tmp_path)
    artifact = msgspec.structs.replace(site.entries[0].artifact, **change)
    site.entries[0] = msgspec.structs.replace(site.entries[0], artifact=artifact)
    with pytest.raises(LayoutError):
        pages(site)


def test_facts_of_another_version_are_refused(tmp_path):
    lying = NpmPackage("leaf", "1.0.0", facts={"version": "1.0.1"})
    with pytest.raises(LayoutError):
        pages(admitted((lying, 1), tmp_path=tmp_path))


def test_facts_that_are_not_in_the_format_are_refused(tmp_path):
    site = MirrorSite(tmp_path)
    with pytest.raises(LockgateError):
        site.add_npm(NpmPackage("leaf", "1.0.0", facts={"format": "other/1"}))


def test_optional_packages_that_did_not_cross_are_left_out(tmp_path):
    wanted = {"leaf": "^2", "absent": "1", "alias": "npm:leaf@1", "gone": "npm:@x/gone@1"}
    picky = NpmPackage("picky", "1.0.0", {"optionalDependencies": wanted})
    site = admitted((picky, 1), (LEAF_2, 1), tmp_path=tmp_path)
    entry = pages(site)["npm/picky/short.json"]["versions"]["1.0.0"]
    assert entry["optionalDependencies"] == {"leaf": "^2", "alias": "npm:leaf@1"}


def test_kept_pages_are_bounded(monkeypatch):
    monkeypatch.setattr("lockgate.mirror.protocols.npm.KEPT_BYTES", 10)
    kept = _Kept()
    for n in range(5):
        kept.put((str(n), ""), b"four")
    assert [n for n in range(5) if kept.get((str(n), ""))] == [3, 4]
    kept.get(("3", ""))
    kept.put(("5", ""), b"four")
    assert kept.get(("3", "")) == b"four"
    assert kept.get(("4", "")) is None


def test_the_keys_that_registries_sign_by_are_those_of_the_trust_roots_in_force(site):
    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    other = ed25519.Ed25519PrivateKey.generate().public_key()
    form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    held = [
        RegistryKey("SHA256:old", key.public_bytes(*form), datetime(2025, 1, 29, tzinfo=UTC)),
        RegistryKey("SHA256:new", key.public_bytes(*form)),
    ]
    assert is_p256(held[0].key)
    assert not is_p256(other.public_bytes(*form))
    assert not is_p256(held[0].key + b"x")
    answer = ask(site.app(asked=Asked(npm_keys=lambda: held)), "/npm/-/npm/v1/keys")
    assert json.loads(answer.body)["keys"][0]["expires"] == "2025-01-29T00:00:00.000Z"
    made = make_roots(Sources(npm=[answer.body]), 1, datetime(2026, 1, 1, tzinfo=UTC), 30)
    assert {(k.name, k.key, k.expires) for k in made.roots.npm_keys} == {
        (k.keyid, k.key, k.expires) for k in held
    }
    for none in (Asked(), Asked(npm_keys=list)):
        assert ask(site.app(asked=none), "/npm/-/npm/v1/keys").status == 404


def test_trust_roots_that_are_not_there_or_gone_give_no_keys(tmp_path, monkeypatch):
    side = HighSide.new(tmp_path).side
    assert registry_keys(side) == []

    def gone(_):
        raise TrustRootsWithdrawnError("gone")

    monkeypatch.setattr(trust_roots, "roots_in_force", gone)
    assert registry_keys(side) == []
