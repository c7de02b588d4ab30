"""Requirement sets of Python: pip and uv install each from the mirrors; every wheel has to fit the host."""

import platform
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, canonicalize_version

from lockgate.app.rehearsal import missing
from lockgate.app.rehearsal.context import Context, Outcome, Trial, some
from lockgate.app.rehearsal.fit import best_platform, fits, uv_platform
from lockgate.collect.manifest import PythonSection
from lockgate.core.artifact import Kind, Role
from lockgate.core.rehearsal import Missing


class _Project(msgspec.Struct):
    name: str
    version: str


_listing = msgspec.json.Decoder(list[_Project])

_WHERE = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.base_prefix); print(sys.executable)"


def rehearse_python(context: Context) -> Iterator[Outcome]:
    """Yield what came of each ``[[python]]`` table."""
    for number, section in enumerate(context.manifest.content.python, 1):
        yield from _section(context, section, f"Python set {number} ({some(section.requirements)})")


def _section(context: Context, section: PythonSection, name: str) -> Iterator[Outcome]:
    wanted, beside = _minors(section, context.host.minors)
    for minor in beside:
        why = f'The set is not for Python {minor}; name it as python = "{minor}" in a table of its own.'
        yield Trial(context, f"{name} with Python {minor}").unproven(why)
    if not wanted:
        yield Trial(context, name).unproven("The host's profile names no Python that the set is for.")
    for minor in wanted:
        interpreter = interpreter_for(context, minor) if context.native else None
        lines = context.folder(f"python-{minor}") / "requirements.txt"
        lines.write_text("".join(f"{_line(each)}\n" for each in section.requirements))
        if interpreter is None:
            yield _resolved(context, lines, minor, name)
        else:
            yield from _installed(context, interpreter, lines, minor, name)


def _minors(section: PythonSection, known: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return for which of the host's Pythons a set is tried, and for which it was not collected."""
    if section.versions:
        return [each for each in section.versions if each in known], []
    here = ".".join(platform.python_version_tuple()[:2])  # what a set that names none is collected for
    return ([here], [each for each in known if each != here]) if here in known else (list(known), [])


def _line(requirement: str) -> str:
    """Return a requirement as it is asked for at the mirrors: one with an address by its name alone."""
    parsed = Requirement(requirement)
    return parsed.name if parsed.url else requirement


def interpreter_for(context: Context, minor: str) -> Path | None:
    """Return this machine's interpreter of a version, if it runs in the box."""
    named = sys.executable if minor == ".".join(platform.python_version_tuple()[:2]) else f"python{minor}"
    found = shutil.which(named)
    if found is None:
        return None
    ran = context.box.run(context.folder("probe"), [found, "-I", "-c", _WHERE])
    lines = ran.out.splitlines()
    return Path(lines[2]) if ran.well and lines[:1] == [minor] else None


def _installed(context: Context, interpreter: Path, lines: Path, minor: str, name: str) -> Iterator[Outcome]:
    """Install with pip and with uv, each into an environment of its own."""
    index, folder = f"{context.url}/simple/", lines.parent
    by_pip, by_uv = folder / "by-pip", folder / "by-uv"
    trial = Trial(context, f"{name}: pip, Python {minor}")
    ran = context.box.run(folder, [str(interpreter), "-m", "venv", str(by_pip)])
    if ran.well:
        words = ["-m", "pip", "install", "--no-cache-dir", "--no-color", "--progress-bar", "off"]
        ran = context.box.run(
            folder, [str(by_pip / "bin" / "python"), *words, "--index-url", index, "-r", str(lines)]
        )
        yield trial.of(ran)
        if ran.well:
            yield _fitting(context, folder, minor, name)
    else:
        yield trial.unproven(f"Python {minor} makes no environment here: {ran.reason}")
    trial = Trial(context, f"{name}: uv, Python {minor}")
    if _lacks_uv():
        yield trial.unproven("There is no uv here.")
        return
    ran = context.box.run(folder, ["uv", "venv", "--python", str(interpreter), str(by_uv)])
    if ran.well:
        words = ["pip", "install", "--no-cache", "--python", str(by_uv), "--index-url", index]
        words += _platform_words(context)
        ran = context.box.run(folder, ["uv", *words, "-r", str(lines)])
    yield trial.of(ran)


def _lacks_uv() -> bool:
    return shutil.which("uv") is None and not Path(sys.executable).with_name("uv").is_file()


def _platform_words(context: Context) -> list[str]:
    named = uv_platform(context.host)
    return ["--python-platform", named] if named else []


def _fitting(context: Context, folder: Path, minor: str, name: str) -> Outcome:
    """Compare what pip installed with what the host accepts: this machine may accept more than it."""
    trial = Trial(context, f"{name}: wheels for the host's C library and processor, Python {minor}")
    ran = context.box.run(
        folder, [str(folder / "by-pip" / "bin" / "python"), "-m", "pip", "list", "--format=json"]
    )
    if not ran.well:
        return trial.failed(ran.reason)
    try:
        installed = [(canonicalize_name(p.name), p.version) for p in _listing.decode(ran.out)]
    except msgspec.DecodeError as error:
        return trial.failed(f"pip's list of what it installed cannot be read: {error}.")
    if context.host.libc == "glibc" and not context.host.libc_version:
        return trial.unproven("The profile does not say which version of the C library the host has.")
    lost = [
        missing.wheel(project, version, minor, best_platform(context.host))
        for project, version in installed
        if (files := _files(context, project, version)) and not fits(files, context.host, minor)
    ]
    if lost:
        names = some([f"{each.name} {each.version}" for each in lost])
        return trial.failed(
            f"No file of these can be installed on {best_platform(context.host)}: {names}.", lost
        )
    return trial.passed()


def _files(context: Context, project: str, version: str) -> list[str]:
    """Return the names of the files that the lock has of a version of a project."""
    wanted = canonicalize_version(version)
    return [
        file.path.rpartition("/")[2]
        for artifact in context.artifacts(Kind.PYTHON)
        if canonicalize_name(artifact.name) == project and canonicalize_version(artifact.version) == wanted
        for file in artifact.files
        if file.role is Role.DISTRIBUTION
    ]


def _resolved(context: Context, lines: Path, minor: str, name: str) -> Outcome:
    """Resolve with uv for a Python or processor that this machine does not have; nothing is run."""
    trial = Trial(context, f"{name}: uv, resolved for Python {minor} on {context.host.architecture}")
    folder = lines.parent
    if _lacks_uv():
        return trial.unproven("There is no uv here.")
    words = ["pip", "compile", "--no-cache", "--no-header", "--python-version", minor]
    words += ["--index-url", f"{context.url}/simple/", "--only-binary", ":all:"]
    ran = context.box.run(folder, ["uv", *words, *_platform_words(context), str(lines)])
    if not ran.well:
        return trial.of(ran)
    lost = list(_unfitting(context, ran.out, minor))
    if lost:
        names = some([f"{each.name} {each.version}" for each in lost])
        return trial.failed(
            f"No file of these can be installed on {best_platform(context.host)}: {names}.", lost
        )
    why = f"there is no Python {minor} here" if context.native else f"this machine is {context.machine}"
    return trial.unproven(f"It resolves, and every project has a file that fits; nothing was run, for {why}.")


def _unfitting(context: Context, resolved: str, minor: str) -> Iterator[Missing]:
    for line in resolved.splitlines():
        project, pinned, version = line.partition("==")
        if not pinned or line.startswith((" ", "#")):
            continue
        version = version.partition(" ")[0].strip()
        if not fits(_files(context, canonicalize_name(project), version), context.host, minor):
            yield missing.wheel(canonicalize_name(project), version, minor, best_platform(context.host))
