"""A pull as Ollama's client does it, against a mirror, and a mirror that was collected from it.

Written from the client's documented behaviour: the manifest by name and tag; for each blob a HEAD,
then a GET that is answered 200 with a Location (or 307); then up to 16 ranges at once from that
address, without any credentials; then the digest is compared.
"""

import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urljoin

import pytest

from collect_doubles import NOW
from corpora.images import Image, artifact_of, descriptor, digest, to_json
from corpora.mirrorsite import MirrorSite, admitted
from corpora.registry import mirroring
from lockgate.collect.memory import MemoryPackages, MemoryWeb
from lockgate.collect.service import collect
from lockgate.core.artifact import Kind
from lockgate.core.oci import DOCKER_IMAGE
from lockgate.core.ports import Silent
from lockgate.store.blobs import FileBlobs

PARTS = 16
GGUF = b"GGUF" + os.urandom(5 << 20)
LAYERS = {"model": GGUF, "template": b"{{ .Prompt }}", "license": b"MIT", "params": b'{"stop": []}'}
CONFIG = b'{"model_format": "gguf", "model_family": "tiny"}'


def model():
    body = to_json(
        {
            "schemaVersion": 2,
            "mediaType": DOCKER_IMAGE,
            "config": descriptor(CONFIG, "application/vnd.docker.container.image.v1+json"),
            "layers": [descriptor(d, f"application/vnd.ollama.image.{k}") for k, d in LAYERS.items()],
        }
    )
    blobs = {digest(data): data for data in (CONFIG, *LAYERS.values())}
    return Image(digest(body), {digest(body): body}, blobs)


def pull(mirror, name, tag):
    """Pull a model as Ollama does; return its manifest and blobs."""
    answer = mirror.ask("GET", f"/v2/{name}/manifests/{tag}", Accept=DOCKER_IMAGE)
    assert (answer.status, answer.headers["content-type"]) == (200, DOCKER_IMAGE)
    manifest = json.loads(answer.body)
    return answer.body, {
        entry["digest"]: fetch(mirror, name, entry["digest"], entry["size"])
        for entry in (manifest["config"], *manifest["layers"])
    }


def fetch(mirror, name, key, size):
    path = f"/v2/{name}/blobs/{key}"
    assert mirror.ask("HEAD", path).headers["content-length"] == str(size)
    first = mirror.ask("GET", path)
    assert first.status == 200
    address = urljoin(path, first.headers["location"])
    step = max(-(-size // PARTS), 1)
    with ThreadPoolExecutor(PARTS) as pool:
        starts = range(0, size, step)
        pieces = list(pool.map(lambda at: part(mirror, address, at, min(at + step, size)), starts))
    data = b"".join(pieces)
    assert f"sha256:{hashlib.sha256(data).hexdigest()}" == key
    return data


def part(mirror, address, start, stop):
    answer = mirror.ask("GET", address, Range=f"bytes={start}-{stop - 1}")
    assert (answer.status, len(answer.body)) == (206, stop - start)
    return answer.body


@pytest.fixture
def site(tmp_path):
    made = MirrorSite(tmp_path / "one")
    made.add(artifact_of(made, "models.test/library/tiny", model(), "latest", "1b", kind=Kind.OLLAMA))
    made.publish()
    return made


def test_a_model_is_pulled_and_a_mirror_of_the_mirror_gives_the_same_bytes(site, tmp_path):
    with mirroring(site) as one:
        manifest, blobs = pull(one, "library/tiny", "latest")
        assert blobs == model().blobs
        assert one.ask("GET", "/v2/library/absent/manifests/latest").status == 404
        low = tmp_path / "low"
        low.mkdir()
        (low / "m.toml").write_text(
            f'[[ollama]]\nregistry = "{one.host}"\nmodel = "tiny"\ntags = ["latest", "1b"]\n'
            "plain_http = true\n"
        )
        (found,) = collect(
            low / "m.toml",
            blobs=FileBlobs(low / "blobs"),
            work=low / "work",
            lane="test",
            clock=lambda: NOW,
            progress=Silent(),
            packages=MemoryPackages({}),
            web=MemoryWeb({}),
        ).lock.artifacts
    second = MirrorSite(low)
    second.entries.append(admitted(found))
    second.publish()
    with mirroring(second) as two:
        assert pull(two, "library/tiny", "1b") == (manifest, blobs)
