"""Harbor, Artifactory, Nexus and a folder by their names in lockgate.toml: pushed, compared, gone on with.

The products are doubles that were written from what is published of them; images lie in docker-registry.
"""

import io
import json
import os
import re
import shutil
from urllib.parse import urlsplit

import pytest
from typer.testing import CliRunner

from corpora.debs import DebFile, SourceFiles, suite
from corpora.homes import HighSide
from corpora.images import artifact_of, image, index
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.ports import free_ports
from corpora.servers import running, until
from corpora.shelves import SECRET, USER, Artifactory, Harbor, Nexus, Shelf, serving
from corpora.wheels import build_wheel
from lockgate.app.high.targets import configured, target_of
from lockgate.app.settings import SettingsError, load_settings
from lockgate.cli.main import app
from lockgate.core.artifact import Kind
from lockgate.core.rpm import RPM_FORMAT, RpmPackage
from lockgate.targets import NpmTarget, TargetAddressError, TargetAnswerError, Web, deliver

IMAGE = "registry.test/team/app"
LEAF_RPM = RpmPackage(
    format=RPM_FORMAT, name="leaf", epoch="0", version="1.0", release="1.el9", architecture="x86_64"
)
SMALL = '[lane]\nname = "plant"\nside = "high"\n\n[trust]\nsupply_pin = "aa"\nsite_pin = "bb"\n'
MISSED = {"harbor": 11, "nexus": 2, "artifactory": 2}
"""How many of the site's artifacts each product cannot take."""


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Debian's docker-registry on a free port, as host and port."""
    folder, port = tmp_path_factory.mktemp("registry"), free_ports(1)[0]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
    )
    web = Web(f"http://127.0.0.1:{port}")

    def ready():
        try:
            return web.ask("GET", web.at("/v2/")).status == 200
        except TargetAnswerError:
            return False

    with running([shutil.which("docker-registry"), "serve", str(config)], folder / "log") as process:
        until(ready, process, folder / "log")
        yield "127.0.0.1", port


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path / "site")
    site.root.mkdir()
    site.add_wheels("tool", "1.0", build_wheel("tool", "1.0", requires_python=">=3.9"))
    site.add_npm(NpmPackage("@team/part", "2.0.0", facts={"os": ("linux",), "dependencies": {"leaf": "1"}}))
    for version, tags in (("1.9.0", ("latest",)), ("1.10.0", ()), ("2.0.0-rc.1", ("next",))):
        site.add_npm(NpmPackage("leaf", version, facts={"tags": tags}))
    site.add(artifact_of(site, IMAGE, index(image(), image({"a": b"b"}, "arm64")), "1.0", "latest"))
    site.add_document("notes/a b;c.md", b"# Notes")
    site.add_model("team/model", {"model.gguf": os.urandom(90_000), "config.json": b"{}"})
    site.add_deb(DebFile("libleaf", "1:2.0~rc1+x-1", "all"), "bookworm", "bookworm-security")
    site.add_source(SourceFiles("leaf", "2.0"), "bookworm")
    site.add_suite(suite())
    site.add_rpm(LEAF_RPM, b"rpm" * 9000, "base:x86_64")
    return site


@pytest.fixture
def product(request, images):
    double = {"harbor": Harbor, "nexus": Nexus, "artifactory": Artifactory}[request.param]
    with serving(double, images) as server:
        server.product = request.param
        server.prefix = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
        yield server


def table(server, **more):
    """Return the lines of a table for a double."""
    names = {
        "harbor": {"project": "plant"},
        "nexus": {name: f"{name}-hosted" for name in ("oci", "pypi", "npm", "apt", "rpm", "raw")},
        "artifactory": {name: f"{name}-local" for name in ("oci", "pypi", "npm", "apt", "rpm", "raw")},
    }[server.product]
    url = server.url + ("/artifactory" if server.product == "artifactory" else "")
    values = {"kind": server.product, "url": url, "prefix": server.prefix, "credentials": "robot.txt"}
    lines = [f"{key} = {json.dumps(value)}" for key, value in {**values, **names, **more}.items()]
    return "\n[targets.plant]\n" + "\n".join(lines) + "\n"


@pytest.fixture
def home(tmp_path):
    """A configuration, and no lane behind it."""
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "lockgate.toml").write_text(SMALL)
    (folder / "robot.txt").write_text(f"{USER}:{SECRET}\n")
    return folder


def configure(home, text):
    config = home / "lockgate.toml"
    config.write_text(config.read_text() + text)
    return load_settings(home)


def target(home, server, **more):
    where, _ = configured(configure(home, table(server, **more)), "plant")
    return target_of(where)


products = pytest.mark.parametrize("product", sorted(MISSED), indirect=True)


@products
def test_what_a_product_has_repositories_for_is_there_with_its_bytes(home, site, product):
    aim = target(home, product)
    before = deliver(site.entries, site.blobs.open, aim, compare_only=True)
    assert len(before.failed) == len(before.delivered) == len(site.entries) - MISSED[product.product]
    assert len(before.passed_over) == MISSED[product.product]
    changed = {method for method, _ in product.asked} - {"GET", "HEAD"}
    assert changed == set()
    report = deliver(site.entries, site.blobs.open, aim)
    assert (report.failed, report.problem) == ([], "")
    assert not report.atomic
    product.asked.clear()
    assert deliver(site.entries, site.blobs.open, aim).failed == []
    sent = [path for method, path in product.asked if method in {"PUT", "POST"}]
    assert all("/manifests/" in path for path in sent)  # a registry is told of manifests again


@products
def test_a_push_that_was_cut_off_goes_on_with_what_is_missing(home, site, product):
    aim, cut = target(home, product), len(site.entries) // 2
    first = deliver(site.entries[:cut], site.blobs.open, aim)
    assert first.failed == []
    product.refusing = True
    broken = deliver(site.entries, site.blobs.open, aim)
    assert product.product == "harbor" or {each.code for each in broken.failed} == {"LG-5940"}
    product.refusing = False
    product.asked.clear()
    assert deliver(site.entries, site.blobs.open, aim).failed == []
    sent = {path for method, path in product.asked if method in {"PUT", "POST"}}
    assert not any("tool" in path or "%40team" in path for path in sent)


@pytest.mark.parametrize("product", ["nexus", "artifactory"], indirect=True)
def test_packages_lie_where_the_products_clients_look_for_them(home, site, product):
    deliver(site.entries, site.blobs.open, target(home, product))
    kept = {f"{repository}/{path}": data for (repository, path), data in product.kept.items()}
    if product.product == "nexus":
        assert "apt-hosted/pool/l/libleaf/libleaf_1:2.0~rc1+x-1_all.deb" in kept
    else:
        deb = next(key for key in kept if key.endswith(".deb"))
        assert deb.startswith("apt-local/debian/pool/main/libl/libleaf/")
        assert kept[f"{deb};"] == [
            "deb.distribution=bookworm",
            "deb.distribution=bookworm-security",
            "deb.component=main",
            "deb.architecture=all",
        ]
    names = {name.split("-")[0]: name for name, _ in product.kept}
    assert any(key.startswith(f"{names['rpm']}/rocky/") and key.endswith(".rpm") for key in kept)
    assert kept[f"{names['raw']}/notes/a b;c.md"] == b"# Notes"
    form = next(value for key, value in kept.items() if "/form/" in key)
    assert (form["requires_python"], form["metadata_version"]) == (">=3.9", "2.1")
    page = kept[f"{names['npm']}/leaf"]
    assert page["dist-tags"] == {"latest": "1.9.0", "next": "2.0.0-rc.1", "admitted": "1.10.0"}
    assert kept[f"{names['npm']}/@team/part"]["versions"]["2.0.0"]["os"] == ["linux"]


def test_a_tag_that_stands_for_another_version_is_told_and_set_right(site):
    with serving(Shelf) as server:
        aim = NpmTarget(Web(server.url, SECRET))
        deliver(site.entries, site.blobs.open, aim)
        server.kept["", "leaf"]["dist-tags"]["latest"] = "0.1.0"
        wrong = deliver(site.entries, site.blobs.open, aim, compare_only=True).failed
        assert [each.wrong for each in wrong] == [("leaf@latest",)]
        assert deliver(site.entries, site.blobs.open, aim).failed == []


@pytest.mark.parametrize("product", ["artifactory"], indirect=True)
def test_bytes_that_change_on_the_way_are_refused_by_artifactory_itself(home, site, product):
    aim = target(home, product)
    documents = [e for e in site.entries if e.artifact.kind is Kind.DOCUMENT]

    def lying(digest):
        with site.blobs.open(digest) as stream:
            return io.BytesIO(b"x" * len(stream.read()))

    report = deliver(documents, lying, aim)
    assert (report.failed[0].code, "409" in report.failed[0].problem) == ("LG-5940", True)


@pytest.mark.parametrize("product", ["harbor"], indirect=True)
def test_a_project_that_harbor_does_not_have_is_told_before_anything_is_sent(home, site, product):
    with pytest.raises(TargetAnswerError, match="no project other"):
        deliver(site.entries, site.blobs.open, target(home, product, project="other"))
    assert {urlsplit(path).path for _, path in product.asked} == {"/api/v2.0/projects/other"}


@pytest.mark.parametrize("product", ["nexus"], indirect=True)
def test_the_command_plans_pushes_and_checks_by_name(tmp_path, product):
    high = HighSide.new(tmp_path)
    (high.lane.high / "robot.txt").write_text(f"{USER}:{SECRET}\n")
    high.publish(1, "one", "two")
    configure(high.lane.high, table(product) + "\n[targets.share]\nkind = 'directory'\npath = 'share'\n")

    def lockgate(*words):
        return CliRunner().invoke(app, ["target", *words, "--home", str(high.lane.high), "--json"])

    assert [each["name"] for each in json.loads(lockgate("list").stdout)] == ["plant", "share"]
    for name in ("plant", "share"):
        planned = lockgate("push", name, "--dry-run")
        assert planned.exit_code == 0
        said = json.loads(planned.stdout)
        assert [(each["size"], len(each["wrong"])) for each in said["delivered"]] == [(3, 1), (3, 1)]
        assert lockgate("check", name).exception.code == "LG-5fbd"
        done = lockgate("push", name)
        assert (done.exit_code, json.loads(done.stdout)["atomic"]) == (0, False)
        assert lockgate("check", name).exit_code == 0
    assert (high.lane.high / "share/documents/one").read_bytes() == b"one"
    assert SECRET not in done.stdout
    assert lockgate("push", "nobody").exception.code == "LG-1fd1"


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("kind = 'harbor'\nurl = 'https://harbor.example'", "Name the project"),
        ("kind = 'nexus'\nurl = 'https://nexus.example'", "Name one or more of: oci, pypi"),
        ("kind = 'directory'", "Give `path`"),
        ("kind = 'artifactory'\nurl = 'http://far.example/artifactory'\nraw = 'x'", "plain http"),
    ],
)
def test_a_table_that_is_not_complete_says_what_it_lacks(home, lines, said):
    side = configure(home, f"\n[targets.plant]\n{lines}\n")
    with pytest.raises(TargetAddressError) as refused:
        target_of(configured(side, "plant")[0])
    assert refused.value.code == "LG-1940"
    assert said in refused.value.what_to_do


@pytest.mark.parametrize("lines", ["kind = 'samba'", "kind = 'nexus'\nraw = '../x'", "kind = 'nexus'\nx = 1"])
def test_a_table_with_a_mistake_is_named(home, lines):
    with pytest.raises(SettingsError, match=r"targets\.plant"):
        configure(home, f"\n[targets.plant]\n{lines}\n")
