"""Sections of the gate: data that ages, crossings that are due, looking again, second opinions."""

from pydantic import Field

from lockgate.app.sections.base import Section


class AdvisoriesSection(Section):
    """Vulnerability data."""

    age_days: int = Field(
        default=14, ge=1, le=400, description="Age of the newest record from which data is too old."
    )


class ProvenanceSection(Section):
    """What signatures are judged by."""

    age_days: int = Field(
        default=180, ge=1, le=2000, description="Age from which trust roots judge nothing any more."
    )


class CadenceSection(Section):
    """When crossings are planned."""

    first: str = Field(default="", description="First planned day, as 2026-01-05; empty: no plan.")
    every_days: int = Field(default=7, ge=1, le=400, description="Days from one planned day to the next.")
    grace_days: int = Field(default=2, ge=0, le=400, description="Days after which a planned one is missed.")


class ReinspectSection(Section):
    """Looking again at what was admitted, when rules or inspectors are newer (high side)."""

    every_seconds: int = Field(
        default=3600, ge=0, le=30 * 86_400, description="Seconds between two looks of the services; 0: never."
    )
    bytes_per_second: int = Field(
        default=32 << 20, ge=1 << 10, description="Most bytes that are looked at again in a second."
    )


class ClamavSection(Section):
    """ClamAV's daemon as a second opinion at inspection (high side)."""

    socket: str = Field(default="", description="Unix socket of clamd; empty: it is not asked.")
    kinds: str = Field(
        default="python npm document file oci space dataset",
        description="Kinds of artifacts whose files it is shown, with spaces between.",
    )
    required: bool = Field(
        default=True, description="Whether nothing is inspected while it is down or its data too old."
    )
    database: str = Field(
        default="", description="Its folder of signatures, where its version names no date."
    )
    database_days: int = Field(
        default=7, ge=0, le=400, description="Days that its data may be old; 0: any age."
    )
    largest_bytes: int = Field(
        default=100 << 20,
        ge=1 << 10,
        description="Longest file that it is shown, as StreamMaxLength; a longer one is incomplete.",
    )
    seconds: int = Field(default=120, ge=1, le=3600, description="How long it may be silent.")
