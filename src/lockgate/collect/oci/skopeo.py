"""The machine's own skopeo, with its own configuration: registries, credentials, signature policy."""

import re
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path

from lockgate.collect.errors import CollectLimitError, InstallerError, UnreachableError, UnresolvableError
from lockgate.collect.ports import Limits
from lockgate.core.errors import LockgateError

_LAYOUT_TAG = "lockgate"
_REASON = 400
_SECRETS = re.compile(r"(?<=://)[^/\s@]+@")
_MESSAGE = re.compile(r'msg="((?:[^"\\]|\\.)*)"')
_SIGNS: tuple[tuple[str, type[LockgateError]], ...] = (
    ("manifest unknown", UnresolvableError),
    ("name unknown", UnresolvableError),
    ("repository name not known", UnresolvableError),
    ("no such file or directory", UnresolvableError),
    ("no descriptor found", UnresolvableError),
    ("connection refused", UnreachableError),
    ("no such host", UnreachableError),
    ("network is unreachable", UnreachableError),
    ("i/o timeout", UnreachableError),
    ("unauthorized", UnreachableError),
    ("server gave HTTP response to HTTPS client", UnreachableError),
    ("x509", UnreachableError),
)


class ImageCopier(ABC):
    """Reads and copies images, from registries, archives and layouts."""

    @abstractmethod
    def raw(self, source: str, *, plain: bool = False) -> bytes:
        """Return the manifest or index of an image, byte for byte.

        Args:
            source: ``transport:reference``, as skopeo writes it.
            plain: Whether its registry may be reached without TLS.

        Raises:
            UnresolvableError: There is none.
            UnreachableError, InstallerError, CollectLimitError: The machine or its network.

        """

    @abstractmethod
    def copy(self, source: str, layout: Path, *, plain: bool = False, keep: bool = True) -> None:
        """Copy an image, with all that it lists, into an OCI layout.

        Args:
            source: As for `raw`.
            layout: The folder; content that it has already is not fetched again.
            plain: As for `raw`.
            keep: Whether every digest has to stay what it is.

        Raises:
            UnresolvableError, UnreachableError, InstallerError, CollectLimitError: As for `raw`.

        """


class Skopeo(ImageCopier):
    """skopeo in a child process."""

    def __init__(
        self, environ: Mapping[str, str], *, program: str = "skopeo", limits: Limits | None = None
    ) -> None:
        """Use a skopeo, with an environment that carries its configuration."""
        self._environ = dict(environ)
        self._program = program
        self._limits = limits or Limits()

    def raw(self, source: str, *, plain: bool = False) -> bytes:
        """Return the manifest with ``skopeo inspect --raw``."""
        return self._run(["inspect", "--raw", *_tls("tls", plain=plain), source])

    def copy(self, source: str, layout: Path, *, plain: bool = False, keep: bool = True) -> None:
        """Copy with ``skopeo copy --all --preserve-digests``."""
        options = ["--all", "--quiet", *(["--preserve-digests"] if keep else ["--format=oci"])]
        target = f"oci:{layout}:{_LAYOUT_TAG}"
        self._run(["copy", *options, *_tls("src-tls", plain=plain), source, target])

    def _run(self, arguments: Sequence[str]) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603  # a client that the caller names; arguments are a list
                [self._program, *arguments],
                env=self._environ,
                capture_output=True,
                stdin=subprocess.DEVNULL,
                timeout=self._limits.client_seconds,
                check=False,
            )
        except subprocess.TimeoutExpired:
            what = f"skopeo took longer than {self._limits.client_seconds} seconds."
            raise CollectLimitError(what, limit="client_seconds") from None
        except OSError as error:
            what = f"skopeo could not be started: {error.strerror}."
            raise InstallerError(what, advice="Install skopeo; images are copied by it.") from error
        if done.returncode != 0:
            raise blame(done.stderr.decode("utf-8", "replace"), done.returncode)
        return done.stdout


def blame(words: str, status: int) -> LockgateError:
    """Return the error that fits what skopeo said, with its own reason in one line."""
    kind = next((error for sign, error in _SIGNS if sign in words), InstallerError)
    said = _MESSAGE.findall(words) or [line for line in words.splitlines() if line.strip()]
    reason = _SECRETS.sub("", said[-1].replace('\\"', '"')) if said else f"it ended with status {status}"
    what = f"skopeo: {reason[:_REASON].rstrip('.')}."
    if kind is InstallerError:
        return kind(what, advice="Run the same copy with skopeo by hand and read its last message.")
    advice = "Check the image's name and tags with `skopeo list-tags`." if kind is UnresolvableError else None
    return kind(what, advice=advice)


def _tls(name: str, *, plain: bool) -> list[str]:
    return [f"--{name}-verify=false"] if plain else []
