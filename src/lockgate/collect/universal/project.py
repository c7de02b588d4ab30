"""The project that uv locks in a folder of its own: what is wanted, for which environments, from where.

Source: uv's documentation of projects, of indexes and of its settings. Three of its ways matter here. A
source in ``tool.uv.sources`` counts for what the project itself names, and not for what others depend on:
projects that are pinned to an index are therefore named in a dependency group, which is locked and not
exported. An index that is ``explicit`` gives nothing but what is pinned to it. What ``dependency-metadata``
describes is not built to learn what it depends on.
"""

import json
import re
from collections.abc import Iterable, Iterator

from packaging.version import Version

from lockgate.collect.universal.ports import Scope

_EXTRA = re.compile(r"""\bextra == ["']([A-Za-z0-9._-]+)["']""")

GROUP = "pinned"
"""The dependency group of projects that are pinned to an index; it is locked, and not exported."""


def project_file(scope: Scope, here: str, constraints: Iterable[str] = ()) -> str:
    """Return the text of a ``pyproject.toml``.

    Args:
        scope: What is to be locked. Each index has its address.
        here: The version of Python that runs uv; uv locks for no project that excludes it, so the project
            claims to support it too, and the environments leave it out again.
        constraints: Bounds on versions from the client's own configuration.

    """
    return "\n".join([*_project(scope, here), *_settings(scope, constraints), *_indexes(scope)]) + "\n"


def _project(scope: Scope, here: str) -> Iterator[str]:
    oldest = min([here, *(place.python for place in scope.places)], key=Version)
    yield "[project]"
    yield 'name = "lockgate-collection"'
    yield 'version = "0"'
    yield f"requires-python = {_text(f'>={oldest}')}"
    yield f"dependencies = {_list(scope.requirements)}"
    yield "[dependency-groups]"
    yield f"{GROUP} = {_list(scope.pinned())}"


def _settings(scope: Scope, constraints: Iterable[str]) -> Iterator[str]:
    markers = list(dict.fromkeys(place.marker for place in scope.places))
    platforms = list(dict.fromkeys(place.platform_marker for place in scope.places))
    yield "[tool.uv]"
    yield "package = false"
    yield "default-groups = []"
    yield f"environments = {_list(markers)}"
    yield f"required-environments = {_list(platforms)}"
    yield f"constraint-dependencies = {_list(constraints)}"
    yield f"find-links = {_list(scope.find_links)}"
    yield "[tool.uv.workspace]"  # so that no project above the folder counts
    yield "members = []"
    for source in scope.sources:
        yield "[[tool.uv.dependency-metadata]]"
        yield f"name = {_text(source.project)}"
        yield f"requires-dist = {_list(source.requires)}"
        yield f"provides-extra = {_list(_extras(source.requires))}"


def _indexes(scope: Scope) -> Iterator[str]:
    for index in scope.indexes:
        yield "[[tool.uv.index]]"
        yield f"name = {_text(index.name)}"
        yield f"url = {_text(index.url)}"
        yield "explicit = true"
    yield "[tool.uv.sources]"
    for name, index in scope.pinned().items():
        yield f"{_text(name)} = {{ index = {_text(index.name)} }}"


def _extras(requires: Iterable[str]) -> list[str]:
    """Return the extras that markers of requirements name."""
    return sorted({name for text in requires for name in _EXTRA.findall(text.partition(";")[2])})


def _list(values: Iterable[str]) -> str:
    return f"[{', '.join(_text(value) for value in values)}]"


def _text(value: str) -> str:
    """Return a basic string of TOML: what JSON escapes is escaped, and DEL too."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
