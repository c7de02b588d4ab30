"""How fast the mirrors serve, beside nginx, the bare framework and the servers that people use today.

    python bench/mirror.py [--quick] [--json] [--devpi PROGRAM] [--artifacts N]

Every pair is measured in turns in one run, on loopback: the least disturbed round counts on both sides.
nginx serves the very file that the store holds, with sendfile. The bare framework is Starlette on the
same server (uvicorn) with the same bytes in memory. devpi is measured where its program is named
(``--devpi``, which stands in a virtual environment of its own). Processor seconds are those of the
server's processes. ``clients_1000`` are 1,000 connections with think time at half of saturation. A key
without a number says that its peer, or what it measures, is not here.
"""

import argparse
import asyncio
import hashlib
import json
import os
import platform
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from corpora.images import Image, artifact_of, digest, image, index
from corpora.mirrorsite import START, MirrorSite, admitted, statement_for
from corpora.npmpackages import NpmPackage
from corpora.registry import docker_registry
from corpora.servers import free_ports
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import SNAPSHOT_FORMAT, Snapshot
from lockgate.core.wire import encode
from lockgate.mirror import generate_pages
from lockgate.mirror.tables import build_table

MIB = 1 << 20
NAME = "registry.test/bench/app"
TICKS = os.sysconf("SC_CLK_TCK")
PARTS = 16
CLIENTS = 1000
KEYS = (
    "blob_vs_nginx",
    "blob_range_vs_nginx",
    "blob_cpu_vs_nginx",
    "tls_vs_nginx",
    "simple_vs_framework",
    "simple_vs_devpi",
    "packument_vs_framework",
    "manifest_vs_framework",
    "manifest_vs_docker_registry",
    "clients_1000_errors",
    "clients_1000_p99_ms",
    "clients_1000_memory_mb",
    "publish_1m_s",
)


@dataclass(frozen=True)
class Row:
    """One measurement: what, of whom, how much, in which unit."""

    what: str
    server: str
    value: float
    unit: str


class Server:
    """A running server: its address and the processes behind it."""

    def __init__(self, process: "subprocess.Popen[bytes] | None", port: int, scheme: str = "http") -> None:
        """Keep the process; it listens on loopback."""
        self.process = process
        self.url = f"{scheme}://127.0.0.1:{port}"

    def pids(self) -> list[int]:
        """Return the server's process and all below it."""
        found, waiting = [], [self.process.pid] if self.process else []
        while waiting:
            pid = waiting.pop()
            found.append(pid)
            with suppress(OSError):
                for task in Path(f"/proc/{pid}/task").iterdir():
                    waiting += [int(each) for each in (task / "children").read_text().split()]
        return found

    def cpu(self) -> float:
        """Return the processor seconds that the server used so far."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                total += int(fields[11]) + int(fields[12])
        return total / TICKS

    def memory_mb(self) -> float:
        """Return the highest resident memory of the server's processes together, in MB."""
        total = 0
        for pid in self.pids():
            with suppress(OSError):
                text = Path(f"/proc/{pid}/status").read_text()
                total += int(re.search(r"VmHWM:\s+(\d+)", text)[1]) * 1024
        return total / 1e6


@contextmanager
def started(
    command: list[str], port: int, path: str, scheme: str = "http", **environment: str
) -> Iterator[Server]:
    """Run a server until the block ends; ready when it answers."""
    log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the server
    process = subprocess.Popen(command, stdout=log, stderr=log, env={**os.environ, **environment})
    server = Server(process, port, scheme)
    deadline = time.monotonic() + 120
    while not answers(f"{server.url}{path}"):
        if process.poll() is not None or time.monotonic() > deadline:
            log.seek(0)
            sys.exit(f"{command[0]} did not start: {log.read()[-2000:].decode()}")
        time.sleep(0.05)
    try:
        yield server
    finally:
        process.terminate()
        process.wait(30)


def answers(url: str) -> bool:
    """Tell whether a server serves an address; certificates are not looked at."""
    done = subprocess.run(["curl", "-skf", "-o", "/dev/null", "-m", "2", url], check=False)
    return done.returncode == 0


def ours(site: MirrorSite, tls: tuple[str, str] | None = None) -> "contextmanager[Server]":
    """Run our mirror over a site."""
    (port,) = free_ports(1)
    names = ", ".join(f"Path({name!r})" for name in (*tls, tls[0])) if tls else ""
    extra = f", tls=Tls({names})" if tls else ""
    factory = "corpora.mirrorsite:app_from_environment"
    code = (
        "from pathlib import Path; from lockgate.app.high.tls import Tls; from lockgate.mirror import serve; "
        f"serve({factory!r}, '127.0.0.1', {port}{extra})"
    )
    paths = os.pathsep.join([sys.path[0], str(Path(__file__).resolve().parent.parent / "src")])
    where = {"LOCKGATE_HOME": str(site.root), "PYTHONPATH": paths}
    return started([sys.executable, "-c", code], port, "/healthz", "https" if tls else "http", **where)


def framework(folder: Path, bodies: dict[str, tuple[str, bytes]]) -> "contextmanager[Server]":
    """Run Starlette alone on uvicorn, with bytes in memory."""
    (port,) = free_ports(1)
    for number, (_, body) in enumerate(bodies.values()):
        (folder / f"body{number}").write_bytes(body)
    listed = {
        path: (media_type, str(folder / f"body{n}"))
        for n, (path, (media_type, _)) in enumerate(bodies.items())
    }
    (folder / "bare.py").write_text(
        "from pathlib import Path\nfrom starlette.applications import Starlette\n"
        "from starlette.responses import Response\nfrom starlette.routing import Route\n"
        f"BODIES = {{p: (m, Path(f).read_bytes()) for p, (m, f) in {listed!r}.items()}}\n"
        "def route(media_type, body):\n"
        "    async def answer(request):\n        return Response(body, media_type=media_type)\n"
        "    return answer\n"
        "app = Starlette(routes=[Route(p, route(m, b)) for p, (m, b) in BODIES.items()])\n"
        "def serve():\n"
        "    import uvicorn\n"
        f"    uvicorn.run(app, port={port}, loop='uvloop', http='httptools', ws='none', log_level='error',\n"
        "                access_log=False)\n"
    )
    command = [sys.executable, "-c", "import bare; bare.serve()"]
    return started(command, port, next(iter(bodies)), PYTHONPATH=str(folder))


@contextmanager
def nginx(folder: Path, file: Path, certificate: tuple[str, str]) -> Iterator[tuple[Server, Server]]:
    """Run nginx with one worker over a file, in the clear and with TLS."""
    plain, secure = free_ports(2)
    root = folder / "nginx"
    root.mkdir()
    (root / "blob").hardlink_to(file)
    root.chmod(0o755)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/error.log; user root;\n"
        "events { worker_connections 4096; }\n"
        f"http {{ access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}/t; "
        f"proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3; uwsgi_temp_path {folder}/t4; "
        f"scgi_temp_path {folder}/t5;\n"
        f"server {{ listen 127.0.0.1:{plain}; listen 127.0.0.1:{secure} ssl; root {root};\n"
        f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]}; }} }}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with started([program, "-c", str(config), "-e", f"{folder}/error.log"], plain, "/blob") as server:
        yield server, Server(server.process, secure, "https")


def whole_blob(url: str) -> None:
    """Fetch a blob whole."""
    subprocess.run(["curl", "-skf", "-o", "/dev/null", url], check=True)


def in_ranges(url: str, size: int) -> None:
    """Fetch a blob by 16 parallel ranges."""
    step = -(-size // PARTS)
    parts = [f"{at}-{min(at + step, size) - 1}" for at in range(0, size, step)]
    running = [subprocess.Popen(["curl", "-skf", "-o", "/dev/null", "-r", part, url]) for part in parts]
    if any(each.wait() for each in running):
        sys.exit("A range was refused.")


def rate(server: Server, work: Callable[[], None], size: int) -> tuple[float, float]:
    """Return MB/s and the server's processor seconds per GiB of one round."""
    cpu, began = server.cpu(), time.perf_counter()
    work()
    wall = time.perf_counter() - began
    return size / 1e6 / wall, (server.cpu() - cpu) / (size / (1 << 30))


def requests_per_second(url: str, seconds: int, accept: str = "") -> float:
    """Return how many requests a second wrk gets answered on 32 connections."""
    header = ["-H", f"Accept: {accept}"] if accept else []
    done = subprocess.run(
        ["wrk", "-t1", "-c32", f"-d{seconds}s", *header, url], check=True, capture_output=True, text=True
    )
    if "Non-2xx" in done.stdout:
        sys.exit(f"{url} was answered with errors.")
    return float(re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)[1])


def in_turns(rounds: int, *works: Callable[[], object]) -> list[list]:
    """Run works after one another, several rounds; return each one's results."""
    results = [[] for _ in works]
    for _ in range(rounds):
        for kept, work in zip(results, works, strict=True):
            kept.append(work())
    return results


def filled(folder: Path, size: int, files: int) -> tuple[MirrorSite, Image, str]:
    """Return a site with a large blob, a project of many files, a packument and an image."""
    site = MirrorSite(folder)
    os.fsync = lambda _: None  # what is measured is serving, not the filling of this throw-away store
    big = os.urandom(MIB) * (size // MIB)
    small, made = index(image(), image({"hello": b"x"}, "arm64")), image()
    made.blobs[digest(big)] = big
    site.add(artifact_of(site, NAME, made, "big"))
    site.add(artifact_of(site, f"{NAME}/small", small, "latest"))
    for number in range(files):
        path = f"python/many/many-1.{number}-py3-none-any.whl"
        file = site.file(path, b"wheel %d" % number, Role.DISTRIBUTION)
        purl = f"pkg:pypi/many@1.{number}"
        site.add(Artifact(purl=purl, kind=Kind.PYTHON, name="many", version=f"1.{number}", files=(file,)))
    for number in range(1000):
        site.add_npm(NpmPackage("many", f"1.0.{number}"))
    site.publish()
    return site, small, digest(big)


def certificate(folder: Path) -> tuple[str, str]:
    """Make a certificate for loopback."""
    names = str(folder / "tls.pem"), str(folder / "tls.key")
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-days", "2", "-subj", "/CN=127.0.0.1", "-out", names[0], "-keyout", names[1]]
    subprocess.run(command, check=True, capture_output=True)
    return names


def blobs(site: MirrorSite, key: str, folder: Path, rounds: int, rows: list[Row]) -> dict[str, float]:
    """Compare blobs with nginx: whole, by ranges, with TLS."""
    pair = certificate(folder)
    path = f"/v2/{NAME}/blobs/{key}"
    file = site.blobs.path(key.removeprefix("sha256:"))
    size = file.stat().st_size
    with ExitStack() as stack:
        mine, secure = stack.enter_context(ours(site)), stack.enter_context(ours(site, pair))
        peer, peer_tls = stack.enter_context(nginx(folder, file, pair))
        whole_blob(mine.url + path)
        whole_blob(secure.url + path)
        found = {}
        for what, works in {
            "whole": [
                (s, lambda u=u: whole_blob(u))
                for s, u in ((mine, mine.url + path), (peer, f"{peer.url}/blob"))
            ],
            "range": [
                (s, lambda u=u: in_ranges(u, size))
                for s, u in ((mine, mine.url + path), (peer, f"{peer.url}/blob"))
            ],
            "tls": [
                (s, lambda u=u: whole_blob(u))
                for s, u in ((secure, secure.url + path), (peer_tls, f"{peer_tls.url}/blob"))
            ],
        }.items():
            turns = in_turns(rounds, *[lambda s=s, w=w: rate(s, w, size) for s, w in works])
            for name, taken in zip(("lockgate", "nginx"), turns, strict=True):
                rows.append(Row(f"blob {what}", name, round(max(r[0] for r in taken)), "MB/s"))
                rows.append(Row(f"blob {what}", name, round(min(r[1] for r in taken), 2), "CPU s/GiB"))
            found[what] = [(max(r[0] for r in taken), min(r[1] for r in taken)) for taken in turns]
    speed = {what: pair[0][0] / pair[1][0] for what, pair in found.items()}
    spent = found["whole"][0][1] / max(found["whole"][1][1], 1 / TICKS)
    return {
        "blob_vs_nginx": speed["whole"],
        "blob_range_vs_nginx": speed["range"],
        "blob_cpu_vs_nginx": spent,
        "tls_vs_nginx": speed["tls"],
    }


def pages(site: MirrorSite, small: Image, folder: Path, seconds: int, rows: list[Row]) -> dict[str, float]:
    """Compare metadata with the bare framework and Debian's docker-registry."""
    json_type = "application/vnd.pypi.simple.v1+json"
    paths = {
        "simple": ("/simple/many/", json_type),
        "packument": ("/npm/many", "application/json"),
        "manifest": (f"/v2/{NAME}/small/manifests/latest", ""),
    }
    with ExitStack() as stack:
        mine = stack.enter_context(ours(site))
        bodies = {
            path: (accept or "application/json", fetch(mine.url + path, accept))
            for path, accept in paths.values()
        }
        bare = stack.enter_context(framework(folder, bodies))
        found = {}
        for what, (path, accept) in paths.items():
            works = [
                lambda s=s, p=path, a=accept: requests_per_second(s.url + p, seconds, a) for s in (mine, bare)
            ]
            best = [max(taken) for taken in in_turns(2, *works)]
            rows += [
                Row(what, name, round(v), "req/s")
                for name, v in zip(("lockgate", "framework"), best, strict=True)
            ]
            found[f"{what}_vs_framework"] = best[0] / best[1]
        if shutil.which("docker-registry"):
            peer = stack.enter_context(docker_registry(folder / "docker"))
            peer.push("bench/app", small, "latest")
            path = f"{peer.url}/v2/bench/app/manifests/latest"
            accept = "application/vnd.oci.image.index.v1+json"
            theirs = max(requests_per_second(path, seconds, accept) for _ in range(2))
            mine_rate = max(r.value for r in rows if (r.what, r.server) == ("manifest", "lockgate"))
            rows.append(Row("manifest", "docker-registry", round(theirs), "req/s"))
            found["manifest_vs_docker_registry"] = mine_rate / theirs
    return found


def fetch(url: str, accept: str) -> bytes:
    """Return what an address answers."""
    done = subprocess.run(
        ["curl", "-sf", "-H", f"Accept: {accept or '*/*'}", url], check=True, capture_output=True
    )
    return done.stdout


def devpi(program: str, site: MirrorSite, folder: Path, seconds: int, rows: list[Row]) -> float:
    """Compare the simple page with devpi, which imports the same files."""
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
    where = Path(program).parent
    state = str(folder / "devpi")
    subprocess.run(
        [str(where / "devpi-import"), "--serverdir", state, "--no-root-pypi", str(export)],
        check=True,
        capture_output=True,
    )
    (port,) = free_ports(1)
    command = [program, "--serverdir", state, "--port", str(port), "--offline-mode"]
    with ours(site) as mine, started(command, port, "/bench/dev/+simple/many/") as peer:
        urls = f"{mine.url}/simple/many/", f"{peer.url}/bench/dev/+simple/many/"
        best = [
            max(taken)
            for taken in in_turns(
                2, *[lambda u=u: requests_per_second(u, seconds, "text/html") for u in urls]
            )
        ]
    rows += [
        Row("simple (HTML)", name, round(v, 1), "req/s")
        for name, v in zip(("lockgate", "devpi"), best, strict=True)
    ]
    return best[0] / best[1]


@dataclass
class Crowd:
    """What clients have in common, and what they saw."""

    port: int
    paths: list[str]
    think: float
    end: float
    taken: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def _client(crowd: Crowd, first: float) -> None:
    """Ask again and again over one connection, with think time in between."""
    await asyncio.sleep(first)
    reader = writer = None
    turn = 0
    while time.monotonic() < crowd.end:
        path = crowd.paths[turn % len(crowd.paths)]
        turn += 1
        began = time.perf_counter()
        try:
            if writer is None:
                reader, writer = await asyncio.open_connection("127.0.0.1", crowd.port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(re.search(rb"(?i)content-length: (\d+)", head)[1])
            await reader.readexactly(length)
            if b" 200 " not in head.split(b"\r\n", 1)[0]:
                crowd.errors.append(head.split(b"\r\n", 1)[0].decode())
        except (OSError, asyncio.IncompleteReadError, TypeError) as error:
            crowd.errors.append(repr(error))
            writer = None
        crowd.taken.append((time.perf_counter() - began) * 1000)
        await asyncio.sleep(max(0.0, crowd.think - (time.perf_counter() - began)))
    if writer:
        writer.close()


def thousand(site: MirrorSite, seconds: int, rows: list[Row]) -> dict[str, float]:
    """Have 1,000 clients ask for mixed content with think time at half of saturation."""
    paths = ["/simple/many/", f"/v2/{NAME}/small/manifests/latest", f"/v2/{NAME}/small/tags/list", "/simple/"]
    with ours(site) as mine:
        rates = [requests_per_second(mine.url + path, 1) for path in paths]
        saturation = min(len(paths) / sum(1 / r for r in rates), 4000.0)  # this client itself saturates there
        think = CLIENTS / (saturation / 2)
        end = time.monotonic() + seconds + think
        crowd = Crowd(int(mine.url.rpartition(":")[2]), paths, think, end)

        async def run() -> None:
            await asyncio.gather(*(_client(crowd, think * n / CLIENTS) for n in range(CLIENTS)))

        asyncio.run(run())
        memory = mine.memory_mb()
    ordered = sorted(crowd.taken)
    p99 = ordered[int(len(ordered) * 0.99)]
    rows.append(Row("1,000 clients", "lockgate", round(len(crowd.taken) / seconds), "req/s"))
    rows.append(Row("1,000 clients, median", "lockgate", round(statistics.median(ordered), 1), "ms"))
    rows += [Row("1,000 clients, error", "lockgate", 1, text) for text in crowd.errors[:3]]
    return {
        "clients_1000_errors": len(crowd.errors),
        "clients_1000_p99_ms": p99,
        "clients_1000_memory_mb": memory,
    }


def publish(count: int, rows: list[Row]) -> float:
    """Time the making of a snapshot of many artifacts, with its pages, and of the table that serves it."""
    entries = []
    for number in range(count):
        sha256 = hashlib.sha256(b"%d" % number).hexdigest()
        path = f"python/p{number // 20}/p{number // 20}-1.{number % 20}-py3-none-any.whl"
        file = ArtifactFile(path=path, role=Role.DISTRIBUTION, size=1000, sha256=sha256)
        name = f"p{number // 20}"
        version = f"1.{number % 20}"
        purl = f"pkg:pypi/{name}@{version}"
        entries.append(
            admitted(Artifact(purl=purl, kind=Kind.PYTHON, name=name, version=version, files=(file,)))
        )
    began = time.perf_counter()
    made = generate_pages(entries, bytes)
    listed = tuple(page.generated() for page in made)
    snapshot = Snapshot(
        format=SNAPSHOT_FORMAT, lane="bench", created=START, admitted=tuple(entries), generated=listed
    )
    data = encode(snapshot)
    hashlib.sha256(data).hexdigest()
    wall = time.perf_counter() - began
    rows.append(Row(f"publish {count} artifacts", "lockgate", round(wall, 1), "s"))
    began = time.perf_counter()
    build_table(statement_for(snapshot, 1), snapshot)
    rows.append(Row(f"switch to {count} artifacts", "lockgate", round(time.perf_counter() - began, 2), "s"))
    return wall


def machine() -> dict[str, object]:
    """Return what the numbers depend on."""
    return {
        "cpu": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "kernel": platform.release(),
        "load": os.getloadavg()[0],
    }


def main() -> None:
    """Measure, and print a table or one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less than a minute")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")
    parser.add_argument("--devpi", default="", help="path of devpi-server")
    parser.add_argument("--artifacts", type=int, default=0, help="artifacts of the snapshot that is timed")
    options = parser.parse_args()
    size, files = (256 * MIB, 2000) if options.quick else (1024 * MIB, 2000)
    rows: list[Row] = []
    ratios: dict[str, float | None] = dict.fromkeys(KEYS)
    with tempfile.TemporaryDirectory(prefix="mirror-bench-") as name:
        folder = Path(name)
        site, small, key = filled(folder / "site", size, files)
        if shutil.which("nginx") or Path("/usr/sbin/nginx").exists():
            ratios |= blobs(site, key, folder, 2 if options.quick else 5, rows)
        ratios |= pages(site, small, folder, 1 if options.quick else 5, rows)
        if options.devpi:
            ratios["simple_vs_devpi"] = devpi(options.devpi, site, folder, 2 if options.quick else 5, rows)
        ratios |= thousand(site, 6 if options.quick else 60, rows)
    count = options.artifacts or (0 if options.quick else 1_000_000)
    if count:
        wall = publish(count, rows)
        ratios["publish_1m_s"] = wall if count == 1_000_000 else None  # noqa: PLR2004 - the key's own number
    shown = {k: None if v is None else round(v, 3) for k, v in ratios.items()}
    if options.json:
        print(json.dumps({"machine": machine(), "ratios": shown, "rows": [asdict(r) for r in rows]}))
        return
    for r in rows:
        print(f"{r.what:32} {r.server:16} {r.value:>12} {r.unit}")
    for k, v in shown.items():
        print(f"{k:32} {v}")


if __name__ == "__main__":
    main()
