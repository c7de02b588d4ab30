"""Following the site root while a service runs: what is installed is verified from the pinned one on."""

import threading
import time
from collections.abc import Callable, Hashable

import structlog

from lockgate.app.files import FRESH_NANOSECONDS
from lockgate.app.settings import Side
from lockgate.app.trust import site_root, site_root_files, site_roots
from lockgate.approve import SiteRoots
from lockgate.core.errors import LockgateError
from lockgate.core.roots import Root


class InstalledRoots(SiteRoots):
    """The site roots of a side, as `lockgate root install` puts them into ``trust/``.

    A file proves nothing: each change has the whole chain verified again, from the pinned first root,
    each version by the thresholds of the one before. What does not verify, or ends before a version
    that this process judged by already, is not followed.
    """

    def __init__(self, side: Side, now: Callable[[], int] = time.time_ns) -> None:
        """Begin with the newest root.

        Args:
            side: The side whose roots they are.
            now: Tells the moment, in nanoseconds since 1970.

        Raises:
            LockgateError: The chain does not verify; a service does not start on it.

        """
        self._side = side
        self._now = now
        self._lock = threading.Lock()
        self._seen = self.token()
        self._root = site_root(side, None)

    def token(self) -> Hashable:
        """Return inode, time and length of every file of a root; one just written does not equal itself."""
        found: list[tuple[object, ...]] = []
        for file in site_root_files(self._side):
            try:
                facts = file.stat()
            except OSError:
                found.append((file.name,))
                continue
            fresh = object() if 0 <= self._now() - facts.st_mtime_ns < FRESH_NANOSECONDS else None
            found.append((file.name, facts.st_ino, facts.st_mtime_ns, facts.st_size, fresh))
        return tuple(found)

    def newest(self) -> Root:
        """Return the newest root that followed from the pinned one."""
        with self._lock:
            seen = self.token()  # before reading: a change while we read makes the next call look again
            if seen != self._seen:
                self._seen = seen
                self._follow()
            return self._root

    def _follow(self) -> None:
        log = structlog.get_logger("lockgate.roots")
        try:
            newest = site_roots(self._side)[-1]
        except LockgateError as error:
            log.warning("site-root-refused", code=error.code, error=error.what, kept=self._root.version)
            return
        if newest.version < self._root.version:
            log.warning("site-root-withdrawn", found=newest.version, kept=self._root.version)
        elif newest.version > self._root.version:
            log.info("site-root-followed", version=newest.version, before=self._root.version)
            self._root = newest
