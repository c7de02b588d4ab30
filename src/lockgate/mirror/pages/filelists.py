"""What some files change in the listings of their folders, without a look at all other files.

A folder's checksum file lists everything below it, one line for each path in their order; its listing has a
row for each file and folder in it. So both are read as they were, and lines and rows put in or taken out.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from urllib.parse import unquote

from lockgate.core.artifact import ArtifactFile
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages.base import Page, newest_by_path, of_kind
from lockgate.mirror.pages.files import (
    KINDS,
    SUMS,
    file_row,
    folder_row,
    folders_of,
    listing,
    sums_line,
    sums_page,
)

_DIGEST = 64 + len("  ")
"""Where the path begins in a line of a checksum file."""

_ROW = re.compile(r'<li><a href="([^"]*)">.*</li>')


def edited(
    before: Sequence[Admitted], after: Sequence[Admitted], page: Callable[[str], bytes | None]
) -> tuple[set[str], list[Page]] | None:
    """Return paths of pages that go or become other ones, and the pages that come; None: look at everything.

    Args:
        before: Every artifact that has a path of a file that comes or goes; others may be among them.
        after: The same, afterwards.
        page: Returns the bytes of a page as it was.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.

    """
    was, now = (newest_by_path(of_kind(each, *KINDS)) for each in (before, after))
    changes = {p: now.get(p) for p in {*was, *now} if was.get(p) != now.get(p)}
    if any(path.rpartition("/")[2] == SUMS for path in changes):
        return None  # a file of that name stands in the page's place
    gone, pages = set[str](), list[Page]()
    for folder in sorted(folders_of(changes)):
        prefix = f"{folder}/" if folder else ""
        rows, sums = page(f"files/{prefix}index.html"), page(f"files/{prefix}{SUMS}")
        if (rows is None) != (sums is None) or (rows is None and not prefix):
            return None  # no checksum file of its own beside a listing
        old = {f"files/{prefix}index.html": rows, f"files/{prefix}{SUMS}": sums}
        new = {each.path: each for each in _edited(prefix, rows or b"", sums or b"", changes)}
        gone.update(
            path
            for path, body in old.items()
            if body is not None and (path not in new or new[path].body != body)
        )
        pages += (each for path, each in new.items() if old[path] != each.body)
    return gone, pages


def _edited(
    prefix: str, rows: bytes, sums: bytes, changes: Mapping[str, ArtifactFile | None]
) -> Iterable[Page]:
    """Yield a folder's pages after some changes; none where nothing is left in it."""
    below = {
        path.removeprefix(prefix): file for path, file in sorted(changes.items()) if path.startswith(prefix)
    }
    sums = _summed(sums, below)
    if not sums and prefix:
        return
    found = {unquote(row[1]): row[0] for row in _ROW.finditer(rows.decode())}
    for name, file in below.items():
        first, slash, _ = name.partition("/")
        if not slash and file is not None:
            found[name] = file_row(name, file)
        elif not slash:
            found.pop(name, None)
        elif _has(sums, f"{first}/"):
            found[f"{first}/"] = folder_row(first)
        else:
            found.pop(f"{first}/", None)
    folders = sorted(name.removesuffix("/") for name in found if name.endswith("/"))
    files = sorted(name for name in found if not name.endswith("/"))
    yield listing(prefix, [*(found[f"{name}/"] for name in folders), *(found[name] for name in files)])
    yield sums_page(prefix, sums)


def _summed(sums: bytes, below: Mapping[str, ArtifactFile | None]) -> bytes:
    """Return a checksum file with some lines put in, changed or taken out; paths in their order."""
    pieces, at = list[bytes](), 0
    for name, file in below.items():
        path = name.encode()
        begin = _place(sums, path, at)
        end = sums.find(b"\n", begin) + 1 or len(sums)
        there = sums[begin + _DIGEST : end - 1] == path
        pieces.append(sums[at:begin])
        if file is not None:
            pieces.append(sums_line(name, file).encode())
        at = end if there else begin
    return b"".join((*pieces, sums[at:]))


def _has(sums: bytes, start: str) -> bool:
    """Tell whether a path that begins so is listed."""
    begin = _place(sums, start.encode(), 0)
    return sums.startswith(start.encode(), begin + _DIGEST)


def _place(sums: bytes, path: bytes, low: int) -> int:
    """Return where the first line begins, from `low` on, whose path is not less than one."""
    high = len(sums)
    while low < high:
        middle = (low + high) // 2
        begin = max(sums.rfind(b"\n", low, middle) + 1, low)
        end = sums.index(b"\n", middle) + 1
        if sums[begin + _DIGEST : end - 1] < path:
            low = end
        else:
            high = begin
    return low
