"""Collecting on the low side: from a manifest to a lock, its bytes and its bill of materials."""

from lockgate.collect.difference import Change, Difference, State, compare
from lockgate.collect.guide import Explained, example, explain, schema
from lockgate.collect.manifest import Manifest, parse_manifest
from lockgate.collect.npm import NpmClient, NpmCommand
from lockgate.collect.pip import PipPackages
from lockgate.collect.plan import Foreseen, plan
from lockgate.collect.ports import Limits, Packages, Web
from lockgate.collect.sbom import bill_of_materials
from lockgate.collect.service import Collected, collect
from lockgate.collect.web import UrlWeb, WebSettings

__all__ = [
    "Change",
    "Collected",
    "Difference",
    "Explained",
    "Foreseen",
    "Limits",
    "Manifest",
    "NpmClient",
    "NpmCommand",
    "Packages",
    "PipPackages",
    "State",
    "UrlWeb",
    "Web",
    "WebSettings",
    "bill_of_materials",
    "collect",
    "compare",
    "example",
    "explain",
    "parse_manifest",
    "plan",
    "schema",
]
