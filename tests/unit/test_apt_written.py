"""Paragraphs of Debian packages taken over from the indexes before: only where they are surely the same."""

import pytest

from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.snapshot import Admitted
from lockgate.core.statement import NOTHING
from lockgate.mirror.pages.aptwritten import Written

INDEX = "apt/debian/dists/s/main/binary-amd64/Packages"
DIGEST = "a" * 64
TWO = f"""Package: bat
Version: 1.0-1
Architecture: amd64
Description: a tool
 with a longer text
 .
 Filename: not/this
Filename: pool/b/bat.deb
Size: 7
SHA256: {DIGEST}

Package: cow
Version: 2.0
Architecture: all
Filename: pool/c/cow.deb
Size: 9
SHA256: {"b" * 64}

"""


def deb(version: str = "1.0-1", architecture: str = "amd64", digest: str = DIGEST) -> Admitted:
    file = ArtifactFile(path="apt/debian/pool/b/bat.deb", role=Role.DISTRIBUTION, size=7, sha256=digest)
    artifact = Artifact(
        purl=f"pkg:deb/debian/bat@{version}",
        kind=Kind.APT,
        name="bat",
        version=version,
        files=(file,),
        attributes={"architecture": architecture},
    )
    return Admitted(artifact, 1, NOTHING, NOTHING, "opaque")


def asked(
    text: str, entry: Admitted, name: str = "pool/b/bat.deb", index: str = INDEX, *, stays: bool = True
):
    written = Written({INDEX: NOTHING}, lambda _: stays, lambda _: text.encode())
    return written.of(entry, entry.artifact.files[0], name, index)


def test_a_paragraph_of_a_package_that_stays_is_the_one_that_was_written() -> None:
    key, paragraph = asked(TWO, deb())
    assert key == ("bat", "1.0-1", "amd64")
    assert paragraph == TWO.partition("\n\n")[0] + "\n"


@pytest.mark.parametrize(
    "change",
    [
        {"entry": deb(version="1.0-2")},
        {"entry": deb(architecture="all")},
        {"entry": deb(architecture="source")},
        {"entry": deb(digest="c" * 64)},
        {"name": "pool/b/other.deb"},
        {"index": "apt/debian/dists/s/main/binary-arm64/Packages"},
        {"stays": False},
        {"text": TWO + TWO},  # two packages of one file: which of them it is nobody can tell
        {"text": TWO.replace("Architecture: amd64\n", "")},
        {"text": TWO.replace("Package: bat\n", "")},
        {"text": TWO.replace("Size: 7\n", "")},
        {"text": ""},
    ],
)
def test_whatever_differs_is_read_from_what_is_known_of_the_package(change) -> None:
    assert asked(**{"text": TWO, "entry": deb(), **change}) is None
