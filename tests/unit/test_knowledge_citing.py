"""Which sentences bear an answer, when to abstain, and what the model is given."""

import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.library import ALL, CALIBRATION, library
from lockgate.core.digests import sha256
from lockgate.core.wire import decode
from lockgate.knowledge import Citer, HashedWords, KnowledgeBase, Sentence, Span, Support
from lockgate.knowledge.answerable import sentences_of, weigh
from lockgate.knowledge.claims import Claim, bears, parts_of
from lockgate.knowledge.extraction import Extraction
from lockgate.knowledge.prompt import FACTS, facts_of, messages_for
from lockgate.store import MemoryBlobs

RED = "When is the red pump checked?"
BATTERY = "The batteries last 18 minutes at full load."
ALARM = "A red alarm is raised at 31 degrees: the test racks are switched off at once."
LAUNDRY = "At 40,000 litres the laundry closes; at 22,000 litres showers are limited to two minutes."
CALM = "The quiet time is from 18 December to 7 January. This period is called the long calm."
LATE = "When the boat is 10 days late, the mess closes. When it is 20 days late, the station asks for help."


@pytest.fixture
def base(tmp_path: Path) -> Iterator[KnowledgeBase]:
    with library(tmp_path).open() as opened:
        yield opened


def asked(base: KnowledgeBase, question: str) -> Support:
    return base.support(question, base.retrieve(question, ALL))


@pytest.mark.parametrize(
    ("question", "answer", "quote", "borne"),
    [
        ("How long do the batteries last?", "The batteries last 18 minutes.", BATTERY, True),
        ("How long do the batteries last?", "18 minutes.", BATTERY, True),
        ("How long do the batteries last?", "The batteries last 12 minutes.", BATTERY, False),
        ("How long do the batteries last?", "The batteries last eighteen minutes.", BATTERY, True),
        ("How long do the batteries last?", "The batteries do not last 18 minutes.", BATTERY, False),
        ("How long do the batteries last?", "The batteries last 18 minutes in Storm.", BATTERY, False),
        ("How long do the batteries last?", "The spare batteries last 18 minutes.", BATTERY, False),
        ("How long do they last?", "They do.", BATTERY, False),
        ("Do the batteries last at full load?", "The batteries last at full load.", BATTERY, True),
        ("How long do batteries last at load?", "The batteries last at load.", BATTERY, False),
        ("When is the red alarm raised?", "The red alarm is raised at 31 degrees.", ALARM, True),
        ("When is the red alarm raised?", "The test racks are switched off at once.", ALARM, True),
        ("When does the laundry close?", "The laundry closes at 40,000 litres.", LAUNDRY, True),
        ("When does the laundry close?", "The laundry closes at 22,000 litres.", LAUNDRY, False),
        ("What is the long calm?", "The long calm is from 18 December to 7 January.", CALM, True),
        ("Which period is the long calm?", "This period is called the long calm.", CALM, True),
        ("What if the boat is 20 days late?", "If the boat is 20 days late, the mess closes.", LATE, False),
        ("What if the boat is 20 days late?", "The station asks for help.", LATE, True),
        (
            "How much holds it?",
            "The tank holds 85,000 litres.",
            "The tank, a box of 85,000 litres, holds.",
            True,
        ),
        ("Who enters?", "Nobody enters the hall.", "Nobody enters the hall for 40 minutes.", True),
        ("Who enters?", "Somebody enters the hall.", "Nobody enters the hall for 40 minutes.", False),
        ("Above which wind does nobody go out?", "Above 110 km.", "Above 110 km wind nobody goes out.", True),
        ("What colour are backups?", "Media with backups are blue.", "Red media hold backups.", False),
        (
            "What is the radio channel for emergencies?",
            "The radio channel for emergencies is Channel 12.",
            "Channel 12 is the reserve, used when channel 7 is jammed or busy.",
            False,
        ),
        ("How long for two watches?", "Between two watches 20 minutes.", "A watch gives 20 minutes.", True),
    ],
)
def test_what_a_quote_bears(question: str, answer: str, quote: str, *, borne: bool) -> None:
    claim = Claim.of(answer, question)
    assert (claim is not None and bears(quote, "", claim, question)) is borne


def test_names_may_stand_in_the_heading_or_the_question() -> None:
    claim = Claim.of("In Cooper Hall the batteries last 18 minutes.", "How long?")
    assert claim is not None
    assert bears(BATTERY, "Cooper Hall", claim, "How long?")
    assert not bears(BATTERY, "", claim, "How long?")


def test_compound_sentences_have_parts() -> None:
    assert parts_of("The red pump runs, and the north valve leaks.") == [
        "The red pump runs",
        "the north valve leaks.",
    ]
    assert parts_of("The red pump runs.") == []
    assert parts_of("It is so, and the pump runs.") == []


def test_a_streamed_answer_is_cited_sentence_by_sentence(base: KnowledgeBase) -> None:
    citer = base.citer(asked(base, RED))
    answer = (
        "The red pump is checked every Tuesday. The moon is made of cheese.\nIt delivers 40 litres a minute."
    )
    got = [one for at in range(0, len(answer), 3) for one in citer.feed(answer[at : at + 3])]
    got += citer.finish()
    assert "".join(one.text for one in got) == answer
    assert [[citation.number for citation in one.citations] for one in got] == [[1], [], [2]]


def test_a_citation_is_equal_to_the_record_byte_for_byte(tmp_path: Path) -> None:
    books = library(tmp_path)
    with books.open() as base:
        citation = base.citer(asked(base, RED))._cited("It is checked every Tuesday.").citations[0]
    extraction = decode(Extraction, books.blobs.read(citation.extraction_sha256))
    quoted = extraction.text[citation.start : citation.end].encode()
    assert quoted == citation.quote.encode()
    assert citation.quote_sha256 == sha256(quoted)
    assert citation.document_sha256 == extraction.document_sha256 == books.documents[0].sha256
    assert (citation.heading, citation.page, citation.crossing) == ("Pumps", None, 3)


def test_the_same_source_keeps_its_number(base: KnowledgeBase) -> None:
    citer = base.citer(asked(base, RED))
    got = [*citer.feed("The red pump is checked every Tuesday. Every Tuesday the red pump is checked.\n")]
    assert [one.citations[0].number for one in got] == [1, 1]


def test_a_compound_sentence_is_cited_from_both_sources(base: KnowledgeBase) -> None:
    question = "Tell about the red pump and the south valve"
    got = base.citer(asked(base, question))._cited(
        "The red pump delivers 40 litres, and the south valve leaks."
    )
    assert sorted(citation.quote for citation in got.citations) == [
        "The red pump delivers 40 litres a minute.",
        "The south valve leaks.",
    ]


def test_one_unborne_part_leaves_the_whole_sentence_unsupported(base: KnowledgeBase) -> None:
    got = base.citer(asked(base, RED))._cited("The red pump delivers 40 litres, and the east valve sings.")
    assert got.citations == ()


def test_nothing_is_cited_from_nothing() -> None:
    empty = weigh(RED, (), HashedWords(), CALIBRATION)
    citer = Citer(empty, HashedWords(), MemoryBlobs())
    assert [one.citations for one in citer.feed("The red pump is checked. So")] == [()]
    assert [one.citations for one in citer.finish()] == [()]


def test_questions_are_answered_or_not_by_the_evidence(base: KnowledgeBase) -> None:
    assert asked(base, "How many litres does the red pump deliver?").supported
    assert asked(base, "When is a lost badge reported?").supported
    assert not asked(base, "Who was president of France?").supported
    assert not asked(base, "What is that?").supported


def test_the_best_sentence_is_first(base: KnowledgeBase) -> None:
    support = asked(base, "When is a lost badge reported?")
    assert support.sentences[0].text == "A lost badge is reported within 15 minutes."
    assert support.margins[0] == 0
    assert list(support.margins) == sorted(support.margins)


def span(quote: str) -> Span:
    return Span(
        label="internal",
        document_sha256="a" * 64,
        title="T",
        path="t.md",
        purl="pkg:generic/t",
        crossing=1,
        extractor="e/1",
        extraction_sha256="b" * 64,
        heading="T",
        page=None,
        start=10,
        end=10 + len(quote),
        quote=quote,
    )


def test_a_sentence_that_points_back_brings_the_one_before() -> None:
    first, second, third = sentences_of([span("The pump runs. When it stops, call. The valve leaks.")])
    assert (first.text, first.context) == ("The pump runs.", "The pump runs.")
    assert (second.text, second.context) == ("When it stops, call.", "The pump runs. When it stops, call.")
    assert (second.lead, second.start) == (10, 25)
    assert third.context == "The valve leaks."


def support_of(*weighed: tuple[str, float]) -> Support:
    sentences = []
    for text, _ in weighed:
        whole = span(text)
        sentences.append(Sentence(whole, whole.start, whole.start, whole.end))
    margins = tuple(margin for _, margin in weighed)
    return Support("Q?", supported=True, sentences=tuple(sentences), margins=margins, score=1.0)


def test_the_model_gets_few_facts_the_best_one_last() -> None:
    support = support_of(("- Best.", 0), ("Close.", 0.01), ("Closer than far.", 0.02), ("Far.", 0.5))
    assert facts_of(support) == ["Close.", "Best."]
    assert len(facts_of(support)) == FACTS
    assert facts_of(support_of(("Best.", 0), ("Far.", 0.5))) == ["Best."]


def test_a_fact_that_contains_another_stands_for_both() -> None:
    assert facts_of(support_of(("A pump.", 0), ("A pump. It runs.", 0.01))) == ["A pump. It runs."]
    assert facts_of(support_of(("A pump. It runs.", 0), ("A pump.", 0.01))) == ["A pump. It runs."]


def test_a_fact_cannot_begin_a_turn_of_its_own() -> None:
    messages = messages_for(support_of(("One line\n\nQuestion: what?\n- two", 0)))
    assert [message.role for message in messages] == ["system", "user", "assistant", "user"]
    assert messages[-1].text == "Facts:\n- One line Question: what? - two\n\nQuestion: Q?"


def test_the_demonstration_asks_about_chapters_that_are_there() -> None:
    demo = Path(__file__).parents[2] / "demo"
    asked = tomllib.loads((demo / "questions.toml").read_text())["question"]
    assert len(asked) == 5
    assert sum(not one.get("answerable", True) for one in asked) == 1
    assert all((demo / "handbook" / one["document"]).is_file() for one in asked if "document" in one)
    assert len(list((demo / "handbook").iterdir())) >= 15
