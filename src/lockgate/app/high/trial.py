"""A home for a trial of the mirrors, such as a conformance suite that comes from outside.

A folder that is empty or not there becomes a demo lane; a folder that holds a lane stands for its high side.
Neither happens for a service: it names the folder with its configuration, and does not start without it.
"""

import ipaddress
from pathlib import Path

from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.settings import CONFIG_FILE, Side, load_settings
from lockgate.app.trust import utc_now

LOOPBACK = "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Return whether an address reaches nobody but this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def trial_side(folder: Path) -> tuple[Side, bool]:
    """Return the high side to try, and whether a demo lane was made for it.

    Args:
        folder: The high side's own folder, a lane's folder, or one that is empty or not there.

    Raises:
        SettingsError: The folder holds something else.

    """
    root = folder.expanduser().resolve()
    high = root / "high"
    if (root / CONFIG_FILE).exists() or not _blank(root):
        found = high if (high / CONFIG_FILE).exists() and not (root / CONFIG_FILE).exists() else root
        return load_settings(found), False
    make_demo_lane(root, "demo", utc_now())
    return load_settings(high), True


def _blank(root: Path) -> bool:
    return not root.exists() or (root.is_dir() and not any(root.iterdir()))
