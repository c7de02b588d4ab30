"""Python packages on their whole way: locked by uv, crossed, served, installed by pip and uv.

The upstream is another Lockgate's mirror: what the far side serves is byte for byte what this one does.
"""

import json
import sys

import pytest

from corpora.builds import BUILDER, MADE
from corpora.mirrorserver import Server
from corpora.mirrorsite import MirrorSite
from corpora.wheels import build_wheel
from corpora.wholeway import WholeWay
from lockgate.core.artifact import Kind

PORT = 8750
PIP = (sys.executable, "-m", "pip", "--isolated", "--no-input")
LEAF = build_wheel("leaf", "2.0")
LOCAL = build_wheel("inner", "1.0+cu121")
TREE = build_wheel("tree", "1.0", requires=("inner", "leaf"))
MANIFEST = """
[[python]]
requirements = ["tree", "made"]
pythons = ["3.11", "3.12"]
platforms = ["manylinux_2_28_x86_64", "win_amd64"]
sdists = ["made"]
[[python.index]]
name = "internal"
packages = ["inner"]
"""

pytestmark = pytest.mark.slow


@pytest.fixture
def upstream(tmp_path):
    site = MirrorSite(tmp_path / "upstream")
    for name, file in (
        ("tree", TREE),
        ("leaf", LEAF),
        ("tiny-builder", BUILDER),
        ("made", MADE),
        ("inner", LOCAL),
    ):
        site.add_wheels(
            name, file.filename.split("-")[1].removesuffix(".tar.gz"), file, metadata=file is not MADE
        )
    site.publish()
    with Server(site) as running:
        yield running


def files(upstream, url, project):
    """Return the digests that a mirror lists for a project, by file name."""
    accept = "Accept: application/vnd.pypi.simple.v1+json"
    page = json.loads(upstream.run("curl", "-sf", "-H", accept, f"{url}/simple/{project}/").stdout)
    return {file["filename"]: file["hashes"]["sha256"] for file in page["files"]}, page["meta"].get("tracks")


def test_wheels_and_source_archives_cross_and_are_installed(upstream, tmp_path):
    way = WholeWay(upstream, tmp_path)
    way.manifest.write_text(MANIFEST)
    internal = {"UV_INDEX": f"internal={upstream.url}/simple/", "UV_CACHE_DIR": str(tmp_path / "cache")}
    planned = ("--home", way.lane.low, "--update", "--dry-run", "--json")
    foreseen = json.loads(way.lockgate("collect", way.manifest, *planned, **internal))["foreseen"]
    told = {one["name"]: one for one in foreseen}
    assert (told["inner"]["now"], told["inner"]["size"]) == (["1.0+cu121"], len(LOCAL.data))
    assert told["made"]["warnings"] == ["runs a script at installation, for the first time"]
    admitted = way.cross(MANIFEST, Kind.PYTHON, **internal)
    assert set(admitted) == {
        "pkg:pypi/inner@1.0%2Bcu121",
        "pkg:pypi/leaf@2.0",
        "pkg:pypi/made@1.0",
        "pkg:pypi/tiny-builder@1.0",
        "pkg:pypi/tree@1.0",
    }
    with way.serving(PORT) as url:
        for project in ("inner", "leaf", "made", "tiny-builder", "tree"):
            here, tracks = files(upstream, url, project)
            assert here == files(upstream, upstream.url, project)[0]
            assert tracks == [f"{upstream.url}/simple/{project}/"]
        wanted = ("tree", "made", "inner==1.0+cu121")
        index = ("--index-url", f"{url}/simple/", "--no-cache-dir")
        uv = ("--python", sys.executable, "--no-cache", "--target", str(tmp_path / "uv"))
        upstream.run(*PIP, "install", *wanted, "--target", str(tmp_path / "pip"), *index)
        upstream.run("uv", "pip", "install", *uv, *wanted, UV_DEFAULT_INDEX=f"{url}/simple/")
        for name in ("pip", "uv"):
            assert (tmp_path / name / "made.py").is_file()
            assert (tmp_path / name / "inner-1.0+cu121.dist-info").is_dir()
