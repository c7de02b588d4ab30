"""Every bound on what advisory data can make this machine do."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of loading and matching; an error names the field that was reached."""

    record_bytes: int = 8 << 20
    """Longest record of a data set, in bytes."""
    records: int = 500_000
    """Most records of one data set."""
    total_bytes: int = 8 << 30
    """Most unpacked bytes of one data set."""
    archive_bytes: int = 2 << 30
    """Longest archive, in bytes."""
    directory_bytes: int = 48 << 20
    """Longest central directory of an archive, in bytes: all of it is held in memory."""
    table_bytes: int = 256 << 20
    """Longest unpacked KEV catalogue or EPSS table, in bytes."""
    rows: int = 2_000_000
    """Most rows of an EPSS table."""
    affected: int = 2_000
    """Most affected packages of one record (Linux distributions list each binary)."""
    events: int = 10_000
    """Most range events of one affected package."""
    versions: int = 100_000
    """Most listed versions of one affected package."""
    aliases: int = 1_000
    """Most aliases of one record, and most identifiers that are merged into one finding."""
    depth: int = 16
    """Deepest folder below the one that is loaded."""
    faults: int = 1_000
    """Most unreadable records of a data set that is loaded as incomplete."""
    packages: int = 1_000_000
    """Most packages of one question."""
    bill_bytes: int = 256 << 20
    """Longest bill of materials or VEX document, in bytes."""
    claims: int = 200
    """Most claims of one VEX document: approvers read each."""
    version_length: int = 200
    """Longest version text that is compared, in characters."""
    name_length: int = 512
    """Longest package name, ecosystem or identifier, in characters."""
