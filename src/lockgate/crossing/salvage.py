"""From sealed volumes to staging, group by group; what is missing or damaged is rebuilt from parity."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from lockgate.core.ports import Progress
from lockgate.crossing.errors import (
    CrateIoError,
    HeaderDamagedError,
    RecordDamagedError,
    VolumeExtendedError,
    VolumeTruncatedError,
)
from lockgate.crossing.folder import CrateFolder, SealedFile
from lockgate.crossing.parity import Group
from lockgate.crossing.repair import Damage, Found, Overlay, Rebuilder, Scanner, demand_repairable
from lockgate.crossing.staging import Staging
from lockgate.crossing.volumes import VolumeOpening

_DAMAGE = (
    HeaderDamagedError,
    RecordDamagedError,
    VolumeTruncatedError,
    VolumeExtendedError,
    CrateIoError,
)


@dataclass(slots=True)
class Salvage:
    """Stages the volumes of a crate.

    Attributes:
        folder: The crate; it is only read.
        names: The names that are there.
        staging: Gets the plaintext.
        opening: Tells what is known of a volume by its number.
        demand_space: Refuses when fewer bytes are free.
        progress: Told about the bytes.
        repaired: What was rebuilt so far.
        damaged: Volumes that are there and could not be used yet.

    """

    folder: CrateFolder
    names: frozenset[str]
    staging: Staging
    opening: Callable[[int], VolumeOpening]
    demand_space: Callable[[int], None]
    progress: Progress
    repaired: list[Damage] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def stage(self, group: Group, first: int) -> None:
        """Stage every volume of a group that is whole or can be rebuilt.

        Args:
            group: The group's files.
            first: Number of its first volume.

        Raises:
            HeaderDamagedError, RecordDamagedError, VolumeTruncatedError, VolumeExtendedError: A
                volume is damaged and the crate has no parity.
            TooDamagedError: More is damaged than parity rebuilds, and nothing is on its way.
            TrustError, HostError: See `unseal` and `Rebuilder.rebuild`.

        """
        held = self.staging.held()
        openings = {
            file.name: self.opening(number)
            for number, file in enumerate(group.volumes, first)
            if file.name not in held
        }
        unstaged = {name for name in openings if not self._stage_whole(name, openings[name], group)}
        if unstaged and group.parity and self._in_reach(group, unstaged):
            self._rebuild(group, openings, unstaged)

    def _stage_whole(self, name: str, opening: VolumeOpening, group: Group) -> bool:
        """Stage a volume that is there and undamaged; tell whether it was."""
        if name not in self.names:
            return False
        try:
            self.staging.add(self.folder.open, opening, self.progress)
        except _DAMAGE as error:
            if not group.parity or error.where.get("file") != name:
                raise
            return False
        return True

    def _in_reach(self, group: Group, unstaged: set[str]) -> bool:
        """Tell whether it is worth reading the group: damage has to be judged, missing volumes to suffice."""
        missing = sum(file.name not in self.names for file in group.files)
        return missing <= len(group.parity) or bool(unstaged & self.names)

    def _rebuild(self, group: Group, openings: dict[str, VolumeOpening], unstaged: set[str]) -> None:
        self.progress.start("scan", sum(file.size for file in group.files if file.name in self.names))
        found = Scanner(self.folder, self.names, self.progress).scan(group.files)
        by_name = {one.file.name: one for one in found}
        self.demand_space(sum(one.file.span(n)[1] for one in found for n in one.bad))
        with self.staging.overlay() as overlay:
            self.progress.start("repair", 0)
            rebuilt = Rebuilder(self.folder, group, found, self.progress).rebuild(
                frozenset(unstaged), overlay.write
            )
            for name in sorted(unstaged - rebuilt.lost.keys()):
                source = _Source(self.folder, by_name[name], overlay)
                self.staging.add(source.open, openings[name], self.progress)
                self.repaired += by_name[name].damages()
        if all(file.name in self.names for file in group.volumes):
            demand_repairable(found, rebuilt.lost)
        self.damaged += sorted(self.names & rebuilt.lost.keys())


@dataclass(frozen=True, slots=True)
class _Source:
    """Opens one volume as it was sealed, from the medium and what was rebuilt."""

    folder: CrateFolder
    found: Found
    overlay: Overlay

    @contextmanager
    def open(self, name: str) -> Iterator[SealedFile]:
        """Open it."""
        if not self.found.readable:
            yield self.overlay.file(self.found, None)
            return
        with self.folder.open(name) as source:
            yield self.overlay.file(self.found, source)
