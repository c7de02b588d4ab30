"""Loading a model so that what was hashed is what the engine reads.

The file is copied into anonymous memory while it is hashed, and the memory is sealed
(memfd_create(2), F_ADD_SEALS in fcntl(2)): from then on no process can change it. The engine
gets the descriptor and opens ``/proc/self/fd/N``.
"""

import contextlib
import fcntl
import hashlib
import io
import os
from typing import BinaryIO

from lockgate.core.digests import CHUNK, checked
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.errors import DescriptorError, ModelMismatchError
from lockgate.infer.limits import SEAL_LIMIT

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL


class LoadedFile:
    """A descriptor whose content was hashed; closed with `close`."""

    def __init__(self, fd: int, sha256: str, size: int, enforcement: Enforcement) -> None:
        """Take over a descriptor."""
        self.fd = fd
        self.sha256 = sha256
        self.size = size
        self.enforcement = enforcement

    @property
    def path(self) -> str:
        """Return the path by which a process that inherits the descriptor opens the file."""
        return f"/proc/self/fd/{self.fd}"

    @property
    def enforced(self) -> bool:
        """Tell whether the content can no longer change."""
        return self.enforcement is Enforcement.SEALED

    def close(self) -> None:
        """Give the descriptor back; harmless when done twice."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1


def load(stream: BinaryIO, sha256: str, size: int, *, seal_limit: int = SEAL_LIMIT) -> LoadedFile:
    """Hash a model and return the descriptor that an engine may read it through.

    Args:
        stream: The model's bytes, from their beginning.
        sha256: The digest that was admitted.
        size: The length that was admitted, in bytes.
        seal_limit: Up to this length the bytes are copied into sealed memory.

    Raises:
        ModelMismatchError: The bytes are not the admitted ones.
        DescriptorError: Neither sealed memory nor a descriptor is to be had.

    """
    checked(sha256)
    if size <= seal_limit:
        fd = _anonymous()
        if fd is not None:
            try:
                _copy(stream, fd, sha256, size)
                fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            except BaseException:
                os.close(fd)
                raise
            return LoadedFile(fd, sha256, size, Enforcement.SEALED)
    fd = _reopened(stream)
    try:
        with os.fdopen(os.dup(fd), "rb", buffering=0) as raw:
            _copy(raw, None, sha256, size)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return LoadedFile(fd, sha256, size, Enforcement.HASHED)


def hashed(stream: BinaryIO, sha256: str, size: int) -> None:
    """Demand that a stream has the bytes that were admitted.

    Raises:
        ModelMismatchError: It has others.

    """
    _copy(stream, None, checked(sha256), size)


def _anonymous() -> int | None:
    """Return sealable anonymous memory, or nothing where the system has none."""
    with contextlib.suppress(AttributeError, OSError):
        return os.memfd_create("lockgate-model", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    return None


def _reopened(stream: BinaryIO) -> int:
    """Return a read-only descriptor of its own for the file behind a stream."""
    try:
        return os.open(f"/proc/self/fd/{stream.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
    except (OSError, io.UnsupportedOperation) as error:
        what = f"The model cannot be handed to an engine by descriptor: {error}."
        raise DescriptorError(what) from error


def _copy(stream: BinaryIO | io.RawIOBase, fd: int | None, sha256: str, size: int) -> None:
    """Hash exactly `size` bytes, writing them to `fd` where there is one, and compare."""
    state = hashlib.sha256()
    done = 0
    while chunk := stream.read(min(CHUNK, size - done + 1)):
        done += len(chunk)
        if done > size:
            break
        state.update(chunk)
        view = memoryview(chunk)
        while fd is not None and view:
            view = view[os.write(fd, view) :]
    found = state.hexdigest()
    if done != size or found != sha256:
        what = "The model's bytes are not the ones that were admitted."
        raise ModelMismatchError(what, admitted=sha256, found=found, size=size)
