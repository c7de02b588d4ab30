"""What a site grants: labels and roles to groups and single callers of its sources, and who is shut out.

An identity source says who somebody is; what that is worth here is the site's own decision, written by an
operator, and never taken from a source's word.
"""

from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from lockgate.core.errors import TooLargeError, about
from lockgate.core.wire import Document, decode, encode
from lockgate.infer.errors import GrantError, NotGrantedError
from lockgate.infer.identity.ports import GROUP_NAME_LIMIT, Found, Granting, Identity, Role, Source
from lockgate.infer.keys import replace_file

GRANTS_FORMAT = "lockgate-grants/1"
GRANTS_LIMIT = 8 << 20
"""Largest file of grants that is read, in bytes."""


class Holder(StrEnum):
    """To whom something is granted."""

    GROUP = "group"
    CALLER = "caller"


class Grant(Document, frozen=True):
    """Labels and roles of one group or caller of one source."""

    source: Source
    holder: Holder
    name: str
    labels: tuple[str, ...]
    roles: tuple[Role, ...]


class Grants(Document, frozen=True):
    """All grants, and the ids that are shut out whatever is granted."""

    format: str
    grants: tuple[Grant, ...] = ()
    shut_out: tuple[str, ...] = ()


NOTHING = Grants(format=GRANTS_FORMAT)
"""What a site grants before anybody decided anything."""


def grant(
    source: Source, holder: Holder, name: str, labels: Iterable[str], roles: Iterable[Role] = (Role.USER,)
) -> Grant:
    """Return a grant.

    Raises:
        GrantError: The name is empty, too long or does not print, or nothing is granted.

    """
    if not 1 <= len(name) <= GROUP_NAME_LIMIT or not name.isprintable():
        what = f"Nothing can be granted to {name[:80]!r}."
        raise GrantError(what)
    given = tuple(sorted(set(roles)))
    if not given:
        what = f"{name[:80]!r} would have no role."
        raise GrantError(what)
    return Grant(source=source, holder=holder, name=name, labels=tuple(sorted(set(labels))), roles=given)


class MemoryGrants(Granting):
    """Grants in memory: the double of `FileGrants`."""

    def __init__(self, grants: Grants | None = None) -> None:
        """Begin with some grants."""
        self._put(grants or NOTHING)

    def _put(self, grants: Grants) -> None:
        self.grants = grants
        self._by = {(each.source, each.holder, each.name): each for each in grants.grants}
        self._shut = frozenset(grants.shut_out)

    def granted(self, found: Found) -> Identity:
        """Return somebody with the labels and roles of all their groups and their own."""
        self._refresh()
        if found.id in self._shut:
            what = f"{found.id} is shut out."
            raise NotGrantedError(what)
        wanted = [(found.source, Holder.CALLER, found.subject)]
        wanted += [(found.source, Holder.GROUP, group) for group in found.groups]
        given = [one for key in wanted if (one := self._by.get(key)) is not None]
        if not given:
            what = f"{found.id} is known, and nothing is granted to it or its groups."
            raise NotGrantedError(what)
        labels = {label for one in given for label in one.labels}
        roles = frozenset(role.value for one in given for role in one.roles)
        return Identity(found.id, found.name, tuple(sorted(labels)), roles, found.source.value)

    def add(self, one: Grant) -> None:
        """Grant something, in place of what the same holder had."""
        self._refresh()
        kept = [each for each in self.grants.grants if _key(each) != _key(one)]
        self._write(
            Grants(
                format=GRANTS_FORMAT,
                grants=tuple(sorted([*kept, one], key=_key)),
                shut_out=self.grants.shut_out,
            )
        )

    def remove(self, source: Source, holder: Holder, name: str) -> None:
        """Take a grant away.

        Raises:
            GrantError: There is none.

        """
        self._refresh()
        kept = tuple(each for each in self.grants.grants if _key(each) != (source, holder, name))
        if len(kept) == len(self.grants.grants):
            what = f"Nothing is granted to the {holder.value} {name[:80]!r} of {source.value}."
            raise GrantError(what)
        self._write(Grants(format=GRANTS_FORMAT, grants=kept, shut_out=self.grants.shut_out))

    def shut(self, caller_id: str, *, out: bool) -> None:
        """Shut somebody out, or let them in again.

        Raises:
            GrantError: The id names no source, or nobody of this id is shut out.

        """
        self._refresh()
        source, _, subject = caller_id.partition(":")
        if source not in set(Source) or not subject:
            what = f"{caller_id[:80]!r} is no id such as `oidc:jane` or `ldap:jane`."
            raise GrantError(what)
        shut = set(self.grants.shut_out)
        if not out and caller_id not in shut:
            what = f"{caller_id[:80]!r} is not shut out."
            raise GrantError(what)
        shut = shut | {caller_id} if out else shut - {caller_id}
        self._write(Grants(format=GRANTS_FORMAT, grants=self.grants.grants, shut_out=tuple(sorted(shut))))

    def all(self) -> Grants:
        """Return everything that is granted."""
        self._refresh()
        return self.grants

    def _refresh(self) -> None:
        """Read anew what others changed; memory is nobody else's."""

    def _write(self, grants: Grants) -> None:
        self._put(grants)


def _key(one: Grant) -> tuple[Source, Holder, str]:
    return one.source, one.holder, one.name


class FileGrants(MemoryGrants):
    """Grants in one canonical file (mode 0600); changes by others are seen at once."""

    def __init__(self, path: Path) -> None:
        """Name the file; it may not exist yet."""
        super().__init__()
        self._path = path
        self._seen: tuple[int, int, int] | None = None

    def _refresh(self) -> None:
        """Read the file where it changed; one that cannot be read is an error, never an empty list."""
        try:
            state = self._path.stat()
        except FileNotFoundError:
            self._seen = None
            self._put(NOTHING)
            return
        seen = (state.st_ino, state.st_mtime_ns, state.st_size)
        if seen == self._seen:
            return
        if state.st_size > GRANTS_LIMIT:
            what = f"The file of grants has more than {GRANTS_LIMIT} bytes."
            raise TooLargeError(what, limit="grants_bytes")
        data = self._path.read_bytes()
        with about(self._path):
            self._put(decode(Grants, data, limit=GRANTS_LIMIT, name="The file of grants"))
        self._seen = seen

    def _write(self, grants: Grants) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(self._path, encode(grants))
        self._seen = None
