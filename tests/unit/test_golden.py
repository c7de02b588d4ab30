"""Golden prompts: recorded on the low side, replayed from quarantine in a sandbox, demanded by a rule."""

import json
from pathlib import Path

import msgspec
import pytest
from typer.testing import CliRunner

from corpora import goldens
from corpora.gates import START, Scripted
from corpora.homes import HighSide
from lockgate.app.gate.gate import open_gate
from lockgate.app.golden.box import EngineReplayError, Setup, ask
from lockgate.app.golden.engine import NoEngineWheelError, unpacked
from lockgate.app.golden.gate import replay_crossing
from lockgate.app.golden.sets import BadPromptsError, compare, read_golden, read_prompts, record
from lockgate.app.settings import load_settings
from lockgate.app.trust import signer_from, supply_root
from lockgate.cli.main import app
from lockgate.core.advised import Advised
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.difference import Risk
from lockgate.core.digests import sha256
from lockgate.core.golden import (
    GOLDEN_TYPE,
    Divergence,
    Engine,
    GoldenAnswer,
    GoldenPrompt,
    GoldenSet,
    Replay,
    diverge,
    replay,
)
from lockgate.core.policy import Policy
from lockgate.core.roots import KeyPurposeError, Purpose, UnknownKeyError
from lockgate.core.rules import RULES_FORMAT, Rule, Rules
from lockgate.core.ruling import rule_on
from lockgate.core.wire import encode
from lockgate.infer.engines.ports import Piece
from lockgate.infer.errors import EngineFilesError
from lockgate.infer.golden import tokens_of
from lockgate.store import FileBlobs
from lockgate.trust.dsse import open_envelope, sign
from lockgate.trust.keys import new_signer

ENGINE = Engine(name="pkg:pypi/engine@1", sha256="1" * 64, context=2048, seed=1)


def answer(text: str, name: str = "capital") -> GoldenAnswer:
    return GoldenAnswer(prompt=GoldenPrompt(id=name, prompt="?"), tokens=tuple(text.split()))


def test_the_first_token_that_differs_is_told() -> None:
    assert diverge(answer("it is Paris"), ["it", "is", "Paris"]) is None
    assert diverge(answer("it is Paris"), ["it", "is", "Berlin", "!"]) == Divergence(
        id="capital", at=2, expected="Paris", found="Berlin!"
    )
    assert diverge(answer("it is"), ["it", "is", "more"]).at == 2
    assert diverge(answer("it is more"), ["it"]).found == ""
    hostile = diverge(answer("fine"), ["\x1b[2J\u202e" * 200])
    assert hostile.found.isprintable()
    assert len(hostile.found) <= 80


def test_tokens_do_not_depend_on_how_an_answer_falls_into_parts() -> None:
    assert tokens_of([Piece("a b"), Piece("c  d ")]) == tokens_of([Piece("a"), Piece(" bc  d ")])
    assert tokens_of([Piece("a b"), Piece("c  d ")]) == ("a", " bc", "  d", " ")
    named = [{"token": "Par"}, {"token": "is"}]
    assert tokens_of([Piece("Paris", logprobs=tuple(named))]) == ("Par", "is")
    assert tokens_of([Piece("Paris x", logprobs=tuple(named))]) == ("Paris", " x")


def test_prompts_are_read_strictly(tmp_path: Path) -> None:
    assert [p.id for p in read_prompts(goldens.prompts_file(tmp_path))] == ["capital", "short"]
    file = tmp_path / "bad.jsonl"
    for text in ("", "{", '{"id": "a"}', '{"id":"a","prompt":"x"}\n{"id":"a","prompt":"y"}'):
        file.write_text(text)
        with pytest.raises(BadPromptsError):
            read_prompts(file)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return goldens.engine_wheel(tmp_path_factory.mktemp("wheel"))


def test_an_engine_is_unpacked_only_as_its_record_says(wheel: Path, tmp_path: Path) -> None:
    with unpacked(wheel, goldens.EXECUTABLE, "e") as setup:
        assert setup.installation.program.is_file()
        root = setup.installation.root
    assert not root.exists()
    with pytest.raises(NoEngineWheelError), unpacked(wheel, "bin/other", "e"):
        pass
    data = wheel.read_bytes()
    broken = tmp_path / "engine-1.0-py3-none-any.whl"
    broken.write_bytes(data.replace(b"admitted", b"tampered"))
    with pytest.raises(EngineFilesError), unpacked(broken, goldens.EXECUTABLE, "e"):
        pass
    (tmp_path / "none.whl").write_bytes(b"nothing")
    with pytest.raises(EngineFilesError), unpacked(tmp_path / "none.whl", goldens.EXECUTABLE, "e"):
        pass


SPY = """
import os, socket, sys
try:
    socket.create_connection(("192.0.2.1", 9), 2)
    network = "reached"
except OSError as error:
    network = type(error).__name__ + str(error.errno)
seen = [p for p in ("/etc/passwd", "/home", "/var", "/srv", "/model.gguf") if os.path.exists(p)]
try:
    open("/engine/x", "w"); wrote = True
except OSError:
    wrote = False
print("spy", network, seen, wrote, os.getuid(), flush=True)
sys.exit(7)
"""


def test_the_engine_sees_its_model_and_no_network_and_says_why_it_failed(tmp_path: Path) -> None:
    model = goldens.model_file(tmp_path)
    prompts, spy = read_prompts(goldens.prompts_file(tmp_path)), goldens.engine_wheel(tmp_path, source=SPY)
    with unpacked(spy, goldens.EXECUTABLE, "e") as setup, pytest.raises(EngineReplayError) as caught:
        ask(setup, model, sha256(model.read_bytes()), prompts)
    said = caught.value.what
    assert "status 7" in said
    assert "spy OSError101 ['/model.gguf'] False 65534" in said


def test_a_model_that_is_not_what_its_digest_says_is_not_run(wheel: Path, tmp_path: Path) -> None:
    prompts = read_prompts(goldens.prompts_file(tmp_path))
    with unpacked(wheel, goldens.EXECUTABLE, "e") as setup, pytest.raises(EngineReplayError):
        ask(setup, goldens.model_file(tmp_path), "0" * 64, prompts)


# A lane: recorded on its low side, replayed on its high side.


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> HighSide:
    return HighSide.new(tmp_path_factory.mktemp("golden"))


@pytest.fixture(scope="module")
def golden(high: HighSide, wheel: Path) -> Path:
    model, out = goldens.model_file(high.folder), high.folder / "model.golden.json"
    run = CliRunner().invoke(
        app,
        [
            *("golden", "record", str(model), "--prompts", str(goldens.prompts_file(high.folder))),
            *("--engine", str(wheel), "--executable", goldens.EXECUTABLE, "--out", str(out)),
            *("--home", str(high.lane.low), "--json"),
        ],
    )
    assert run.exit_code == 0, run.output
    return out


def test_a_golden_set_binds_model_engine_and_answers_and_is_the_collectors(
    high: HighSide, golden: Path, wheel: Path
) -> None:
    supply = supply_root(high.side)[1]
    said = read_golden(golden.read_bytes(), supply)
    assert said.model_sha256 == sha256(goldens.HONEST.encode())
    assert said.engine.name == wheel.name
    assert "".join(said.answers[0].tokens) == "The capital of France is Paris and the"
    for purpose, error in ((Purpose.COLLECTOR, UnknownKeyError), (Purpose.SEALER, UnknownKeyError)):
        forged = sign(GOLDEN_TYPE, encode(said), [new_signer(purpose, "mallory")])
        with pytest.raises((error, KeyPurposeError)):
            read_golden(forged, supply)
    changed = msgspec.structs.replace(said, model_sha256="0" * 64)
    opened = open_envelope(golden.read_bytes())
    assert read_golden(golden.read_bytes(), None) == said
    assert encode(changed) != opened.payload


def arrive(high: HighSide, sequence: int, golden: Path | None, words: str = goldens.HONEST) -> None:
    quarantine = FileBlobs(high.side.home.quarantine)
    files = []
    contents = {"m.gguf": (words.encode(), Role.WEIGHTS)}
    if golden is not None:
        contents["m.golden.json"] = (golden.read_bytes(), Role.GOLDEN)
    for name, (data, role) in contents.items():
        path = f"models/org/m{sequence}/{name}"
        digest = quarantine.put_bytes(data)
        files.append(ArtifactFile(path=path, role=role, size=len(data), sha256=digest))
    high.arrive_with(
        sequence,
        Artifact(
            purl=f"pkg:huggingface/org/m@{sequence}", kind=Kind.MODEL, name="org/m", version=str(sequence),
            files=tuple(files),
        ),
    )  # fmt: skip
    open_gate(high.side).inspect(sequence, Scripted())


def test_the_gate_replays_from_quarantine_and_shows_what_differs(
    high: HighSide, golden: Path, wheel: Path, tmp_path: Path
) -> None:
    arrive(high, 1, golden)
    (same,) = replay_crossing(high.side, 1, wheel, goldens.EXECUTABLE)
    assert (same.same, same.prompts) == (True, 2)
    assert same.golden_sha256 == sha256(golden.read_bytes())
    # The signed set says that it is of the honest model; what crosses is another one under its name.
    told = read_golden(golden.read_bytes(), None)
    of_other = msgspec.structs.replace(told, model_sha256=sha256(goldens.POISONED.encode()))
    low = load_settings(high.lane.low)
    signer = signer_from(low.home.keys, Purpose.COLLECTOR, supply_root(low)[1])
    file = tmp_path / "other.golden.json"
    file.write_bytes(sign(GOLDEN_TYPE, encode(of_other), [signer]))
    arrive(high, 2, file, goldens.POISONED)
    home = ["--home", str(high.lane.high)]
    ran = CliRunner().invoke(
        app,
        ["gate", "replay", "2", "--engine", str(wheel), "--executable", goldens.EXECUTABLE, *home, "--json"],
    )
    assert ran.exit_code == 0, ran.output
    (found,) = json.loads(ran.output)["replays"]
    assert found["divergences"] == [
        {"id": "capital", "at": 5, "expected": " Paris and the", "found": " Berlin and the"}
    ]
    gate = open_gate(high.side)
    drawn = gate.differ.draw(gate.crossing(2), "stable")
    assert drawn.changes[0].risk is Risk.GOLDEN
    shown = CliRunner().invoke(app, ["gate", "show", "2", *home])
    assert "capital at token 5: ' Paris and the' became ' Berlin and the'" in shown.output.replace("\n", "")
    assert json.loads(CliRunner().invoke(app, ["gate", "show", "2", *home, "--json"]).output)["facts"]
    diff = json.loads(CliRunner().invoke(app, ["gate", "diff", "2", *home, "--json"]).output)
    assert diff["changes"][0]["risk"] == "golden"


def test_a_crossing_without_a_golden_set_replays_nothing_and_a_forged_one_is_refused(
    high: HighSide, golden: Path, tmp_path: Path, wheel: Path
) -> None:
    arrive(high, 3, None, "no golden set here")
    assert replay_crossing(high.side, 3) == []
    forged = tmp_path / "forged.golden.json"
    said = read_golden(golden.read_bytes(), None)
    forged.write_bytes(sign(GOLDEN_TYPE, encode(said), [new_signer(Purpose.COLLECTOR, "mallory")]))
    arrive(high, 4, forged)
    with pytest.raises(UnknownKeyError):
        replay_crossing(high.side, 4, wheel, goldens.EXECUTABLE)
    arrive(high, 5, golden)
    with pytest.raises(NoEngineWheelError):
        replay_crossing(high.side, 5)


def test_check_and_compare_end_with_4_when_an_answer_differs(
    golden: Path, wheel: Path, tmp_path: Path, high: HighSide
) -> None:
    engine = ["--engine", str(wheel), "--executable", goldens.EXECUTABLE]
    good = goldens.model_file(tmp_path)
    bad = goldens.model_file(tmp_path, goldens.POISONED, "bad.gguf")
    run = CliRunner().invoke(app, ["golden", "check", str(good), "--golden", str(golden), *engine])
    assert run.exit_code == 0, run.output
    run = CliRunner().invoke(app, ["golden", "check", str(bad), "--golden", str(golden), *engine, "--json"])
    assert run.exit_code == 4
    assert json.loads(run.output)["differing"] == 1
    low, newer = load_settings(high.lane.low), tmp_path / "bad.golden.json"
    with unpacked(wheel, goldens.EXECUTABLE, wheel.name) as setup:
        new = record(low, bad, read_prompts(goldens.prompts_file(tmp_path)), setup, newer)
    run = CliRunner().invoke(app, ["golden", "compare", str(golden), str(newer)])
    assert run.exit_code == 4
    assert "capital at token 5" in run.output
    assert CliRunner().invoke(app, ["golden", "compare", str(golden), str(golden)]).exit_code == 0
    old = read_golden(golden.read_bytes(), None)
    with pytest.raises(BadPromptsError):
        compare(old, "0" * 64, msgspec.structs.replace(new, answers=new.answers[:1]))


def test_a_rule_demands_a_replay_by_label() -> None:
    file = ArtifactFile(path="models/m/m.gguf", role=Role.WEIGHTS, size=1, sha256="2" * 64)
    model = Artifact(
        purl="pkg:huggingface/o/m@1",
        kind=Kind.MODEL,
        name="o/m",
        version="1",
        files=(file,),
        label="internal",
    )
    rules = Rules(
        format=RULES_FORMAT,
        version=1,
        rule=(Rule(name="g", labels=("internal",), golden_differing=1),),
    )

    def held(replays: dict[str, Replay], artifact: Artifact = model, now=START) -> list[str]:
        ruling = rule_on(
            Policy(), rules, artifact, (), advised=Advised(applies=False), now=now, replays=replays
        )
        return [each.reason for each in ruling.held]

    golden_set = GoldenSet(
        format="x", model_sha256="2" * 64, model_size=1, engine=ENGINE, recorded=START,
        answers=(answer("a", "one"), answer("b", "two"), answer("c", "three")),
    )  # fmt: skip
    same = replay(golden_set, "3" * 64, "2" * 64, ENGINE, [["a"], ["b"], ["x"]])
    other = replay(golden_set, "3" * 64, "2" * 64, ENGINE, [["a"], ["y"], ["x"]])
    assert held({}) == ["By the rule g, its golden prompts were not replayed."]
    assert held({"2" * 64: same}) == []
    assert held({"2" * 64: other})[0].startswith("By the rule g, golden prompts hold it: 2 of 3")
    failed = msgspec.structs.replace(same, differing=0, problem="The engine did not start.")
    assert held({"2" * 64: failed}) != []
    assert held({}, now=None) == []
    assert held({}, msgspec.structs.replace(model, label="public")) == []
    assert held({}, msgspec.structs.replace(model, kind=Kind.PYTHON)) == []


def test_setups_name_their_engine(wheel: Path) -> None:
    with unpacked(wheel, goldens.EXECUTABLE, "pkg:pypi/engine@1") as setup:
        assert isinstance(setup, Setup)
        assert setup.engine.sha256 == dict(setup.installation.files)[goldens.EXECUTABLE]
