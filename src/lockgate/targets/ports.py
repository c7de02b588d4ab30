"""What a publishing target is: it takes artifacts one by one, and gives back what it has of them."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from lockgate.core.artifact import Artifact, ArtifactFile, Kind

Open = Callable[[str], BinaryIO]
"""Opens the bytes of a SHA-256."""


@dataclass(frozen=True, slots=True)
class Item:
    """One artifact on its way to a target, with the crossing that it came by."""

    artifact: Artifact
    open: Open
    crossing: int = 0

    def read(self, file: ArtifactFile, limit: int) -> bytes:
        """Return the bytes of a short file; a longer one is cut at the limit and compares as wrong."""
        with self.open(file.sha256) as stream:
            return stream.read(limit)


class Target(ABC):
    """One registry or folder of the site's."""

    kinds: frozenset[Kind]
    """What it can take."""

    def takes(self, artifact: Artifact) -> bool:
        """Tell whether it can take an artifact; others are passed over, and named."""
        return artifact.kind in self.kinds

    def begin(self, items: list[Item]) -> None:
        """Learn of everything that will be brought or compared, and look whether the target is what was said.

        Raises:
            TargetAnswerError: It is not; nothing was changed.

        """
        del items

    @abstractmethod
    def put(self, item: Item) -> None:
        """Bring an artifact there; what is there already is left as it is.

        Raises:
            TargetAnswerError: It was refused.

        """

    @abstractmethod
    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield the path and the SHA-256 of each file of an artifact, as the target gives it; "" for none.

        The bytes are read back and hashed here; what a target says of a digest is not believed.

        Raises:
            TargetAnswerError: It cannot be asked.

        """

    def finish(self, items: list[Item]) -> None:
        """Write what tells of everything together, where a target has such a thing.

        Raises:
            TargetAnswerError: It was refused.

        """
        del items
