"""Health and metrics of services: the same tests over a double and over real HTTP."""

import socket
import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lockgate.watch import Condition, HttpProbe, Probe, Reply, Target, check, check_all, scrape
from lockgate.watch.errors import ReplyTooLongError, ServiceReplyError, ServiceUnreachableError
from lockgate.watch.ports import REPLY_LIMIT

METRICS = b"""# HELP lockgate_x_total Things.
# TYPE lockgate_x_total counter
lockgate_x_total{kind="a"} 2
lockgate_x_total{kind="b"} 3
# TYPE lockgate_y gauge
lockgate_y 1.5
"""
BUSY = b'{"status": "degraded\\u001b[31m", "engine": "loading", "parts": {"a": 1}, "note": ""}'
ANSWERS = {
    "good": {"/healthz": Reply(200, b'{"status": "ok", "version": 3}'), "/metrics": Reply(200, METRICS)},
    "plain": {"/healthz": Reply(204, b""), "/metrics": Reply(404, b"no")},
    "busy": {"/healthz": Reply(503, BUSY), "/metrics": Reply(200, b"lockgate_x{ 1")},
    "moved": {"/healthz": Reply(302, b"elsewhere"), "/metrics": Reply(200, b"")},
    "loud": {"/healthz": Reply(200, b"x" * (REPLY_LIMIT + 1)), "/metrics": Reply(200, b"")},
}


class Bench(ABC):
    """Gives targets that answer as the table says, and one where nobody is."""

    probe: Probe

    @abstractmethod
    def target(self, name: str) -> Target: ...


class Doubled(Bench, Probe):
    def __init__(self) -> None:
        self.probe = self

    def target(self, name: str) -> Target:
        return Target(name, name, 1)

    def get(self, host: str, port: int, path: str) -> Reply:
        if host == "nobody":
            what = f"Nothing answers on {host}:{port}."
            raise ServiceUnreachableError(what)
        reply = ANSWERS[host][path]
        if len(reply.body) > REPLY_LIMIT:
            raise ReplyTooLongError("over the bound")
        return reply


class Real(Bench):
    def __init__(self) -> None:
        self.probe = HttpProbe()
        self.servers: dict[str, ThreadingHTTPServer] = {}

    def target(self, name: str) -> Target:
        if name == "nobody":
            with socket.create_server(("127.0.0.1", 0)) as gone:
                return Target(name, "127.0.0.1", gone.getsockname()[1])
        table = ANSWERS[name]

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                reply = table[self.path]
                self.send_response(reply.status)
                self.send_header("Location", "/metrics")
                self.end_headers()
                self.wfile.write(reply.body)

            def log_message(self, *_args: Any) -> None:
                return

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        self.servers[name] = server
        return Target(name, "127.0.0.1", server.server_address[1])

    def close(self) -> None:
        for server in self.servers.values():
            server.shutdown()
            server.server_close()


@pytest.fixture(params=["double", "http"])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if request.param == "double":
        yield Doubled()
        return
    real = Real()
    yield real
    real.close()


@pytest.mark.parametrize(
    ("name", "condition", "detail"),
    [
        ("good", Condition.UP, "status: ok, version: 3"),
        ("plain", Condition.UP, ""),
        ("busy", Condition.FAILING, "HTTP 503: status: degraded [31m, engine: loading"),
        ("moved", Condition.FAILING, "HTTP 302: elsewhere"),
    ],
)
def test_a_service_is_what_it_says(bench: Bench, name: str, condition: Condition, detail: str) -> None:
    health = check(bench.probe, bench.target(name))
    assert (health.condition, health.detail) == (condition, detail)


def test_a_service_that_nobody_runs_is_down(bench: Bench) -> None:
    health = check(bench.probe, bench.target("nobody"))
    assert health.condition is Condition.DOWN
    assert health.detail.startswith("Nothing answers on ")


def test_an_answer_over_the_bound_is_failing_and_never_up(bench: Bench) -> None:
    target = bench.target("loud")
    assert check(bench.probe, target).condition is Condition.FAILING
    with pytest.raises(ReplyTooLongError):
        bench.probe.get(target.host, target.port, "/healthz")


def test_several_services_come_in_order(bench: Bench) -> None:
    targets = [bench.target("good"), bench.target("nobody"), bench.target("busy")]
    found = check_all(bench.probe, targets)
    assert [h.condition for h in found] == [Condition.UP, Condition.DOWN, Condition.FAILING]
    assert [h.target for h in found] == targets


def test_metrics_are_summed_over_their_labels(bench: Bench) -> None:
    assert scrape(bench.probe, bench.target("good")) == {"lockgate_x_total": 5.0, "lockgate_y": 1.5}


@pytest.mark.parametrize("name", ["busy", "plain"])
def test_what_is_no_exposition_is_an_error(bench: Bench, name: str) -> None:
    with pytest.raises(ServiceReplyError):
        scrape(bench.probe, bench.target(name))


def test_what_does_not_speak_http_is_failing() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(1024)
                client.sendall(b"SSH-2.0-x\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        health = check(HttpProbe(), Target("odd", "127.0.0.1", server.getsockname()[1]))
        thread.join()
    assert health.condition is Condition.FAILING
    assert health.detail.endswith("does not speak HTTP.")


def test_a_service_that_never_answers_is_down() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        health = check(HttpProbe(seconds=0.05), Target("mute", "127.0.0.1", server.getsockname()[1]))
    assert health.condition is Condition.DOWN
    assert "no answer in time" in health.detail


def test_proxy_variables_are_not_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    real = Real()
    try:
        assert check(real.probe, real.target("good")).condition is Condition.UP
    finally:
        real.close()
