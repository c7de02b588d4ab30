"""Withdrawn while in use: a running model answers nobody new and is unloaded, a document is not cited.

What is only held goes on where it is loaded, and is loaded nowhere.
"""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from corpora import tinymodel
from corpora.commands import Commands
from corpora.homes import HighSide
from infer_doubles import (
    MemorySource,
    ScriptedEngine,
    Site,
    admitted,
    chunk,
    events,
    sends_on_go,
    site,
    text_of,
)
from lockgate.app.gate.gate import execute
from lockgate.app.high.engines import NoChatModelError
from lockgate.app.high.gateway import serve_gateway
from lockgate.app.high.knowledge import SignedKnowledge, index_documents
from lockgate.app.high.signed_models import NotLoadableError, SignedModels
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.infer import AdmittedModel, EngineLimits, ModelFile
from lockgate.infer.errors import BadRequestError, EngineStartError
from lockgate.infer.withdrawal import Withdrawals
from lockgate.knowledge.retrieve import QUESTION_LIMIT
from lockgate.store import FileBlobs

SECONDS = 180.0
QUESTION = "pump runs at night"
LABELS = frozenset({"internal"})
END = (chunk(" there."), chunk(finish="stop"), b"data: [DONE]\n\n")
GONE = (404, "model_not_found")


# --- a running model ---------------------------------------------------------------------------


def switch(source: MemorySource, *models: AdmittedModel) -> None:
    """Let the channel have these models from now on."""
    source.view = replace(source.view, channel_version=source.view.channel_version + 1, models=models)


async def refusal(s: Site) -> tuple[int, str]:
    async with s.ask() as response:
        return response.status, (await response.json())["error"]["code"]


async def health(s: Site) -> tuple[int, str]:
    async with s.session.get("/healthz") as response:
        return response.status, (await response.json())["engines"]["small"]["state"]


async def until_health(s: Site, wanted: tuple[int, str]) -> None:
    async with asyncio.timeout(SECONDS):
        while await health(s) != wanted:  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0.02)


def test_a_withdrawn_model_refuses_at_once_ends_its_answers_and_is_unloaded() -> None:
    async def run() -> None:
        async with site(sends_on_go(chunk("Hello"), *END)) as s:
            async with s.ask(stream=True) as response:
                await response.content.readuntil(b"\n\n")
                switch(s.source)
                assert await refusal(s) == GONE
                async with s.session.get("/v1/models", headers=s.headers) as listed:
                    assert (await listed.json())["data"] == []
                s.server.go.set()
                rest = events(await response.read())
            assert (text_of(rest), rest[-1]) == (" there.", "[DONE]")
            await until_health(s, (503, "stopped"))
            assert await refusal(s) == GONE
            assert s.ledger.statuses() == ["answered"]
            switch(s.source, admitted())
            await until_health(s, (200, "ready"))
            async with s.ask() as response:
                assert response.status == 200

    asyncio.run(run())


def test_what_waited_for_a_slot_when_the_model_was_withdrawn_is_refused() -> None:
    async def run() -> None:
        bounds = EngineLimits(running=1, waiting=1)
        async with site(sends_on_go(chunk("Hello"), *END), engine_limits=bounds) as s:
            async with s.ask(stream=True) as response:
                await response.content.readuntil(b"\n\n")
                both = [asyncio.create_task(refusal(s)) for _ in range(2)]
                full, (waiting,) = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
                assert [task.result()[0] for task in full] == [503], "the other one has the only place"
                switch(s.source)
                s.server.go.set()
                await response.read()
            assert await waiting == GONE
            assert len(s.server.bodies) == 1

    asyncio.run(run())


class Watched:
    """A model whose withdrawal is looked at by hand."""

    def __init__(self, drain_seconds: float = 1000.0) -> None:
        self.engine, self.source, self.running = ScriptedEngine(), MemorySource(), 0
        self.starts: list[str] = []
        self.fault: Exception | None = None
        self.engine.start = self._start
        self.withdrawals = Withdrawals(
            self.source, {"small": self.engine}, lambda _: self.running, drain_seconds
        )

    async def _start(self) -> None:
        self.starts.append("start")
        if self.fault:
            raise self.fault
        await ScriptedEngine.start(self.engine)

    def holds(self) -> bool:
        return self.engine.loaded is not None


def looked(case: Callable[[Watched], Any], drain_seconds: float = 1000.0) -> None:
    async def run() -> None:
        watched = Watched(drain_seconds)
        await watched.engine.start()
        await case(watched)

    asyncio.run(run())


def test_an_engine_is_stopped_when_its_last_answer_has_ended() -> None:
    async def case(w: Watched) -> None:
        await w.withdrawals.look()
        assert w.holds()
        w.running = 2
        switch(w.source)
        for running in (2, 1):
            w.running = running
            await w.withdrawals.look()
            assert w.holds()
        w.running = 0
        await w.withdrawals.look()
        assert not w.holds()

    looked(case)


def test_answers_that_do_not_end_are_broken_off() -> None:
    async def case(w: Watched) -> None:
        w.running = 1
        switch(w.source)
        await w.withdrawals.look()
        assert not w.holds()

    looked(case, drain_seconds=0.0)


def test_an_engine_with_other_weights_than_the_channel_is_stopped() -> None:
    async def case(w: Watched) -> None:
        other = replace(admitted(), weights=ModelFile("weights.gguf", "9" * 64, 1))
        switch(w.source, other)
        await w.withdrawals.look()
        assert not w.holds()

    looked(case)


def test_a_model_that_came_back_is_tried_once_for_each_version() -> None:
    async def case(w: Watched) -> None:
        switch(w.source)
        await w.withdrawals.look()
        w.fault = EngineStartError("it did not start")
        switch(w.source, admitted())
        for _ in range(3):
            await w.withdrawals.look()
        assert (w.holds(), len(w.starts)) == (False, 2)
        w.fault = None
        switch(w.source, admitted())
        await w.withdrawals.look()
        assert (w.holds(), len(w.starts)) == (True, 3)
        switch(w.source)
        await w.withdrawals.look()
        assert not w.holds()

    looked(case)


# --- on a side, by command ---------------------------------------------------------------------


def put(side_blobs: FileBlobs, path: str, role: Role, data: bytes) -> ArtifactFile:
    return ArtifactFile(path=path, role=role, size=len(data), sha256=side_blobs.put_bytes(data))


def model(blobs: FileBlobs, name: str, task: str, *files: tuple[str, Role, bytes]) -> Artifact:
    return Artifact(
        purl=f"pkg:huggingface/tests/{name}@{'a' * 40}",
        kind=Kind.MODEL,
        name=f"tests/{name}",
        version="a" * 40,
        files=tuple(put(blobs, f"models/tests/{name}/{path}", role, data) for path, role, data in files),
        attributes={"task": task},
    )


def document(blobs: FileBlobs, name: str, text: str) -> Artifact:
    return Artifact(
        purl=f"pkg:generic/{name}@1",
        kind=Kind.DOCUMENT,
        name=name,
        version="1",
        files=(put(blobs, f"documents/{name}.md", Role.DOCUMENT, text.encode()),),
        attributes={"collection": "notes"},
    )


@pytest.fixture
def high(tmp_path: Path) -> HighSide:
    """A high side that serves a chat model, an embedding model and two documents that say the same."""
    made = HighSide.new(tmp_path)
    settings = made.lane.high / "lockgate.toml"
    settings.write_text(
        settings.read_text()
        + '\n[knowledge]\ncollection = "notes"\nembed_model = "tests/tiny"\n\n[engine]\nproject = "x"\n'
    )
    blobs = FileBlobs(made.side.home.quarantine)
    made.arrive_with(
        1,
        model(blobs, "small", "chat", ("weights.gguf", Role.WEIGHTS, b"weights")),
        model(
            blobs,
            "tiny",
            "embed",
            ("model.onnx", Role.WEIGHTS, tinymodel.model()),
            ("tokenizer.json", Role.TOKENIZER, tinymodel.tokenizer()),
        ),
        document(blobs, "one", "# One\n\nThe pump runs at night.\n"),
        document(blobs, "two", "# Two\n\nAt night the pump runs.\n"),
    )
    execute(made.side, made.ask_to_publish(1))
    return made


def take(high: HighSide, action: str, purl: str) -> None:
    words = ("--key", high.lane.people["operator"], "--reason", "it bites", "--home", high.lane.high)
    Commands().json("gate", action, purl, *words)


def purl_of(name: str) -> str:
    return f"pkg:huggingface/tests/{name}@{'a' * 40}"


def test_a_held_model_goes_on_and_is_loaded_nowhere_a_withdrawn_one_is_gone(high: HighSide) -> None:
    source = SignedModels(high.side)
    (weights,) = source.current().models[0].files
    source.open(weights.sha256).close()
    take(high, "hold", purl_of("small"))
    assert source.current().named("small") is not None
    with pytest.raises(NotLoadableError):
        source.open(weights.sha256)
    with pytest.raises(NoChatModelError):
        serve_gateway(high.side, "127.0.0.1", 1)
    take(high, "withdraw", purl_of("small"))
    assert source.current().named("small") is None


def cited(base: SignedKnowledge) -> set[str]:
    return {span.path for span in base.search(QUESTION, LABELS)}


def test_a_withdrawn_document_is_cited_no_more_and_leaves_the_index(high: HighSide) -> None:
    both = {"documents/one.md", "documents/two.md"}
    assert index_documents(high.side).documents == 2
    with SignedKnowledge(high.side) as base:
        assert cited(base) == both
        take(high, "hold", "pkg:generic/one@1")
        assert cited(base) == both, "it was indexed before"
        take(high, "withdraw", "pkg:generic/one@1")
        assert cited(base) == {"documents/two.md"}
        evidence = base.retrieve(QUESTION, LABELS)
        assert len(evidence.documents) == 1
        with pytest.raises(BadRequestError, match="at most") as refused:
            base.retrieve("pump " * QUESTION_LIMIT, LABELS)
        assert refused.value.where["limit"] == "question_characters"
    again = index_documents(high.side)
    assert (again.documents, again.fresh) == (1, True)
    with SignedKnowledge(high.side) as base:
        assert cited(base) == {"documents/two.md"}


def test_a_withdrawn_embedding_model_finds_nothing_more(high: HighSide) -> None:
    index_documents(high.side)
    with SignedKnowledge(high.side) as base:
        take(high, "hold", purl_of("tiny"))
        assert cited(base)
        take(high, "withdraw", purl_of("tiny"))
        with pytest.raises(NotLoadableError, match="withdrawn"):
            base.search(QUESTION, LABELS)
