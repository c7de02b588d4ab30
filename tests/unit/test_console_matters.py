"""What the console says needs somebody: what is grave first, and nothing where nothing is."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from msgspec import structs
from test_console_pages import show

from console_double import DONE, NOON, OVERVIEW, ROW, STATEMENT, Fixed
from lockgate.app.high.approvals import Waiting
from lockgate.app.wishes.high import Standing
from lockgate.console.matters import matters
from lockgate.console.ports import Alerts, Ending, Matter
from lockgate.core.wish import Wish, WishState
from lockgate.guard.appeals import AppealState

QUIET = Alerts(0, None, (), 0)
DAY = 86_400.0
WISH = Wish(number=1, purl="pkg:pypi/httpx", reason="r", owner="ann", created=NOON)
WAITING = Waiting("publish-000002", STATEMENT, ())


def appeal() -> Any:
    data = Fixed()
    return data.appeal("ab" * 16, "harmless", "a text", _ann())


def _ann() -> Any:
    from lockgate.infer.identity import Identity

    return Identity(id="local:ann", name="ann", labels=())


def found(alerts: Alerts = QUIET, **facts: Any) -> tuple[Matter, ...]:
    given: dict[str, Any] = {"waiting": (), "wishes": (), "appeals": (), **facts}
    return matters(alerts, given.pop("endings", ()), given.pop("crossings", ()), **given)


def test_where_nothing_waits_nothing_is_said() -> None:
    late = Ending("site", "approver", "ann", "ab", 31 * DAY)
    assert found(endings=[late], crossings=[DONE]) == ()
    assert "What needs somebody" not in show("/").plain


@pytest.mark.parametrize(
    ("alerts", "said", "grave"),
    [
        (replace(QUIET, debt=1, debt_seconds=7200.0), "is owed within 2 h 0 min.", False),
        (replace(QUIET, debt=1), "is owed.", False),
        (replace(QUIET, debt=2, debt_seconds=-7200.0), "is overdue since 2 h 0 min.", True),
        (replace(QUIET, debt=2), "is overdue.", True),
        (replace(QUIET, verdicts=(3, 1, 0)), "1 artifact is served though newer verdicts hold", True),
        (replace(QUIET, verdicts=(3, 2, 0)), "2 artifacts are served though newer verdicts hold", True),
        (replace(QUIET, verdicts=(3, 0, 0)), "say something else of 3 artifacts.", False),
        (replace(QUIET, held=1), "1 crossing is held by an operator.", False),
        (replace(QUIET, held=2), "2 crossings are held by an operator.", False),
        (replace(QUIET, witnesses=(("w:1", False, 7200.0),)), "the last time was 2 h 0 min ago.", False),
        (replace(QUIET, witnesses=(("w:1", False, None),)), "w:1 does not cosign: it never did.", False),
    ],
)
def test_alerts_are_told(alerts: Alerts, said: str, grave: bool) -> None:  # noqa: FBT001  # a parameter
    (one,) = found(alerts)
    assert said in one.what
    assert one.grave is grave


def test_a_witness_that_cosigns_and_verdicts_that_stand_are_no_matter() -> None:
    assert found(replace(QUIET, verdicts=(0, 0, 5), witnesses=(("w:1", True, 1.0),))) == ()


def test_keys_and_roots_that_end_are_told_the_ended_first() -> None:
    endings = [
        Ending("supply", "sealer", "sam", "ab", -1.0),
        Ending("site", "root", "", "", 3 * DAY),
        Ending("site", "approver", "ann", "ab", 30 * DAY),
    ]
    told = found(endings=endings)
    assert [(each.what, each.grave) for each in told] == [
        ("The supply root's sealer key of sam has ended.", True),
        ("The site root ends in 3 d 0 h.", False),
    ]


def test_a_crossing_says_what_it_waits_for() -> None:
    arrived = replace(ROW, state="quarantined", tallies=None)
    (one,) = found(crossings=[arrived])
    assert (one.what, one.advice, one.page) == (
        "Crossing 2 waits for inspection.",
        "`lockgate gate inspect 2`",
        "/crossings/2",
    )
    (one,) = found(crossings=[ROW])
    assert "nobody asked for approval" in one.what
    (one,) = found(crossings=[replace(DONE, problem="LG-2f02: These verdicts are others.")])
    assert one.grave
    assert one.advice == "LG-2f02: These verdicts are others."


def test_a_request_that_waits_takes_the_place_of_asking_until_it_expires() -> None:
    (one,) = found(crossings=[ROW], waiting=[WAITING])
    assert (one.what, one.page) == ("1 request waits for approvals.", "/pending")
    other = replace(WAITING, statement=structs.replace(STATEMENT, crossing=7))
    assert found(waiting=[WAITING, other])[0].what == "2 requests wait for approvals."
    (one,) = found(crossings=[ROW], waiting=[replace(WAITING, expired=True)])
    assert "nobody asked for approval" in one.what


def test_what_people_asked_for_is_told_until_it_is_decided() -> None:
    open_, granted = appeal(), structs.replace(appeal(), state=AppealState.GRANTED)
    wishes = [Standing(WISH, WishState.REQUESTED), Standing(WISH, WishState.AVAILABLE)]
    told = found(wishes=wishes, appeals=[open_, granted])
    assert [(each.what, each.page) for each in told] == [
        ("1 request for packages waits for a decision.", "/requests"),
        ("1 appeal against the guards waits for a decision.", "/appeals"),
    ]
    told = found(wishes=wishes[:1] * 2, appeals=[open_, open_])
    assert [each.what.split(" ")[0] for each in told] == ["2", "2"]
    assert all(" wait for a decision" in each.what for each in told)


def test_the_grave_come_first_and_the_page_links_and_marks_them() -> None:
    told = found(replace(QUIET, debt=1, verdicts=(1, 1, 0)), crossings=[ROW])
    assert [each.grave for each in told] == [True, False, False]
    page = show("/", Fixed(replace(OVERVIEW, now=NOON + timedelta(hours=1), matters=told)))
    assert "What needs somebody" in page.plain
    assert page.text.count('<li class="grave">') == 1
    assert '<a href="/crossings/2">' in page.text
    assert "<code>lockgate gate request 2</code>" in page.text
