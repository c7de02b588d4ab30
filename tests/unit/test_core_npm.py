"""The document about one npm version: its vector, its bounds, and how versions sort."""

import hashlib
import re
from pathlib import Path

import msgspec
import pytest

from lockgate.core.errors import LockgateError
from lockgate.core.npm import NPM_LIMIT, NpmVersion, is_prerelease, tarball_name, version_key
from lockgate.core.wire import decode, encode

DOCUMENT = (Path(__file__).parents[2] / "docs/formats/npm-v1.md").read_text(encoding="utf-8")


def vector():
    found = re.search(r"```json\n(.*?)\n```", DOCUMENT, re.DOTALL)
    assert found
    return found[1].encode()


def test_the_vector_of_the_format_is_read_and_written():
    data = vector()
    version = decode(NpmVersion, data, limit=NPM_LIMIT)
    assert (version.name, version.dependencies, version.tags) == ("@garden/tree", {"leaf": "^2"}, ("latest",))
    assert encode(version) == data
    assert hashlib.sha256(data).hexdigest() in DOCUMENT


@pytest.mark.parametrize(
    "change",
    [
        {"format": "lockgate-npm/2"},
        {"name": "../x"},
        {"name": "-"},
        {"version": "1"},
        {"integrity": "sha1-x"},
        {"integrity": "sha512-" + "A" * 86 + "==\n"},
        {"shasum": "A" * 40},
        {"description": "x" * 2049},
        {"tags": ("t",) * 101},
        {"evil": 1},
    ],
)
def test_what_is_not_in_the_format_is_refused(change):
    value = {**msgspec.json.decode(vector()), **change}
    with pytest.raises((LockgateError, msgspec.ValidationError)):
        decode(NpmVersion, encode(value), limit=NPM_LIMIT)


def test_versions_sort_as_the_specification_says():
    before = ["1.0.0-1", "1.0.0-2", "1.0.0-11", "1.0.0-a", "1.0.0-a.1", "1.0.0-a.b"]
    listed = [*before, "1.0.0", "1.0.1-0", "1.0.1", "1.2.0", "1.10.0", "2.0.0"]
    assert sorted(set(listed), key=version_key) == listed
    assert version_key("1.0.0+x") == version_key("1.0.0+y")
    assert [v for v in listed if is_prerelease(v)] == [v for v in listed if "-" in v]
    for bad in ("1", "v1.0.0", "", "1.0.0-01x!"):
        with pytest.raises(LockgateError):
            version_key(bad)
    assert tarball_name("@garden/tree", "1.0.0") == "tree-1.0.0.tgz"
