"""Uploads of Python projects by twine and its like, for names that an operator opened.

Source: PyPI's upload API (``:action=file_upload``, one wheel in a form). Nothing that comes is parsed here
but the form around it: the file is laid into a folder, from which `lockgate submit watch` takes it to the
gate. So an upload is no publication; the answer says so.
"""

import asyncio
import hashlib
import os
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from packaging.utils import canonicalize_name
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from lockgate.core.artifact import Kind
from lockgate.core.errors import LockgateError
from lockgate.core.parts import of_project
from lockgate.core.submission import is_submission
from lockgate.mirror.access import Caller, Callers, may_bring, uploader
from lockgate.mirror.errors import (
    BadPushError,
    BadUploadError,
    PushLimitError,
    UploadNotOpenError,
)
from lockgate.mirror.ports import Journal
from lockgate.mirror.protocols.site import Site
from lockgate.mirror.taking.drop import free_bytes, lay
from lockgate.mirror.taking.multipart import FormReader, boundary_of
from lockgate.mirror.taking.push import timed

UPLOAD = "/legacy"
_WHEEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+!-]{0,250}\.whl", re.ASCII)
_ACTION = "file_upload"


@dataclass(frozen=True, slots=True)
class Door:
    """Where uploads go, and who may bring what.

    Args:
        projects: Names that are open; one that ends with ``*`` stands for all that begin so. A key needs the
            label ``push:pypi/`` and the very word.
        callers: Knows API keys.
        folder: Where uploads are laid.
        total_bytes: Most bytes that wait together.
        journal: The log.

    """

    projects: tuple[str, ...]
    callers: Callers
    folder: Path
    total_bytes: int
    journal: Journal

    def open_to(self, caller: Caller, project: str) -> bool:
        """Tell whether a caller may upload files of a project."""
        return may_bring(self.projects, "pypi", caller, project)


class UploadRoutes:
    """The address that twine uploads to."""

    def __init__(self, site: Site, door: Door) -> None:
        """Lay uploads through a door."""
        self._site = site
        self._door = door

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [
            Route(UPLOAD, self.upload, methods=["POST"]),
            Route(f"{UPLOAD}/", self.upload, methods=["POST"]),
        ]

    async def upload(self, request: Request) -> Response:
        """Take one wheel."""
        caller = uploader(self._door.callers, request.headers.get("authorization"))
        try:
            name = await self._take(request, caller)
        except (BadUploadError, BadPushError) as error:
            return _say(error, HTTPStatus.BAD_REQUEST)
        except PushLimitError as error:
            return _say(error, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        except UploadNotOpenError as error:
            return _say(error, HTTPStatus.FORBIDDEN)
        text = f"{name} waits for the gate; it is served once two people admitted it.\n"
        return PlainTextResponse(text, HTTPStatus.OK)

    async def _take(self, request: Request, caller: Caller) -> str:
        self._door.folder.mkdir(parents=True, exist_ok=True)
        partial = self._door.folder / f".{secrets.token_hex(8)}"
        room = await asyncio.to_thread(free_bytes, (self._door.folder,), self._door.total_bytes)
        state, size = hashlib.sha256(), 0
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:

                async def keep(piece: bytes) -> None:
                    nonlocal size
                    size += len(piece)
                    if size > room:
                        what = f"Uploads that wait have more than {self._door.total_bytes} bytes."
                        raise PushLimitError(what, limit="serve.push_bytes")
                    state.update(piece)
                    await asyncio.to_thread(file.write, piece)

                boundary = boundary_of(request.headers.get("content-type", ""))
                form = await FormReader(timed(request.stream()), boundary).read("content", keep)
                file.flush()
                os.fsync(file.fileno())
            await self._judge(form.fields, form.filename, state.hexdigest(), caller)
            self._lay(partial, form.filename, state.hexdigest(), caller)
        finally:
            partial.unlink(missing_ok=True)
        return form.filename

    async def _judge(self, fields: dict[str, str], filename: str, digest: str, caller: Caller) -> None:
        project = canonicalize_name(fields.get("name", ""))
        if fields.get(":action") != _ACTION or not _WHEEL.fullmatch(filename):
            raise BadUploadError("One wheel is uploaded at a time.")
        if canonicalize_name(filename.partition("-")[0]) != project:
            raise BadUploadError("The file is of another project than the form says.")
        if fields.get("sha256_digest", digest).lower() != digest:
            raise BadUploadError("The file does not hash to what the form says.")
        if not self._door.open_to(caller, project) or await asyncio.to_thread(self._crossed, project):
            raise UploadNotOpenError("This key may not upload files of this project.")

    def _crossed(self, project: str) -> bool:
        """Tell whether a project of that name is served that was not made inside."""
        view = self._site.view
        if view.stale():
            view.refresh()
        admitted = of_project(view.table.snapshot, project) if view.status.statement else ()
        return any(
            a.artifact.kind is Kind.PYTHON and a.artifact.name == project and not is_submission(a.crossing)
            for a in admitted
        )

    def _lay(self, partial: Path, filename: str, digest: str, caller: Caller) -> None:
        """Put a file where the gate takes it from, after what tells whose it is; one at a time comes here."""
        target = self._door.folder / filename
        if target.exists():
            what = f"A file called {filename} waits already."
            raise BadUploadError(what)
        intent = self._door.journal.intent("upload", file=filename, sha256=digest, key=caller.name)
        lay(self._door.folder, filename, partial, {"by": caller.name, "way": "twine"})
        self._door.journal.outcome(intent, "done")


def _say(error: LockgateError, status: HTTPStatus) -> Response:
    return PlainTextResponse(f"{error.what}\n", status, {"X-Error-Code": error.code})


def doors(site: Site, door: Door | None) -> Sequence[Route]:
    """Return the routes of a door, none where there is none."""
    return UploadRoutes(site, door).routes() if door else ()
