"""What ``torch.save`` wrote before it wrote ZIP archives: five pickles, then the raw storages.

Format: ``torch/serialization.py``, ``_legacy_load``: magic number, protocol version, facts of the
machine, the object itself with persistent ids in place of storages, the keys of the storages in
the order in which their elements follow (each a count of 64 bits, then the elements).
"""

from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.inspectors.pickle_machine import walk
from lockgate.inspect.inspectors.pickle_profiles import candidates
from lockgate.inspect.inspectors.pickle_values import Global
from lockgate.inspect.inspectors.pickles import Stream, judge
from lockgate.inspect.inspectors.torch_storage import ELEMENT_BYTES
from lockgate.inspect.limits import demand
from lockgate.inspect.tally import Context, Tally

_PICKLES = 5
_COUNT = 8
_ID = 5


def inspect_legacy(data: memoryview, tally: Tally, context: Context) -> None:
    """Claim the pickles and the storages that they name.

    Raises:
        BrokenContentError: The storages are not as the pickles say.

    """
    stream = Stream()
    for _ in range(_PICKLES):
        seen = walk(data, start=stream.end)
        stream.walks.append(seen)
        stream.end = seen.end
        if not seen.complete:
            break
    if judge(tally, stream, candidates(context.profile)) is None:
        return
    if len(stream.walks) != _PICKLES:
        what = "The pickles of an old torch file are not complete."
        raise BrokenContentError(what, at=stream.end)
    sizes = dict(_storage(item) for item in stream.walks[3].persistent)
    demand(len(sizes), context.limits.tensors, "tensors")
    at = stream.end
    for key in stream.walks[4].texts:
        if key not in sizes:
            what = f"The storage {key[:40]!r} belongs to no tensor."
            raise BrokenContentError(what, at=at)
        count = int.from_bytes(data[at : at + _COUNT], "little")
        width, elements = sizes.pop(key)
        if count != elements or at + _COUNT + count * width > len(data):
            what = f"The storage {key[:40]!r} has another length than its tensors say."
            raise BrokenContentError(what, at=at)
        at += _COUNT + count * width
    if sizes:
        what = f"{len(sizes)} storages are missing."
        raise BrokenContentError(what, at=at)
    tally.claim(0, at)
    tally.opaque.add("torch-storage")
    if at < len(data):
        tally.note("pickle-tail", Severity.MEDIUM, f"{len(data) - at} bytes follow the storages.", at)


def _storage(item: Any) -> tuple[str, tuple[int, int]]:
    """Return the key of a persistent id with the bytes of an element and the count of elements."""
    if isinstance(item, tuple) and len(item) > _ID and item[0] == "storage" and isinstance(item[1], Global):
        _, kind, key, _, count, *view = item
        width = ELEMENT_BYTES.get(kind.name)
        if width and isinstance(key, str) and type(count) is int and count >= 0 and view == [None]:
            return key, (width, count)
    what = "A storage is named in a way that is not read."
    raise BrokenContentError(what)
