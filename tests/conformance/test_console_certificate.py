"""The console asked by curl with client certificates: whose they are, what is granted, who is shut out."""

import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

from corpora.commands import Commands
from corpora.homes import HighSide
from corpora.ports import free_ports
from corpora.processes import SECONDS
from lockgate.app.high.authority import AuthorityFolder
from lockgate.trust.authority import Bounds, Names, Use

run = Commands().run
NOW = datetime.now(UTC)
SETTINGS = """
[serve]
console_access = "people"
tls_cert = "tls/cert.pem"
tls_key = "tls/key.pem"
tls_ca = "tls/ca.pem"
tls_client_ca = "tls/ca.pem"
tls_client_crl = "tls/crl.pem"
[identities]
certificates = true
"""


def asked(url: str, authority: Path, client: Path) -> str:
    proof = ["--cert", str(client / "cert.pem"), "--key", str(client / "key.pem")]
    command = [
        "curl",
        "-s",
        "-o",
        "/dev/null",
        "-w",
        "%{http_code} %{redirect_url}",
        "--cacert",
        str(authority),
    ]
    done = subprocess.run(
        [*command, "-H", "Accept: text/html", *proof, url], capture_output=True, text=True, check=False
    )
    return done.stdout


def test_a_certificate_opens_what_is_granted_to_its_holder(tmp_path: Path) -> None:
    high, folder = HighSide.new(tmp_path), AuthorityFolder(tmp_path / "ca")
    home = high.lane.high
    folder.make("Plant CA", Bounds.of(["plant.internal"]), NOW)
    folder.issue("console", Names.of(["localhost", "127.0.0.1"]), Use.SERVER, home / "tls", days=30, now=NOW)
    for name in ("boss", "desk", "guest", "gone"):
        folder.issue(name, Names(), Use.CLIENT, tmp_path / name, days=30, now=NOW)
    (home / "tls/crl.pem").write_bytes((folder.folder / "crl.pem").read_bytes())
    (home / "lockgate.toml").write_text((home / "lockgate.toml").read_text() + SETTINGS)
    for name, more in (("boss", ["--operator"]), ("desk", []), ("gone", ["--operator"])):
        run("gateway", "grant", "set", "cert", name, "--label", "internal", "--caller", *more, "--home", home)
    (port,) = free_ports(1)
    url, authority = f"https://127.0.0.1:{port}", folder.certificate_file
    words = [
        sys.executable,
        "-m",
        "lockgate.cli.main",
        "console",
        "serve",
        "--home",
        str(home),
        "--port",
        str(port),
    ]
    with subprocess.Popen(words) as server:
        try:
            deadline = time.monotonic() + SECONDS
            while not asked(f"{url}/healthz", authority, tmp_path / "boss").startswith("200"):
                assert server.poll() is None
                assert time.monotonic() < deadline, "the console did not start"
            assert asked(f"{url}/", authority, tmp_path / "boss") == "200 "
            assert asked(f"{url}/", authority, tmp_path / "desk") == f"303 {url}/catalogue"
            assert asked(f"{url}/pending", authority, tmp_path / "desk") == "403 "
            assert asked(f"{url}/", authority, tmp_path / "guest") == f"303 {url}/sign-in"
            assert asked(f"{url}/", authority, tmp_path / "gone") == "200 "
            run("gateway", "grant", "shut-out", "cert:gone", "--home", home)
            assert asked(f"{url}/", authority, tmp_path / "gone") == f"303 {url}/sign-in"
        finally:
            server.terminate()
