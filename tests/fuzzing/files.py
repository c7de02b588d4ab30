"""A target for each reader of a file, a text or a table that somebody else made and that is no bytes."""

import gzip
import io
import os
import tarfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from fuzzing.runs import stream
from fuzzing.seeds import cases_of, texts
from fuzzing.target import Run, Target, found, refusing

_BYTES = 4 << 20
"""Longest plain form of an index, in bytes."""
_SDIST, _WHEEL = "some_thing-1.0.tar.gz", "lock_demo-1.0-py3-none-any.whl"
_ERRATA = b"""<updates><update type="security" status="final" version="1"><id>A-1</id><title>a</title>
<issued date="2026-01-01 00:00:00"/><severity>Low</severity><description>b</description>
<references><reference type="cve" id="CVE-2026-1" href="a"/></references>
<pkglist><collection><package name="a" version="1" release="1" epoch="0" arch="x86_64" src="a.src.rpm">
<filename>a-1-1.x86_64.rpm</filename></package></collection></pkglist></update></updates>"""
_MODULES = b"""---
document: modulemd
version: 2
data:
  name: a
  stream: "1"
  version: 1
  context: b
  arch: x86_64
  artifacts:
    rpms:
    - a-0:1-1.x86_64
...
"""
_CONDA = {
    "info": {"subdir": "noarch"},
    "packages.conda": {
        "a-1-0.conda": {
            "name": "a", "version": "1", "build": "0", "build_number": 0, "depends": ["python >=3"],
            "sha256": "0" * 64, "md5": "0" * 32, "size": 1, "subdir": "noarch", "license": "MIT",
        }
    },
}  # fmt: skip
_LOCK = b"""lock-version = "1.0"
created-by = "uv"
requires-python = ">=3.11"
[[packages]]
name = "a"
version = "1"
index = "https://pypi.example/simple"
wheels = [{ url = "https://pypi.example/a-1-py3-none-any.whl", hashes = { sha256 = "00" } }]
"""
_EPSS = b"#model_version:v1,score_date:2026-01-01T00:00:00+0000\ncve,epss,percentile\nCVE-2026-1,0.5,0.9\n"


def as_file(act: Callable[[Path], object]) -> Run:
    """Return a run of a reader that is given a path; the file has no name on any disk."""

    def run(data: bytes) -> object:
        descriptor = os.memfd_create("fuzz")
        try:
            os.write(descriptor, data)
            return act(Path(f"/proc/self/fd/{descriptor}"))
        finally:
            os.close(descriptor)

    return refusing(run)


def _limits() -> Any:
    return found("collect.ports.Limits")()


def packed(members: dict[str, bytes]) -> bytes:
    """Return a gzipped tar archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def _sdists() -> Iterable[bytes]:
    info = b"Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.0\n"
    build = b'[build-system]\nrequires = ["a"]\nbuild-backend = "b"\n[project]\nname = "some-thing"\n'
    return [packed({"some_thing-1.0/PKG-INFO": info, "some_thing-1.0/pyproject.toml": build})]


def _tarballs() -> Iterable[bytes]:
    manifest = b'{"name": "a", "version": "1.0.0", "scripts": {"install": "x"}, "license": "MIT"}'
    return [packed({"package/package.json": manifest, "package/index.js": b"1"})]


def _versions(data: bytes) -> object:
    """Sort the versions that lines name, by each order that is known."""
    from lockgate.advisories.versions import UnreadableVersionError, key_of, ordered

    lines = data.decode("utf-8", "replace").split("\n")[:8]
    for ecosystem in (*ordered(), ""):
        key, keys = key_of(ecosystem, "ECOSYSTEM" if ecosystem else "SEMVER"), []
        for line in lines:
            try:
                keys.append(key(line) if key else line)
            except UnreadableVersionError:
                continue
        assert len(sorted(keys)) == len(keys)
    return None


def _scores(data: bytes) -> object:
    table = found("advisories.reading.epss_table")(
        stream(data), Path("epss.csv"), found("advisories.limits.Limits")()
    )
    return list(table.rows)


def _lock(data: bytes) -> object:
    from lockgate.collect.universal.places import place
    from lockgate.collect.universal.ports import Scope

    scope = Scope(("a",), (place("3.12", "manylinux_2_28_x86_64"),))
    return found("collect.universal.pylock.read_lock")(data.decode("utf-8", "replace"), scope)


def file_targets() -> Iterable[Target]:
    """Yield the targets."""
    rpm = "collect.rpm"
    yield Target(
        "archives from npm",
        ("collect.npm.tarball.read_tarball",),
        as_file(lambda path: found("collect.npm.tarball.read_tarball")(path, "a.tgz", _limits())),
        _tarballs,
    )
    yield Target(
        "source archives",
        ("collect.universal.sdists.read_sdist",),
        as_file(lambda path: found("collect.universal.sdists.read_sdist")(path, _SDIST, _limits())),
        _sdists,
    )
    yield Target(
        "core metadata of wheels",
        ("collect.wheels.read_metadata",),
        as_file(lambda path: found("collect.wheels.read_metadata")(path, _WHEEL, _limits())),
        cases_of("zips:ZipInspector"),
    )
    for title, name, seed in (("errata", "errata_of", _ERRATA), ("modules", "modules_of", _MODULES)):
        yield Target(
            f"{title} of repositories",
            (f"{rpm}.errata.{name}",),
            as_file(lambda path, where=f"{rpm}.errata.{name}": list(found(where)(path, _limits()))),
            texts(seed, gzip.compress(seed, mtime=0)),
        )
    yield Target(
        "metadata of repositories",
        (f"{rpm}.markup.elements",),
        as_file(lambda path: list(found(f"{rpm}.markup.elements")(path, "update", _BYTES))),
        texts(_ERRATA, gzip.compress(_ERRATA, mtime=0)),
    )
    yield Target(
        "indexes of Conda",
        ("collect.conda.repodata.listed",),
        as_file(lambda path: list(found("collect.conda.repodata.listed")(path, "noarch"))),
        texts(_CONDA),
    )
    yield Target(
        "sizes in JBIG2",
        ("inspect.inspectors.jbig2.sizes",),
        refusing(lambda data: list(found("inspect.inspectors.jbig2.sizes")(data))),
        texts(
            bytes.fromhex("00000000 30 00 01 00000013 00000040 00000038 00000000 00000000 01 0000"), bytes(40)
        ),
    )
    yield Target("locks of uv", ("collect.universal.pylock.read_lock",), refusing(_lock), texts(_LOCK))
    yield Target(
        "scores of vulnerabilities",
        ("advisories.reading.epss_table",),
        refusing(_scores),
        texts(_EPSS, gzip.compress(_EPSS, mtime=0)),
    )
    yield Target(
        "versions",
        ("advisories.versions.key_of",),
        refusing(_versions),
        texts(b"1.0\n2.0.0-rc.1+b\n1:2.3~a-1\n1.0_rc1-r2\nv1.2.3\n1.0.dev1\n", b"1!2.post3\n0\n"),
    )
    yield Target(
        "package URLs",
        ("advisories.names.name_of_purl",),
        refusing(lambda data: found("advisories.names.name_of_purl")(data.decode("utf-8", "replace"))),
        texts(b"pkg:pypi/a@1?b=c#d/e", b"pkg:deb/debian/a@1%3A2?arch=amd64&distro=debian-12"),
    )
