"""The file mirror's pages: one listing per folder, and SHA256SUMS for all that lies below it."""

from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Sequence
from html import escape
from urllib.parse import quote

from lockgate.core.artifact import ArtifactFile, Kind
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages.base import HTML_TYPE, TEXT_TYPE, Page, ReadBlob, newest_by_path, of_kind

SUMS = "SHA256SUMS"

KINDS = (Kind.DOCUMENT, Kind.FILE, Kind.RULES)
"""What is served as plain files."""


def served_files(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return documents, plain files and packs of rules by path; the newest crossing's where two share one.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.

    """
    return newest_by_path(of_kind(admitted, *KINDS))


def folders_of(paths: Iterable[str]) -> set[str]:
    """Return the folders that files are in or below; the root, where there is a file, is empty."""
    found: set[str] = set()
    for path in paths:
        folder = path.rpartition("/")[0]
        while folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return found


def generate(
    admitted: Sequence[Admitted], read: ReadBlob, only: Collection[str] | None = None
) -> Iterator[Page]:
    """Yield a listing and a checksum file for every folder (the root among them).

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Not needed here: everything these pages say stands in the lock.
        only: Folders whose pages are wanted; all where it is left out.

    """
    del read
    files = served_files(admitted)
    paths, folders = list(files), folders_of(files) | {""}
    for folder in sorted(folders if only is None else folders.intersection(only)):
        prefix = f"{folder}/" if folder else ""
        # What lies in a folder stands together: paths are sorted, and "0" is what follows "/".
        end = bisect_left(paths, f"{folder}0") if folder else len(paths)
        below = {p.removeprefix(prefix): files[p] for p in paths[bisect_left(paths, prefix) : end]}
        yield _listing(prefix, below)
        if SUMS not in below:  # a file of that name that was brought in stays what it is
            sums = "".join(f"{file.sha256}  {name}\n" for name, file in below.items())
            yield Page(path=f"files/{prefix}{SUMS}", media_type=TEXT_TYPE, body=sums.encode())


def _listing(prefix: str, below: dict[str, ArtifactFile]) -> Page:
    title = escape(f"Index of /{prefix}")
    folders = sorted({name.partition("/")[0] for name in below if "/" in name})
    rows = [f'<li><a href="{quote(name)}/">{escape(name)}/</a></li>' for name in folders]
    rows += [
        f'<li><a href="{quote(name)}">{escape(name)}</a> {file.size} bytes, sha256 {file.sha256}</li>'
        for name, file in below.items()
        if "/" not in name
    ]
    body = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<ul>\n"
        + "".join(f"{row}\n" for row in rows)
        + f'</ul>\n<p><a href="{SUMS}">{SUMS}</a></p>\n</body>\n</html>\n'
    )
    return Page(path=f"files/{prefix}index.html", media_type=HTML_TYPE, body=body.encode())
