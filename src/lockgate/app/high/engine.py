"""The engine: installed with pip from the site's own mirror, out of an admitted wheel."""

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from packaging.utils import canonicalize_name, canonicalize_version

from lockgate.app.high.channel import channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.digests import sha256, sha256_stream
from lockgate.core.errors import HostError, InputError
from lockgate.core.part_keys import project_of
from lockgate.core.parts import of_project, rest_of
from lockgate.core.snapshot import Admitted
from lockgate.infer.engines.installation import Installation, installed_files, wheel_files
from lockgate.infer.engines.vllm import EXECUTABLE, MODULE

INSTALL_SECONDS, WHOLE_SECONDS = 300, 3600
"""How long pip may take for one wheel, and for an engine with all that it depends on."""


class NoEngineError(InputError):
    """The snapshot has no package of the engine's name, or the configuration names none."""

    code = "LG-1f04"
    advice = "Name the engine's project under [engine] in lockgate.toml, and admit a crossing that brings it."


class EngineInstallError(HostError):
    """Pip could not install the engine from the mirror."""

    code = "LG-5f02"
    advice = "Check that the mirror runs (`lockgate high status`) and that this machine can run the wheel."


def engine_wheel(side: Side) -> tuple[Admitted, ArtifactFile]:
    """Return the admitted engine and its wheel.

    Raises:
        NoEngineError: None is named or admitted.

    """
    project = side.settings.engine.project
    verified = channel_reader(side, "engine").current()
    for admitted in sorted(of_project(verified.snapshot, project_of(project)), key=lambda a: -a.crossing):
        artifact = admitted.artifact
        if project and artifact.kind is Kind.PYTHON and artifact.name == project:
            for file in artifact.files:
                if file.role is Role.DISTRIBUTION:
                    return admitted, file
    what = f"The snapshot has no Python project {project!r}."
    raise NoEngineError(what)


def installation(side: Side) -> Installation:
    """Return where the engine is, or would be, and what its files must hash to."""
    admitted, wheel = engine_wheel(side)
    with blobs_of(side).open(wheel.sha256) as stream:
        files = wheel_files(stream)
    folder = side.home.runtime / f"{admitted.artifact.name}-{admitted.artifact.version}-{wheel.sha256[:12]}"
    executable = side.settings.engine.executable
    return Installation(root=folder, executable=executable, files=files, name=admitted.artifact.purl)


def environment(side: Side) -> Installation:
    """Return the environment that a Python engine is installed into, and what its files must hash to.

    Each project in it must be an admitted one: the digests are those that its admitted wheel lists.

    Raises:
        EngineInstallError: It is not installed, or holds a project that nobody admitted.

    """
    admitted, wheel = engine_wheel(side)
    root = side.home.runtime / f"{admitted.artifact.name}-{admitted.artifact.version}-{wheel.sha256[:12]}"
    wheels = _wheels(side)
    files: dict[str, str] = {}
    for info in sorted(root.glob("*.dist-info")):
        name, _, version = info.name.removesuffix(".dist-info").rpartition("-")
        key = (canonicalize_name(name), canonicalize_version(version))
        found = [listed for listed in wheels.get(key, ()) if _inside(listed, root)]
        if not found:
            what = f"The engine's environment has {info.name}, which nobody admitted in this form."
            raise EngineInstallError(what)
        files |= found[0]
    if not files:
        what = "The engine's environment is not installed."
        raise EngineInstallError(what)
    return Installation(
        root=root, executable=EXECUTABLE, files=files, name=admitted.artifact.purl, module=MODULE
    )


def _wheels(side: Side) -> dict[tuple[str, str], list[dict[str, str]]]:
    """Return the files of every admitted wheel, as they are installed, by project and version."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    blobs = blobs_of(side)
    for admitted in channel_reader(side, "engine").current().snapshot.admitted:
        artifact = admitted.artifact
        if artifact.kind is not Kind.PYTHON:
            continue
        key = (canonicalize_name(artifact.name), canonicalize_version(artifact.version))
        for file in artifact.files:
            if file.role is Role.DISTRIBUTION and file.path.endswith(".whl"):
                with blobs.open(file.sha256) as stream:
                    found.setdefault(key, []).append(installed_files(wheel_files(stream)))
    return found


def _inside(listed: Mapping[str, str], root: Path) -> bool:
    """Tell whether a wheel is the one that was installed: by its metadata, which names its build."""
    metadata = next((path for path in listed if path.endswith(".dist-info/WHEEL")), None)
    if metadata is None or not (root / metadata).is_file():
        return False
    return sha256((root / metadata).read_bytes()) == listed[metadata]


def program(side: Side) -> Installation:
    """Return the program of a folder that the settings name; each file in it must be an admitted one.

    Raises:
        NoEngineError: No folder or program is named, or nobody admitted a file of it.

    """
    section = side.settings.engine
    root = Path(section.folder)
    if not section.folder or not root.is_absolute() or not section.executable:
        raise NoEngineError("[engine] names no folder of an installed program, or no program in it.")
    digests = {
        file.sha256: admitted.artifact.purl
        for admitted in rest_of(channel_reader(side, "engine").current().snapshot).admitted
        if admitted.artifact.kind is Kind.FILE
        for file in admitted.artifact.files
    }
    files: dict[str, str] = {}
    for path in sorted(p for p in root.rglob("*") if p.is_file()):
        with path.open("rb") as stream:
            digest = sha256_stream(stream)[0]
        if digest not in digests:
            what = f"Nobody admitted {path.relative_to(root)} of the engine's folder."
            raise NoEngineError(what)
        files[path.relative_to(root).as_posix()] = digest
    if section.executable not in files:
        what = f"The engine's folder has no {section.executable}."
        raise NoEngineError(what)
    return Installation(root, section.executable, files, digests[files[section.executable]])


def install_engine(side: Side, index: str, options: Sequence[str] = ()) -> Path:
    """Install the admitted engine from the mirror into the runtime folder, once; return its folder.

    Args:
        side: The high side.
        index: Address of the mirror's simple index.
        options: Further options of pip.

    Raises:
        NoEngineError: None is admitted.
        EngineInstallError: Pip failed; nothing is left behind.

    """
    admitted, wheel = engine_wheel(side)
    target = installation(side).root
    if target.is_dir():
        return target
    whole = side.settings.engine.kind == "vllm"  # an engine in Python needs what it depends on
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    requirements = partial.with_suffix(".txt")
    digest = "" if whole else f" --hash=sha256:{wheel.sha256}"  # the mirror's pages have those of all others
    pinned = f"{admitted.artifact.name}=={admitted.artifact.version}{digest}\n"
    requirements.write_text(pinned)
    try:
        ran = subprocess.run(  # noqa: S603  # our own command line
            [
                *(
                    sys.executable,
                    "-m",
                    "pip",
                    "--isolated",
                    "install",
                    "--quiet",
                    "--no-compile",
                    "--only-binary=:all:",
                ),
                *(() if whole else ("--no-deps", "--require-hashes")),
                *("--no-cache-dir", "--disable-pip-version-check", "--index-url", index),
                *options,
                *("--target", str(partial), "--requirement", str(requirements)),
            ],
            capture_output=True,
            text=True,
            timeout=WHOLE_SECONDS if whole else INSTALL_SECONDS,
            check=False,
        )
        if ran.returncode:
            lines = [line for line in ran.stderr.splitlines() if line.strip()]
            what = (
                f"Pip could not install {pinned.split(maxsplit=1)[0]}: {lines[-1] if lines else 'no message'}"
            )
            raise EngineInstallError(what)
        partial.rename(target)
    finally:
        requirements.unlink(missing_ok=True)
        shutil.rmtree(partial, ignore_errors=True)
    return target
