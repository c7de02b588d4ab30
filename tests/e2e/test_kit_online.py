"""The offline kit: built twice, verified and installed where there is no network and little else."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EPOCH = "1700000000"
PYTHON = "/usr/bin/python3.11"
OPTIONAL = {"obstore"}  # of the extra `s3`, which the kit leaves out
EVERY_MODULE = """
import importlib, json, pkgutil
import lockgate
found = list(pkgutil.walk_packages(lockgate.__path__, "lockgate."))
absent = set()
for module in found:
    try:
        importlib.import_module(module.name)
    except ModuleNotFoundError as error:
        absent.add(error.name)
print(json.dumps([len(found), sorted(absent), lockgate.__file__]))
"""
pytestmark = pytest.mark.online


@dataclass(frozen=True)
class Kit:
    folder: Path
    archive: Path
    facts: dict[str, str]


def tree(folder: Path) -> Path:
    """Copy the source tree as it is now, without what git ignores."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    ).stdout.decode()
    for name in listed.split("\0"):
        if name.startswith(("src/", "scripts/", "requirements/", "docs/")) or (name and "/" not in name):
            source, target = ROOT / name, folder / name
            if source.is_file():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return folder


def build(
    source: Path, out: Path, key: Path, packages: str, python: str = sys.executable, **environment: str
) -> Kit:
    # pip has to be that of this environment, started from another folder and under another mask.
    command = [python, str(ROOT / "scripts" / "kit" / "make_kit.py"), "--source", str(source)]
    command += ["--out", str(out), "--key", str(key), "--make-key", "--packages", packages]
    mask = int(environment.pop("UMASK", "022"), 8)
    ran = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        umask=mask,
        cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": EPOCH, **environment},
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    facts = json.loads(ran.stdout)
    return Kit(Path(facts["kit"]), Path(facts["archive"]), facts)


def build_twice(base: Path, packages: str) -> tuple[Kit, Kit]:
    """Build from two copies in different folders with different ages, masks, zones and languages.

    The second is built in an environment that lies elsewhere.
    """
    source = tree(base / "one")
    other = base / "another" / "place"
    shutil.copytree(source, other)
    first = build(source, base / "out-1", base / "kit.pem", packages)
    for path in other.rglob("*"):
        os.utime(path, (10**9, 10**9))
    strange = {"UMASK": "077", "TZ": "Asia/Tokyo", "LC_ALL": "C", "HOME": str(base / "home")}
    elsewhere = base / "another" / "env"
    elsewhere.symlink_to(sys.prefix)
    python = str(elsewhere / "bin" / "python")
    second = build(other, base / "another" / "out", base / "kit.pem", packages, python, **strange)
    return first, second


@pytest.fixture(scope="module")
def kits(tmp_path_factory: pytest.TempPathFactory) -> tuple[Kit, Kit]:
    return build_twice(tmp_path_factory.mktemp("kits"), "")


def alone(*command: str | Path, hide: tuple[str, ...] = (), bind: dict[str, Path] | None = None) -> str:
    """Run a command with no interface but loopback, no settings of ours, and parts of the system hidden."""
    options = ["--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--clearenv"]
    options += ["--setenv", "PATH", "/usr/sbin:/usr/bin:/sbin:/bin", "--setenv", "LANG", "C.UTF-8"]
    for place in hide:
        options += ["--tmpfs", place]
    for place, folder in (bind or {}).items():
        options += ["--bind", str(folder), place]
    ran = subprocess.run(
        ["bwrap", *options, *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def same(first: Kit, second: Kit) -> None:
    assert first.folder.parent != second.folder.parent
    names = [sorted(p.relative_to(k.folder) for p in k.folder.rglob("*")) for k in (first, second)]
    assert names[0] == names[1]
    differ = [
        n for n in names[0] if (f := first.folder / n).is_file() and digest(f) != digest(second.folder / n)
    ]
    assert differ == []
    assert digest(first.archive) == digest(second.archive) == first.facts["archive_sha256"]


def test_two_builds_are_the_same_bytes(kits: tuple[Kit, Kit]) -> None:
    same(*kits)


def test_every_wheel_is_one_that_the_requirements_pin(kits: tuple[Kit, Kit]) -> None:
    pinned = (ROOT / "requirements" / "runtime.txt").read_text()
    pinned += (ROOT / "scripts" / "kit" / "pip.txt").read_text()
    wheels = sorted((kits[0].folder / "wheels").iterdir())
    assert [w.name for w in wheels if f"sha256:{digest(w)}" not in pinned] == [
        f"lockgate-{json.loads((kits[0].folder / 'kit.json').read_text())['version']}-py3-none-any.whl"
    ]
    listed = (kits[0].folder / "requirements.txt").read_text()
    assert all(f"sha256:{digest(w)}" in listed for w in wheels)


def test_it_installs_without_a_network_and_without_ensurepip(kits: tuple[Kit, Kit], tmp_path: Path) -> None:
    """Debian's Python has no ensurepip until python3-venv is installed; the kit brings its own pip."""
    kit = kits[0]
    subprocess.run(["tar", "-xf", kit.archive, "-C", tmp_path], check=True)
    folder = tmp_path / kit.folder.name
    prefix = tmp_path / "opt" / "lockgate"
    key = ["--key", kit.facts["key"]]
    hide = (
        tempfile.gettempdir(),
        "/usr/lib/python3.11/ensurepip",
        "/usr/share/python-wheels",
        "/usr/local/lib",
    )
    place = {str(tmp_path): tmp_path}
    told = alone("sh", folder / "install.sh", *key, "--prefix", prefix, hide=hide, bind=place)
    assert f"SHA-256 of SHA256SUMS: {kit.facts['sums_sha256']}" in told
    assert "No broken requirements found." in told
    assert f"Installed in {prefix}." in told
    count, absent, where = json.loads(alone(prefix / "bin" / "python", "-I", "-c", EVERY_MODULE))
    assert count > 100
    assert set(absent) <= OPTIONAL
    assert Path(where).is_relative_to(prefix)
    lane = tmp_path / "lane"
    alone(prefix / "bin" / "lockgate", "lane", "init", lane, "--name", "plant", bind=place)
    high = alone(prefix / "bin" / "lockgate", "doctor", "--json", "--home", lane / "high", bind=place)
    assert {p["state"] for p in json.loads(high) if "root" in p["name"]} == {"ok"}


def install(kit: Path, key: str, prefix: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = ["sh", kit / "install.sh", "--key", key, "--prefix", prefix, *options]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_another_python_and_a_folder_in_use_are_left_alone(kits: tuple[Kit, Kit], tmp_path: Path) -> None:
    kit, key = kits[0].folder, kits[0].facts["key"]
    mine = tmp_path / "in-use"
    mine.mkdir()
    (mine / "file").write_text("mine")
    ran = install(kit, key, mine, "--python", PYTHON)
    assert ran.returncode == 1
    assert "is not empty" in ran.stderr
    assert [p.name for p in mine.iterdir()] == ["file"]
    pretender = tmp_path / "python"
    pretender.write_text("#!/bin/sh\nexit 1\n")
    pretender.chmod(0o755)
    ran = install(kit, key, tmp_path / "new", "--python", str(pretender))
    assert ran.returncode == 1
    assert "not what the kit was made for" in ran.stderr
    assert not (tmp_path / "new").exists()


def test_a_wheel_changed_after_verification_is_refused_by_pip(kits: tuple[Kit, Kit], tmp_path: Path) -> None:
    """The second check: `requirements.txt` names each hash, so pip refuses what verify.sh did not see."""
    folder = shutil.copytree(kits[0].folder, tmp_path / "kit")
    (wheel,) = (folder / "wheels").glob("typer-*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    (folder / "verify.sh").write_text("exit 0\n")
    ran = install(folder, kits[0].facts["key"], tmp_path / "new", "--python", PYTHON)
    assert ran.returncode == 1
    assert "DO NOT MATCH THE HASHES" in ran.stderr
    assert (tmp_path / "new" / ".installing").exists()
    ran = install(kits[0].folder, kits[0].facts["key"], tmp_path / "new", "--python", PYTHON)
    assert "was cut off; it begins again" in ran.stdout
    assert ran.returncode in {0, 3}, ran.stderr


@pytest.mark.slow
def test_debian_package_and_rpm_are_reproducible_and_run(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    first, second = build_twice(tmp_path_factory.mktemp("packaged"), "deb,rpm")
    same(first, second)
    (deb,) = (first.folder / "packages").glob("*.deb")
    (rpm,) = (first.folder / "packages").glob("*.rpm")
    assert (
        "Depends: libc6 (>= 2.28), libgcc-s1, libstdc++6, python3.11, bubblewrap"
        in subprocess.run(["dpkg-deb", "--info", deb], capture_output=True, text=True, check=True).stdout
    )
    subprocess.run(["dpkg-deb", "--extract", deb, tmp_path / "deb"], check=True)
    (tmp_path / "rpm").mkdir()
    payload = subprocess.run(["rpm2cpio", rpm], capture_output=True, check=True).stdout
    subprocess.run(["cpio", "-idm", "--quiet"], input=payload, check=True, cwd=tmp_path / "rpm")
    assert not subprocess.run(
        ["diff", "-r", "--no-dereference", "deb", "rpm"], cwd=tmp_path, check=False
    ).returncode
    opt = {"/opt": tmp_path / "deb" / "opt"}
    assert alone("/opt/lockgate/bin/lockgate", "--version", bind=opt).startswith("lockgate ")
    count, absent, where = json.loads(alone("/opt/lockgate/bin/python3", "-I", "-c", EVERY_MODULE, bind=opt))
    assert count > 100
    assert set(absent) <= OPTIONAL
    assert where.startswith("/opt/lockgate/lib/")
