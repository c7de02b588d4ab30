"""Logins of the machine's own clients: they go to the host that they are for, and nowhere else."""

import base64
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lockgate.collect.errors import UnreachableError
from lockgate.collect.hub.client import WebHub
from lockgate.collect.logins import FILE_LIMIT, HubLogin, hub_login, registry_login
from lockgate.collect.oci.registry import WebRegistry

SECRET = "hf_" + "s" * 30
LOGIN = base64.b64encode(b"ann:secret").decode()


@contextmanager
def serving(answer):
    """Serve on loopback; `answer` maps a path and an Authorization header to status, headers and body."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            seen.append((self.path.partition("?")[0], self.headers.get("Authorization", "")))
            status, headers, body = answer(self.path, self.headers.get("Authorization", ""))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_gated_file_is_read_with_the_clients_token_which_no_redirect_takes_along():
    with serving(lambda _path, _proof: (200, {}, b"weights")) as (store, seen_there):

        def gate(path, proof):
            if proof != f"Bearer {SECRET}":
                return 401, {}, b""
            return (
                (200, {}, b"[]")
                if path.startswith("/api/")
                else (302, {"Location": f"http://{store}/x"}, b"")
            )

        with serving(gate) as (host, seen):
            hub = WebHub(login=hub_login({"HF_ENDPOINT": f"http://{host}", "HF_TOKEN": f" {SECRET}\n"}))
            assert hub.page(f"http://{host}/api/models/a/b")[0] == b"[]"
            with hub.file(f"http://{host}/a/b/resolve/main/w") as (_, stream):
                assert stream.read() == b"weights"
            with hub.file(f"http://{store}/other") as (_, stream):
                assert stream.read() == b"weights"
            with (
                pytest.raises(UnreachableError) as caught,
                WebHub().file(f"http://{host}/a/b/resolve/main/w"),
            ):
                pass
            assert SECRET not in str(caught.value)
        assert {proof for _, proof in seen} == {f"Bearer {SECRET}", ""}
        assert {proof for _, proof in seen_there} == {""}


def test_the_token_is_read_where_the_client_keeps_it(tmp_path):
    base = {"HF_ENDPOINT": "https://hub.example/", "HOME": str(tmp_path)}
    url = "https://hub.example/api/x"
    assert hub_login(base).header(url) == ""
    kept = tmp_path / ".cache/huggingface/token"
    kept.parent.mkdir(parents=True)
    kept.write_text("kept\n")
    assert hub_login(base).header(url) == "Bearer kept"
    other = tmp_path / "other"
    other.write_text("other")
    assert hub_login({**base, "HF_TOKEN_PATH": str(other)}).header(url) == "Bearer other"
    assert hub_login({**base, "HF_TOKEN": "first"}).header(url) == "Bearer first"
    for wrong in ("http://hub.example/x", "https://hub.example:444/x", "https://else.example/"):
        assert hub_login(base).header(wrong) == ""
    assert hub_login({"HF_TOKEN": "first"}) == HubLogin()
    for bad in ("two words", "new\nline", "ü"):
        assert hub_login({**base, "HF_TOKEN": bad}).token == ""
    assert "first" not in repr(hub_login({**base, "HF_TOKEN": "first"}))
    kept.write_text("x" * (FILE_LIMIT + 1))
    assert hub_login(base).token == ""


def test_a_registrys_login_is_read_where_its_clients_keep_it(tmp_path):
    def keep(place, **auths):
        file = tmp_path / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"auths": {host: {"auth": word} for host, word in auths.items()}}))
        return str(file)

    environ = {"HOME": str(tmp_path)}
    assert registry_login(environ, "r.example") == ""
    keep(".docker/config.json", **{"r.example": "docker"})
    assert registry_login(environ, "r.example") == "docker"
    keep(".config/containers/auth.json", **{"r.example": "containers"})
    assert registry_login(environ, "r.example") == "containers"
    assert registry_login(environ, "else.example") == ""
    named = keep("named.json", **{"r.example": "named"})
    assert registry_login({**environ, "REGISTRY_AUTH_FILE": named}, "r.example") == "named"
    for bad in ("[]", "{", '{"auths": 7}', '{"auths": {"r.example": {"auth": ["x"]}}}', "[" * 50_000):
        (tmp_path / "named.json").write_text(bad)
        assert registry_login({**environ, "REGISTRY_AUTH_FILE": named}, "r.example") == ""


@pytest.mark.parametrize("basic", [True, False])
def test_a_registry_is_read_with_a_login_by_either_challenge(basic):
    def registry(path, proof):
        if path.startswith("/token"):
            return (200, {}, b'{"token": "given"}') if proof == f"Basic {LOGIN}" else (401, {}, b"")
        if proof == (f"Basic {LOGIN}" if basic else "Bearer given"):
            return 200, {}, b"{}"
        word = 'Basic realm="r"' if basic else f'Bearer realm="http://{place[0]}/token",service="r"'
        return 401, {"WWW-Authenticate": word}, b""

    with serving(registry) as place:
        assert WebRegistry(place[0], plain=True, login=LOGIN).manifest("a/b", "1") == b"{}"
        with pytest.raises(UnreachableError) as caught:
            WebRegistry(place[0], plain=True).manifest("a/b", "1")
        assert LOGIN not in str(caught.value)
