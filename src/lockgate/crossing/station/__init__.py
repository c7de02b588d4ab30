"""Transfer stations: contents before a scanner that a site is told to use, and its signed report."""

from lockgate.crossing.station.command import CommandScanner, statuses
from lockgate.crossing.station.drop import DropScanner, ResultWords
from lockgate.crossing.station.icap import IcapScanner
from lockgate.crossing.station.icap_wire import Address, read_address
from lockgate.crossing.station.identity import Identity
from lockgate.crossing.station.ledger import Kept, StationLedger
from lockgate.crossing.station.ports import Said, Scanner, Staged
from lockgate.crossing.station.report import (
    REPORT_LIMIT,
    STATION,
    as_plain,
    demand_fresh,
    demand_place,
    demand_report,
    read_report,
    sign_report,
)
from lockgate.crossing.station.sample import demand_sight
from lockgate.crossing.station.service import Opened, Station, StationParts

__all__ = [
    "REPORT_LIMIT",
    "STATION",
    "Address",
    "CommandScanner",
    "DropScanner",
    "IcapScanner",
    "Identity",
    "Kept",
    "Opened",
    "ResultWords",
    "Said",
    "Scanner",
    "Staged",
    "Station",
    "StationLedger",
    "StationParts",
    "as_plain",
    "demand_fresh",
    "demand_place",
    "demand_report",
    "demand_sight",
    "read_address",
    "read_report",
    "sign_report",
    "statuses",
]
