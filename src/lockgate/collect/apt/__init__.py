"""Collecting Debian packages: resolved and fetched by apt itself, against suites whose signatures verify."""

from lockgate.collect.apt.client import AptCommand
from lockgate.collect.apt.ports import AptClient
from lockgate.collect.apt.section import AptSection, AptUpstream

__all__ = ["AptClient", "AptCommand", "AptSection", "AptUpstream"]
