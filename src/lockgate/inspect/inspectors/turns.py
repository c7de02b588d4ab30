"""Turns of a conversation that a document pretends: marks by which chats part who speaks.

A model that is given the document with others may take what follows such a mark for its user's words, its own
or a tool's. Sources: the templates of ChatML, Llama 2 and 3, Gemma, Mistral, Alpaca and of models that call
tools by elements. Documentation of models shows the marks too: as code, beside words that say what they are.
"""

import re
from bisect import bisect
from collections.abc import Iterator
from itertools import islice

_TURN = re.compile(
    r"<\|(?:im_start|im_end|system|user|assistant|endoftext|start_header_id|eot_id|begin[_▁]of[_▁]\w{2,8}|start|message"
    r"|channel|end|call)\|>|<(?:function=\w|tool_use>)|<{2,3}\s?(?:system|instructions?)\s?>{2,3}"
    r"|<(?:start_of_turn|tool_calls?|function_calls?|tool_results?|function_results?|tool_response)>"
    r"|<invoke\s+name=|\[INST\]|<<SYS>>|\[(?:TOOL_CALLS|AVAILABLE_TOOLS|TOOL_RESULTS)\]|^<think>"
    r"|^\W{0,9}BEGIN SYSTEM PROMPT\b|^Action:[^\n]{1,80}\nAction Input:|\bassistant to=functions\.\w"
    r"|^#{2,4} Instruction:|</(?:documents?|context|file|input|data|search_results?)>\s{0,20}"
    r"(?:human|user|system|assistant)\s{0,3}:",
    re.IGNORECASE | re.MULTILINE,
)
_SIGNS_WORDS = """
<| <start_of tool_ <function functions. <invoke [inst] <<sys [tool [available <think> instruction: action: <<
</doc </context </file </input </data </search
"""
_SIGNS = (*_SIGNS_WORDS.split(), "begin system prompt")
"""One of these stands in every mark; most texts have none of them."""
_ANSWERED = re.compile(r"^#{2,4} Response:", re.MULTILINE)
"""Without it, instructions are a heading like any other (Alpaca's template has both)."""
_FENCE = re.compile(r"^[ ]{0,3}(?:`{3}|~{3})", re.MULTILINE)
_INDENTED = re.compile(r"(?:[ ]{4}|\t)")
_ABOUT = re.compile(
    r"\b(?:tokens?|token_?ids?|tokeni[sz]ers?|templates?|formats?|markers?|delimiters?|tags?|elements?|syntax"
    r"|schema|expects?|fine-?tun\w+|special|vocabulary|prefix(?:es)?|stop\s+(?:words?|sequences?))\b",
    re.IGNORECASE,
)
_BEFORE, _AFTER = 400, 200
"""How far around a mark words are looked for that say what it is, in characters."""
_MOST = 10_000


def turns(text: str, *, hidden: bool) -> Iterator[tuple[str, int]]:
    """Yield the marks of turns that a text does not merely explain, and where they stand.

    Args:
        text: The text.
        hidden: Readers do not see it, so that it explains nothing.

    """
    low = text.lower()
    if not any(sign in low for sign in _SIGNS):
        return
    fences: list[int] | None = None
    for found in islice(_TURN.finditer(text), _MOST):
        at = found.start()
        if found[0].startswith("#") and not _ANSWERED.search(text, at):
            continue
        if not hidden and _ABOUT.search(text, max(0, at - _BEFORE), at + _AFTER):
            fences = [fence.start() for fence in _FENCE.finditer(text)] if fences is None else fences
            if bisect(fences, at) % 2 or _inline(text, at):
                continue
        yield " ".join(found[0].split())[:80], at


def _inline(text: str, at: int) -> bool:
    """Return whether a place lies in code of its line, or in a line that is code (CommonMark 4.4, 6.1)."""
    start = max(text.rfind("\n", max(0, at - _BEFORE), at) + 1, at - _BEFORE, 0)
    return bool(text.count("`", start, at) % 2 or _INDENTED.match(text, start))
