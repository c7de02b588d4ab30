"""The console's pages: complete, escaped, strict, and never kinder than the verdicts."""

import asyncio
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest
from msgspec import structs
from starlette.types import ASGIApp, Message

from console_double import (
    ARTIFACT,
    CARD,
    DETAIL,
    EMPTY,
    HELD,
    MODELS,
    OVERVIEW,
    PICKLE,
    ROW,
    STATEMENT,
    VERDICTS,
    WAY,
    Fixed,
    verdict,
)
from lockgate.admit.errors import VerdictsAlteredError
from lockgate.advisories.errors import NoAdvisoryDataError
from lockgate.app.high.approvals import Waiting
from lockgate.approve.errors import NothingPublishedError
from lockgate.console.pages import ROWS, build_app
from lockgate.console.ports import ConsoleData, CrossingDetail, ServiceRow
from lockgate.console.shell import POLICY, host_name
from lockgate.console.templating import ticks
from lockgate.core.custody import Finding as CustodyFinding
from lockgate.core.custody import FindingKind
from lockgate.core.errors import LockgateError
from lockgate.core.verdict import Outcome

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str

    @property
    def plain(self) -> str:
        return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", self.text))


def ask(app: ASGIApp, target: str, *, host: str = "127.0.0.1:8730", method: str = "GET") -> Answer:
    path, _, query = target.partition("?")
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "method": method,
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", host.encode())],
        "server": ("127.0.0.1", 8730),
        "scheme": "http",
        "root_path": "",
    }
    asyncio.run(_call(app, scope, receive, send))
    headers = {k.decode().lower(): v.decode() for k, v in sent[0]["headers"]}
    body = b"".join(m.get("body", b"") for m in sent[1:])
    return Answer(sent[0]["status"], headers, body.decode())


async def _call(app: ASGIApp, *arguments: Any) -> None:
    await app(*arguments)


def show(target: str, data: ConsoleData | None = None) -> Answer:
    return ask(build_app(data or Fixed()), target)


def test_the_overview_shows_what_crossed_who_approved_and_how_services_are() -> None:
    page = show("/")
    assert page.status == 200
    for fact in (
        "stable 1 signatures verified",
        CARD.snapshot_sha256,
        "approved by ada, ben",
        "asked by olga",
    ):
        assert fact in page.plain
    for fact in (
        "crate-000002-7f3a9c",
        "2030-01-02 12:00:00 UTC",
        "inspected",
        "published",
        "assurance: demo",
    ):
        assert fact in page.plain
    assert (
        "2029-12-26 12:20:00 UTC publish of crossing 1 as version 1 asked by olga approved by ada, ben"
        in page.plain
    )
    assert "clean 58 opaque 18" in page.plain
    for row in OVERVIEW.services:
        assert f"{row.name} {row.condition} {row.detail}" in page.plain


def test_what_one_operator_took_away_names_no_approver_and_says_why() -> None:
    page = show("/", Fixed(replace(OVERVIEW, channel=replace(CARD, approvers=()))))
    assert "approved by nobody: one operator may take away at once" in page.plain


def test_nothing_published_is_said_and_not_left_blank() -> None:
    page = show("/", Fixed(EMPTY))
    assert "Nothing is shown as served. LG-1401: Nothing is published." in page.plain
    for fact in ("No crate was received yet.", "Nothing was approved yet.", "No service is configured."):
        assert fact in page.plain
    assert "signatures verified" not in page.plain


def test_approvals_that_do_not_verify_are_not_shown_as_none() -> None:
    page = show(
        "/", Fixed(replace(OVERVIEW, approvals=(), approvals_problem="LG-2101: A signature is wrong."))
    )
    assert "Approvals cannot be shown. LG-2101: A signature is wrong." in page.plain
    assert "Nothing was approved yet." not in page.plain


def test_verdicts_that_do_not_verify_show_no_tally() -> None:
    row = replace(ROW, tallies=None, problem="LG-2802: The verdicts are not those that were signed.")
    page = show("/", Fixed(replace(OVERVIEW, crossings=(row,))))
    assert "LG-2802" in page.plain
    detail = show("/crossings/2", Fixed(OVERVIEW, CrossingDetail(row, None, (), ())))
    assert "LG-2802" in detail.plain
    assert "Not inspected yet" not in detail.plain


def test_a_crossing_shows_each_verdict_with_its_findings() -> None:
    page = show("/crossings/2")
    assert page.status == 200
    for each in VERDICTS:
        assert f"{each.path} {each.sha256[:12]}… {each.outcome} wheel" in page.plain
    assert f"{PICKLE.severity} {PICKLE.code} {PICKLE.why} {PICKLE.where}" in page.plain
    assert f"{HELD[0].reason} {HELD[0].resolve}" in page.plain
    assert "99.9 %" in page.plain


@pytest.mark.parametrize("outcome", list(Outcome))
def test_the_filter_shows_one_outcome_alone(outcome: Outcome) -> None:
    page = show(f"/crossings/2?outcome={outcome}")
    shown = [
        v.outcome
        for v in VERDICTS
        if f">{v.path}</a><br>" in page.text or f">{v.path}</span><br>" in page.text
    ]
    assert shown == [outcome]
    assert f"1 file with the outcome {outcome}" in page.plain
    assert re.search(rf'href="/crossings/2\?outcome={outcome}" aria-current="page"', page.text)


@pytest.mark.parametrize("outcome", [o for o in Outcome if o is not Outcome.CLEAN])
def test_what_is_not_clean_never_bears_the_mark_of_clean(outcome: Outcome) -> None:
    detail = CrossingDetail(ROW, OVERVIEW.now, (verdict("a.bin", outcome),), ())
    page = show("/crossings/2", Fixed(OVERVIEW, detail))
    assert f'class="mark {outcome}"' in page.text
    assert "clean" not in page.text
    marks = {
        o: show("/crossings/2", Fixed(OVERVIEW, CrossingDetail(ROW, OVERVIEW.now, (verdict("a", o),), ())))
        for o in Outcome
    }
    shapes = {o: re.search(rf'class="mark {o}"><svg[^>]*>(.*?)</svg>', m.text) for o, m in marks.items()}
    assert len({shape.group(1) for shape in shapes.values() if shape}) == len(Outcome)


def test_every_condition_of_a_service_has_a_shape_and_a_word() -> None:
    page = show("/")
    shapes = re.findall(r'class="mark (up|failing|down)"><svg[^>]*>(.*?)</svg>\1</span>', page.text)
    assert [word for word, _ in shapes] == ["up", "failing", "down"]
    assert len({shape for _, shape in shapes}) == 3


def test_text_of_others_is_escaped() -> None:
    finding = msg_replace(PICKLE, code=HOSTILE, why=HOSTILE, where=HOSTILE)
    row = replace(ROW, crate_id=HOSTILE)
    bad = msg_replace(verdict("x", Outcome.FINDINGS, findings=(finding,)), path=HOSTILE, detected=HOSTILE)
    held = msg_replace(HELD[0], purl=HOSTILE, path=HOSTILE, reason=HOSTILE, resolve=HOSTILE)
    services = (ServiceRow("mirror", "up", HOSTILE),)
    data = Fixed(
        replace(OVERVIEW, crossings=(row,), services=services),
        CrossingDetail(row, OVERVIEW.now, (bad,), (held,)),
    )
    for target, least in (("/", 2), ("/crossings/2", 10)):
        page = show(target, data)
        assert page.text.count("&lt;script&gt;") >= least
        assert "<script" not in page.text
        assert "<img src=x" not in page.text


def msg_replace(value: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(value, **changes)


@pytest.mark.parametrize(
    "target", ["/", "/crossings/2", "/crossings/9", "/nowhere", "/static/console.css", "/healthz", "/metrics"]
)
def test_every_answer_carries_the_strict_policy(target: str) -> None:
    page = show(target)
    assert page.headers["content-security-policy"] == POLICY
    assert "unsafe" not in POLICY
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["referrer-policy"] == "no-referrer"
    assert page.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("target", ["/", "/crossings/2", "/nowhere"])
def test_pages_refer_to_this_host_alone_and_have_no_inline_code(target: str) -> None:
    page = show(target)
    assert not re.search(r"https?:|[\"'(]//|@import|url\(", page.text)
    assert not re.search(r"<script|<style|\sstyle=|\son[a-z]+=", page.text)
    links = re.findall(r'(?:href|src)="([^"]*)"', page.text)
    assert links
    assert all(link.startswith(("/", "#")) for link in links)


def test_pages_can_be_read_by_assistive_technology() -> None:
    for target in ("/", "/crossings/2"):
        page = show(target).text
        assert '<html lang="en">' in page
        for landmark in ("<header", "<nav", "<main", "<footer"):
            assert landmark in page
        assert page.count("<h1") == 1
        assert page.count("<table") == page.count("<caption")
        assert page.count("<svg") == page.count('aria-hidden="true"')
        headings = re.findall(r"<h2[^>]*>([^<]+)</h2>", page)
        labels = re.findall(r'aria-label="([^"]+)"', page)
        assert labels
        assert len({*headings, *labels}) == len(headings) + len(labels)


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/crossings/9", 404),
        ("/crossings/x", 404),
        ("/nowhere", 404),
        ("/crossings/2?outcome=fine", 400),
        ("/crossings/2?page=0", 404),
        ("/crossings/2?page=2", 404),
        ("/crossings/2?page=99999999", 404),
        ("/crossings/2?page=%C2%B2", 404),
    ],
)
def test_addresses_that_mean_nothing(target: str, status: int) -> None:
    page = show(target)
    assert page.status == status
    assert "<h1>" in page.text
    assert ("There is nothing at this address" in page.text) == (status == 404)
    assert ("asks for something that the console cannot understand" in page.text) == (status == 400)


def test_the_console_takes_no_orders() -> None:
    answer = ask(build_app(Fixed()), "/", method="POST")
    assert answer.status == 405
    assert "This address is read, or takes a form; not this." in answer.text


def test_many_verdicts_are_turned_over() -> None:
    many = tuple(verdict(f"f/{n:04d}", Outcome.OPAQUE) for n in range(ROWS + 1))
    data = Fixed(OVERVIEW, CrossingDetail(ROW, OVERVIEW.now, many, ()))
    first = show("/crossings/2?outcome=opaque", data)
    assert f"{ROWS + 1} files with the outcome opaque, page 1 of 2" in first.plain
    assert '<a href="/crossings/2?page=2&amp;outcome=opaque" rel="next">' in first.text
    second = show("/crossings/2?outcome=opaque&page=2", data)
    assert [f"f/{n:04d}" for n in range(ROWS + 1) if f">f/{n:04d}<" in second.text] == [f"f/{ROWS:04d}"]
    assert 'rel="prev"' in second.text
    assert 'rel="next"' not in second.text


def test_our_errors_are_shown_with_code_and_advice() -> None:
    error = VerdictsAlteredError("The verdicts are <b>altered</b>.")
    page = show("/", Fixed(error))
    assert page.status == 503
    assert error.code in page.plain
    assert "The verdicts are &lt;b&gt;altered&lt;/b&gt;." in page.text
    assert error.what_to_do.split()[0] in page.plain


def test_an_unexpected_failure_says_nothing_of_its_inside() -> None:
    sent: list[Answer] = []
    with pytest.raises(ZeroDivisionError):
        sent.append(show("/", Fixed(ZeroDivisionError("secret"))))
    assert sent == []


def test_another_hosts_name_is_refused() -> None:
    app = build_app(Fixed(), ["console.site.example"])
    assert ask(app, "/", host="evil.example:8730").status == 421
    assert ask(app, "/", host="").status == 421
    for good in ("localhost:8730", "127.0.0.1", "[::1]:8730", "CONSOLE.site.example"):
        assert ask(app, "/", host=good).status == 200


@pytest.mark.parametrize(
    ("value", "name"), [("[::1]:80", "::1"), ("[::1]", "::1"), ("A:80", "a"), ("a", "a"), ("", ""), ("[", "")]
)
def test_host_headers(value: str, name: str) -> None:
    assert host_name(value) == name


def test_health_and_metrics() -> None:
    app = build_app(Fixed())
    assert '"status":"ok"' in ask(app, "/healthz").text
    ask(app, "/")
    ask(app, "/secret-looking-path")
    metrics = ask(app, "/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    assert 'lockgate_console_requests_total{page="overview",status="200"} 1.0' in metrics.text
    assert 'lockgate_console_requests_total{page="other",status="404"} 1.0' in metrics.text


def test_what_is_no_http_is_passed_on() -> None:
    seen: list[str] = []

    async def receive() -> Message:
        seen.append("asked")
        return {"type": "lifespan.startup" if len(seen) == 1 else "lifespan.shutdown"}

    async def send(message: Message) -> None:
        seen.append(message["type"])

    asyncio.run(_call(build_app(Fixed()), {"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    assert "lifespan.startup.complete" in seen


def test_a_crossing_that_waits_for_inspection_says_so() -> None:
    row = replace(ROW, tallies=None, state="quarantined")
    data = Fixed(
        replace(OVERVIEW, crossings=(row,)), replace(DETAIL, row=row, inspected=None, verdicts=(), held=())
    )
    assert "not inspected yet" in show("/", data).plain
    page = show("/crossings/2", data)
    assert "Not inspected yet." in page.plain
    assert "clean" not in page.text


def test_the_way_of_a_package_is_a_timeline_with_what_it_shows() -> None:
    answer = ask(build_app(Fixed()), "/crossings/2/custody")
    assert answer.status == 200
    for said in (
        "Breaks the chain seal at hand-over 3",
        "Note delay at hand-over 3",
        "Packed by anna",
        "anna gave it to courier-7",
        "courier-7 gave it to cara",
        "3 h 0 min",
        "told to by the security officer",
        "Received by the gate",
    ):
        assert said in answer.plain
    assert answer.plain.index("Packed by anna") < answer.plain.index("courier-7 gave it to cara")
    assert 'href="/crossings/2/custody"' in ask(build_app(Fixed()), "/crossings/2").text


def test_a_way_without_findings_or_without_a_chain_says_so() -> None:
    data = Fixed()
    data.ways[2] = structs.replace(WAY, findings=())
    assert (
        "An unbroken chain: 3 hand-overs, nothing found" in ask(build_app(data), "/crossings/2/custody").plain
    )
    missing = CustodyFinding(kind=FindingKind.MISSING, step=-1, what="There is no chain of hand-overs.")
    data.ways[2] = structs.replace(WAY, chain=(), findings=(missing,))
    answer = ask(build_app(data), "/crossings/2/custody").plain
    assert "Breaks the chain missing There is no chain" in answer
    assert "An unbroken chain" not in answer
    data.ways.clear()
    assert "the policy demands none" in ask(build_app(data), "/crossings/2/custody").plain
    assert ask(build_app(data), "/crossings/9/custody").status == 404


def test_names_and_notes_of_a_chain_are_only_text() -> None:
    data = Fixed()
    first = WAY.chain[0]
    this = structs.replace(first.handover, giver=HOSTILE, receiver=HOSTILE, place=HOSTILE, note=HOSTILE)
    said = CustodyFinding(kind=FindingKind.GAP, step=0, what=HOSTILE)
    data.ways[2] = structs.replace(WAY, chain=(structs.replace(first, handover=this),), findings=(said,))
    answer = ask(build_app(data), "/crossings/2/custody")
    assert "<script>" not in answer.text
    assert "<img src=x" not in answer.text
    assert answer.text.count("&lt;script&gt;") == 4


def test_exposure_says_what_is_open_and_never_that_unknown_is_clean() -> None:
    page = ask(build_app(Fixed()), "/exposure")
    assert page.status == 200
    assert "3 artifacts" in page.plain
    assert page.plain.index("pkg:pypi/old@1.0") < page.plain.index("pkg:pypi/fine@1.0")
    assert "high GHSA-aaaa-bbbb-cccc in pkg:deb/debian/old@1 exploited, EPSS 91.00 %" in page.plain
    assert "EPSS 91.00 %, known since 2029-01-01, exposed 7 days" in page.plain
    assert "released not known admitted 2" in page.plain
    assert page.plain.count("fixed in") == 1, "what has nothing open is fixed in no version"
    assert '<span class="incomplete">unknown to the database</span>' in page.text
    assert '<span class="clean">not affected</span>' in page.text
    assert "osv-pypi: 20.0 days old, too old" in page.plain
    assert page.headers["content-security-policy"] == POLICY


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            NoAdvisoryDataError("There is none at PLACE."),
            "That does not mean that there are none",
        ),
        (NothingPublishedError("The channel stable is empty."), "Nothing is served yet"),
    ],
)
def test_exposure_without_data_says_what_lacks_and_no_place_of_the_host(
    error: LockgateError, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = Fixed()

    def lacks() -> None:
        raise error

    monkeypatch.setattr(data, "exposure", lacks)
    page = ask(build_app(data), "/exposure")
    assert page.status == 200
    assert said in page.plain
    assert error.code in page.plain
    assert ticks(error.what_to_do) in page.text
    assert "PLACE" not in page.text


def test_models_say_what_their_licences_forbid_and_never_that_unknown_is_free() -> None:
    page = ask(build_app(Fixed()), "/models")
    assert page.status == 200
    assert "3 models" in page.plain
    assert "answers for assistant" in page.plain
    assert "military" in page.plain
    assert "131,072" in page.plain or "131 072" in page.plain
    assert '<span class="findings">restricted</span>' in page.text
    assert '<span class="incomplete">not in the table</span>' in page.text
    assert "LG-1a22" in page.plain
    assert page.headers["content-security-policy"] == POLICY
    data = Fixed()
    data.served = [structs.replace(MODELS[0], name=HOSTILE, aliases=(HOSTILE,))]
    text = ask(build_app(data), "/models").text
    assert "<script>" not in text
    assert text.count("&lt;script&gt;") == 2
    data.served = []
    assert "The channel has no model." in ask(build_app(data), "/models").plain


def test_after_a_crossing_ended_nothing_is_said_of_what_approving_would_change() -> None:
    before, after = show("/crossings/2"), show("/crossings/2", Fixed(OVERVIEW, _ended()))
    assert "/crossings/2/difference" in before.text
    assert "/crossings/2/difference" not in after.text
    data = Fixed()
    artifact = "/crossings/2/artifact?purl=pkg%3Ahuggingface/a/b%402"
    assert "What approving would change" in show(artifact, data).plain
    assert "/who?what=" not in show(artifact, data).text
    data.found = replace(ARTIFACT, state="published")
    page = show(artifact, data)
    assert "hat approving would change" not in page.plain
    assert '<a href="/who?what=pkg%3Ahuggingface/a/b%402">' in page.text


def _ended() -> CrossingDetail:
    return replace(DETAIL, row=replace(ROW, state="published"))


@pytest.mark.parametrize(
    "target", ["/pending", "/exposure", "/models", "/who", "/catalogue", "/requests", "/appeals"]
)
def test_the_bar_says_where_one_is(target: str) -> None:
    page = show(target)
    assert re.findall(r'<a href="([^"]*)" aria-current="page">', page.text) == [target]


def test_the_overview_and_pages_of_crossings_are_no_door_of_the_bar() -> None:
    assert "aria-current" not in show("/").text


def test_advice_shows_commands_as_such_and_escapes_the_rest() -> None:
    assert ticks("Ask `<b>` & go.") == "Ask <code>&lt;b&gt;</code> &amp; go."
    assert ticks("one ` alone <b>") == "one ` alone &lt;b&gt;"


def test_a_request_that_is_too_late_says_so() -> None:
    data = Fixed()
    data.asks = (Waiting("publish-000002", STATEMENT, ("ada",)), Waiting("old", STATEMENT, (), expired=True))
    page = show("/pending", data)
    assert page.plain.count("expired: ask again") == 1
    assert "ada" in page.plain


def test_models_and_exposure_lead_to_the_artifacts() -> None:
    assert '<a href="/crossings/2/artifact?purl=pkg%3Ahuggingface/org/small%40b">' in show("/models").text
    assert '<a class="path" href="/catalogue?text=pkg%3Apypi/old%401.0">' in show("/exposure").text
