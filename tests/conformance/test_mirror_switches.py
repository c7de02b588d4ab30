"""Real clients install and download while stable is promoted and rolled back a hundred times.

Every version of everything carries the mark of its snapshot. A client that saw two marks in one run
saw a mixture.
"""

import json
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace

import pytest

from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.mirrorserver import Server
from corpora.wheels import build_wheel
from lockgate.app.gate.gate import execute, open_gate
from lockgate.app.trust import signer_from, site_root, utc_now
from lockgate.approve import approve, combine
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.roots import Purpose
from lockgate.core.soak import CANDIDATE, STABLE
from lockgate.store import FileBlobs

SWITCHES = 100
LEAVES = ("leaf-a", "leaf-b", "leaf-c", "leaf-d")
FILES = tuple(f"part-{n}.txt" for n in range(12))
PIP = (sys.executable, "-m", "pip", "--isolated", "--no-input", "install", "--no-cache-dir")
DOWNLOAD = """
import json, pathlib, sys, huggingface_hub as h
folder = h.snapshot_download("org/m", local_dir=sys.argv[1])
print(json.dumps(sorted({p.read_text() for p in pathlib.Path(folder).glob("part-*.txt")})))
"""


def wheel(store: FileBlobs, name: str, version: str, *requires: str) -> Artifact:
    made = build_wheel(name, version, requires=requires)
    path = f"python/{name}/{made.filename}"
    files = [
        (path, Role.DISTRIBUTION, made.data),
        (f"{path}.metadata", Role.CORE_METADATA, made.metadata),
    ]
    return Artifact(
        purl=f"pkg:pypi/{name}@{version}",
        kind=Kind.PYTHON,
        name=name,
        version=version,
        files=tuple(
            ArtifactFile(path=p, role=role, size=len(data), sha256=store.put_bytes(data))
            for p, role, data in files
        ),
    )


def model(store: FileBlobs, commit: str, mark: str) -> Artifact:
    contents = {"model.gguf": (b"GGUF" + mark.encode(), Role.WEIGHTS)}
    contents |= {name: (mark.encode(), Role.CONFIGURATION) for name in FILES}
    return Artifact(
        purl=f"pkg:huggingface/org/m@{commit}",
        kind=Kind.MODEL,
        name="org/m",
        version=commit,
        files=tuple(
            ArtifactFile(
                path=f"models/org/m/{name}",
                role=role,
                size=len(data),
                sha256=store.put_bytes(data),
            )
            for name, (data, role) in contents.items()
        ),
    )


def offer(high: HighSide, sequence: int, channel: str) -> None:
    """Publish everything with the mark of a crossing."""
    store, version = FileBlobs(high.side.home.quarantine), f"{sequence}.0"
    leaves = [wheel(store, name, version) for name in LEAVES]
    high.arrive_with(
        sequence,
        wheel(store, "tree", version, *LEAVES),
        *leaves,
        model(store, f"{sequence:x}" * 40, version),
    )
    gate = open_gate(high.side)
    gate.inspect(sequence, Scripted())
    execute(high.side, high.signed(gate.request(sequence, channel, high.operator), f"offer-{sequence}"))


class Switcher:
    """Moves stable by what two persons sign: forward by a promotion, back by a rollback."""

    def __init__(self, high: HighSide) -> None:
        self.gate = open_gate(high.side)
        self.site = site_root(high.side, None)
        self.operator = high.operator
        folders = [high.lane.people[name] for name in ("approver-1", "approver-2")]
        self.approvers = [signer_from(folder, Purpose.APPROVER, self.site) for folder in folders]

    def switch(self) -> int:
        """Move the channel; return the version that is served then."""
        gate = self.gate
        ahead = gate.pointer(STABLE).snapshot_sha256 == gate.pointer(CANDIDATE).snapshot_sha256
        asked = gate.request_rollback(STABLE, self.operator) if ahead else gate.request_promote(self.operator)
        signed = [approve(asked, signer, self.site, utc_now()) for signer in self.approvers]
        return gate.execute(combine(signed)).channel_version


@dataclass
class Client:
    """Runs one command again and again until it is told to end; keeps the marks of each run."""

    server: Server
    name: str
    done: threading.Event
    runs: list[tuple[set[str], bool]] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def work(self) -> None:
        while not self.done.is_set() and not self.failed:
            target = self.server.home / f"{self.name}-{len(self.runs)}"
            try:
                before = self.version()
                marks = {"pip": self.pip, "uv": self.uv, "hub": self.hub}[self.name](target)
                self.runs.append((marks, self.version() != before))
            except AssertionError as error:
                self.failed.append(str(error)[-2000:])

    def version(self) -> int:
        return json.loads(self.server.run("curl", "-sf", f"{self.server.url}/healthz").stdout)["version"]

    def pip(self, target: Path) -> set[str]:
        self.server.run(*PIP, "tree", "--target", str(target), "--index-url", f"{self.server.url}/simple/")
        return {p.name.partition("-")[2].removesuffix(".dist-info") for p in target.glob("*.dist-info")}

    def uv(self, target: Path) -> set[str]:
        words = ("uv", "pip", "install", "--no-cache", "--python", sys.executable, "--target", str(target))
        self.server.run(*words, "tree", "--index-url", f"{self.server.url}/simple/")
        return {p.name.partition("-")[2].removesuffix(".dist-info") for p in target.glob("*.dist-info")}

    def hub(self, target: Path) -> set[str]:
        home = str(self.server.home / f"home-{target.name}")
        done = self.server.run(sys.executable, "-c", DOWNLOAD, str(target), HF_HOME=home)
        return set(json.loads(done.stdout))


@pytest.mark.slow
@pytest.mark.alone
def test_no_client_sees_a_mixture_through_a_hundred_switches(tmp_path: Path) -> None:
    high = HighSide.new(tmp_path)
    offer(high, 1, STABLE)
    offer(high, 2, CANDIDATE)
    site = SimpleNamespace(root=high.lane.high)
    with Server(site, "lockgate.app.high.mirrors:mirror_app") as server:
        done = threading.Event()
        clients = [Client(server, name, done) for name in ("pip", "uv", "hub")]
        threads = [threading.Thread(target=client.work) for client in clients]
        for thread in threads:
            thread.start()
        try:
            number, switcher = 0, Switcher(high)
            while number < SWITCHES or min(len(c.runs) for c in clients) < 3:
                number += 1
                version = switcher.switch()
                while clients[0].version() != version:
                    assert server.process.poll() is None
                assert not any(client.failed for client in clients), [c.failed for c in clients]
        finally:
            done.set()
            for thread in threads:
                thread.join()
    for client in clients:
        assert client.failed == []
        assert all(marks in ({"1.0"}, {"2.0"}) for marks, _ in client.runs), client.runs
        assert any(moved for _, moved in client.runs), "no switch fell into a run"
