"""The application of a `MirrorSite` behind a door that waits for nobody long."""

from corpora.mirrorsite import app_from_environment
from lockgate.mirror import door, lease

STALL_SECONDS = 5.0


def app():
    door.HEADER_SECONDS = 1.0
    door.STALL_SECONDS = lease.STALL_SECONDS = STALL_SECONDS
    return app_from_environment()
