"""A client goes on with the snapshot that it began with, for a while, and never after an emergency."""

import asyncio
from dataclasses import dataclass

import pytest

from corpora.mirrorsite import MirrorSite, asking
from corpora.wheels import build_wheel
from lockgate.core.statement import Operation
from lockgate.mirror.continuity import (
    CONNECTION,
    IDLE_SECONDS,
    PIN_SECONDS,
    PINS_LIMIT,
    RETAINED_LIMIT,
    Connection,
    Continuity,
    Peer,
    client_of,
)


@dataclass
class FakeStatement:
    channel_version: int
    operation: Operation = Operation.PUBLISH


@dataclass(eq=False)
class FakeTable:
    statement: FakeStatement


def table(version: int, operation: Operation = Operation.PUBLISH) -> FakeTable:
    return FakeTable(FakeStatement(version, operation))


@pytest.fixture
def now():
    return [100.0]


@pytest.fixture
def continuity(now):
    return Continuity(lambda: now[0])


def test_a_client_goes_on_and_a_new_one_begins_with_the_newest(continuity) -> None:
    old, new = table(1), table(2)
    assert continuity.table(old, "a") is old
    continuity.moved(old, new)
    assert continuity.table(new, "a") is old
    assert continuity.table(new, "b") is new
    assert continuity.table(new, None) is new
    assert continuity.older() == (old,)


@pytest.mark.parametrize("operation", [Operation.HOLD, Operation.WITHDRAW, Operation.EMERGENCY_ROLLBACK])
def test_an_emergency_takes_the_older_table_from_everybody_at_once(continuity, operation) -> None:
    old, newer = table(1), table(2)
    continuity.table(old, "a")
    continuity.moved(old, newer)
    taken = table(3, operation)
    continuity.moved(newer, taken)
    assert continuity.table(taken, "a") is taken
    assert continuity.older() == ()


def test_a_skipped_version_may_have_been_an_emergency(continuity) -> None:
    old, newer = table(1), table(3)
    continuity.table(old, "a")
    continuity.moved(old, newer)
    assert continuity.table(newer, "a") is newer
    assert continuity.older() == ()


def test_silence_and_age_end_it(continuity, now) -> None:
    old, new = table(1), table(2)
    for client in ("silent", "busy"):
        continuity.table(old, client)
    continuity.moved(old, new)
    began = now[0]
    while now[0] + IDLE_SECONDS <= began + PIN_SECONDS:
        assert continuity.table(new, "busy") is old
        now[0] += IDLE_SECONDS
    now[0] += 1
    assert continuity.table(new, "busy") is new
    assert continuity.table(new, "silent") is new
    assert continuity.older() == ()


def test_what_is_remembered_is_bounded(continuity) -> None:
    before = table(0)
    for number in range(PINS_LIMIT + 1):
        continuity.table(before, str(number))
    assert len(continuity._pins) == PINS_LIMIT
    for version in range(1, RETAINED_LIMIT + 4):
        after = table(version)
        continuity.moved(before, after)
        before = after
    assert [t.statement.channel_version for t in continuity.older()] == list(range(10, 2, -1))


def test_clients_are_told_apart_by_connection_or_by_the_session_they_name() -> None:
    def of(client, session, **more):
        return client_of({"type": "http", "client": client, **more}, session)

    assert of(("h", 1), None) != of(("h", 2), None)
    assert of(("h", 1), "abc123") == of(("h", 2), "abc123")
    assert of(("h", 1), "abc123") != of(("i", 1), "abc123")
    assert of(("h", 1), "x" * 200) == of(("h", 1), "a b") == of(("h", 1), None)
    assert of(None, "abc123") is None


def test_a_port_that_is_used_again_is_another_client() -> None:
    first, second = peer().scope, peer().scope
    assert first["client"] == second["client"]
    assert client_of(first, None) == client_of(first, None) != client_of(second, None)
    assert client_of(first, "abc123") == client_of(second, "abc123")


def test_a_commit_that_left_the_channel_is_served_until_downloads_end(tmp_path) -> None:
    site = MirrorSite(tmp_path)
    commits = ("a" * 40, "b" * 40)
    app = site.app()

    def offer(commit: str, **changes: object) -> None:
        site.entries.clear()
        site.add_wheels("box", "1", build_wheel("box", "1"))
        site.add_model("org/m", {"model.gguf": b"GGUF", "note.txt": commit.encode()}, commit=commit)
        site.publish(**changes)

    def get(path: str, port: int) -> tuple[int, bytes]:
        answer = asyncio.run(asking(app, path, client=("c", port)))
        return answer.status, answer.body

    offer(commits[0])
    assert get("/org/m/resolve/main/note.txt", 1) == (200, commits[0].encode())
    offer(commits[1])
    assert get("/org/m/resolve/main/note.txt", 1) == (200, commits[0].encode())
    assert get("/org/m/resolve/main/note.txt", 2) == (200, commits[1].encode())
    assert get(f"/org/m/resolve/{commits[0]}/note.txt", 3) == (200, commits[0].encode())
    assert get(f"/api/models/org/m/revision/{commits[0]}", 3)[0] == 200
    assert get(f"/org/m/resolve/{'c' * 40}/note.txt", 3)[0] == 404
    site.entries.pop()
    site.publish(operation=Operation.WITHDRAW)
    for port in (1, 3, 4):
        assert get(f"/org/m/resolve/{commits[0]}/note.txt", port)[0] == 404
        assert get("/org/m/resolve/main/note.txt", port)[0] == 404


def test_a_package_that_a_page_listed_is_given_on_another_connection_after_the_channel_moved(
    tmp_path,
) -> None:
    site = MirrorSite(tmp_path)
    wheels = [build_wheel("box", "1"), build_wheel("box", "2")]
    paths = [f"/packages/{wheel.sha256}/{wheel.filename}" for wheel in wheels]
    app = site.app()

    def offer(number: int, **changes: object) -> None:
        site.entries.clear()
        site.add_wheels("box", str(number + 1), wheels[number])
        site.publish(**changes)

    def get(path: str, port: int) -> int:
        return asyncio.run(asking(app, path, client=("c", port))).status

    offer(0)
    assert get("/simple/box/", 1) == 200
    offer(1)
    assert get(paths[0], 2) == get(f"{paths[0]}.metadata", 2) == 200
    assert get(paths[1], 1) == 200  # a page that another connection saw after the move
    assert get(paths[0].replace(wheels[0].sha256, "0" * 64), 2) == 404
    offer(1, operation=Operation.WITHDRAW)
    assert [get(path, port) for path in paths for port in (1, 2)] == [404, 404, 200, 200]


def peer(agent="uv/1", host="10.0.0.1", key="", connection=None):
    """Return a request of a connection; `connection` is one that goes on."""
    headers = [(b"user-agent", agent.encode()), (b"authorization", key.encode())]
    extensions = {CONNECTION: connection or Connection()}
    return Peer({"type": "http", "headers": headers, "client": (host, 1), "extensions": extensions})


def test_connections_of_one_run_see_one_table_and_the_next_run_the_newest(continuity, now) -> None:
    old, new = table(1), table(2)
    first, second = Connection(), Connection()
    assert continuity.table(old, "a 1", peer(connection=first)) is old
    continuity.moved(old, new)
    assert continuity.table(new, "a 2", peer(connection=second)) is old
    for other in (peer(agent="pip/1"), peer(host="10.0.0.2"), peer(key="Bearer x")):
        assert continuity.table(new, f"b {id(other)}", other) is new
    assert continuity.table(new, "c", Peer({"type": "http", "headers": [], "client": None})) is new
    first.open = second.open = False
    assert continuity.table(new, "a 3", peer()) is new


def test_a_run_is_joined_for_a_bounded_time_however_many_come(continuity, now) -> None:
    old, new = table(1), table(2)
    held = [Connection()]
    assert continuity.table(old, "0", peer(connection=held[0])) is old
    continuity.moved(old, new)
    seen, number = old, 0
    while seen is old:
        number += 1
        now[0] += IDLE_SECONDS - 1
        held.append(Connection())
        seen = continuity.table(new, str(number), peer(connection=held[-1]))
        assert number * (IDLE_SECONDS - 1) <= PIN_SECONDS + IDLE_SECONDS
    assert seen is new
    assert number * (IDLE_SECONDS - 1) > PIN_SECONDS


def test_a_silent_connection_is_joined_no_more(continuity, now) -> None:
    old, new = table(1), table(2)
    continuity.table(old, "a", peer(connection=Connection()))
    continuity.moved(old, new)
    now[0] += IDLE_SECONDS + 1
    assert continuity.table(new, "b", peer()) is new


def test_nobody_joins_what_an_emergency_ended(continuity) -> None:
    old, new = table(1), table(2, Operation.WITHDRAW)
    open_one = Connection()
    continuity.table(old, "a", peer(connection=open_one))
    continuity.moved(old, new)
    assert continuity.table(new, "b", peer()) is new
    assert continuity.table(new, "a", peer(connection=open_one)) is new


def test_what_is_remembered_of_runs_is_bounded(continuity) -> None:
    for number in range(PINS_LIMIT + 50):
        continuity.table(table(1), str(number), peer(agent=f"x/{number}"))
    assert len(continuity._pins) == len(continuity._groups) == PINS_LIMIT
    for number in range(50):
        continuity.table(table(1), f"same {number}", peer(agent="same"))
    assert len(continuity._groups[peer(agent="same").key()]) == 50
