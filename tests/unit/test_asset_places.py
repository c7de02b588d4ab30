"""Asset packs: the place that a library looks at, from the manifest to what a host has to do."""

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from corpora.commands import Commands
from corpora.mirrorsite import MirrorSite, admitted
from corpora.rehearsals import Rehearsing
from lockgate.app.crossing.collect import current_lock
from lockgate.collect import parse_manifest
from lockgate.collect.errors import ManifestError
from lockgate.core.artifact import Artifact, Kind
from lockgate.core.assets import PLACE, AssetPlaceError, Library, place_of, read_place
from lockgate.mirror import NothingForClientError, asset_config, assets_of

ORIGIN = "https://upstream.example/encodings/cl100k_base.tiktoken"
KEY = "a2de7a62fcaec2e793d11a2af5e1f5954b96d577"
TABLE = """
[[asset]]
name = "{name}"
place = "{place}"
url = "{url}"
sha256 = "{sha256}"
"""


@pytest.mark.parametrize(
    ("wanted", "filename", "origin", "place"),
    [
        ("tiktoken", "cl100k_base.tiktoken", ORIGIN, f"tiktoken/{KEY}"),
        ("nltk/tokenizers", "punkt_tab.zip", "", "nltk/tokenizers/punkt_tab.zip"),
        ("spacy", "en_core_web_sm-3.8.0-py3-none-any.whl", "", "spacy/en_core_web_sm-3.8.0-py3-none-any.whl"),
        ("driver", "NVIDIA-Linux-x86_64-550.54.15.run", "", "driver/NVIDIA-Linux-x86_64-550.54.15.run"),
        ("osv-scanner/PyPI", "all.zip", "", "osv-scanner/PyPI/all.zip"),
    ],
)
def test_a_place_is_where_its_library_looks(wanted, filename, origin, place):
    assert place_of(wanted, filename, origin) == place
    library, path = read_place(place)
    assert f"{library}/{path}" == place


@pytest.mark.parametrize(
    ("wanted", "filename", "origin"),
    [
        ("tiktoken", "cl100k_base.tiktoken", ""),
        ("tiktoken", "cl100k_base.tiktoken", "vocabularies/cl100k_base.tiktoken"),
        ("nltk", "punkt_tab.zip", ""),
        ("nltk/etc", "punkt_tab.zip", ""),
        ("spacy", "model.zip", ""),
        ("driver", "a b.run", ""),
        ("driver", "..", ""),
        ("driver/x", "a.run", ""),
        ("home", ".profile", ""),
        ("osv-scanner", "all.zip", ""),
        ("osv-scanner/PyPI", "PyPI.zip", ""),
        ("osv-scanner/a/b", "all.zip", ""),
    ],
)
def test_what_no_library_looks_at_is_refused_in_the_manifest(wanted, filename, origin):
    with pytest.raises(AssetPlaceError):
        place_of(wanted, filename, origin)
    text = TABLE.format(name="x", place=wanted, url=filename, sha256="0" * 64)
    text += f'origin = "{origin}"\n' if origin else ""
    with pytest.raises(ManifestError):
        parse_manifest(text.encode())


@pytest.mark.parametrize(
    "place",
    [
        *("", "nltk", "nltk/", "nltk/tokenizers", "nltk/../x.zip", "nltk/tokenizers/../../x", "home/x"),
        *(
            "nltk/etc/x.zip",
            "tiktoken/x",
            "driver/a/b",
            "osv-scanner/all.zip",
            "osv-scanner/../all.zip",
            "osv-scanner/$(id)/all.zip",
            "osv-scanner/PyPI/x.zip",
            'driver/a"b',
            "driver/$(id)",
            "driver/-rf",
            "spacy/x",
        ),
    ],
)
def test_a_place_that_crossed_is_judged_again(place):
    with pytest.raises(AssetPlaceError):
        read_place(place)


def test_assets_are_collected_with_their_place_and_pinned_like_files(tmp_path):
    made = Rehearsing.make(tmp_path / "made")
    text = ""
    for name, place, url in (
        ("punkt", "nltk/tokenizers", "punkt_tab.zip"),
        ("cl100k", "tiktoken", "c.tiktoken"),
    ):
        (made.folder / url).write_bytes(name.encode())
        digest = hashlib.sha256(name.encode()).hexdigest()
        text += TABLE.format(name=name, place=place, url=url, sha256=digest)
    made.collect(f'{text}origin = "{ORIGIN}"\n')
    artifacts = {each.name: each for each in current_lock(made.side).lock.artifacts}
    assert artifacts["punkt"].attributes == {PLACE: "nltk/tokenizers/punkt_tab.zip"}
    assert artifacts["cl100k"].attributes == {PLACE: f"tiktoken/{KEY}"}
    assert {each.kind for each in artifacts.values()} == {Kind.FILE}
    (made.folder / "punkt_tab.zip").write_bytes(b"another")
    (made.lane.low / "blobs").rename(made.lane.low / "gone")
    status, error = Commands().refused("collect", made.manifest, "--offline", "--home", made.lane.low)
    assert (status, error["code"]) == (3, "LG-2501")


def asset(site: MirrorSite, name: str, place: str, data: bytes, crossing: int = 1) -> None:
    file = site.file(f"files/{name}/file-{crossing}.bin", data)
    made = Artifact(
        purl=f"pkg:generic/{name}@{crossing}",
        kind=Kind.FILE,
        name=name,
        version=str(crossing),
        files=(file,),
        attributes={PLACE: place},
    )
    site.entries.append(admitted(made, crossing))


def test_a_host_is_told_variable_and_commands_of_the_newest_asset_of_each_place(tmp_path: Path):
    site = MirrorSite(tmp_path)
    asset(site, "punkt", "nltk/tokenizers/punkt_tab.zip", b"new", 2)
    asset(site, "punkt", "nltk/tokenizers/punkt_tab.zip", b"old", 1)
    asset(site, "evil", "nltk/../../etc/passwd", b"evil")
    asset(site, "small", "spacy/en-1-py3-none-any.whl", b"wheel")
    found = assets_of(site.entries)
    assert [(each.library, each.place) for each in found] == [
        (Library.NLTK, "tokenizers/punkt_tab.zip"),
        (Library.SPACY, "en-1-py3-none-any.whl"),
    ]
    config = asset_config(Library.NLTK, "http://mirror.example:8710/", found)
    assert dict(config.environment) == {"NLTK_DATA": "/usr/local/share/nltk_data"}
    address = "http://mirror.example:8710/files/files/punkt/file-2.bin"
    assert config.notes == (
        f'curl --fail --create-dirs --output "$NLTK_DATA"/tokenizers/punkt_tab.zip {address}',
        (
            f'echo "{hashlib.sha256(b"new").hexdigest()}  "'
            '"$NLTK_DATA"/tokenizers/punkt_tab.zip | sha256sum --check'
        ),
    )
    (line,) = asset_config(Library.SPACY, "http://mirror.example:8710", found).notes
    assert line.startswith("pip install 'http://mirror.example:8710/files/files/small/file-1.bin#sha256=")
    kept = asset_config(
        Library.NLTK, "https://mirror.example", found, authority="/etc/ca.pem", key="k1"
    ).notes
    assert "--cacert /etc/ca.pem" in kept[0]
    assert "https://__token__:k1@mirror.example/files/" in kept[0]
    with pytest.raises(NothingForClientError):
        asset_config(Library.TIKTOKEN, "http://mirror.example:8710", found)


def test_databases_of_osv_scanner_are_laid_out_where_it_looks_old_and_new(tmp_path: Path):
    table = TABLE.format(name="osv", place="osv-scanner/PyPI", url="PyPI/all.zip", sha256="0" * 64)
    assert parse_manifest(table.encode())
    site = MirrorSite(tmp_path)
    asset(site, "osv-pypi", "osv-scanner/PyPI/all.zip", b"database")
    config = asset_config(Library.OSV_SCANNER, "http://mirror.example:8710", assets_of(site.entries))
    ((variable, folder),) = config.environment
    assert variable == "OSV_SCANNER_LOCAL_DB_CACHE_DIRECTORY"
    assert folder.startswith("/")
    fetch, check, lay = config.notes
    assert fetch.startswith(f'curl --fail --create-dirs --output "${variable}"/osv-scanner/PyPI/all.zip http')
    place = tmp_path / "db/osv-scanner/PyPI"
    place.mkdir(parents=True)
    for data, status in ((b"database", 0), (b"another", 1)):
        (place / "all.zip").write_bytes(data)
        ran = subprocess.run(
            ["sh", "-ec", f"{check}\n{lay}"], env={**os.environ, variable: str(tmp_path / "db")}, check=False
        )
        assert ran.returncode == status
    assert (tmp_path / "db/osv-scalibr/PyPI/all.zip").read_bytes() == b"database"
