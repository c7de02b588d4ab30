"""The root-owned helper gives a caller nothing that it could not do alone, and leaves nothing behind."""

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from corpora.hardened import NOBODY
from lockgate.app.rehearsal import box
from lockgate.app.release import apart
from lockgate.app.release.slots import Installed, Slot
from lockgate.inspect import helped, helper, launch, selftest
from lockgate.inspect.errors import SandboxUnavailableError
from lockgate.inspect.helped import Helper, _connect
from lockgate.inspect.rulesets import RuleSet

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be the helper")

WAIT = "import os, sys; os.write(1, b'up'); os.read(0, 1); os.write(1, b'on'); os.read(0, 1)"


def _layout(*mounts: tuple[Path, str]) -> launch.Layout:
    made = launch.layout_of({}, Path(launch.__file__).parents[1], RuleSet())
    return launch.Layout((*made.mounts, *mounts), made.links, made.python)


def _said(code: str, *mounts: tuple[Path, str], more: tuple[int, ...] = ()) -> str:
    """Return what a line of Python prints inside, without the worker's own confinement."""
    child = Helper().start(_layout(*mounts), (code,), None, more, answers=True)
    with child:
        said, error = child.stdout.read().decode(), child.stderr.read().decode()
        assert child.wait() == 0, error
    return said.strip()


def _status(pid: int) -> dict[str, str]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _open_to_all(folder: Path) -> None:
    """Let everybody reach a folder of this test."""
    for each in (folder, *folder.parents):
        mode = each.stat().st_mode
        if not mode & 0o001:
            each.chmod(mode & 0o7777 | 0o055)


def _below(pid: int) -> list[int]:
    """Return the processes below one, the nearest first."""
    found = []
    for each in map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()):
        found += [each, *_below(each)]
    return found


@pytest.fixture
def waiting():
    """A process inside that waits for a byte, and the pipe that it waits at."""
    ask, tell = os.pipe()
    child = Helper().start(_layout(), (WAIT,), ask, (), answers=True)
    os.close(ask)
    assert child.stdout.read(2) == b"up", child.stderr.read()
    with child:
        yield child, tell
        child.kill()
    os.close(tell)


def test_what_the_caller_starts_has_no_right_left(waiting) -> None:
    child, _ = waiting
    first, last = _below(child._served.pid)
    for pid in (first, last):
        status = _status(pid)
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
        assert status["Groups"].strip() == ""
        assert {int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb")} == {0}
        assert status["NoNewPrivs"] == "1"
    for kind in ("pid", "net", "mnt", "uts", "ipc", "cgroup"):
        theirs, ours = (Path(f"/proc/{who}/ns/{kind}").readlink() for who in (last, "self"))
        assert theirs != ours, kind


ALONE = """
import sys
sys.path.insert(0, sys.argv[1])
from test_sandbox_helper import WAIT, _below, _layout, _status
from lockgate.inspect.helped import Helper
code = "import time; print('up', flush=True); time.sleep(60)"
with Helper().start(_layout(), (code,), None, (), answers=True) as child:
    assert child.stdout.readline() == b"up\\n", child.stderr.read()
    for pid in _below(child._served.pid):
        status = _status(pid)
        held = (int(status[f"Cap{kind}"], 16) for kind in ("Inh", "Prm", "Eff", "Bnd", "Amb"))
        print(*held, status["NoNewPrivs"])
    child.kill()
"""


def test_where_there_is_no_other_account_every_capability_is_gone_all_the_same() -> None:
    words = ["unshare", "--user", "--map-root-user", sys.executable, "-c", ALONE, str(Path(__file__).parent)]
    path = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    ran = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert ran.stdout.splitlines() == ["0 0 0 0 0 1"] * 2, ran.stderr


def test_a_sandbox_ends_when_its_caller_says_so(waiting) -> None:
    child, _ = waiting
    child.kill()
    assert child.wait() == 128 + 9
    assert child.stdout.read() == b""


def test_a_sandbox_ends_with_its_connection(waiting) -> None:
    child, _ = waiting
    pids = [os.pidfd_open(pid) for pid in _below(child._served.pid)]
    child._connection.close()
    assert child.stdout.read() == b""  # the other end is closed: whoever held it is gone
    for pid in pids:
        os.close(pid)
    child._served.wait(120)


def test_a_sandbox_ends_with_its_helper(waiting) -> None:
    child, _ = waiting
    child._served.kill()
    assert child.stdout.read() == b""
    assert child.wait() == 255


def test_it_lives_until_its_own_end(waiting) -> None:
    child, tell = waiting
    os.write(tell, b"x")
    assert child.stdout.read(2) == b"on"
    os.write(tell, b"x")
    assert child.wait() == 0


def test_nothing_inside_can_be_written_even_by_its_owner(tmp_path) -> None:
    folder = tmp_path / "theirs"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    code = """
import os
for place in ("/theirs/new", "/new", "/usr/lib/new", "/code/new"):
    try:
        os.close(os.open(place, os.O_WRONLY | os.O_CREAT))
    except OSError as error:
        print(error.errno, end=" ")
"""
    assert _said(code, (folder, "/theirs")) == "30 30 30 30"
    assert list(folder.iterdir()) == []


@pytest.fixture
def folder(tmp_path) -> Path:
    """A folder that everybody may read."""
    made = tmp_path / "folder"
    made.mkdir()
    made.chmod(0o755)
    return made


def test_set_user_id_programs_and_devices_do_not_work_inside(folder) -> None:
    shutil.copy("/usr/bin/id", folder)
    (folder / "id").chmod(0o4755)
    os.mknod(folder / "null", 0o020666, os.makedev(1, 3))
    (folder / "null").chmod(0o666)
    (folder / "plain").write_text("plain")
    code = """
import os
print(open("/theirs/plain").read(), flush=True)
try:
    os.open("/theirs/null", os.O_RDONLY)
except OSError as error:
    print(error.errno, flush=True)
os.execv("/theirs/id", ["id", "-u"])
"""
    assert _said(code, (folder, "/theirs")).split() == ["plain", "13", "65534"]


def test_files_that_nobody_may_read_stay_unread(folder) -> None:
    secret = folder / "key"
    secret.write_text("secret")
    secret.chmod(0o600)
    code = "import os\ntry: open('/theirs/key')\nexcept OSError as error: print(error.errno)"
    assert _said(code, (folder, "/theirs")) == "13"


def test_only_what_is_named_is_left_open() -> None:
    memory = os.memfd_create("named")
    other = os.memfd_create("other")
    os.set_inheritable(other, True)  # noqa: FBT003  # the call's own form
    last = max(memory, other) + 10
    code = f"import os\nfor n in range(3, {last}):\n try: os.fstat(n); print(n)\n except OSError: pass"
    try:
        assert _said(code, more=(memory,)) == str(memory)
    finally:
        os.close(memory)
        os.close(other)


def test_what_is_not_what_the_caller_opened_is_not_mounted(folder, monkeypatch) -> None:
    send = socket.send_fds

    def exchange(*arguments):
        folder.rmdir()
        Path(f"{folder} (deleted)").mkdir()  # what the kernel calls it now is another folder's name
        return send(*arguments)

    monkeypatch.setattr(socket, "send_fds", exchange)
    with Helper().start(_layout((folder, "/theirs")), ("print()",), None, (), answers=True) as child:
        said = child.stderr.read().decode()
        assert child.wait() == 1
    assert "is no longer what the caller opened" in said


GOOD = {
    "version": helper.VERSION,
    "mounts": [["/a", 0]],
    "links": [["/l", "usr/lib"]],
    "keep": [[0, 1]],
    "mounted_in": 1,
    "errors": 1,
    "command": ["/bin/true"],
    "environment": {},
}


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"mounts": [["a", 0]]},
        {"mounts": [["/", 0]]},
        {"mounts": [["/a/../..", 0]]},
        {"mounts": [["/a", 2]]},
        {"mounts": [["/a", -1]]},
        {"mounts": [["/a", True]]},
        {"mounts": [["/a\0b", 0]]},
        {"mounts": 5},
        {"links": [["l", "usr"]]},
        {"keep": [[1 << 16, 0]]},
        {"keep": [[-1, 0]]},
        {"keep": [["0", 0]]},
        {"mounted_in": None},
        {"errors": 9},
        {"command": []},
        {"command": [5]},
        {"environment": []},
        {"environment": {"A": 1}},
    ],
    ids=str,
)
def test_requests_that_are_none_are_refused(change) -> None:
    assert helper.read_request(json.dumps(GOOD).encode(), 2)["errors"] == 1
    with pytest.raises(helper.RequestError):
        helper.read_request(json.dumps({**GOOD, **change}).encode(), 2)


@pytest.mark.parametrize("message", [b"", b"[]", b"{", b"\xff", b'"x"', b"[" * 100_000])
def test_messages_that_are_no_request_are_refused(message) -> None:
    with pytest.raises(helper.RequestError):
        helper.read_request(message, 2)


def test_a_request_that_was_cut_off_is_refused() -> None:
    with pytest.raises(helper.RequestError):
        helper.read_request(json.dumps(GOOD).encode(), 2, whole=False)


@pytest.mark.parametrize(
    "change",
    [
        {"memory": [[launch.START, -1]]},
        {"memory": [[launch.START, helper.MOST_MEMORY + 1]]},
        {"memory": [["tmp", 1]]},
        {"devices": [["/dev/null", 2]]},
        {"devices": [["/dev/../..", 0]]},
        {"folder": 5},
    ],
    ids=str,
)
def test_wider_requests_that_are_none_are_refused(change) -> None:
    good = {
        **GOOD,
        "version": helper.WIDER,
        "memory": [[launch.START, 1 << 20]],
        "devices": [["/dev/null", 0]],
    }
    assert helper.read_request(json.dumps(good).encode(), 2)["memory"] == [(launch.START, 1 << 20)]
    with pytest.raises(helper.RequestError):
        helper.read_request(json.dumps({**good, **change}).encode(), 2)
    narrow = helper.read_request(json.dumps({**good, "version": helper.VERSION}).encode(), 2)
    assert (narrow["memory"], narrow["devices"], narrow["loopback"]) == ([], [], False)


@pytest.fixture(params=[launch.Bubblewrap, Helper])
def program(request):
    """Both ways of starting a whole program; returns what it says, and its errors."""

    def started(code: str, *mounts: tuple[Path, str], source: int | None = None) -> tuple[str, str]:
        made = _layout(*mounts)
        room = launch.Room(1 << 20, {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"})
        layout = launch.Layout(made.mounts, made.links, made.python, room)
        with request.param().start(layout, (code,), source, (), answers=True) as child:
            said, error = child.stdout.read().decode(), child.stderr.read().decode()
            child.wait()
        return said, error

    return started


ROOMY = """
import errno, json, os, socket
def fails(place, size=1):
    try:
        with open(place, "wb") as file:
            file.write(bytes(size))
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""
def opens(place):  # opened alone: what would be written there counts for the whole machine
    try:
        os.close(os.open(place, os.O_WRONLY))
    except OSError as error:
        return errno.errorcode[error.errno]
    return ""
with socket.create_server(("127.0.0.1", 0)) as server:
    socket.create_connection(server.getsockname(), 5).close()
try:
    socket.create_connection(("192.0.2.1", 9), 1)
except OSError as error:
    beyond = errno.errorcode[error.errno]
print(json.dumps({
    "where": os.getcwd(),
    "beyond": beyond,
    "writes": [fails(p) for p in ("/tmp/a", "/dev/shm/a", "/a", "/usr/a", "/dev/a", "/dev/null")],
    "long": fails("/tmp/b", 2 << 20),
    "kernel": opens("/proc/sys/kernel/core_pattern"),
    "others": [p for p in os.listdir("/proc") if p.isdigit() and int(p) not in (1, 2, os.getpid())],
    "devices": sorted(n for n in os.listdir("/dev") if n not in ("console", "core", "ptmx", "pts", "tty")),
    "path": os.environ["PATH"],
}))
"""


DEVICES = ["fd", "full", "null", "random", "shm", "stderr", "stdin", "stdout", "urandom", "zero"]


def test_a_whole_program_writes_into_memory_alone_and_sees_itself_alone(program) -> None:
    said, error = program(ROOMY)
    found = json.loads(said or error)
    assert found["kernel"] in {"EROFS", "EACCES"}
    assert found == {
        "where": launch.START,
        "beyond": "ENETUNREACH",
        "writes": ["", "", "EROFS", "EROFS", "EROFS", ""],
        "long": "ENOSPC",
        "kernel": found["kernel"],
        "others": [],
        "devices": DEVICES,
        "path": "/usr/bin:/bin",
    }


def test_what_clients_and_new_versions_run_in_does_not_let_root_change_the_kernel(tmp_path) -> None:
    bubblewrap = launch.Bubblewrap()
    slot = Installed(tmp_path, Slot(release_sha256="0" * 64, version="1", tree_sha256="0" * 64))
    ways = ([bubblewrap.program, *box._layout(())], apart._sandbox(bubblewrap, slot, tmp_path))
    for words in ways:
        ask = (
            "for n in kernel/core_pattern kernel/modprobe; do test -w /proc/sys/$n && echo $n; done; echo up"
        )
        ran = subprocess.run([*words, "--", "sh", "-c", ask], capture_output=True, text=True, check=False)
        assert ran.stdout == "up\n", ran.stderr


def test_no_other_device_is_given(monkeypatch) -> None:
    monkeypatch.setattr(helped, "_DEVICES", ("null", "kmsg"))
    made = _layout()
    layout = launch.Layout(made.mounts, made.links, made.python, launch.Room(1 << 20, {}))
    with Helper().start(layout, ("print('up')",), None, (), answers=True) as child:
        said, error = child.stdout.read(), child.stderr.read().decode()
        assert (said, child.wait()) == (b"", 1)
    assert "a device that no sandbox gets" in error


WHOLE = """
import json, os, sys
sys.path[:0] = ["/code", "/site"]
from lockgate.inspect.confine import close_ways
close_ways()
from lockgate.inspect.escapes import ATTEMPTS, attempt_entry
given = json.loads(sys.argv[1] if len(sys.argv) > 1 else open(0).read())
for name in given["names"]:
    read, write = os.pipe()
    if not os.fork():
        os.write(write, attempt_entry(memoryview(b""), json.dumps({**given, "name": name}).encode()))
        os._exit(0)
    os.wait()
    os.set_blocking(read, False)
    print(name, json.loads(os.read(read, 99)).get("errno", 0))
"""
"""Tries every way out of what golden prompts are replayed in, each in a process of its own."""

HELD = (
    "netlink", "packet", "vsock", "io-uring", "ptrace", "mount", "keyctl", "bpf", "userfaultfd",
    "user-namespace", "net-namespace", "write", "read-key", "read-home", "read-neighbour", "read-system",
    "signal", "pidfd", "memory-of-host", "setuid", "take-descriptor", "advise-host", "signal-pidfd",
    "write-memory", "compare", "own-signals", "clone", "clone3", "setns", "chroot", "fsopen", "open-tree",
    "mount-setattr", "by-handle", "perf", "kernel-log",
)  # fmt: skip
LEFT = ("udp", "unix", "abstract", "shared-file")
"""Succeed where nobody is: in a network and a file system of the program's own."""


def test_no_whole_program_gets_out(program, tmp_path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with selftest._stage("inet", home) as stage:
        order = os.memfd_create("order")
        given = {**json.loads(stage.args), "names": [*HELD, *LEFT]}
        os.write(order, json.dumps(given).encode())
        os.lseek(order, 0, os.SEEK_SET)
        said, error = program(WHOLE, (Path(sysconfig.get_path("purelib")), "/site"), source=order)
        os.close(order)
        went = {line.split()[0]: int(line.split()[1]) for line in said.splitlines()}
        assert stage.traces() == []
    assert sorted(went) == sorted([*HELD, *LEFT]), error
    assert [name for name in HELD if not went[name]] == []


@pytest.fixture
def listening(tmp_path):
    """A helper that listens, and the path of its socket."""
    path = str(tmp_path / "made" / "socket")
    started = subprocess.Popen(
        [sys.executable, "-I", "-S", "-B", helper.__file__, "--listen", path, "--group", "root"],
        stderr=subprocess.PIPE,
    )
    while True:
        assert started.poll() is None
        try:
            _connect(path).close()
        except SandboxUnavailableError:
            continue
        break
    yield path
    started.kill()
    with started:
        pass


def test_others_than_root_and_the_group_cannot_ask(listening) -> None:
    _open_to_all(Path(listening).parent)
    assert Path(listening).stat().st_mode & 0o777 == 0o660
    ask = f"import socket; socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET).connect({listening!r})"
    ran = subprocess.run(
        [*NOBODY, "/usr/bin/python3", "-c", ask], capture_output=True, text=True, check=False
    )
    assert "PermissionError" in ran.stderr


def test_no_more_sandboxes_than_its_bound_run_at_one_time(listening) -> None:
    held = [_connect(listening) for _ in range(helper.MOST_AT_ONCE)]
    with _connect(listening) as over:
        over.settimeout(120)
        assert over.recv(1) == b""
    held.pop().close()
    for each in held:
        each.close()


def test_a_helper_that_is_not_roots_is_not_believed(tmp_path) -> None:
    place = tmp_path / "theirs"
    place.mkdir()
    os.chown(place, 65534, 65534)
    _open_to_all(place)
    code = (
        "import socket, sys\ns = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "s.bind(sys.argv[1]); s.listen(1); print('up', flush=True); s.accept()"
    )
    command = [*NOBODY, "/usr/bin/python3", "-c", code, str(place / "socket")]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as liar:
        assert liar.stdout.readline() == b"up\n"
        with pytest.raises(SandboxUnavailableError, match="runs as user 65534, and not as root"):
            _connect(str(place / "socket"))
        liar.kill()
