"""Sealing straight onto media, one after another or side by side, without a second copy on disk."""

from lockgate.crossing.direct.errors import MediumWantedError, NothingUnfinishedError, WrongMediumError
from lockgate.crossing.direct.media import ListedMounts, Mounts, OneMount, Wanted
from lockgate.crossing.direct.service import ClosedMedium, DirectSealer, SealedMedia

__all__ = [
    "ClosedMedium",
    "DirectSealer",
    "ListedMounts",
    "MediumWantedError",
    "Mounts",
    "NothingUnfinishedError",
    "OneMount",
    "SealedMedia",
    "Wanted",
    "WrongMediumError",
]
