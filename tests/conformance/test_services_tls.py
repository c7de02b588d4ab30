"""The services over TLS with certificates of the internal authority, asked by unmodified clients."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.processes import SECONDS
from corpora.servers import free_ports
from corpora.wheels import build_wheel
from corpora.wholelane import WholeLane
from lockgate.app.high.authority import AuthorityFolder
from lockgate.trust.authority import Bounds, Names, Use

LOCKGATE = str(Path(sys.executable).parent / "lockgate")
NOW = datetime.now(UTC)
LOCAL = Names.of(["localhost", "127.0.0.1"])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> AuthorityFolder:
    made = AuthorityFolder(tmp_path_factory.mktemp("authority") / "ca")
    made.make("Plant CA", Bounds.of(["plant.internal"]), NOW)
    return made


def issued(authority: AuthorityFolder, out: Path, use: Use) -> str:
    names = LOCAL if use is Use.SERVER else Names()
    made = authority.issue(out.name, names, use, out, days=30, now=NOW)
    return f"{made.serial_number:x}"


@pytest.fixture(scope="module")
def mirror(authority: AuthorityFolder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("mirror")
    issued(authority, folder / "tls", Use.SERVER)
    site = MirrorSite(folder)
    site.add_wheels("leaf", "2.0", build_wheel("leaf", "2.0"))
    site.publish()
    with Server(site, tls=folder / "tls") as running:
        yield running


def test_pip_and_uv_trust_the_authority_and_nobody_else(mirror: Server, authority: AuthorityFolder) -> None:
    index = ("--index-url", f"{mirror.url}/simple/")
    pip = (sys.executable, "-m", "pip", "--isolated", "--no-input", "download", "--no-cache-dir", "leaf")
    trusted = str(authority.certificate_file)
    mirror.run(*pip, *index, "--cert", trusted, "--dest", str(mirror.home / "pip"))
    assert (mirror.home / "pip/leaf-2.0-py3-none-any.whl").is_file()
    refused = mirror.run(*pip, *index, "--dest", str(mirror.home / "other"), check=False)
    assert refused.returncode != 0
    assert "CERTIFICATE_VERIFY_FAILED" in refused.stdout + refused.stderr
    uv = ("uv", "pip", "install", "--no-cache", "--target", str(mirror.home / "uv"), "leaf")
    mirror.run(*uv, *index, SSL_CERT_FILE=trusted)
    assert (mirror.home / "uv/leaf/__init__.py").is_file()


def test_old_versions_of_tls_are_refused(mirror: Server) -> None:
    asked = ("curl", "-sk", "--tls-max", "1.1", "--ciphers", "DEFAULT@SECLEVEL=0", f"{mirror.url}/healthz")
    assert mirror.run(*asked, check=False).returncode == 35  # curl: the handshake failed
    newer = ("curl", "-sk", "--tls-max", "1.2", f"{mirror.url}/healthz")
    assert mirror.run(*newer).stdout.startswith("{")


def test_plain_http_gets_no_answer_there(mirror: Server) -> None:
    asked = mirror.run("curl", "-s", mirror.url.replace("https", "http"), check=False)
    assert asked.returncode != 0
    assert asked.stdout == ""


@contextmanager
def up(lane: WholeLane) -> Iterator[None]:
    command = [LOCKGATE, "high", "up", "--detach", "--home", str(lane.high)]
    started = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
    assert started.returncode == 0, started.stdout + started.stderr
    try:
        yield
    finally:
        subprocess.run([LOCKGATE, "high", "down", "--home", str(lane.high)], check=True, capture_output=True)


def asked(url: str, trusted: Path, client: Path | None) -> subprocess.CompletedProcess[str]:
    proof = ["--cert", str(client / "cert.pem"), "--key", str(client / "key.pem")] if client else []
    command = ["curl", "-s", "--cacert", str(trusted), *proof, url]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)


def test_services_that_demand_certificates(authority: AuthorityFolder, tmp_path: Path) -> None:
    """They ask one another with their own; a stranger and a revoked client get no byte."""
    lane = WholeLane.make(tmp_path / "lane")
    issued(authority, lane.high / "tls", Use.SERVER)
    analyst, gone = tmp_path / "analyst", tmp_path / "gone"
    issued(authority, analyst, Use.CLIENT)
    authority.revoke([issued(authority, gone, Use.CLIENT)], NOW)
    (lane.high / "tls/crl.pem").write_bytes((authority.folder / "crl.pem").read_bytes())
    mirror, console = free_ports(2)
    with (lane.high / "lockgate.toml").open("a") as settings:
        settings.write(
            f"\n[serve]\nmirror_port = {mirror}\nconsole_port = {console}\n"
            'tls_cert = "tls/cert.pem"\ntls_key = "tls/key.pem"\ntls_ca = "tls/ca.pem"\n'
            'tls_client_ca = "tls/ca.pem"\ntls_client_crl = "tls/crl.pem"\n'
        )
    with up(lane):
        status = [LOCKGATE, "high", "status", "--home", str(lane.high)]
        assert subprocess.run(status, capture_output=True, check=False).returncode == 0
        for port in (mirror, console):
            url = f"https://127.0.0.1:{port}/healthz"
            assert '"status"' in asked(url, authority.certificate_file, analyst).stdout
            for client in (None, gone):
                refused = asked(url, authority.certificate_file, client)
                assert (refused.returncode != 0, refused.stdout) == (True, "")
    assert (lane.high / "tls/key.pem").stat().st_mode & 0o077 == 0
