"""Servers that the contract tests of the stores share; each is started once, when first needed."""

from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from corpora.servers import ObjectServer, Postgres, postgres, seaweed
from lockgate.store import Records, open_records

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    with postgres(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(scope="session")
def object_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ObjectServer]:
    with seaweed(tmp_path_factory.mktemp("seaweed")) as server:
        yield server


@pytest.fixture
def open_again(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], Callable[[], Records]]:
    """Return, for a kind of database, what opens a new one of it, again and again."""

    def of_kind(kind: str) -> Callable[[], Records]:
        if kind == "sqlite":
            return lambda: open_records(f"sqlite:///{tmp_path / 'records.sqlite'}")
        server: Postgres = request.getfixturevalue("postgres_server")
        url = server.new(f"records_{next(_numbers)}")
        return lambda: open_records(url, server.password_file)

    return of_kind
