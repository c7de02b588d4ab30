"""In-memory doubles of both ports, with the same contract as the adapters."""

import hashlib
import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lockgate.collect.errors import DigestMismatchError, UnreachableError, UnresolvableError
from lockgate.collect.ports import Packages, Request, Resolution, Web, Wheel
from lockgate.collect.web import shown
from lockgate.collect.wheels import split_filename


class MemoryPackages(Packages):
    """Wheels in a dictionary: the highest version that meets a requirement, no dependencies."""

    def __init__(
        self, wheels: Mapping[str, bytes], pages: Mapping[str, tuple[str, ...]] | None = None
    ) -> None:
        """Offer wheels by file name."""
        self.wheels = dict(wheels)
        self.pages = dict(pages or {})
        self.downloaded: list[str] = []

    def resolve(
        self,
        request: Request,
        work: Path,  # noqa: ARG002  # needs no folder
        seen: Callable[[int], None],  # noqa: ARG002  # nothing arrives
    ) -> Resolution:
        """Return the best wheel for each requirement."""
        return Resolution(tuple(self._best(text) for text in request.requirements), self.pages)

    def download(
        self,
        request: Request,  # noqa: ARG002  # sources are all here
        wheels: tuple[Wheel, ...],
        work: Path,
        seen: Callable[[int], None],
    ) -> Mapping[str, Path]:
        """Write the wheels as files."""
        paths = {}
        for wheel in wheels:
            data = self.wheels[wheel.filename]
            if hashlib.sha256(data).hexdigest() != wheel.sha256:
                what = f"{wheel.filename} does not match its hash."
                raise DigestMismatchError(what)
            paths[wheel.sha256] = work / wheel.filename
            paths[wheel.sha256].write_bytes(data)
            self.downloaded.append(wheel.filename)
            seen(len(data))
        return paths

    def _best(self, text: str) -> Wheel:
        wanted = Requirement(text)
        name = canonicalize_name(wanted.name)
        found = [(split_filename(filename), filename) for filename in self.wheels]
        fitting = sorted((v, f) for (n, v), f in found if n == name and wanted.specifier.contains(v))
        if not fitting:
            what = f"No matching distribution found for {text}."
            raise UnresolvableError(what)
        version, filename = fitting[-1]
        digest = hashlib.sha256(self.wheels[filename]).hexdigest()
        return Wheel(name, version, filename, f"memory:{filename}", digest)


class MemoryWeb(Web):
    """Answers in a dictionary: media type and body by address."""

    def __init__(self, answers: Mapping[str, tuple[str, bytes]] | None = None) -> None:
        """Offer answers; every other address does not answer."""
        self.answers = dict(answers or {})
        self.asked: list[str] = []

    @contextmanager
    def open(self, url: str, accept: str = "*/*") -> Iterator[tuple[str, BinaryIO]]:  # noqa: ARG002  # one form each
        """Return the answer kept for an address."""
        self.asked.append(url)
        if url not in self.answers:
            what = "A source does not answer: not found."
            raise UnreachableError(what, url=shown(url))
        kind, body = self.answers[url]
        yield kind, io.BytesIO(body)
