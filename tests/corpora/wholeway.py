"""A package on its whole way beside an upstream: collected, sealed, inspected, approved, signed, served."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from corpora.mirrorserver import HOST, Server
from corpora.mirrorsite import MirrorSite
from corpora.wholelane import WholeLane
from lockgate.core.artifact import Kind
from lockgate.core.snapshot import Admitted

SECONDS = 180


@contextmanager
def empty_namespace(folder: Path) -> Iterator[Server]:
    """Give a namespace without a network; the mirror in it serves one document."""
    site = MirrorSite(folder / "none")
    site.add_document("a.txt", b"a")
    site.publish()
    with Server(site) as running:
        yield running


class WholeWay:
    """A lane, and commands that see nothing of a network but the upstream's namespace."""

    def __init__(self, upstream: Server, folder: Path) -> None:
        self.upstream = upstream
        self.lane = WholeLane.make(folder / "whole")
        self.manifest = folder / "whole/manifest.toml"

    def lockgate(self, *words: object, **settings: str) -> str:
        """Run a command in the namespace; return what it printed."""
        given = {"PYTHONPATH": os.pathsep.join(sys.path), **settings}
        done = self.upstream.run(sys.executable, "-m", "lockgate.cli.main", *map(str, words), **given)
        return done.stdout

    def cross(self, manifest: str, kind: Kind, **settings: str) -> dict[str, Admitted]:
        """Collect and publish what a manifest names; return what was admitted of a kind, by package URL."""
        self.manifest.write_text(manifest)
        self.lockgate("collect", self.manifest, "--home", self.lane.low, **settings)
        self.lane.before("publish")
        self.lane.demand(self.lane.run("publish"))
        admitted = self.lane.served().snapshot.admitted
        return {each.artifact.purl: each for each in admitted if each.artifact.kind is kind}

    @contextmanager
    def serving(self, port: int) -> Iterator[str]:
        """Serve what is published in the namespace; give the address once it answers."""
        command = [sys.executable, "-m", "lockgate.cli.main", "mirror", "serve"]
        command += ["--home", str(self.lane.high), "--port", str(port)]
        serving = subprocess.Popen(
            self.upstream.inside(*command),
            env={**self.upstream.environment(), "PYTHONPATH": os.pathsep.join(sys.path)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            url = f"http://{HOST}:{port}"
            deadline = time.monotonic() + SECONDS
            while self.upstream.run("curl", "-sf", f"{url}/healthz", check=False).returncode:
                assert serving.poll() is None
                assert time.monotonic() < deadline
            yield url
        finally:
            serving.terminate()
            serving.wait(120)
