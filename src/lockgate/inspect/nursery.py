"""The program inside the warm sandbox: forks one child for each file, and never reads a file itself.

Once everything is loaded it forks itself too, for every further line that it is given: each of these parents
serves one line, and forks while the others do. It has loaded every parser, so that a child begins at once.

A request names a function of ours and carries descriptors (the file, the arguments, the pipes for answer and
errors) that a parent hands on unread. The child closes everything else, confines itself as in
`lockgate.inspect.worker`, reads its file, answers and exits; it has no way to signal, trace or speak to its
parent, to another parent or to another child.
"""

import gc
import os
import select
import signal
import socket
import sys
from contextlib import suppress
from importlib import import_module

from lockgate.inspect import first_look, forking, malware, sample, secrets
from lockgate.inspect.confine import Bounds, confine, prepare
from lockgate.inspect.engine import inspectors
from lockgate.inspect.worker import INSPECT, MOST_ARGS, READY, answer, call, content, inspect_entry
from lockgate.scoring import plain

UP = b"up"
"""The first message: everything is loaded."""

_REQUEST = 1024
_DESCRIPTORS = 4
_FAILED = 1
_EVERY = 1 << 20
# Looked for in a module by name, each would be looked for anew by every child, which runs this once.
_setpgid, _pread, _fstat, _dup2, _closerange = os.setpgid, os.pread, os.fstat, os.dup2, os.closerange
_LIBRARIES = ("zstandard", "jinja2", "jinja2.ext", "markdown_it", "pypdfium2", "html.parser")


def main() -> None:
    """Load the parsers, say so on every line, and serve until the other end closes."""
    lines = [socket.socket(fileno=int(word)) for word in sys.argv[1:]]
    try:
        _load()
    except Exception as error:  # noqa: BLE001  # whatever it is, nothing is inspected without it
        # Said whole before the other end can see that this one closes, and kill it.
        os.write(2, f"{type(error).__name__}: {error}"[:_REQUEST].encode("utf-8", "replace"))
        return
    _settle()
    with _shared(lines) as control:
        _serve(control)


def _shared(lines: list[socket.socket]) -> socket.socket:
    """Fork one process more for each further line; return, in each process, the line that is its own."""
    own, *others = lines
    for line in others:
        if not forking.fork():
            own = line
            break
    for line in lines:
        if line is not own:  # whoever has a copy would keep it open when its own process has gone
            line.close()
    return own


def _load() -> None:
    """Load every parser, compile every rule, try them all, and make ahead what confining needs.

    What small files need comes first, so that it lies together, apart from what few children touch.
    """
    first_look.load()
    sample.inspect()
    for module in (*inspectors(), *_LIBRARIES):
        import_module(module)
    malware.load()
    secrets.load()
    plain.load()
    sample.inspect()
    prepare()
    _bind()


def _settle() -> None:
    """Leave memory as it is best forked."""
    gc.collect()
    forking.give_back()
    forking.fill()
    forking.gather(gc.get_objects())
    gc.freeze()
    gc.disable()


def _bind() -> None:
    """Call once what only children call: the linker finds each function then, and not in every child anew."""
    with suppress(PermissionError):  # whoever leads a session stays in its group
        _setpgid(0, 0)
    descriptor = os.memfd_create("bound")
    _dup2(descriptor, descriptor)
    _pread(descriptor, _fstat(descriptor).st_size, 0)
    _closerange(_EVERY, _EVERY)
    os.close(descriptor)


def _serve(control: socket.socket) -> None:
    told, tell = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    children: dict[int, str] = {}
    control.send(UP)
    polled = select.poll()  # what runs between two forks is copied for each: as little as can be
    polled.register(control, select.POLLIN)
    polled.register(told, select.POLLIN)
    while True:
        for descriptor, _ in polled.poll():
            if descriptor == told:
                with suppress(BlockingIOError):
                    os.read(told, _REQUEST)
                continue
            message, descriptors, *_ = socket.recv_fds(control, _REQUEST, _DESCRIPTORS)
            if not message:
                return
            _request(message.decode("ascii").split("\n"), descriptors, children)
        _reap(control, children)


def _reap(control: socket.socket, children: dict[int, str]) -> None:
    """Tell the other end how each child ended."""
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        job = children.pop(pid, None)
        if job is not None:  # else it is another parent, whose line tells that it has gone
            control.send(f"{job}\n{os.waitstatus_to_exitcode(status)}".encode("ascii"))


def _request(words: list[str], descriptors: list[int], children: dict[int, str]) -> None:
    if words[0] == "kill":
        for pid, job in children.items():
            if job == words[1]:
                os.kill(pid, signal.SIGKILL)
        return
    job, entry, cpu, memory = words
    pid = forking.fork()
    if not pid:
        status = _FAILED
        try:
            _child(entry, Bounds(int(cpu), int(memory)), descriptors)
            status = 0
        except BaseException as error:  # noqa: BLE001  # the child ends here, whatever its file did
            with suppress(OSError):
                os.write(2, f"{type(error).__name__}: {error}"[:_REQUEST].encode("utf-8", "replace"))
        finally:
            os._exit(status)
    children[pid] = job
    for descriptor in descriptors:
        os.close(descriptor)


def _child(entry: str, bounds: Bounds, descriptors: list[int]) -> None:
    source, args, out, error = descriptors
    _setpgid(0, 0)  # a session of its own would cost a group of the scheduler, and holds no terminal here
    given = _pread(args, min(_fstat(args).st_size, MOST_ARGS), 0)
    _dup2(source, 0)
    _dup2(out, 1)
    _dup2(error, 2)
    _closerange(3, _EVERY)
    confine(bounds)
    answer(READY)
    # What every file is inspected by is here already; importing it by its name would touch 30 pages more.
    said = inspect_entry(content(0), given) if entry == INSPECT else call(entry, content(0), given)
    for part in [said] if isinstance(said, bytes) else said:
        answer(part)
