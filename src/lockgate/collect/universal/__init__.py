"""Python packages for several environments at once, from several indexes, and as source archives."""

from lockgate.collect.universal.ports import Described, Index, Locker, Scope
from lockgate.collect.universal.uv import UvLocker

__all__ = ["Described", "Index", "Locker", "Scope", "UvLocker"]
