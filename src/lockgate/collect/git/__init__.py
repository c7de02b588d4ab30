"""Collecting git repositories: chosen references pinned to commits, checked, and bundled."""

from lockgate.collect.git.client import GitClient, GitCommand
from lockgate.collect.git.section import GitSection

__all__ = ["GitClient", "GitCommand", "GitSection"]
