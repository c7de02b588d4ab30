"""Deltas: as few bytes on media as the content allows, rebuilt bit for bit on the other side.

Planning (low side): `Chooser`, `ChunkIndex`. Rebuilding (high side, in the sandbox): `rebuild`.
"""

from lockgate.crossing.delta.bounds import DescriptorFile, MemoryFile, Readable
from lockgate.crossing.delta.errors import PatchError, PatchLimitError

__all__ = ["DescriptorFile", "MemoryFile", "PatchError", "PatchLimitError", "Readable"]
