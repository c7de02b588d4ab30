"""What the services of the high side serve: the channel, read through its approvers' signatures."""

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from lockgate.app.high.roots import InstalledRoots
from lockgate.app.logs import configure_logs
from lockgate.app.settings import Side, load_settings
from lockgate.app.stores import blobs_of
from lockgate.approve import ChannelReader
from lockgate.approve.verify import Pages
from lockgate.core.snapshot import Admitted, Generated
from lockgate.core.soak import STABLE

CHANNEL = STABLE
"""The channel that services serve where nothing else is named."""

HOME_VARIABLE = "LOCKGATE_HOME"


def channel_file(side: Side, channel: str = CHANNEL) -> Path:
    """Return the file with a channel's signed statement."""
    return side.home.channels / f"{channel}.dsse.json"


def channel_reader(
    side: Side, service: str, channel: str = CHANNEL, pages: Pages | None = None
) -> ChannelReader:
    """Return what a service learns by what it may serve.

    Args:
        side: The high side.
        service: Names the service's own state file, which keeps the highest version it served.
        channel: The channel.
        pages: Makes pages anew, for whoever serves them.

    """
    floor = side.home.run / f"{service}-{channel}.version"
    blobs = blobs_of(side)
    roots = InstalledRoots(side)
    return ChannelReader(roots, channel, channel_file(side, channel), blobs, floor, pages=pages)


def served_side() -> Side:
    """Return the side that a worker process serves, with the worker's logs where its parent's go."""
    side = load_settings(Path(os.environ[HOME_VARIABLE])).require("high")
    configure_logs(side.settings.log.level)
    return side


def derived_pages(admitted: Sequence[Admitted], read: Callable[[str], bytes]) -> Iterable[Generated]:
    """Make the pages of all mirrors anew, for whoever believes none that one person signed alone."""
    from lockgate.mirror import generate_pages  # noqa: PLC0415  # servers alone need it

    return [page.generated() for page in generate_pages(admitted, read)]
