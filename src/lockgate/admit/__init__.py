"""The gate: verify, quarantine, inspect, approve, publish, roll back."""

from lockgate.admit.assess import Assessment
from lockgate.admit.model import ChannelPointer, Crossing, Verdicts
from lockgate.admit.parts import GateParts, ReadingParts
from lockgate.admit.ports import Change, Every, FileInspector, Page, PageMaker, Renewal, ToInspect
from lockgate.admit.service import Gate

__all__ = [
    "Assessment",
    "Change",
    "ChannelPointer",
    "Crossing",
    "Every",
    "FileInspector",
    "Gate",
    "GateParts",
    "Page",
    "PageMaker",
    "ReadingParts",
    "Renewal",
    "ToInspect",
    "Verdicts",
]
