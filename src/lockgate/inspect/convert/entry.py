"""The functions that the sandbox runs to convert weights and to flatten documents."""

import os
from collections.abc import Iterator

import msgspec


def torch_entry(data: memoryview, args: bytes) -> Iterator[bytes]:
    """Yield a torch archive as safetensors."""
    # OpenBLAS starts threads when it is loaded, and a confined process may start none.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    from lockgate.inspect.convert.torch_weights import ConvertArgs, convert  # noqa: PLC0415  # loads numpy

    yield from convert(data, msgspec.json.decode(args, type=ConvertArgs).limits)


def pictures_entry(data: memoryview, args: bytes) -> Iterator[bytes]:
    """Yield a PDF as one of pictures of its pages."""
    from lockgate.inspect.convert.pictures import PicturesArgs, pictures  # noqa: PLC0415  # with its library

    yield from pictures(data, msgspec.json.decode(args, type=PicturesArgs).limits)


def text_entry(data: memoryview, args: bytes) -> bytes:
    """Return the visible text of a document."""
    from lockgate.inspect.convert.documents import FlattenArgs, flatten  # noqa: PLC0415  # with its libraries

    given = msgspec.json.decode(args, type=FlattenArgs)
    return flatten(data, given.detected, given.limits).encode("utf-8")
