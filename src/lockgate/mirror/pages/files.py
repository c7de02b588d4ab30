"""The file mirror's pages: one listing per folder, and SHA256SUMS for all that lies below it."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from lockgate.core.artifact import ArtifactFile, Kind
from lockgate.core.snapshot import Admitted
from lockgate.mirror.pages.base import HTML_TYPE, TEXT_TYPE, Page, ReadBlob, newest_by_path, of_kind

SUMS = "SHA256SUMS"


def served_files(admitted: Sequence[Admitted]) -> dict[str, ArtifactFile]:
    """Return documents, plain files and packs of rules by path; the newest crossing's where two share one.

    Raises:
        AmbiguousSnapshotError: One crossing brought two different files under one path.

    """
    return newest_by_path(of_kind(admitted, Kind.DOCUMENT, Kind.FILE, Kind.RULES))


def generate(admitted: Sequence[Admitted], read: ReadBlob) -> Iterator[Page]:
    """Yield a listing and a checksum file for every folder (the root among them).

    Args:
        admitted: What the snapshot admits; other kinds are passed over.
        read: Not needed here: everything these pages say stands in the lock.

    """
    del read
    files = served_files(admitted)
    paths, folders = list(files), {""}
    for path in files:
        parts = path.split("/")[:-1]
        folders.update("/".join(parts[: depth + 1]) for depth in range(len(parts)))
    for folder in sorted(folders):
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
