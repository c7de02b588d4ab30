"""A host that forbids user namespaces, for one command: nothing outside of it changes.

``python hardened.py [--helper FILE] -- COMMAND…`` runs the command in a user namespace of its own whose
``user.max_user_namespaces`` is 0 (the limit is one of each user namespace), with all accounts as they are
outside where the caller is root, and with an empty ``/run``. With ``--helper``, the sandbox helper listens
there for the group of nobody.
"""

import ctypes
import os
import socket
import subprocess
import sys
from pathlib import Path

NOBODY = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
CAPABILITIES = (
    "setpriv", "--inh-caps", "-all", "--bounding-set",
    "-all,+sys_admin,+sys_chroot,+setuid,+setgid,+setpcap,+kill,+dac_read_search,+net_admin",
)  # fmt: skip
"""What docs/runbooks/hardened-hosts.md leaves to the helper."""

HARDENED = (sys.executable, __file__)

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

_NEW_USER, _NEW_NS = 0x10000000, 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_SOCKET = "/run/lockgate/sandbox.socket"
_libc = ctypes.CDLL(None, use_errno=True)


def a_way_for_nobody(kept: Path) -> tuple[str, ...]:
    """Return the words that let nobody reach this interpreter and our code, before a command."""
    import lockgate

    needed = (Path(sys.base_prefix).resolve(), Path(sys.prefix), Path(lockgate.__file__).parents[1])
    return ("unshare", "--mount", "sh", "-c", OPEN_A_WAY, "sh", str(kept), *map(str, needed))


def _check(result: int) -> None:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _into_user_namespace() -> None:
    """Enter a user namespace in which everybody is who they were; the parent writes the maps."""
    ready, told = os.pipe(), os.pipe()
    parent = os.getpid()
    writer = os.fork()
    if not writer:
        os.read(ready[0], 1)
        for name in ("uid_map", "gid_map"):
            _, _, count = Path(f"/proc/self/{name}").read_text().split()
            Path(f"/proc/{parent}/{name}").write_text(f"0 0 {count}")
        os.write(told[1], b"x")
        os._exit(0)
    _check(_libc.unshare(_NEW_USER))
    os.write(ready[1], b"x")
    os.waitpid(writer, 0)
    assert os.read(told[0], 1) == b"x"


def _harden() -> None:
    _into_user_namespace()
    _check(_libc.unshare(_NEW_NS))
    _check(_libc.mount(None, b"/", None, _MS_REC_PRIVATE, None))
    _check(_libc.mount(b"none", b"/run", b"tmpfs", 0, b"mode=755"))
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def _helper(file: str) -> "subprocess.Popen[bytes]":
    """Start the helper as systemd would: a socket that listens already, few capabilities."""
    place = Path(_SOCKET)
    place.parent.mkdir()
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(_SOCKET)
        os.chown(place, 0, 65534)
        place.chmod(0o660)
        listener.listen()
        number = listener.fileno()
        script = f'exec 3<&{number}; export LISTEN_FDS=1 LISTEN_PID=$$; exec "$@"'
        command = ["sh", "-c", script, "sh", *CAPABILITIES, sys.executable, "-I", "-S", "-B", file]
        return subprocess.Popen(command, cwd="/", pass_fds=(number,))


def main() -> int:
    """Make the host, run the command, return its status."""
    at = sys.argv.index("--")
    options, command = sys.argv[1:at], sys.argv[at + 1 :]
    _harden()
    helper = _helper(options[1]) if options else None
    try:
        return subprocess.run(command, check=False).returncode
    finally:
        if helper:
            helper.kill()
            helper.wait()


if __name__ == "__main__":
    sys.exit(main())
