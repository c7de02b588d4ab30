"""A Python index as a target: PyPI's upload API to bring wheels, its simple pages to read them back.

Sources: PyPI's legacy upload API (a form with ``:action=file_upload``); PEP 503 (pages in HTML, which every
index serves).
"""

import secrets
from collections.abc import Iterator
from html.parser import HTMLParser
from http import HTTPStatus
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from packaging.metadata import parse_email

from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.digests import CHUNK
from lockgate.targets.errors import TargetAnswerError
from lockgate.targets.ports import Item, Target
from lockgate.targets.web import MOVED, Web

METADATA_LIMIT = 16 << 20
"""Longest core metadata that is read for an upload, in bytes."""

_SHOWN = (
    "metadata_version",
    "summary",
    "license",
    "license_expression",
    "requires_python",
    "requires_dist",
    "provides_extra",
    "classifiers",
)
"""Fields of the form that are sent, as core metadata calls them; twine sends them under these names too."""
_TAKEN = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)


class PypiTarget(Target):
    """An index with an address for uploads; `index` is that of its simple pages (``https://…/simple/``)."""

    kinds = frozenset({Kind.PYTHON})

    def __init__(self, web: Web, index: str) -> None:
        """Speak to an index."""
        self._web = web
        self._index = index.rstrip("/")

    def put(self, item: Item) -> None:
        """Upload the distributions that the index does not give with their bytes."""
        held = dict(self.held(item))
        for file in _distributions(item):
            if held[file.path] != file.sha256:
                self._upload(item, file)

    def held(self, item: Item) -> Iterator[tuple[str, str]]:
        """Yield what the index gives under each distribution's name."""
        links = self._links(item.artifact.name)
        for file in _distributions(item):
            address = links.get(file.path.rpartition("/")[2])
            yield file.path, self._web.digest(address, self._web.basic()) if address else ""

    def _links(self, project: str) -> dict[str, str]:
        """Return what the project's page links to, by file name; an index that sends elsewhere has none."""
        address = f"{self._index}/{project}/"
        answer = self._web.ask("GET", address, {**self._web.basic(), "Accept": "text/html"})
        if answer.status == HTTPStatus.NOT_FOUND or answer.status in MOVED:
            return {}
        if answer.status != HTTPStatus.OK:
            what = f"{self._web.host} answered {answer.status} for the page of {project}."
            raise TargetAnswerError(what)
        page = _Page()
        page.feed(answer.body.decode("utf-8", "replace"))
        found = [urldefrag(urljoin(address, link))[0] for link in page.links]
        return {unquote(urlsplit(link).path.rpartition("/")[2]): link for link in found}

    def _upload(self, item: Item, file: ArtifactFile) -> None:
        name = file.path.rpartition("/")[2]
        wheel = name.endswith(".whl")
        fields = [
            (":action", "file_upload"),
            ("protocol_version", "1"),
            ("name", item.artifact.name),
            ("version", item.artifact.version),
            ("filetype", "bdist_wheel" if wheel else "sdist"),
            ("pyversion", name.split("-")[-3] if wheel else "source"),
            ("sha256_digest", file.sha256),
            *_metadata(item, file),
        ]
        edge = secrets.token_hex(16)
        head = "".join(
            f'--{edge}\r\nContent-Disposition: form-data; name="{key}"\r\n\r\n{value}\r\n'
            for key, value in fields
        )
        head += (
            f'--{edge}\r\nContent-Disposition: form-data; name="content"; filename="{name}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n"
        )
        first, last = head.encode(), f"\r\n--{edge}--\r\n".encode()
        headers = {
            **self._web.basic(),
            "Content-Type": f"multipart/form-data; boundary={edge}",
            "Content-Length": str(len(first) + file.size + len(last)),
        }
        with item.open(file.sha256) as stream:

            def body() -> Iterator[bytes]:
                yield first
                while piece := stream.read(CHUNK):
                    yield piece
                yield last

            answer = self._web.ask("POST", self._web.url + "/", headers, body())
        if answer.status not in _TAKEN:
            said = answer.body[:200].decode("utf-8", "replace").strip()
            what = f"{self._web.host} refused {name} with {answer.status}."
            raise TargetAnswerError(what, said=said)


def _metadata(item: Item, file: ArtifactFile) -> list[tuple[str, str]]:
    """Return the form's fields about a file: what indexes show and resolvers ask them for."""
    beside = next((f for f in item.artifact.files if f.path == f"{file.path}.metadata"), None)
    if beside is None:
        python = item.artifact.attributes.get("requires-python", "")
        return [("metadata_version", "2.1"), *([("requires_python", python)] if python else [])]
    raw, _ = parse_email(item.read(beside, METADATA_LIMIT))
    lines = [(key, raw.get(key)) for key in _SHOWN]
    found = [(key, value) for key, value in lines if isinstance(value, str)]
    return found + [(key, one) for key, value in lines if isinstance(value, list) for one in value]


def _distributions(item: Item) -> list[ArtifactFile]:
    return [file for file in item.artifact.files if file.role is Role.DISTRIBUTION]


class _Page(HTMLParser):
    """The links of a simple page."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.links += [value for name, value in attrs if name == "href" and value]
