"""What a lock brings, compared with the one before: a pure comparison, for a table."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from lockgate.core.artifact import Artifact, Lock


class State(StrEnum):
    """How a name in a lock stands to the lock before."""

    NEW = "new"
    CHANGED = "changed"
    GONE = "gone"
    SAME = "same"


@dataclass(frozen=True, slots=True)
class Change:
    """One name with its versions before and now.

    `size` is the length of its files now (before, when it is gone); `fresh` counts the bytes
    whose digests the lock before does not list.
    """

    state: State
    kind: str
    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]
    size: int
    fresh: int

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "state": str(self.state),
            "kind": self.kind,
            "name": self.name,
            "before": list(self.before),
            "now": list(self.now),
            "size": self.size,
            "fresh": self.fresh,
        }


@dataclass(frozen=True, slots=True)
class Difference:
    """All names of both locks, by kind and name."""

    changes: tuple[Change, ...]

    @property
    def fresh(self) -> int:
        """Return the bytes that the lock before does not list; one content is counted once a name."""
        return sum(change.fresh for change in self.changes)

    def of(self, *states: State) -> tuple[Change, ...]:
        """Return the changes in some states."""
        return tuple(change for change in self.changes if change.state in states)


def compare(previous: Lock | None, lock: Lock) -> Difference:
    """Compare a lock with the one before (None: everything is new)."""
    old = _by_name(previous.artifacts if previous else ())
    new = _by_name(lock.artifacts)
    held = {file.sha256 for group in old.values() for a in group for file in a.files}
    names = sorted(old.keys() | new.keys())
    return Difference(tuple(_change(*name, old.get(name, []), new.get(name, []), held) for name in names))


def _by_name(artifacts: Iterable[Artifact]) -> dict[tuple[str, str], list[Artifact]]:
    groups: dict[tuple[str, str], list[Artifact]] = {}
    for artifact in artifacts:
        groups.setdefault((str(artifact.kind), artifact.name), []).append(artifact)
    return groups


def _change(kind: str, name: str, old: list[Artifact], new: list[Artifact], held: set[str]) -> Change:
    if not old:
        state = State.NEW
    elif not new:
        state = State.GONE
    else:
        state = State.SAME if _plain(old) == _plain(new) else State.CHANGED
    fresh = {file.sha256: file.size for a in new for file in a.files if file.sha256 not in held}
    return Change(
        state=state,
        kind=kind,
        name=name,
        before=tuple(sorted(a.version for a in old)),
        now=tuple(sorted(a.version for a in new)),
        size=sum(a.size for a in (new or old)),
        fresh=sum(fresh.values()),
    )


def _plain(artifacts: list[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=lambda a: a.purl)
