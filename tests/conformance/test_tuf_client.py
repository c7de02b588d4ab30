"""The command line of the public TUF client conformance suite: requests, targets, and the program itself.

The scenarios are those that the suite's tests name.
"""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import Targets

from corpora.tufclient import FIRST, Client, edited
from corpora.tufrepository import NOW, Repository
from lockgate.cli.main import main

# Requests, files, exit statuses


def test_a_refresh_asks_in_order_and_keeps_the_very_bytes(repository: Repository, client: Client) -> None:
    repository.published["timestamp"][-1] += b" "
    assert client.init() == 0
    assert repository.asked == []
    assert client.refresh() == 0
    assert repository.asked == FIRST
    for role in ("root", "timestamp", "snapshot", "targets"):
        assert (client.metadata / f"{role}.json").read_bytes() == repository.published[role][-1]


def test_nothing_new_asks_for_root_and_timestamp_alone(repository: Repository, ready: Client) -> None:
    repository.asked.clear()
    assert ready.refresh() == 0
    assert repository.asked == FIRST[:2]


def test_a_download_refreshes_first(repository: Repository, client: Client) -> None:
    client.init()
    assert client.download("missing") == 1
    assert repository.asked == FIRST
    assert client.roles() == {"root": 1, "snapshot": 1, "targets": 1, "timestamp": 1}


@pytest.mark.parametrize(
    "change",
    [
        lambda root: root["signed"].pop("version"),
        lambda root: root["signatures"][0].update(sig="00" * 64),
        lambda root: root.update(signatures=[]),
        lambda root: root["signed"].update(_type="targets"),
    ],
)
def test_a_bad_initial_root_leads_nowhere(
    repository: Repository, client: Client, change: Callable[[dict[str, Any]], object]
) -> None:
    client.trusted = edited(repository.published["root"][0], change)
    assert client.init() == 1
    assert client.refresh() == 1
    assert repository.asked == []
    client.metadata.mkdir()
    (client.metadata / "root.json").write_bytes(client.trusted)
    assert client.refresh() == 1
    assert repository.asked == []


def test_what_is_missing_on_the_command_line_is_a_failure(client: Client) -> None:
    client.init()
    with pytest.raises(SystemExit) as end:
        main(["tuf-client", "--metadata-dir", str(client.metadata), "refresh"])
    assert end.value.code == 1
    assert client.run("download") == 1
    assert client.run("init", str(client.home / "absent.json")) == 1


# Targets


def test_a_target_is_downloaded_once(repository: Repository, client: Client) -> None:
    repository.add_file("file.txt", b"content")
    repository.add_file("path/to/file.txt", b"another", "targets", "sha512", "sha256")
    repository.publish_all("targets")
    client.init()
    assert client.download("file.txt", "path/to/file.txt") == 0
    assert client.files() == [b"another", b"content"]
    assert len(repository.fetched) == 2
    assert client.download("file.txt") == 0
    assert len(repository.fetched) == 2
    repository.add_file("file.txt", b"newer")
    repository.publish_all("targets")
    assert client.download("file.txt") == 0
    assert client.files() == [b"another", b"newer"]


def test_many_versions_of_a_target_of_which_some_are_skipped(repository: Repository, client: Client) -> None:
    repository.add_file("file.txt", b"version 0")
    repository.publish_all("targets")
    client.init()
    assert client.download("file.txt") == 0
    for number in range(1, 12):
        honest = f"version {number}".encode()
        repository.add_file("file.txt", honest)
        repository.add_file(f"new-{number}", b"new %d" % number)
        repository.publish_all("targets")
        if number % 5:
            continue
        assert client.download("file.txt", f"new-{number}") == 0
        assert honest in client.files()
        # The repository serves other bytes under the same metadata, and bumps every version.
        repository.files["file.txt"] = b"malicious"
        repository.publish_all("targets")
        client.download("file.txt")
        assert b"malicious" not in client.files()
        assert honest in client.files()


def test_without_consistent_snapshots_nothing_is_prefixed(repository: Repository, client: Client) -> None:
    repository.root.consistent_snapshot = False
    repository.publish("root")
    repository.add_file("a/b.txt", b"content")
    repository.publish_all("targets")
    client.init()
    assert client.download("a/b.txt") == 0
    assert repository.fetched == ["a/b.txt"]
    assert repository.asked[-3:] == [("timestamp", None), ("snapshot", None), ("targets", None)]


@pytest.mark.parametrize("data", [b"malicious", b"malicious and longer than what was signed for", b""])
def test_other_content_is_never_kept(repository: Repository, client: Client, data: bytes) -> None:
    repository.add_file("one", b"honest 1")
    repository.add_file("two", b"honest 2")
    repository.publish_all("targets")
    client.init()
    assert client.download("one") == 0
    repository.files.update(one=data, two=data)
    assert client.download("one") == 0
    assert client.download("two") == 1
    assert client.files() == [b"honest 1"]
    assert list((client.home / "targets").glob(".*")) == []


@pytest.mark.parametrize(
    "path", ["..", ".", "../escape", "a b", "?", "#x", "ü/ß.txt", "a%2Fb", "/root", "x" * 1000, "a//b"]
)
def test_odd_targets_stay_in_their_folder(repository: Repository, client: Client, path: str) -> None:
    repository.add_file(path, b"content of it")
    repository.files |= {path.replace("%2F", "/"): b"content of it"}
    repository.publish_all("targets")
    client.init()
    before = set(client.home.iterdir()) | {client.home / "targets"}
    client.download(path)
    assert set(client.home.iterdir()) <= before
    assert client.files() in ([b"content of it"], [])
    if path not in {"a%2Fb", "/root", "..", "."}:
        assert client.files() == [b"content of it"]


# As a program of its own, over HTTP


@contextmanager
def served(repository: Repository) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                data = repository.answer(self.path.removeprefix("/"))
            except (KeyError, IndexError):
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_the_program_over_http(tmp_path: Path) -> None:
    repository = Repository()
    far = datetime.now(NOW.tzinfo).replace(microsecond=0) + timedelta(days=30)
    for metadata in repository.roles.values():
        metadata.signed.expires = far
    repository.published.clear()
    repository.delegate("targets", "../role")
    repository.targets("../role").expires = far
    repository.add_file("a/b c.txt", b"content", "../role")
    repository.publish("../role")
    repository.publish("targets", "snapshot", "timestamp", "root", bump=False)
    initial = tmp_path / "initial_root.json"
    initial.write_bytes(repository.published["root"][0])

    def run(base: str, *arguments: str) -> int:
        program = [sys.executable, "-m", "lockgate.cli.main", "tuf-client"]
        options = ["--metadata-dir", str(tmp_path / "metadata"), "--metadata-url", f"{base}/metadata"]
        return subprocess.run([*program, *options, *arguments], check=False, timeout=600).returncode

    with served(repository) as base:
        assert run(base, "init", str(initial)) == 0
        assert run(base, "refresh") == 0
        more = ("--target-dir", str(tmp_path / "t"), "--target-base-url", f"{base}/targets")
        assert run(base, "--target-name", "a/b c.txt", *more, "download") == 0
        assert [p.read_bytes() for p in (tmp_path / "t").iterdir()] == [b"content"]
        assert run(base, "--target-name", "another", *more, "download") == 1
    assert run(base, "refresh") == 1
    assert isinstance(repository.targets(), Targets)
