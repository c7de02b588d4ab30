"""Answers that every registry gives: lists in parts, and errors in the specification's words.

Source: OCI distribution specification 1.1.
"""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lockgate.core.oci import INDEX
from lockgate.core.wire import encode
from lockgate.mirror.pages.oci import index_of

PAGE_TAGS = 10_000
"""Most tags in one answer; more follow under the address in its Link header."""

VERSION = {"Docker-Distribution-API-Version": "registry/2.0"}


def tag_page(request: Request, name: str, tags: Sequence[str]) -> Response:
    """Return the part of sorted tags that a request asks for, and where the rest is."""
    last = request.query_params.get("last")
    wanted = request.query_params.get("n", str(PAGE_TAGS))
    if not wanted.isascii() or not wanted.isdecimal():
        return refuse("PAGINATION_NUMBER_INVALID", "`n` has to be a number.", HTTPStatus.BAD_REQUEST)
    count = min(int(wanted[:9]), PAGE_TAGS)
    rest = [tag for tag in tags if last is None or tag > last]
    part = rest[:count]
    headers = dict(VERSION)
    if part and len(rest) > count:
        headers["Link"] = f'</v2/{name}/tags/list?n={count}&last={quote(part[-1])}>; rel="next"'
    return JSONResponse({"name": name, "tags": part}, headers=headers)


def referrers_page(request: Request, entries: Sequence[Mapping[str, Any]]) -> Response:
    """Return an index of referrers, those of one artifact type where a request says so."""
    headers = dict(VERSION)
    wanted = request.query_params.get("artifactType")
    if wanted:
        entries = [entry for entry in entries if entry.get("artifactType") == wanted]
        headers["OCI-Filters-Applied"] = "artifactType"
    return Response(encode(index_of(entries)), headers=headers, media_type=INDEX)


def refuse(code: str, message: str, status: HTTPStatus, detail: Mapping[str, str] | None = None) -> Response:
    """Return an error as registries write it (distribution spec, "Error Codes")."""
    headers = {**VERSION, "Allow": "GET, HEAD"} if status is HTTPStatus.METHOD_NOT_ALLOWED else VERSION
    body = {"errors": [{"code": code, "message": message, "detail": dict(detail or {})}]}
    return JSONResponse(body, status, headers)


def unknown_name(name: str) -> Response:
    """Return that there is no such repository."""
    message = "Nothing of this name has been admitted."
    return refuse("NAME_UNKNOWN", message, HTTPStatus.NOT_FOUND, {"name": name})


def unknown_manifest(name: str, reference: str) -> Response:
    """Return that a repository has no such tag or manifest."""
    message = "This repository has no such tag or manifest."
    detail = {"name": name, "reference": reference[:160]}
    return refuse("MANIFEST_UNKNOWN", message, HTTPStatus.NOT_FOUND, detail)


def unknown_blob(digest: str) -> Response:
    """Return that a repository has no such blob."""
    message = "This repository has no such blob."
    return refuse("BLOB_UNKNOWN", message, HTTPStatus.NOT_FOUND, {"digest": digest})


def bad_digest(digest: str) -> Response:
    """Return that a text is no digest."""
    message = "This is no digest of a kind that registries know."
    return refuse("DIGEST_INVALID", message, HTTPStatus.BAD_REQUEST, {"digest": digest[:160]})
