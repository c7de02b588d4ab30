"""Keeps the books of one piece of content: which bytes are claimed, what was found."""

from typing import TYPE_CHECKING

import msgspec

from lockgate.core.verdict import Finding, Severity
from lockgate.inspect.limits import Budget, Limits, demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from lockgate.inspect.first_look import Seen

LABEL_LENGTH = 240
"""Longest place or reason that a finding carries, in characters."""

USES, USE_LENGTH = 512, 200
"""How many uses are told of one file, and the longest place of one, in characters."""

MORE_USES = "more than is told"
GAPS = 3
"""How many ranges that nobody claimed are told of one piece of content."""

SAME = 40
"""How many facts of one of the kinds in `_REPEATED` are told of one file; the rest is counted."""

_REPEATED = frozenset({
    "pickle-profile", "pdf-pages", "python-syntax", "html-script", "html-event", "text-bidi", "text-encoding",
    "tar-link", "text-escape", "text-invisible", "text-selectors", "text-tags", "text-zero-width",
    "type-mismatch",
})  # fmt: skip
"""Facts that a package may hold by the thousand and nobody reads one by one; none of them is about what runs
at an installation, and links that lead elsewhere have a severity. Only information counts here: the same code
with a severity is always told."""

SEPARATOR = "!"
"""Stands between a container and its member where a finding says where."""


def printable(text: str, length: int = LABEL_LENGTH) -> str:
    """Return a text fit for a terminal: hostile characters escaped, and never long."""
    if len(text) <= length and text.isprintable():
        return text
    safe = "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text[: length + 1]
    )
    return safe if len(safe) <= length else safe[: length - 1] + "…"


def nothing(_: str) -> bool:
    """Return that a package defines no such class: what holds outside of packages."""
    return False


class Context(msgspec.Struct, frozen=True):
    """Where a piece of content stands and what it may use.

    `name` is the path that its container gives it; `where` locates it for people; `package`
    says that it lies inside a package; `role` what part of one it is (`deb-control`, `deb-script`,
    `deb-data`, `oci-layer`); `profile` is what pickles may be read as; `own` tells whether a class
    (``package.module.Name``) is defined by the source of the package that it lies in; `site` names the
    classes of the site's own inspectors.
    """

    name: str
    kind: str
    limits: Limits
    budget: Budget
    inspect: "Callable[[memoryview, Context], Tally]"
    where: str = ""
    depth: int = 0
    package: bool = False
    profile: str = "auto"
    role: str = ""
    own: "Callable[[str], bool]" = nothing
    site: tuple[str, ...] = ()

    def member(
        self,
        name: str,
        *,
        package: bool = False,
        role: str | None = None,
        own: "Callable[[str], bool] | None" = None,
    ) -> "Context":
        """Return the context of a member.

        Raises:
            OverLimitError: Containers are nested too deep.

        """
        demand(self.depth + 1, self.limits.depth, "depth")
        label = printable(name)
        return msgspec.structs.replace(
            self,
            name=name,
            where=f"{self.where}{SEPARATOR}{label}" if self.where else label,
            depth=self.depth + 1,
            package=self.package or package,
            role=self.role if role is None else role,
            own=own or self.own,
        )


class Tally(msgspec.Struct):
    """Claims and findings of one piece of content and of everything inside it."""

    size: int
    where: str
    limit: int
    detected: str = "unknown"
    complete: bool = True
    findings: list[Finding] = msgspec.field(default_factory=list)
    opaque: set[str] = msgspec.field(default_factory=set)
    inspectors: set[str] = msgspec.field(default_factory=set)
    claims: list[tuple[int, int]] = msgspec.field(default_factory=list)
    texts: list[str] = msgspec.field(default_factory=list)
    """What a document says, where that is not its bytes; whoever looks for secrets reads it too."""
    uses: set[str] = msgspec.field(default_factory=set)
    requires: set[str] = msgspec.field(default_factory=set)
    same: dict[str, int] = msgspec.field(default_factory=dict)
    """How many facts of each kind in `_REPEATED` there were, told or not."""
    seen: "Seen | None" = None
    """Which rules match the content, where it is a text that they were tried on."""

    def need(self, what: str) -> None:
        """Keep what the package says that it needs; what is past the bound is not told, and marked so."""
        told = len(self.requires) < USES and len(what) <= USE_LENGTH
        self.requires.add(printable(what, USE_LENGTH) if told else MORE_USES)

    def use(self, kind: str) -> None:
        """Say that this content reaches outside of its program; past the bound that there is more."""
        if len(self.uses) < USES:
            self.uses.add(f"{kind} {printable(self.where, USE_LENGTH)}".rstrip())
        else:
            self.uses.add(MORE_USES)

    def claim(self, start: int, end: int) -> None:
        """Say that a validated parser accounts for the bytes from `start` up to `end`."""
        if 0 <= start < end <= self.size:
            self.claims.append((start, end))
        elif end > start:
            self.claims.append((max(0, start), min(end, self.size)))

    def claim_all(self) -> None:
        """Say that every byte is accounted for."""
        self.claim(0, self.size)

    def note(self, code: str, severity: Severity, why: str, at: int | None = None) -> None:
        """Keep a finding; past the limit on findings the content counts as unfinished."""
        place = self.where if at is None else f"{self.where}@{at}"
        found = Finding(code=code, severity=severity, where=printable(place), why=printable(why))
        if not self._again(found):
            self._keep(found)

    def _keep(self, found: Finding) -> bool:
        """Keep a finding where there is room; return whether there was."""
        room = len(self.findings) < self.limit
        if room:
            self.findings.append(found)
        else:
            self.complete = False
        return room

    def _again(self, found: Finding) -> bool:
        """Count a fact that repeats; return whether enough of its kind are told."""
        if found.severity is not Severity.INFO or found.code not in _REPEATED:
            return False
        count = self.same[found.code] = self.same.get(found.code, 0) + 1
        return count > SAME

    def tell_repeated(self) -> None:
        """Say once for each kind of fact that repeats how many there were."""
        for code, count in sorted(self.same.items()):
            if count > SAME:
                why = f"{count} of them altogether."
                self._keep(Finding(code=code, severity=Severity.INFO, where="", why=why))

    def unfinished(self, code: str, why: str, at: int | None = None) -> None:
        """Say that something was not understood: the file can no longer be clean or opaque."""
        self.note(code, Severity.INFO, why, at)
        self.complete = False

    def merged(self) -> list[tuple[int, int]]:
        """Return the claimed ranges, sorted and joined, and keep them so for whoever asks next."""
        if len(self.claims) == 1:
            return self.claims
        out: list[tuple[int, int]] = []
        for start, end in sorted(self.claims):
            if out and start <= out[-1][1]:
                out[-1] = (out[-1][0], max(end, out[-1][1]))
            else:
                out.append((start, end))
        self.claims = out
        return out

    def gaps(self) -> list[tuple[int, int]]:
        """Return the ranges that nobody claimed."""
        out: list[tuple[int, int]] = []
        at = 0
        for start, end in self.merged():
            if start > at:
                out.append((at, start))
            at = end
        if at < self.size:
            out.append((at, self.size))
        return out

    @property
    def covered(self) -> int:
        """Number of claimed bytes."""
        return sum(end - start for start, end in self.merged())

    @property
    def whole(self) -> bool:
        """Whether everything was understood and every byte is claimed."""
        return self.complete and (self.claims == [(0, self.size)] or self.covered == self.size)

    def absorb(self, member: "Tally") -> bool:
        """Take over what was found in a member; return whether it was wholly understood."""
        told = not member.findings or self._take(member)
        for code, count in member.same.items():
            self.same[code] = self.same.get(code, 0) + max(0, count - SAME)
        self.opaque |= member.opaque
        self.inspectors |= member.inspectors
        if member.uses:
            self.uses |= member.uses if len(self.uses) + len(member.uses) <= USES else {MORE_USES}
        whole = member.whole and told
        if not whole:
            self.complete = False
            for start, end in member.gaps()[:GAPS] if member.complete else ():
                self._tell_gap(member, start, end)
        return whole

    def _tell_gap(self, member: "Tally", start: int, end: int) -> None:
        """Say which bytes of a member nobody accounts for: its own reader found nothing amiss."""
        why = f"{end - start} bytes that no parser accounts for."
        self._keep(
            Finding(code="unclaimed", severity=Severity.INFO, where=f"{member.where}@{start}", why=why)
        )

    def _take(self, member: "Tally") -> bool:
        """Take over the findings of a member; return whether there was room for all."""
        kept = [found for found in member.findings if not self._again(found)]
        room = max(0, self.limit - len(self.findings))
        self.findings.extend(kept[:room])
        return len(kept) <= room
