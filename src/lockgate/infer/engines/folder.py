"""Programs that read a model from a folder: its files are hashed and laid into memory that nobody else sees.

The folder is made anew for each start. Where the system allows it, the program finds a private copy of the
files there, hashed while it was made; where it does not, it finds links to the files that were hashed.
"""

import asyncio
import os
import shutil
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from lockgate.core.artifact import safe_path
from lockgate.core.digests import sha256
from lockgate.core.ports import Clock
from lockgate.infer.engines.installation import Installation
from lockgate.infer.engines.ports import Enforcement
from lockgate.infer.engines.process import Launch, Tree
from lockgate.infer.engines.sealed import hashed
from lockgate.infer.engines.supervised import SILENT, ConfigT, Order, SupervisedEngine
from lockgate.infer.errors import ModelMismatchError
from lockgate.infer.limits import EngineLimits
from lockgate.infer.ports import ModelFile

FOLDER = "model"
"""Name of the model's folder below the engine's own."""

_CODE = "code"


def below(top: PurePosixPath, files: Sequence[ModelFile]) -> dict[str, ModelFile]:
    """Return the files below a folder by their paths from there."""
    return {
        PurePosixPath(file.path).relative_to(top).as_posix(): file
        for file in files
        if PurePosixPath(file.path).is_relative_to(top)
    }


class FolderEngine(SupervisedEngine[ConfigT]):
    """A supervised program that is given the folder of a model.

    Args:
        model: The admitted weights; the digest that receipts name.
        files: Every admitted file of the model, the weights among them.
        open_file: Opens one by its digest, for reading.
        installation: The installed program and the digests of its admitted files.
        config: How to supervise it.
        limits: Bounds on what is taken from it.
        clock: Dates the load.

    """

    alone = False
    """Whether the program needs no network but loopback within itself."""

    def __init__(
        self,
        *,
        model: ModelFile,
        files: Sequence[ModelFile],
        open_file: Callable[[str], BinaryIO],
        installation: Installation,
        config: ConfigT,
        limits: EngineLimits,
        clock: Clock,
    ) -> None:
        """Keep the parts; nothing is started."""
        super().__init__(model=model, installation=installation, config=config, limits=limits, clock=clock)
        self._files = tuple(files)
        self._open_file = open_file
        self._run = config.run_folder

    @property
    def _place(self) -> Path:
        return self._run / FOLDER

    @abstractmethod
    def _ordered(self, launch: Launch, stack: ExitStack) -> Order:
        """Return how the program is started by a launch."""

    def _wanted(self) -> Mapping[str, ModelFile]:
        """Return the model's files by where the program looks for them below the model's folder."""
        return below(PurePosixPath(self._model.path).parent, self._files)

    def _written(self) -> Mapping[str, bytes]:
        """Return small files of ours that go beside the model's own."""
        return {}

    async def _order(self, stack: ExitStack) -> Order:
        """Hash the model's files and say how the program is started."""
        tree = await asyncio.to_thread(self._tree, stack)
        launch = Launch(self._installation, self._config.copy_limit, tree, alone=self.alone)
        return self._ordered(stack.enter_context(launch), stack)

    def _tree(self, stack: ExitStack) -> Tree:
        """Make the model's folder anew and return what is to be laid over it. Blocks.

        Raises:
            ModelMismatchError: A file is not the admitted one, or the weights are not among the files.

        """
        wanted = self._wanted()
        if self._model.sha256 not in {file.sha256 for file in wanted.values()}:
            what = "The model's weights are not among its files."
            raise ModelMismatchError(what)
        opened: list[tuple[str, int, str]] = []
        for path, file in wanted.items():
            stream = stack.enter_context(self._open_file(file.sha256))
            hashed(stream, file.sha256, file.size)
            opened.append((safe_path(path), stream.fileno(), file.sha256))
        for old in (self._place, self._run / _CODE):
            shutil.rmtree(old, ignore_errors=True)
        self._place.mkdir(mode=0o700, parents=True)
        self._run.chmod(0o700)
        for path, fd, _ in opened:
            target = self._place / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(Path(f"/proc/self/fd/{fd}").readlink())
        for path, data in self._written().items():
            target = self._place / safe_path(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
            fd = os.open(target, os.O_RDONLY | os.O_CLOEXEC)
            stack.callback(os.close, fd)
            opened.append((path, fd, sha256(data)))
        return Tree(self._place, self._config.seal_limit, tuple(opened))

    def _enforcement(self, launch: Launch) -> Enforcement:
        """Return what stands behind the digests of the model's files."""
        return launch.model_enforcement()

    def _environment(self) -> dict[str, str]:
        """Return all that the engine sees of the environment.

        Compiled Python goes to a folder that is made anew for each start: what lay there before, somebody
        else could have written.
        """
        found = {
            **SILENT,
            "PATH": "/usr/bin:/bin",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self._run),
            "PYTHONPYCACHEPREFIX": str(self._run / _CODE),
        }
        if self._installation.module:
            found["PYTHONPATH"] = str(self._installation.root)
        else:
            found["LD_LIBRARY_PATH"] = str(self._installation.program.parent)
        return found
