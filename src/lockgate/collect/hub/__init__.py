"""Repositories of the Hugging Face Hub: pinned to a commit, every file checked against the tree."""

from lockgate.collect.hub.client import Hub, WebHub

__all__ = ["Hub", "WebHub"]
