"""How indexes are compressed: the same text gives the same bytes, as long as the libraries stay."""

import gzip
import zlib
from functools import cache

import zstandard

from lockgate.core.digests import sha256

# Fast rather than small: an index is made anew for each snapshot, and crosses no gap.
_GZIP_LEVEL = 6
_ZSTD_LEVEL = 9

_PROBE_LINES = 2000


def gzipped(text: bytes) -> bytes:
    """Return text as gzip writes it, without a time."""
    return gzip.compress(text, _GZIP_LEVEL, mtime=0)


def zst(text: bytes) -> bytes:
    """Return text as zstd writes it."""
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(text)


@cache
def compressors() -> str:
    """Return a text that differs where another library, or another of its versions, compresses otherwise.

    Not every library tells its version, so that a sample is compressed as well.
    """
    lines = (f"{number} {sha256(b'%d' % number)[:20]}\n" for number in range(_PROBE_LINES))
    sample = "".join(lines).encode()
    versions = f"{zlib.ZLIB_RUNTIME_VERSION} {zstandard.ZSTD_VERSION}".encode()
    return sha256(b"".join((versions, gzipped(sample), zst(sample))))
