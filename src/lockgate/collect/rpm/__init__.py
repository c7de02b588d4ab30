"""Collecting RPM packages: solved by dnf itself, out of repositories whose signatures verify."""

from lockgate.collect.rpm.client import DnfCommand
from lockgate.collect.rpm.ports import RpmClient
from lockgate.collect.rpm.section import RpmSection, RpmUpstream

__all__ = ["DnfCommand", "RpmClient", "RpmSection", "RpmUpstream"]
