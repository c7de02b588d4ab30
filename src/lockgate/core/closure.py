"""Which artifacts of a crossing cannot enter without what is held: partial admission of a closed set.

What a package needs stands in its signed verdict. A need is met by what enters with it and by what is served;
where only something held would meet it, the package waits too. A need that nothing in the crossing would meet
was none for the collector (an environment marker, an optional part) and holds nothing.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from lockgate.core.artifact import Artifact, Kind
from lockgate.core.npm import is_version, version_key
from lockgate.core.policy import Held

_RESOLVE = "Resolve what is held of {name}, or bring the crossing without what needs it."
_SIMPLE_RANGE = re.compile(r"([\^~=]?)\s*v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)")


def dependents(
    artifacts: Sequence[Artifact],
    needs: Mapping[str, Iterable[str]],
    held: Iterable[str],
    served: Iterable[Artifact],
) -> Iterator[Held]:
    """Yield why further artifacts are held: each needs one that is held already.

    Args:
        artifacts: What the crossing brought.
        needs: Package URL → what it says that it needs.
        held: Package URLs that are held.
        served: What the channel serves already.

    """
    stopped = set(held)
    if not stopped:
        return
    known = [each for each in served if each.kind in _KINDS]
    mine = [each for each in artifacts if each.kind in _KINDS]
    again = True
    while again:
        again = False
        there = _by_name([each for each in mine if each.purl not in stopped] + known)
        waiting = _by_name([each for each in mine if each.purl in stopped])
        for each in mine:
            if each.purl in stopped:
                continue
            missing = next(_missing(each, needs.get(each.purl, ()), there, waiting), None)
            if missing is not None:
                stopped.add(each.purl)
                again = True
                name = missing.purl
                yield Held(
                    purl=each.purl,
                    path="",
                    reason=f"It needs {name}, which is held.",
                    resolve=_RESOLVE.format(name=name),
                )


_KINDS = frozenset({Kind.PYTHON, Kind.NPM})
_Names = dict[tuple[str, str], list[Artifact]]


def _by_name(artifacts: Iterable[Artifact]) -> _Names:
    found: _Names = {}
    for each in artifacts:
        found.setdefault((each.kind, _name(each.kind, each.name)), []).append(each)
    return found


def _name(kind: str, name: str) -> str:
    return canonicalize_name(name) if kind == Kind.PYTHON else name


def _missing(each: Artifact, needs: Iterable[str], there: _Names, waiting: _Names) -> Iterator[Artifact]:
    """Yield what is held and alone would meet a need."""
    meets = _meets_python if each.kind is Kind.PYTHON else _meets_npm
    for need in needs:
        name = _needed(each.kind, need)
        key = each.kind, name
        candidates = [one for one in waiting.get(key, ()) if meets(need, one.version, unsure=True)]
        if candidates and not any(meets(need, one.version, unsure=False) for one in there.get(key, ())):
            yield candidates[0]


def _needed(kind: str, need: str) -> str:
    if kind != Kind.PYTHON:
        return need.partition(" ")[0]
    try:
        return canonicalize_name(Requirement(need).name)
    except InvalidRequirement:
        return ""


def _meets_python(need: str, version: str, *, unsure: bool) -> bool:
    try:
        return Requirement(need).specifier.contains(Version(version), prereleases=True)
    except (InvalidRequirement, InvalidVersion):
        return unsure


def _meets_npm(need: str, version: str, *, unsure: bool) -> bool:
    """Tell whether a version is in a range of the three plain forms; of every other form nobody is sure."""
    wanted = need.partition(" ")[2].strip()
    if wanted in {"*", "", "latest"}:
        return True
    match = _SIMPLE_RANGE.fullmatch(wanted)
    if match is None or not is_version(version):
        return unsure
    sign, least = match[1], match[2]
    if sign in {"", "="}:
        return version == least
    one, other = ([int(p) for p in text.partition("-")[0].split(".")] for text in (least, version))
    kept = 2 if sign == "~" else next((n + 1 for n, p in enumerate(one) if p), 3)
    return one[:kept] == other[:kept] and version_key(version) >= version_key(least)
