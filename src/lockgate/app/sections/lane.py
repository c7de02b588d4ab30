"""Sections of both sides: which lane, who is trusted, how crates are made, where things are kept."""

from typing import Literal

from pydantic import Field

from lockgate.app.sections.base import Section


class LaneSection(Section):
    """Which lane and which side."""

    name: str = Field(description="Name of the lane; both sides use the same.")
    side: Literal["low", "high", "station"] = Field(
        description="low (connected), high (isolated), or station (a transfer station between them)."
    )
    assurance: Literal["demo", "production"] = Field(
        "production", description="Demo lanes say so everywhere."
    )


class TrustSection(Section):
    """What was pinned when the lane was made."""

    supply_pin: str = Field(description="SHA-256 of the first supply root, compared aloud on both sides.")
    site_pin: str = Field(description="SHA-256 of the site root, compared aloud on both sides.")


class SealSection(Section):
    """How crates are made (low side)."""

    volume_bytes: int = Field(
        default=4 * 2**30 - 1, ge=2 * 2**20, description="Largest volume in bytes; FAT32 takes 4 GiB - 1."
    )
    parity: str = Field(
        default="0%",
        pattern=r"^(100|[0-9]{1,2})(\.[0-9]{1,2})?%$",
        description="Parity volumes, as a share of the volumes, from which lost or damaged ones are rebuilt.",
    )
    expires_days: int = Field(
        default=45, ge=1, le=400, description="Days until a crate may no longer be admitted."
    )
    build_from: int = Field(
        default=1,
        ge=1,
        description="Oldest crossing that crates build on; a recipient that joined later holds none before.",
    )


class CustodySection(Section):
    """What a counter needs to know (both sides)."""

    call: str = Field(
        default="", max_length=40, description="Whom to call when a package is not right; stands on slips."
    )


class StoreSection(Section):
    """Where records and blobs are kept. Secrets stand in files; relative ones lie below the home."""

    records: str = Field(
        default="",
        description="Address of the records, as `postgresql://user@host/name`; empty: SQLite in the home.",
    )
    audit: str = Field(
        default="", description="Address of the log, a database of its own; empty: SQLite in the home."
    )
    password_file: str = Field(default="", description="File with the password of both addresses' user.")
    blobs: str = Field(default="", description="Bucket of blobs, as `s3://bucket/prefix`; empty: `blobs/`.")
    s3_endpoint: str = Field(default="", description="Address of the object store, as `https://host:port`.")
    s3_region: str = Field(default="us-east-1", description="Region that requests are signed for.")
    s3_key_file: str = Field(default="", description="File with the access key, as `id:secret`.")
    spool_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Largest content that passes to a bucket through this disk."
    )
    copies_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Most bytes of local copies of a bucket's blobs."
    )


class AuditSection(Section):
    """Who outside this host vouches for the audit log."""

    witness: str = Field(
        default="",
        description="Addresses of witnesses inside the network, in numbers, as `http://192.0.2.7:8790`, with "
        "spaces between; empty: nobody is asked.",
    )
    witness_every_seconds: int = Field(
        default=900, ge=10, le=86_400, description="Seconds until a witness is asked again without admission."
    )


class LogSection(Section):
    """What is logged. Lines go to standard error; those of services to their files below `run/`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of the services' logs; the variable holds for every command."
    )


class LimitsSection(Section):
    """Bounds on what untrusted input can make this side do."""

    inspect_seconds: int = Field(default=60, ge=1, description="Time for one file; size adds to it.")
    inspect_memory_bytes: int = Field(default=3 << 30, ge=1 << 26, description="Most memory for one file.")
    inspect_member_bytes: int = Field(default=1 << 30, ge=1, description="Largest member of an archive.")
    inspect_unpacked_bytes: int = Field(default=8 << 30, ge=1, description="Most that an archive unpacks to.")
