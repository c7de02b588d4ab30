"""Sessions that have ended: their packets are not taken again."""

from pathlib import Path

from lockgate.crossing.diode.wire import SESSION_SIZE

SESSIONS_FILE = "ended-sessions"
SESSIONS_LIMIT = 4096
"""Sessions that are kept in mind; the oldest are forgotten."""


class EndedSessions:
    """Names of ended sessions, in memory and in a file of fixed-length lines.

    It saves work. What keeps an old crate from being admitted again is the ledger of crossings.
    """

    def __init__(self, folder: Path) -> None:
        """Read what is there; a file that is none of ours counts as empty."""
        self._path = folder / SESSIONS_FILE
        try:
            lines = self._path.read_text("ascii").split()[-SESSIONS_LIMIT:]
            self._names = {bytes.fromhex(line): None for line in lines if len(line) == 2 * SESSION_SIZE}
        except (FileNotFoundError, ValueError):
            self._names = {}

    def __contains__(self, session: bytes) -> bool:
        """Tell whether a session has ended."""
        return session in self._names

    def add(self, session: bytes) -> None:
        """Keep a session in mind."""
        self._names[session] = None
        while len(self._names) > SESSIONS_LIMIT:
            del self._names[next(iter(self._names))]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        draft = self._path.with_suffix(".new")
        draft.write_text("".join(f"{name.hex()}\n" for name in self._names), "ascii")
        draft.replace(self._path)
