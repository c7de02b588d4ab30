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
        inner = sorted({name.partition("/")[0] for name in below if "/" in name})
        rows = [folder_row(name) for name in inner]
        rows += [file_row(name, file) for name, file in below.items() if "/" not in name]
        yield listing(prefix, rows)
        if SUMS not in below:  # a file of that name that was brought in stays what it is
            yield sums_page(prefix, "".join(sums_line(*each) for each in below.items()).encode())


def folder_row(name: str) -> str:
    """Return the row of a folder in a listing."""
    return f'<li><a href="{quote(name)}/">{escape(name)}/</a></li>'


def file_row(name: str, file: ArtifactFile) -> str:
    """Return the row of a file in a listing."""
    return f'<li><a href="{quote(name)}">{escape(name)}</a> {file.size} bytes, sha256 {file.sha256}</li>'


def sums_line(name: str, file: ArtifactFile) -> str:
    """Return the line of a file in a checksum file, as ``sha256sum`` reads it."""
    return f"{file.sha256}  {name}\n"


def sums_page(prefix: str, lines: bytes) -> Page:
    """Return the checksum file of a folder from its lines."""
    return Page(path=f"files/{prefix}{SUMS}", media_type=TEXT_TYPE, body=lines)


def listing(prefix: str, rows: Sequence[str]) -> Page:
    """Return the listing of a folder from its rows, folders first."""
    title = escape(f"Index of /{prefix}")
    body = (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f"<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n<ul>\n"
        + "".join(f"{row}\n" for row in rows)
        + f'</ul>\n<p><a href="{SUMS}">{SUMS}</a></p>\n</body>\n</html>\n'
    )
    return Page(path=f"files/{prefix}index.html", media_type=HTML_TYPE, body=body.encode())
