"""What resolving a manifest's Python sections finds, before anything is fetched."""

from dataclasses import dataclass

from lockgate.collect.ports import Request, Wheel
from lockgate.collect.simple import Listed
from lockgate.collect.universal.pylock import SDIST_SUFFIX


@dataclass(frozen=True, slots=True)
class Found:
    """A resolved file with the label of its section and what the index says of it.

    Without `request` it is fetched by its own address; else by the client that resolved it.
    """

    wheel: Wheel
    request: Request | None
    label: str
    listed: Listed | None = None

    @property
    def size(self) -> int:
        """Return the size that the index or the local file gives, or 0."""
        return (self.listed.size if self.listed else None) or self.wheel.size

    @property
    def is_source(self) -> bool:
        """Tell whether it is a source archive."""
        return self.wheel.filename.endswith(SDIST_SUFFIX)
