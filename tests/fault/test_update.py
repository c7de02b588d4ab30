"""The update of Lockgate itself: wheels that are really built, verified, tried, activated, reverted."""

import base64
import os
import shutil
import subprocess
from pathlib import Path

import msgspec
import pytest

from corpora.fatal import killed
from corpora.releases import ReleaseLane, build_wheel
from lockgate.app.release import activation, apart, slots, update
from lockgate.app.release.release import read_bundle, read_release
from lockgate.app.settings import load_settings
from lockgate.core.digests import sha256
from lockgate.core.release import RELEASE_TYPE
from lockgate.core.roots import Purpose
from lockgate.core.wire import encode
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.helped import Helper
from lockgate.inspect.launch import Launcher
from lockgate.trust.dsse import open_envelope, sign
from lockgate.trust.keys import load_signer

pytestmark = pytest.mark.slow


def program(lane: ReleaseLane, *words: object) -> subprocess.CompletedProcess[str]:
    """Run the active version as a service unit would: through the link."""
    command = [str(lane.releases / "current/bin/lockgate"), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("wheels")
    return {version: build_wheel(folder, version) for version in ("0.0.9", "0.2.0", "0.3.0")}


@pytest.fixture(scope="module")
def made(built: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> ReleaseLane:
    """A lane on which releases 0.2.0 and 0.3.0 were admitted."""
    lane = ReleaseLane(tmp_path_factory.mktemp("update")).make()
    lane.bring(lane.release(built["0.2.0"], "release-2"))
    lane.bring(lane.release(built["0.3.0"], "release-3", (3, 1)))
    return lane


@pytest.fixture
def lane(made: ReleaseLane, tmp_path: Path) -> ReleaseLane:
    return ReleaseLane(Path(shutil.copytree(made.folder, tmp_path / "lane")))


def test_a_release_is_tried_activated_followed_and_reverted(lane: ReleaseLane) -> None:
    said = lane.update("list")
    assert said["active"]["version"] == "0.1.0"
    assert [(r["version"], r["standing"], r["signed"]) for r in said["releases"]] == [
        ("0.2.0", "newer", ["releaser-1", "releaser-2"]),
        ("0.3.0", "newer", ["releaser-1", "releaser-3"]),
    ]
    assert lane.refused("request", "0.2.0", *lane.operator[:2])["code"] == "LG-3010", "not tried yet"
    tried = lane.update("try", "0.2.0")
    assert tried["trial"]["crates"] == {"0.1.0": 3}
    assert not (lane.releases / "current").exists(), "trying changes nothing that is active"
    request = lane.request("0.2.0")
    signed = lane.approve(request)
    assert lane.refused("activate", signed[0])["code"] == "LG-3002"
    assert lane.update("activate", *signed)["version"] == "0.2.0"
    assert program(lane, "--version").stdout == "lockgate 0.2.0\n"
    assert lane.update("activate", *signed)["version"] == "0.2.0", "again completes it and changes nothing"
    # From here on the version in the slot is the running one: it verifies and tries what follows it.
    ran = program(lane, "update", "try", "0.3.0", "--home", lane.high, "--json")
    assert ran.returncode == 0, ran.stderr
    again = lane.approve(lane.request("0.3.0"))
    ran = program(lane, "update", "activate", *again, "--home", lane.high, "--json")
    assert ran.returncode == 0, ran.stderr
    assert program(lane, "--version").stdout == "lockgate 0.3.0\n"
    assert lane.refused("activate", *signed)["code"] == "LG-3402", "an approval works once"
    # Going back is a statement of its own, and leads only to the release before.
    asked = Path(lane.commands.json("update", "rollback", *lane.operator)["request"])
    back = lane.approve(asked, (2, 3))
    assert lane.update("activate", *back)["version"] == "0.2.0"
    assert program(lane, "--version").stdout == "lockgate 0.2.0\n"
    assert lane.refused("rollback", *lane.operator[:2])["code"] == "LG-2014", "nothing is before it"
    assert lane.update("list")["active"]["highest"] == "0.3.0"
    # What was reverted may come back, with new approvals.
    assert lane.refused("activate", *again)["code"] == "LG-3402"
    lane.update("try", "0.3.0")
    assert lane.activate("0.3.0")["version"] == "0.3.0"
    log = lane.commands.json("audit", "verify", "--home", lane.high)
    assert log["size"] > 20


def sign_with(lane: ReleaseLane, payload: bytes, *keys: tuple[Path, Purpose]) -> bytes:
    signers = []
    for folder, purpose in keys:
        passphrase = (folder / f"{purpose}.pass").read_bytes().strip()
        signers.append(load_signer(folder / f"{purpose}.pem", passphrase, purpose, "x"))
    return sign(RELEASE_TYPE, payload, signers)


def test_what_is_no_release_that_may_follow_is_refused(
    built: dict[str, Path], tmp_path: Path, lane: ReleaseLane
) -> None:
    """Everything here was admitted by two approvers, as a low side that is not ours could bring it."""
    older = lane.release(built["0.0.9"], "older")
    one = lane.release(build_wheel(tmp_path, "0.4.1"), "one", (1,))
    twice = lane.release(build_wheel(tmp_path, "0.4.2"), "twice", (1, 1))
    low = lane.release(build_wheel(tmp_path, "0.4.3"), "low", ())
    site = lane.release(build_wheel(tmp_path, "0.4.4"), "site", ())
    changed = lane.release(build_wheel(tmp_path, "0.4.5"), "changed")
    other = lane.release(build_wheel(tmp_path, "0.4.6"), "other")
    wheels = [w for b in (older, one, twice, low, site, changed) for w in b.glob("*.whl")]
    documents = {}
    for bundle in (older, one, twice, other):
        file, envelope = read_bundle(bundle)
        documents[file.name] = envelope
    file, envelope = read_bundle(low)
    keys = [(lane.low / "keys", p) for p in (Purpose.SEALER, Purpose.COLLECTOR, Purpose.TARGETS)]
    keys += [(lane.person(f"supply-holder-{n}"), Purpose.SUPPLY_ROOT) for n in (1, 2, 3)]
    documents[file.name] = sign_with(lane, open_envelope(envelope).payload, *keys)
    file, envelope = read_bundle(site)
    keys = [(lane.person(f"approver-{n}"), Purpose.APPROVER) for n in (1, 2)]
    documents[file.name] = sign_with(lane, open_envelope(envelope).payload, *keys)
    file, envelope = read_bundle(changed)
    payload = encode(read_release(envelope)).replace(b'"size":', b'"size":1')
    old = base64.standard_b64encode(open_envelope(envelope).payload)
    documents[file.name] = envelope.replace(old, base64.standard_b64encode(payload))
    # A decoy under the version of an honest release: it cannot stand in its way.
    honest = read_release(read_bundle(lane.folder / "release-3")[1])
    decoy = encode(msgspec.structs.replace(honest, created=honest.created.replace(year=2001)))
    releaser = (lane.person("releaser-1"), Purpose.RELEASE)
    documents["decoy-0.3.0.release.json"] = sign_with(lane, decoy, releaser)
    bundle = lane.folder / "bad"
    bundle.mkdir()
    rows = []
    for name, data in {w.name: w.read_bytes() for w in wheels}.items() | documents.items():
        (bundle / name).write_bytes(data)
        rows.append(f'[[file]]\nname = "{name}"\nurl = "{name}"\nsha256 = "{sha256(data)}"\nversion = "1"\n')
    (bundle / "release.toml").write_text("\n".join(rows))
    lane.bring(bundle)
    found = {Path(r["file"]).name: r for r in lane.update("list")["releases"]}
    codes = {name: r["refused"][:7] or r["standing"] for name, r in found.items()}
    assert codes == {
        "decoy-0.3.0.release.json": "LG-2005",
        "lockgate-0.0.9.release.json": "older",
        "lockgate-0.2.0.release.json": "newer",
        "lockgate-0.3.0.release.json": "newer",
        "lockgate-0.4.1.release.json": "LG-2005",  # too few
        "lockgate-0.4.2.release.json": "LG-2005",  # one person twice
        "lockgate-0.4.3.release.json": "LG-2002",  # every key of the low side
        "lockgate-0.4.4.release.json": "LG-2003",  # the site's own approvers
        "lockgate-0.4.5.release.json": "LG-2102",  # altered after it was signed
        "lockgate-0.4.6.release.json": "LG-2014",  # its wheel did not come
    }
    wanted = {"0.0.9": "LG-2014", "9.9.9": "LG-2014"}
    odd = {name[9:14]: code for name, code in codes.items() if name.startswith("lockgate-0.4.")}
    wanted |= odd
    assert {v: lane.refused("try", v)["code"] for v in wanted} == wanted
    assert not list((lane.releases / "slots").glob("*"))
    assert update.find(load_settings(lane.high), "0.3.0")[2] == honest


LEAKY = """import os as _os, socket as _socket
def _looks():
    for secret in {secrets!r}:
        if _os.path.exists(secret):
            raise SystemExit("sees " + secret)
    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM)
    try:
        probe.connect(("192.0.2.1", 9))
    except OSError:
        return
    raise SystemExit("has a network")
_looks()
"""


def test_a_new_version_is_tried_without_keys_and_network(tmp_path: Path, lane: ReleaseLane) -> None:
    secrets = [str(p) for p in (lane.high / "keys", lane.high / "records.sqlite", lane.person("operator"))]
    edit = (r'\A"""', LEAKY.format(secrets=secrets) + '"""')
    lane.bring(lane.release(build_wheel(tmp_path, "0.5.0", cli__main=edit), "curious"))
    tried = lane.update("try", "0.5.0")
    outside = subprocess.run(
        [Path(tried["slot"]) / "bin/lockgate", "--version"], capture_output=True, text=True, check=False
    )
    assert outside.returncode == 1, "outside the sandbox it sees what it should not"
    assert outside.stderr.startswith("sees ")


BROKEN = {
    "opens no crate": (
        {
            "app__crossing__receive": (
                "    staging.mkdir\\(",
                "    raise RuntimeError('broken')\n    staging.mkdir(",
            )
        },
        "refuses to receive",
    ),
    "finds another log": (
        {"cli__audit": ('"size": found.checkpoint.size,', '"size": found.checkpoint.size + 1,')},
        "finds another log",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_version_that_does_something_else_is_not_activated(
    case: str, tmp_path: Path, lane: ReleaseLane
) -> None:
    edits, why = BROKEN[case]
    lane.bring(lane.release(build_wheel(tmp_path, "0.6.0", **edits), "broken"))
    error = lane.refused("try", "0.6.0")
    assert (error["code"], why in error["error"]) == ("LG-2f15", True), error
    assert lane.refused("request", "0.6.0", *lane.operator[:2])["code"] == "LG-3010"
    assert lane.update("list")["active"]["version"] == "0.1.0"
    assert not list(lane.releases.glob("trial-*"))


def test_what_changed_after_the_trial_voids_the_approvals(lane: ReleaseLane) -> None:
    slot = Path(lane.update("try", "0.2.0")["slot"])
    signed = lane.approve(lane.request("0.2.0"))
    published = lane.commands.refused("gate", "publish", *signed, "--home", lane.high)
    assert published[1]["code"] == "LG-3401", "the gate does not carry it out"
    (module,) = slot.glob("lib/*/site-packages/lockgate/__init__.py")
    kept = module.read_bytes()
    module.write_bytes(kept + b"# altered\n")
    assert lane.refused("activate", *signed)["code"] == "LG-2f14"
    module.write_bytes(kept)
    extra = module.with_name("extra.py")
    extra.write_text("")
    assert lane.refused("activate", *signed)["code"] == "LG-2f14"
    extra.unlink()
    lane.update("try", "0.2.0")
    assert lane.refused("activate", *signed)["code"] == "LG-3401", "tried again: another trial"
    assert not (lane.releases / "current").exists()
    assert lane.activate("0.2.0")["version"] == "0.2.0"
    # A slot that was altered is not gone back to either.
    lane.update("try", "0.3.0")
    assert lane.activate("0.3.0")["version"] == "0.3.0"
    asked = Path(lane.commands.json("update", "rollback", *lane.operator)["request"])
    module.write_bytes(kept + b"# altered\n")
    assert lane.refused("activate", *lane.approve(asked))["code"] == "LG-2f14"
    assert program(lane, "--version").stdout == "lockgate 0.3.0\n"


INSTALLING = [
    (slots, "_take_over", True),
    (slots, "_install_wheels", False),
    (slots, "_write_last", True),
    (slots, "_write_last", False),
    (update, "open_crates", False),
]


def test_a_kill_while_a_slot_is_made_leaves_nothing_that_counts(lane: ReleaseLane) -> None:
    side = load_settings(lane.high)
    folder = None
    for owner, name, before in INSTALLING:
        killed(lambda: update.try_release(side, "0.2.0"), (owner, name), before=before)
        whole = name == "open_crates" or (name == "_write_last" and not before)
        (folder,) = (lane.releases / "slots").iterdir()
        assert (slots.read_slot(folder) is not None) is whole, name
        assert lane.refused("request", "0.2.0", *lane.operator[:2])["code"] == "LG-3010"
        assert lane.update("list")["active"]["version"] == "0.1.0"
    assert lane.update("try", "0.2.0")["slot"] == str(folder)
    assert lane.activate("0.2.0")["version"] == "0.2.0"


ACTIVATING = [
    (activation, "activated", False, "0.1.0"),
    (activation, "settle", True, "0.2.0"),
    (Path, "symlink_to", False, "0.2.0"),
    (Path, "replace", False, "0.2.0"),
]


@pytest.mark.parametrize("step", range(len(ACTIVATING)))
def test_a_kill_while_a_release_is_activated_is_completed(
    step: int, tried: tuple[ReleaseLane, list[Path]], tmp_path: Path
) -> None:
    made, signed = tried
    keep = tmp_path / "kept"
    shutil.copytree(made.high, keep, symlinks=True, ignore=shutil.ignore_patterns("slots"))
    owner, name, before, version = ACTIVATING[step]
    side = load_settings(made.high)
    try:
        killed(lambda: activation.activate(side, signed), (owner, name), before=before)
        assert update.active_release(side).version == version
        assert made.update("list")["active"]["version"] == version  # completes what the kill left
        link = made.releases / "current"
        assert link.is_symlink() is (version == "0.2.0")
        assert made.update("activate", *signed)["version"] == "0.2.0"
        assert program(made, "--version").stdout == "lockgate 0.2.0\n"
        assert not list(made.releases.glob(".current"))
    finally:
        for file in ("records.sqlite", "audit.sqlite"):
            for old in made.high.glob(f"{file}*"):
                old.unlink()
        (made.releases / "current").unlink(missing_ok=True)
        for old in keep.glob("*.sqlite*"):
            shutil.copy(old, made.high / old.name)


@pytest.fixture(scope="module")
def tried(made: ReleaseLane, tmp_path_factory: pytest.TempPathFactory) -> tuple[ReleaseLane, list[Path]]:
    """A lane on which 0.2.0 was tried and approved."""
    folder = tmp_path_factory.mktemp("tried") / "lane"
    lane = ReleaseLane(Path(shutil.copytree(made.folder, folder)))
    lane.update("try", "0.2.0")
    return lane, lane.approve(lane.request("0.2.0"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the helper")
def test_a_new_version_is_tried_where_user_namespaces_are_forbidden(
    tmp_path: Path, lane: ReleaseLane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apart, "launcher", Helper)
    tried = lane.update("try", "0.2.0")
    assert tried["trial"]["crates"] == {"0.1.0": 3}
    edits, why = BROKEN["finds another log"]
    lane.bring(lane.release(build_wheel(tmp_path, "0.6.0", **edits), "broken"))
    error = lane.refused("try", "0.6.0")
    assert (error["code"], why in error["error"]) == ("LG-2f15", True), error
    slot = Path(tried["slot"])
    slot.chmod(0o700)
    assert lane.refused("try", "0.2.0")["code"] == "LG-5f14"

    def none() -> Launcher:
        raise SandboxUnavailableError("Nothing makes namespaces here.")

    monkeypatch.setattr(apart, "launcher", none)
    error = lane.refused("try", "0.2.0")
    assert (error["code"], "Nothing makes namespaces here" in error["error"]) == ("LG-5f14", True)
    assert not list(lane.releases.glob("trial-*"))
