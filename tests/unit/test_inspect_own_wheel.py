"""Lockgate's own wheel passes its own gate: no rule may take the text of a rule for what it looks for."""

from pathlib import Path

import lockgate
from corpora import inspection_content as make
from corpora.inspection_case import inspected
from lockgate.core.verdict import Severity

SOURCE = Path(lockgate.__file__).parents[1]


def test_nothing_in_our_own_wheel_is_stopped() -> None:
    files = [path for path in sorted((SOURCE / "lockgate").rglob("*")) if path.is_file()]
    members = {
        path.relative_to(SOURCE).as_posix(): path.read_bytes()
        for path in files
        if "__pycache__" not in path.parts
    }
    wheel = make.zipped(make.wheel_members(members, name="lockgate", version="1.0"))
    part = inspected(wheel, "lockgate-1.0-py3-none-any.whl", "python")
    stopped = [found for found in part.findings if found.severity is not Severity.INFO]
    assert (stopped, part.complete, part.covered) == ([], True, len(wheel))
    assert any(name.endswith(".yar") for name in members), "the rules are part of it"
