"""An npm registry as a target: a version is published as `npm publish` does, and read back by its page.

Sources: npm's registry API: ``PUT /{name}`` with the archive as an attachment, and
``PUT /-/package/{name}/dist-tags/{tag}`` with the version as a JSON text.
"""

import base64
import hashlib
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any
from urllib.parse import quote

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.npm import NpmVersion, described, tags_of, tarball_name
from lockgate.core.wire import decode
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.ports import Item, Target
from lockgate.targets.web import Web, demand

ARCHIVE_LIMIT = 256 << 20
"""Longest archive that is published, in bytes: the protocol wants it in one JSON document."""
FACTS_LIMIT = 4 << 20
UNTAGGED = "admitted"
"""The tag of versions that have none: registries take no publication without one."""

_TAKEN = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)


class NpmTarget(Target):
    """A registry that takes publications."""

    kinds = frozenset({Kind.NPM})

    def __init__(self, web: Web) -> None:
        """Speak to a registry."""
        self._web = web
        self._tags: dict[str, dict[str, str]] = {}

    def _address(self, name: str) -> str:
        return self._web.at(quote(name, safe="@"))

    def begin(self, items: list[Item]) -> None:
        """Learn what each tag of each package stands for."""
        known: dict[str, list[tuple[int, NpmVersion]]] = {}
        for item in items:
            known.setdefault(item.artifact.name, []).append((item.crossing, _known(item)))
        self._tags = {name: tags_of(versions) for name, versions in known.items()}

    def put(self, item: Item) -> None:
        """Publish the version, unless the registry gives its very archive."""
        archive, _ = _files(item)
        if dict(self.held(item))[archive.path] == archive.sha256:
            return
        if archive.size > ARCHIVE_LIMIT:
            what = f"{item.artifact.purl} has more than {ARCHIVE_LIMIT} bytes."
            raise TargetAnswerError(what, limit="ARCHIVE_LIMIT")
        known = _known(item)
        body = json.dumps(self._publication(known, item.read(archive, ARCHIVE_LIMIT))).encode()
        headers = {**self._web.basic(), "Content-Type": "application/json"}
        answer = self._web.ask("PUT", self._address(known.name), headers, body)
        demand(answer, _TAKEN, self._web.host, item.artifact.purl)

    def _publication(self, known: NpmVersion, data: bytes) -> dict[str, Any]:
        filename = tarball_name(known.name, known.version)
        version = {
            **described(known),
            **{key: value for key, value in _about(known).items() if value},
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
            "dist-tags": dict.fromkeys(self._tagged(known) or (UNTAGGED,), known.version),
            "versions": {known.version: version},
            "_attachments": {filename: attachment},
        }

    def _tagged(self, known: NpmVersion) -> list[str]:
        tags = self._tags.get(known.name, {})
        return [tag for tag, version in tags.items() if version == known.version]

    def finish(self, items: list[Item]) -> None:
        """Point tags to the versions that the snapshot says; others are left as they are."""
        del items
        for name, tags in self._tags.items():
            said = self._page(name).get("dist-tags", {})
            for tag in (tag for tag, version in tags.items() if said.get(tag) != version):
                address = self._web.at(f"-/package/{quote(name, safe='@')}/dist-tags/{quote(tag, safe='')}")
                headers = {**self._web.basic(), "Content-Type": "application/json"}
                answer = self._web.ask("PUT", address, headers, json.dumps(tags[tag]).encode())
                demand(answer, _TAKEN, self._web.host, f"the tag {tag} of {name}")

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the registry gives as the version's archive, and tags that stand for another version."""
        archive, _ = _files(item)
        name, version = item.artifact.name, item.artifact.version
        page = self._page(name)
        yield archive.path, self._archive(page, name, version)
        for tag, named in self._tags.get(name, {}).items():
            if named == version and page.get("dist-tags", {}).get(tag) != version:
                yield f"{name}@{tag}", ""

    def _page(self, name: str) -> dict[str, Any]:
        """Return what the registry says of a package; nothing where it has none."""
        headers = {**self._web.basic(), "Accept": "application/json"}
        answer = self._web.ask("GET", self._address(name), headers)
        if answer.status == HTTPStatus.NOT_FOUND:
            return {}
        demand(answer, (HTTPStatus.OK,), self._web.host, f"the page of {name}")
        try:
            page = json.loads(answer.body)
            if isinstance(page, dict) and isinstance(page.get("dist-tags", {}), dict):
                return page
        except (ValueError, RecursionError):
            pass
        raise self._unreadable(name)

    def _unreadable(self, name: str) -> TargetAnswerError:
        return TargetAnswerError(f"{self._web.host} describes {name} in a way that cannot be read.")

    def _archive(self, page: dict[str, Any], name: str, version: str) -> str:
        try:
            address = page["versions"][version]["dist"]["tarball"]
        except KeyError:
            return ""
        except TypeError as error:
            raise self._unreadable(name) from error
        return self._web.digest(str(address), self._web.basic())


def _known(item: Item) -> NpmVersion:
    return decode(NpmVersion, item.read(_files(item)[1], FACTS_LIMIT), limit=FACTS_LIMIT)


def _about(known: NpmVersion) -> dict[str, Any]:
    """Return what people want to know of a version, and the scripts that registries look for."""
    return {
        "description": known.description,
        "license": known.licence,
        "keywords": list(known.keywords),
        "homepage": known.homepage,
        "scripts": known.scripts,
    }


def _files(item: Item) -> tuple[ArtifactFile, ArtifactFile]:
    by_role = {file.role: file for file in item.artifact.files}
    return by_role[Role.DISTRIBUTION], by_role[Role.CORE_METADATA]
