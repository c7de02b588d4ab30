"""Collecting npm packages: resolved by npm itself, every archive compared with its SHA-512."""

from lockgate.collect.npm.client import NpmCommand
from lockgate.collect.npm.ports import Locked, NpmClient, Project
from lockgate.collect.npm.section import NpmSection

__all__ = ["Locked", "NpmClient", "NpmCommand", "NpmSection", "Project"]
