"""Package URLs out of a bill of materials: CycloneDX 1.6 or SPDX 2.3, in JSON.

A package that a bill lists without a package URL is asked about all the same, by its name, which no data
knows: what is passed over in silence would read as clean.
"""

from collections.abc import Iterator
from typing import Any

from lockgate.advisories.errors import AdvisoryLimitError, BadAdvisoryError, BadPackageError
from lockgate.advisories.limits import Limits
from lockgate.advisories.osv import read_json

_NO_PACKAGES = frozenset({"file", "data", "cryptographic-asset", "operating-system", "platform", "device"})
"""Types of CycloneDX, and purposes of SPDX in small letters, of which no advisory speaks."""
_GENERIC = "pkg:generic/"
_LABEL = 200


def purls_of(data: bytes, name: str, limits: Limits) -> tuple[str, ...]:
    """Return what a bill of materials asks about, each once, in its order.

    These are package URLs, and of packages without one a type, name and version, which never parse as one.

    Raises:
        BadPackageError: Neither CycloneDX nor SPDX, or it names no package URL at all.
        AdvisoryLimitError: Too many packages.

    """
    try:
        bill = read_json(data, name)
    except BadAdvisoryError as error:
        raise BadPackageError(error.what) from error
    form = bill if isinstance(bill, dict) else {}
    if form.get("bomFormat") == "CycloneDX":
        found = _components(form.get("components"))
    elif "spdxVersion" in form:
        found = _packages(form)
    else:
        what = f"{name!r} is neither CycloneDX nor SPDX."
        raise BadPackageError(what)
    purls = tuple(dict.fromkeys(found))
    if not any(purl.startswith("pkg:") for purl in purls):
        what = f"{name!r} names no package URL."
        raise BadPackageError(what)
    if len(purls) > limits.packages:
        what = f"{name!r} names more than {limits.packages} packages."
        raise AdvisoryLimitError(what, limit="packages")
    return purls


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _components(value: Any) -> Iterator[str]:
    """Yield what components and those inside them are asked by."""
    waiting = [value]
    while waiting:
        for component in _listed(waiting.pop()):
            inside, kind = component.get("components"), _text(component.get("type")) or "component"
            waiting.append(inside)
            if kind == "data" and _text(component.get("purl")).startswith(_GENERIC):
                continue  # a document: of it as of all data no advisory speaks
            if isinstance(purl := component.get("purl"), str) and purl.startswith("pkg:"):
                yield purl
            elif kind not in _NO_PACKAGES and not (kind == "container" and _listed(inside)):
                yield _unnamed(kind, component.get("name"), component.get("version"))


def _packages(form: dict[str, Any]) -> Iterator[str]:
    """Yield what packages are asked by; what the whole document is about holds the others."""
    packages = _listed(form.get("packages"))
    roots = _described(form) if len(packages) > 1 else set()
    for package in packages:
        references = _listed(package.get("externalRefs"))
        located = [r.get("referenceLocator") for r in references if r.get("referenceType") == "purl"]
        purls = [purl for purl in located if isinstance(purl, str) and purl.startswith("pkg:")]
        kind = _text(package.get("primaryPackagePurpose")).lower() or "package"
        yield from purls
        if not purls and kind not in _NO_PACKAGES and _text(package.get("SPDXID")) not in roots:
            yield _unnamed(kind, package.get("name"), package.get("versionInfo"))


def _described(form: dict[str, Any]) -> set[str]:
    """Return the identifiers of what an SPDX document says that it describes (SPDX 2.3, clause 11.1)."""
    described = form.get("documentDescribes")
    said = {_text(each) for each in described} if isinstance(described, list) else set()
    related = [r for r in _listed(form.get("relationships")) if r.get("relationshipType") == "DESCRIBES"]
    return (said | {_text(r.get("relatedSpdxElement")) for r in related}) - {""}


def _unnamed(kind: str, name: Any, version: Any) -> str:
    """Return how a package without a package URL is named; a blank stands where a URL has none."""
    text = " ".join(f"{kind} {_text(name) or 'without a name'} {_text(version)}".split())
    return text[:_LABEL]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
