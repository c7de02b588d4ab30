"""Knowledge: documents to text, chunks, an index by label, retrieval, abstention and citations.

Names are loaded when they are first used, so that a parser's sandbox need not load the model's
libraries.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lockgate.knowledge.answerable import MINILM, Calibration, Sentence, Support
    from lockgate.knowledge.cite import Citation, CitedSentence, Citer
    from lockgate.knowledge.doubles import HashedWords, InsecureInProcessRunner
    from lockgate.knowledge.embed import OnnxEmbedder
    from lockgate.knowledge.extraction import Extraction, Section
    from lockgate.knowledge.index import IndexReport
    from lockgate.knowledge.manifest import AdmittedDocument, IndexManifest, documents_of
    from lockgate.knowledge.ports import Embedder, Runner
    from lockgate.knowledge.prompt import ABSTENTION, ChatMessage
    from lockgate.knowledge.retrieve import Span
    from lockgate.knowledge.sentences import SentenceSplitter
    from lockgate.knowledge.service import KnowledgeBase, index_snapshot

_HOMES = {
    "MINILM": "answerable",
    "Calibration": "answerable",
    "Sentence": "answerable",
    "Support": "answerable",
    "Citation": "cite",
    "CitedSentence": "cite",
    "Citer": "cite",
    "HashedWords": "doubles",
    "InsecureInProcessRunner": "doubles",
    "OnnxEmbedder": "embed",
    "Extraction": "extraction",
    "Section": "extraction",
    "IndexReport": "index",
    "AdmittedDocument": "manifest",
    "IndexManifest": "manifest",
    "documents_of": "manifest",
    "Embedder": "ports",
    "Runner": "ports",
    "ABSTENTION": "prompt",
    "ChatMessage": "prompt",
    "Span": "retrieve",
    "SentenceSplitter": "sentences",
    "KnowledgeBase": "service",
    "index_snapshot": "service",
}

__all__ = [
    "ABSTENTION",
    "MINILM",
    "AdmittedDocument",
    "Calibration",
    "ChatMessage",
    "Citation",
    "CitedSentence",
    "Citer",
    "Embedder",
    "Extraction",
    "HashedWords",
    "IndexManifest",
    "IndexReport",
    "InsecureInProcessRunner",
    "KnowledgeBase",
    "OnnxEmbedder",
    "Runner",
    "Section",
    "Sentence",
    "SentenceSplitter",
    "Span",
    "Support",
    "documents_of",
    "index_snapshot",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module."""
    if name not in _HOMES:
        what = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(what)
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
