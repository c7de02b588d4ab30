"""Lockgate: AI inside a closed network, and everything it needs brought across the gap."""

__version__ = "0.1.0"
