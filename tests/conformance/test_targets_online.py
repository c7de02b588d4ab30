"""Delivery to registries that people run: Verdaccio for npm, pypiserver for Python, and clients that install.

Both come from the registries that this machine reaches.
"""

import json
import subprocess
import sys

import pytest

from corpora.mirrorsite import MirrorSite
from corpora.nodeclients import installed_clients
from corpora.npmpackages import NpmPackage
from corpora.ports import free_ports
from corpora.servers import running, until
from corpora.wheels import build_wheel
from lockgate.targets import NpmTarget, PypiTarget, TargetAnswerError, Web, deliver

pytestmark = [pytest.mark.online, pytest.mark.slow]

PASSWORD = "a-Secret-1"  # of the tests
PYPISERVER = "pypiserver==2.4.2"
VERDACCIO = """
storage: {folder}/storage
auth:
  htpasswd:
    file: {folder}/htpasswd
packages:
  "**":
    access: $all
    publish: $authenticated
log: {{type: stdout, level: warn}}
"""


def started(web):
    try:
        return web.ask("GET", web.url).status < 500
    except TargetAnswerError:
        return False


@pytest.fixture(scope="module")
def verdaccio(tmp_path_factory):
    """Verdaccio without any upstream, and a token for its only user."""
    folder, port = tmp_path_factory.mktemp("verdaccio"), free_ports(1)[0]
    (folder / "config.yaml").write_text(VERDACCIO.format(folder=folder))
    program = installed_clients("registries") / ".bin" / "verdaccio"
    command = [str(program), "--config", str(folder / "config.yaml"), "--listen", f"127.0.0.1:{port}"]
    web = Web(f"http://127.0.0.1:{port}")
    with running(command, folder / "log") as process:
        until(lambda: started(web), process, folder / "log")
        user = json.dumps({"name": "robot", "password": PASSWORD}).encode()
        headers = {"Content-Type": "application/json"}
        answer = web.ask("PUT", web.at("-/user/org.couchdb.user:robot"), headers, user)
        yield web.url, json.loads(answer.body)["token"]


def test_verdaccio_takes_versions_tags_and_scopes_and_npm_installs_from_it(verdaccio, tmp_path):
    url, token = verdaccio
    site = MirrorSite(tmp_path)
    site.add_npm(NpmPackage("@team/part", "2.0.0", {"dependencies": {"leaf": "*"}}))
    for version, tags in (("1.9.0", ("latest",)), ("1.10.0", ()), ("2.0.0-rc.1", ("next",))):
        site.add_npm(NpmPackage("leaf", version, facts={"tags": tags}))
    assert len(deliver(site.entries, site.blobs.open, NpmTarget(Web(url, "wrong"))).failed) == 4
    for credentials in (token, f"robot:{PASSWORD}"):
        report = deliver(site.entries, site.blobs.open, NpmTarget(Web(url, credentials)))
        assert (report.failed, report.problem, len(report.delivered)) == ([], "", 4)
    web = Web(url)
    page = json.loads(web.ask("GET", web.at("leaf")).body)
    assert page["dist-tags"] == {"admitted": "1.10.0", "latest": "1.9.0", "next": "2.0.0-rc.1"}
    project = tmp_path / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "project", "version": "1.0.0"}')
    install = ["npm", "install", "--registry", url, "--cache", str(tmp_path / "cache"), "--no-audit"]
    subprocess.run([*install, "@team/part", "leaf"], cwd=project, check=True, capture_output=True)
    assert json.loads((project / "node_modules/leaf/package.json").read_text())["version"] == "1.9.0"


def test_pypiserver_takes_wheels_and_pip_installs_from_it(tmp_path):
    programs, port = tmp_path / "programs", free_ports(1)[0]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install", "--no-cache-dir"]
    subprocess.run([*pip, "--target", str(programs), PYPISERVER], check=True, capture_output=True)
    (tmp_path / "packages").mkdir()
    where = ["-p", str(port), "-i", "127.0.0.1", "-P", ".", "-a", ".", str(tmp_path / "packages")]
    command = ["env", f"PYTHONPATH={programs}", sys.executable, "-m", "pypiserver", "run", *where]
    site, url = MirrorSite(tmp_path / "site"), f"http://127.0.0.1:{port}"
    site.root.mkdir()
    site.add_wheels("tool", "1.0", build_wheel("tool", "1.0", requires_python=">=3.9"))
    with running(command, tmp_path / "log") as process:
        until(lambda: started(Web(url)), process, tmp_path / "log")
        aim = PypiTarget(Web(url), f"{url}/simple/")
        assert len(deliver(site.entries, site.blobs.open, aim, compare_only=True).failed) == 1
        for _ in range(2):
            assert deliver(site.entries, site.blobs.open, aim).failed == []
        where = ["--target", str(tmp_path / "installed"), "--index-url", f"{url}/simple/", "tool"]
        subprocess.run([*pip, *where], check=True, capture_output=True)
    assert (tmp_path / "installed/tool-1.0.dist-info").is_dir()
