"""Choosing, for one file, the way that takes the fewest bytes, and checking that it gives the file back."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from typing import Final

from lockgate.crossing.delta.bounds import MIB, Readable, Spool
from lockgate.crossing.delta.chunks import ChunkIndex, unlike
from lockgate.crossing.delta.errors import PatchError, PatchLimitError
from lockgate.crossing.delta.memory import return_large_blocks
from lockgate.crossing.delta.plan import OldFile, Patch, Planner
from lockgate.crossing.delta.rebuild import rebuild

_LITTLE: Final = 4096
"""A patch of the members that is not longer than so many bytes is not compared with other ways."""

_LIKELY: Final = 0.2
"""A patch of plain bytes takes at least about this part of the bytes that the old file does not have."""

_POOR: Final = 0.5
"""A patch that is longer than this part of the file is compared with chunks of everything that is held."""

_WORTH: Final = 0.98
"""A patch that is not shorter than this part of the file is not carried: the whole file is."""

_PACKED_MOST: Final = 64 * MIB
"""Longest file that is packed where nothing like it is held: longer ones are compressed already."""


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file crosses.

    Attributes:
        kind: ``patch``, ``tensors``, ``bytes``, ``chunks``, ``packed`` or ``whole``.
        size: Bytes that cross.
        patch: The patch; None for ``whole``.
        bases: Digests of the files that it builds on, in the patch's order.
        kept: Members that are not taken apart, because their compressor cannot be run again.
        why: One sentence for the plan.

    """

    kind: str
    size: int
    patch: Readable | None = None
    bases: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    why: str = ""


def gives(patch: Readable, bases: Sequence[Readable]) -> str:
    """Return the digest of the file that a patch rebuilds, none where it rebuilds nothing."""
    state = hashlib.sha256()
    try:
        for data in rebuild(patch, bases):
            state.update(data)
    except (PatchError, PatchLimitError):
        return ""
    return state.hexdigest()


class Chooser:
    """Chooses among all ways for one file after the other."""

    def __init__(
        self,
        pool: Executor,
        spool: Spool,
        index: Callable[[], ChunkIndex],
    ) -> None:
        """Use a pool and a spool for patches; the index of chunks is asked for only when it is needed."""
        return_large_blocks()
        self._pool = pool
        self._spool = spool
        self._index = index
        self._planner = Planner(pool, spool)

    def choose(self, name: str, sha256: str, new: Readable, old: OldFile | None) -> Choice:
        """Return the way that takes the fewest bytes, checked by rebuilding.

        Args:
            name: The file's path.
            sha256: Its digest.
            new: Its bytes.
            old: The file that it most likely is a version of.

        """
        ways = self._ways(name, new, old)
        kept = next((patch.kept for patch, _ in ways if patch.kept), ())
        found = sorted(ways, key=lambda way: way[0].size)
        refused = False
        for patch, olds in found:
            if patch.size >= new.size * _WORTH:
                break
            if (patch.gives or gives(patch.file, [o.file for o in olds])) == sha256:
                bases = tuple(o.sha256 for o in olds)
                why = _why(patch, olds, new.size) + _named(kept)
                return Choice(patch.kind, patch.size, patch.file, bases, kept, why)
            refused = True
        why = "no patch gave the very same bytes" if refused else "nothing like it is held"
        why = why if not found or refused else "no patch is clearly shorter"
        return Choice("whole", new.size, kept=kept, why=why + _named(kept))

    def _ways(self, name: str, new: Readable, old: OldFile | None) -> list[tuple[Patch, list[OldFile]]]:
        found: list[tuple[Patch, list[OldFile]]] = []
        least = new.size
        if old is not None:
            found.append((self._planner.members(name, new, old), [old]))
            least = found[0][0].size
            likely = _POOR if found[0][0].kind == "tensors" else _LIKELY
            if least > _LITTLE and least > likely * unlike(new, old.file):
                found.append((self._planner.plain(name, new, [old]), [old]))
                least = min(least, found[-1][0].size)
        if least > new.size * _POOR:
            index = self._index()
            chunks = index.patch(new, self._pool, self._spool)
            if chunks is not None:
                found.append((chunks, index.used(chunks)))
            if new.size <= _PACKED_MOST:
                packed = self._planner.plain(name, new, [])
                found.append((replace(packed, kind="packed"), []))
        return found


def _why(patch: Patch, olds: Sequence[OldFile], size: int) -> str:
    share = f"{100 * patch.size / size:.1f} % of the file"
    return f"against {olds[0].name}, {share}" if olds else f"compressed, {share}"


def _named(kept: Sequence[str]) -> str:
    """Return the words that name members whose compressor cannot be run again."""
    if not kept:
        return ""
    count = "1 member is" if len(kept) == 1 else f"{len(kept)} members are"
    return f"; {count} not taken apart (its compressor is unknown here): {kept[0]}"
