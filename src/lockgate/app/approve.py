"""Signing on the approver's own machine: no home, no gate, only key, root and statement."""

from pathlib import Path

from lockgate.app.files import write_named
from lockgate.app.trust import signer_from, utc_now
from lockgate.approve import approve, read_statement
from lockgate.core.roots import Purpose
from lockgate.trust.roots import load_site_root


def sign_as_approver(request: bytes, key_folder: Path, site_root: bytes, pin: str, target: Path) -> str:
    """Sign a request with an approver's key and write it; return who signed.

    Args:
        request: The statement's envelope.
        key_folder: Holds ``approver.pem`` and ``approver.pass``.
        site_root: The site root's envelope.
        pin: The site root's digest, from the approver's own notes.
        target: The file to write.

    Raises:
        PinMismatchError: Another site root.
        OwnRequestError, UnknownKeyError, KeyPurposeError, KeyExpiredError: May not approve this.

    """
    now = utc_now()
    site = load_site_root(site_root, pin, read_statement(request).lane, now)
    signer = signer_from(key_folder, Purpose.APPROVER, site)
    write_named(target, approve(request, signer, site, now))
    return signer.person
