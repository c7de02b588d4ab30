"""Which asset packs a channel serves, by the places where their libraries look."""

from lockgate.app.high.serving import CHANNEL, channel_reader, derived_pages
from lockgate.app.settings import Side
from lockgate.mirror import Asset, assets_of


def served_assets(side: Side, channel: str = CHANNEL) -> tuple[Asset, ...]:
    """Return the files of a channel that have a known place.

    Raises:
        LockgateError: The channel does not verify.

    """
    verified = channel_reader(side, "client-config", channel, pages=derived_pages).current()
    return assets_of(verified.snapshot.admitted)
