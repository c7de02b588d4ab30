"""The sections of `lockgate.toml`: every key with its bounds, its default and its meaning."""

from lockgate.app.sections.answer import EngineSection, GuardSection, KnowledgeSection, ShapingSection
from lockgate.app.sections.base import Section
from lockgate.app.sections.gate import (
    AdvisoriesSection,
    CadenceSection,
    ClamavSection,
    ProvenanceSection,
    ReinspectSection,
)
from lockgate.app.sections.lane import (
    AuditSection,
    CustodySection,
    LaneSection,
    LimitsSection,
    LogSection,
    SealSection,
    StoreSection,
    TrustSection,
)
from lockgate.app.sections.serve import IdentitiesSection, ServeSection
from lockgate.app.sections.station import StationSection

__all__ = [
    "AdvisoriesSection",
    "AuditSection",
    "CadenceSection",
    "ClamavSection",
    "CustodySection",
    "EngineSection",
    "GuardSection",
    "IdentitiesSection",
    "KnowledgeSection",
    "LaneSection",
    "LimitsSection",
    "LogSection",
    "ProvenanceSection",
    "ReinspectSection",
    "SealSection",
    "Section",
    "ServeSection",
    "ShapingSection",
    "StationSection",
    "StoreSection",
    "TrustSection",
]
