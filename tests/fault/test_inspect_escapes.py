"""The sandbox's self-test holds as root and as nobody, and sees each hole that is cut into the sandbox."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import lockgate
from corpora import inspection_content as make
from lockgate.core.errors import HostError
from lockgate.inspect import Job, Sandbox, escapes
from lockgate.inspect.escapes import ATTEMPTS
from lockgate.inspect.sandbox import BubblewrapSandbox
from lockgate.inspect.selftest import Outcome, judge, try_to_escape

LOCKGATE = (sys.executable, "-c", "from lockgate.cli.main import main; main()")
NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
FAMILIES = ["inet", "inet6", "netlink", "packet", "vsock"]

OPEN_A_WAY = """
set -e
mount --make-rprivate /
kept=$1; shift
home=$(getent passwd 0 | cut -d: -f6)
see='test -r "$1" && test -r "$2" && test -r "$3"'
if ! setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "$see" sh "$@"
then
    for n in 1 2 3; do eval "path=\\$$n"; mkdir -p "$kept/$n"; mount --bind "$path" "$kept/$n"; done
    mount -t tmpfs -o mode=755 none "$home"
    for n in 1 2 3; do
        eval "path=\\$$n"
        case "$path" in "$home"/*) mkdir -p "$path"; mount --bind "$kept/$n" "$path";; esac
    done
fi
shift 3
exec "$@"
"""
"""Lets nobody reach an interpreter and code that lie in root's own folder, in this process's mounts only."""


def _doctor(*before: str, env: dict[str, str] | None = None) -> tuple[int, dict]:
    ran = subprocess.run(
        [*before, *LOCKGATE, "doctor", "--sandbox", "--json"],
        capture_output=True, text=True, check=False, cwd="/", env=env,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def _all_refused(status: int, said: dict) -> dict[str, dict]:
    by_name = {each["name"]: each for each in said["attempts"]}
    assert [each for each in said["attempts"] if each["result"] != "PASS"] == []
    assert list(by_name) == list(ATTEMPTS)
    assert (status, said["held"], said["layers"]["sandbox"]) == (0, True, "bubblewrap")
    return by_name


def test_nobody_escapes() -> None:
    tried = _all_refused(*_doctor())
    proven = {name for name, each in tried.items() if each["control"] == "succeeds without the sandbox"}
    harmless = {"inet", "udp", "unix", "abstract", "ptrace", "write", "write-source", "read-key", "execute"}
    assert harmless | {"fork", "threads", "memory", "cpu", "wall", "descriptors"} <= proven


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody; then the test above is this one")
def test_nobody_escapes_from_an_unprivileged_gate(tmp_path) -> None:
    needed = (Path(sys.base_prefix).resolve(), Path(sys.prefix), Path(lockgate.__file__).parents[1])
    kept = str(tmp_path / "kept")
    way = ("unshare", "--mount", "sh", "-c", OPEN_A_WAY, "sh", kept, *map(str, needed))
    tried = _all_refused(*_doctor(*way, *NOBODY, env={"PATH": os.environ["PATH"]}))
    assert tried["setuid"]["control"].startswith("impossible on this host anyway")


class _Bare(Sandbox):
    """Runs the attempts of a job in a plain process: no sandbox at all."""

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, job: Job) -> bytes:
        with job.file.open("rb") as source:
            return subprocess.run(
                [sys.executable, "-I", "-S", escapes.__file__, job.args.decode()],
                stdin=source, capture_output=True, check=True,
            ).stdout  # fmt: skip


def test_without_a_sandbox_every_attempt_succeeds_and_is_told() -> None:
    names = [name for name, attempt in ATTEMPTS.items() if not attempt.ends]
    for each in try_to_escape(_Bare(), names=names):
        if each.control == "succeeds without the sandbox":
            assert (each.result, each.inside) == ("FAIL", "ESCAPED: the attempt succeeded"), each


@pytest.fixture
def code(tmp_path) -> Path:
    folder = tmp_path / "lockgate"
    ignored = shutil.ignore_patterns("__pycache__")
    for room in ("core", "inspect"):
        shutil.copytree(Path(lockgate.__file__).parent / room, folder / room, ignore=ignored)
    shutil.copy(lockgate.__file__, folder)
    return folder


@pytest.mark.parametrize(
    ("layer", "seen"),
    [
        ("    _seccomp(libc)\n", [*FAMILIES[:2], "io-uring", "ptrace", "userfaultfd", "fork", "execute"]),
        ("        (resource.RLIMIT_AS, bounds.memory_bytes),\n", ["memory"]),
        ("        (resource.RLIMIT_CPU, bounds.cpu_seconds),\n", ["cpu"]),
        ("        (resource.RLIMIT_NOFILE, bounds.descriptors),\n", ["descriptors"]),
    ],
)
def test_a_layer_that_is_missing_is_seen(code, layer, seen) -> None:
    file = code / "inspect" / "confine.py"
    text = file.read_text()
    assert layer in text
    file.write_text(text.replace(layer, ""))
    assert {each.result for each in try_to_escape(BubblewrapSandbox(code=code), names=seen)} == {"FAIL"}


def test_a_lying_attempt_is_convicted_by_what_it_left() -> None:
    class Liar(_Bare):
        def run(self, job: Job) -> bytes:
            super().run(job)
            return b'{"errno": 1}'

    tried = try_to_escape(Liar(), names=["udp", "unix", "abstract", "write", "write-source"])
    assert {each.inside for each in tried} == {"ESCAPED: the attempt succeeded"}


@pytest.mark.parametrize(
    ("inside", "control", "result"),
    [
        (Outcome(errno=1), Outcome(done=True), "PASS"),
        (Outcome(errno=1), Outcome(errno=1), "PASS"),
        (Outcome(errno=1), Outcome(errno=22), "FAIL"),
        (Outcome(errno=1), Outcome(untried="it ended"), "FAIL"),
        (Outcome(errno=22), Outcome(done=True), "FAIL"),
        (Outcome(done=True), Outcome(done=True), "FAIL"),
        (Outcome(done=True), Outcome(errno=1), "FAIL"),
        (Outcome(untried="it ended"), Outcome(done=True), "FAIL"),
        (Outcome(stopped="wall"), Outcome(done=True), "FAIL"),
    ],
)
def test_only_a_proven_refusal_passes(inside, control, result) -> None:
    assert judge("inet", ATTEMPTS["inet"], inside, control).result == result


def _run(command: list[str], env: dict[str, str] | None = None) -> tuple[int, str, str]:
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    return ran.returncode, ran.stdout, ran.stderr


@pytest.fixture(params=["inspect", "doctor"])
def asked(request, tmp_path) -> list[str]:
    """Return a command that needs the sandbox."""
    file = tmp_path / "lock_demo-1.0-py3-none-any.whl"
    file.write_bytes(make.wheel())
    words = ["inspect", str(file)] if request.param == "inspect" else ["doctor", "--sandbox"]
    return [*LOCKGATE, *words, "--json"]


def test_nothing_is_inspected_without_bubblewrap(tmp_path, asked) -> None:
    status, answer, error = _run(asked, env={"PATH": str(tmp_path)})
    assert (status, answer) == (HostError.exit_status, "")
    assert "LG-5601" in error
    assert "bwrap is not installed" in error


def test_only_the_named_insecure_adapter_inspects_without_bubblewrap(tmp_path) -> None:
    file = tmp_path / "lock_demo-1.0-py3-none-any.whl"
    file.write_bytes(make.wheel())
    command = [*LOCKGATE, "inspect", str(file), "--json"]
    status, answer, error = _run([*command, "--insecure-in-process"], env={"PATH": str(tmp_path)})
    assert (status, json.loads(answer)["sandbox"]) == (0, "none: INSECURE, in this process")
    assert "insecure_sandbox" in error
    status, answer, error = _run(command)
    assert (status, json.loads(answer)["sandbox"]) == (0, "bubblewrap")
    assert "insecure_sandbox" not in error


def test_nothing_is_inspected_where_user_namespaces_are_forbidden(asked) -> None:
    def within(limit: int) -> list[str]:
        script = f'echo {limit} > /proc/sys/user/max_user_namespaces; exec "$@"'
        return ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh", *asked]

    status, answer, error = _run(within(0))
    assert (status, answer) == (HostError.exit_status, "")
    assert "LG-5601" in error
    assert "did not come up" in error
    assert _run(within(99))[0] == 0
