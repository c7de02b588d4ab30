"""The libraries themselves find asset packs at the places that `client-config` names, without a network."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite, admitted
from lockgate.core.artifact import Artifact, Kind
from lockgate.core.assets import PLACE, Library, place_of
from lockgate.mirror import asset_config, assets_of

ORIGIN = "https://upstream.invalid/encodings/tiny.tiktoken"
VOCABULARY = b"YQ== 0\nYg== 1\n"
WORDS = b"alpha\nbeta\n"


def add(site, name, wanted, file, *, origin=""):
    filename, data = file
    kept = site.file(f"files/{name}/{filename}", data)
    place = place_of(wanted, filename, origin)
    made = Artifact(
        purl=f"pkg:generic/{name}@1",
        kind=Kind.FILE,
        name=name,
        version="1",
        files=(kept,),
        attributes={PLACE: place},
    )
    site.entries.append(admitted(made))


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """Return an interpreter that has `nltk` and `tiktoken`."""
    folder = tmp_path_factory.mktemp("libraries") / "venv"
    uv = str(Path(sys.executable).parent / "uv")
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, str(folder)], check=True)
    program = str(folder / "bin" / "python")
    subprocess.run([uv, "pip", "install", "-q", "--python", program, "nltk", "tiktoken"], check=True)
    return program


@pytest.mark.online
@pytest.mark.slow
def test_nltk_and_tiktoken_find_what_the_printed_commands_brought(tmp_path, libraries):
    site = MirrorSite(tmp_path)
    add(site, "vocabulary", "tiktoken", ("tiny.tiktoken", VOCABULARY), origin=ORIGIN)
    add(site, "words", "nltk/corpora", ("few-words.txt", WORDS))
    site.publish()
    with Server(site) as server:
        places = {}
        for library in (Library.TIKTOKEN, Library.NLTK):
            config = asset_config(library, server.url, assets_of(site.entries))
            ((variable, _),) = config.environment
            places[variable] = str(tmp_path / library)
            server.run("sh", "-ec", "\n".join(config.notes), **places)
        code = (
            "import json, nltk.data, tiktoken.load as t\n"
            f"v = t.read_file_cached({ORIGIN!r}, {hashlib.sha256(VOCABULARY).hexdigest()!r})\n"
            "w = nltk.data.find('corpora/few-words.txt')\n"
            "print(json.dumps([v.decode(), w.open().read().decode()]))"
        )
        found = json.loads(server.run(libraries, "-c", code, **places).stdout)
    assert found == [VOCABULARY.decode(), WORDS.decode()]
