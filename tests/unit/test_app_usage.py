"""Who used how much: counted out of receipts, by caller, model and day."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from corpora.commands import Commands
from corpora.homes import HighSide
from infer_doubles import NOW, loaded
from lockgate.app.high.receipts import receipts_of
from lockgate.app.high.usage import MOST_DAYS, By, UsageDaysError, Used, usage
from lockgate.core.wire import encode
from lockgate.infer import Usage
from lockgate.infer.receipts import RECEIPT_FORMAT, ModelEvidence, Receipt, Status, stored_bytes

NONE = "0" * 64
MODEL = ModelEvidence(
    name="small", purl="pkg:generic/m@1", files=(), loaded=loaded(NONE), crossing=1, crate_sha256=NONE
)


def receipt(number: int, caller: str, when: datetime, status: Status, *, model: str = "small") -> Receipt:
    return Receipt(
        format=RECEIPT_FORMAT,
        id=f"{number:02x}" * 16,
        status=status,
        reason="",
        api_key=caller,
        requested=when,
        finished=when,
        channel="stable",
        channel_version=1,
        snapshot_sha256=NONE,
        model=msgspec.structs.replace(MODEL, name=model),
        knowledge=None,
        guards=(),
        prompt_hmac=NONE,
        answer_hmac=NONE,
        usage=Usage(prompt_tokens=10, completion_tokens=number),
        intent_leaf=1,
    )


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    return HighSide.new(tmp_path)


def put(high: HighSide, *receipts: Receipt) -> None:
    store = receipts_of(high.side)
    for each in receipts:
        store.put(each.id, stored_bytes(encode(each), 2), b"key")


def midnight(days: int) -> datetime:
    """Return the beginning of a day (UTC), some days before today."""
    return NOW.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=days)


def test_requests_and_tokens_are_counted_by_caller_model_and_day(high: HighSide) -> None:
    made = Commands().json("gateway", "key", "add", "desk", "--home", high.lane.high)
    (key,) = Commands().json("gateway", "key", "list", "--home", high.lane.high)
    today, yesterday = midnight(0), midnight(1)
    put(
        high,
        receipt(1, key["id"], today, Status.ANSWERED),
        receipt(2, key["id"], yesterday, Status.BLOCKED, model="large"),
        receipt(0xFF, "oidc:jane", yesterday, Status.ANSWERED, model="large"),
        receipt(4, "oidc:jane", midnight(2) - timedelta(seconds=1), Status.ANSWERED),
    )
    jane = Used("oidc:jane", 1, 1, 10, 255, f"{yesterday:%Y-%m-%d}T00:00:00Z")
    desk = Used("desk", 2, 1, 20, 3, f"{today:%Y-%m-%d}T00:00:00Z")
    assert usage(high.side, 3, By.CALLER, NOW) == [jane, desk]
    assert [(r.name, r.requests, r.answered) for r in usage(high.side, 3, By.MODEL, NOW)] == [
        ("large", 2, 1),
        ("small", 1, 1),
    ]
    assert [(r.name, r.requests) for r in usage(high.side, 3, By.DAY, NOW)] == [
        (f"{yesterday:%Y-%m-%d}", 2),
        (f"{today:%Y-%m-%d}", 1),
    ]
    assert [(r.name, r.requests) for r in usage(high.side, 1, By.CALLER, NOW)] == [("desk", 1)]
    assert usage(high.side, 4, By.CALLER, NOW)[0].requests == 2
    assert made["key"] not in str(usage(high.side, 3, By.CALLER, NOW))


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_receipts_that_are_read_some_at_a_time_are_all_counted(
    high: HighSide, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockgate.app.high.usage.ROWS", 2)
    put(high, *(receipt(number, "desk", midnight(0), Status.ANSWERED) for number in range(count)))
    (row,) = usage(high.side, 1, By.CALLER, NOW)
    assert (row.requests, row.completion_tokens) == (count, sum(range(count)))


@pytest.mark.parametrize("days", [0, MOST_DAYS + 1])
def test_days_have_bounds(high: HighSide, days: int) -> None:
    with pytest.raises(UsageDaysError, match=f"{days} days"):
        usage(high.side, days, By.CALLER, NOW)


def test_the_command_says_so_where_nothing_was_asked_and_lists_what_was(high: HighSide) -> None:
    home = ("--home", high.lane.high)
    assert "Nothing was asked in 30 days." in Commands().run("gateway", "usage", *home).out
    now = datetime.now(UTC).replace(microsecond=0)
    put(high, receipt(7, "[bold]mallory", now, Status.ANSWERED))
    text = Commands().run("gateway", "usage", *home)
    assert "[bold]mallory" in text.out
    (row,) = Commands().json("gateway", "usage", "--by", "model", "--days", 3660, *home)
    assert (row["name"], row["requests"], row["prompt_tokens"], row["completion_tokens"]) == (
        "small",
        1,
        10,
        7,
    )
    refused = Commands().run("gateway", "usage", "--by", "moon", *home)
    assert refused.status != 0
    assert "caller, model or day" in refused.err
