"""Environments as values, what uv is told, and what is picked out of a lock for many environments."""

import json
from pathlib import Path

import pytest
from packaging.markers import Marker

from lockgate.collect import parse_manifest
from lockgate.collect.errors import (
    IndexPinError,
    InstallerError,
    ManifestError,
    NoFileError,
    NotAWheelError,
    TargetError,
    UnresolvableError,
)
from lockgate.collect.pypi import section_scope
from lockgate.collect.universal import Described, Index, Scope
from lockgate.collect.universal.places import place
from lockgate.collect.universal.project import project_file
from lockgate.collect.universal.pylock import read_lock
from lockgate.collect.universal.settings import Machine
from lockgate.collect.universal.uv import blame

LINUX = place("3.12", "manylinux_2_28_x86_64")
WINDOWS = place("3.11", "win_amd64")
INNER = Index("internal", ("inner",), "https://inner.invalid/simple/")
HASH = "a" * 64
VCS = (
    '[[packages]]\nname = "a"\n'
    'vcs = { type = "git", url = "https://git.invalid/a", commit-id = "' + "0" * 40 + '" }'
)


@pytest.mark.parametrize(
    ("platform", "system", "machine", "first", "last"),
    [
        ("manylinux_2_28_aarch64", "linux", "aarch64", "manylinux_2_28_aarch64", "linux_aarch64"),
        ("musllinux_1_2_x86_64", "linux", "x86_64", "musllinux_1_2_x86_64", "linux_x86_64"),
        ("macosx_14_0_arm64", "darwin", "arm64", "macosx_14_0_arm64", "macosx_10_4_universal2"),
        ("win_arm64", "win32", "ARM64", "win_arm64", "win_arm64"),
    ],
)
def test_platforms_are_known_by_their_tag(platform, system, machine, first, last):
    found = place("3.13", platform)
    assert (found.system, found.machine) == (system, machine)
    assert (found.platforms[0], found.platforms[-1]) == (first, last)
    assert str(found.tags()[0]) == f"cp313-cp313-{first}"
    assert str(found.tags()[-1]) == "py30-none-any"


def test_the_machine_itself_is_a_platform_with_a_c_library():
    assert place("3.12", "").platform.startswith(("manylinux_2_", "musllinux_", "macosx_"))


@pytest.mark.parametrize(
    "platform", ["any", "solaris_11", "manylinux_3_1_x86_64", "macosx_14_0_ppc", "linux_x86_64"]
)
def test_other_platforms_are_refused(platform):
    with pytest.raises(TargetError):
        place("3.12", platform)


@pytest.mark.parametrize(
    ("marker", "linux", "windows"),
    [
        ("sys_platform == 'linux'", True, False),
        ("os_name == 'nt' and platform_system == 'Windows'", False, True),
        ("python_version >= '3.12'", True, False),
        ("python_full_version < '3.11.4'", False, True),
        ("python_full_version >= '3.12.4'", True, False),
        ("platform_machine == 'AMD64'", False, True),
        ("implementation_name == 'pypy'", False, False),
        ("platform_python_implementation == 'CPython'", True, True),
    ],
)
def test_markers_are_judged_for_the_environment_and_not_for_this_machine(marker, linux, windows):
    assert (LINUX.meets(Marker(marker)), WINDOWS.meets(Marker(marker))) == (linux, windows)


def lock(*packages, **more):
    head = {"lock-version": "1.0", "created-by": "uv", **more}
    lines = [f"{key} = {json.dumps(value)}" for key, value in head.items()]
    return "\n".join([*lines, *packages])


def package(name, version, *files, index="https://main.invalid/simple/", marker="", sdist=""):
    wheels = ", ".join(f'{{ url = "{f}", hashes = {{ sha256 = "{HASH}" }} }}' for f in files)
    text = f'[[packages]]\nname = "{name}"\nversion = "{version}"\nindex = "{index}"\n'
    text += f'marker = "{marker}"\n' if marker else ""
    text += f'sdist = {{ url = "{sdist}", size = 7, hashes = {{ sha256 = "{HASH}" }} }}\n' if sdist else ""
    return f"{text}wheels = [{wheels}]"


def scope(*places, indexes=(), sources=()):
    return Scope(("x",), places or (LINUX,), indexes, (), sources)


def test_only_what_an_environment_needs_is_picked():
    text = lock(
        package("a", "1", "https://f.invalid/a-1-py3-none-any.whl"),
        package("b", "1", "https://f.invalid/b-1-py3-none-any.whl", marker="sys_platform == 'win32'"),
        package(
            "c",
            "1+cu1",
            "https://f.invalid/c-1%2Bcu1-1-cp312-cp312-manylinux_2_28_x86_64.whl",
            "https://f.invalid/c-1%2Bcu1-2-cp312-cp312-manylinux_2_28_x86_64.whl",
            "https://f.invalid/c-1%2Bcu1-cp312-cp312-manylinux_2_17_x86_64.whl",
            index="file:///links",
        ),
    )
    found = read_lock(text, scope())
    assert [w.filename for w in found.wheels] == [
        "a-1-py3-none-any.whl",
        "c-1+cu1-2-cp312-cp312-manylinux_2_28_x86_64.whl",
    ]
    assert found.wheels[1].version == "1+cu1"
    assert found.pages == {"a": ("https://main.invalid/simple/a/",)}


def test_a_source_archive_is_picked_only_where_it_is_named_and_nothing_else_fits():
    text = lock(
        package(
            "a", "1", "https://f.invalid/a-1-cp311-cp311-win_amd64.whl", sdist="https://f.invalid/a-1.tar.gz"
        )
    )
    named = scope(LINUX, WINDOWS, sources=(Described("a"),))
    assert [w.filename for w in read_lock(text, named).wheels] == [
        "a-1-cp311-cp311-win_amd64.whl",
        "a-1.tar.gz",
    ]
    assert [w.filename for w in read_lock(text, scope(WINDOWS, sources=(Described("a"),))).wheels] == [
        "a-1-cp311-cp311-win_amd64.whl"
    ]
    with pytest.raises(NoFileError) as caught:
        read_lock(text, scope(LINUX, WINDOWS))
    assert caught.value.where == {"project": "a", "source_archive": "yes"}


@pytest.mark.parametrize(
    "index", ["https://main.invalid/simple/", "file:///links", "https://inner.invalid/simple/x"]
)
def test_a_pinned_project_from_elsewhere_is_refused_whatever_the_client_did(index):
    wheel = "https://f.invalid/inner-9-py3-none-any.whl"
    with pytest.raises(IndexPinError):
        read_lock(lock(package("inner", "9", wheel, index=index)), scope(indexes=(INNER,)))
    good = lock(package("inner", "9", wheel, index=INNER.url.rstrip("/")))
    assert len(read_lock(good, scope(indexes=(INNER,))).wheels) == 1


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[[packages", InstallerError),
        (lock() + "\nlock-version = 3", InstallerError),
        (lock(package("a", "1")), InstallerError),
        (lock(VCS), NotAWheelError),
        (lock(package("a", "1", "https://f.invalid/a-1.zip")), InstallerError),
        (lock(package("a", "1", sdist="https://f.invalid/a-1.zip")), NotAWheelError),
        (lock(package("a", "1", sdist="https://f.invalid/b-1.tar.gz")), InstallerError),
        (
            lock(package("a", "1", "https://f.invalid/a-1-py3-none-any.whl")).replace("sha256", "md5"),
            UnresolvableError,
        ),
        (lock(package("a", "1", "https://f.invalid/b-1-py3-none-any.whl")), InstallerError),
    ],
)
def test_other_locks_are_refused(text, error):
    with pytest.raises(error):
        read_lock(text, scope(sources=(Described("a"),)))


def test_pinned_projects_are_named_where_sources_count_and_values_are_only_values():
    hostile = Scope(
        ('a"\n[tool.uv]\n',), (LINUX, WINDOWS), (INNER,), ("links",), (Described("s", ("d; extra == 'x'",)),)
    )
    import tomllib

    found = tomllib.loads(project_file(hostile, "3.11", ["c<2"]))
    assert found["project"]["requires-python"] == ">=3.11"
    assert found["project"]["dependencies"] == ['a"\n[tool.uv]\n']
    assert found["dependency-groups"] == {"pinned": ["inner"]}
    uv = found["tool"]["uv"]
    assert uv["sources"] == {"inner": {"index": "internal"}}
    assert uv["index"] == [{"name": "internal", "url": INNER.url, "explicit": True}]
    assert uv["dependency-metadata"] == [
        {"name": "s", "requires-dist": ["d; extra == 'x'"], "provides-extra": ["x"]}
    ]
    assert uv["constraint-dependencies"] == ["c<2"]
    assert len(uv["environments"]) == 2


def test_uvs_own_configuration_names_indexes_and_pips_counts_where_it_is_silent(tmp_path):
    config = tmp_path / "uv" / "uv.toml"
    config.parent.mkdir()
    config.write_text('[[index]]\nname = "internal"\nurl = "https://file.invalid/"\n')
    home = {"XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    pip = {
        "index-url": "https://pip.invalid/",
        "extra-index-url": "https://more.invalid/",
        "proxy": "http://p.invalid",
    }
    pip |= {"cert": "ca.pem", "find-links": "one two", "no-index": "true"}
    wanted = Index("internal", ("inner",))
    assert Machine(home, pip).named(wanted).url == "https://file.invalid/"
    env = {**home, "UV_INDEX": "internal=https://env.invalid/ https://plain.invalid/"}
    assert Machine(env, pip).named(wanted).url == "https://env.invalid/"
    found = Machine(env, pip).environment(tmp_path, {"inner": wanted})
    assert found["UV_INDEX"] == "https://plain.invalid/"
    assert found["UV_DEFAULT_INDEX"] == "https://pip.invalid/"
    assert (found["SSL_CERT_FILE"], found["HTTPS_PROXY"]) == ("ca.pem", "http://p.invalid")
    silent = Machine({**home, "UV_NO_CONFIG": "1"}, pip)
    found = silent.environment(tmp_path, {})
    assert (found["UV_INDEX"], found["UV_INDEX_STRATEGY"]) == ("https://more.invalid/", "unsafe-best-match")
    assert "UV_NO_CONFIG" not in found
    assert Path(found["XDG_CONFIG_HOME"]).is_dir()
    assert (silent.no_index(), silent.find_links()) == (True, ("one", "two"))
    own = Machine({**home, "UV_DEFAULT_INDEX": "https://uv.invalid/"}, pip).environment(tmp_path, {})
    assert own["UV_DEFAULT_INDEX"] == "https://uv.invalid/"
    for index in (
        wanted,
        Index("internal", ("inner",), "https://u:p@x.invalid/"),
        Index("i", ("x",), "ftp://x.invalid/"),
    ):
        with pytest.raises(IndexPinError) as caught:
            silent.named(index)
        assert "u:p" not in str(caught.value)


def test_constraints_of_pip_are_kept_and_a_broken_file_is_named(tmp_path):
    file = tmp_path / "constraints.txt"
    file.write_text("# cap\na<2  # why\n--hash=x\nb @ https://x.invalid/b.whl\n")
    assert Machine({}, {"constraint": str(file)}).constraints() == ("a<2",)
    with pytest.raises(InstallerError):
        Machine({}, {"constraint": str(tmp_path / "absent")}).constraints()
    broken = tmp_path / "uv.toml"
    broken.write_text("[[")
    with pytest.raises(InstallerError):
        Machine({"UV_CONFIG_FILE": str(broken)}, {}).named(Index("i", ("x",)))


def test_what_uv_says_is_told_in_one_line_without_secrets():
    words = "Using CPython 3.11\nerror: Failed to fetch: `https://u:secret@x.invalid/`\n  cause: no\n"
    error = blame(words, 2)
    assert (error.code, error.what) == (
        "LG-5503",
        "uv: error: Failed to fetch: `https://x.invalid/` cause: no.",
    )
    assert blame("", 2).what == "uv: it ended with status 2."


@pytest.mark.parametrize(
    ("keys", "named"),
    [
        ("sdists = ['../a']", "invalid"),
        ("pythons = ['2.7']", "pythons"),
        ("[[python.index]]\nname = 'i'\npackages = []", "packages"),
        ("[[python.index]]\nname = 'i'\nurl = 'http://x.invalid/'\npackages = ['a']", "https:"),
        ("[[python.index]]\nname = 'i'\nurl = 'https://u:p@x.invalid/'\npackages = ['a']", "without user"),
        (
            "[[python.index]]\nname='i'\npackages = ['a_b']\n[[python.index]]\nname='j'\npackages = ['A.b']",
            "a-b is named twice",
        ),
        (
            "[[python.index]]\nname = 'i'\npackages = ['a']\n[[python.index]]\nname='i'\npackages = ['b']",
            "i is named twice",
        ),
    ],
)
def test_a_mistake_about_environments_is_named(keys, named):
    with pytest.raises(ManifestError) as caught:
        parse_manifest(f"[[python]]\nrequirements = ['x']\n{keys}".encode(), "m.toml")
    assert named in caught.value.what
    assert "u:p" not in str(caught.value)


def test_versions_are_those_of_both_keys():
    text = b"[[python]]\nrequirements = ['x']\npython = '3.11'\npythons = ['3.12', '3.11']"
    (section,) = parse_manifest(text).python
    scope = section_scope(section, Path(), offline=False)
    assert [p.python for p in scope.places] == ["3.11", "3.12"]
    assert section.brings().startswith("Wheels for Python 3.11, 3.12 on this platform")


def test_a_requirement_with_an_address_is_for_one_environment_alone():
    with pytest.raises(ManifestError):
        parse_manifest(b"[[python]]\nrequirements = ['x @ https://x.invalid/x.whl']\npythons = ['3.12']")
