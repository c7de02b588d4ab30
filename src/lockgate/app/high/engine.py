"""The engine: installed with pip from the site's own mirror, out of an admitted wheel."""

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from lockgate.app.high.serving import channel_reader
from lockgate.app.settings import Side
from lockgate.app.stores import blobs_of
from lockgate.core.artifact import ArtifactFile, Kind, Role
from lockgate.core.errors import HostError, InputError
from lockgate.core.snapshot import Admitted
from lockgate.infer.installation import Installation, wheel_files

INSTALL_SECONDS = 300


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
    for admitted in sorted(verified.snapshot.admitted, key=lambda a: -a.crossing):
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
    partial = target.with_name(target.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    requirements = partial.with_suffix(".txt")
    pinned = f"{admitted.artifact.name}=={admitted.artifact.version} --hash=sha256:{wheel.sha256}\n"
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
                    "--no-deps",
                    "--no-compile",
                ),
                *("--no-cache-dir", "--disable-pip-version-check", "--require-hashes", "--index-url", index),
                *options,
                *("--target", str(partial), "--requirement", str(requirements)),
            ],
            capture_output=True,
            text=True,
            timeout=INSTALL_SECONDS,
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
