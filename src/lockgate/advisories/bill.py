"""Package URLs out of a bill of materials: CycloneDX or SPDX, in JSON."""

from collections.abc import Iterator
from typing import Any

from lockgate.advisories.errors import AdvisoryLimitError, BadAdvisoryError, BadPackageError
from lockgate.advisories.limits import Limits
from lockgate.advisories.osv import read_json


def purls_of(data: bytes, name: str, limits: Limits) -> tuple[str, ...]:
    """Return the package URLs of a bill of materials, each once, in its order.

    Raises:
        BadPackageError: Neither CycloneDX nor SPDX, or it names components without package URLs only.
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
        found = _packages(form.get("packages"))
    else:
        what = f"{name!r} is neither CycloneDX nor SPDX."
        raise BadPackageError(what)
    purls = tuple(dict.fromkeys(found))
    if not purls:
        what = f"{name!r} names no package URL."
        raise BadPackageError(what)
    if len(purls) > limits.packages:
        what = f"{name!r} names more than {limits.packages} packages."
        raise AdvisoryLimitError(what, limit="packages")
    return purls


def _listed(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _components(value: Any) -> Iterator[str]:
    """Yield the package URLs of components and of those inside them."""
    waiting = [value]
    while waiting:
        for component in _listed(waiting.pop()):
            if isinstance(purl := component.get("purl"), str):
                yield purl
            waiting.append(component.get("components"))


def _packages(value: Any) -> Iterator[str]:
    for package in _listed(value):
        for reference in _listed(package.get("externalRefs")):
            if reference.get("referenceType") == "purl" and isinstance(
                reference.get("referenceLocator"), str
            ):
                yield reference["referenceLocator"]
