"""A client of The Update Framework and its repository; a namespace without a network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.mirrorserver import Server
from corpora.tufclient import Client
from corpora.tufrepository import MemoryFetcher, Repository
from corpora.wholeway import empty_namespace


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


@pytest.fixture
def namespace(tmp_path: Path) -> Iterator[Server]:
    with empty_namespace(tmp_path) as running:
        yield running
