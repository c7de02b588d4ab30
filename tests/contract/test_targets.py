"""Publishing targets: what is delivered is read back with its bytes, and what is not is named.

The double, a folder, Debian's docker-registry, this project's own upload address behind a mirror, and a
small npm registry of the tests.
"""

import io
import json
import os
import shutil
import subprocess

import pytest
from typer.testing import CliRunner

from corpora.homes import HighSide
from corpora.images import artifact_of, image, index
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.ports import free_ports
from corpora.servers import running, until
from corpora.shelves import SECRET, Shelf, serving
from corpora.wheels import build_wheel
from lockgate.app.trust import audit_log
from lockgate.cli.main import app
from lockgate.core.artifact import Role
from lockgate.targets import (
    DirectoryTarget,
    MemoryTarget,
    NpmTarget,
    OciTarget,
    PypiTarget,
    TargetAddressError,
    TargetAnswerError,
    Web,
    deliver,
)
from lockgate.targets.service import NOT_ATOMIC

NAME = "registry.test/team/app"


@pytest.fixture
def shelf():
    with serving(Shelf) as server:
        yield server


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    """Debian's docker-registry on a free port."""
    folder, port = tmp_path_factory.mktemp("registry"), free_ports(1)[0]
    config = folder / "config.yml"
    config.write_text(
        f"version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: {folder / 'data'}\n"
        f"http:\n  addr: 127.0.0.1:{port}\n"
    )
    program = shutil.which("docker-registry")
    web = Web(f"http://127.0.0.1:{port}")

    def ready():
        try:
            return web.ask("GET", web.at("/v2/")).status == 200
        except TargetAnswerError:
            return False

    with running([program, "serve", str(config)], folder / "log") as process:
        until(ready, process, folder / "log")
        yield web


@pytest.fixture
def site(tmp_path):
    site = MirrorSite(tmp_path / "site")
    site.root.mkdir()
    site.add_wheels("tool", "1.0", build_wheel("tool", "1.0", padding=os.urandom(200_000)))
    site.add_npm(NpmPackage("@team/part", "2.0.0", {"dependencies": {"leaf": "1"}}))
    site.add(artifact_of(site, NAME, index(image(), image({"a": b"b"}, "arm64")), "1.0", "latest"))
    site.add_document("notes/a b.md", b"# Notes")
    return site


def targets(request, name):
    if name == "memory":
        return MemoryTarget()
    if name == "directory":
        return DirectoryTarget(request.getfixturevalue("tmp_path") / "target")
    if name == "oci":
        return OciTarget(request.getfixturevalue("registry"), request.node.name.replace("[", "-").strip("]"))
    shelf = request.getfixturevalue("shelf")
    if name == "npm":
        return NpmTarget(Web(shelf.url, SECRET))
    return PypiTarget(Web(f"{shelf.url}/legacy", f"__token__:{SECRET}"), f"{shelf.url}/simple/")


KNOWN = {Role.MANIFEST, Role.CORE_METADATA}
"""What is looked at to know what belongs together, though nothing is sent."""
ALL = {"memory": 4, "directory": 4, "oci": 1, "npm": 1, "pypi": 1}


@pytest.mark.parametrize("name", sorted(ALL))
def test_what_is_delivered_is_there_with_its_bytes_and_a_second_time_changes_nothing(request, site, name):
    target = targets(request, name)
    before = deliver(site.entries, site.blobs.open, target, compare_only=True)
    assert len(before.failed) == len(before.delivered) == ALL[name]
    report = deliver(site.entries, site.blobs.open, target)
    assert report.failed == []
    assert len(report.delivered) + len(report.passed_over) == len(site.entries)
    assert (report.atomic, report.note) == (False, NOT_ATOMIC)
    opened = []

    def watched(digest):
        opened.append(digest)
        return site.blobs.open(digest)

    again = deliver(site.entries, watched, target)
    assert again.failed == []
    known = {f.sha256 for e in site.entries for f in e.artifact.files if f.role in KNOWN}
    assert name == "memory" or set(opened) <= known


def test_altered_files_of_a_folder_are_told_and_mended(site, tmp_path):
    target = DirectoryTarget(tmp_path / "target")
    deliver(site.entries, site.blobs.open, target)
    altered, gone = tmp_path / "target/notes/a b.md", next((tmp_path / "target").rglob("*.whl"))
    altered.write_bytes(b"other")
    gone.unlink()
    report = deliver(site.entries, site.blobs.open, target, compare_only=True)
    assert sorted(path for each in report.failed for path in each.wrong) == [
        "notes/a b.md",
        f"python/tool/{gone.name}",
    ]
    assert deliver(site.entries, site.blobs.open, target).failed == []
    checked = subprocess.run(
        ["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=tmp_path / "target", check=False
    )
    assert checked.returncode == 0


def test_a_link_in_a_folder_is_no_file(site, tmp_path):
    target = DirectoryTarget(tmp_path / "target")
    deliver(site.entries, site.blobs.open, target)
    file = tmp_path / "target/notes/a b.md"
    aside = file.rename(tmp_path / "aside")
    file.symlink_to(aside)
    assert [e.purl for e in deliver(site.entries, site.blobs.open, target, compare_only=True).failed]
    deliver(site.entries, site.blobs.open, target)
    assert not file.is_symlink()


def test_a_registry_with_other_bytes_is_found_out_though_it_vouches_for_them(site, shelf):
    npm = NpmTarget(Web(shelf.url, SECRET))
    deliver(site.entries, site.blobs.open, npm)
    shelf.kept["", "@team/part/-/part-2.0.0.tgz"] = b"other"
    report = deliver(site.entries, site.blobs.open, npm, compare_only=True)
    assert report.failed[0].wrong == ("npm/@team/part/part-2.0.0.tgz",)
    pypi = PypiTarget(Web(f"{shelf.url}/legacy", f"__token__:{SECRET}"), f"{shelf.url}/simple/")
    deliver(site.entries, site.blobs.open, pypi)
    name = next(key for key in shelf.kept if key[1].endswith(".whl"))
    shelf.kept[name] = b"other"
    report = deliver(site.entries, site.blobs.open, pypi)  # it refuses to replace what it has
    assert (len(report.failed), report.failed[0].code) == (1, "LG-5940")


def test_a_tag_that_names_another_image_is_told(site, registry):
    target = OciTarget(registry, "moved")
    deliver(site.entries, site.blobs.open, target)
    other = MirrorSite(site.root / "other")
    other.root.mkdir()
    other.add(artifact_of(other, NAME, image({"x": b"y"}), "latest"))
    deliver(other.entries, other.blobs.open, target)
    report = deliver(site.entries, site.blobs.open, target, compare_only=True)
    assert report.failed[0].wrong == (f"{NAME}:latest",)


def test_wrong_credentials_and_a_host_that_is_not_there_are_told_for_each_artifact(site, shelf):
    report = deliver(site.entries, site.blobs.open, NpmTarget(Web(shelf.url, "other-key")))
    assert [each.code for each in report.failed] == ["LG-5940"]
    assert "401" in report.failed[0].problem
    nobody = NpmTarget(Web(f"http://127.0.0.1:{free_ports(1)[0]}", "other-key"))
    report = deliver(site.entries, site.blobs.open, nobody)
    assert "did not answer" in report.failed[0].problem
    assert "other-key" not in str(report)


@pytest.mark.parametrize(
    "address",
    ["http://elsewhere.example/", "ftp://127.0.0.1/", "https://user:secret@host/", "x", "https://host/?q=1"],
)
def test_addresses_that_cannot_be_targets(address):
    with pytest.raises(TargetAddressError) as refused:
        Web(address)
    assert "secret" not in str(refused.value)


def test_an_answer_that_sends_elsewhere_is_not_followed(shelf):
    web = Web(shelf.url, SECRET)
    with pytest.raises(TargetAddressError, match="sends elsewhere"):
        web.digest("http://127.0.0.1:1/file")


def test_the_command_delivers_what_the_channel_serves_and_says_what_is_missing(tmp_path):
    high = HighSide.new(tmp_path)
    high.publish(1, "one", "two")
    target = tmp_path / "target"
    command = ["deliver", str(target), "--kind", "directory", "--home", str(high.lane.high), "--json"]
    missing = CliRunner().invoke(app, [*command, "--compare"])
    assert missing.exception.code == "LG-5fbd"
    done = CliRunner().invoke(app, command)
    said = json.loads(done.stdout)
    assert (done.exit_code, len(said["delivered"]), said["atomic"]) == (0, 2, False)
    assert (target / "documents/one").read_bytes() == b"one"
    event = [e for _, e in audit_log(high.side).events()][-1]
    assert event["facts"]["artifacts"] == 2
    strange = CliRunner().invoke(app, [*command[:3], "samba", *command[4:]])
    assert strange.exception.code == "LG-1940"


def test_a_source_that_changes_on_the_way_is_found_at_the_target(site, tmp_path):
    def lying(digest):
        return io.BytesIO(b"lie")

    report = deliver(site.entries, lying, DirectoryTarget(tmp_path / "target"))
    assert len(report.failed) == len(report.delivered)
