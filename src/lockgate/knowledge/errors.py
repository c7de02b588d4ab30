"""Errors of the knowledge room."""

from lockgate.core.errors import HostError, InputError, LimitError, PolicyError, TrustError


class UnreadableDocumentError(InputError):
    """A document cannot be read as its type."""

    code = "LG-1b01"
    advice = (
        "Open it with another program; if it is sound, repack it as Markdown, HTML or PDF and bring it again."
    )


class NoIndexError(InputError):
    """There is no index at this place."""

    code = "LG-1b02"
    advice = "Index the admitted documents first."


class IndexAlteredError(TrustError):
    """The index is not the one that was recorded when it was built."""

    code = "LG-2b01"
    advice = (
        "Somebody altered the index. Build it again from the admitted documents, and ask who could write it."
    )


class ExtractionAlteredError(TrustError):
    """What a parser handed back does not describe the document that it was given."""

    code = "LG-2b02"
    advice = "Do not use this document. Keep the sandbox's log and report it."


class QuoteAlteredError(TrustError):
    """A span does not quote its recorded extraction."""

    code = "LG-2b03"
    advice = "Build the index again from the admitted documents; the answer with this span must not be shown."


class ModelAlteredError(TrustError):
    """The embedding model's bytes are not the admitted ones."""

    code = "LG-2b04"
    advice = "Run `lockgate doctor` on the store, and receive the model again."


class NoLabelsError(PolicyError):
    """Somebody without any label asked."""

    code = "LG-3b01"
    advice = "Give the caller's key the labels that its holder may see."


class DocumentTooLargeError(LimitError):
    """A document is over a bound of extraction."""

    code = "LG-4b01"
    advice = "The bound belongs to this version. Split the document."


class IndexTooLargeError(LimitError):
    """The index is over a bound."""

    code = "LG-4b02"
    advice = "Split the collection into several knowledge bases, or raise the named limit."


class QuestionTooLongError(LimitError):
    """A question is over its bound."""

    code = "LG-4b03"
    advice = "Ask with fewer words."


class IndexIoError(HostError):
    """The index cannot be written or read."""

    code = "LG-5b01"
    advice = "Check free space, permissions and the health of the disk; the previous index is unchanged."


class ModelUnusableError(HostError):
    """The embedding model cannot be loaded or run here."""

    code = "LG-5b02"
    advice = "Check that onnxruntime supports this machine and that the model is a sentence embedder."
