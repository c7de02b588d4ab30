"""Publishing targets: registries and folders that a site owns, filled from an admitted snapshot and compared.

No target can be switched as a whole: what this room hands back says so, and what is there of what was asked.
"""

from lockgate.targets.directory import DirectoryTarget
from lockgate.targets.doubles import MemoryTarget
from lockgate.targets.errors import TargetAddressError, TargetAnswerError
from lockgate.targets.nexus import NexusAptTarget
from lockgate.targets.npm import NpmTarget
from lockgate.targets.oci import OciTarget
from lockgate.targets.ports import Item, Target
from lockgate.targets.products import HarborTarget, Repositories, artifactory, nexus
from lockgate.targets.pypi import PypiTarget
from lockgate.targets.raw import RawTarget
from lockgate.targets.routed import RoutedTarget
from lockgate.targets.service import Delivered, Report, deliver
from lockgate.targets.web import Web

__all__ = [
    "Delivered",
    "DirectoryTarget",
    "HarborTarget",
    "Item",
    "MemoryTarget",
    "NexusAptTarget",
    "NpmTarget",
    "OciTarget",
    "PypiTarget",
    "RawTarget",
    "Report",
    "Repositories",
    "RoutedTarget",
    "Target",
    "TargetAddressError",
    "TargetAnswerError",
    "Web",
    "artifactory",
    "deliver",
    "nexus",
]
