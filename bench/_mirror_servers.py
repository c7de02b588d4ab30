"""Servers that the mirrors' benchmark starts, and how they are asked."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from corpora.mirrorsite import MirrorSite
from corpora.servers import free_ports

TICKS = os.sysconf("SC_CLK_TCK")


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
        # Older ones speak TLS 1.2 at most unless told otherwise: both sides are to speak the same.
        f"ssl_protocols TLSv1.2 TLSv1.3; ssl_certificate {certificate[0]}; "
        f"ssl_certificate_key {certificate[1]}; }} }}\n"
    )
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    with started([program, "-c", str(config), "-e", f"{folder}/error.log"], plain, "/blob") as server:
        yield server, Server(server.process, secure, "https")


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


def fetch(url: str, accept: str) -> bytes:
    """Return what an address answers."""
    done = subprocess.run(
        ["curl", "-sf", "-H", f"Accept: {accept or '*/*'}", url], check=True, capture_output=True
    )
    return done.stdout
