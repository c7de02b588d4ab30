"""Weaves citation marks into a streamed answer, right behind the sentences they belong to."""

import re

from lockgate.infer.errors import KnowledgeUnavailableError
from lockgate.infer.ports import Citation, CitedSentence, Citer

UNSUPPORTED = "[unsupported]"
"""Stands behind a sentence that nothing in the knowledge base supports."""

LOOKAHEAD = 80
"""Characters held back behind what may be a sentence's end, until the citer has decided."""

_MAYBE_END = re.compile(r"[.!?\u2026][)\]\"'\u201d\u2019]*(?=\s)|(?<=\S)(?=\n)")


class Weaver:
    """Takes an answer's text as it comes and returns what may leave, with marks.

    Text leaves as soon as it comes, except white space at its end and what follows a possible
    end of a sentence: so a mark always stands between two sentences. Blocking, like the citer.
    """

    def __init__(self, citer: Citer) -> None:
        """Begin with an empty answer."""
        self._citer = citer
        self._text = ""
        self._left = 0
        self._decided = 0
        self._cited: dict[int, Citation] = {}

    @property
    def citations(self) -> tuple[Citation, ...]:
        """Return the citations so far, by number."""
        return tuple(self._cited[number] for number in sorted(self._cited))

    def feed(self, text: str) -> str:
        """Take more of the answer and return what may leave."""
        self._text += text
        out = "".join(self._mark(sentence) for sentence in self._citer.feed(text))
        return out + self._release(self._certain())

    def finish(self) -> str:
        """Return the rest of the answer."""
        out = "".join(self._mark(sentence) for sentence in self._citer.finish())
        return out + self._release(len(self._text.rstrip()))

    def _release(self, end: int) -> str:
        out = self._text[self._left : end]
        self._left = max(self._left, end)
        return out

    def _certain(self) -> int:
        """Return up to where the text may leave."""
        open_text = self._text[self._decided :]
        shown = len(open_text.rstrip())
        match = _MAYBE_END.search(open_text)
        if match and shown - match.end() <= LOOKAHEAD:
            shown = min(shown, match.end())
        return self._decided + shown

    def _mark(self, sentence: CitedSentence) -> str:
        """Return what is left of a finished sentence, and its mark."""
        bare = sentence.text.strip()
        if not bare:
            return ""
        at = self._text.find(bare, self._decided)
        if at < 0:
            what = "The knowledge base cited a sentence that the answer does not have."
            raise KnowledgeUnavailableError(what)
        self._decided = at + len(bare)
        for citation in sentence.citations:
            self._cited.setdefault(citation.number, citation)
        numbers = sorted({citation.number for citation in sentence.citations})
        mark = "".join(f"[{number}]" for number in numbers) or UNSUPPORTED
        return f"{self._release(self._decided)} {mark}"
