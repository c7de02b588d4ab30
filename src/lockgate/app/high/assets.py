"""Which asset packs a channel serves, by the places where their libraries look."""

from lockgate.app.high.channel import CHANNEL, channel_reader, derived_pages
from lockgate.app.settings import Side
from lockgate.core.parts import rest_of
from lockgate.mirror import Asset, assets_of


def served_assets(side: Side, channel: str = CHANNEL) -> tuple[Asset, ...]:
    """Return the files of a channel that have a known place.

    Raises:
        LockgateError: The channel does not verify.

    """
    verified = channel_reader(side, "client-config", channel, pages=derived_pages).current()
    return assets_of(rest_of(verified.snapshot).admitted)
