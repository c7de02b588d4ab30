"""Several repositories of one product as one target: each artifact goes to the first that takes it."""

from collections.abc import Iterator, Sequence

from lockgate.core.artifact import Artifact
from lockgate.targets.ports import Item, Target


class RoutedTarget(Target):
    """A product with a repository for each format that it was given one for."""

    def __init__(self, parts: Sequence[Target]) -> None:
        """Join repositories."""
        self._parts = tuple(parts)
        self.kinds = frozenset(kind for part in parts for kind in part.kinds)

    def takes(self, artifact: Artifact) -> bool:
        """Tell whether one of the repositories takes it."""
        return any(part.takes(artifact) for part in self._parts)

    def _shares(self, items: list[Item]) -> Iterator[tuple[Target, list[Item]]]:
        for part in self._parts:
            yield part, [item for item in items if self._part(item) is part]

    def _part(self, item: Item) -> Target:
        return next(part for part in self._parts if part.takes(item.artifact))

    def begin(self, items: list[Item]) -> None:
        """Let each repository learn of what is its."""
        for part, share in self._shares(items):
            part.begin(share)

    def put(self, item: Item) -> None:
        """Bring an artifact to its repository."""
        self._part(item).put(item)

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what its repository has of an artifact."""
        yield from self._part(item).held(item)

    def finish(self, items: list[Item]) -> None:
        """Let each repository write what tells of everything together."""
        for part, share in self._shares(items):
            part.finish(share)
