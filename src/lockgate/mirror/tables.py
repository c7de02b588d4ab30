"""From a snapshot to what every address answers, built once per snapshot.

Of a snapshot that is one document this is a table of everything. Of one in parts it is look-ups: each reads
the few parts that the address leads to (`pages.parted` for Python projects, `spread` for everything else).
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from lockgate.core.parts import Parts, SnapshotPart, parts_of, rest_of
from lockgate.core.snapshot import Snapshot
from lockgate.core.statement import Statement
from lockgate.mirror import serving
from lockgate.mirror.entries import Entry, Images, Simple, Table
from lockgate.mirror.pages.npmlists import SEARCH
from lockgate.mirror.pages.oci import aliases
from lockgate.mirror.pages.parted import PartedMapping, project_of_address
from lockgate.mirror.serving import WholePages
from lockgate.mirror.signed import SignedRepository
from lockgate.mirror.spread.lookups import Lookups
from lockgate.mirror.spread.tables import spread_table

AT_ONCE = 512
"""How many parts at most are surveyed within a switch; more are when somebody needs it."""


def build_table(
    statement: Statement,
    snapshot: Snapshot,
    repository: SignedRepository | None = None,
    before: Table | None = None,
) -> Table:
    """Return the table of a verified snapshot.

    Args:
        statement: What publishes the snapshot.
        snapshot: What is served.
        repository: What the gate signed of it for clients of package repositories, verified.
        before: The table that was served before: what is known of parts that both have is taken over.

    Raises:
        AmbiguousSnapshotError: Two pages under one path, a page without its other form, or an
            artifact without its pages.
        LayoutError: An artifact that its protocol cannot serve.

    """
    parts = parts_of(snapshot)
    if parts is not None and parts.index.spread:
        known = before.lookups if before else None
        lookups = Lookups(parts, known)
        if known is not None and known.survey.done and lookups.survey.unseen <= AT_ONCE:
            _ = lookups.survey.result  # so few parts differ that nobody has to wait for it afterwards
        found = spread_table(statement, snapshot, repository, lookups)
    else:
        found = _whole_table(statement, snapshot, repository)
    if parts is None:
        return found
    return replace(found, projects=_parted_projects(parts), packages=_parted_packages(parts))


def _whole_table(statement: Statement, whole: Snapshot, repository: SignedRepository | None) -> Table:
    snapshot = rest_of(whole)
    admitted, pages = snapshot.admitted, WholePages(snapshot.generated)
    images = serving.images(admitted, pages)
    return Table(
        statement=statement,
        created=snapshot.created,
        index=pages.simple("simple"),
        projects=MappingProxyType(serving.projects(admitted, pages)),
        packages=MappingProxyType(serving.packages(admitted)),
        models=MappingProxyType(serving.models(admitted, pages)),
        images=Images(MappingProxyType(images), MappingProxyType(aliases(images))),
        files=MappingProxyType(serving.files(admitted, pages)),
        npm=MappingProxyType(serving.npm_packages(admitted, pages)),
        npm_search=pages.find(SEARCH),
        apt=serving.debs(admitted, pages),
        rpm=serving.rpms(admitted, pages),
        conda=MappingProxyType(serving.condas(admitted, pages)),
        git=MappingProxyType(serving.gits(admitted)),
        snapshot=whole,
        repository=repository,
    )


def _parted_projects(parts: Parts) -> Mapping[str, Simple]:
    return PartedMapping(parts, str, _projects_of, lambda part: len(part.projects))


def _parted_packages(parts: Parts) -> Mapping[str, Entry]:
    return PartedMapping(parts, project_of_address, lambda part: serving.packages(part.admitted))


def _projects_of(part: SnapshotPart) -> Mapping[str, Simple]:
    return serving.projects(part.admitted, WholePages(part.generated))
