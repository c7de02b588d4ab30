"""What a lock brings, compared with the one before: a pure comparison, for a table."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from lockgate.core.artifact import Artifact, Kind, Lock, Role

_TOLD = {
    "deprecated": "deprecated:",
    "yanked": "withdrawn:",
    "project-status": "its index calls the project",
    "manifest-differs": "registry and archive disagree about",
}
_SHOWN = 120


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
    whose digests the lock before does not list; `warnings` are what a person should look at.
    """

    state: State
    kind: str
    name: str
    before: tuple[str, ...]
    now: tuple[str, ...]
    size: int
    fresh: int
    warnings: tuple[str, ...] = ()

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
            "warnings": list(self.warnings),
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
        warnings=(*warnings([a.attributes for a in old], [a.attributes for a in new]), *_referring(old, new))
        if new
        else (),
    )


def _referring(old: list[Artifact], new: list[Artifact]) -> Iterator[str]:
    """Yield how much more refers to digests of an image than the lock before has."""
    before = {a.version: a for a in old if a.kind is Kind.OCI}
    for artifact in new:
        if (same := before.get(artifact.version)) is not None:
            held = {file.sha256 for file in same.files}
            more = [f for f in artifact.files if f.role is Role.MANIFEST and f.sha256 not in held]
            if more:
                yield f"new signatures, attestations or others of {artifact.version[:19]}: {len(more)}"


def warnings(before: Iterable[Mapping[str, str]], now: Iterable[Mapping[str, str]]) -> tuple[str, ...]:
    """Return what is new about a name, by the attributes of its artifacts.

    Maintainers, publishers, signatures and scripts are compared with what was there; without a version before
    there is nobody to compare with, and only what stands on its own is told.
    """
    old, new = list(before), list(now)
    found = []
    people, known = _people(new), _people(old)
    if known and people:
        found += [f"new maintainer {person}" for person in sorted(people - known)]
        found += [f"maintainer {person} left" for person in sorted(known - people)]
    signers, trusted = _people(new, "publishers"), _people(old, "publishers")
    if trusted and signers:
        found += [f"new publisher {one}" for one in sorted(signers - trusted)]
    if any(a.get("install-script") for a in new) and not any(a.get("install-script") for a in old):
        found.append("runs a script at installation, for the first time")
    if any("scripts" in a for a in old):
        fresh = _words(new, "scripts") - _words(old, "scripts") - {"none"}
        found += [f"new script at installation or removal: {name}" for name in sorted(fresh)]
    if any(a.get("signed") for a in old) and not all(a.get("signed") for a in new):
        found.append("no longer signed by its registry")
    if old and not any(a.get("signed") for a in old) and all(a.get("signed") for a in new):
        found.append("signed by its registry for the first time")
    for name, sentence in _TOLD.items():
        texts = {a[name] for a in new if a.get(name)} - {a[name] for a in old if a.get(name)}
        found += [f"{sentence} {text[:_SHOWN]}" for text in sorted(texts)]
    return tuple(found)


def _words(attributes: Iterable[Mapping[str, str]], key: str) -> set[str]:
    return {word for a in attributes for word in a.get(key, "").split()}


def _people(attributes: Iterable[Mapping[str, str]], key: str = "maintainers") -> set[str]:
    return {person for a in attributes for person in a.get(key, "").split(", ") if person}


def _plain(artifacts: list[Artifact]) -> list[Artifact]:
    return sorted(artifacts, key=lambda a: a.purl)
