"""Reading under a lease for what is encrypted: at once where memory has it, on a thread where it has not."""

import asyncio
import errno
import os

import pytest

from lockgate.mirror import lease as leases
from lockgate.mirror.errors import LeaseBrokenError
from lockgate.mirror.lease import READ, Leases

SIZE = READ * 2 + 1000
CONTENT = os.urandom(SIZE)
read_vector = os.preadv


def copied(path, start=0, count=SIZE, before=lambda lease: None):
    """Return what a lease on a file gives."""

    async def run():
        pieces = []

        async def write(piece):
            pieces.append(bytes(piece))

        one, other = leases.socket.socketpair()
        with one, other, path.open("rb") as file:
            lease = Leases(asyncio.get_running_loop()).take(file.fileno(), one.fileno())
            try:
                before(lease)
                await lease.copy(start, count, write)
            finally:
                lease.give_back()
        return b"".join(pieces)

    return asyncio.run(run())


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "blob"
    path.write_bytes(CONTENT)
    return path


@pytest.mark.parametrize(("start", "count"), [(0, SIZE), (5, READ), (READ - 1, 2), (7, 1)])
def test_a_part_is_copied_as_it_is(file, start, count):
    assert copied(file, start, count) == CONTENT[start : start + count]


def absent(*_):
    raise BlockingIOError(errno.EAGAIN, "not in memory")


def unknown(*_):
    raise OSError(errno.EOPNOTSUPP, "no such reading here")


def half(descriptor, buffers, at, _flags):
    return read_vector(descriptor, [buffers[0][: len(buffers[0]) // 2]], at)


@pytest.mark.parametrize("reads", [absent, unknown, half])
def test_what_memory_has_not_is_read_on_a_thread(file, monkeypatch, reads):
    monkeypatch.setattr(os, "preadv", reads)
    assert copied(file) == CONTENT


def test_what_the_file_has_not_is_no_content(file):
    with pytest.raises(LeaseBrokenError):
        copied(file, 0, SIZE + 1)


def test_without_the_lease_nothing_is_read(file):
    with pytest.raises(LeaseBrokenError):
        copied(file, before=lambda lease: lease.give_back())


def test_what_was_read_while_the_lease_ended_is_not_sent(file, monkeypatch):
    held = []

    def ended(descriptor, buffers, at, _flags):
        read = read_vector(descriptor, buffers, at)
        held[0].give_back()
        return read

    monkeypatch.setattr(os, "preadv", ended)
    with pytest.raises(LeaseBrokenError):
        copied(file, before=held.append)
