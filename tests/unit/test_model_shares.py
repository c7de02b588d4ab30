"""Shares of traffic on a high side: two persons sign, gateways verify, one operator may roll back."""

import base64
import json
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.homes import HighSide
from lockgate.app.high.shares import (
    ShareRefusedError,
    SignedShares,
    ask_for_share,
    promotion,
    put_share,
    roll_back,
    standing,
)
from lockgate.approve.errors import ApprovalSpentError
from lockgate.core.errors import LockgateError
from lockgate.core.statement import TooFewApproversError
from lockgate.infer import By, Share, parse_arms
from lockgate.infer.errors import ShareError


@pytest.fixture(scope="module")
def high(tmp_path_factory: pytest.TempPathFactory) -> HighSide:
    """Return a side whose shares each test gives a name of its own."""
    return HighSide.new(tmp_path_factory.mktemp("side"))


def wanted(name: str, arms: str, by: By = By.TENANT) -> Share:
    return Share(name=name, arms=parse_arms(arms), by=by)


def signed(high: HighSide, share: Share) -> Sequence[Path]:
    request = ask_for_share(high.side, share, high.operator)
    return high.signed(request, f"share-{sha256(request).hexdigest()[:16]}")


def put(high: HighSide, name: str, arms: str) -> Share:
    return put_share(high.side, signed(high, wanted(name, arms)))[0]


def file_of(high: HighSide, name: str) -> Path:
    return high.side.home.trust / f"model-share-{name}.json"


def test_a_share_counts_once_enough_approvers_signed_it(high: HighSide) -> None:
    share = wanted("first", "old=90 new:abcd1234=10", By.REQUEST)
    files = signed(high, share)
    source = SignedShares(high.side)
    assert source.find("first") is None
    with pytest.raises(TooFewApproversError):
        put_share(high.side, files[:1])
    assert source.find("first") is None
    put_share(high.side, files)
    assert source.find("first") == share
    assert "first" in source.names()
    with pytest.raises(ApprovalSpentError):
        put_share(high.side, files)


def test_a_share_that_was_asked_for_before_another_came_into_force_is_refused(high: HighSide) -> None:
    late = signed(high, wanted("raced", "old=1 new=1"))
    put(high, "raced", "old=9 new=1")
    with pytest.raises(ShareError, match="changed"):
        put_share(high.side, late)
    assert SignedShares(high.side).find("raced") == wanted("raced", "old=9 new=1")


def test_one_operator_rolls_back_and_two_persons_go_on(high: HighSide) -> None:
    put(high, "turned", "old=1")
    put(high, "turned", "old=9 new=1")
    source = SignedShares(high.side)
    assert source.find("turned") == wanted("turned", "old=9 new=1")
    roll_back(high.side, "turned", high.operator)
    assert source.find("turned") == wanted("turned", "old=1")
    with pytest.raises(ShareRefusedError, match="before"):
        roll_back(high.side, "turned", high.operator)
    made = promotion(high.side, "turned", "new")
    assert made == wanted("turned", "old=0 new=1")
    put_share(high.side, signed(high, made))
    assert source.find("turned") == made
    found = standing(high.side, "turned")
    assert found is not None
    assert len(found.approvers) == 2
    assert (found.number, found.of) == (2, 2), "what was rolled back is no step to go back to"


def test_rolling_back_takes_two_where_the_policy_lets_nobody_do_it_alone(
    high: HighSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lockgate.app.high import shares
    from lockgate.core.policy import Policy

    put(high, "strict", "old=1")
    put(high, "strict", "new=1")
    root = shares.site_root(high.side, None)

    class Strict:
        policy = Policy()

        def held(self, *arguments: object) -> object:
            return root.held(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(shares, "site_root", lambda *_: Strict())
    with pytest.raises(ShareRefusedError, match="alone"):
        roll_back(high.side, "strict", high.operator)


def canonical(said: object) -> str:
    return json.dumps(said, sort_keys=True, separators=(",", ":"))


def _envelope_of(high: HighSide, name: str) -> str:
    found: str = json.loads(file_of(high, name).read_text())["signed"][0]
    return found


@pytest.mark.parametrize("change", ["arms", "another name", "pointer", "half", "empty"])
def test_an_altered_file_changes_nothing_that_is_served(high: HighSide, change: str) -> None:
    name = f"altered-{change.replace(' ', '-')}"
    put(high, name, "old=1")
    put(high, "donor", "evil=1") if change == "another name" else None
    running = SignedShares(high.side)
    assert running.find(name) == wanted(name, "old=1")
    said = json.loads(file_of(high, name).read_text())
    if change == "arms":
        envelope = json.loads(base64.b64decode(said["signed"][0]))
        payload = base64.b64decode(envelope["payload"]).replace(b"old=1", b"bad=1")
        envelope["payload"] = base64.b64encode(payload).decode()
        said["signed"] = [base64.b64encode(canonical(envelope).encode()).decode()]
    elif change == "another name":
        said["signed"] = [_envelope_of(high, "donor")]
    elif change == "pointer":
        said["active"] = 7
    text = canonical(said)
    file_of(high, name).write_text({"half": text[: len(text) // 2], "empty": ""}.get(change, text))
    assert running.find(name) == wanted(name, "old=1"), "what was verified before goes on"
    assert SignedShares(high.side).find(name) is None
    with pytest.raises(LockgateError):
        standing(high.side, name)


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "x" * 300, "a\0b", "a@b"])
def test_a_callers_words_are_no_path(high: HighSide, name: str) -> None:
    assert SignedShares(high.side).find(name) is None


def test_what_speaks_against_a_version_ends_its_promotion(high: HighSide) -> None:
    seen = []

    class Golden:
        def against(self, name: str, old: str, new: str) -> str:
            seen.append((name, old, new))
            return "3 of 20 golden prompts got worse."

    put(high, "checked", "old=1")
    with pytest.raises(ShareRefusedError, match="golden prompts"):
        ask_for_share(high.side, promotion(high.side, "checked", "new"), high.operator, [Golden()])
    assert seen == [("checked", "old", "new")]


def test_the_commands_do_the_same(high: HighSide) -> None:
    run = Commands().json
    home = high.lane.high
    people = high.folder / "lane" / "people"
    asked = run("models", "share", "spoken", "old=90", "new=10", "--key", people / "operator", "--home", home)
    assert asked["statement"]["facts"]["arms"] == "old=90 new=10"
    files = high.signed(Path(asked["request"]).read_bytes(), "spoken")
    words = [word for file in files for word in ("--signed", file)]
    done = run("models", "share", *words, "--home", home)
    assert done["share"]["name"] == "spoken"
    assert len(done["approvers"]) == 2
    asked = run("models", "promote", "spoken", "new", "--key", people / "operator", "--home", home)
    assert asked["statement"]["facts"]["arms"] == "old=0 new=1"
    high.publish(1, "a document")
    assert run("models", "list", "--home", home) == []
