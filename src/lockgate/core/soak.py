"""Soaking: what a snapshot must show on ``candidate`` before ``stable`` may take it. Pure decisions.

Canary hosts serve themselves from ``candidate`` and sign what they saw. Each has a key of its own in the
site root, so that one host counts once.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Annotated

import msgspec

from lockgate.core.artifact import Digest
from lockgate.core.wire import Document, Moment

CANDIDATE, STABLE = "candidate", "stable"
"""The channel in which a snapshot is tried, and the one that everybody is served from."""

HEALTH_FORMAT = "lockgate-health/1"
HEALTH_TYPE = "application/vnd.lockgate.health+json"
"""DSSE payload type of a canary host's report."""

CheckName = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,63}\Z")]


class SoakRule(Document, frozen=True):
    """What is demanded before a snapshot becomes ``stable``.

    Attributes:
        minimum_seconds: How long it must have been served on ``candidate``.
        canaries: How many hosts must have found it healthy.
        checks: Names of checks, each of which must have passed on some host (``golden-prompts``).

    """

    minimum_seconds: Annotated[int, msgspec.Meta(ge=0, le=90 * 86400)] = 86400
    canaries: Annotated[int, msgspec.Meta(ge=0, le=64)] = 1
    checks: Annotated[tuple[CheckName, ...], msgspec.Meta(max_length=16)] = ()

    @property
    def sentence(self) -> str:
        """Return the rule as approvers read it."""
        checks = f"; checks={', '.join(self.checks)}" if self.checks else ""
        return f"soak: minimum_seconds={self.minimum_seconds}; canaries={self.canaries}{checks}"


class HealthReport(Document, frozen=True):
    """What one canary host saw of one version of a channel.

    `checks` says of each check whether it passed; a report without any says only that the host was
    served, and does not count as healthy.
    """

    format: str
    lane: str
    host: str
    channel: str
    channel_version: Annotated[int, msgspec.Meta(ge=1)]
    snapshot_sha256: Digest
    made: Moment
    checks: Annotated[dict[CheckName, bool], msgspec.Meta(max_length=32)]

    @property
    def healthy(self) -> bool:
        """Tell whether every check passed, of at least one."""
        return bool(self.checks) and all(self.checks.values())


def newest(reports: Iterable[HealthReport]) -> dict[str, HealthReport]:
    """Return the newest report of each host."""
    return {report.host: report for report in sorted(reports, key=lambda each: each.made)}


def unmet(
    rule: SoakRule | None, reports: Iterable[HealthReport], since: datetime, now: datetime
) -> Iterator[str]:
    """Yield what a snapshot still lacks before it may become ``stable``; nothing where it lacks nothing.

    A host that finds it unhealthy stops it even where the rule asks for nobody: somebody looked.

    Args:
        rule: What is demanded; None: nothing but that no canary host objects.
        reports: What canary hosts said of this very version, verified.
        since: When it was put on ``candidate``.
        now: The present moment.

    """
    latest = newest(reports)
    for host, report in sorted(latest.items()):
        if not report.healthy:
            failed = ", ".join(sorted(name for name, passed in report.checks.items() if not passed))
            yield f"{host} found it unhealthy ({failed or 'it checked nothing'})"
    if rule is None:
        return
    ready = since + timedelta(seconds=rule.minimum_seconds)
    if now < ready:
        yield f"it soaks until {ready:%Y-%m-%d %H:%M:%S} UTC"
    healthy = [report for report in latest.values() if report.healthy]
    if len(healthy) < rule.canaries:
        yield f"{len(healthy)} of {rule.canaries} canary hosts found it healthy"
    passed = {name for report in healthy for name in report.checks}
    if missing := sorted(set(rule.checks) - passed):
        yield f"no canary host passed {', '.join(missing)}"
