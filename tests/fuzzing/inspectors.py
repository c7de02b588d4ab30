"""A target for each inspector that the engine knows."""

from fuzzing.seeds import cases
from fuzzing.target import Run, Target, limits


def inspecting(name: str, kind: str) -> Run:
    def run(data: bytes) -> object:
        from lockgate.inspect.engine import inspect_bytes

        part = inspect_bytes(memoryview(data), name, kind, limits())
        codes = [found.code for found in part.findings]
        assert 0 <= part.covered <= part.size == len(data), "covers more than there is"
        assert codes or (part.complete and part.covered == part.size), "says nothing, and did not read all"
        assert "inspector-failed" not in codes, next(
            f.why for f in part.findings if f.code == "inspector-failed"
        )
        return part

    return run


def inspector_targets() -> list[Target]:
    """Return a target for each inspector that the engine knows; one that is new has one by itself."""
    from lockgate.inspect.engine import _RULES, _WHERE

    made = []
    for where in sorted({*_WHERE.values(), _RULES}):
        known = cases().get(where, [])
        name, kind, _ = known[0] if known else ("file.bin", "file", b"")
        covers = (f"inspect.inspectors.{where.replace(':', '.')}.inspect",)
        title = f"inspect {where.partition(':')[2].removesuffix('Inspector').lower()}"
        made.append(
            Target(title, covers, inspecting(name, kind), lambda w=where: [c[2] for c in cases().get(w, [])])
        )
    return made
