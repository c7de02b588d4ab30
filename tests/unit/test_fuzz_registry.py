"""Every parser has a target that fuzzing runs, and fuzzing sees what it looks for."""

import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import lockgate
from corpora.kills import answer, forked
from fuzzing import engine, run
from fuzzing.guard import EscapeError, Guard
from fuzzing.inspectors import inspecting, places
from fuzzing.registry import EXEMPT, parsers, parsers_in
from fuzzing.target import Target, found
from fuzzing.targets import targets

PACKAGE = Path(lockgate.__file__).parent


def in_a_child(test: Callable[..., None]) -> Callable[..., None]:
    """Run a test in a child: audit hooks stay, and with one in Python the start of threads may fail."""

    @functools.wraps(test)
    def ran(*given: object, **named: object) -> None:
        assert answer(*forked(lambda: test(*given, **named) is None)) is True

    return ran


@pytest.fixture(scope="module")
def covered() -> set[str]:
    return {where for target in targets().values() for where in target.covers}


def test_every_parser_has_a_target_or_a_reason(covered) -> None:
    missing = parsers(PACKAGE) - covered - set(EXEMPT)
    assert missing == set(), "give each a target in tests/fuzzing/parsers.py"


def test_no_reason_outlives_its_parser(covered) -> None:
    assert set(EXEMPT) - parsers(PACKAGE) == set()
    assert set(EXEMPT) & covered == set()


def test_what_targets_cover_is_there(covered) -> None:
    for where in sorted(covered):
        owner, _, name = where.rpartition(".")
        if owner.rpartition(".")[2][:1].isupper():
            assert callable(getattr(found(owner), name))
        else:
            assert callable(found(where))


def test_a_new_parser_is_seen() -> None:
    source = """
def read_thing(data: bytes, name: str) -> int: ...
def write_thing(data: bytes) -> None: ...
def parse_words(words: list[bytes]) -> None: ...
def _read_more(data: bytes) -> None: ...
def measures(data: bytes) -> dict[str, int]: ...
def measure(data: bytes) -> int: ...
class Reader:
    def parse(self, data: memoryview | None) -> None: ...
class _Own:
    def parse(self, data: bytes) -> None: ...
"""
    assert list(parsers_in(source)) == ["read_thing", "measures", "Reader.parse"]


@pytest.mark.parametrize("name", list(targets()))
def test_each_target_begins_with_something_and_answers(name) -> None:
    seeds = list(targets()[name].seeds())
    assert seeds
    for seed in seeds[:40]:
        targets()[name].run(seed)


def _swallows(act):
    def parser(data: bytes) -> None:
        if data[:1] == b"!":
            try:
                act()
            except BaseException:  # noqa: BLE001  # as a parser might that wants to hide it
                return

    return parser


@pytest.mark.parametrize(
    ("act", "event"),
    [
        (lambda: Path("new").write_bytes(b"x"), "open"),
        (lambda: os.open("new", os.O_CREAT | os.O_RDWR), "open"),
        (lambda: os.system("true"), "os.system"),  # noqa: S605
        (lambda: __import__("subprocess").run(["true"], check=False), "subprocess.Popen"),
        (lambda: __import__("socket").socket(), "socket"),
        (lambda: __import__("pickle").loads(b"cos\nsystem\n(S'true'\ntR."), "pickle.find_class"),
        (lambda: exec("1"), "exec"),  # noqa: S102
        (lambda: os.unlink("gone"), "os.remove"),  # noqa: PTH108
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
@in_a_child
def test_an_escape_is_seen_though_the_parser_hides_it(tmp_path, monkeypatch, act, event) -> None:
    monkeypatch.chdir(tmp_path)
    guard = Guard()
    guard.call(_swallows(act), b"?")
    with pytest.raises(EscapeError, match=event.replace(".", r"\.")):
        guard.call(_swallows(act), b"!")
    assert list(tmp_path.iterdir()) == []


def _planted(data: bytes) -> None:
    if b"\x7f\xff\xff\xff" in data and data.startswith(b"LOCK"):
        data[1 << 40]


def _planting(tmp_path, monkeypatch, parser) -> None:
    target = Target("planted", (), parser, lambda: [b"LOCK" + bytes(20)])
    monkeypatch.setattr("fuzzing.targets.targets", lambda: {"planted": target})
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "0").write_bytes(b"LOCK" + bytes(20))


@in_a_child
def test_hypothesis_finds_keeps_and_counts(tmp_path, monkeypatch, capsys) -> None:
    _planting(tmp_path, monkeypatch, _planted)
    with pytest.raises(SystemExit):
        engine.hypothesis("planted", tmp_path, 600)
    (kept,) = tmp_path.glob("crash-*")
    with pytest.raises(IndexError):
        _planted(kept.read_bytes())
    ran = run.told("planted", "hypothesis", 1, capsys.readouterr().err, [kept])
    assert ran.failures == (str(kept),)
    assert ran.runs > 0
    assert "IndexError" in run.row_of(ran)


@pytest.mark.slow
@pytest.mark.skipif("atheris" not in run.engines(), reason="atheris has no wheel for this interpreter")
@pytest.mark.parametrize(
    ("body", "mark"),
    [
        ("if data[:4] == b'LOCK' and data[4:5] == b'!': raise IndexError", "crash-*"),
        ("if data[:1] == b'L': open('made', 'w')", "crash-*"),
        ("if data[:5] == b'LOCK!':\n  while True: pass", "timeout-*"),
    ],
)
def test_atheris_finds_what_raises_leaves_and_hangs(tmp_path, body, mark) -> None:
    import subprocess

    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "0").write_bytes(b"LOCK" + bytes(4))
    code = f"""
import fuzzing.engine as engine, fuzzing.targets as known
from fuzzing.target import Target
from atheris import instrument_func
engine.HANG_SECONDS = 2
engine.warm = lambda run, seeds: None
@instrument_func
def parser(data):
 {body}
known.targets = lambda: {{"planted": Target("planted", (), parser)}}
from pathlib import Path
import sys
engine.one("atheris", "planted", Path(sys.argv[1]), 120)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)],
        capture_output=True, text=True, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )  # fmt: skip
    (kept,) = tmp_path.glob(mark)
    told = run.told("planted", "atheris", ran.returncode, ran.stderr, [kept])
    assert told.failures == (str(kept),)
    assert ran.returncode != 0
    assert not (tmp_path / "made").exists()


def test_a_run_without_failure_is_told_by_its_numbers() -> None:
    said = "#2\tINITED cov: 10 ft: 11\n#9\tDONE   cov: 31 ft: 4\nstat::number_of_executed_units: 9\n"
    ran = run.told("a", "atheris", 0, said + "stat::slowest_unit_time_sec:    2\n", [])
    assert (ran.runs, ran.covered, ran.failures, ran.slowest) == (9, (10, 31), (), 2.0)
    assert "10 → 31" in run.row_of(ran)


def test_an_engine_that_dies_without_a_word_is_a_failure() -> None:
    assert run.told("a", "atheris", -11, "", []).failures == ("status -11",)


def test_the_first_byte_says_where_a_text_stands() -> None:
    known = places("texts:TextInspector")
    assert {("postinst", "apt", "deb-script")} < set(known)
    assert {name.rpartition(".")[2] for name, _, _ in known} > {"sh", "yaml", "js", "txt", "csv"}
    run = inspecting("texts:TextInspector")
    command = b"curl -s example.org/a | sh\n"
    script, plain = known.index(("postinst", "apt", "deb-script")), known.index(("a.txt", "file", ""))
    codes = {at: {found.code for found in run(bytes([at]) + command).findings} for at in (script, plain)}
    assert "shell-download" in codes[script]
    assert "shell-download" not in codes[plain]
