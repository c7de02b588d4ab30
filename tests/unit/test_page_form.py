"""Pages of a fixed sample: whoever writes them otherwise raises the number of their generator's form."""

import gzip
import importlib
import zlib
from hashlib import sha256

import pytest
import zstandard

from corpora.everykind import add_every_kind
from corpora.mirrorsite import MirrorSite
from lockgate.app.gate.gate import MirrorPages
from lockgate.mirror import page_form, service
from lockgate.mirror.pages import form, packing

KNOWN = {
    "apt": (2, "4132a98b88e61aaaea97be894f7994c2546921d26ff97c2c7046ae4dc2214b24"),
    "conda": (1, "e051f55b04d5ad587bd82f02b220b1e217eb95a26202872983ec4127589db022"),
    "files": (1, "4f4649a25c13975b37d437505f8f6d13558824570bbab8135553227ac46ff6e2"),
    "huggingface": (1, "279a72750b273dd659a77a67608dd020c61e80c312b71fa88de47732f3991152"),
    "npm": (2, "85527c5ce8ff287239516352d2d6d299d768677eb9986b3f87c7f17593116c4a"),
    "oci": (1, "75beffc8ff4d22752324997e2503a0daff057b69f548908ebbc2303c7017c783"),
    "pypi": (1, "2fd7efec4ef7ed95c9aba6bb6e2da7916646603cff30dcecf65a9ea3c09f426d"),
    "rpm": (1, "7374c68385d8922c8da97889ee8c3f400791c2430040a6afa03aca19918d4187"),
}
"""The number of each generator's form, and the digest of what it writes of the sample, uncompressed."""


class Plain:
    """A compressor that leaves everything as it is, so that no library's version is seen."""

    def __init__(self, level):
        self.level = level

    def compress(self, data):
        return b"zstd " + data


@pytest.fixture
def site(tmp_path, monkeypatch):
    monkeypatch.setattr(gzip, "compress", lambda data, *_, **__: b"gzip " + data)
    monkeypatch.setattr(zstandard, "ZstdCompressor", Plain)
    made = MirrorSite(tmp_path)
    add_every_kind(made)
    return made


@pytest.mark.parametrize("name", sorted(form.NUMBERS))
def test_a_generator_that_writes_otherwise_has_another_number(site, name):
    generator = importlib.import_module(f"lockgate.mirror.pages.{name}")
    state = sha256()
    for page in sorted(generator.generate(site.entries, site.blobs.read), key=lambda page: page.path):
        for part in (page.path.encode(), page.media_type.encode(), page.body):
            state.update(b"%d " % len(part) + part)
    found = form.NUMBERS[name], state.hexdigest()
    assert found == KNOWN[name], f"raise the number of {name} in NUMBERS, and note both here"


def test_every_generator_has_a_number():
    modules = {
        value.__name__.rpartition(".")[2] for value in vars(service).values() if hasattr(value, "generate")
    }
    assert modules == set(form.NUMBERS)


def test_another_library_or_number_is_another_form(monkeypatch):
    made = [page_form()]
    assert MirrorPages().form() == made[0]
    packing.compressors.cache_clear()
    assert page_form() == made[0]
    for owner, name, value in (
        (zlib, "ZLIB_RUNTIME_VERSION", "other"),
        (zstandard, "ZSTD_VERSION", (0, 0, 1)),
        (packing, "_GZIP_LEVEL", 1),
    ):
        packing.compressors.cache_clear()
        monkeypatch.setattr(owner, name, value)
        made.append(page_form())
    monkeypatch.setitem(form.NUMBERS, "npm", 0)
    made.append(page_form())
    assert len(set(made)) == len(made)
    packing.compressors.cache_clear()
