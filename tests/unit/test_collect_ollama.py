"""Models of an Ollama registry, over a double; and how registries are read, over a real server."""

import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from collect_doubles import NOW
from corpora.images import descriptor, digest, to_json
from corpora.mirrorsite import MirrorSite, ask
from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    InstallerError,
    ManifestError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.manifest import parse_manifest
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.oci import Registry, WebRegistry
from lockgate.collect.oci.skopeo import blame
from lockgate.collect.service import collect
from lockgate.core.artifact import Kind
from lockgate.core.oci import DOCKER_IMAGE, MANIFEST_LIMIT, BadManifestError
from lockgate.core.ports import Silent
from lockgate.store import MemoryBlobs

GGUF, TEMPLATE, CONFIG = b"GGUF" + bytes(5000), b"{{ .Prompt }}", b'{"model_format": "gguf"}'
LAYERS = {"model": GGUF, "template": TEMPLATE}
MODEL = to_json(
    {
        "schemaVersion": 2,
        "mediaType": DOCKER_IMAGE,
        "config": descriptor(CONFIG, "application/vnd.docker.container.image.v1+json"),
        "layers": [descriptor(d, f"application/vnd.ollama.image.{k}") for k, d in LAYERS.items()],
    }
)
TEXT = '[[ollama]]\nregistry = "models.test"\nmodel = "tiny"\ntags = ["latest", "1b"]\n'


class MemoryRegistry(Registry):
    """A registry in memory. A test double."""

    def __init__(self):
        self.manifests = {("library/tiny", tag): MODEL for tag in ("latest", "1b")}
        self.blobs = {digest(data): data for data in (CONFIG, GGUF, TEMPLATE)}
        self.asked = []

    def manifest(self, repository, reference):
        return self.manifests.get((repository, reference))

    def referrers(self, repository, digest):
        return None

    @contextmanager
    def blob(self, repository, digest):
        self.asked.append(digest)
        if digest not in self.blobs:
            what = "No such blob."
            raise UnresolvableError(what)
        yield io.BytesIO(self.blobs[digest])


def gather(tmp_path, registry, text=TEXT, *, blobs=None, offline=False):
    (tmp_path / "m.toml").write_text(text)
    held = MemoryBlobs() if blobs is None else blobs
    found = collect(
        tmp_path / "m.toml",
        blobs=held,
        work=tmp_path / "work",
        lane="test",
        clock=lambda: NOW,
        progress=Silent(),
        packages=MemoryPackages({}),
        web=MemoryWeb({}),
        registries=lambda host, plain: registry,
        offline=offline,
    )
    return found.lock.artifacts, held


def test_a_model_is_one_artifact_with_all_its_tags(tmp_path):
    registry = MemoryRegistry()
    (found,), held = gather(tmp_path, registry)
    assert (found.kind, found.name, found.version) == (Kind.OLLAMA, "models.test/library/tiny", digest(MODEL))
    assert found.attributes == {"tags": "1b latest"}
    assert {held.read(f.sha256) for f in found.files} == {MODEL, CONFIG, GGUF, TEMPLATE}
    assert gather(tmp_path, registry, blobs=held)[0] == (found,)
    assert len(registry.asked) == 3  # nothing is fetched twice


def test_the_mirror_serves_it_with_a_location_on_every_blob(tmp_path):
    (found,), _ = gather(tmp_path, MemoryRegistry())
    site = MirrorSite(tmp_path / "site")
    for data in (MODEL, CONFIG, GGUF, TEMPLATE):
        site.blobs.put_bytes(data)
    site.add(found)
    site.publish()
    app = site.app()
    answer = ask(app, "/v2/library/tiny/manifests/latest")
    assert (answer.body, answer.headers["content-type"]) == (MODEL, DOCKER_IMAGE)
    blob = ask(app, f"/v2/library/tiny/blobs/{digest(GGUF)}")
    assert (blob.status, blob.body) == (200, GGUF)
    assert ask(app, blob.headers["location"], range="bytes=4-9").body == GGUF[4:10]
    app.state.site.blobs.close()


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda r: r.blobs.update({digest(GGUF): b"GGUF" + bytes(4999) + b"!"}), DigestMismatchError),
        (lambda r: r.blobs.pop(digest(TEMPLATE)), UnresolvableError),
        (lambda r: r.manifests.pop(("library/tiny", "1b")), UnresolvableError),
        (lambda r: r.manifests.update({("library/tiny", "1b"): b"<html>"}), BadManifestError),
    ],
)
def test_what_a_registry_gives_wrongly_is_refused(tmp_path, change, error):
    registry = MemoryRegistry()
    change(registry)
    with pytest.raises(error):
        gather(tmp_path, registry)


def test_a_length_that_a_manifest_says_wrongly_is_refused(tmp_path):
    said = json.loads(MODEL)
    said["layers"][1]["size"] += 1
    registry = MemoryRegistry()
    registry.manifests["library/tiny", "1b"] = to_json(said)
    with pytest.raises(DigestMismatchError, match="another length"):
        gather(tmp_path, registry)


def test_offline_no_registry_is_asked(tmp_path):
    with pytest.raises(UnresolvableError, match="offline"):
        gather(tmp_path, MemoryRegistry(), offline=True)


@pytest.mark.parametrize(
    "text",
    [
        TEXT.replace("models.test", "models.test/x"),
        TEXT.replace("tiny", "Tiny/../x"),
        TEXT.replace("1b", "-1b"),
        '[[oci]]\nimage = "app"\ntags = ["1"]\n',
        '[[oci]]\nimage = "h.test/app"\ntags = []\n',
        '[[oci]]\nimage = "h.test/app"\ntags = ["1"]\nplatforms = ["linux"]\n',
        '[[oci]]\nimage = "h.test/app"\ntags = ["1"]\nlayout = "a"\noci_archive = "b"\n',
        '[[oci]]\nimage = "h.test/app"\ntags = ["1"]\nuser = "me"\n',
        '[[oci]]\nimage = "h.test/--option"\ntags = ["1"]\n',
    ],
)
def test_a_manifest_that_is_wrong_is_refused(text):
    with pytest.raises(ManifestError):
        parse_manifest(text.encode())


def test_what_skopeo_says_becomes_our_error_without_secrets():
    line = (
        'time="x" level=fatal msg="reading manifest: pinging https://user:pw@h.test/v2/: connection refused"'
    )
    error = blame(line, 1)
    assert isinstance(error, UnreachableError)
    assert "connection refused" in error.what
    assert "pw" not in error.what
    assert isinstance(blame('msg="manifest unknown"', 1), UnresolvableError)
    assert blame("", 3).code == "LG-5502"


class Handler(BaseHTTPRequestHandler):
    """A registry that wants a token, and keeps its blobs elsewhere."""

    def do_GET(self):  # noqa: PLR0911 - one answer each
        self.server.seen.append((self.path, self.headers.get("Authorization")))
        port = self.server.server_address[1]
        if self.path.startswith("/token?"):
            return self.say(200, json.dumps({"token": "t1"}).encode())
        if self.path.startswith("/elsewhere/"):
            return self.say(200, b"stored elsewhere")
        if self.path.startswith("/v2/open/"):
            return self.say(200, b" " * (MANIFEST_LIMIT + 1))
        if self.path.startswith("/v2/basic/"):
            return self.say(401, b"", WWW_Authenticate='Basic realm="x"')
        if self.path.startswith("/v2/far/"):
            return self.say(401, b"", WWW_Authenticate='Bearer realm="file:///etc/passwd"')
        if self.headers.get("Authorization") != "Bearer t1":
            realm = f"http://127.0.0.1:{port}/token"
            return self.say(401, b"", WWW_Authenticate=f'Bearer realm="{realm}",service="s"')
        if "/blobs/" in self.path:
            return self.say(307, b"", Location=f"http://localhost:{port}/elsewhere/x")
        return self.say(404 if "absent" in self.path else 200, MODEL)

    def say(self, status, body, **headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def served():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.seen = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server, WebRegistry(f"127.0.0.1:{server.server_address[1]}", plain=True)
        server.shutdown()
        thread.join()


def test_a_registry_s_token_is_fetched_once_and_leaves_the_registry_never(served):
    server, registry = served
    assert registry.manifest("a/b", "1") == MODEL
    assert registry.manifest("a/b", "absent") is None
    with registry.blob("a/b", digest(GGUF)) as stream:
        assert stream.read() == b"stored elsewhere"
    assert [path for path, _ in server.seen if path.startswith("/token")] == [
        "/token?service=s&scope=repository%3Aa%2Fb%3Apull"
    ]
    assert [token for path, token in server.seen if path.startswith("/elsewhere")] == [None]


def test_a_registry_that_wants_a_login_or_sends_too_much_is_refused(served):
    _, registry = served
    for repository in ("basic/x", "far/x"):
        with pytest.raises(UnreachableError, match="login"):
            registry.manifest(repository, "1")
    with pytest.raises(CollectLimitError, match="is longer"):
        registry.manifest("open/x", "1")


def test_an_image_that_nobody_can_copy_is_our_error(tmp_path):
    text = '[[oci]]\nimage = "h.test/app"\ntags = ["1"]\n'
    with pytest.raises(InstallerError, match="no client for them"):
        gather(tmp_path, MemoryRegistry(), text)
