"""Collecting conda packages: solved by rattler, out of channels reached over TLS or in a folder."""

from lockgate.collect.conda.client import Rattler
from lockgate.collect.conda.ports import CondaSolver
from lockgate.collect.conda.section import CondaSection

__all__ = ["CondaSection", "CondaSolver", "Rattler"]
