"""rattler as a library (py-rattler): the solver that pixi and rattler-build use. It is given files alone."""

import asyncio
import importlib
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lockgate.collect.conda.ports import CondaSolver, Wish
from lockgate.collect.errors import InstallerError, UnresolvableError
from lockgate.collect.runner import REASON_LENGTH

_VIRTUAL = {
    "linux": ("__unix", "__linux=5.10", "__glibc=2.28"),
    "osx": ("__unix", "__osx=13.0"),
    "win": ("__win=10",),
}
"""What a host of a platform has where the manifest says nothing: systems of the last five years."""


class Rattler(CondaSolver):
    """py-rattler, loaded when it is first needed."""

    def subdir(self) -> str:
        """Ask rattler."""
        return str(_library().Subdir.current())

    def solve(self, url: str, indexes: Mapping[str, Path], wish: Wish) -> Sequence[tuple[str, str]]:
        """Solve with files in place of a channel; of a package in both forms ``.conda`` is taken."""
        library = _library()
        channel = library.Channel(url)
        virtual = wish.virtual or _VIRTUAL.get(wish.subdir.partition("-")[0], ())
        try:
            with ExitStack() as stack:
                data = [
                    stack.enter_context(library.SparseRepoData(channel, subdir, str(path)))
                    for subdir, path in indexes.items()
                ]
                found = asyncio.run(
                    library.solve_with_sparse_repodata(
                        [library.MatchSpec(spec) for spec in wish.specs],
                        data,
                        virtual_packages=[_virtual(library, text) for text in virtual],
                    )
                )
        except Exception as error:  # the library's errors have no base of their own
            reason = " ".join(str(error).split())[:REASON_LENGTH].rstrip(".")
            what = f"rattler: {reason}."
            raise UnresolvableError(what, advice="Check names, versions, channel and platform.") from error
        return [(str(record.subdir), str(record.file_name)) for record in found]


def _library() -> Any:
    try:
        return importlib.import_module("rattler")
    except ImportError as error:
        what = "The manifest has conda packages, and their solver is not installed."
        raise InstallerError(what, advice="Install lockgate with its extra `conda`.") from error


def _virtual(library: Any, text: str) -> Any:
    name, _, version = text.partition("=")
    return library.GenericVirtualPackage(
        library.PackageName(name), library.Version(version or "0"), library.BuildString("0")
    )
