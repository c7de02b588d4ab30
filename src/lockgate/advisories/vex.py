"""VEX: statements that a vulnerability does not affect a product, read strictly, applied narrowly.

A statement counts for one package URL; with a version for that version alone. What speaks of parts
of a product (OpenVEX subcomponents) is passed over, since it holds inside that product only. Where
statements differ the worse one counts. Sources: OpenVEX specification 0.2.0, CycloneDX 1.6
(vulnerabilities, analysis). Whether a document may be applied at all, two persons decide.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from lockgate.advisories.errors import AdvisoryLimitError, BadAdvisoryError, BadPackageError, BadVexError
from lockgate.advisories.limits import Limits
from lockgate.advisories.model import Found
from lockgate.advisories.names import Name, Question, name_of_purl, parse_purl
from lockgate.advisories.osv import read_json
from lockgate.core.wire import Document

CLOSED = frozenset({"not_affected", "fixed"})
"""Statuses that close a finding; the others are shown and change nothing."""

_WORST = ("affected", "under_investigation", "fixed", "not_affected")
_STATES = {
    "resolved": "fixed",
    "resolved_with_pedigree": "fixed",
    "not_affected": "not_affected",
    "false_positive": "not_affected",
    "exploitable": "affected",
    "in_triage": "under_investigation",
}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}")
_WHY = 300


class Claim(Document, frozen=True):
    """What a document says: this vulnerability has this status in this package, and why."""

    vulnerability: str
    purl: str
    status: str
    why: str

    @property
    def sentence(self) -> str:
        """Return the claim as approvers read it."""
        return f"{self.vulnerability} {self.status} {self.purl}: {self.why}"


def claims_of(data: bytes, name: str, limits: Limits | None = None) -> tuple[Claim, ...]:
    """Return what a VEX document claims.

    Raises:
        BadVexError: Neither OpenVEX nor CycloneDX, a claim without a reason, or none at all.
        AdvisoryLimitError: More claims than people would read.

    """
    try:
        document = read_json(data, name)
    except BadAdvisoryError as error:
        raise BadVexError(error.what) from error
    form = document if isinstance(document, dict) else {}
    if str(form.get("@context", "")).partition("://")[2].startswith("openvex.dev/ns"):
        found = _openvex(form)
    elif form.get("bomFormat") == "CycloneDX":
        found = _cyclonedx(form)
    else:
        what = f"{name[:200]!r} is neither OpenVEX nor CycloneDX."
        raise BadVexError(what)
    claims = tuple(dict.fromkeys(found))
    if not claims:
        what = f"{name[:200]!r} claims nothing about a package URL."
        raise BadVexError(what)
    most = (limits or Limits()).claims
    if len(claims) > most:
        what = f"{name[:200]!r} makes {len(claims)} claims; at most {most} are put before approvers at once."
        raise AdvisoryLimitError(what, limit="claims")
    return claims


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _openvex(document: dict[str, Any]) -> Iterator[Claim]:
    for statement in _listed(document.get("statements")):
        named = statement.get("vulnerability")
        vulnerability = named.get("name") if isinstance(named, dict) else named
        why = statement.get("justification") or statement.get("impact_statement") or ""
        why = why or statement.get("action_statement") or ""
        for product in _listed(statement.get("products")):
            if product.get("subcomponents"):
                continue
            identifiers = product.get("identifiers")
            purl = identifiers.get("purl") if isinstance(identifiers, dict) else None
            yield _claim(vulnerability, purl or product.get("@id"), statement.get("status"), why)


def _cyclonedx(document: dict[str, Any]) -> Iterator[Claim]:
    purls = {c.get("bom-ref"): c.get("purl") for c in _listed(document.get("components")) if c.get("purl")}
    for vulnerability in _listed(document.get("vulnerabilities")):
        analysis = vulnerability.get("analysis")
        said = analysis if isinstance(analysis, dict) else {}
        status = _STATES.get(str(said.get("state")))
        why = said.get("justification") or said.get("detail") or ""
        for target in _listed(vulnerability.get("affects")):
            reference = target.get("ref")
            purl = purls.get(reference, reference)
            if isinstance(purl, str) and purl.startswith("pkg:"):
                yield _claim(vulnerability.get("id"), purl, status, why)


def _claim(vulnerability: Any, purl: Any, status: Any, why: Any) -> Claim:
    if not isinstance(vulnerability, str) or not _ID.fullmatch(vulnerability):
        what = f"A claim names no vulnerability: {str(vulnerability)[:80]!r}."
        raise BadVexError(what)
    if status not in _WORST:
        what = f"The claim about {vulnerability} has the status {str(status)[:40]!r}."
        raise BadVexError(what)
    try:
        parse_purl(purl if isinstance(purl, str) else "")
    except BadPackageError as error:
        what = f"The claim about {vulnerability} names no package URL: {str(purl)[:80]!r}."
        raise BadVexError(what) from error
    text = why if isinstance(why, str) and why.isprintable() else ""
    if status in CLOSED and not text:
        what = f"The claim that {vulnerability} is {status} gives no reason."
        raise BadVexError(what)
    return Claim(vulnerability=vulnerability, purl=purl, status=status, why=text[:_WHY])


class Claims:
    """Approved claims, found by vulnerability."""

    def __init__(self, claims: Iterable[Claim]) -> None:
        """Sort claims by what they are about."""
        self._by_name: dict[str, list[tuple[Name, str | None, Claim]]] = {}
        for claim in claims:
            version = parse_purl(claim.purl).version
            entry = (name_of_purl(claim.purl), version, claim)
            self._by_name.setdefault(claim.vulnerability, []).append(entry)

    def status(self, found: Found, asked: Question) -> str:
        """Return what is claimed of a finding, the worst where claims differ; empty: nothing.

        A distribution's advisory about several vulnerabilities is closed by what is claimed of every one.
        """
        said = [*self._said(found.id, asked), *(s for name in found.aliases for s in self._said(name, asked))]
        each = [self._said(name, asked) for name in found.upstream]
        claimed = [status for statuses in each for status in statuses]
        if all(each) or not CLOSED.issuperset(claimed):
            said += claimed
        return min(said, key=_WORST.index, default="")

    def _said(self, vulnerability: str, asked: Question) -> list[str]:
        """Return the statuses that are claimed of a vulnerability in a package."""
        claims = self._by_name.get(vulnerability, ())
        return [claim.status for name, version, claim in claims if _about(name, version, asked)]

    def about(self, asked: Question) -> Sequence[str]:
        """Return the claims about a package as sentences, in order: a part of an answer's basis."""
        every = (entry for entries in self._by_name.values() for entry in entries)
        return sorted(claim.sentence for name, version, claim in every if _about(name, version, asked))


def _about(name: Name, version: str | None, asked: Question) -> bool:
    own, present = asked.names[0]
    same = (name.ecosystem, name.name) == (own.ecosystem, own.name) and name.release in {"", own.release}
    return same and version in {None, "", present}
