"""pip and npm at names of their own over TLS, resolved by a hosts file of a namespace without a network."""

import json
import sys
from datetime import UTC, datetime

import pytest

from corpora.mirrorserver import PORT, Server
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.wheels import build_wheel
from lockgate.app.high.authority import AuthorityFolder
from lockgate.mirror import MirrorNames, client_config, dns_config
from lockgate.trust.authority import Bounds, Names, Use

NAMES = "pypi=pypi.mirror.plant.internal npm=npm.mirror.plant.internal"
URL = f"https://mirror.plant.internal:{PORT}"
KNOWN = MirrorNames.of(NAMES)
LEAF = build_wheel("leaf", "2.0")
MOUNT = 'mount --bind "$0" /etc/hosts && exec "$@"'


@pytest.fixture(scope="module")
def mirror(tmp_path_factory):
    """Return a mirror with names, its authority's certificate, and what makes a client know the names."""
    folder, now = tmp_path_factory.mktemp("named"), datetime.now(UTC)
    authority = AuthorityFolder(folder / "ca")
    authority.make("Plant CA", Bounds.of(["plant.internal"]), now)
    names = [*KNOWN.by_protocol.values(), "mirror.plant.internal", "127.0.0.1"]
    authority.issue("mirror", Names.of(names), Use.SERVER, folder / "tls", days=30, now=now)
    (folder / "names").write_text(NAMES)
    hosts = folder / "hosts"
    hosts.write_text(dns_config(KNOWN, URL, ["127.0.0.1"]).files[1].text)
    site = MirrorSite(folder)
    site.add_wheels("leaf", "2.0", LEAF)
    site.add_npm(NpmPackage("@garden/leaf", "2.1.0", facts={"tags": ("latest",)}))
    site.publish()
    with Server(site, "corpora.mirrorsite:app_with_names", tls=folder / "tls") as running:
        inside = ("unshare", "--mount", "sh", "-c", MOUNT, str(hosts))
        yield running, str(authority.certificate_file), inside


def asked(mirror, client, folder, *command):
    """Run a client with nothing but what is printed for it."""
    server, authority, inside = mirror
    config = client_config(client, URL, authority=authority, names=KNOWN)
    for file in config.files:
        path = folder / file.path.removeprefix("~/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)
    settings = {"HOME": str(folder), "PATH": server.environment()["PATH"], "LANG": "C.UTF-8"}
    settings |= dict(config.environment)
    words = [f"{key}={value}" for key, value in settings.items()]
    return server.run(*inside, "env", "-i", "-C", str(folder), *words, *command)


def test_pip_fetches_at_the_name_of_its_protocol(mirror, tmp_path):
    asked(mirror, "pip", tmp_path, sys.executable, "-m", "pip", "download", "leaf", "-d", "out")
    assert (tmp_path / "out" / LEAF.filename).read_bytes() == LEAF.data


def test_npm_installs_at_the_root_of_its_name(mirror, tmp_path):
    (tmp_path / "package.json").write_text(json.dumps({"dependencies": {"@garden/leaf": "2"}}))
    asked(mirror, "npm", tmp_path, "npm", "install", "--no-audit")
    assert (tmp_path / "node_modules/@garden/leaf/index.js").is_file()
    lock = json.loads((tmp_path / "package-lock.json").read_text())["packages"]
    found = lock["node_modules/@garden/leaf"]["resolved"]
    assert found == f"https://npm.mirror.plant.internal:{PORT}/@garden/leaf/-/leaf-2.1.0.tgz"


def test_a_name_that_leads_here_and_is_not_known_is_refused(mirror):
    server, authority, _ = mirror
    told = ("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "--cacert", authority)
    ask = (*told, "-H", "Host: other.plant.internal", f"{server.url}/simple/leaf/")
    assert server.run(*ask).stdout == "421"
    assert server.run(*told, f"{server.url}/simple/leaf/").stdout == "200"
