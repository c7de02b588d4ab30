"""Names for single protocols: what is answered at which, what clients and a site's DNS are told."""

import json

import pytest

from corpora.commands import Commands
from corpora.mirrorsite import MirrorSite, ask
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.mirror import (
    Asked,
    MirrorNames,
    NothingForClientError,
    client_config,
    clients,
    dns_config,
)
from lockgate.mirror.errors import MirrorNamesError

NAMES = MirrorNames.of("pypi=pypi.plant.internal npm=NPM.plant.internal oci=images.plant.internal")
SAFE = "https://mirror.plant.internal:8710"
EVERY = ".".join("0000")  # what a server is told that listens on every address


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    made = MirrorSite(tmp_path_factory.mktemp("site"))
    made.add_wheels("leaf", "2.0", build_wheel("leaf", "2.0"))
    made.add_npm(NpmPackage("leaf", "1.0.0", facts={"tags": ("latest",)}))
    made.add_model("org/m", {"model.gguf": b"GGUF"})
    made.add_document("documents/a.txt", b"a")
    made.publish()
    return made


@pytest.fixture(scope="module")
def app(site):
    return site.app(asked=Asked(address=SAFE, names=NAMES))


@pytest.mark.parametrize(
    "text",
    [
        "telnet=a.example",
        "npm",
        "npm=",
        "npm=localhost",
        "npm=10.0.0.1",
        "npm=a.example npm=b.example",
        "npm=a.example pypi=A.example",
        "npm=-a.example",
        "npm=a.example:80",
        "npm=a.example/x",
        f"npm={'a' * 64}.example",
        f"npm={'a.' * 127}example",
    ],
)
def test_names_that_cannot_be_used_are_refused(text):
    with pytest.raises(MirrorNamesError):
        MirrorNames.of(text)


def test_npm_stands_at_the_root_of_its_name_and_names_its_archives_there(app):
    answer = ask(app, "/leaf", host="npm.plant.internal:8710")
    assert answer.status == 200
    tarball = json.loads(answer.body)["versions"]["1.0.0"]["dist"]["tarball"]
    assert tarball == "https://npm.plant.internal:8710/leaf/-/leaf-1.0.0.tgz"
    assert ask(app, "/leaf/-/leaf-1.0.0.tgz", host="NPM.plant.internal.:8710").status == 200
    shared = json.loads(ask(app, "/npm/leaf", host="mirror.plant.internal:8710").body)
    assert shared["versions"]["1.0.0"]["dist"]["tarball"] == f"{SAFE}/npm/leaf/-/leaf-1.0.0.tgz"


@pytest.mark.parametrize(
    ("host", "path", "status"),
    [
        ("pypi.plant.internal", "/simple/leaf/", 200),
        ("pypi.plant.internal", "/npm/leaf", 404),
        ("pypi.plant.internal", "/healthz", 404),
        ("npm.plant.internal", "/npm/leaf", 404),
        ("npm.plant.internal", "/simple/leaf/", 404),
        ("images.plant.internal", "/v2/", 200),
        ("images.plant.internal", "/files/documents/a.txt", 404),
        ("mirror.plant.internal", "/simple/leaf/", 200),
        ("mirror.plant.internal:8710", "/files/documents/a.txt", 200),
        ("127.0.0.1:8710", "/healthz", 200),
        ("[::1]:8710", "/healthz", 200),
        ("localhost", "/npm/leaf", 200),
        ("other.plant.internal", "/simple/leaf/", 421),
        ("other.plant.internal", "/healthz", 421),
        ("pypi.plant.internal.evil.example", "/simple/leaf/", 421),
        ("evil@pypi.plant.internal", "/simple/leaf/", 421),
        ("pypi.plant.internal:x", "/simple/leaf/", 421),
        ("[", "/simple/leaf/", 421),
    ],
)  # fmt: skip
def test_each_name_answers_for_its_protocol_and_unknown_ones_for_none(app, host, path, status):
    assert ask(app, path, host=host).status == status


def test_the_hubs_name_has_nothing_but_models(site):
    app = site.app(asked=Asked(names=MirrorNames.of("huggingface=hub.plant.internal")))
    assert ask(app, "/api/models/org/m", host="hub.plant.internal").status == 200
    assert ask(app, "/simple/leaf/", host="hub.plant.internal").status == 404
    assert ask(app, "/simple/leaf/").status == 200, "a request without a Host is asked by its address"


def test_without_names_every_host_is_answered(site):
    assert ask(site.app(), "/simple/leaf/", host="whatever.example").status == 200


@pytest.mark.parametrize("client", [c for c in clients() if c not in {"apt", "dnf"}])
def test_clients_are_told_the_name_of_their_protocol(client):
    named = MirrorNames.of(
        "pypi=p.x.internal npm=n.x.internal oci=o.x.internal huggingface=h.x.internal"
        " git=g.x.internal conda=c.x.internal"
    )
    told = str(client_config(client, SAFE, names=named).as_dict())
    assert "mirror.plant.internal" not in told
    assert ".x.internal:8710" in told
    assert "/npm" not in told
    assert "x.internal:8710/git/" not in told
    assert "x.internal:8710/conda" not in told


def test_zone_and_hosts_have_every_name():
    zone, hosts = dns_config(NAMES, SAFE, ["10.20.0.5", "fd00::5"]).files
    assert zone.text.splitlines()[:2] == [
        "mirror.plant.internal. 3600 IN A 10.20.0.5",
        "mirror.plant.internal. 3600 IN AAAA fd00::5",
    ]
    assert len(zone.text.splitlines()) == 8
    assert hosts.text.splitlines() == [
        f"{each} mirror.plant.internal images.plant.internal npm.plant.internal pypi.plant.internal"
        for each in ("10.20.0.5", "fd00::5")
    ]


def test_without_an_address_the_names_are_aliases_of_the_mirrors_own():
    (zone,) = dns_config(NAMES, SAFE).files
    assert "npm.plant.internal. 3600 IN CNAME mirror.plant.internal." in zone.text.splitlines()
    _, hosts = dns_config(NAMES, "http://127.0.0.1:8710").files
    assert hosts.text == "127.0.0.1 images.plant.internal npm.plant.internal pypi.plant.internal\n"


def test_records_that_would_lead_nowhere_are_refused():
    with pytest.raises(NothingForClientError):
        dns_config(MirrorNames(), SAFE)
    with pytest.raises(NothingForClientError):
        dns_config(NAMES, f"http://{EVERY}:8710")
    with pytest.raises(MirrorNamesError):
        dns_config(NAMES, SAFE, ["mirror"])


def test_the_commands_take_the_names_from_the_settings(tmp_path):
    lockgate = Commands().json
    lockgate("lane", "init", tmp_path / "lane", "--name", "plant")
    high = tmp_path / "lane/high"
    settings = high / "lockgate.toml"
    said = 'mirror_names = "npm=npm.plant.internal pypi=pypi.plant.internal"\n'
    text = settings.read_text()
    settings.write_text(
        text.replace("[serve]\n", f"[serve]\n{said}") if "[serve]" in text else f"{text}\n[serve]\n{said}"
    )
    (file,) = lockgate("client-config", "npm", "--home", high)["files"]
    assert "registry=http://npm.plant.internal:8710/\n" in file["text"]
    zone, _ = lockgate("client-config", "dns", "--home", high, "--address", "10.1.2.3")["files"]
    assert "npm.plant.internal. 3600 IN A 10.1.2.3" in zone["text"]
    lockgate("ca", "init", "--ca", tmp_path / "ca", "--domain", "plant.internal")
    issued = lockgate(
        "ca", "issue", "mirror.plant.internal", "--ca", tmp_path / "ca", "--out", tmp_path / "tls",
        "--mirrors", high,
    )  # fmt: skip
    assert {"npm.plant.internal", "pypi.plant.internal"} <= set(issued["names"])
