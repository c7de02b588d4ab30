"""An npm registry as a target: a version is published as `npm publish` does, and read back by its page."""

import base64
import hashlib
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.npm import NpmVersion, tarball_name
from lockgate.core.wire import decode
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.ports import Item, Target
from lockgate.targets.web import Web, demand

ARCHIVE_LIMIT = 256 << 20
"""Longest archive that is published, in bytes: the protocol wants it in one JSON document."""
FACTS_LIMIT = 4 << 20


class NpmTarget(Target):
    """A registry that takes publications."""

    kinds = frozenset({Kind.NPM})

    def __init__(self, web: Web) -> None:
        """Speak to a registry."""
        self._web = web

    def _headers(self) -> dict[str, str]:
        """Return how npm proves who asks: by a bearer's token."""
        return {"Authorization": f"Bearer {self._web.token}"} if self._web.token else {}

    def _address(self, name: str) -> str:
        return self._web.at(quote(name, safe="@"))

    def put(self, item: Item) -> None:
        """Publish the version, unless the registry gives its very archive."""
        archive, facts = _files(item)
        if dict(self.held(item))[archive.path] == archive.sha256:
            return
        if archive.size > ARCHIVE_LIMIT:
            what = f"{item.artifact.purl} has more than {ARCHIVE_LIMIT} bytes."
            raise TargetAnswerError(what, limit="ARCHIVE_LIMIT")
        data = item.read(archive, ARCHIVE_LIMIT)
        known = decode(NpmVersion, item.read(facts, FACTS_LIMIT), limit=FACTS_LIMIT)
        body = json.dumps(self._publication(known, data)).encode()
        headers = {**self._headers(), "Content-Type": "application/json"}
        answer = self._web.ask("PUT", self._address(known.name), headers, body)
        demand(answer, (HTTPStatus.OK, HTTPStatus.CREATED), self._web.host, item.artifact.purl)

    def _publication(self, known: NpmVersion, data: bytes) -> dict[str, Any]:
        filename = tarball_name(known.name, known.version)
        version = {
            "name": known.name,
            "version": known.version,
            "description": known.description,
            "license": known.licence,
            "dependencies": dict(known.dependencies),
            "optionalDependencies": dict(known.optional),
            "peerDependencies": dict(known.peers),
            "bin": dict(known.bin),
            "engines": dict(known.engines),
            "_id": f"{known.name}@{known.version}",
            "dist": {
                "integrity": f"sha512-{base64.b64encode(hashlib.sha512(data).digest()).decode()}",
                "shasum": hashlib.sha1(data, usedforsecurity=False).hexdigest(),
                "tarball": f"{self._address(known.name)}/-/{filename}",
            },
        }
        attachment = {
            "content_type": "application/octet-stream",
            "data": base64.b64encode(data).decode(),
            "length": len(data),
        }
        return {
            "_id": known.name,
            "name": known.name,
            "dist-tags": {"latest": known.version},
            "versions": {known.version: {key: value for key, value in version.items() if value}},
            "_attachments": {filename: attachment},
        }

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the registry gives as the version's archive."""
        archive, _ = _files(item)
        yield archive.path, self._archive(item.artifact.name, item.artifact.version)

    def _archive(self, name: str, version: str) -> str:
        answer = self._web.ask("GET", self._address(name), {**self._headers(), "Accept": "application/json"})
        if answer.status == HTTPStatus.NOT_FOUND:
            return ""
        demand(answer, (HTTPStatus.OK,), self._web.host, f"the page of {name}")
        try:
            address = json.loads(answer.body)["versions"][version]["dist"]["tarball"]
        except KeyError:
            return ""
        except (ValueError, TypeError) as error:
            what = f"{self._web.host} describes {name} in a way that cannot be read."
            raise TargetAnswerError(what) from error
        return self._web.digest(str(address), self._headers())


def _files(item: Item) -> tuple[ArtifactFile, ArtifactFile]:
    by_role = {file.role: file for file in item.artifact.files}
    return by_role[Role.DISTRIBUTION], by_role[Role.CORE_METADATA]
