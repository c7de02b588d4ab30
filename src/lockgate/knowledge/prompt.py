"""The conversation that puts a question and its evidence to a small chat model.

A model of 135 million parameters reads one or two sentences better than a page, takes what
stands last for the most important, and follows an example better than an instruction. So the
evidence is few sentences, the best one last, after one example.
"""

from dataclasses import dataclass
from typing import Final

from lockgate.knowledge.answerable import Support
from lockgate.knowledge.text import one_line

ABSTENTION: Final = "The documents do not answer this question."
"""What is said instead of asking a model when the evidence does not suffice."""
FACTS = 2
"""Most sentences that the model is given."""
MARGIN: Final = 0.06
"""How much less than the best a further sentence may weigh."""
FACT_CHARACTERS = 1000
"""Longest fact, in characters; the rest is cut off."""
INSTRUCTION: Final = "Answer the question with the facts given. Use one short sentence."


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One turn of a conversation."""

    role: str
    text: str


def facts_of(support: Support) -> list[str]:
    """Return the sentences for the model, the best one last, each on one line."""
    facts: list[str] = []
    for sentence, margin in zip(support.sentences, support.margins, strict=True):
        fact = one_line(sentence.context).removeprefix("- ")[:FACT_CHARACTERS]
        if margin > MARGIN or len(facts) == FACTS:
            break
        if not any(fact in other for other in facts):
            facts = [other for other in facts if other not in fact] + [fact]
    return facts[::-1]


def messages_for(support: Support) -> tuple[ChatMessage, ...]:
    """Return the conversation for a question and its evidence."""
    return (
        ChatMessage("system", INSTRUCTION),
        _asked("Where is paper stored?", ["Paper is stored in the yellow cupboard."]),
        ChatMessage("assistant", "Paper is stored in the yellow cupboard."),
        _asked(one_line(support.question), facts_of(support)),
    )


def _asked(question: str, facts: list[str]) -> ChatMessage:
    listed = "\n".join(f"- {fact}" for fact in facts)
    return ChatMessage("user", f"Facts:\n{listed}\n\nQuestion: {question}")
