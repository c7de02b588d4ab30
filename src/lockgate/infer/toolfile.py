"""Where the list of tools is written."""

from abc import ABC, abstractmethod
from pathlib import Path

from lockgate.core.wire import decode, encode
from lockgate.guard.tools import ToolPolicy, ToolRule
from lockgate.infer.keys import KEYS_LIMIT, replace_file


class ToolSource(ABC):
    """The tools that models may call."""

    @abstractmethod
    def current(self) -> ToolPolicy:
        """Return the list as it stands; quick, called for each request."""


class MemoryTools(ToolSource):
    """A list in memory: the double of `FileTools`."""

    def __init__(self, policy: ToolPolicy | None = None) -> None:
        """Begin with a list."""
        self.policy = policy or ToolPolicy()

    def current(self) -> ToolPolicy:
        """Return the list."""
        return self.policy


class FileTools(ToolSource):
    """A list in one canonical file (mode 0600); changes by others are seen at once."""

    def __init__(self, path: Path) -> None:
        """Name the file; it may not exist yet."""
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._policy = ToolPolicy()

    def current(self) -> ToolPolicy:
        """Return the list; an altered file that cannot be read is an error, never an empty list."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._seen, self._policy = None, ToolPolicy()
            return self._policy
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen != self._seen:
            data = self._path.read_bytes()
            self._policy = decode(ToolPolicy, data, limit=KEYS_LIMIT, name="The list of tools")
            self._seen = seen
        return self._policy

    def put(self, name: str, rule: ToolRule | None) -> None:
        """Set what holds for a tool, or take it off the list."""
        tools = dict(self.current().tools)
        tools.pop(name, None)
        if rule is not None:
            tools[name] = rule
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, encode(ToolPolicy(tools=tools)))
        self._seen = None
