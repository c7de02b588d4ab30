"""The gate signs package repositories when a channel moves; a mirror believes nothing else."""

import subprocess
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.debs import DebFile, suite
from corpora.gates import Scripted
from corpora.homes import HighSide
from corpora.mirrorsite import MirrorSite, ask
from lockgate.admit.snapshots import SnapshotMaker
from lockgate.app.gate.gate import MirrorPages, execute, open_gate, write_channel, write_request
from lockgate.app.gate.repository import NoRepositoryKeyError, signed_repositories
from lockgate.app.high.channel import channel_reader, derived_pages
from lockgate.app.high.mirrors import mirror_app
from lockgate.app.high.repositories import served_to_apt
from lockgate.approve import read_statement
from lockgate.core.parts import part_digests
from lockgate.core.repository import RepositorySignatures
from lockgate.core.statement import Operation
from lockgate.core.wire import decode, encode
from lockgate.store import FileBlobs

LEAF = DebFile("leaf", "1.0")


@pytest.fixture
def high(tmp_path):
    return HighSide.new(tmp_path)


def arrive(high, sequence, *debs):
    """Let packages and their suite arrive; return the gate."""
    site = MirrorSite(high.folder / f"site-{sequence}")
    site.blobs = FileBlobs(high.side.home.quarantine)
    site.add_suite(suite())
    for deb in debs:
        site.add_deb(deb, "bookworm")
    high.arrive_with(sequence, *(entry.artifact for entry in site.entries))
    gate = open_gate(high.side)
    gate.inspect(sequence, Scripted())
    return gate


def publish(high, sequence, *debs):
    gate = arrive(high, sequence, *debs)
    request = gate.request(sequence, "stable", high.operator)
    return execute(high.side, high.signed(request, f"publish-{sequence}"))


def signed(high):
    verified = channel_reader(high.side, "test", pages=derived_pages).current()
    return signed_repositories(high.side, verified.statement, verified.snapshot)


def signed_in_parts(high):
    """Return what is served of the same artifacts in parts."""
    verified = channel_reader(high.side, "test", pages=derived_pages).current()
    blobs = FileBlobs(high.side.home.blobs)
    making = SnapshotMaker(FileBlobs(high.side.home.quarantine), blobs, MirrorPages(), parted_from=0)
    snapshot = making.make("test", (), verified.snapshot.admitted, verified.snapshot.created)
    blobs.copy_all(FileBlobs(high.side.home.quarantine), sorted(part_digests(snapshot)))
    return signed_repositories(high.side, verified.statement, snapshot)


def test_what_was_approved_is_signed_with_the_key_of_the_site_root(high, tmp_path):
    publish(high, 1, LEAF)
    found = signed(high)
    release = found.releases["apt/debian/dists/bookworm/Release"]
    ring, file = tmp_path / "ring.asc", tmp_path / "InRelease"
    ring.write_text(found.certificate)
    file.write_bytes(release.in_release)
    subprocess.run(["gpg", "--dearmor", "-o", tmp_path / "ring.gpg", ring], check=True, capture_output=True)
    done = subprocess.run(
        ["gpgv", "--homedir", tmp_path, "--keyring", tmp_path / "ring.gpg", file],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert 'Good signature from "Lockgate lane harbour"' in done.stderr


def test_a_rollback_is_signed_anew_and_newer(high):
    first = publish(high, 1, LEAF)
    publish(high, 2, DebFile("late", "1"))
    before = signed(high)
    request = open_gate(high.side).request_rollback("stable", high.operator)
    done = execute(high.side, high.signed(request, "rollback"))
    after = signed(high)
    assert done.operation is Operation.ROLLBACK
    assert done.snapshot_sha256 == first.snapshot_sha256
    assert after.created >= before.created
    assert after.releases != before.releases


def test_an_emergency_is_signed_too_and_no_package_of_it_is_listed(high):
    publish(high, 1, LEAF, DebFile("bad", "1"))
    gate = open_gate(high.side)
    purl = "pkg:deb/debian/bad@1?arch=amd64"
    gate.emergencies.act(Operation.WITHDRAW, "stable", [purl], "it bites", high.operator)
    verified = channel_reader(high.side, "test", pages=derived_pages).current()
    assert verified.statement.operation is Operation.WITHDRAW
    found = signed_repositories(high.side, verified.statement, verified.snapshot)
    assert found is not None
    admitted = {a.artifact.name for a in verified.snapshot.admitted}
    assert "debian/bad" not in admitted


def test_without_a_key_nothing_is_asked_for_and_what_is_served_is_not_vouched_for(high):
    gate = arrive(high, 1, LEAF)
    request = gate.request(1, "stable", high.operator)
    for file in high.side.home.keys.glob("repository.*"):
        file.unlink()
    with pytest.raises(NoRepositoryKeyError):
        write_request(high.side, "publish-1", request, None)
    execute(high.side, high.signed(request, "publish-1"))
    assert signed(high) is None
    assert served_to_apt(high.side) is None


def test_a_signature_that_was_put_there_by_somebody_else_is_not_believed(high):
    publish(high, 1, LEAF)
    (file,) = (high.side.home.channels / "repository").glob("*.json")
    good = file.read_bytes()
    known = decode(RepositorySignatures, good)
    ((path, pair),) = known.releases.items()
    pairs = [
        type(pair)(text=pair.text, detached=pair.text),
        type(pair)(text=pair.detached, detached=pair.detached),
    ]
    changes = [{"releases": {path: each}} for each in pairs]
    assert signed_in_parts(high) == signed(high)
    elsewhere = {"releases": {"apt/other/dists/no/Release": pair}}
    for parts in (*changes, {"releases": {}}, elsewhere, {"statement_sha256": "0" * 64}):
        given = {name: getattr(known, name) for name in known.__struct_fields__}
        file.write_bytes(encode(RepositorySignatures(**{**given, **parts})))
        assert signed(high) is None
        assert signed_in_parts(high) is None
    file.write_bytes(good.replace(known.keyid.encode(), high.operator.keyid.encode()))
    assert signed(high) is None
    assert signed_in_parts(high) is None
    file.write_bytes(b" " + good)
    assert signed(high) is None
    file.write_bytes(good)
    assert signed(high) is not None
    file.unlink()
    assert signed(high) is None
    assert signed_in_parts(high) is None


def test_a_row_that_somebody_wrote_has_the_key_sign_nothing(high):
    """Whoever writes rows and blobs could otherwise have the lane's key sign what nobody approved."""
    publish(high, 1, LEAF)
    folder = high.side.home.channels / "repository"
    before = sorted(folder.iterdir())
    request = arrive(high, 2, DebFile("evil", "1.0")).request(2, "stable", high.operator)
    wanted = read_statement(request).snapshot_sha256
    quarantine, blobs = FileBlobs(high.side.home.quarantine), FileBlobs(high.side.home.blobs)
    for digest, _ in quarantine.digests():
        blobs.put_bytes(quarantine.read(digest))
    assert blobs.has(wanted)
    write_channel(high.side, "stable", request)  # asked for by one operator, approved by nobody
    assert sorted(folder.iterdir()) == before


def test_the_mirror_serves_it_and_the_command_tells_apt(high, monkeypatch):
    publish(high, 1, LEAF)
    monkeypatch.setenv("LOCKGATE_HOME", str(high.side.home.root))
    app = mirror_app()
    release = ask(app, "/apt/debian/dists/bookworm/InRelease")
    assert release.status == 200
    assert release.body.startswith(b"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nDate: ")
    said = Commands().json("client-config", "apt", "--home", high.side.home.root, "--url", "http://here:1")
    text = said["files"][0]["text"]
    assert "URIs: http://here:1/apt/debian\nSuites: bookworm\nComponents: main\n" in text
    certificate = ask(app, "/apt/lockgate.asc").body.decode()
    assert "".join(f" {line or '.'}\n" for line in certificate.splitlines()) in text


def test_a_home_that_serves_nothing_to_apt_says_so(high):
    high.publish(1, "a.txt")
    home = ("--home", high.side.home.root)
    assert Commands().refused("client-config", "apt", *home)[1]["code"] == "LG-1924"
    assert not (Path(high.side.home.channels) / "repository").exists()
