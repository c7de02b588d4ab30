"""A real mirror server in a network namespace that has loopback only, and clients beside it."""

import fcntl
import os
import socket
import struct
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

HOST, PORT = "127.0.0.1", 8710
FACTORY = "corpora.mirrorsite:app_from_environment"
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 0x1


def raise_loopback():
    """Bring the namespace's loopback up (netdevice(7))."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        flags = struct.unpack("16sH14s", fcntl.ioctl(handle, _SIOCGIFFLAGS, request))[1]
        fcntl.ioctl(handle, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def main():
    """Serve the home in LOCKGATE_HOME; what the namespace's first process runs."""
    from lockgate.app.high.tls import LenientTls, Tls
    from lockgate.mirror import serve

    raise_loopback()
    folder = os.environ.get("LOCKGATE_TEST_TLS")
    files = [Path(folder, name) for name in ("cert.pem", "key.pem", "ca.pem")] if folder else None
    tls = Tls(*files) if files else None
    if tls and (clients := Path(folder, "clients.pem")).is_file():
        tls = LenientTls(replace(tls, clients=clients))
    serve(os.environ.get("LOCKGATE_TEST_FACTORY", FACTORY), HOST, PORT, tls=tls)


class Server:
    """A mirror over a `MirrorSite`, alone with its clients in a namespace without a network."""

    def __init__(self, site, factory=FACTORY, tls=None):
        self.factory = factory
        self.tls = tls
        self.url = f"{'https' if tls else 'http'}://{HOST}:{PORT}"
        self.site = site
        self.home = site.root / "client"
        self.home.mkdir(exist_ok=True)
        self.log = (site.root / "server.log").open("ab")

    def __enter__(self):
        paths = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2] / "src")]
        code = "from corpora.mirrorserver import main; main()"
        self.process = subprocess.Popen(
            ["unshare", "--map-root-user", "--net", sys.executable, "-c", code],
            env={
                **os.environ,
                "LOCKGATE_HOME": str(self.site.root),
                "LOCKGATE_TEST_FACTORY": self.factory,
                **({"LOCKGATE_TEST_TLS": str(self.tls)} if self.tls else {}),
                "PYTHONPATH": os.pathsep.join(paths),
            },
            stdout=self.log,
            stderr=self.log,
        )
        self.wait()
        return self

    def __exit__(self, *failure):
        self.stop()
        self.log.close()

    def wait(self):
        """Wait until ``/healthz`` answers, whatever it says."""
        deadline = time.monotonic() + 120
        probe = ["curl", "-sk", "-o", "/dev/null", f"{self.url}/healthz"]
        while self.run(*probe, check=False).returncode != 0:
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.log.flush()
                raise AssertionError((self.site.root / "server.log").read_text()[-4000:])
            time.sleep(0.05)

    def stop(self):
        """Ask the server to end and return its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(120)

    def counted(self, metric, **labels):
        """Return one of the mirror's own counters, summed over all samples with these labels."""
        lines = self.run("curl", "-sf", f"{self.url}/metrics").stdout.splitlines()
        wanted = [f'{name}="{value}"' for name, value in labels.items()]
        chosen = [line for line in lines if line.startswith(f"{metric}{{") and all(w in line for w in wanted)]
        return sum(float(line.rsplit(" ", 1)[1]) for line in chosen)

    def answered(self, protocol, status):
        """Return how often the mirror has answered a client of a protocol so."""
        return self.counted("lockgate_mirror_requests_total", protocol=protocol, status=status)

    def run(self, *command, check=True, **environment):
        """Run a client inside the namespace with an empty home."""
        done = subprocess.run(
            self.inside(*command),
            env={**self.environment(), **environment},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(done.stdout + done.stderr)
        return done

    def begin(self, *command, **environment):
        """Start a client inside the namespace and return its process, whose output is one pipe."""
        return subprocess.Popen(
            self.inside(*command),
            env={**self.environment(), **environment},
            cwd=self.home,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def inside(self, *command):
        """Return a command line that runs inside the namespace."""
        enter = ["nsenter", "--preserve-credentials", "-U", "-n", "-t", str(self.process.pid)]
        return [*enter, *command]

    def environment(self):
        """Return an environment without the configuration of the machine that runs the tests."""
        return {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(self.home),
            "LANG": "C.UTF-8",
            "PIP_CONFIG_FILE": os.devnull,
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_DEFAULT_INDEX": f"{self.url}/simple/",
            "HF_ENDPOINT": self.url,
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        }

    def metric(self, name):
        """Return the sum of a metric's samples."""
        lines = self.run("curl", "-sf", f"{self.url}/metrics").stdout.splitlines()
        return sum(
            float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name
        )
