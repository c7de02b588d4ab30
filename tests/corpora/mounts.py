"""File systems of a test's own: small ones and read-only ones, in a mount namespace of a child.

mount_namespaces(7), mount(2), tmpfs(5). Whoever may not mount skips such a test, and says why.
"""

import ctypes
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from corpora.kills import answer, forked

_CLONE_NEWNS = 0x00020000


def may_mount() -> str:
    """Return why this process may not mount; nothing when it may."""
    probe = ["unshare", "--mount", "--", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    tried = subprocess.run(probe, capture_output=True, text=True, check=False)
    return "" if tried.returncode == 0 else tried.stderr.strip() or "unshare failed"


def mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def in_own_mounts(work: Callable[[], object]) -> Any:
    """Do work in a child whose mounts nobody else sees and which go away with it; return what it returns."""
    if why := may_mount():
        pytest.skip(f"NOT TESTED HERE: a full disk and a read-only medium need the right to mount: {why}")

    def alone() -> object:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(_CLONE_NEWNS) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        mount("--make-rprivate", "/")
        return work()

    return answer(*forked(alone))


def used(folder: Path) -> int:
    """Return how many bytes of a file system are in use."""
    facts = os.statvfs(folder)
    return (facts.f_blocks - facts.f_bfree) * facts.f_frsize
