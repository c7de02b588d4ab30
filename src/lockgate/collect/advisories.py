"""Advisory data: a file like any other, or a folder of OSV records, packed the same way each time."""

import zipfile
from pathlib import Path
from tempfile import TemporaryFile

from lockgate.collect.errors import CollectLimitError, ManifestError, SourceMissingError
from lockgate.collect.manifest import AdvisoriesSection
from lockgate.collect.room import Room

_LONG_AGO = (1980, 1, 1, 0, 0, 0)
"""The date of every member: the archive follows from names and contents alone."""


def packed(room: Room, section: AdvisoriesSection, folder: Path) -> tuple[str, int]:
    """Put every OSV record below a folder into the store as one archive; return its digest and length.

    Raises:
        SourceMissingError: The folder holds no record, or a link.
        CollectLimitError: Too many records, or one is too long.
        ManifestError: It is not what the manifest pins.

    """
    files = sorted(folder.rglob("*.json"))
    if not files or any(file.is_symlink() or not file.is_file() for file in files):
        what = f"The folder of the advisories {section.name!r} holds no record, or a link."
        raise SourceMissingError(what, file=section.url)
    if len(files) > room.limits.advisories:
        what = f"The folder of the advisories {section.name!r} holds {len(files)} records."
        raise CollectLimitError(what, limit="advisories")
    with TemporaryFile(dir=room.work) as made:
        with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED) as archive:
            for file in files:
                if file.stat().st_size > room.limits.advisory_bytes:
                    what = f"The record {file.name} is longer than {room.limits.advisory_bytes} bytes."
                    raise CollectLimitError(what, limit="advisory_bytes")
                member = zipfile.ZipInfo(file.relative_to(folder).as_posix(), _LONG_AGO)
                archive.writestr(member, file.read_bytes())
        made.seek(0)
        digest, size = room.blobs.put_stream(made, limit=room.limits.file_bytes)
    if section.sha256 is not None and section.sha256 != digest:
        what = f"The records of the advisories {section.name!r} are not those that the manifest pins."
        raise ManifestError(
            what, advice=f"Their archive has the SHA-256 {digest}; pin that, or leave it out."
        )
    return digest, size
