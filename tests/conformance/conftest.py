"""A client of The Update Framework and its repository."""

from pathlib import Path

import pytest

from corpora.tufclient import Client
from corpora.tufrepository import MemoryFetcher, Repository


@pytest.fixture
def repository() -> Repository:
    return Repository()


@pytest.fixture
def client(repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client(repository, tmp_path)
    monkeypatch.setattr("lockgate.app.check.tuf_client.http_fetcher", lambda: MemoryFetcher(repository))
    monkeypatch.setattr("lockgate.app.trust.utc_now", lambda: made.now[-1])
    return made


@pytest.fixture
def ready(client: Client) -> Client:
    """Return a client that has refreshed once."""
    assert client.init() == 0
    assert client.refresh() == 0
    return client
