"""Which role names which target: a delegation per ecosystem, hash bins where one grows large.

The top-level role delegates to one role per ecosystem; one with many targets delegates on to
hash bins (TAP 15, succinct roles), so that no file of metadata grows without bound and a change
touches one bin. The number of bins never shrinks: a name that was listed stays listed.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.metadata import DelegatedRole, Delegations, SuccinctRoles, Targets

from lockgate.trust.errors import UpdateMetadataError

ECOSYSTEMS = ("python", "models", "documents", "meta")
"""Ecosystems whose targets lie below a folder of that name."""

OTHERS = "files"
"""The role of every other target."""

BIN_TARGETS = 256
"""Targets that a bin is planned for."""

FLAT_TARGETS = 1024
"""Most targets that an ecosystem's own role lists before it delegates to bins."""

BITS_LIMIT = 12
"""Most bits of a bin's number: 4,096 bins an ecosystem."""

_EVERYTHING = list("0123456789abcdef")


@dataclass(frozen=True, slots=True)
class Branch:
    """One ecosystem: its role's name, its paths, and the bits of its bins (0: no bins)."""

    name: str
    paths: frozenset[str]
    bits: int

    def bins(self, keyid: str) -> SuccinctRoles | None:
        """Return the delegation to bins, or None when the role lists its targets itself."""
        return SuccinctRoles([keyid], 1, self.bits, self.name) if self.bits else None


def bits_for(count: int) -> int:
    """Return how many bits of bin number a count of targets needs.

    Raises:
        UpdateMetadataError: More targets than the largest number of bins is planned for.

    """
    if count <= FLAT_TARGETS:
        return 0
    bits = (-(-count // BIN_TARGETS) - 1).bit_length()
    if bits > BITS_LIMIT:
        what = f"{count} targets are more than {1 << BITS_LIMIT} bins are planned for."
        raise UpdateMetadataError(what, limit="bins")
    return bits


def branches(paths: Mapping[str, object], before: Mapping[str, int]) -> list[Branch]:
    """Return every ecosystem's branch, in the order of delegation.

    Args:
        paths: All targets by path.
        before: Bits of bin number that each ecosystem had; they are never undercut.

    """
    sorted_out: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        first = path.partition("/")[0]
        sorted_out[first if first in ECOSYSTEMS and "/" in path else OTHERS].add(path)
    return [
        Branch(name, frozenset(found), max(bits_for(len(found)), before.get(name, 0)))
        for name in (*ECOSYSTEMS, OTHERS)
        for found in (sorted_out[name],)
    ]


def delegation(branch: Branch, keyid: str) -> DelegatedRole:
    """Return the top-level role's delegation to an ecosystem.

    A pattern matches paths of its own depth alone (TUF specification, section 4.5), so there is
    one for each depth that occurs. Only an ecosystem's own role may name what lies in its folder.
    """
    if branch.name == OTHERS:
        return DelegatedRole(OTHERS, [keyid], 1, terminating=True, path_hash_prefixes=_EVERYTHING)
    depths = sorted({path.count("/") for path in branch.paths} | {1})
    patterns = ["/".join([branch.name, *"*" * depth]) for depth in depths]
    return DelegatedRole(branch.name, [keyid], 1, terminating=True, paths=patterns)


def known_bits(role: Targets) -> int:
    """Return how many bits of bin number a role's delegation has; 0 without bins."""
    delegations: Delegations | None = role.delegations
    if delegations is None or delegations.succinct_roles is None:
        return 0
    return delegations.succinct_roles.bit_length
