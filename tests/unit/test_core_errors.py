"""Every error of every room: a code of its own that says whose fault and which room, and advice."""

import importlib
import pkgutil
import re
from collections import Counter
from types import ModuleType

import pytest

import lockgate
from lockgate.core.errors import (
    HostError,
    InputError,
    LimitError,
    LockgateError,
    PolicyError,
    TrustError,
)

FAULTS = {"1": InputError, "2": TrustError, "3": PolicyError, "4": LimitError, "5": HostError}
ROOMS = {
    "core": "0",
    "trust": "1",
    "store": "2",
    "audit": "3",
    "approve": "4",
    "advisories": "4",
    "collect": "5",
    "inspect": "6",
    "crossing": "7",
    "admit": "8",
    "mirror": "9",
    "targets": "9",
    "infer": "a",
    "guard": "a",
    "knowledge": "b",
    "watch": "c",
    "isolate": "d",
    "console": "e",
    "app": "f",
    "cli": "f",
}
BASES = (LockgateError, *FAULTS.values())


def every_module() -> list[ModuleType]:
    names = [info.name for info in pkgutil.walk_packages(lockgate.__path__, "lockgate.")]
    return [importlib.import_module(name) for name in names if ".migrations." not in name]


def below(kind: type[LockgateError]) -> set[type[LockgateError]]:
    return {kind}.union(*(below(each) for each in kind.__subclasses__()))


@pytest.fixture(scope="module")
def errors() -> list[type[LockgateError]]:
    every_module()
    found = [e for e in below(LockgateError) if e.__module__.startswith("lockgate.")]
    return sorted(found, key=lambda e: e.code)


def test_there_are_errors_of_many_rooms(errors: list[type[LockgateError]]) -> None:
    assert len(errors) > 80
    assert len({e.__module__.split(".")[1] for e in errors}) > 10


def test_no_two_errors_share_a_code(errors: list[type[LockgateError]]) -> None:
    counts = Counter(e.code for e in errors)
    assert [code for code, count in counts.items() if count > 1] == []
    without = [e.__qualname__ for e in errors if "code" not in vars(e)]
    assert without == [], "these inherit a code instead of having one"


def test_codes_say_whose_fault_and_which_room(errors: list[type[LockgateError]]) -> None:
    wrong = []
    for error in errors:
        room = error.__module__.split(".")[1]
        match = re.fullmatch(r"LG-([0-9a-f])([0-9a-f])([0-9a-f]{2})", error.code)
        if error is LockgateError:
            continue
        fault = FAULTS[match[1]] if match and match[1] in FAULTS else None
        if match is None or fault is None or not issubclass(error, fault) or match[2] != ROOMS[room]:
            wrong.append(f"{error.__module__}.{error.__qualname__} {error.code}")
    assert wrong == []


def test_each_belongs_to_one_fault_and_has_its_exit_status(errors: list[type[LockgateError]]) -> None:
    assert [base.exit_status for base in BASES] == [1, 2, 3, 4, 5, 6]
    for error in errors:
        if error is LockgateError:
            continue
        faults = [base for base in FAULTS.values() if issubclass(error, base)]
        assert len(faults) == 1, error
        assert error.exit_status == faults[0].exit_status, error


def test_each_has_advice_of_its_own_in_whole_sentences(errors: list[type[LockgateError]]) -> None:
    own = [e for e in errors if e not in BASES]
    assert [e.__qualname__ for e in own if "advice" not in vars(e)] == []
    assert [e.__qualname__ for e in own if not re.fullmatch(r".{15,}[.:]", e.advice, re.DOTALL)] == []
    assert [e.__qualname__ for e in errors if not e.__qualname__.endswith("Error")] == []
    assert [e.__qualname__ for e in errors if not e.__doc__] == []


def test_an_error_keeps_its_sentence_its_advice_and_its_facts() -> None:
    plain = LockgateError("It broke.", file="a", offset=7, absent=None)
    assert str(plain) == "LG-0000: It broke. [file=a] [offset=7]"
    assert plain.as_dict() == {
        "code": "LG-0000",
        "error": "It broke.",
        "advice": LockgateError.advice,
        "where": {"file": "a", "offset": 7},
    }
    told = InputError("It broke.", advice="Mend it.", thing=BASES)
    assert told.as_dict()["advice"] == "Mend it."
    assert told.as_dict()["where"] == {"thing": str(BASES)}
    with pytest.raises(LockgateError, match="LG-1000: It broke"):
        raise told
