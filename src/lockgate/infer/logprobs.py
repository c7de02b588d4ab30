"""Log probabilities of tokens, behind the output filter."""

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any


class HeldLogprobs:
    """Holds log probabilities back until their tokens have left; drops them once text was altered.

    They spell the tokens: what the filter takes out of the text must not leave beside it. Nor may what was
    never in it: engines send the tokens of a tool call's arguments too, which no filter has seen yet.
    """

    def __init__(self) -> None:
        """Begin with nothing held."""
        self._waiting: deque[tuple[int, Mapping[str, Any]]] = deque()
        self._came = 0
        self._left = 0
        self._text = ""  # what came and has not left
        self._altered = False

    def passed(
        self, text: str, logprobs: Sequence[Mapping[str, Any]], left: str
    ) -> tuple[Mapping[str, Any], ...]:
        """Take text with its tokens and the text that left; return the tokens that may leave with it."""
        self._came += len(text)
        self._text += text
        self._waiting.extend((self._came, one) for one in logprobs if _stands_in(text, one))
        if not self._text.startswith(left):
            self._altered = True
        self._text = self._text[len(left) :]
        self._left += len(left)
        if self._altered:
            self._waiting.clear()
            return ()
        found = []
        while self._waiting and self._waiting[0][0] <= self._left:
            found.append(self._waiting.popleft()[1])
        return tuple(found)


def _stands_in(text: str, one: Mapping[str, Any]) -> bool:
    """Tell whether a token stands in a text; the white space before an answer's first one may be gone."""
    token = one.get("token")
    return isinstance(token, str) and bool(text) and token.strip() in text
