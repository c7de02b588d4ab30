"""What a crate will be, before a byte of it is written."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lockgate.core.ports import Progress
from lockgate.crossing.bases import held_files, usable
from lockgate.crossing.contents import SealRequest
from lockgate.crossing.delta.bounds import Spool
from lockgate.crossing.deltas import DeltaPlanner, Planned, PlannedFile, whole_plan
from lockgate.crossing.errors import SealRequestError
from lockgate.crossing.format import parity_name
from lockgate.crossing.layout import PlannedVolume
from lockgate.crossing.parity import PlannedParity
from lockgate.crossing.payload import Content
from lockgate.crossing.placing import Places, index_bytes, repeated_on_each
from lockgate.crossing.ports import SealLedger
from lockgate.store import BlobStore


@dataclass(frozen=True, slots=True)
class Plan:
    """What a crate will be; sizes in bytes.

    `entries` says how each document and file crosses; `bases` maps the numbers of the crossings that
    are built on to the digests of their crates. `places` says what goes on which medium, where the
    crate is sealed onto media.
    """

    sequence: int
    files: int
    content: int
    payload: int
    volumes: tuple[PlannedVolume, ...]
    parity: tuple[PlannedParity, ...] = ()
    entries: tuple[PlannedFile, ...] = ()
    bases: Mapping[str, str] = field(default_factory=dict)
    places: Places = ()

    @property
    def sealed(self) -> int:
        """Return the length of all volumes together."""
        return sum(volume.size for volume in self.volumes)

    @property
    def parity_bytes(self) -> int:
        """Return the length of all parity volumes together."""
        return sum(one.size * one.group.parity for one in self.parity)

    @property
    def index_bytes(self) -> int:
        """Return about how long the shard index will be."""
        return index_bytes(self.volumes, self.parity)

    @property
    def repeated(self) -> int:
        """Return about how many bytes every medium repeats."""
        return repeated_on_each(self.volumes, self.parity)

    @property
    def names(self) -> list[str]:
        """Return the names of all files in the order that `places` counts them."""
        spare = sum(one.group.parity for one in self.parity)
        return [volume.name for volume in self.volumes] + [parity_name(n) for n in range(1, spare + 1)]


def planned_contents(  # noqa: PLR0917  # one call, by the sealer
    request: SealRequest,
    targets: Sequence[Content],
    blobs: BlobStore,
    ledger: SealLedger,
    spool: Spool,
    progress: Progress,
) -> Planned:
    """Return how the contents cross; as they are where nothing can be built on.

    Raises:
        SealRequestError: The crossing that was named cannot be built on.

    """
    if not request.delta:
        return whole_plan(targets, "a full crossing was asked for")
    numbers = usable(ledger.sent(), request.since, request.earliest)
    if request.since is not None and request.since not in numbers:
        what = f"Crossing {request.since} cannot be built on: not sealed, given up, or refused."
        raise SealRequestError(what)
    held = held_files(blobs, ledger.contents(), numbers)
    if not any(True for _ in held):
        return whole_plan(targets, "nothing was sent before")
    planned = DeltaPlanner(held, blobs, spool, progress).plan(targets)
    return planned if planned.numbers else whole_plan(targets, "nothing like it was sent before")
