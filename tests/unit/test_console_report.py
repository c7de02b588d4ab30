"""The report: complete, escaped, standing alone, and honest where something was not shown."""

import base64
import hashlib
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from console_examples import ANSWERS, report_data
from lockgate.console.report import Sentence, render_report, sentences
from lockgate.core.verdict import Outcome

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&</style>"


class Seen(HTMLParser):
    """What a page has: tags with attributes, ids, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.stack: list[str] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.words.append(" " if tag == "p" else "")
        if tag not in {"meta", "br", "path", "rect", "circle", "link"}:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in {"path", "rect", "circle"}:
            assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.words))


@pytest.fixture(scope="module")
def page() -> str:
    return render_report(report_data())


@pytest.fixture(scope="module")
def seen(page: str) -> Seen:
    return Seen(page)


def test_every_tag_is_closed_and_every_id_is_unique(seen: Seen) -> None:
    assert seen.stack == []
    ids = [a["id"] for _, a in seen.tags if "id" in a]
    assert len(ids) == len(set(ids))
    targets = {a["href"] for t, a in seen.tags if t == "a"}
    assert targets == {"#q1-1", "#q2-1", "#q2-2"}
    assert {str(t)[1:] for t in targets} <= set(ids)


def test_it_loads_nothing_and_runs_nothing(page: str, seen: Seen) -> None:
    assert not re.search(r"https?:|//[a-z]|@import|url\((?!#)", page)
    names = {tag for tag, _ in seen.tags}
    assert not names & {
        "script",
        "link",
        "img",
        "iframe",
        "object",
        "embed",
        "video",
        "audio",
        "form",
        "base",
    }
    for _, attributes in seen.tags:
        assert "src" not in attributes
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]


def test_its_own_policy_allows_its_style_sheet_and_nothing_else(page: str) -> None:
    style = re.search(r"<style>(.*)</style>", page, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style.group(1).encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    assert f'content="{policy}"' in page
    assert "<" not in style.group(1)


def test_everything_that_was_given_is_on_the_page(seen: Seen) -> None:
    data = report_data()
    for stage in data.stages:
        assert stage.name in seen.text
        assert stage.note in seen.text
    for answer in data.answers:
        assert answer.question in seen.text
        receipt = answer.receipt
        for fact in (receipt.id, receipt.model_sha256, receipt.enforcement, f"leaf {receipt.leaf},"):
            assert fact in seen.text
        for span in answer.citations:
            place = f"page {span.page}" if span.page else f"“{span.heading}”"
            for fact in (re.sub(r"\s+", " ", span.quote), span.title, place, span.path, span.extractor):
                assert fact in seen.text
            assert f"characters {span.start} to {span.end}" in seen.text
    assert data.proof is not None
    for fact in (*data.proof.path, data.proof.root, data.proof.command, data.proof.event, *data.limits):
        assert fact in seen.text
    crossing = data.crossing
    for fact in (
        crossing.crate_id,
        crossing.crate_sha256,
        crossing.snapshot_sha256,
        crossing.statement_sha256,
    ):
        assert fact in seen.text


def test_the_refused_approval_stands_beside_those_that_count(seen: Seen) -> None:
    assert "Two people admitted them, and one approval was refused." in seen.text
    assert "olga tried to approve and was refused" in seen.text
    assert "LG-3001: olga asked for this and cannot approve it." in seen.text
    assert "ada approved" in seen.text


def test_zero_stands_beside_its_positive_control(seen: Seen) -> None:
    assert "0 packets 0 B, by the kernel's packet filter" in seen.text
    assert "8 of 8 counted frames sent on purpose; the link's far end received 8" in seen.text
    assert "no packet left the high side's network" in seen.text


def test_packets_that_left_are_said(seen: Seen) -> None:
    data = report_data()
    leaky = Seen(render_report(replace(data, egress=replace(data.egress, packets=3, bytes=180)))).text
    assert "3 packets left the high side's network" in leaky
    assert "no packet left" not in leaky
    assert "no packet left" in seen.text


def test_a_run_without_isolation_is_loud_and_claims_no_count() -> None:
    text = Seen(render_report(report_data(isolated=False))).text
    assert "The high side was not isolated in this run." in text
    assert "Operation not permitted" in text
    assert "packets that left were not counted" in text
    assert "HIGH SIDE NOT isolated" in text
    assert "packet left" not in text.replace("Nothing below shows that no packet left.", "")
    assert "Positive control" not in text


def test_an_unsupported_sentence_and_an_abstention_say_so(page: str, seen: Seen) -> None:
    sentence = "The generators are tested every day."
    assert f'<span class="unsupported">{sentence}</span> <span class="tag">no source</span>' in page
    assert "[unsupported]" not in page
    assert '<p class="said abstained">The knowledge base' in page
    assert "Three questions were asked; two are answered with quotes" in seen.text


def test_opaque_is_never_shown_as_clean() -> None:
    data = replace(report_data(), outcomes=(), artifacts=())
    for outcome in Outcome:
        row = replace(report_data().artifacts[0], outcome=outcome)
        page = render_report(replace(data, artifacts=(row,)))
        others = {o.value for o in Outcome} - {outcome.value}
        assert f'class="mark {outcome.value}"' in page
        assert not [o for o in others if f'class="mark {o}"' in page]
        assert Seen(page).text.count("clean") == Seen(render_report(data)).text.count("clean") + (
            outcome == "clean"
        )


def test_text_of_others_is_escaped_wherever_it_stands() -> None:
    data = report_data()
    answer = data.answers[0]
    span = replace(
        answer.citations[0], quote=HOSTILE, title=HOSTILE, path=HOSTILE, heading=HOSTILE, extractor=HOSTILE
    )
    answer = replace(
        answer, question=HOSTILE, text=f"{HOSTILE} [1] {HOSTILE} [unsupported]", citations=(span,)
    )
    silent = replace(data.answers[2], text=HOSTILE, receipt=replace(answer.receipt, model=HOSTILE))
    assert data.proof is not None
    page = render_report(
        replace(
            data,
            lane=HOSTILE,
            machine=HOSTILE,
            limits=(HOSTILE,),
            stages=(replace(data.stages[0], name=HOSTILE, note=HOSTILE),),
            artifacts=(
                replace(data.artifacts[0], name=HOSTILE, version=HOSTILE, kind=HOSTILE, licence=HOSTILE),
            ),
            approvals=(replace(data.approvals[1], person=HOSTILE, reason=HOSTILE),),
            answers=(answer, silent),
            proof=replace(data.proof, event=HOSTILE, command=HOSTILE, result=HOSTILE, path=(HOSTILE,)),
            egress=replace(data.egress, interfaces=(HOSTILE,)),
        )
    )
    assert page.count("&lt;script&gt;") >= 22
    seen = Seen(page)
    assert seen.stack == []
    assert not {"script", "img"} & {tag for tag, _ in seen.tags}
    assert page.count("</style>") == 1


def test_a_report_without_answers_or_proof_still_stands() -> None:
    data = replace(
        report_data(), answers=(), proof=None, stages=(), outcomes=(), artifacts=(), approvals=(), limits=()
    )
    seen = Seen(render_report(replace(data, peak_bytes=None)))
    assert seen.stack == []
    assert "No people admitted them." in seen.text


def test_an_answer_is_split_at_its_marks() -> None:
    assert sentences(ANSWERS[0]) == (
        Sentence("", "At full load the batteries last 18 minutes.", (1,), unsupported=False),
        Sentence(" ", "The generators are tested every day.", (), unsupported=True),
    )
    two = replace(ANSWERS[1], text="One.[1] [2] Two. [7] Three\n")
    assert sentences(two) == (
        Sentence("", "One.", (1, 2), unsupported=False),
        Sentence(" ", "Two. [7] Three", (), unsupported=False),
    )
