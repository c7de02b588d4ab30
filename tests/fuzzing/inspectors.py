"""A target for each inspector that the engine knows.

What an inspector looks for depends on where the content stands as much as on the bytes: a text named
``ci.yml`` is read as settings, one named ``install.sh`` as commands. The first byte of an input chooses the
place, among all that the corpus has for that inspector.
"""

from collections.abc import Iterable
from functools import cache

from fuzzing.seeds import cases
from fuzzing.target import Run, Target, limits

Place = tuple[str, str, str]
"""Name, kind of the artifact, and role in a package."""

ROLES: tuple[Place, ...] = (
    ("postinst", "apt", "deb-script"),
    ("usr/share/a/run.sh", "apt", "deb-data"),
    ("usr/lib/python3/dist-packages/a.py", "rpm", "rpm-data"),
    ("etc/cron.d/a", "oci", "oci-layer"),
)
"""Where texts stand that the corpus has only inside of packages, whose bytes no engine can change well."""
IN_PACKAGES = frozenset({"texts:TextInspector", "python_source:PythonInspector"})
MOST_PLACES = 256
"""As many as one byte tells apart."""


@cache
def places(where: str) -> tuple[Place, ...]:
    """Return the places that an inspector's content can have, in a fixed order."""
    known = {(name, kind, "") for name, kind, _ in cases().get(where, [])} or {("file.bin", "file", "")}
    found = (*sorted(known), *(ROLES if where in IN_PACKAGES else ()))
    assert len(found) <= MOST_PLACES, "one byte no longer tells the places apart"
    return found


def inspecting(where: str) -> Run:
    """Return a run whose first byte is the number of a place; the rest is the content."""

    def run(data: bytes) -> object:
        from lockgate.inspect.engine import inspect_bytes

        known = places(where)
        name, kind, role = known[data[0] % len(known)] if data else known[0]
        part = inspect_bytes(memoryview(data)[1:], name, kind, limits(), role=role)
        codes = [found.code for found in part.findings]
        assert 0 <= part.covered <= part.size == max(0, len(data) - 1), "covers more than there is"
        assert codes or (part.complete and part.covered == part.size), "says nothing, and did not read all"
        assert "inspector-failed" not in codes, next(
            f.why for f in part.findings if f.code == "inspector-failed"
        )
        return part

    return run


def placed_seeds(where: str) -> Iterable[bytes]:
    """Return the corpus's content for an inspector, each behind the number of its place."""
    known = places(where)
    for name, kind, data in cases().get(where, []):
        yield bytes([known.index((name, kind, ""))]) + data


def inspector_targets() -> list[Target]:
    """Return a target for each inspector that the engine knows; one that is new has one by itself."""
    from lockgate.inspect.engine import _RULES, _WHERE

    made = []
    for where in sorted({*_WHERE.values(), _RULES}):
        covers = (f"inspect.inspectors.{where.replace(':', '.')}.inspect",)
        title = f"inspect {where.partition(':')[2].removesuffix('Inspector').lower()}"
        made.append(Target(title, covers, inspecting(where), lambda w=where: placed_seeds(w)))
    return made
