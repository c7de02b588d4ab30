"""Who let a file in, told to people: the same lines in the terminal and in the console."""

from collections.abc import Callable

from lockgate.admit.proof import LetIn
from lockgate.core.submission import DERIVED, SUBMITTER, is_submission


def told(found: LetIn, size: Callable[[int], str], served: str = "") -> dict[str, str]:
    """Return what signatures say of a file that was let in, line by line.

    Args:
        found: Who let it in.
        size: How a length in bytes reads there.
        served: Where it is served now; nothing where that is not asked.

    """
    artifact, statement, verdict = found.admitted.artifact, found.statement, found.verdict
    length = next(file.size for file in artifact.files if file.path == found.path)
    codes = sorted({f"{each.code} ({each.severity})" for each in verdict.findings})
    kinds = f" ({', '.join(verdict.opaque)})" if verdict.opaque else ""
    rows = {
        "file": f"{found.path}, {size(length)}",
        "sha256": found.sha256,
        "of": f"{artifact.purl}, licence {artifact.licence}, label {artifact.label}",
        "asked for by": f"{statement.requester}, {statement.created:%Y-%m-%d %H:%M} UTC",
        "approved by": f"{' and '.join(found.approvers)}, by site root {found.site_version}",
        "inspected": f"{verdict.outcome}{kinds}, {found.inspected:%Y-%m-%d %H:%M} UTC, by {found.inspector}",
        "found": ", ".join(codes) or "nothing",
        "came by": f"crossing {statement.crossing}, crate {statement.crate_sha256}",
        "sealed by": ", ".join(found.sealers) or "not told: the supply root's pin is not given",
        "collected by": ", ".join(found.collectors) or "not told",
        "let in": f"{found.recorded}, snapshot {statement.snapshot_sha256}",
        "served": served,
        "in the log": f"leaf {found.leaf} of {found.checkpoint.size}, root {found.checkpoint.root.hex()}",
    }
    submitter, derived = made_by(found)
    if submitter:
        rows |= {
            "came by": f"submission {statement.crossing}, made inside, document {statement.crate_sha256}",
            "sealed by": "",
            "collected by": "",
            "submitted by": submitter,
            "made of": ", ".join(derived),
        }
    return {name: text for name, text in rows.items() if text}


def made_by(found: LetIn) -> tuple[str, list[str]]:
    """Return who submitted what was made inside and what it is made of; nothing of what crossed.

    The number of the crossing says which of both it is: what is collected may have any attribute.
    """
    if not is_submission(found.statement.crossing):
        return "", []
    attributes = found.admitted.artifact.attributes
    return attributes.get(SUBMITTER) or "nobody named", attributes.get(DERIVED, "").split()
