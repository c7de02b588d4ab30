"""The same demands on each double and its adapter."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from collect_doubles import make_wheel, pip_environment, sha
from lockgate.collect import Packages, PipPackages, UrlWeb, Web, WebSettings
from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.ports import Request
from lockgate.collect.web import read_bounded

OLD, NEW, OTHER = make_wheel("thing", "1.0"), make_wheel("thing", "2.0"), make_wheel("other-thing", "0.1")


@pytest.fixture(params=["memory", "pip"])
def packages(request: pytest.FixtureRequest, tmp_path: Path) -> Packages:
    if request.param == "memory":
        return MemoryPackages(dict([OLD, NEW, OTHER]))
    links = tmp_path / "links"
    links.mkdir()
    for name, data in (OLD, NEW, OTHER):
        (links / name).write_bytes(data)
    return PipPackages(pip_environment(PIP_FIND_LINKS=str(links)))


def folder(tmp_path: Path, name: str) -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_the_best_version_is_resolved_and_fetched(packages: Packages, tmp_path: Path) -> None:
    request = Request(("thing", "Other_Thing"))
    wheels = packages.resolve(request, folder(tmp_path, "a"), lambda _: None).wheels
    assert sorted((w.project, w.version, w.filename, w.sha256) for w in wheels) == [
        ("other-thing", "0.1", OTHER[0], sha(OTHER[1])),
        ("thing", "2.0", NEW[0], sha(NEW[1])),
    ]
    paths = packages.download(request, wheels, folder(tmp_path, "b"), lambda _: None)
    assert {digest: path.read_bytes() for digest, path in paths.items()} == {
        sha(OTHER[1]): OTHER[1],
        sha(NEW[1]): NEW[1],
    }


def test_a_pin_is_kept(packages: Packages, tmp_path: Path) -> None:
    (wheel,) = packages.resolve(Request(("thing==1.0",)), folder(tmp_path, "a"), lambda _: None).wheels
    assert (wheel.version, wheel.sha256) == ("1.0", sha(OLD[1]))


@pytest.mark.parametrize("wanted", ["absent", "thing==3"])
def test_what_nobody_has_is_named(packages: Packages, tmp_path: Path, wanted: str) -> None:
    with pytest.raises(UnresolvableError) as caught:
        packages.resolve(Request((wanted,)), folder(tmp_path, "a"), lambda _: None)
    assert wanted in caught.value.what


def test_bytes_that_changed_after_resolving_are_refused(packages: Packages, tmp_path: Path) -> None:
    request = Request(("thing",))
    wheels = packages.resolve(request, folder(tmp_path, "a"), lambda _: None).wheels
    evil = make_wheel("thing", "2.0", members={"thing/evil.py": b"1"})
    if isinstance(packages, MemoryPackages):
        packages.wheels[NEW[0]] = evil[1]
    else:
        (tmp_path / "links" / NEW[0]).write_bytes(evil[1])
    with pytest.raises(DigestMismatchError):
        packages.download(request, wheels, folder(tmp_path, "b"), lambda _: None)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/page":
            body = b"hello " * 20_000
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; charset=utf-8")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        elif self.path == "/short":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"only this")
        elif self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/page")
            self.end_headers()
        elif self.path == "/leave":
            self.send_response(302)
            self.send_header("Location", "file:///etc/hostname")
            self.end_headers()
        elif self.path == "/tired":
            self.server.tired += 1  # type: ignore[attr-defined]
            self.send_response(503 if self.server.tired < 3 else 200)  # type: ignore[attr-defined]
            self.end_headers()
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as http:
        http.tired = 0  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


@pytest.fixture(params=["memory", "url"])
def web(request: pytest.FixtureRequest, server: str) -> Web:
    if request.param == "memory":
        return MemoryWeb({f"{server}/page": ("text/plain", b"hello " * 20_000)})
    return UrlWeb(WebSettings(timeout=120))


def test_an_answer_has_type_and_body(web: Web, server: str) -> None:
    assert read_bounded(web, f"{server}/page", 120_000) == ("text/plain", b"hello " * 20_000)


def test_an_answer_is_bounded(web: Web, server: str) -> None:
    with pytest.raises(CollectLimitError):
        read_bounded(web, f"{server}/page", 119_999)


def test_no_answer_is_named(web: Web, server: str) -> None:
    with pytest.raises(UnreachableError) as caught:
        read_bounded(web, f"{server}/absent?token=secret", 10)
    assert "secret" not in str(caught.value)


def test_an_answer_cut_short_is_an_error(server: str) -> None:
    with pytest.raises(UnreachableError):
        read_bounded(UrlWeb(), f"{server}/short", 10_000)


def test_redirects_are_followed_but_never_to_something_weaker(server: str) -> None:
    assert read_bounded(UrlWeb(), f"{server}/moved", 200_000)[0] == "text/plain"
    with pytest.raises(UnreachableError):
        read_bounded(UrlWeb(), f"{server}/leave", 10_000)


def test_a_tired_server_is_asked_again(server: str) -> None:
    assert read_bounded(UrlWeb(), f"{server}/tired", 10) == ("text/plain", b"")


def test_other_schemes_are_not_opened() -> None:
    for url in ("file:///etc/hostname", "ftp://x.invalid/a", "relative"):
        with pytest.raises(UnreachableError), UrlWeb().open(url):
            pass


def test_a_closed_port_is_named() -> None:
    with pytest.raises(UnreachableError):
        read_bounded(UrlWeb(WebSettings(timeout=120)), "http://127.0.0.1:9/", 10)
