"""The services over TLS with certificates of the internal authority, asked by unmodified clients."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from msgspec.structs import replace

from corpora.gitrepo import GitRepo
from corpora.images import artifact_of, image
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.npmpackages import NpmPackage
from corpora.ports import free_ports
from corpora.processes import SECONDS
from corpora.wheels import build_wheel
from corpora.wholelane import WholeLane
from lockgate.app.high.authority import AuthorityFolder
from lockgate.infer.identity import FileGrants, Holder, Source, grant
from lockgate.mirror import client_config
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


CLIENTS = {
    "pip": (sys.executable, "-m", "pip", "download", "--no-input", "--no-deps", "-d", "out"),
    "uv": ("uv", "pip", "install", "--no-cache", "--python", sys.executable, "--target", "out"),
    "npm": ("npm", "install", "--no-audit", "--fetch-retries=0"),
    "git": ("git", "clone", "-q"),
}
"""Clients that take a certificate from the lines that are printed for them, and how they fetch a name."""


def named(client: str, name: str) -> str:
    return f"https://code.example/team/{name}" if client == "git" else name


@pytest.fixture(scope="module")
def certified(
    authority: AuthorityFolder, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Server, Path]]:
    """A mirror where ``analyst`` alone reads what is called secret, and the holders' certificates."""
    folder = tmp_path_factory.mktemp("certified")
    issued(authority, folder / "tls", Use.SERVER)
    (folder / "tls/clients.pem").write_bytes(authority.certificate_file.read_bytes())
    for name in ("analyst", "visitor", "gone"):
        issued(authority, folder / name, Use.CLIENT)
        pair = [(folder / name / f"{part}.pem").read_bytes() for part in ("cert", "key")]
        (folder / f"{name}.pem").write_bytes(b"".join(pair))
    (folder / "trust").mkdir()
    grants = FileGrants(folder / "trust/grants.json")
    for name in ("analyst", "gone"):
        grants.add(grant(Source.CERTIFICATE, Holder.CALLER, name, ("restricted",)))
    grants.shut("cert:gone", out=True)
    site = MirrorSite(folder)
    repo = GitRepo(tmp_path_factory.mktemp("repo") / "work")
    repo.step(1)
    for name, label in (("secret", "restricted"), ("plain", "internal")):
        first = len(site.entries)
        site.add_wheels(name, "1.0", build_wheel(name, "1.0"))
        site.add_npm(NpmPackage(name, "1.0.0", facts={"tags": ("latest",)}))
        site.add_git(f"code.example/team/{name}", repo.bundle(), repo.refs())
        site.add(artifact_of(site, f"upstream.example/team/{name}", image(), "1.0"))
        site.entries[first:] = [
            replace(each, artifact=replace(each.artifact, label=label)) for each in site.entries[first:]
        ]
    site.publish()
    with Server(site, "corpora.mirrorsite:app_with_certificates", tls=folder / "tls") as running:
        yield running, folder


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_show_the_certificate_that_their_lines_name(
    certified: tuple[Server, Path], authority: AuthorityFolder, tmp_path: Path, client: str
) -> None:
    mirror, people = certified

    def fetch(name: str, holder: str = "") -> int:
        home = tmp_path / f"{name}-{holder}"
        shown = str(people / f"{holder}.pem") if holder else ""
        config = client_config(
            client, mirror.url, authority=str(authority.certificate_file), certificate=shown
        )
        for file in config.files:
            path = home / file.path.removeprefix("~/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text)
        settings = {"HOME": str(home), "PATH": mirror.environment()["PATH"], "LANG": "C.UTF-8"}
        settings |= {**dict(config.environment), "GIT_TERMINAL_PROMPT": "0"}
        words = [f"{key}={value}" for key, value in settings.items()]
        command = ("env", "-i", "-C", str(home), *words, *CLIENTS[client], named(client, name))
        return mirror.run(*command, check=False).returncode

    assert fetch("secret", "analyst") == 0
    assert fetch("secret", "visitor") != 0
    assert fetch("plain", "visitor") == 0
    assert fetch("secret") != 0
    assert fetch("plain", "gone") != 0, "who is shut out reads nothing more"


def test_skopeo_shows_the_certificate_from_the_folder_that_is_named(
    certified: tuple[Server, Path], authority: AuthorityFolder, tmp_path: Path
) -> None:
    mirror, people = certified
    host = mirror.url.removeprefix("https://")
    for holder in ("analyst", "visitor"):
        shown, folder = people / f"{holder}.pem", tmp_path / "certs.d"
        notes = client_config(
            "podman", mirror.url, authority=str(authority.certificate_file), certificate=str(shown)
        ).notes
        for copy in (note.partition(": cp ")[2] for note in notes if ": cp " in note):
            source, target = copy.split(" ")
            place = Path(target.replace("/etc/containers/certs.d", str(folder)))
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(Path(source).read_bytes())
        source = f"docker://{host}/upstream.example/team/secret:1.0"
        copied = ("copy", "--src-cert-dir", str(folder / host), source, f"oci:{tmp_path / holder}:1")
        done = mirror.run("skopeo", "--insecure-policy", *copied, check=False, TMPDIR=str(tmp_path))
        assert (done.returncode == 0) == (holder == "analyst"), done.stderr


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
