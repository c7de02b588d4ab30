"""Open namespaces over HTTP: a registry that takes pushes (OCI distribution specification 1.1)."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TypeVar, TypeVarTuple

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from lockgate.core.errors import LockgateError
from lockgate.core.oci import MANIFEST_LIMIT, is_digest, is_name
from lockgate.mirror.access import CALLER
from lockgate.mirror.blobs import VerifiedBlobs
from lockgate.mirror.entries import Entry
from lockgate.mirror.errors import (
    BadPushError,
    NotPushedError,
    PushDigestError,
    PushLimitError,
    UploadOrderError,
    UploadUnknownError,
)
from lockgate.mirror.ports import BlobFiles
from lockgate.mirror.protocols.registry import (
    VERSION,
    bad_digest,
    referrers_page,
    refuse,
    tag_page,
    unknown_blob,
    unknown_manifest,
    unknown_name,
)
from lockgate.mirror.responses import BlobResponse
from lockgate.mirror.taking.drop import note_image, submitted_by
from lockgate.mirror.taking.pushed import STATE, Held, ManifestPush, Pushed
from lockgate.mirror.taking.sessions import Upload, Uploads

BODY_SECONDS = 60.0
"""Longest wait for the next bytes of a body."""

PIECE = 1 << 20
"""Bytes that are hashed and written at a time."""

_WRITERS = 4
_RANGE = re.compile(r"(?:bytes[ =])?(\d{1,18})-(\d{1,18})(?:/\S+)?", re.ASCII)
_HEADERS = {**VERSION, "Lockgate-State": STATE}
_HEAD = {"GET", "HEAD"}
_WORDS: dict[type[LockgateError], tuple[str, HTTPStatus]] = {
    UploadUnknownError: ("BLOB_UPLOAD_UNKNOWN", HTTPStatus.NOT_FOUND),
    UploadOrderError: ("BLOB_UPLOAD_INVALID", HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE),
    BadPushError: ("MANIFEST_INVALID", HTTPStatus.BAD_REQUEST),
    NotPushedError: ("NAME_UNKNOWN", HTTPStatus.NOT_FOUND),
    PushDigestError: ("DIGEST_INVALID", HTTPStatus.BAD_REQUEST),
    PushLimitError: ("SIZE_INVALID", HTTPStatus.REQUEST_ENTITY_TOO_LARGE),
}
"""What each refusal is called and answered with (distribution spec, "Error Codes")."""

R = TypeVar("R")
Ts = TypeVarTuple("Ts")


@dataclass(frozen=True, slots=True)
class Internal:
    """Where pushed content lies, and the namespaces where clients may push.

    `names` are the open namespaces; `files` tells where the bytes of the store lie; what a tag is given to
    is noted in `drop`, for the gate to take it as a submission.
    """

    names: tuple[str, ...]
    pushed: Pushed
    uploads: Uploads
    files: BlobFiles
    drop: Path | None = None

    def namespaces(self, refused: Callable[[str], None]) -> "OpenNamespaces":
        """Return the registry; `refused` is told the digest of each blob that was found altered."""
        blobs = VerifiedBlobs(self.files, refused)
        return OpenNamespaces(self.names, self.pushed, self.uploads, blobs, self.drop)


class OpenNamespaces:
    """The registry of the namespaces that an operator opened.

    Args:
        names: The namespaces; each stands for the repository of its name and all below it.
        pushed: What they hold.
        uploads: What is on its way.
        blobs: Opens what they hold, hashed.
        drop: Where what was tagged is noted for the gate; none: nowhere.

    """

    def __init__(
        self,
        names: Sequence[str],
        pushed: Pushed,
        uploads: Uploads,
        blobs: VerifiedBlobs,
        drop: Path | None = None,
    ) -> None:
        """Take over the parts."""
        self._names = tuple(names)
        self._pushed = pushed
        self._uploads = uploads
        self._blobs = blobs
        self._drop = drop
        self._pool = ThreadPoolExecutor(_WRITERS, "mirror-push")

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        self._blobs.close()

    def owns(self, repository: str) -> bool:
        """Tell whether a repository lies in an open namespace."""
        return self.namespace(repository) is not None

    def namespace(self, path: str) -> str | None:
        """Return the open namespace that a repository, or an address below it, lies in."""
        return next((n for n in self._names if path == n or path.startswith(f"{n}/")), None)

    async def handle(self, request: Request, parts: list[str]) -> Response | None:
        """Answer a request about an open namespace; `None` when it is about none."""
        upload = parts[-3:-1] == ["blobs", "uploads"] or parts[-2:] == ["blobs", "uploads"]
        cut = -2 if not upload or parts[-2:] == ["blobs", "uploads"] else -3
        name = "/".join(parts[:cut])
        if not self.owns(name) or not is_name(name):
            return None
        try:
            if upload:
                answer = await self._upload(request, name, parts[-1] if cut == -3 else "")  # noqa: PLR2004
            else:
                answer = await self._content(request, name, parts[-2], parts[-1])
        except tuple(_WORDS) as error:
            answer = _refused(request, error)
        if not isinstance(answer, BlobResponse):
            answer.headers.update(_HEADERS)
        return answer

    async def _content(self, request: Request, name: str, what: str, which: str) -> Response:
        if what == "manifests":
            return await self._manifest(request, name, which)
        if what == "blobs":
            return await self._blob(request, name, which)
        if request.method not in _HEAD:
            return refuse("UNSUPPORTED", "This address is only read.", HTTPStatus.METHOD_NOT_ALLOWED)
        if what == "referrers":
            if not is_digest(which):
                return bad_digest(which)
            entries = await self._run(self._pushed.referrers, name, which)
            return referrers_page(request, [msgspec.json.decode(entry) for entry in entries])
        tags = await self._run(self._pushed.tags, name) if (what, which) == ("tags", "list") else None
        return unknown_name(name) if tags is None else tag_page(request, name, tags)

    async def _manifest(self, request: Request, name: str, reference: str) -> Response:
        if request.method in _HEAD:
            found = await self._run(self._pushed.manifest, name, reference)
            return self._answer(found[1], found[0]) if found else unknown_manifest(name, reference)
        if request.method == "DELETE":
            await self._run(self._pushed.remove_manifest, name, reference, _client(request))
            return Response(status_code=HTTPStatus.ACCEPTED)
        if request.method != "PUT":
            return refuse("UNSUPPORTED", "A manifest is put or removed.", HTTPStatus.METHOD_NOT_ALLOWED)
        body = await _short_body(request)
        media_type = request.headers.get("content-type", "").partition(";")[0].strip()
        tags = request.query_params.getlist("tag")
        push = ManifestPush(name, reference, body, media_type, tags)
        digest, manifest = await self._run(self._pushed.keep_manifest, push, _client(request))
        if self._drop is not None and submitted_by(reference, tags):
            await self._run(note_image, self._drop, name, digest, _submitter(request))
        headers = {"Location": f"/v2/{name}/manifests/{digest}", "Docker-Content-Digest": digest}
        if manifest.subject:
            headers["OCI-Subject"] = manifest.subject.digest
        if tags:
            headers["OCI-Tag"] = ", ".join(tags)
        return Response(status_code=HTTPStatus.CREATED, headers=headers)

    async def _blob(self, request: Request, name: str, digest: str) -> Response:
        if not is_digest(digest):
            return bad_digest(digest)
        if request.method in _HEAD:
            held = await self._run(self._pushed.blob, name, digest)
            return self._answer(held, digest) if held else unknown_blob(digest)
        if request.method != "DELETE":
            return refuse("UNSUPPORTED", "Blobs are uploaded elsewhere.", HTTPStatus.METHOD_NOT_ALLOWED)
        await self._run(self._pushed.remove_blob, name, digest, _client(request))
        return Response(status_code=HTTPStatus.ACCEPTED)

    def _answer(self, held: Held, digest: str) -> Response:
        entry = Entry(held.sha256, held.size, held.media_type)
        headers = {**_HEADERS, "Docker-Content-Digest": digest}
        return BlobResponse(self._blobs, entry, headers=headers, strict_ranges=True)

    async def _upload(self, request: Request, name: str, session: str) -> Response:
        if not session:
            if request.method == "POST":
                return await self._start(request, name)
            return refuse("UNSUPPORTED", "An upload begins with POST.", HTTPStatus.METHOD_NOT_ALLOWED)
        upload = await self._run(self._uploads.find, name, session)
        if request.method == "PATCH":
            await self._take(request, upload)
            return _progress(upload, HTTPStatus.ACCEPTED)
        if request.method == "PUT":
            return await self._finish(request, upload)
        if request.method == "DELETE":
            await self._run(self._uploads.end, upload)
            return Response(status_code=HTTPStatus.NO_CONTENT)
        return _progress(upload, HTTPStatus.NO_CONTENT)

    async def _start(self, request: Request, name: str) -> Response:
        """Begin an upload; or do it at once, by mounting or with the bytes that come along."""
        mount, digest = request.query_params.get("mount"), request.query_params.get("digest")
        source = request.query_params.get("from") or None
        allowed = mount and is_digest(mount) and self._may_mount(source)
        if allowed and await self._run(self._pushed.mount, name, str(mount), source, _client(request)):
            return _created(name, str(mount))
        if digest and not is_digest(digest):
            return bad_digest(digest)
        upload = await self._run(self._uploads.start, name)
        if digest:
            return await self._finish(request, upload)
        return _progress(upload, HTTPStatus.ACCEPTED)

    def _may_mount(self, source: str | None) -> bool:
        """Tell whether the caller may take a blob over: with a key only from where it may write as well."""
        caller = CALLER.get()
        if caller is None:
            return source is None or self.owns(source)
        namespace = self.namespace(source) if source else None
        return namespace is not None and caller.may_push(namespace)

    async def _finish(self, request: Request, upload: Upload) -> Response:
        digest = request.query_params.get("digest", "")
        if not is_digest(digest):
            return bad_digest(digest)
        await self._take(request, upload)
        await self._run(self._uploads.demand, upload, digest)
        await self._run(self._pushed.keep_blob, upload, digest, _client(request))
        await self._run(self._uploads.end, upload)
        return _created(upload.repository, digest)

    async def _take(self, request: Request, upload: Upload) -> None:
        """Add a request's body to an upload; what came is kept when the client leaves."""
        with self._uploads.writing(upload, _start_of(request, upload)) as file:
            waiting = bytearray()

            async def write() -> None:
                data = bytes(waiting)
                waiting.clear()
                await self._run(self._uploads.write, upload, file, data)

            try:
                async for piece in timed(request.stream()):
                    waiting += piece
                    if len(waiting) >= PIECE:
                        await write()
            finally:
                await write()

    async def _run(self, call: Callable[[*Ts], R], *args: *Ts) -> R:
        return await asyncio.get_running_loop().run_in_executor(self._pool, call, *args)


def _client(request: Request) -> str:
    """Return who pushes, for the log: the name of the key where there is one, and the address."""
    caller, host = CALLER.get(), request.client.host if request.client else ""
    return f"{caller.name} from {host}" if caller and caller.name else host


def _submitter(request: Request) -> str:
    """Return who submits what they push: the name of their key, or where they pushed from."""
    caller = CALLER.get()
    return caller.name if caller and caller.name else f"address {_client(request)}"


def _start_of(request: Request, upload: Upload) -> int | None:
    """Return where a part says that it belongs; `None` where it says nothing.

    Raises:
        UploadOrderError: It is malformed, or has another length than the body.

    """
    said = request.headers.get("content-range")
    if said is None:
        return None
    match = _RANGE.fullmatch(said.strip())
    length = request.headers.get("content-length", "")
    if match is None or (length.isdecimal() and int(match[2]) - int(match[1]) + 1 != int(length)):
        what = "The Content-Range of this part is malformed, or has another length than its body."
        raise UploadOrderError(what, size=upload.size)
    return int(match[1])


async def timed(stream: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield the pieces of a body; a client that stalls, or leaves, ends it.

    Raises:
        BadPushError: It stalled or left; what came so far stays in the session.

    """
    while True:
        try:
            piece = await asyncio.wait_for(anext(stream), BODY_SECONDS)
        except StopAsyncIteration:
            return
        except (TimeoutError, ClientDisconnect) as error:
            raise BadPushError("The client sent no more bytes.") from error
        yield piece


async def _short_body(request: Request) -> bytes:
    """Return the body of a manifest.

    Raises:
        PushLimitError: It is too long.

    """
    body = bytearray()
    async for piece in timed(request.stream()):
        body += piece
        if len(body) > MANIFEST_LIMIT:
            what = f"A manifest is longer than {MANIFEST_LIMIT} bytes."
            raise PushLimitError(what, limit="MANIFEST_LIMIT")
    return bytes(body)


def _progress(upload: Upload, status: HTTPStatus) -> Response:
    """Return where an upload goes on; an empty one is told as ``0-0``, as every registry does."""
    headers = {
        "Location": f"/v2/{upload.repository}/blobs/uploads/{upload.name}",
        "Range": f"0-{max(upload.size - 1, 0)}",
        "Docker-Upload-UUID": upload.name,
    }
    return Response(status_code=status, headers=headers)


def _created(repository: str, digest: str) -> Response:
    headers = {"Location": f"/v2/{repository}/blobs/{digest}", "Docker-Content-Digest": digest}
    return Response(status_code=HTTPStatus.CREATED, headers=headers)


def _refused(request: Request, error: LockgateError) -> Response:
    word, status = _WORDS[type(error)]
    if error.where.get("limit") == "sessions":  # it ends by itself: clients wait and try again
        word, status = "TOOMANYREQUESTS", HTTPStatus.TOO_MANY_REQUESTS
    answer = refuse(word, error.what, status, {"code": error.code})
    if isinstance(error, UploadOrderError):
        answer.headers["Location"] = request.url.path
        answer.headers["Range"] = f"0-{max(int(error.where['size']) - 1, 0)}"
    return answer
