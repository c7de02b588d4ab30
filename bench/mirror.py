"""How fast the mirrors serve, beside nginx, the bare framework and the servers that people use today.

    python bench/mirror.py [--quick] [--json] [--peers] [--artifacts N] [--only PART] [--kind KIND]

Every pair is measured in turns in one run, on loopback: the least disturbed round counts on both sides.
nginx serves the very file that the store holds, with sendfile. The bare framework is Starlette on the
same server (uvicorn) with the same bytes in memory. devpi and pypiserver
are taken from the Python index into an environment that is made for the run (not in a quick one, unless
``--peers`` asks for them), docker-registry is Debian's. Processor seconds are those of the
server's processes. ``clients_1000`` are 1,000 connections with think time at half of saturation.
``publish_1m_s`` is what it takes to make a snapshot of 1,000,000 artifacts and to copy it into the store; a
quick run publishes fewer, says so in its row, and leaves the key empty, as ``--kind`` does, which publishes
another kind than Python wheels. Part ``gate`` takes one artifact more the whole way into a site of 100,000
(or ``--artifacts``), approvals included. A key without a number says that its peer, or what it measures, is
not here.
"""

import argparse
import asyncio
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
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from _mirror_kinds import KINDS
from _mirror_peers import python_peers
from _mirror_servers import (
    TICKS,
    Row,
    Server,
    fetch,
    framework,
    in_turns,
    nginx,
    ours,
    requests_per_second,
)

from corpora.images import Image, artifact_of, digest, image, index
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.registry import docker_registry
from lockgate.core.artifact import Artifact, Kind, Role
from lockgate.core.parts import PARTED_FROM

MIB = 1 << 20
NAME = "registry.test/bench/app"
PARTS = 16
CLIENTS = 1000
PARTS_OF_IT = ("blobs", "pages", "peers", "clients", "publish", "gate")
GATE_ARTIFACTS = 100_000
MILLION = 1_000_000
KEYS = (
    "blob_vs_nginx",
    "blob_range_vs_nginx",
    "blob_cpu_vs_nginx",
    "tls_vs_nginx",
    "simple_vs_framework",
    "simple_vs_devpi",
    "simple_vs_pypiserver",
    "packument_vs_framework",
    "manifest_vs_framework",
    "manifest_vs_docker_registry",
    "clients_1000_errors",
    "clients_1000_p99_ms",
    "clients_1000_memory_mb",
    "publish_1m_s",
)


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


@dataclass
class Crowd:
    """What clients have in common, and what they saw."""

    port: int
    paths: list[str]
    think: float
    end: float
    taken: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


async def _client(crowd: Crowd, number: int) -> None:
    """Ask again and again over one connection, with think time in between.

    Clients begin at different paths: in step they would all ask for the longest page at once, and nothing
    would be mixed.
    """
    await asyncio.sleep(crowd.think * number / CLIENTS)
    reader = writer = None
    turn = number
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
            await asyncio.gather(*(_client(crowd, number) for number in range(CLIENTS)))

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


def _publishing(*arguments: str, script: str = "_mirror_publish.py") -> dict[str, Any]:
    """Run a part of the measurement of a large snapshot in a process of its own; return what it printed."""
    command = [sys.executable, str(Path(__file__).parent / script), *arguments]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE)
    said: dict[str, Any] = json.loads(done.stdout)
    return said


def publish(count: int, kind: str, folder: Path, rows: list[Row]) -> float:
    """Time a snapshot of many artifacts: published whole, changed by one, switched to, and started with."""
    made = _publishing("publish", str(folder), str(count), kind)
    served = _publishing("serve", str(folder), made["before"], made["after"], kind)
    took = made["seconds"] | served["seconds"]
    wall = float(took["made"] + took["copied"])
    rows += [
        Row(f"publish {count} artifacts ({kind})", "lockgate", round(wall, 1), "s"),
        Row("· making it", "lockgate", round(took["made"], 1), "s"),
        Row("· copying into the store", "lockgate", round(took["copied"], 1), "s"),
        Row("· processor", "lockgate", round(took["made_cpu"] + took["copied_cpu"], 1), "s"),
        Row("· most memory", "lockgate", round(made["most_mb"]), "MB"),
        Row("· of it the artifacts", "lockgate", round(made["artifacts_mb"]), "MB"),
        Row("publish one more", "lockgate", round(took["changed"], 2), "s"),
        Row("· processor", "lockgate", round(took["changed_cpu"], 2), "s"),
        Row("switch to it", "lockgate", round(took["switched"], 2), "s"),
        Row("start with it", "lockgate", round(took["started"], 2), "s"),
        Row("· memory then", "lockgate", round(served["started_mb"]), "MB"),
        Row("· all parts gone through", "lockgate", round(took["surveyed"], 2), "s"),
        Row("look a name up, first time", "lockgate", round(served["lookup_ms"], 2), "ms"),
        Row("look a name up, again", "lockgate", round(served["lookup_kept_us"], 1), "µs"),
        Row("most memory serving", "lockgate", round(served["most_mb"]), "MB"),
    ]
    return wall


def gate(count: int, folder: Path, rows: list[Row]) -> None:
    """Time one artifact more on its whole way into a site of many: judged with all, and then alone."""
    made = _publishing(str(folder), str(count), script="_mirror_gate.py")
    for what, steps in zip(("all judged", "it alone judged"), made["steps"], strict=True):
        wall, cpu = (sum(took[at] for took in steps.values()) for at in (0, 1))
        rows.append(Row(f"one more of {count}, {what}", "lockgate", round(wall, 2), "s"))
        rows.append(Row("· processor", "lockgate", round(cpu, 2), "s"))
        rows += [Row(f"· {name}", "lockgate", round(took[0], 3), "s") for name, took in steps.items()]
    rows.append(Row("most memory at the gate", "lockgate", round(made["most_mb"]), "MB"))


def large(options: argparse.Namespace, rows: list[Row]) -> dict[str, float]:
    """Time what is done with very many artifacts, as far as it is wanted."""
    found = {}
    if options.only in {None, "publish"}:
        count = options.artifacts or (PARTED_FROM if options.quick else MILLION)
        with tempfile.TemporaryDirectory(prefix="mirror-bench-publish-") as name:
            wall = publish(count, options.kind, Path(name), rows)
        if count == MILLION and options.kind == "python":
            found["publish_1m_s"] = wall
    if options.only == "gate" or (options.only is None and not options.quick):
        with tempfile.TemporaryDirectory(prefix="mirror-bench-gate-") as name:
            gate(options.artifacts or GATE_ARTIFACTS, Path(name), rows)
    return found


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
    parser.add_argument("--peers", action="store_true", help="also devpi and pypiserver where it is quick")
    parser.add_argument("--only", choices=PARTS_OF_IT, help="one part alone")
    parser.add_argument("--artifacts", type=int, default=0, help="artifacts of the snapshot that is timed")
    parser.add_argument("--kind", choices=list(KINDS), default="python", help="what that snapshot has")
    options = parser.parse_args()
    size, files = (256 * MIB, 2000) if options.quick else (1024 * MIB, 2000)
    rows: list[Row] = []
    ratios: dict[str, float | None] = dict.fromkeys(KEYS)
    with tempfile.TemporaryDirectory(prefix="mirror-bench-") as name:
        folder = Path(name)

        def wanted(part: str) -> bool:
            return options.only in {None, part}

        site, small, key = filled(folder / "site", size if wanted("blobs") else MIB, files)
        if wanted("blobs") and (shutil.which("nginx") or Path("/usr/sbin/nginx").exists()):
            ratios |= blobs(site, key, folder, 2 if options.quick else 5, rows)
        if wanted("pages"):
            ratios |= pages(site, small, folder, 1 if options.quick else 5, rows)
        if options.only == "peers" or options.peers or (wanted("peers") and not options.quick):
            ratios |= python_peers(site, folder, 2 if options.quick else 5, rows)
        if wanted("clients"):
            ratios |= thousand(site, 6 if options.quick else 60, rows)
    ratios |= large(options, rows)
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
