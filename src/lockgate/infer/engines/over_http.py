"""What every engine that is reached over HTTP shares: its state, and how it is asked."""

from abc import abstractmethod
from collections.abc import AsyncGenerator, Sequence

from lockgate.infer.engines.client import ChatClient
from lockgate.infer.engines.ports import (
    Embedded,
    Engine,
    EngineHealth,
    EngineRequest,
    EngineState,
    LoadedModel,
    Piece,
    Ranked,
)
from lockgate.infer.errors import EngineUnavailableError

SHOWN = 500
"""Characters of an error that an engine's health shows."""


class ClientEngine(Engine):
    """An engine behind a `ChatClient`. It takes requests while it is ready; whoever starts it says when."""

    def __init__(self) -> None:
        """Begin stopped."""
        self._state = EngineState.STOPPED
        self._detail = ""
        self._loaded: LoadedModel | None = None
        self._client: ChatClient | None = None

    @property
    def loaded(self) -> LoadedModel | None:
        """What the engine holds; nothing before it started."""
        return self._loaded

    @property
    @abstractmethod
    def restarts(self) -> int:
        """Return how often it had to be started again."""

    async def health(self) -> EngineHealth:
        """Return how the engine is; one that runs and does not answer is restarting."""
        state = self._state
        if state is EngineState.READY and not (self._client and await self._client.ready()):
            state = EngineState.RESTARTING
        return EngineHealth(state, self.restarts, self._detail)

    def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        """Yield the answer; see `Engine.chat`."""
        return self._serving().chat(request)

    async def embed(self, texts: Sequence[str]) -> Embedded:
        """Return the vectors of texts."""
        client = self._serving()
        return await client.call(client.wire.embed(texts))

    async def rerank(self, query: str, documents: Sequence[str]) -> Ranked:
        """Return how well each document answers a query."""
        client = self._serving()
        return await client.call(client.wire.rerank(query, documents))

    async def tokenize(self, text: str) -> tuple[int, ...]:
        """Return the tokens of a text."""
        client = self._serving()
        return await client.call(client.wire.tokenize(text))

    def _serving(self) -> ChatClient:
        """Return the way to the engine.

        Raises:
            EngineUnavailableError: It takes no requests now.

        """
        if self._state is not EngineState.READY or self._client is None:
            what = f"The engine is {self._state}."
            raise EngineUnavailableError(what)
        return self._client
