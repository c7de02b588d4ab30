"""Joining knowledge: documents of the signed snapshot, the admitted embedder, a signed index."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, Self

from lockgate.app.high.channel import channel_reader
from lockgate.app.high.guards import input_guard
from lockgate.app.high.signed_models import NotLoadableError
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log, signer_from, site_root, utc_now
from lockgate.approve import VerifiedChannel
from lockgate.core.artifact import Digest, Kind, Role
from lockgate.core.errors import InputError, LockgateError, TrustError
from lockgate.core.parts import rest_of
from lockgate.core.roots import Purpose
from lockgate.core.wire import Document, decode, encode, whole_second
from lockgate.guard import Channel, Outcome
from lockgate.infer.engines.ports import Message
from lockgate.infer.errors import BadRequestError
from lockgate.infer.ports import Citation, CitedSentence, Citer, Evidence, GuardFinding, Knowledge
from lockgate.inspect import run_in_sandbox
from lockgate.inspect.sandbox import ProcessSandbox
from lockgate.knowledge import Citer as SentenceCiter
from lockgate.knowledge import KnowledgeBase, OnnxEmbedder, Span, Support, documents_of, index_snapshot
from lockgate.knowledge.errors import QuestionTooLongError
from lockgate.store import FileBlobs
from lockgate.store.blobs import sync_folder
from lockgate.store.ports import BLOB_LIMIT, BlobStore
from lockgate.trust.attest import InTotoStatement, attest, check
from lockgate.trust.dsse import open_envelope

INDEX = "urn:lockgate:knowledge-index:v1"
"""Predicate type of the signed statement over an index."""

MODEL_LIMIT = 1 << 30
"""Largest embedding model that is loaded, in bytes."""

RECORD_LIMIT = 1 << 20


class NoKnowledgeError(InputError):
    """There is no knowledge base, or nothing to build one from."""

    code = "LG-1f08"
    advice = "Set [knowledge] in lockgate.toml, admit documents and model, then `lockgate knowledge index`."


class IndexRecordError(TrustError):
    """The record of an index is not what the gate signed."""

    code = "LG-2f03"
    advice = "Somebody altered it. Build the index again: `lockgate knowledge index`."


class IndexFacts(Document, frozen=True):
    """What is signed of an index: which collection of which snapshot, and its manifest's digest."""

    collection: str
    snapshot_sha256: Digest
    manifest_sha256: Digest
    created: datetime


@dataclass(frozen=True, slots=True)
class Indexed:
    """What indexing did; `fresh` is false when the index was current already."""

    documents: int
    chunks: int
    skipped: int
    reused: int
    fresh: bool

    @property
    def sentence(self) -> str:
        """Return it in one sentence."""
        what = f"{self.documents} documents in {self.chunks} passages"
        if not self.fresh:
            return f"knowledge base is current: {what}"
        return f"knowledge base indexed: {what}, {self.reused} kept, {self.skipped} skipped"


class OverlayBlobs(BlobStore):
    """Reads two stores and writes the upper one: the indexer has no right to write the lower."""

    def __init__(self, upper: BlobStore, lower: BlobStore) -> None:
        """Write to `upper`, read `upper` first and then `lower`."""
        self._upper = upper
        self._lower = lower

    def _holder(self, digest: str) -> BlobStore:
        return self._upper if self._upper.has(digest) else self._lower

    def put_stream(
        self, stream: BinaryIO, *, expected: str | None = None, limit: int = BLOB_LIMIT
    ) -> tuple[str, int]:
        """Store the rest of a stream in the upper store."""
        return self._upper.put_stream(stream, expected=expected, limit=limit)

    def open(self, digest: str) -> BinaryIO:
        """Return a stream of the blob's bytes."""
        return self._holder(digest).open(digest)

    def path(self, digest: str) -> Path:
        """Return a file with the blob's bytes."""
        return self._holder(digest).path(digest)

    def has(self, digest: str) -> bool:
        """Tell whether either store holds the blob."""
        return self._holder(digest).has(digest)

    def size(self, digest: str) -> int:
        """Return the blob's length in bytes."""
        return self._holder(digest).size(digest)

    def digests(self) -> Iterator[tuple[str, int]]:
        """Yield digest and length of every blob of both stores."""
        upper = dict(self._upper.digests())
        yield from upper.items()
        yield from (each for each in self._lower.digests() if each[0] not in upper)


class SandboxRunner:
    """Runs a document parser in the sandbox."""

    def __init__(self) -> None:
        """Prepare the sandbox."""
        self._sandbox = ProcessSandbox()

    def run(self, entry: str, file: Path, args: bytes) -> bytes:
        """Return what the function makes of the file."""
        return run_in_sandbox(self._sandbox, entry, file, args)


def _blobs(side: Side) -> OverlayBlobs:
    return OverlayBlobs(FileBlobs(side.home.knowledge / "extractions"), blobs_of(side))


def _index_file(side: Side) -> Path:
    return side.home.knowledge / f"{side.settings.knowledge.collection}.sqlite"


def _record_file(side: Side) -> Path:
    return _index_file(side).with_suffix(".dsse.json")


def _embedding_model(side: Side, verified: VerifiedChannel) -> tuple[str, str, str]:
    """Return package URL and the digests of weights and tokenizer of the model that may be loaded.

    Raises:
        NoKnowledgeError: The channel has none of the configured name.

    """
    wanted = side.settings.knowledge.embed_model
    for admitted in sorted(rest_of(verified.snapshot).admitted, key=lambda a: -a.crossing):
        artifact = admitted.artifact
        if artifact.kind is Kind.MODEL and artifact.name == wanted:
            parts = {file.role: file.sha256 for file in artifact.files}
            if {Role.WEIGHTS, Role.TOKENIZER} <= parts.keys():
                return artifact.purl, parts[Role.WEIGHTS], parts[Role.TOKENIZER]
    what = f"The channel has no embedding model {wanted!r} with weights and tokenizer."
    raise NoKnowledgeError(what)


def _embedder(purl: str, model: str, tokenizer: str, blobs: BlobStore) -> OnnxEmbedder:
    weights = blobs.read(model, limit=MODEL_LIMIT)
    return OnnxEmbedder(purl, weights, model, blobs.read(tokenizer, limit=MODEL_LIMIT), tokenizer)


def _load_embedder(side: Side, verified: VerifiedChannel, blobs: BlobStore) -> OnnxEmbedder:
    purl, model, tokenizer = _embedding_model(side, verified)
    return _embedder(purl, model, tokenizer, blobs)


def _recorded(side: Side) -> IndexFacts:
    """Return the signed record of the index that stands.

    Raises:
        NoKnowledgeError: There is none.
        IndexRecordError: It does not verify, or is about another collection.

    """
    try:
        with _record_file(side).open("rb") as file:
            envelope = file.read(RECORD_LIMIT)
    except FileNotFoundError:
        raise NoKnowledgeError("There is no index yet.") from None
    try:
        claimed = decode(InTotoStatement, open_envelope(envelope, limit=RECORD_LIMIT).payload)
        facts = decode(IndexFacts, encode(claimed.predicate), name="index record")
        # Expiry never stops serving: the key is judged at the time when the index was signed.
        check(envelope, site_root(side, None), Purpose.INSPECTOR, INDEX, facts.created)
    except LockgateError as error:
        what = f"The record of the index does not verify: {error.what}"
        raise IndexRecordError(what) from error
    if facts.collection != side.settings.knowledge.collection:
        what = f"The record is about the collection {facts.collection!r}."
        raise IndexRecordError(what)
    return facts


def _record(side: Side, facts: IndexFacts) -> None:
    signer = signer_from(side.home.keys, Purpose.INSPECTOR, site_root(side, None))
    envelope = attest(
        {"index": facts.manifest_sha256, "snapshot": facts.snapshot_sha256}, INDEX, facts, signer
    )
    target = _record_file(side)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with partial.open("wb") as file:
        file.write(envelope)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(target)
    sync_folder(target.parent)


def index_documents(side: Side) -> Indexed:
    """Index the collection of the signed snapshot and sign the result; nothing when it is current.

    Raises:
        NoKnowledgeError: No collection or model is configured or admitted.

    """
    if not side.settings.knowledge.collection:
        raise NoKnowledgeError("No collection is configured.")
    verified = channel_reader(side, "knowledge").current()
    blobs = _blobs(side)
    snapshot = verified.statement.snapshot_sha256
    documents = documents_of(verified.snapshot, side.settings.knowledge.collection)
    if not documents:
        what = f"The channel has no documents of the collection {side.settings.knowledge.collection!r}."
        raise NoKnowledgeError(what)
    earlier = _earlier(side)
    if earlier is not None and earlier.snapshot_sha256 == snapshot:
        with SignedKnowledge(side) as base:
            return base.indexed()
    log = audit_log(side)
    intent = log.intent("index", collection=side.settings.knowledge.collection, snapshot=snapshot)
    try:
        report = index_snapshot(
            documents,
            snapshot_sha256=snapshot,
            blobs=blobs,
            runner=SandboxRunner(),
            embedder=_load_embedder(side, verified, blobs),
            target=_index_file(side),
            earlier_sha256=earlier.manifest_sha256 if earlier else None,
        )
        facts = IndexFacts(
            collection=side.settings.knowledge.collection,
            snapshot_sha256=snapshot,
            manifest_sha256=report.manifest_sha256,
            created=whole_second(utc_now()),
        )
        _record(side, facts)
    except LockgateError as error:
        log.outcome(intent, "failed", code=error.code, error=error.what)
        raise
    log.outcome(intent, "done", manifest=report.manifest_sha256)
    manifest = report.manifest
    return Indexed(len(manifest.documents), report.chunks, len(manifest.skipped), report.reused, fresh=True)


def _earlier(side: Side) -> IndexFacts | None:
    """Return the record of the index so far; an unreadable or altered one counts as none."""
    try:
        return _recorded(side) if _index_file(side).is_file() else None
    except (NoKnowledgeError, IndexRecordError):
        return None


class _Attached(Citer):
    """A citer of the knowledge room behind the gateway's port."""

    def __init__(self, inner: SentenceCiter) -> None:
        self._inner = inner

    def feed(self, text: str) -> Sequence[CitedSentence]:
        return [_sentence(s.text, s.citations) for s in self._inner.feed(text)]

    def finish(self) -> Sequence[CitedSentence]:
        return [_sentence(s.text, s.citations) for s in self._inner.finish()]


def _sentence(text: str, citations: Sequence[Document]) -> CitedSentence:
    fields = Citation.__dataclass_fields__
    return CitedSentence(
        text, tuple(Citation(**{name: getattr(c, name) for name in fields}) for c in citations)
    )


class SignedKnowledge(Knowledge):
    """The knowledge base of a side: an index that the gate signed, over documents still admitted."""

    def __init__(self, side: Side) -> None:
        """Open the index under its signed digest and load the admitted embedder."""
        self._reader = channel_reader(side, "knowledge")
        self._facts = _recorded(side)
        self._guard = input_guard(side, self._reader.current())
        blobs = _blobs(side)
        self._model, model, tokenizer = _embedding_model(side, self._reader.current())
        self._parts = frozenset((model, tokenizer))
        self._base = KnowledgeBase.open(
            _index_file(side),
            blobs,
            _embedder(self._model, model, tokenizer, blobs),
            manifest_sha256=self._facts.manifest_sha256,
        )

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the index."""
        self._base.close()

    @property
    def name(self) -> str:
        """Return the collection's name."""
        return self._facts.collection

    @property
    def index_sha256(self) -> str:
        """Return the digest of the index's manifest."""
        return self._facts.manifest_sha256

    def indexed(self) -> Indexed:
        """Return what the index holds."""
        manifest = self._base.manifest
        chunks = sum(document.chunks for document in manifest.documents)
        return Indexed(len(manifest.documents), chunks, len(manifest.skipped), 0, fresh=False)

    def search(self, question: str, labels: frozenset[str]) -> tuple[Span, ...]:
        """Return the best passages whose documents the channel still admits."""
        return self._looked_up(question, labels)[0]

    def _looked_up(
        self, question: str, labels: frozenset[str]
    ) -> tuple[tuple[Span, ...], tuple[GuardFinding, ...]]:
        """Return the passages that may be used, and what the guards met in those that may not.

        Raises:
            NotLoadableError: The embedding model was withdrawn.

        """
        admitted = {file.sha256 for a in self._reader.current().usable for file in a.artifact.files}
        if not admitted.issuperset(self._parts):
            what = f"The embedding model {self._model} is withdrawn."
            raise NotLoadableError(what)
        spans: list[Span] = []
        blocked: list[GuardFinding] = []
        try:
            found = self._base.retrieve(question, labels)
        except QuestionTooLongError as error:  # the caller's to mend, and no reason to ask again as it is
            raise BadRequestError(error.what, param="messages", **error.where) from error
        for span in found:
            if span.document_sha256 not in admitted:
                continue
            decision = self._guard.check(span.quote, Channel.RETRIEVED)
            if decision.outcome is Outcome.BLOCK:
                blocked += [
                    GuardFinding(where=f"{span.document_sha256}:{span.start}", what=rule, action="left out")
                    for rule in decision.rules
                ]
            else:
                spans.append(span)
        return tuple(spans), tuple(blocked)

    def retrieve(self, question: str, labels: frozenset[str]) -> Evidence:
        """Return what a holder of these labels may see about a question."""
        spans, blocked = self._looked_up(question, labels)
        support = self._base.support(question, spans)
        documents = tuple(dict.fromkeys(span.document_sha256 for span in spans))
        return Evidence(supported=support.supported, documents=documents, handle=support, blocked=blocked)

    @staticmethod
    def _support(evidence: Evidence) -> Support:
        if not isinstance(evidence.handle, Support):
            msg = "evidence of another knowledge base"
            raise TypeError(msg)
        return evidence.handle

    def messages(self, question: str, evidence: Evidence) -> Sequence[Message]:
        """Return the conversation that puts the question and its evidence to a model."""
        del question  # the support keeps it
        return [Message(m.role, m.text) for m in self._base.messages(self._support(evidence))]

    def citer(self, evidence: Evidence) -> Citer:
        """Return a citer for one answer."""
        return _Attached(self._base.citer(self._support(evidence)))
