"""Reading by key and label: what is hidden is not there, whichever way one asks, and keys prove who asks."""

import asyncio
import base64
import json
from dataclasses import replace

import msgspec
import pytest
from test_mirror_push import Place

from corpora.images import digest
from corpora.mirrorsite import MirrorSite, admitted, asking
from corpora.mirrorsite import ask as plain_ask
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.app.high.reading import KeyCallers, access_of
from lockgate.app.settings import SettingsError
from lockgate.core.artifact import Artifact, Kind
from lockgate.infer.keys import FileKeys, new_key
from lockgate.mirror import Access, Caller, Callers, CertifiedCallers
from lockgate.mirror.access import WORLDS_LIMIT, secret_of
from lockgate.mirror.errors import CredentialsError
from lockgate.mirror.taking.push import Internal

SECRET, OTHER = "secret-of-analysts", "secret-of-everybody"


def ask(app, path, **more):
    return plain_ask(app, path, **{"host": "mirror", **more})


class Known(Callers):
    """Two callers. A test double."""

    def find(self, secret):
        labels = {SECRET: {"restricted", "internal"}, OTHER: {"internal"}}.get(secret)
        return Caller("key", frozenset(labels)) if labels else None


def basic(secret, user="__token__"):
    return "Basic " + base64.b64encode(f"{user}:{secret}".encode()).decode()


def relabel(site, name, label):
    site.entries = [
        msgspec.structs.replace(e, artifact=msgspec.structs.replace(e.artifact, label=label))
        if e.artifact.name == name
        else e
        for e in site.entries
    ]


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path)
    site.add_wheels("seen", "1", build_wheel("seen", "1"))
    site.add_wheels("hidden", "1", build_wheel("hidden", "1"))
    relabel(site, "hidden", "restricted")
    for name in ("open-one", "secret-one"):
        site.add_npm(NpmPackage(name, "1.0.0"))
        site.add_document(f"{name}.txt", name.encode())
        site.add_model(f"team/{name}", {"config.json": b"{}", "model.gguf": name.encode()})
    for name in ("secret-one", "secret-one.txt", "team/secret-one"):
        relabel(site, name, "restricted")
    site.publish()
    return site


def access(site, *anonymous, namespaces=()):
    return Access(Known(), frozenset(anonymous), tuple(namespaces), site.blobs.read)


def app(site, *anonymous, namespaces=()):
    return site.app(access=access(site, *anonymous, namespaces=namespaces))


HIDDEN = (
    ("/simple/hidden/", "/simple/absent/"),
    ("/npm/secret-one", "/npm/absent-one"),
    ("/npm/secret-one/-/secret-one-1.0.0.tgz", "/npm/absent-one/-/absent-one-1.0.0.tgz"),
    ("/files/secret-one.txt", "/files/absent-one.txt"),
    ("/api/models/team/secret-one", "/api/models/team/absent-one"),
    ("/team/secret-one/resolve/main/config.json", "/team/absent-one/resolve/main/config.json"),
)


@pytest.mark.parametrize(("hidden", "absent"), HIDDEN)
def test_what_is_hidden_is_answered_like_what_is_not_there(site, hidden, absent):
    served = app(site)
    mine, nothing = (
        ask(served, hidden, authorization=basic(OTHER)),
        ask(served, absent, authorization=basic(OTHER)),
    )
    assert mine.status == nothing.status == 404
    assert mine.body.replace(b"secret", b"absent").replace(b"hidden", b"absent") == nothing.body
    assert {k: v for k, v in mine.headers.items() if k != "content-length"} == {
        k: v for k, v in nothing.headers.items() if k != "content-length"
    }
    assert ask(served, hidden, authorization=basic(SECRET)).status == 200


@pytest.mark.parametrize(
    "address", ["/simple/", "/npm/-/v1/search", "/files/", "/files/SHA256SUMS", "/api/models", "/npm/"]
)
def test_lists_searches_and_sums_name_nothing_hidden(site, address):
    answer = ask(app(site), address, query="text=one&size=20", authorization=basic(OTHER))
    assert b"hidden" not in answer.body
    assert b"secret-one" not in answer.body
    whole = ask(app(site), address, query="text=one&size=20", authorization=basic(SECRET))
    assert (whole.body == ask(site.app(), address, query="text=one&size=20").body) is True


def test_without_credentials_one_reads_what_is_for_everybody_or_is_asked_for_them(site):
    assert ask(app(site, "internal"), "/simple/seen/").status == 200
    assert ask(app(site, "internal"), "/simple/hidden/").status == 404
    refused = ask(app(site), "/simple/seen/")
    assert refused.status == 401
    assert refused.headers["www-authenticate"].startswith("Basic ")
    assert ask(app(site), "/healthz").status == 200
    assert ask(site.app(), "/simple/hidden/").status == 200  # without rules


class Holders(CertifiedCallers):
    """One certificate with a grant, one without, one that was revoked. A test double."""

    def find(self, certificate):
        if certificate == b"revoked":
            raise CredentialsError("The certificate was revoked.")
        return Caller("certificate:analyst", frozenset({"restricted"})) if certificate == b"analyst" else None


@pytest.mark.parametrize("anonymous", [(), ("internal",)])
def test_a_certificate_reads_by_what_is_granted_to_its_holder(site, anonymous):
    served = site.app(access=replace(access(site, *anonymous), certified=Holders()))
    assert ask(served, "/simple/hidden/", certificate=b"analyst").status == 200
    assert ask(served, "/simple/seen/", certificate=b"analyst").status == (200 if anonymous else 404)
    unknown = ask(served, "/simple/seen/", certificate=b"somebody")
    assert unknown.status == (200 if anonymous else 401)
    assert ask(served, "/simple/hidden/", certificate=b"somebody").status == (404 if anonymous else 401)
    for path in ("/simple/hidden/", "/simple/seen/", "/v2/", "/files/"):
        assert ask(served, path, certificate=b"revoked").status == 401


def test_a_key_counts_before_a_certificate_and_lends_it_nothing(site):
    served = site.app(access=replace(access(site), certified=Holders()))
    both = {"certificate": b"analyst", "authorization": basic(OTHER)}
    assert ask(served, "/simple/seen/", **both).status == 200
    assert ask(served, "/simple/hidden/", **both).status == 404
    assert ask(served, "/simple/hidden/", certificate=b"analyst", authorization=basic("x")).status == 401
    assert ask(site.app(access=access(site)), "/simple/hidden/", certificate=b"analyst").status == 401


def test_a_registrys_client_needs_no_token_with_a_certificate_and_gets_one_that_is_worth_as_much(site):
    served = site.app(access=replace(access(site), certified=Holders()))
    assert ask(served, "/v2/", certificate=b"analyst").status == 200
    given = json.loads(ask(served, "/v2/token", certificate=b"analyst").body)["token"]
    assert ask(served, "/v2/", certificate=b"analyst", authorization=f"Bearer {given}").status == 200
    assert ask(served, "/v2/", authorization=f"Bearer {given}").status == 401  # without the certificate


@pytest.mark.parametrize(
    "given",
    [
        "Basic !",
        "Basic " + base64.b64encode(b"no-colon").decode(),
        basic("wrong"),
        "Bearer wrong",
        "Digest x",
        "Bearer",
        "Bearer " + "x" * 2000,
    ],
)
def test_wrong_credentials_are_refused_even_where_none_are_needed(site, given):
    for path in (
        "/simple/seen/",
        "/npm/open-one",
        "/v2/",
        "/api/models/team/open-one",
        "/files/open-one.txt",
    ):
        assert ask(app(site, "internal"), path, authorization=given).status == 401


def test_each_protocol_refuses_in_its_own_words(site):
    served = app(site)
    assert set(json.loads(ask(served, "/npm/open-one").body)) == {"error", "code"}
    hub = ask(served, "/api/models/team/open-one", authorization="Bearer wrong")
    assert hub.headers["x-error-message"] == "Invalid credentials in Authorization header"
    assert "x-error-code" not in hub.headers
    registry = ask(served, "/v2/team/image/manifests/latest")
    assert json.loads(registry.body)["errors"][0]["code"] == "UNAUTHORIZED"
    assert registry.headers["www-authenticate"] == 'Bearer realm="http://mirror/v2/token",service="lockgate"'


def test_a_registrys_client_gets_a_token_for_its_key_or_for_nobody(site):
    served = app(site, "internal")
    assert ask(served, "/v2/").status == 401
    mine = json.loads(ask(served, "/v2/token", query="service=lockgate", authorization=basic(SECRET)).body)
    assert mine["token"] == SECRET
    nobody = json.loads(ask(served, "/v2/token").body)["token"]
    assert ask(served, "/v2/", authorization=f"Bearer {nobody}").status == 200
    assert ask(served, "/v2/token", authorization=basic("wrong")).status == 401
    assert ask(app(site), "/v2/token").status == 401
    assert ask(app(site), "/v2/", authorization=f"Bearer {nobody}").status == 401


@pytest.mark.parametrize("path", ["/v2/any/image/manifests/latest", "/git/example.org/any/info/refs"])
def test_clients_that_wait_to_be_asked_are_asked_about_whatever_is_absent(site, path):
    assert ask(app(site, "internal"), path).status == 401
    assert ask(app(site, "internal"), path, authorization=basic(OTHER)).status == 404


def test_a_namespace_needs_its_label_beside_the_artifacts_own(site):
    rules = [("pkg:npm/open-", "restricted")]
    assert ask(app(site, namespaces=rules), "/npm/open-one", authorization=basic(OTHER)).status == 404
    assert ask(app(site, namespaces=rules), "/npm/open-one", authorization=basic(SECRET)).status == 200


def test_no_shared_cache_keeps_an_answer_for_somebody_else(site):
    address = json.loads(ask(site.app(), "/simple/seen/", accept="application/vnd.pypi.simple.v1+json").body)
    path = "/packages/" + address["files"][0]["url"].partition("/packages/")[2].partition("#")[0]
    answer = ask(app(site), path, authorization=basic(OTHER))
    assert answer.status == 200
    assert "public" not in answer.headers["cache-control"]
    assert "Authorization" in answer.headers["vary"]


def test_a_channel_that_moves_moves_every_world(site):
    async def statuses(served, *paths):
        return [
            (await asking(served, path, client=("client", number), authorization=basic(OTHER))).status
            for number, path in enumerate(paths)
        ]

    served = app(site)
    assert asyncio.run(statuses(served, "/simple/later/")) == [404]
    site.add_wheels("later", "1", build_wheel("later", "1"))
    site.publish()
    found = asyncio.run(statuses(served, "/simple/later/", "/simple/later/", "/simple/hidden/"))
    assert found == [404, 200, 404]  # who began with the older snapshot goes on with it


def test_two_callers_on_one_connection_see_each_their_own(site):
    async def both():
        served = app(site)
        mine = await asking(served, "/simple/hidden/", authorization=basic(SECRET))
        other = await asking(served, "/simple/hidden/", authorization=basic(OTHER))
        return mine.status, other.status

    assert asyncio.run(both()) == (200, 404)


def test_worlds_are_bounded(site):
    class Many(Callers):
        def find(self, secret):
            return Caller(secret, frozenset({"internal", f"need-{secret}"}))

    count = WORLDS_LIMIT + 3
    rules = tuple((f"pkg:npm/x{i}", f"need-{i}") for i in range(count))
    served = site.app(access=Access(Many(), frozenset(), rules, site.blobs.read))
    for i in range(count):
        assert ask(served, "/simple/seen/", authorization=f"Bearer {i}").status == 200
    assert len(served.state.site.worlds._tables) == WORLDS_LIMIT


def test_one_word_of_a_basic_header_is_enough():
    assert secret_of(basic("", user="the-key")) == "the-key"
    with pytest.raises(CredentialsError):
        secret_of("Basic")


class FakeSide:
    """As much of a side as the rules need."""

    def __init__(self, root, *, certificates=False, **serve):
        from lockgate.app.sections import IdentitiesSection, ServeSection
        from lockgate.app.settings import Home

        self.home = Home(root)
        from types import SimpleNamespace

        store = SimpleNamespace(blobs="")
        lane = SimpleNamespace(side="high")
        identities = IdentitiesSection(certificates=certificates)
        serving = ServeSection(**serve)
        self.settings = SimpleNamespace(serve=serving, store=store, lane=lane, identities=identities)


def test_the_keys_are_the_gateways_and_one_that_is_removed_counts_no_more(tmp_path):
    side = FakeSide(tmp_path)
    import os
    from datetime import UTC, datetime

    secret, kept = new_key("analysts", ("restricted",), lambda: datetime.now(UTC), os.urandom)
    keys = FileKeys(tmp_path / "trust" / "api-keys.json")
    keys.add(kept)
    callers = KeyCallers(side)
    assert callers.find(secret) == Caller("analysts", frozenset({"restricted"}))
    assert callers.find(secret[:-1] + "x") is None
    assert callers.find("nonsense") is None
    keys.remove("analysts")
    assert callers.find(secret) is None


def test_rules_come_from_the_settings(tmp_path):
    assert access_of(FakeSide(tmp_path)) is None
    found = access_of(
        FakeSide(
            tmp_path, mirror_access="labels", anonymous_labels="public", namespace_labels="pkg:npm/%40a/=b"
        )
    )
    assert (found.anonymous, found.namespaces) == (frozenset({"public"}), (("pkg:npm/%40a/", "b"),))
    assert found.certified is None
    with pytest.raises(SettingsError, match="names no beginning"):
        access_of(FakeSide(tmp_path, mirror_access="labels", namespace_labels="npm=b"))


class Pushers(Callers):
    """One may write into each of two namespaces, one reads alone. A test double."""

    def find(self, secret):
        labels = {"a": {"push:team/a"}, "b": {"push:team/b"}, "reader": {"internal"}}.get(secret)
        return Caller(secret, frozenset(labels)) if labels else None


def test_writing_into_an_open_namespace_needs_a_key_for_it(site, tmp_path):
    (tmp_path / "push").mkdir()
    place = Place(tmp_path / "push")
    internal = Internal(("team/a", "team/b"), place.pushed, place.uploads, place.blobs)
    rules = Access(Pushers(), frozenset({"public"}), (), site.blobs.read)
    served = site.app(access=rules, internal=internal)
    body = b"a layer"
    put = {"method": "POST", "query": f"digest={digest(body)}", "body": body}

    def answers(path, *secrets, **more):
        return [ask(served, path, authorization=f"Bearer {s}", **more).status for s in secrets]

    uploads = "/v2/team/a/app/blobs/uploads/"
    assert ask(served, uploads, **put).status == 401
    assert answers(uploads, "anonymous", "reader", "b", "wrong", **put) == [401, 403, 403, 401]
    assert answers(uploads, "a", **put) == [201]
    assert any("a from client" in str(event) for event in place.journal.events)
    blob = f"/v2/team/a/app/blobs/{digest(body)}"
    assert answers(blob, "a", "reader", "b", "anonymous") == [200, 200, 404, 404]
    mount = {"method": "POST", "query": f"mount={digest(body)}&from=team/a/app"}
    assert answers("/v2/team/b/app/blobs/uploads/", "b", **mount) == [202]  # it may upload, not take over
    assert answers("/v2/team/a/two/blobs/uploads/", "a", **mount) == [201]
    assert answers(blob, "b", method="DELETE") == [403]


@pytest.mark.parametrize("kind", [Kind.APT, Kind.RPM])
def test_a_repository_that_the_lane_signs_is_seen_whole_or_not_at_all(site, kind):
    def package(repository, name, label):
        file = site.file(f"{kind}/{repository}/pool/{name}", name.encode())
        purl = f"pkg:generic/{repository}/{name}@1"
        return admitted(Artifact(purl=purl, kind=kind, name=name, version="1", files=(file,), label=label))

    entries = [
        package("base", "a", "internal"),
        package("base", "b", "internal"),
        package("secret", "c", "internal"),
        package("secret", "d", "restricted"),
    ]
    rules = access(site)
    assert [a.artifact.name for a in rules.visible(entries, {"internal"})] == ["a", "b"]
    assert len(rules.visible(entries, {"internal", "restricted"})) == 4
