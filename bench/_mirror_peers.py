"""The Python indexes that people use today, with the same files: devpi and pypiserver.

Both are taken from the index that pip is configured for, into an environment of their own.
"""

import json
import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from _mirror_servers import Row, Server, in_turns, ours, requests_per_second, started

from corpora.mirrorsite import MirrorSite
from corpora.servers import free_ports
from lockgate.core.artifact import Kind

DEVPI = "/bench/dev/+simple/many/"
PYPISERVER = "/simple/many/"


def environment(folder: Path) -> Path | None:
    """Make an environment with both servers; return where their programs are, or None without an index."""
    where = folder / "peers"
    subprocess.run([sys.executable, "-m", "venv", str(where)], check=True, capture_output=True)
    command = [str(where / "bin" / "pip"), "install", "--quiet", "devpi-server", "pypiserver"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode:
        print(f"devpi and pypiserver are not measured: {done.stderr.strip()[-200:]}", file=sys.stderr)
        return None
    return where / "bin"


def python_peers(site: MirrorSite, folder: Path, seconds: int, rows: list[Row]) -> dict[str, float]:
    """Compare the simple page of a project with many files."""
    programs = environment(folder)
    if programs is None:
        return {}
    found = {}
    for name, start in {"devpi": devpi, "pypiserver": pypiserver}.items():
        with ExitStack() as stack:
            mine = stack.enter_context(ours(site))
            peer, path = start(programs, site, folder, stack)
            urls = f"{mine.url}/simple/many/", f"{peer.url}{path}"
            works = [lambda u=u: requests_per_second(u, seconds, "text/html") for u in urls]
            cpu = peer.cpu()
            best = [max(taken) for taken in in_turns(2, *works)]
            spent = (peer.cpu() - cpu) / (best[1] * seconds * 2) * 1000
        rows += [
            Row("simple (HTML)", server, round(value, 1), "req/s")
            for server, value in zip(("lockgate", name), best, strict=True)
        ]
        rows.append(Row("simple (HTML)", name, round(spent, 1), "CPU ms/req"))
        found[f"simple_vs_{name}"] = best[0] / best[1]
    return found


def pypiserver(programs: Path, site: MirrorSite, folder: Path, stack: ExitStack) -> tuple[Server, str]:
    """Run pypiserver over a folder with the site's files."""
    packages = folder / "packages"
    packages.mkdir()
    for entry in site.entries:
        if entry.artifact.kind is Kind.PYTHON:
            (file,) = entry.artifact.files
            (packages / file.path.rpartition("/")[2]).write_bytes(site.blobs.read(file.sha256))
    (port,) = free_ports(1)
    command = [str(programs / "pypi-server"), "run", "-i", "127.0.0.1", "-p", str(port)]
    command += ["--disable-fallback", "-P", ".", "-a", ".", str(packages)]
    return stack.enter_context(started(command, port, PYPISERVER)), PYPISERVER


def devpi(programs: Path, site: MirrorSite, folder: Path, stack: ExitStack) -> tuple[Server, str]:
    """Run devpi, which imports the site's files."""
    export = folder / "export"
    export.mkdir()
    listed = []
    for entry in site.entries:
        if entry.artifact.kind is not Kind.PYTHON:
            continue
        (file,) = entry.artifact.files
        name = file.path.rpartition("/")[2]
        relative = f"bench/dev/many/{entry.artifact.version}/{name}"
        target = export / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        data = site.blobs.read(file.sha256)
        target.write_bytes(data)
        facts = {
            "hash_spec": f"sha256={file.sha256}",
            "sha256": file.sha256,
            "last_modified": "Mon, 01 Jan 2024 00:00:00 GMT",
        }
        listed.append(
            {
                "entrymapping": facts,
                "projectname": "many",
                "type": "releasefile",
                "version": entry.artifact.version,
                "relpath": relative,
                "log": [],
            }
        )
    versions = {e["version"]: {"name": "many", "version": e["version"]} for e in listed}
    data = {
        "dumpversion": "2",
        "pythonversion": [3, 11],
        "devpi_server": "6",
        "secret": "",
        "uuid": "0" * 32,
        "serverdir": "",
        "users": {
            name: {"username": name, "pwsalt": "", "pwhash": "", "password": ""} for name in ("root", "bench")
        },
        "indexes": {
            "bench/dev": {
                "indexconfig": {"type": "stage", "bases": [], "volatile": True},
                "projects": {"many": versions},
                "files": listed,
            }
        },
    }
    (export / "dataindex.json").write_text(json.dumps(data))
    state = str(folder / "devpi")
    command = [str(programs / "devpi-import"), "--serverdir", state, "--no-root-pypi", str(export)]
    subprocess.run(command, check=True, capture_output=True, env={**os.environ, "PIP_NO_INDEX": "1"})
    (port,) = free_ports(1)
    command = [str(programs / "devpi-server"), "--serverdir", state, "--offline-mode"]
    command += ["--host", "127.0.0.1", "--port", str(port)]  # a host may know localhost twice
    return stack.enter_context(started(command, port, DEVPI)), DEVPI
