"""The function that rebuilds a file inside the sandbox."""

from collections.abc import Iterator

import msgspec

from lockgate.core.artifact import Digest
from lockgate.crossing.delta.bounds import DescriptorFile, MappedFile
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.rebuild import rebuild
from lockgate.crossing.delta.recipe import read_recipe

ENTRY = "lockgate.crossing.delta.worker:rebuild_entry"


class RebuildArgs(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the rebuilding function is told: length, and digest and descriptor of every base, in order."""

    size: int
    bases: tuple[tuple[Digest, int], ...]


def rebuild_entry(data: memoryview, args: bytes) -> Iterator[bytes]:
    """Yield the file that a patch describes.

    Args:
        data: The patch.
        args: See `RebuildArgs`; the bases are open descriptors.

    Raises:
        PatchError, PatchLimitError: The patch is refused.

    """
    given = msgspec.json.decode(args, type=RebuildArgs)
    patch = MappedFile(data)
    recipe, _ = read_recipe(patch)
    if [base.sha256 for base in recipe.bases] != [digest for digest, _ in given.bases]:
        raise PatchError("A patch builds on other files than its crate says.")
    if recipe.size != given.size:
        raise PatchError("A patch gives another length than the signed metadata says.")
    yield from rebuild(patch, [DescriptorFile(descriptor) for _, descriptor in given.bases])
