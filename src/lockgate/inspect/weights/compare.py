"""The comparison of two files of weights, tensor by tensor."""

from lockgate.core.weights import (
    SHOWN_TENSORS,
    WEIGHTS_FORMAT,
    Compared,
    Fate,
    TensorFacts,
)
from lockgate.inspect.limits import Limits
from lockgate.inspect.tally import printable
from lockgate.inspect.weights.measure import NAME_LENGTH, Measuring, digest, equal
from lockgate.inspect.weights.remarks import REPLACED, remarks
from lockgate.inspect.weights.tables import Place, Table, read_table
from lockgate.inspect.weights.values import Source, width_of

TOOL = "weights/1"


def compare(base: memoryview, data: memoryview, limits: Limits) -> Compared:
    """Return what changed from one file to another.

    Raises:
        BrokenContentError, OverLimitError: One of the two is no file of weights, or malformed.

    """
    before, after = read_table(base, limits), read_table(data, limits)
    old, new = Source(base), Source(data)
    facts, equals = [], 0
    for name in sorted(before.tensors.keys() | after.tensors.keys()):
        one, two = before.tensors.get(name), after.tensors.get(name)
        if one is None or two is None or (one.dtype, one.shape) != (two.dtype, two.shape):
            facts.append(_whole(name, one, two))
        elif equal(old, new, one, two):
            equals += 1
        else:
            facts.append(Measuring(name, old, new, one, two).facts())
    compared = [each for each in facts if each.fate is Fate.CHANGED]
    same = sum(_elements(after, name) for name in after.tensors) - sum(
        _elements(after, each.name) for each in facts if each.fate is not Fate.REMOVED
    )
    moved = _moved(compared, before, after, old, new)
    return Compared(
        format=WEIGHTS_FORMAT,
        tool=f"{TOOL} {after.format}",
        tensors=len(after.tensors),
        equal=equals,
        changed=len(compared),
        recast=sum(each.fate is Fate.RECAST for each in facts),
        added=sum(each.fate is Fate.ADDED for each in facts),
        removed=sum(each.fate is Fate.REMOVED for each in facts),
        elements=max(0, same) + sum(each.elements for each in compared),
        elements_changed=sum(each.changed for each in compared),
        shown=tuple(sorted(facts, key=_weight)[:SHOWN_TENSORS]),
        remarks=remarks(facts, moved),
    )


def _whole(name: str, one: Place | None, two: Place | None) -> TensorFacts:
    """Return the facts of a tensor whose values cannot be compared."""
    fate = Fate.ADDED if one is None else Fate.REMOVED if two is None else Fate.RECAST
    return TensorFacts(
        name=printable(name, NAME_LENGTH),
        fate=fate,
        dtype=(one.dtype if one else "", two.dtype if two else ""),
        shape=(one.shown if one else "", two.shown if two else ""),
    )


def _weight(each: TensorFacts) -> tuple[int, int, int, str]:
    """Return what tensors are shown by: those without a counterpart first, then by how much changed."""
    return each.fate is Fate.CHANGED, -each.relative, -each.changed, each.name


def _elements(table: Table, name: str) -> int:
    place = table.tensors.get(name)
    return place.size // width_of(place) if place else 0


def _moved(facts: list[TensorFacts], before: Table, after: Table, old: Source, new: Source) -> dict[str, str]:
    """Return of each replaced tensor which other one held its bytes before."""
    replaced = [each for each in facts if each.relative >= REPLACED or (each.scales and not each.relative)]
    wanted = {(p.dtype, p.shape) for each in replaced if (p := after.tensors.get(each.name))}
    if not wanted:
        return {}
    known = {
        digest(old, place): name
        for name, place in before.tensors.items()
        if (place.dtype, place.shape) in wanted and place.size
    }
    found = {}
    for each in replaced[:SHOWN_TENSORS]:
        place = after.tensors.get(each.name)
        if place and (name := known.get(digest(new, place))) is not None:
            found[each.name] = printable(name, NAME_LENGTH)
    return found
