"""A package index on loopback (PEP 503, 691) that notes what it is asked, and source archives for it."""

import gzip
import hashlib
import io
import json
import tarfile
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

from packaging.utils import parse_sdist_filename, parse_wheel_filename

SIMPLE_JSON = "application/vnd.pypi.simple.v1+json"


@dataclass
class SimpleIndex:
    """Files by name; `said` adds to what the page says of a file, `extra` answers at other paths.

    `cut` breaks the next answer with a file off after so many bytes; `asked` notes every path.
    """

    files: dict[str, bytes] = field(default_factory=dict)
    said: dict[str, dict[str, object]] = field(default_factory=dict)
    extra: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    cut: dict[str, int] = field(default_factory=dict)
    url: str = ""

    def offer(self, *files):
        """Offer files: wheels or archives as (name, bytes), or objects that have both."""
        for file in files:
            name, data = file if isinstance(file, tuple) else (file.filename, file.data)
            self.files[name] = data

    def projects(self):
        """Return the file names by project."""
        found = {}
        for name in self.files:
            parse = parse_wheel_filename if name.endswith(".whl") else parse_sdist_filename
            found.setdefault(str(parse(name)[0]), []).append(name)
        return found

    def looked_for(self):
        """Return the projects whose pages were asked for."""
        return {p.split("/")[2] for p in self.asked if p.startswith("/simple/") and p != "/simple/"}

    def page(self, project):
        """Return a project's page in JSON."""
        entries = [
            {
                "filename": name,
                "url": f"../../files/{quote(name)}",
                "hashes": {"sha256": hashlib.sha256(self.files[name]).hexdigest()},
                "size": len(self.files[name]),
                "upload-time": "2026-01-02T03:04:05Z",
                **self.said.get(name, {}),
            }
            for name in self.projects()[project]
        ]
        page = {"meta": {"api-version": "1.4"}, "name": project, "files": entries, "versions": []}
        return json.dumps(page).encode()


@contextmanager
def serving_index(index=None):
    """Serve an index on loopback until the block ends."""
    index = index or SimpleIndex()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            path = unquote(self.path)
            index.asked.append(path)
            parts = path.strip("/").split("/")
            if parts[0] == "simple" and len(parts) == 2 and parts[1] in index.projects():
                self.answer(SIMPLE_JSON, index.page(parts[1]))
            elif parts[0] == "files" and parts[-1] in index.files:
                self.answer(
                    "application/octet-stream",
                    index.files[parts[-1]],
                    index.cut.pop(parts[-1], None) if self.command == "GET" else None,
                )
            elif path in index.extra:
                self.answer("application/json", index.extra[path])
            else:
                self.send_error(404)

        def answer(self, kind, body, cut=None):
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:cut])
                self.close_connection = cut is not None

        do_HEAD = do_GET  # noqa: N815  # the library's name

        def log_message(self, *_):
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that left early
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    try:
        yield index
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def build_sdist(name, version, files, *, metadata="2.1", requires=()):
    """Return name and bytes of a source archive with a PKG-INFO; the same arguments give the same bytes."""
    module = name.lower().replace("-", "_").replace(".", "_")
    lines = [f"Metadata-Version: {metadata}", f"Name: {name}", f"Version: {version}"]
    lines += [f"Requires-Dist: {r}" for r in requires]
    members = {"PKG-INFO": ("\n".join(lines) + "\n").encode(), **files}
    return f"{module}-{version}.tar.gz", pack_sdist(f"{module}-{version}", members)


def pack_sdist(top, members):
    """Return a tar archive of members below one folder, compressed."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path, data in members.items():
            info = tarfile.TarInfo(f"{top}/{path}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return gzip.compress(buffer.getvalue(), mtime=0)
