"""Spans quote, sentences join, canonical text stays, for any text."""

from hypothesis import given, settings
from hypothesis import strategies as st

from lockgate.core.digests import sha256
from lockgate.core.wire import encode
from lockgate.knowledge.chunk import CHUNK_CHARACTERS, chunks_of
from lockgate.knowledge.extract import MediaType, extract
from lockgate.knowledge.extraction import read_extraction
from lockgate.knowledge.sentences import SentenceSplitter, sentence_spans
from lockgate.knowledge.text import canonical, content_words, numbers, stem

PIECES = [
    "The pump",
    " runs",
    ".",
    " ",
    "\n",
    "\n\n",
    "# Head\n",
    "- ",
    "2.5",
    "!",
    "\u00e9",
    "e\u0301",
    "A",
    "b",
    '"',
]
PROSE = st.lists(st.sampled_from([*PIECES, "1. ", "pump " * 50, "It runs. " * 40]), max_size=40).map("".join)
ANY = st.one_of(st.text(max_size=300), PROSE)
ELEMENTS = (
    "<p> </p> <h1> </h1> <h3> </h3> <table> <tr> <th> <td> </table> <ul> <li> <b> </b> <br> <pre> text. &amp;"
    " <script>x</script> <!--c--> <div/hidden> </div> <my-tag> \u00e9"
)
TAGS = st.lists(st.sampled_from(ELEMENTS.split()), max_size=40).map(" ".join)


@given(ANY)
def test_canonical_text_is_canonical(text: str) -> None:
    once = canonical(text)
    assert canonical(once) == once


@given(st.one_of(PROSE, TAGS, st.text(max_size=200)), st.sampled_from([MediaType.MARKDOWN, MediaType.HTML]))
@settings(max_examples=200, deadline=None)
def test_every_chunk_and_sentence_lies_in_its_section(text: str, media_type: MediaType) -> None:
    data = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    extraction = extract(data, media_type, "title")
    assert read_extraction(encode(extraction), sha256(data)) == extraction
    last = 0
    for section in extraction.sections:
        assert last <= section.start < section.end <= len(extraction.text)
        assert extraction.text[section.start : section.end].strip()
        last = section.end
    for chunk in chunks_of(extraction):
        section = extraction.sections[chunk.section]
        assert section.start <= chunk.start < chunk.end <= section.end
        quote = extraction.text[chunk.start : chunk.end]
        assert quote == quote.strip() != ""
        spans = sentence_spans(extraction.text, chunk.start, chunk.end)
        assert len(quote) <= CHUNK_CHARACTERS or len(spans) == 1
        assert (spans[0][0], spans[-1][1]) == (chunk.start, chunk.end)


@given(PROSE)
@settings(deadline=None)
def test_chunks_hold_every_sentence_of_every_section(text: str) -> None:
    extraction = extract(text.encode(), MediaType.MARKDOWN, "title")
    chunks = chunks_of(extraction)
    for number, section in enumerate(extraction.sections):
        own = [chunk for chunk in chunks if chunk.section == number]
        held = [span for chunk in own for span in sentence_spans(extraction.text, chunk.start, chunk.end)]
        assert held == sentence_spans(extraction.text, section.start, section.end)


@given(ANY, st.integers(1, 7))
def test_fed_sentences_join_to_what_was_fed_however_it_is_cut(text: str, size: int) -> None:
    text = canonical(text)
    splitter = SentenceSplitter()
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    got = [sentence for piece in pieces for sentence in splitter.feed(piece)] + splitter.finish()
    assert "".join(got) == text
    assert [sentence.strip() for sentence in got if sentence.strip()] == [
        text[start:end] for start, end in sentence_spans(text)
    ]


@given(ANY)
def test_sentences_leave_out_only_white_space(text: str) -> None:
    spans = sentence_spans(text)
    assert "".join("".join(text[a:b].split()) for a, b in spans) == "".join(text.split())
    assert spans == sorted(spans)


@given(st.text(alphabet="abcdeingsty", min_size=1, max_size=12))
def test_a_stem_is_never_empty(word: str) -> None:
    assert stem(word)


@given(ANY)
def test_words_and_numbers_of_any_text_can_be_taken(text: str) -> None:
    assert all(word for word in content_words(text))
    assert all(number[0].isdigit() for number in numbers(text))
