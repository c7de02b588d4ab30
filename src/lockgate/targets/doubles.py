"""A target in memory, with the port's contract."""

from collections.abc import Iterator

from lockgate.core.artifact import Kind
from lockgate.core.digests import sha256
from lockgate.targets.ports import Item, Target


class MemoryTarget(Target):
    """Keeps files by path."""

    kinds = frozenset(Kind)

    def __init__(self) -> None:
        """Begin empty."""
        self.files: dict[str, bytes] = {}

    def put(self, item: Item) -> None:
        """Keep an artifact's files."""
        for file in item.artifact.files:
            with item.open(file.sha256) as stream:
                self.files.setdefault(file.path, stream.read())

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what is kept."""
        for file in item.artifact.files:
            data = self.files.get(file.path)
            yield file.path, "" if data is None else sha256(data)
