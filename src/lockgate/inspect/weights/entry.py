"""The function that the sandbox runs over two files of weights."""

import mmap
import os

import msgspec

from lockgate.inspect.limits import Limits

ENTRY = "lockgate.inspect.weights.entry:compare_entry"


class CompareArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Under which descriptor the file before can be read."""

    base: int
    limits: Limits


def compare_entry(data: memoryview, args: bytes) -> bytes:
    """Compare the new file with the one before."""
    # OpenBLAS starts threads when it is loaded, and a confined process may start none.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from lockgate.inspect.weights.compare import compare  # noqa: PLC0415  # loads numpy

    given = msgspec.json.decode(args, type=CompareArgs)
    size = os.fstat(given.base).st_size
    base = memoryview(mmap.mmap(given.base, size, prot=mmap.PROT_READ) if size else b"")
    return msgspec.json.encode(compare(base, data, given.limits))
