"""Choosing, for one file, the way that takes the fewest bytes, and checking that it gives the file back."""

import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from lockgate.crossing.delta.bounds import MIB, Readable, Spool
from lockgate.crossing.delta.chunks import ChunkIndex
from lockgate.crossing.delta.errors import PatchError, PatchLimitError
from lockgate.crossing.delta.plan import OldFile, Patch, Planner
from lockgate.crossing.delta.rebuild import rebuild

_GOOD: Final = 0.30
"""A patch of the members that is shorter than this part of the file is not compared with other ways."""

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
        kept: Members that are carried as they are, because their compressor cannot be run again.
        why: One sentence for the plan.

    """

    kind: str
    size: int
    patch: Readable | None = None
    bases: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    why: str = ""


def gives(patch: Readable, bases: Sequence[Readable], sha256: str) -> bool:
    """Tell whether a patch rebuilds the file with a digest."""
    state = hashlib.sha256()
    try:
        for data in rebuild(patch, bases):
            state.update(data)
    except (PatchError, PatchLimitError):
        return False
    return state.hexdigest() == sha256


class Chooser:
    """Chooses among all ways for one file after the other."""

    def __init__(
        self,
        pool: Executor,
        spool: Spool,
        index: Callable[[], ChunkIndex],
        advance: Callable[[int], None] = lambda _: None,
    ) -> None:
        """Use a pool and a spool for patches; the index of chunks is asked for only when it is needed."""
        self._pool = pool
        self._spool = spool
        self._index = index
        self._planner = Planner(pool, spool, advance)

    def choose(self, name: str, sha256: str, new: Readable, old: OldFile | None) -> Choice:
        """Return the way that takes the fewest bytes, checked by rebuilding.

        Args:
            name: The file's path.
            sha256: Its digest.
            new: Its bytes.
            old: The file that it most likely is a version of.

        """
        found = sorted(self._ways(name, new, old), key=lambda way: way[0].size)
        refused = False
        for patch, olds in found:
            if patch.size >= new.size * _WORTH:
                break
            if gives(patch.file, [o.file for o in olds], sha256):
                return Choice(
                    *(patch.kind, patch.size, patch.file, tuple(o.sha256 for o in olds), patch.kept),
                    _why(patch, olds, new.size),
                )
            refused = True
        why = "no patch gave the very same bytes" if refused else "nothing like it is held"
        return Choice("whole", new.size, why=why if not found or refused else "no patch is clearly shorter")

    def _ways(self, name: str, new: Readable, old: OldFile | None) -> list[tuple[Patch, list[OldFile]]]:
        found: list[tuple[Patch, list[OldFile]]] = []
        if old is not None:
            first = self._planner.members(name, new, old)
            found.append((first, [old]))
            if first.size < new.size * _GOOD:
                return found
            found.append((self._planner.plain(name, new, [old]), [old]))
        if old is None or min(patch.size for patch, _ in found) > new.size // 2:
            index = self._index()
            chunks = index.patch(new, self._pool, self._spool)
            if chunks is not None:
                found.append((chunks, index.used(chunks)))
        if new.size <= _PACKED_MOST:
            packed = self._planner.plain(name, new, [])
            found.append((Patch(packed.file, "packed"), []))
        return found


def _why(patch: Patch, olds: Sequence[OldFile], size: int) -> str:
    share = f"{100 * patch.size / size:.1f} % of the file"
    kept = f"; {len(patch.kept)} members as they are, first {patch.kept[0]}" if patch.kept else ""
    if not olds:
        return f"compressed, {share}"
    return f"against {olds[0].name}, {share}{kept}"
