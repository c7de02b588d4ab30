"""Inputs that fuzzing found, and what they must end in now."""

import io
import zipfile
from base64 import b64encode

import pytest
from cryptography import x509

from corpora import inspection_content as make
from corpora.inspection_case import inspected
from corpora.signing import NOW, World
from corpora.simpleindex import pack_sdist
from lockgate.app.settings import CONFIG_FILE, load_settings
from lockgate.collect.errors import BadSdistError, BadTarballError
from lockgate.collect.manifest import parse_manifest
from lockgate.collect.npm.lockfile import sha512_hex
from lockgate.collect.npm.tarball import read_tarball
from lockgate.collect.ports import Limits as CollectLimits
from lockgate.collect.trust_roots import Sources, make_roots
from lockgate.collect.universal.places import place
from lockgate.collect.universal.ports import Scope
from lockgate.collect.universal.pylock import read_lock
from lockgate.collect.universal.sdists import read_sdist
from lockgate.core.errors import InputError, LockgateError
from lockgate.core.rules import read_rules
from lockgate.crossing.delta.errors import PatchError
from lockgate.crossing.delta.grouped import read_grouped
from lockgate.infer.engines.installation import record_digests, wheel_files
from lockgate.inspect.errors import BrokenContentError
from lockgate.inspect.limits import Limits
from lockgate.inspect.provenance import certificates
from lockgate.inspect.provenance.errors import InvalidProvenanceError
from lockgate.inspect.weights.tables import read_table

_COMMON_NAME = b"\x06\x03\x55\x04\x03\x0c"
"""The beginning of a common name in DER: its object identifier, and that a UTF-8 text follows."""

LONG = b"format = " + b"9" * 5000
"""TOML with a number that Python does not turn into one: a ValueError that is no TOMLDecodeError."""


def test_numbers_of_thousands_of_digits_are_refused_everywhere(tmp_path) -> None:
    for read in (read_rules, parse_manifest):
        with pytest.raises(InputError):
            read(LONG)
    (tmp_path / CONFIG_FILE).write_bytes(LONG)
    with pytest.raises(InputError):
        load_settings(tmp_path)


def test_numbers_of_thousands_of_digits_in_source_archives_and_locks_are_refused(tmp_path) -> None:
    info = b"Metadata-Version: 2.1\nName: a\nVersion: 1.0\n"
    path = tmp_path / "a-1.0.tar.gz"
    path.write_bytes(pack_sdist("a-1.0", {"PKG-INFO": info, "pyproject.toml": LONG}))
    with pytest.raises(BadSdistError, match=r"pyproject\.toml"):
        read_sdist(path, path.name, CollectLimits())
    scope = Scope(("a",), (place("3.12", "manylinux_2_28_x86_64"),))
    with pytest.raises(LockgateError, match="lock cannot be read"):
        read_lock(LONG.decode(), scope)


@pytest.mark.parametrize("kept", range(2, 24))
def test_an_archive_from_npm_that_ends_in_its_head_is_refused(tmp_path, kept) -> None:
    path = tmp_path / "a.tgz"
    path.write_bytes(pack_sdist("package", {"package.json": b"{}"})[:kept])
    with pytest.raises(BadTarballError):
        read_tarball(path, "a.tgz", CollectLimits())


def test_base64_that_is_not_ascii_is_none() -> None:
    assert sha512_hex("sha512-é") is None
    with pytest.raises(LockgateError, match="malformed"):
        record_digests("a.py,sha256=é,0\n".encode())


def _wheel(**facts: int) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a-1.dist-info/RECORD", "a.py,,\n" * 40)
    data = bytearray(out.getvalue())
    central = data.index(b"PK\x01\x02")
    for name, value in facts.items():
        at = {"version": central + 6, "method": central + 10, "flags": central + 8, "offset": central + 42}[
            name
        ]
        data[at : at + 2] = value.to_bytes(2, "little")
    return bytes(data)


@pytest.mark.parametrize(
    "facts", [{"version": 99}, {"method": 77}, {"flags": 1}, {"flags": 32}, {"offset": 9}]
)
def test_wheels_that_zipfile_does_not_know_are_damaged(facts) -> None:
    assert wheel_files(io.BytesIO(_wheel())) == {}
    with pytest.raises(LockgateError, match="damaged"):
        wheel_files(io.BytesIO(_wheel(**facts)))


def test_wheels_whose_stream_is_damaged_are_damaged() -> None:
    data = bytearray(_wheel())
    data[52:60] = b"\xff" * 8
    with pytest.raises(LockgateError, match="damaged"):
        wheel_files(io.BytesIO(data))


def test_names_that_are_not_utf8_are_broken_content() -> None:
    tensors = make.safetensors().replace(b'"F32"', b'"F\xff2"')
    model = make.gguf()
    for data in (tensors, model.replace(b"general.", b"gener\xff..", 1)):
        with pytest.raises(BrokenContentError, match="not UTF-8"):
            read_table(memoryview(data), Limits())


def test_differences_that_are_missing_are_refused() -> None:
    with pytest.raises(PatchError):
        read_grouped(b"", b"ab")


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("x.ico", b"\0\0\1\0"),
        ("x.gz", b"\x1f\x8b"),
        ("x.obj", b"d\x86\1\0" + bytes(31)),
        ("x.wasm", b"\0asm\1\0\0\0\1\xff"),
        ("x.onnx", b"\x08\x08\x12\x04\xff\xff\xff\xff" + make.onnx()[8:]),
        ("x.eml", b"From: a@b\nContent-Type: text/plain; charset=utf-n\n\nhi\n"),
        ("x.eml", b"From: a@x.example\nSubject: The lock\nMessage-ID: <1@"),
        ("x.safetensors", make.safetensors().replace(b'"F32"', b'"F\xff2"')),
        ("x.gguf", make.gguf().replace(b"general.", b"gener\xff..", 1)),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_a_file_that_breaks_off_is_malformed_and_no_inspector_fails(name, data) -> None:
    part = inspected(data, name)
    codes = {found.code for found in part.findings}
    assert not part.complete
    assert "inspector-failed" not in codes
    assert any(code.endswith("-malformed") for code in codes), codes


@pytest.mark.parametrize(
    ("name", "data"),
    [
        # Some versions of CPython's parser refuse such a section, others read over it.
        ("x.html", b"<!DOCTYPE html><p>At dawn.</p><![CDAT!x><p>At dusk.</p>"),
        ("x.pdf", make.pdf(extra=["<</Type[3 0 R]>>"])),
    ],
    ids=lambda each: each if isinstance(each, str) else "",
)
def test_odd_structures_fail_no_inspector(name, data) -> None:
    assert "inspector-failed" not in {found.code for found in inspected(data, name).findings}


def test_a_certificate_whose_names_cannot_be_read_is_none() -> None:
    """The library reads names when they are looked at."""
    der = World().site.der
    broken = der.replace(_COMMON_NAME, _COMMON_NAME[:-1] + b"\x02", 1)
    assert broken != der
    with pytest.raises(InvalidProvenanceError):
        certificates.load(broken)


def test_a_certificate_of_no_version_is_none() -> None:
    """X.509 of version 7: an exception of the library's own that is no ValueError."""
    der = World().site.der.replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x06", 1)
    with pytest.raises(x509.InvalidVersion):
        x509.load_der_x509_certificate(der)
    with pytest.raises(InvalidProvenanceError):
        certificates.load(der)
    pem = b"-----BEGIN CERTIFICATE-----\n" + b64encode(der) + b"\n-----END CERTIFICATE-----\n"
    for data in (der, pem):
        with pytest.raises(LockgateError):
            make_roots(Sources(authorities={"site": data}), 1, NOW, 30)
