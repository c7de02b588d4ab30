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
from corpora.hardened import HARDENED, NOBODY, a_way_for_nobody
from lockgate.core.errors import HostError
from lockgate.inspect import Job, Sandbox, helper, selftest
from lockgate.inspect.escapes import ATTEMPTS
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.inspect.selftest import Outcome, judge, plain_command, try_to_escape
from lockgate.inspect.warm import WarmSandbox

LOCKGATE = (sys.executable, "-c", "from lockgate.cli.main import main; main()")
FAMILIES = ["inet", "inet6", "netlink", "packet", "vsock"]

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become nobody, or be a helper for all")


def _doctor(*before: str, env: dict[str, str] | None = None) -> tuple[int, dict]:
    ran = subprocess.run(
        [*before, *LOCKGATE, "doctor", "--sandbox", "--json"],
        capture_output=True, text=True, check=False, cwd="/", env=env,
    )  # fmt: skip
    assert ran.stdout, ran.stderr
    return ran.returncode, json.loads(ran.stdout)


def _all_refused(status: int, said: dict, sandbox: str = "bubblewrap") -> dict[str, dict]:
    by_name = {each["name"]: each for each in said["attempts"]}
    assert [each for each in said["attempts"] if each["result"] != "PASS"] == []
    assert list(by_name) == list(ATTEMPTS)
    assert (status, said["held"], said["layers"]["sandbox"]) == (0, True, sandbox)
    return by_name


def test_nobody_escapes() -> None:
    tried = _all_refused(*_doctor())
    proven = {name for name, each in tried.items() if each["control"] == "succeeds without the sandbox"}
    harmless = {"inet", "udp", "unix", "abstract", "ptrace", "write", "write-source", "read-key", "execute"}
    assert harmless | {"fork", "threads", "memory", "cpu", "wall", "descriptors"} <= proven


@ROOT
def test_nobody_escapes_from_an_unprivileged_gate(tmp_path) -> None:
    way = a_way_for_nobody(tmp_path / "kept")
    tried = _all_refused(*_doctor(*way, *NOBODY, env={"PATH": os.environ["PATH"]}))
    assert tried["setuid"]["control"].startswith("impossible on this host anyway")


@ROOT
def test_nobody_escapes_where_user_namespaces_are_forbidden() -> None:
    tried = _all_refused(*_doctor(*HARDENED, "--"), sandbox="helper")
    assert tried["user-namespace"]["control"].startswith("impossible on this host anyway")
    assert tried["net-namespace"]["control"].startswith("impossible on this host anyway")


@ROOT
def test_nobody_escapes_from_an_unprivileged_gate_where_user_namespaces_are_forbidden(tmp_path) -> None:
    helped = (*HARDENED, "--helper", helper.__file__, "--", *a_way_for_nobody(tmp_path / "kept"), *NOBODY)
    status, said = _doctor(*helped, env={"PATH": os.environ["PATH"]})
    tried = _all_refused(status, said, sandbox="helper")
    assert said["layers"]["program"] == helper.SOCKET
    assert tried["setuid"]["control"].startswith("impossible on this host anyway")
    assert tried["user-namespace"]["control"].startswith("impossible on this host anyway")


class _Bare(Sandbox):
    """Runs the attempts of a job in a plain process: no sandbox at all."""

    def describe(self) -> dict[str, str]:
        return {}

    def run(self, job: Job) -> bytes:
        with job.file.open("rb") as source:
            return subprocess.run(
                [*plain_command(), job.args.decode()], stdin=source, capture_output=True, check=True
            ).stdout


def test_without_a_sandbox_every_attempt_succeeds_and_is_told() -> None:
    names = [name for name, attempt in ATTEMPTS.items() if not attempt.ends]
    for each in try_to_escape(_Bare(), names=names):
        if each.control == "succeeds without the sandbox":
            assert (each.result, each.inside) == ("FAIL", "ESCAPED: the attempt succeeded"), each


@pytest.fixture
def code(tmp_path) -> Path:
    folder = tmp_path / "lockgate"
    ignored = shutil.ignore_patterns("__pycache__")
    for room in ("core", "scoring", "inspect"):
        shutil.copytree(Path(lockgate.__file__).parent / room, folder / room, ignore=ignored)
    shutil.copy(lockgate.__file__, folder)
    return folder


@pytest.mark.parametrize(
    ("layer", "seen"),
    [
        ("    _seccomp(libc)\n", [*FAMILIES[:2], "io-uring", "ptrace", "userfaultfd", "fork", "execute"]),
        (", _upper(2)", ["limit-inside"]),
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
    assert {each.result for each in try_to_escape(ProcessSandbox(code=code), names=seen)} == {"FAIL"}


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


@ROOT
def test_nothing_is_inspected_where_nobody_makes_namespaces(tmp_path) -> None:
    asked = [*HARDENED, "--", *a_way_for_nobody(tmp_path / "kept"), *NOBODY, *LOCKGATE, "doctor", "--json"]
    status, answer, error = _run([*asked, "--sandbox"], env={"PATH": os.environ["PATH"]})
    assert (status, answer) == (HostError.exit_status, "")
    assert "LG-5601" in error
    assert f"No sandbox helper answers at {helper.SOCKET}" in error
    status, answer, _ = _run(asked, env={"PATH": os.environ["PATH"]})
    (point,) = (each for each in json.loads(answer) if each["name"] == "Sandbox")
    assert (status, point["state"]) == (1, "missing")


def test_root_of_a_namespace_that_allows_no_others_inspects_with_a_helper_of_its_own(tmp_path) -> None:
    file = tmp_path / "lock_demo-1.0-py3-none-any.whl"
    file.write_bytes(make.wheel())
    script = 'echo 0 > /proc/sys/user/max_user_namespaces; exec "$@"'
    within = ["unshare", "--user", "--map-root-user", "sh", "-c", script, "sh"]
    status, answer, _ = _run([*within, *LOCKGATE, "inspect", str(file), "--json"])
    said = json.loads(answer)
    assert (status, said["verdict"], said["sandbox"]) == (0, "clean", "helper")


def test_a_job_of_a_warm_parent_touches_neither_its_parent_nor_its_siblings(monkeypatch) -> None:
    monkeypatch.setattr(
        selftest, "MEMORY_BYTES", 3 << 30
    )  # such a parent holds more than the self-test allows
    names = ["memory-inside", "signal-inside", "limit-inside", "dumpable", "own-signals", "inherited"]
    sandbox = WarmSandbox()
    try:
        tried = try_to_escape(sandbox, names=names)
    finally:
        sandbox.close()
    assert {each.result for each in tried} == {"PASS"}, tried
