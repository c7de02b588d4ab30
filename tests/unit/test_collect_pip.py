"""The pip adapter: what it asks of pip, and how it reads what pip says."""

import platform
import sys
from pathlib import Path

import pytest

from collect_doubles import make_wheel, pip_environment
from corpora.processes import demand_ended
from lockgate.collect import Limits, PipPackages
from lockgate.collect.errors import (
    CollectLimitError,
    DigestMismatchError,
    DiskFullError,
    InstallerError,
    NotAWheelError,
    TargetError,
    UnreachableError,
    UnresolvableError,
)
from lockgate.collect.pip import platform_tags, read_config
from lockgate.collect.ports import Request, Target
from lockgate.collect.runner import Run, blame, run

MACHINE = platform.machine()


def offer(folder: Path, *wheels: tuple[str, bytes]) -> str:
    folder.mkdir(exist_ok=True)
    for name, data in wheels:
        (folder / name).write_bytes(data)
    return str(folder)


def work(tmp_path: Path, name: str = "work") -> Path:
    (tmp_path / name).mkdir()
    return tmp_path / name


def test_settings_have_their_rank() -> None:
    text = (
        ":env:.cert='from-env'\nglobal.cert='from-file'\ninstall.timeout='9'\nglobal.timeout='5'\n"
        "global.broken=(\nglobal.number=3\nfreeze.timeout='1'\nnonsense\n"
    )
    assert read_config(text) == {"cert": "from-env", "timeout": "9"}


def test_pips_own_settings_reach_the_web(tmp_path: Path) -> None:
    config = tmp_path / "pip.conf"
    config.write_text("[global]\ncert = bundle.pem\nproxy = http://proxy.invalid:3128\ntimeout = 7\n")
    settings = PipPackages(pip_environment(PIP_CONFIG_FILE=str(config))).web_settings()
    assert (settings.authorities, settings.proxy, settings.timeout) == (
        "bundle.pem",
        "http://proxy.invalid:3128",
        7.0,
    )
    other = PipPackages(pip_environment(REQUESTS_CA_BUNDLE="env.pem")).web_settings()
    assert (other.authorities, other.timeout) == ("env.pem", 60.0)


def test_platforms_accept_what_is_older() -> None:
    tags = platform_tags(Target(platform=f"manylinux_2_18_{MACHINE}"))
    assert tags[:3] == (f"manylinux_2_18_{MACHINE}", f"manylinux_2_17_{MACHINE}", f"manylinux2014_{MACHINE}")
    assert tags[-2:] == (f"manylinux1_{MACHINE}", f"linux_{MACHINE}")
    assert platform_tags(Target()) == ()


@pytest.mark.parametrize("name", ["win_amd64", "manylinux_2_28_sparc", "any"])
def test_other_machines_are_not_pretended(name: str) -> None:
    with pytest.raises(TargetError):
        platform_tags(Target(platform=name))


def test_a_python_that_is_not_here_is_not_pretended(tmp_path: Path) -> None:
    pip = PipPackages(pip_environment(PATH=str(tmp_path)))
    request = Request(("thing",), Target(python="3.99"))
    with pytest.raises(TargetError) as caught:
        pip.resolve(request, work(tmp_path), lambda _: None)
    assert caught.value.where["python"] == "3.99"


def test_another_interpreter_judges_the_markers(tmp_path: Path) -> None:
    other = tmp_path / "python3.98"
    other.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/asked\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    links = offer(tmp_path / "links", make_wheel("thing", "1.0"))
    pip = PipPackages(pip_environment(PATH=f"{tmp_path}:/usr/bin:/bin"))
    request = Request(("thing",), Target(python="3.98"), find_links=(links,), offline=True)
    assert pip.resolve(request, work(tmp_path), lambda _: None).wheels[0].project == "thing"
    assert "install --dry-run" in (tmp_path / "asked").read_text()


def test_wheels_for_an_older_platform(tmp_path: Path) -> None:
    name, data = make_wheel("thing", "1.0")
    newer, older = (name.replace("-any", f"-manylinux_2_{n}_{MACHINE}") for n in (34, 17))
    links = offer(tmp_path / "links", (newer, data), (older, data))
    request = Request(
        ("thing",), Target(platform=f"manylinux_2_28_{MACHINE}"), find_links=(links,), offline=True
    )
    pip = PipPackages(pip_environment())
    found = pip.resolve(request, work(tmp_path), lambda _: None)
    assert [w.filename for w in found.wheels] == [older]
    paths = pip.download(request, found.wheels, work(tmp_path, "again"), lambda _: None)
    assert paths[found.wheels[0].sha256].read_bytes() == data


def test_conflicts_are_told_in_one_line(tmp_path: Path) -> None:
    links = offer(
        tmp_path / "links",
        make_wheel("thing", "1.0", requires=["other==2"]),
        make_wheel("other", "1"),
        make_wheel("other", "2"),
    )
    request = Request(("thing", "other==1"), find_links=(links,), offline=True)
    with pytest.raises(UnresolvableError) as caught:
        PipPackages(pip_environment()).resolve(request, work(tmp_path), lambda _: None)
    assert "conflicting" in caught.value.what
    assert "\n" not in caught.value.what


def test_the_report_is_bounded_and_understood(tmp_path: Path) -> None:
    links = offer(tmp_path / "links", make_wheel("thing", "1.0"))
    request = Request(("thing",), find_links=(links,), offline=True)
    with pytest.raises(CollectLimitError):
        PipPackages(pip_environment(), limits=Limits(report_bytes=10)).resolve(
            request, work(tmp_path), lambda _: None
        )
    pip = PipPackages(pip_environment())
    item = '{"download_info":{"url":"%s"%s},"metadata":{"name":"thing","version":"1.0"}}'
    digest = ',"archive_info":{"hashes":{"sha256":"%s"}}' % ("a" * 64)
    thing = "f:///thing-1.0-py3-none-any.whl"

    def report(url: str, more: str = digest) -> bytes:
        return f'{{"version":"1","install":[{item % (url, more)}]}}'.encode()

    for text, error in (
        (b"{", InstallerError),
        (b'{"version":"2","install":[]}', InstallerError),
        (report("f:///thing-1.0.tar.gz"), NotAWheelError),
        (report("f:///o-1-py3-none-any.whl"), NotAWheelError),
        (report(thing, ""), UnresolvableError),
    ):
        with pytest.raises(error):
            pip._wheels(text)
    with pytest.raises(CollectLimitError):
        PipPackages({}, limits=Limits(wheels=0))._wheels(report(thing))


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("ERROR: No matching distribution found for x", UnresolvableError),
        (
            "WARNING: Retrying (total=1) at https://u:pw@x.invalid/\nERROR: No matching",
            UnreachableError,
        ),
        ("ERROR: THESE PACKAGES DO NOT MATCH THE HASHES FROM THE FILE", DigestMismatchError),
        ("ERROR: [Errno 28] No space left on device", DiskFullError),
        ("/bin/python: No module named pip", InstallerError),
        ("Traceback\n  something else", InstallerError),
        ("", InstallerError),
    ],
)
def test_blame_goes_where_it_belongs(words: str, error: type[Exception]) -> None:
    found = blame(words, 1)
    assert type(found) is error
    assert "pw" not in str(found)
    assert "\n" not in found.what


def test_a_run_ends_in_time_and_leaves_no_child(tmp_path: Path) -> None:
    note = tmp_path / "child"
    code = (
        "import pathlib, subprocess, sys\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        f"pathlib.Path({str(note)!r}).write_text(str(child.pid))\n"
        "child.wait()\n"
    )
    with pytest.raises(CollectLimitError) as caught:
        run(Run([sys.executable, "-c", code], {}, tmp_path, 3), lambda _: None)
    assert caught.value.where["limit"] == "client_seconds"
    demand_ended(int(note.read_text()))


def test_arriving_bytes_are_told(tmp_path: Path) -> None:
    go = tmp_path / "go"
    code = (
        "import os, pathlib, time\n"
        "pathlib.Path(os.environ['TMPDIR'], 'a.whl').write_bytes(bytes(1234))\n"
        f"while not os.path.exists({str(go)!r}): time.sleep(0.01)\n"
    )
    told: list[int] = []

    def seen(count: int) -> None:
        told.append(count)
        go.touch()

    run(Run([sys.executable, "-c", code], {}, tmp_path, 60), seen)
    assert told == [1234]


def test_a_client_that_is_missing_is_named(tmp_path: Path) -> None:
    pip = PipPackages({}, python=str(tmp_path / "absent"))
    with pytest.raises(InstallerError):
        pip.web_settings()
    with pytest.raises(InstallerError):
        pip.resolve(Request(("x",)), work(tmp_path), lambda _: None)
    bare = tmp_path / "bare"
    bare.write_text("#!/bin/sh\necho 'No module named pip' >&2; exit 1\n")
    bare.chmod(0o755)
    with pytest.raises(InstallerError):
        PipPackages({}, python=str(bare)).web_settings()
    bare.write_text("#!/bin/sh\nexit 0\n")
    with pytest.raises(InstallerError):
        PipPackages({}, python=str(bare)).resolve(Request(("x",)), work(tmp_path, "w2"), lambda _: None)
