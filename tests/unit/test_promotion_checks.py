"""What speaks against a model that is to answer most callers, and two persons who sign it all the same."""

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

import msgspec
import pytest

from corpora.commands import Commands
from corpora.gates import Scripted
from corpora.homes import HighSide
from infer_doubles import NOW
from lockgate.admit.facts import keep_facts
from lockgate.app.gate.gate import execute, gate_parts, open_gate
from lockgate.app.high import promotion as module
from lockgate.app.high.promotion import GoldenCheck, RedTeamCheck, Versions, promotion_checks
from lockgate.app.high.shares import (
    REASON_LIMIT,
    ShareRefusedError,
    SignedShares,
    ask_for_share,
    put_share,
)
from lockgate.app.trust import site_root
from lockgate.approve import read_statement
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.golden import Engine, Replay
from lockgate.core.policy import Policy, PromotionRule
from lockgate.core.wire import encode
from lockgate.guard.redteam import RedTeamReport, Tally
from lockgate.guard.redteam.report import REPORT_FORMAT
from lockgate.infer import PromotionCheck, Share, parse_arms
from lockgate.store import FileBlobs

ENGINE = Engine(name="pkg:pypi/engine@1", sha256="1" * 64, context=2048, seed=1)
DIFFERING = {"good": 0, "odd": 2, "silent": 3}
"""Models that crossed with golden prompts, and how many were answered otherwise; `plain` has none."""


def _sha(name: str) -> str:
    return sha256(f"weights of {name}".encode()).hexdigest()


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> HighSide:
    """Return a side whose channel has four models, three of them with golden prompts replayed."""
    made = HighSide.new(tmp_path_factory.mktemp("side"))
    side = made.side
    artifacts = []
    for name in (*DIFFERING, "plain"):
        data = f"weights of {name}".encode()
        digest = FileBlobs(side.home.quarantine).put_bytes(data)
        file = ArtifactFile(
            path=f"models/org/{name}/w.gguf", role=Role.WEIGHTS, size=len(data), sha256=digest
        )
        artifacts.append(
            Artifact(
                purl=f"pkg:huggingface/org/{name}@{'a' * 40}",
                kind=Kind.MODEL,
                name=f"org/{name}",
                version="a" * 40,
                files=(file,),
                attributes={"task": "chat"},
            )
        )
    made.arrive_with(1, *artifacts)
    gate = open_gate(side)
    gate.inspect(1, Scripted())
    replays = [
        Replay(
            model_sha256=_sha(name),
            golden_sha256="2" * 64,
            engine=ENGINE,
            recorded_by=ENGINE,
            prompts=3,
            differing=count,
            problem="the engine ended" if name == "silent" else "",
        )
        for name, count in DIFFERING.items()
    ]
    keep_facts(gate_parts(side), gate.crossing(1), replays=replays)
    gate.judge_anew(gate.crossing(1))
    execute(side, made.signed(gate.request(1, "stable", made.operator), "publish-1"))
    return made


def attacked(
    high: HighSide, name: str, worked: int, *, suite: str = "b", minutes: int = 0, folder: str = "x"
) -> Path:
    """Keep a run of the red team, as `lockgate redteam` does: so many of 50 attacks worked."""
    report = RedTeamReport(
        format=REPORT_FORMAT,
        model=name,
        purl=f"pkg:huggingface/org/{name}",
        model_sha256=_sha(name),
        suite_sha256=suite * 64,
        made=NOW + timedelta(minutes=minutes),
        tallies={"own/override": Tally(succeeded=worked, attacks=50)},
        harmless=6,
        harmless_blocked=0,
        failed=0,
    )
    path = high.side.home.root / "redteam" / folder / f"{report.made:%Y%m%dT%H%M%SZ}-{_sha(name)[:12]}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(encode(report))
    return path


def golden(high: HighSide, new: str, rule: PromotionRule | None = None) -> str:
    return GoldenCheck(Versions(high.side), rule).against("name", "", new)


def test_golden_prompts_that_were_answered_otherwise_speak_against_a_version(high: HighSide) -> None:
    demanded, generous = PromotionRule(golden_differing=0), PromotionRule(golden_differing=2)
    for rule in (None, PromotionRule(), demanded, generous):
        assert golden(high, "good", rule) == ""
        assert "not replayed: the engine ended" in golden(high, "silent", rule)
    for rule in (None, PromotionRule(), demanded):
        assert golden(high, "odd", rule).startswith("'odd': ")
    assert golden(high, "odd", generous) == ""
    for name in ("plain", "unknown"):
        assert golden(high, name) == golden(high, name, PromotionRule()) == ""
        assert golden(high, name, demanded) == f"No golden prompts were replayed with {name!r}."


def test_the_red_team_compares_the_last_runs_with_one_suite(high: HighSide) -> None:
    check = RedTeamCheck(Versions(high.side), 20)
    assert "has not attacked 'good'" in check.against("name", "plain", "good")
    assert "has not attacked 'unknown'" in check.against("name", "", "unknown")
    attacked(high, "good", 4)
    assert check.against("name", "", "good") == ""
    assert "has not attacked 'plain', the version before" in check.against("name", "plain", "good")
    attacked(high, "plain", 3, suite="c")
    assert "with the same suite" in check.against("name", "plain", "good")
    attacked(high, "plain", 3, minutes=1, folder="y")
    assert check.against("name", "plain", "good") == ""
    attacked(high, "good", 40, minutes=5)
    said = check.against("name", "plain", "good")
    assert "worked too often" in said
    assert "more often than before" in said
    attacked(high, "good", 0, minutes=6)
    assert check.against("name", "plain", "good") == ""


class Says(PromotionCheck):
    """A check that says what the test wants."""

    def __init__(self, said: str = "") -> None:
        self.said = said
        self.asked: list[tuple[str, str]] = []

    def against(self, name: str, old: str, new: str) -> str:
        self.asked.append((old, new))
        return self.said


def wanted(name: str, arms: str) -> Share:
    return Share(name=name, arms=parse_arms(arms))


def signed(high: HighSide, request: bytes) -> Sequence[Path]:
    return high.signed(request, read_statement(request).nonce)


def test_the_step_that_gives_more_than_half_is_checked_and_no_other(high: HighSide) -> None:
    check = Says()
    for arms, asked in (
        ("good=1", [("", "good")]),
        ("good=90 odd=10", []),
        ("good=50 odd=50", []),
        ("good=49 odd=51", [("", "odd")]),
        ("odd=1", []),
    ):
        check.asked.clear()
        request = ask_for_share(high.side, wanted("stepped", arms), high.operator, [check])
        assert check.asked == asked, arms
        put_share(high.side, signed(high, request), [check])


def test_two_persons_may_sign_a_version_with_what_speaks_against_it(high: HighSide) -> None:
    check, share = Says("3 of 20 got worse."), wanted("overridden", "odd=1")
    with pytest.raises(ShareRefusedError, match="3 of 20"):
        ask_for_share(high.side, share, high.operator, [check])
    for reason in ("a\nb", "x" * (REASON_LIMIT + 1)):
        with pytest.raises(ShareRefusedError, match="reason"):
            ask_for_share(high.side, share, high.operator, [check], reason)
    with pytest.raises(ShareRefusedError, match="nothing to override"):
        ask_for_share(high.side, share, high.operator, [Says()], "because")
    request = ask_for_share(high.side, share, high.operator, [check], "the old one is withdrawn tonight")
    facts = read_statement(request).facts
    assert isinstance(facts, dict)
    assert facts["against"] == "3 of 20 got worse."
    assert facts["override"] == "the old one is withdrawn tonight"
    files = signed(high, request)
    with pytest.raises(ShareRefusedError, match="9 of 20"):
        put_share(high.side, files, [Says("9 of 20 got worse.")])
    assert SignedShares(high.side).find("overridden") is None
    put_share(high.side, files, [check])
    assert SignedShares(high.side).find("overridden") == share


def test_what_came_to_speak_against_it_since_the_request_ends_it(high: HighSide) -> None:
    files = signed(high, ask_for_share(high.side, wanted("late", "odd=1"), high.operator, [Says()]))
    with pytest.raises(ShareRefusedError, match="came late"):
        put_share(high.side, files, [Says("came late")])
    assert SignedShares(high.side).find("late") is None
    put_share(high.side, files, [Says()])


def test_long_words_against_it_stand_by_their_digest(high: HighSide) -> None:
    long = Says("x" * 5000)
    request = ask_for_share(high.side, wanted("long", "odd=1"), high.operator, [long], "because")
    facts = read_statement(request).facts
    assert isinstance(facts, dict)
    assert len(facts["against"]) < 1100
    with pytest.raises(ShareRefusedError):
        put_share(high.side, signed(high, request), [Says("x" * 4999 + "y")])


def test_the_policy_says_what_is_checked(high: HighSide, monkeypatch: pytest.MonkeyPatch) -> None:
    assert [type(each) for each in promotion_checks(high.side)] == [GoldenCheck]
    root = site_root(high.side, None)
    assert root.policy is not None
    for rule, kinds in (
        (PromotionRule(golden_differing=0), [GoldenCheck]),
        (PromotionRule(red_team_percent=5), [GoldenCheck, RedTeamCheck]),
    ):
        policy = msgspec.structs.replace(root.policy, promotion=rule)
        assert isinstance(policy, Policy)
        strict = msgspec.structs.replace(root, policy=policy)
        monkeypatch.setattr(module, "site_root", lambda *_, strict=strict: strict)
        assert [type(each) for each in promotion_checks(high.side)] == kinds


def test_the_commands_refuse_and_override(high: HighSide) -> None:
    run = Commands()
    key, home = high.folder / "lane" / "people" / "operator", high.lane.high
    words = ("models", "promote", "spoken", "odd", "--key", key, "--home", home)
    assert run.refused(*words)[1]["code"] == "LG-3fa0"
    asked = run.json(*words, "--override", "measured again by hand")
    assert "odd" in asked["statement"]["facts"]["against"]
    files = high.signed(Path(asked["request"]).read_bytes(), "spoken")
    done = run.json(
        "models", "share", *[word for file in files for word in ("--signed", file)], "--home", home
    )
    assert len(done["approvers"]) == 2
