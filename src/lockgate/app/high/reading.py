"""Who may read the mirrors: the gateway's API keys and their labels, as the settings say."""

from typing import TYPE_CHECKING

from lockgate.app.high.internal import drop_folder
from lockgate.app.settings import SettingsError, Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log
from lockgate.infer.errors import BadApiKeyError
from lockgate.infer.keys import FileKeys, authenticate
from lockgate.mirror import Caller, Callers

if TYPE_CHECKING:
    from lockgate.mirror import Access
    from lockgate.mirror.serve_upload import Door

OPEN = "open"


class KeyCallers(Callers):
    """The API keys of a side; a key that is removed counts no more at once."""

    def __init__(self, side: Side) -> None:
        """Name the file of the keys."""
        self._keys = FileKeys(side.home.trust / "api-keys.json")

    def find(self, secret: str) -> Caller | None:
        """Return whose key it is."""
        try:
            key = authenticate(f"Bearer {secret}", self._keys)
        except BadApiKeyError:
            return None
        return Caller(key.name, frozenset(key.labels))


def door_of(side: Side) -> "Door | None":
    """Return where clients upload Python projects; None where no name is open."""
    from lockgate.mirror.serve_upload import Door  # noqa: PLC0415  # servers alone need it

    words = tuple(side.settings.serve.open_projects.split())
    if not words:
        return None
    log = audit_log(side)
    log.outcome(log.intent("uploads open", projects=list(words)), "done")
    return Door(words, KeyCallers(side), drop_folder(side), side.settings.serve.push_bytes, log)


def access_of(side: Side) -> "Access | None":
    """Return the rules of reading; None where everybody may read everything.

    Raises:
        SettingsError: A rule cannot be read.

    """
    from lockgate.mirror import Access  # noqa: PLC0415  # servers alone need it

    serve = side.settings.serve
    if serve.mirror_access == OPEN:
        return None
    rules = []
    for word in serve.namespace_labels.split():
        start, _, label = word.rpartition("=")
        if not start.startswith("pkg:") or not label:
            what = f"{word[:80]!r} names no beginning of package URLs with a label."
            advice = "Write it as `pkg:npm/%40team/=restricted`, with spaces between several."
            raise SettingsError(what, key="serve.namespace_labels", advice=advice)
        rules.append((start, label))
    anonymous = frozenset(serve.anonymous_labels.split())
    return Access(KeyCallers(side), anonymous, tuple(rules), blobs_of(side).read)
