"""The protocol of container registries over HTTP, reading: manifests, blobs, tags, referrers.

Sources: OCI distribution specification 1.1; containerd's ``?ns=``, by which it names the registry
that it asks a mirror for. Ollama's client reads its models by the same addresses.
"""

from http import HTTPStatus
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lockgate.core.oci import host_folder, is_digest, is_name, is_tag
from lockgate.mirror.access import CALLER, INTERNAL, Access
from lockgate.mirror.entries import ImageEntries, Table
from lockgate.mirror.errors import CredentialsError
from lockgate.mirror.protocols.challenge import denied
from lockgate.mirror.protocols.registry import (
    PAGE_TAGS,
    VERSION,
    bad_digest,
    referrers_page,
    refuse,
    tag_page,
    unknown_blob,
    unknown_manifest,
    unknown_name,
)
from lockgate.mirror.protocols.site import Site, segments
from lockgate.mirror.responses import BlobResponse
from lockgate.mirror.taking.push import OpenNamespaces

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
_FOR_EVER = "public, max-age=31536000, immutable"


class OciRoutes:
    """Handlers of a registry that only reads, but for the namespaces that are open."""

    def __init__(
        self, site: Site, opened: OpenNamespaces | None = None, access: Access | None = None
    ) -> None:
        """Serve from a site."""
        self._site = site
        self._opened = opened
        self._access = access

    def routes(self) -> list[Route]:
        """Return the routes; every method comes here, so that each is refused in the registry's words."""
        return [Route("/v2", self.base, methods=METHODS), Route("/v2/{rest:path}", self.v2, methods=METHODS)]

    async def base(self, request: Request) -> Response:
        """Say that this is a registry, whatever is published."""
        del request
        return JSONResponse({}, headers=VERSION)

    async def v2(self, request: Request) -> Response:
        """Answer what lies below ``/v2/``."""
        parts = segments(request)[1:]
        if parts in ([""], []):
            return await self.base(request)
        refused = self._refused(request, parts)
        if refused is not None:
            return refused
        answer = await self._opened.handle(request, parts) if self._opened else None
        return answer or await self.read(request, parts)

    def _refused(self, request: Request, parts: list[str]) -> Response | None:
        """Refuse who may not write into an open namespace, or may not read it; None goes on."""
        access, opened, caller = self._access, self._opened, CALLER.get()
        if access is None or opened is None or caller is None:
            return None
        name = "/".join(parts[:-2])
        namespace = opened.namespace("/".join(parts))
        if namespace is None:
            return None
        if request.method not in {"GET", "HEAD"}:
            if caller.may_push(namespace):
                return None
            if not caller.name:
                raise CredentialsError("Writing into this namespace needs an API key.")
            return denied(namespace)
        if caller.may_push(namespace) or access.sees(f"pkg:oci/{name}", INTERNAL, caller.labels):
            return None
        return unknown_name(name)

    async def read(self, request: Request, parts: list[str]) -> Response:
        """Answer a request about the snapshot."""
        name, what, which = "/".join(parts[:-2]), "".join(parts[-2:-1]), parts[-1]
        early = _refusal(request, name, what, which)
        if early is not None:
            return early
        host = host_folder(request.query_params.get("ns", ""))
        table = await self._site.table()
        own = found = await self._find(table, name, host)
        if is_digest(which):
            found = await self._holding(own, name, host, what, which.removeprefix("sha256:"))
        if what == "referrers":
            return await self._referrers(request, found, which)
        if found is None:
            self._site.missed("oci", f"{host}/{name}" if host else name)
            return unknown_name(name)
        return self._within(request, table if found is own else None, found, what, which)

    async def _find(self, table: Table, name: str, host: str) -> ImageEntries | None:
        """Return the repository that a name stands for; only names without their host need all names."""
        if not table.images.holds(name, host):
            await self._site.survey(table)
        return table.images.find(name, host)

    async def _holding(
        self, found: ImageEntries | None, name: str, host: str, what: str, digest: str
    ) -> ImageEntries | None:
        """Return the repository of the newest or an older table, where only that one holds a digest.

        A pull takes several connections: what a tag named before the channel moved is still fetched.
        """
        if _held(found, what, digest):
            return found
        for table in (await self._site.newest(), *await self._site.older()):
            other = await self._find(table, name, host)
            if _held(other, what, digest):
                return other
        return found

    def _within(
        self, request: Request, table: Table | None, found: ImageEntries, what: str, which: str
    ) -> Response:
        if what == "manifests":
            return self._manifest(table, found, which)
        if what == "blobs":
            return self._blob(found, which)
        if (what, which) == ("tags", "list"):
            return self._tags(request, table, found)
        return refuse("UNSUPPORTED", "A registry has no such address.", HTTPStatus.NOT_FOUND)

    def _manifest(self, table: Table | None, found: ImageEntries, reference: str) -> Response:
        sha256 = found.tags.get(reference, reference.removeprefix("sha256:"))
        entry = found.manifests.get(sha256) if is_tag(reference) or is_digest(reference) else None
        if entry is None or (sha256 == reference):
            self._site.missed("oci", f"{found.name}:{reference}")
            return unknown_manifest(found.name, reference)
        headers = {**VERSION, "Docker-Content-Digest": f"sha256:{sha256}"}
        if is_digest(reference):
            headers["Cache-Control"] = _FOR_EVER
        return BlobResponse(self._site.blobs, entry, headers=headers, strict_ranges=True, table=table)

    def _blob(self, found: ImageEntries, digest: str) -> Response:
        if not is_digest(digest):
            return bad_digest(digest)
        entry = found.blobs.get(digest.removeprefix("sha256:"))
        if entry is None:
            return unknown_blob(digest)
        headers = {**VERSION, "Docker-Content-Digest": digest, "Cache-Control": _FOR_EVER}
        if found.linked:
            headers["Location"] = f"/v2/{found.name}/blobs/{digest}"
        return BlobResponse(self._site.blobs, entry, headers=headers, strict_ranges=True)

    def _tags(self, request: Request, table: Table | None, found: ImageEntries) -> Response:
        if {"n", "last"}.isdisjoint(request.query_params) and len(found.tags) <= PAGE_TAGS:
            return BlobResponse(self._site.blobs, found.listing, headers=VERSION, table=table)
        return tag_page(request, found.name, list(found.tags))

    async def _referrers(self, request: Request, found: ImageEntries | None, digest: str) -> Response:
        if not is_digest(digest):
            return bad_digest(digest)
        page = found.referrers.get(digest) if found else None
        entries: list[dict[str, Any]] = []
        if page:
            body = await self._site.blobs.read(page.sha256, page.size)
            entries = msgspec.json.decode(body, type=dict[str, Any])["manifests"]
        return referrers_page(request, entries)


def _held(found: ImageEntries | None, what: str, digest: str) -> bool:
    """Tell whether a repository has a manifest, or a blob, of a digest."""
    return found is not None and digest in {"manifests": found.manifests, "blobs": found.blobs}.get(what, {})


def _refusal(request: Request, name: str, what: str, which: str) -> Response | None:
    """Return the answer to what is never looked up, or `None` to go on.

    A digest that is none is called so before anything else: the specification's suite asks for it by pushing.
    """
    if what == "manifests" and request.method == "PUT" and ":" in which and not is_digest(which):
        return bad_digest(which)
    if request.method not in {"GET", "HEAD"}:
        return refuse("UNSUPPORTED", "This mirror is read only.", HTTPStatus.METHOD_NOT_ALLOWED)
    if not is_name(name):
        return refuse("NAME_INVALID", "This cannot be the name of a repository.", HTTPStatus.NOT_FOUND)
    return None
