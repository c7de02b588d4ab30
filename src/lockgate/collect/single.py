"""The manifest's tables for single files: pinned by their digest, some with a place where a library looks."""

import re
from typing import Annotated, ClassVar
from urllib.parse import unquote, urlsplit

import msgspec

from lockgate.collect.section import Label, Name, Section, Text
from lockgate.core.artifact import Digest
from lockgate.core.assets import place_of


class FileSection(Section, frozen=True):
    """A single file by path or address, pinned by its digest."""

    name: Name
    url: Text
    sha256: Digest
    version: Name | None = None
    licence: Text = "unknown"
    label: Label = "internal"

    EXAMPLE: ClassVar[str] = f"""
name = "driver"
url = "driver-1.0.run"
sha256 = "{"0" * 64}"
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        return f"The file {self.name} from {self.url}, if its SHA-256 is {self.sha256[:12]}…"

    def wants_files(self) -> tuple[str, ...]:
        """Return the file, where it is a local one."""
        return () if urlsplit(self.url).scheme else (self.url,)

    def __post_init__(self) -> None:
        """Refuse addresses of other kinds."""
        demand_address(self.url)


class AssetSection(FileSection, frozen=True, kw_only=True):
    """A file with a place where a library looks for it: vocabularies, data of NLTK, models of spaCy, drivers.

    `place` is ``tiktoken``, ``nltk/<category>``, ``spacy``, ``driver`` or
    ``osv-scanner/<ecosystem>`` (of its ``all.zip``). A vocabulary of tiktoken is looked
    for by the address that it comes from: `origin`, where `url` is another one.
    """

    place: Annotated[str, msgspec.Meta(pattern=r"^[a-z-]{1,16}(/[A-Za-z0-9._+-]{1,64})?\Z")]
    origin: Text | None = None

    EXAMPLE: ClassVar[str] = f"""
name = "punkt-tab"
place = "nltk/tokenizers"               # or tiktoken, spacy, driver, osv-scanner/ECOSYSTEM
url = "punkt_tab.zip"
sha256 = "{"0" * 64}"
"""

    def brings(self) -> str:
        """Return what a collection takes from this table."""
        return f"The file {self.name} from {self.url} for {self.place}, if its SHA-256 is {self.sha256[:12]}…"

    def __post_init__(self) -> None:
        """Refuse addresses of other kinds, and places that no library looks at."""
        demand_address(self.url)
        place_of(self.place, self.filename, self.asked_at)

    @property
    def filename(self) -> str:
        """Return the file's own name."""
        return unquote(urlsplit(self.url).path.rpartition("/")[2])

    @property
    def asked_at(self) -> str:
        """Return the address that a library would fetch it from."""
        return self.origin or self.url


def demand_address(text: str) -> None:
    """Refuse an address that is neither a path nor a ``file:`` or https one without user.

    Raises:
        ValueError: It is another one.

    """
    scheme = urlsplit(text).scheme if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", text) else ""
    if scheme not in {"", "file", "https"} or "@" in urlsplit(text).netloc:
        msg = f"{scheme or 'this'}: is not accepted; give a path, or a file: or https: address without user"
        raise ValueError(msg)
