"""Who may read the mirrors: the gateway's API keys and their labels, as the settings say."""

from typing import TYPE_CHECKING

import structlog

from lockgate.app.high.internal import drop_folder
from lockgate.app.settings import SettingsError, Side
from lockgate.app.stores import blobs_of
from lockgate.app.trust import audit_log
from lockgate.core.errors import LockgateError
from lockgate.infer.errors import BadApiKeyError, BadCredentialsError, NotGrantedError
from lockgate.infer.keys import FileKeys, authenticate
from lockgate.mirror import Caller, Callers, CertifiedCallers, RegistryKey
from lockgate.mirror.errors import CredentialsError

if TYPE_CHECKING:
    from lockgate.infer.identity import ClientCertificates, FileGrants
    from lockgate.mirror import Access
    from lockgate.mirror.taking.hub_commit import HubDoor
    from lockgate.mirror.taking.python import Door

OPEN = "open"
_log = structlog.get_logger("lockgate.mirror")


_P256 = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
"""How the DER of every uncompressed public key on P-256 begins (RFC 5480)."""


def is_p256(key: bytes) -> bool:
    """Tell whether DER is that of a public key on P-256."""
    return key.startswith(_P256) and len(key) == len(_P256) + 64


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


class GrantedCertificates(CertifiedCallers):
    """Holders of the site's client certificates, with the labels granted to them (``gateway grant``)."""

    def __init__(self, certificates: "ClientCertificates", grants: "FileGrants") -> None:
        """Join what proves holders and what they were granted; both are looked at in each request."""
        self._certificates, self._grants = certificates, grants

    def find(self, certificate: bytes) -> Caller | None:
        """Return who holds a certificate; nobody in particular where nothing is granted to them."""
        try:
            found = self._certificates.holder(certificate)
            if found.id in self._grants.all().shut_out:
                what = f"{found.id} is shut out."
                raise CredentialsError(what)
            granted = self._grants.granted(found)
        except NotGrantedError:
            return None
        except BadCredentialsError as error:
            raise CredentialsError(error.what) from error
        return Caller(granted.id, frozenset(granted.labels))


def door_of(side: Side) -> "Door | None":
    """Return where clients upload Python projects; None where no name is open."""
    from lockgate.mirror.taking.python import Door  # noqa: PLC0415  # servers alone need it

    words = tuple(side.settings.serve.open_projects.split())
    if not words:
        return None
    log = audit_log(side)
    log.outcome(log.intent("uploads open", projects=list(words)), "done")
    return Door(words, KeyCallers(side), drop_folder(side), side.settings.serve.push_bytes, log)


def models_of_door(side: Side) -> "HubDoor | None":
    """Return where clients upload models; None where no name is open."""
    from lockgate.app.submit.making import is_weights, revision_within  # noqa: PLC0415  # the same
    from lockgate.mirror.taking.hub_commit import HubDoor  # noqa: PLC0415  # servers alone need it

    words = tuple(side.settings.serve.open_models.split())
    if not words:
        return None
    log = audit_log(side)
    log.outcome(log.intent("uploads open", models=list(words)), "done")
    return HubDoor(
        models=words,
        callers=KeyCallers(side),
        folder=drop_folder(side),
        staging=side.home.internal / "hub",
        total_bytes=side.settings.serve.push_bytes,
        journal=log,
        is_weights=is_weights,
        revision=revision_within,
    )


def registry_keys(side: Side) -> list[RegistryKey]:
    """Return the keys of npm registries among the trust roots in force; those of a kind that npm knows.

    Trust roots that are gone or altered give none: whoever asks is told that there are none.
    """
    from lockgate.app.gate.trust_roots import roots_in_force  # noqa: PLC0415  # servers alone need it

    try:
        present = roots_in_force(side)
    except LockgateError as error:
        _log.warning("keys of npm registries not served", code=error.code, error=error.what)
        return []
    known = present.document.npm_keys if present else ()
    return [RegistryKey(each.name, each.key, each.expires) for each in known if is_p256(each.key)]


def access_of(side: Side) -> "Access | None":
    """Return the rules of reading; None where everybody may read everything.

    Raises:
        SettingsError: A rule cannot be read.

    """
    from lockgate.app.high.identities import certificates_of, grants_file  # noqa: PLC0415  # servers alone
    from lockgate.mirror import Access  # noqa: PLC0415  # need them

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
    shown = certificates_of(side)
    certified = GrantedCertificates(shown, grants_file(side)) if shown else None
    return Access(KeyCallers(side), anonymous, tuple(rules), blobs_of(side).read, certified)
