"""A double of an npm registry that keeps attestations, as npm's own client reads them (pacote)."""

import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

PUBLISH = "://".join(("https", "github.com/npm/attestation/tree/main/specs/publish/v0.1"))  # noqa: FLY002  # no address is written out
SLSA = "https://slsa.dev/provenance/v1"
BELOW = "/-/npm/v1/attestations/"


def statement(purl, sha512, kind=SLSA, repository="https://forge.example/acme/demo"):
    """Return what a builder (or, with `PUBLISH`, a registry) states of a version."""
    workflow = {"ref": "refs/tags/v1", "repository": repository, "path": ".github/workflows/release.yml"}
    slsa = {"buildDefinition": {"externalParameters": {"workflow": workflow}}}
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{"name": purl, "digest": {"sha512": sha512}}],
        "predicateType": kind,
        "predicate": slsa if kind == SLSA else {"name": "demo", "registry": "https://registry.example"},
    }


def answer(*bundles):
    """Return a registry's answer about attestations: (predicate type, bundle) each."""
    return json.dumps(
        {"attestations": [{"predicateType": kind, "bundle": bundle} for kind, bundle in bundles]}
    ).encode()


@contextmanager
def registry(packages, attested):
    """Serve packages, and answers about attestations by ``name@version``; yield address and what was asked.

    Entries name another host for attestations: clients ask the registry that they are set up with.
    """
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            path = unquote(self.path)
            asked.append(path)
            name = path.removeprefix(BELOW)
            body = (
                attested.get(name) if path.startswith(BELOW) else _body(self.server, packages, attested, path)
            )
            self.send_response(200 if body else 404)
            self.send_header("Content-Length", str(len(body or b"")))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *arguments):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield _address(server), asked
        server.shutdown()


def _address(server):
    return f"http://127.0.0.1:{server.server_port}"


def _body(server, packages, attested, path):
    for one in packages:
        if path == f"/{one.name}/-/{one.filename}":
            return one.data
        if path == f"/{one.name}":
            return json.dumps(_packument(server, one, attested)).encode()
    return None


def _packument(server, one, attested):
    spec = f"{one.name}@{one.version}"
    dist = {
        "tarball": f"{_address(server)}/{one.name}/-/{one.filename}",
        "integrity": one.integrity,
        "shasum": one.known.shasum,
    }
    if spec in attested:
        dist["attestations"] = {
            "url": f"https://elsewhere.example{BELOW}{spec}",
            "provenance": {"predicateType": SLSA},
        }
    version = {"name": one.name, "version": one.version, **one.package, "dist": dist}
    return {"name": one.name, "dist-tags": {"latest": one.version}, "versions": {one.version: version}}
