"""A lock tried by the real clients on a throw-away high side: what it lacks is named, what it has passes."""

import platform
import sys
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.debs import DebFile, suite
from corpora.npmpackages import NpmPackage
from corpora.rehearsals import Rehearsing
from lockgate.app.rehearsal.box import Box
from lockgate.app.trust import utc_now
from lockgate.collect import parse_manifest
from lockgate.core.host import Graphics, HostEngine, Interpreter
from lockgate.isolate import IsolatedNetwork

NPM_AND_APT = """
[[npm]]
packages = ["trunk"]

[[apt]]
name = "debian"
suites = ["bookworm"]
architectures = ["amd64", "arm64"]
packages = ["leaf"]
"""


@pytest.fixture
def rehearsing(tmp_path):
    made = Rehearsing.make(tmp_path / "made")
    yield made
    assert made.left() == [], "a throw-away side stayed"


def marks(value, part):
    """Return the results of the steps whose name has a part."""
    return {step["mark"] for step in value["steps"] if part in step["what"]}


def blobs(made):
    """Return every blob of the low side with the number of its names."""
    folder = made.lane.low / "blobs"
    return {p.relative_to(folder): p.stat().st_nlink for p in folder.rglob("*") if p.is_file()}


def test_a_whole_lock_passes_and_leaves_nothing_but_its_signed_result(rehearsing):
    rehearsing.collect()
    before = blobs(rehearsing)
    assert set(before.values()) == {1}
    plan = Commands().json("seal", "--plan", "--home", rehearsing.lane.low)
    assert plan["rehearsal"]["standing"] == "none"
    ran = rehearsing.rehearse("--host", rehearsing.host())
    assert ran.status == 0, ran.out + ran.err
    value = ran.value
    assert value["passed"]
    assert value["missing"] == []
    assert value["left_packets"] == 0
    for part in ("pip", "uv", "snapshot_download", "tokenizer", "engine", "documents: download"):
        assert marks(value, part) == {"passed"}, part
    assert marks(value, "kernel") == {"unproven"}
    assert blobs(rehearsing) == before
    plan = Commands().json("seal", "--plan", "--home", rehearsing.lane.low)
    assert plan["rehearsal"]["standing"] == "passed"
    assert "not rehearsed" not in Commands().run("seal", "--home", rehearsing.lane.low).err
    (rehearsing.folder / "documents" / "02 valve.md").write_text("# Valve\n")
    told = Commands().json("collect", rehearsing.manifest, "--offline", "--home", rehearsing.lane.low)
    assert told["rehearsal"]["standing"] == "stale"
    assert "not rehearsed" in Commands().run("seal", "--home", rehearsing.lane.low).err


def test_a_missing_dependency_and_a_missing_tokenizer_are_named_with_the_lines_that_bring_them(rehearsing):
    rehearsing.collect()
    rehearsing.lose(names=("till",), paths=("tokenizer.json",))
    ran = rehearsing.rehearse("--host", rehearsing.host())
    assert ran.status == 1
    value = ran.value
    assert not value["passed"]
    found = {each["name"]: each for each in value["missing"]}
    assert set(found) == {"till", "org/tiny/tokenizer.json"}
    (table,) = parse_manifest(found["till"]["proposal"].encode()).python
    assert table.requirements == ("till>=1",)
    lines = found["org/tiny/tokenizer.json"]["proposal"]
    assert 'path = "tokenizer.json"' in lines
    assert "[[model.files]]  # of org/tiny" in lines
    assert marks(value, "pip") == marks(value, "uv") == {"failed"}
    assert marks(value, "snapshot_download") == {"failed"}
    assert marks(value, "documents: download") == {"passed"}
    plan = Commands().json("seal", "--plan", "--home", rehearsing.lane.low)
    assert plan["rehearsal"]["standing"] == "failed"


@pytest.mark.slow
def test_a_host_of_another_architecture_is_not_proven(rehearsing):
    rehearsing.collect()
    other = "aarch64" if platform.machine() == "x86_64" else "x86_64"
    engine = HostEngine(kind="vllm", executable="vllm", version="0.9.0")
    graphics = Graphics(name="NVIDIA H100", driver="550.54.15")
    host = rehearsing.host(
        architecture=other, libc="glibc", libc_version="2.36", engines=(engine,), graphics=(graphics,)
    )
    ran = rehearsing.rehearse("--host", host)
    assert ran.status == 8
    value = ran.value
    assert value["result"] == "unproven"
    assert not value["passed"]
    assert marks(value, "Python set") == {"unproven"}
    for part in (f"processor {other}", "driver 550.54.15", "engine vllm", "model org/tiny: engine"):
        assert marks(value, part) == {"unproven"}, part
    plan = Commands().json("seal", "--plan", "--home", rehearsing.lane.low)
    assert plan["rehearsal"]["standing"] == "unproven"


@pytest.mark.slow
def test_wheels_for_a_newer_system_than_the_hosts_and_pythons_that_it_lacks_are_found(rehearsing):
    libc, version = platform.libc_ver()
    assert libc == "glibc"
    minor = int(version.split(".")[1])
    wheels = rehearsing.folder / "wheels"
    (till,) = wheels.glob("till-*")
    tag = f"manylinux_2_{minor}_{platform.machine()}"
    till.rename(till.with_name(f"till-1.4-py3-none-{tag}.whl"))
    rehearsing.collect()
    pythons = (
        Interpreter(implementation="cpython", version=platform.python_version()),
        Interpreter(implementation="cpython", version="3.77.1"),
    )
    host = rehearsing.host(libc_version=f"2.{minor - 1}", pythons=pythons)
    ran = rehearsing.rehearse("--host", host)
    assert ran.status == 1
    (lost,) = ran.value["missing"]
    assert lost["name"] == "till"
    (table,) = parse_manifest(lost["proposal"].encode()).python
    assert table.platforms == (f"manylinux_2_{minor - 1}_{platform.machine()}",)
    assert marks(ran.value, "Python 3.77") == {"unproven"}


@pytest.mark.slow
def test_npm_and_apt_install_what_is_whole_and_name_what_is_not(rehearsing):
    site = rehearsing.fill(NPM_AND_APT)
    site.add_npm(NpmPackage("trunk", "1.0.0", {"dependencies": {"leaf": "^2"}}))
    leaf = site.add_npm(NpmPackage("leaf", "2.1.0", facts={"tags": ("latest",)}))
    site.add_suite(suite(architectures=("amd64", "arm64")))
    for architecture in ("amd64", "arm64"):
        site.add_deb(DebFile("leaf", "1.0", architecture, fields={"Depends": "words"}), "bookworm")
    words = site.add_deb(DebFile("words", "7", "all"), "bookworm")
    whole = tuple(entry.artifact for entry in site.entries)
    rehearsing.sign(whole)
    ran = rehearsing.rehearse("--host", rehearsing.host())
    assert ran.status == 0, ran.out + ran.err
    assert marks(ran.value, "npm set 1") == marks(ran.value, "apt set 1") == {"passed"}
    rehearsing.sign(tuple(each for each in whole if each not in (leaf, words)))
    ran = rehearsing.rehearse()
    assert ran.status == 1
    found = {(each["protocol"], each["name"]): each["proposal"] for each in ran.value["missing"]}
    assert set(found) == {("npm", "leaf"), ("apt", "words")}
    (table,) = parse_manifest(found["npm", "leaf"].encode()).npm
    assert table.packages[0].startswith("leaf")
    (table,) = parse_manifest(found["apt", "words"].encode()).apt
    assert (table.name, table.suites, table.packages) == ("debian", ("bookworm",), ("words",))


def test_what_a_rehearsal_runs_sees_no_key_no_home_no_process_and_no_way_out(tmp_path):
    secret = tmp_path / "keys" / "collector.pem"
    secret.parent.mkdir()
    secret.write_text("key")
    folder = tmp_path / "clients"
    folder.mkdir()
    looks = (
        "import os, socket, sys\n"
        f"print(os.path.exists({str(secret)!r}), os.path.exists({str(Path.home() / '.ssh')!r}))\n"
        "print(max(int(n) for n in os.listdir('/proc') if n.isdigit()) < 50)\n"
        "print('SECRET' in os.environ)\n"
        "for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):\n"
        "    try: socket.socket(socket.AF_INET, kind).connect(('198.51.100.1', 80)); print('out')\n"
        "    except OSError as error: print(type(error).__name__)\n"
        "try: open('/usr/written', 'w'); print('written')\n"
        "except OSError: print('read-only')\n"
        "open('mine', 'w').write('x'); print(sys.version_info[0])\n"
    )
    with IsolatedNetwork.create("box", tmp_path / "network.json", clock=utc_now) as network:
        ran = Box(network).run(folder, [sys.executable, "-I", "-c", looks])
        assert network.left().packets == 0
    assert ran.well, ran.said
    assert ran.out.split() == [
        *("False", "False", "True", "False"),
        *("OSError", "OSError", "read-only", "3"),
    ]
    assert (folder / "mine").read_text() == "x"
