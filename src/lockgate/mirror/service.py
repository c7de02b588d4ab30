"""The mirror's use case at the gate: every page that a snapshot needs to be served."""

from collections.abc import Sequence

from lockgate.core.snapshot import Admitted
from lockgate.mirror.errors import AmbiguousSnapshotError
from lockgate.mirror.pages import apt, conda, files, huggingface, npm, oci, pypi, rpm
from lockgate.mirror.pages.base import Page, ReadBlob


def generate_pages(admitted: Sequence[Admitted], read: ReadBlob) -> tuple[Page, ...]:
    """Return the pages of all protocols in the order of their paths.

    The same input always gives the same bytes, whatever its order: approvers sign them.

    Args:
        admitted: What the snapshot admits.
        read: Reads a blob by SHA-256; only files whose protocol wants another hash are read,
            each at most `huggingface.LFS_FROM` bytes long, and what is known of npm, Debian,
            RPM and conda packages.

    Raises:
        LayoutError: An artifact does not have the shape of its kind.
        AmbiguousSnapshotError: Two different things would have one address.

    """
    pages: dict[str, Page] = {}
    for protocol in (pypi, npm, huggingface, oci, apt, rpm, conda, files):
        for page in protocol.generate(admitted, read):
            if page.path in pages:
                what = f"Two pages would be called {page.path!r}."
                raise AmbiguousSnapshotError(what)
            pages[page.path] = page
    return tuple(pages[path] for path in sorted(pages))
