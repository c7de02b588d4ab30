"""Pickles: refused, except for those inside packages whose every import is on a short list.

A pickle is a program. The list below holds the constructors that NumPy's own arrays and random
generators need; a pickle in a package that names nothing else, uses no odd construction and ends
where the file ends loads data and nothing more. As a model or as a file of its own a pickle is
always refused.
"""

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.pickle_machine import Walk, walk
from lockgate.inspect.ports import Inspector
from lockgate.inspect.tally import Context, Tally

_ARRAY_MODULES = (
    "numpy.core.multiarray",
    "numpy._core.multiarray",
    "numpy.core._internal",
    "numpy._core._internal",
)
_RANDOM = "numpy.random._pickle"

NUMPY_PROFILE = frozenset(
    {f"{module}._reconstruct" for module in _ARRAY_MODULES}
    | {"numpy.ndarray", "numpy.dtype", "builtins.range", "__builtin__.xrange"}
    | {f"{_RANDOM}.{name}" for name in ("__generator_ctor", "__bit_generator_ctor", "__randomstate_ctor")}
)
"""Globals that a NumPy data pickle may name."""

SHOWN = 6


class PickleInspector(Inspector):
    """Walks the opcodes of protocols 0 to 5 without loading anything."""

    name = "pickle"
    version = 1
    detects = frozenset({"pickle"})

    def inspect(self, data: memoryview, tally: Tally, context: Context) -> None:
        """Refuse the pickle, or claim it when the profile covers it wholly."""
        seen = walk(data)
        names = ", ".join(sorted({str(item) for item in seen.globals})[:SHOWN]) or "nothing by name"
        ended = bytes(data[seen.end :]) in {b"", b"\n"}
        if context.package and ended and within(seen):
            tally.note(
                "pickle-numpy", Severity.LOW, f"A pickle of NumPy data in a package; it imports {names}."
            )
            tally.claim_all()
            return
        why = f"A pickle is a program that loading runs; this one imports {names}."
        if seen.trouble:
            why = f"{why} It breaks off: {seen.trouble}."
        tally.note("pickle", Severity.CRITICAL, why)
        tally.complete = False


def within(seen: Walk) -> bool:
    """Return whether a walk stayed inside the NumPy profile up to its STOP."""
    named = {str(item) for item in seen.globals}
    plain = not (seen.odd or seen.foreign or seen.textual)
    return seen.complete and plain and named <= NUMPY_PROFILE
