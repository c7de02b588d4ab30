"""Registries that a site owns, in memory: test doubles that were written from what is published of them.

Sources: npm's registry API (publication, dist-tags); PyPI's legacy upload form and PEP 503; Harbor's API 2.0
and token service; Sonatype Nexus Repository's guides ("APT", "Yum", "Raw", "PyPI", "npm", "Docker: path based
routing"); JFrog Artifactory's guides ("Debian", "RPM", "PyPI", "npm", "Docker") and REST API ("Deploy
artifact": a digest that is not the body's is a conflict). Images are kept by Debian's docker-registry.
"""

import base64
import gzip
import hashlib
import http.client
import io
import json
import tarfile
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

SECRET = "a-token"  # of the tests
USER = "__token__"


class Shelf(BaseHTTPRequestHandler):
    """An npm registry at the root and a Python index at ``/legacy`` and ``/simple``, with a token."""

    def log_message(self, *_):
        """Say nothing."""

    def repository(self):
        """Return the format and the name of the repository that is asked, and the path in it."""
        path = unquote(self.path)
        return ("pypi" if path.startswith(("/legacy", "/simple", "/files")) else "npm"), "", path.strip("/")

    @property
    def kept(self):
        return self.server.kept

    def say(self, status, body=b"", kind="application/json", **headers):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def known(self):
        given = self.headers.get("Authorization", "")
        basic = "Basic " + base64.b64encode(f"{USER}:{SECRET}".encode()).decode()
        if given in {f"Bearer {SECRET}", basic}:
            return True
        self.say(401)
        return False

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.server.refusing and self.command in {"PUT", "POST"}:
            self.say(507)
        elif self.known():
            self.server.asked.append((self.command, self.path))
            kind, name, path = self.repository()
            getattr(self, kind)(name, path, body)

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = answer  # noqa: N815  # the server's names

    def file(self, key):
        found = self.kept.get(key)
        if found is None:
            self.say(404)
        else:
            self.say(200, found, "application/octet-stream")

    def npm(self, name, path, body):
        if "/-/" in path and self.command == "GET":
            self.file((name, path))
        elif path.startswith("-/package/"):
            package, _, tag = path.removeprefix("-/package/").partition("/dist-tags/")
            self.kept[name, package]["dist-tags"][tag] = json.loads(body)
            self.say(201)
        elif self.command == "GET":
            page = self.kept.get((name, path))
            self.say(404) if page is None else self.say(200, json.dumps(page).encode())
        else:
            said = json.loads(body)
            page = self.kept.setdefault((name, path), {"name": path, "versions": {}, "dist-tags": {}})
            page["versions"] |= said["versions"]
            page["dist-tags"] |= said["dist-tags"]
            for file, attached in said["_attachments"].items():
                self.kept[name, f"{path}/-/{file}"] = base64.b64decode(attached["data"])
            self.say(201)

    def pypi(self, name, path, body):
        if self.command == "POST":
            self._upload(name, body)
        elif path.startswith("simple"):
            files = self.kept.get((name, path))
            links = "".join(f'<a href="../../files/{n}#sha256=0">{n}</a>' for n in files or ())
            self.say(404) if files is None else self.say(200, links.encode(), "text/html")
        else:
            self.file((name, path))

    def _upload(self, name, body):
        edge = self.headers["Content-Type"].partition("boundary=")[2].encode()
        parts = dict(self._part(p) for p in body.split(b"--" + edge)[1:-1])
        data, file = parts["content"]
        if (name, f"files/{file}") in self.kept:
            self.say(400, b"exists")
            return
        assert hashlib.sha256(data).hexdigest() == parts["sha256_digest"][0].decode()
        self.kept[name, f"files/{file}"] = data
        self.kept.setdefault((name, f"simple/{parts['name'][0].decode()}"), []).append(file)
        self.kept[name, f"form/{file}"] = {key: value.decode() for key, (value, f) in parts.items() if not f}
        self.say(200)

    @staticmethod
    def _part(part):
        head, _, data = part.partition(b"\r\n\r\n")
        text = head.decode()
        name = text.partition('name="')[2].partition('"')[0]
        return name, (data.removesuffix(b"\r\n"), text.partition('filename="')[2].partition('"')[0])

    def raw(self, name, path, body):
        """Keep a file by its path."""
        if self.command == "PUT":
            self.kept[name, path] = body
            self.say(201)
        else:
            self.file((name, path))

    rpm = raw

    def oci(self, name, path, body):
        """Hand a request on to docker-registry, and its places back as this server's own."""
        query = urlsplit(self.path).query
        inner = http.client.HTTPConnection(*self.server.images)
        headers = {k: v for k, v in self.headers.items() if k.lower() not in {"host", "authorization"}}
        inner.request(self.command, f"/v2/{path}{f'?{query}' if query else ''}", body or None, headers)
        answer = inner.getresponse()
        data = answer.read()
        told = {k: v for k, v in answer.getheaders() if k.lower() in {"docker-content-digest", "range"}}
        if location := answer.getheader("Location"):
            own, rest = self.path.partition(path)[0], urlsplit(location)
            told["Location"] = f"{self.server.url}{own}{rest.path.removeprefix('/v2/')}?{rest.query}"
        self.say(answer.status, data, answer.getheader("Content-Type") or "text/plain", **told)
        inner.close()


class Harbor(Shelf):
    """One project, ``plant``; images' requests need a token of its own service."""

    def known(self):
        path = urlsplit(self.path).path
        if path.startswith("/v2/"):
            if self.headers.get("Authorization") == "Bearer of-harbor":
                return True
            realm = f'Bearer realm="{self.server.url}/service/token",service="harbor-registry"'
            self.say(401, WWW_Authenticate=realm)
            return False
        return super().known()

    def repository(self):
        path = unquote(urlsplit(self.path).path)
        return ("oci", "", path.removeprefix("/v2/")) if path.startswith("/v2/") else ("api", "", path)

    def api(self, name, path, body):
        if path == "/service/token":
            scope = unquote(urlsplit(self.path).query)
            assert "service=harbor-registry" in scope
            self.say(200, json.dumps({"token": "of-harbor"}).encode())
        else:
            asked = (path, self.headers.get("X-Is-Resource-Name"))
            self.say(200 if asked == ("/api/v2.0/projects/plant", "true") else 404, b"{}")


class Nexus(Shelf):
    """Hosted repositories, named by their format, with images at ``/v2/{repository}/…``."""

    def repository(self):
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/v2/"):
            name, _, rest = path.removeprefix("/v2/").partition("/")
            assert name == "oci-hosted"
            return "oci", name, rest
        name, _, rest = path.removeprefix("/repository/").partition("/")
        return name.removesuffix("-hosted"), name, rest.strip("/")

    def apt(self, name, path, body):
        if self.command == "GET":
            self.file((name, path))
        elif path:
            self.say(400)
        else:
            known = control_of(body)
            own = f"{known['Package']}_{known['Version']}_{known['Architecture']}.deb"
            self.kept[name, f"pool/{own[0]}/{known['Package']}/{own}"] = body
            self.say(201)


class Artifactory(Shelf):
    """Local repositories below ``/artifactory``; what is there is not replaced, digests are looked at."""

    def repository(self):
        path, *self.properties = urlsplit(self.path).path.removeprefix("/artifactory/").split(";")
        path = unquote(path)
        for kind in ("npm", "pypi"):
            if path.startswith(f"api/{kind}/"):
                name, _, rest = path.removeprefix(f"api/{kind}/").partition("/")
                return kind, name, rest.strip("/")
        if path.startswith("api/docker/"):
            name, _, rest = path.removeprefix("api/docker/").partition("/v2/")
            return "oci", name, rest
        name, _, rest = path.partition("/")
        return "deployed", name, rest

    def deployed(self, name, path, body):
        if self.command == "GET":
            self.file((name, path))
        elif hashlib.sha256(body).hexdigest() != self.headers.get("X-Checksum-Sha256"):
            self.say(409)
        elif (name, path) in self.kept:
            self.say(403)
        else:
            self.kept[name, path] = body
            self.kept[name, f"{path};"] = self.properties
            self.say(201)


def control_of(deb):
    """Return the fields of a Debian package's control file, read from its bytes."""
    start, members = 8, {}
    while start < len(deb):
        name, size = deb[start : start + 16].decode().strip(" /"), int(deb[start + 48 : start + 58])
        members[name] = deb[start + 60 : start + 60 + size]
        start += 60 + size + size % 2
    name = next(n for n in members if n.startswith("control.tar"))
    data = gzip.decompress(members[name]) if name.endswith(".gz") else members[name]
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        text = archive.extractfile("./control").read().decode()
    return dict(line.split(": ", 1) for line in text.splitlines() if ": " in line and line[0] != " ")


@contextmanager
def serving(kind, images=None):
    """Run a double on a free port; `images` is docker-registry's host and port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), kind)
    server.kept, server.asked, server.refusing, server.images = {}, [], False, images
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
