"""Every target: what `make fuzz` runs, and `tests/unit/test_fuzz_registry.py` compares with the code."""

from functools import cache

from fuzzing.files import file_targets
from fuzzing.flows import flow_targets
from fuzzing.inspectors import inspector_targets
from fuzzing.parsers import parser_targets
from fuzzing.target import Target


@cache
def targets() -> dict[str, Target]:
    """Return every target by its name."""
    made = [*inspector_targets(), *parser_targets(), *flow_targets(), *file_targets()]
    names = [each.name for each in made]
    assert len(set(names)) == len(names), "two targets of one name"
    return {each.name: each for each in made}
