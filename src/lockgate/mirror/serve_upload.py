"""Uploads of Python projects by twine and its like, for names that an operator opened.

Source: PyPI's upload API (``:action=file_upload``, one wheel in a form). Nothing that comes is parsed here
but the form around it: the file is laid into a folder, from which `lockgate submit watch` takes it to the
gate. So an upload is no publication; the answer says so.
"""

import asyncio
import hashlib
import json
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
from lockgate.core.submission import is_submission
from lockgate.mirror.access import PUSH, Caller, Callers, secret_of
from lockgate.mirror.errors import (
    BadPushError,
    BadUploadError,
    CredentialsError,
    PushLimitError,
    UploadNotOpenError,
)
from lockgate.mirror.multipart import FormReader, boundary_of
from lockgate.mirror.ports import Journal
from lockgate.mirror.serve_push import timed
from lockgate.mirror.site import Site

WAITING_LIMIT = 1000
"""Most uploads that wait for the gate."""

UPLOAD = "/legacy"
ABOUT = ".toml"
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

    def caller(self, authorization: str | None) -> Caller:
        """Return who a header proves to upload.

        Raises:
            CredentialsError: Nobody.

        """
        secret = secret_of(authorization)
        found = self.callers.find(secret) if secret else None
        if found is None:
            raise CredentialsError("An upload needs an API key.")
        return found

    def open_to(self, caller: Caller, project: str) -> bool:
        """Tell whether a caller may upload files of a project."""
        return any(
            f"{PUSH}pypi/{word}" in caller.labels
            and (project.startswith(word[:-1]) if word.endswith("*") else project == word)
            for word in self.projects
        )


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
        caller = self._door.caller(request.headers.get("authorization"))
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
        room = await asyncio.to_thread(self._room)
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

    def _room(self) -> int:
        """Return how many bytes may still come.

        Raises:
            PushLimitError: None, or too much waits already.

        """
        waiting = [p for p in self._door.folder.iterdir() if p.is_file()]
        room = self._door.total_bytes - sum(p.stat().st_size for p in waiting)
        if len(waiting) >= 2 * WAITING_LIMIT or room <= 0:
            what = f"{WAITING_LIMIT} uploads, or {self._door.total_bytes} bytes, wait for the gate."
            raise PushLimitError(what, limit="WAITING_LIMIT")
        return room

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
        admitted = view.table.snapshot.admitted if view.status.statement else ()
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
        about = f'by = {json.dumps(caller.name, ensure_ascii=False)}\nway = "twine"\n'
        partial.with_name(filename + ABOUT).write_text(about, encoding="utf-8")
        partial.rename(target)
        self._door.journal.outcome(intent, "done")


def _say(error: LockgateError, status: HTTPStatus) -> Response:
    return PlainTextResponse(f"{error.what}\n", status, {"X-Error-Code": error.code})


def doors(site: Site, door: Door | None) -> Sequence[Route]:
    """Return the routes of a door, none where there is none."""
    return UploadRoutes(site, door).routes() if door else ()
