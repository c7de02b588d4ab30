"""What is new, changed and gone between two locks, and how many bytes of it are fresh."""

from collect_doubles import make_artifact, make_lock
from lockgate.collect import State, compare
from lockgate.collect.difference import warnings
from lockgate.core.artifact import Kind


def test_everything_is_new_at_first() -> None:
    found = compare(None, make_lock(make_artifact("a", "1", b"xx", b"yyy")))
    assert [(c.state, c.size, c.fresh) for c in found.changes] == [(State.NEW, 5, 5)]
    assert found.fresh == 5


def test_versions_move_and_names_go() -> None:
    before = make_lock(
        make_artifact("a", "1", b"old"), make_artifact("b", "1", b"same"), make_artifact("c", "1", b"gone")
    )
    now = make_lock(
        make_artifact("a", "2", b"newer"), make_artifact("b", "1", b"same"), make_artifact("d", "1", b"gone")
    )
    found = compare(before, now)
    assert [(c.name, str(c.state), c.before, c.now, c.size, c.fresh) for c in found.changes] == [
        ("a", "changed", ("1",), ("2",), 5, 5),
        ("b", "same", ("1",), ("1",), 4, 0),
        ("c", "gone", ("1",), (), 4, 0),
        ("d", "new", (), ("1",), 4, 0),  # its bytes were known under another name
    ]
    assert [c.name for c in found.of(State.NEW, State.GONE)] == ["c", "d"]
    assert found.changes[0].as_dict()["state"] == "changed"


def test_a_changed_label_is_a_change() -> None:
    before, now = make_artifact("a", "1", b"x"), make_artifact("a", "1", b"x", label="secret")
    assert compare(make_lock(before), make_lock(now)).changes[0].state is State.CHANGED


def test_one_name_in_two_kinds_is_two_things() -> None:
    lock = make_lock(make_artifact("a", "1", b"x"), make_artifact("a", "2", b"x", kind=Kind.FILE))
    assert {c.kind for c in compare(None, lock).changes} == {"python", "file"}


def test_two_versions_side_by_side() -> None:
    lock = make_lock(make_artifact("a", "1", b"x"), make_artifact("a", "2", b"yy"))
    (change,) = compare(None, lock).changes
    assert (change.now, change.size) == (("1", "2"), 3)


def attributes(**values: str) -> dict[str, str]:
    return {key.replace("_", "-"): value for key, value in values.items()}


def test_what_a_person_should_look_at_is_told() -> None:
    before = [attributes(maintainers="ann <a@x>, bob <b@x>", signed="yes")]
    now = [attributes(maintainers="ann <a@x>, eve <e@x>", install_script="yes", deprecated="use b")]
    assert warnings(before, now) == (
        "new maintainer eve <e@x>",
        "maintainer bob <b@x> left",
        "runs a script at installation, for the first time",
        "no longer signed by its registry",
        "deprecated: use b",
    )
    assert warnings(now, now) == ()


def test_without_a_version_before_nobody_is_new() -> None:
    now = [attributes(maintainers="ann <a@x>", install_script="yes", signed="yes")]
    assert warnings([], now) == ("runs a script at installation, for the first time",)
    assert warnings([attributes()], [attributes(maintainers="ann <a@x>")]) == ()


def test_a_change_carries_its_warnings() -> None:
    old = make_artifact("a", "1", b"x", attributes={"maintainers": "ann"})
    new = make_artifact("a", "2", b"y", attributes={"maintainers": "eve"})
    (change,) = compare(make_lock(old), make_lock(new)).changes
    assert change.warnings == ("new maintainer eve", "maintainer ann left")
    assert change.as_dict()["warnings"] == list(change.warnings)
    (gone,) = compare(make_lock(old), make_lock()).changes
    assert gone.warnings == ()
