"""The folder of the internal certificate authority: its key, what it issued, and what it revoked.

``ca.pem`` is the authority's certificate for every client, ``ca-key.pem`` its key under the passphrase in
``ca-key.pass``, ``issued.json`` the register, ``crl.pem`` the list of revoked certificates.
"""

import fcntl
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lockgate.app.files import read_named, write_whole
from lockgate.core.digests import words
from lockgate.core.wire import Document, decode, encode, whole_second
from lockgate.trust.authority import Authority, Bounds, Names, Use, chain_pem, key_pem, new_key
from lockgate.trust.errors import CertificateAuthorityError

REGISTER_FORMAT = "lockgate-ca/1"
REGISTER_LIMIT = 16 << 20
"""Longest register, in bytes: some fifty thousand certificates."""


class Issued(Document, frozen=True):
    """One certificate that was issued.

    Attributes:
        serial: Its number, in hexadecimal.
        holder: Whom or what it stands for.
        use: ``server`` or ``client``.
        names: Host names and addresses.
        expires: When it ends.
        revoked: When it was revoked, if it was.

    """

    serial: str
    holder: str
    use: str
    names: tuple[str, ...]
    expires: datetime
    revoked: datetime | msgspec.UnsetType = msgspec.UNSET


class Register(Document, frozen=True):
    """Everything that an authority issued.

    Attributes:
        format: Always `REGISTER_FORMAT`.
        number: Number of the last list of revoked certificates.
        issued: In the order of issue.

    """

    format: str
    number: int
    issued: tuple[Issued, ...]


@dataclass(frozen=True, slots=True)
class AuthorityFacts:
    """What people compare and need to know of an authority.

    Attributes:
        certificate: The file that clients trust.
        sha256: The certificate's fingerprint.
        words: The same as words, to be read aloud.
        domains: What it may vouch for, with everything below.
        networks: Networks whose addresses it may vouch for.
        expires: When it ends.

    """

    certificate: str
    sha256: str
    words: str
    domains: tuple[str, ...]
    networks: tuple[str, ...]
    expires: datetime


class AuthorityFolder:
    """One authority on disk; whoever may read the folder may issue certificates."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; nothing is read yet."""
        self.folder = folder

    @property
    def certificate_file(self) -> Path:
        """Return the certificate that clients trust."""
        return self.folder / "ca.pem"

    def make(self, name: str, bounds: Bounds, now: datetime) -> x509.Certificate:
        """Make a new authority.

        Raises:
            CertificateAuthorityError: There is one already.
            CertificateNameError: The name is refused.

        """
        made = Authority.make(name, bounds, now)
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._alone():
            if self.certificate_file.exists() or (self.folder / "ca-key.pem").exists():
                what = f"There is an authority in {self.folder} already; it is never replaced."
                raise CertificateAuthorityError(what)
            word = secrets.token_urlsafe(24).encode()
            form, shield = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(word)
            _write_secret(self.folder / "ca-key.pass", word)
            sealed = made.private.private_bytes(serialization.Encoding.PEM, form, shield)
            _write_secret(self.folder / "ca-key.pem", sealed)
            self._keep(made, Register(format=REGISTER_FORMAT, number=1, issued=()), now)
            write_whole(self.certificate_file, chain_pem([made.certificate]))
        return made.certificate

    def issue(
        self, holder: str, names: Names, use: Use, out: Path, *, days: int, now: datetime
    ) -> x509.Certificate:
        """Issue a certificate with a fresh key into a folder: ``cert.pem``, ``key.pem`` and ``ca.pem``.

        Raises:
            CertificateAuthorityError: No authority here, or the folder holds a key already.
            CertificateNameError: A name outside the authority's bounds.

        """
        with self._alone():
            authority, register = self._authority(), self.register()
            if (out / "key.pem").exists():
                what = f"{out} holds a key already; it is never replaced."
                raise CertificateAuthorityError(what, advice="Name another folder.")
            private = new_key()
            made = authority.issue(holder, private.public_key(), now, names=names, use=use, days=days)
            entry = Issued(
                serial=f"{made.serial_number:x}",
                holder=holder,
                use=use,
                names=(*names.dns, *map(str, names.addresses)),
                expires=made.not_valid_after_utc,
            )
            # The register first: a certificate that nobody knows of could never be revoked.
            write_whole(
                self.folder / "issued.json",
                encode(msgspec.structs.replace(register, issued=(*register.issued, entry))),
            )
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
        _write_secret(out / "key.pem", key_pem(private))
        write_whole(out / "cert.pem", chain_pem([made]))
        write_whole(out / "ca.pem", chain_pem([authority.certificate]))
        return made

    def revoke(self, serials: Sequence[str], now: datetime) -> tuple[Issued, ...]:
        """Revoke certificates and sign a new list.

        Args:
            serials: Serial numbers in hexadecimal, or their first eight digits or more.
            now: The present moment.

        Raises:
            CertificateAuthorityError: One is not known, or fits several.

        """
        at = whole_second(now)
        with self._alone():
            authority, register = self._authority(), self.register()
            chosen = {self._find(register, serial).serial for serial in serials}
            issued = tuple(
                msgspec.structs.replace(each, revoked=at)
                if each.serial in chosen and each.revoked is msgspec.UNSET
                else each
                for each in register.issued
            )
            self._keep(
                authority, msgspec.structs.replace(register, number=register.number + 1, issued=issued), now
            )
        return tuple(each for each in issued if each.serial in chosen)

    def renew_list(self, now: datetime) -> Path:
        """Sign the list of revoked certificates anew, since it counts for a bounded time; return its file."""
        with self._alone():
            register = self.register()
            self._keep(self._authority(), msgspec.structs.replace(register, number=register.number + 1), now)
        return self.folder / "crl.pem"

    def register(self) -> Register:
        """Return what was issued.

        Raises:
            CertificateAuthorityError: There is no authority here.

        """
        file = self.folder / "issued.json"
        if not file.is_file():
            what = f"There is no certificate authority in {self.folder}."
            raise CertificateAuthorityError(what)
        return decode(
            Register, read_named(file, limit=REGISTER_LIMIT), limit=REGISTER_LIMIT, name="issued.json"
        )

    def certificate(self) -> x509.Certificate:
        """Return the authority's certificate.

        Raises:
            CertificateAuthorityError: There is none, or it cannot be read.

        """
        try:
            return x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        except (OSError, ValueError) as error:
            what = f"{self.certificate_file} holds no certificate that can be read."
            raise CertificateAuthorityError(what) from error

    def facts(self) -> AuthorityFacts:
        """Return what people compare and need to know of it."""
        found = self.certificate()
        bounds, fingerprint = Bounds.in_certificate(found), found.fingerprint(hashes.SHA256()).hex()
        return AuthorityFacts(
            certificate=str(self.certificate_file),
            sha256=fingerprint,
            words=words(fingerprint),
            domains=bounds.domains,
            networks=tuple(map(str, bounds.networks)),
            expires=found.not_valid_after_utc,
        )

    @staticmethod
    def _find(register: Register, serial: str) -> Issued:
        wanted = serial.lower().replace(":", "")
        found = [each for each in register.issued if each.serial.startswith(wanted)]
        if len(wanted) < 8 or len(found) != 1:  # noqa: PLR2004  # shorter ones are too easily mistyped
            what = f"The serial number {serial[:48]!r} fits {len(found)} certificates."
            raise CertificateAuthorityError(
                what, advice="`lockgate ca list` shows them; give eight digits or more."
            )
        return found[0]

    def _authority(self) -> Authority:
        certificate = self.certificate()
        try:
            word = (self.folder / "ca-key.pass").read_bytes().strip()
            private = serialization.load_pem_private_key((self.folder / "ca-key.pem").read_bytes(), word)
        except (OSError, ValueError, TypeError) as error:
            what = f"The authority's key in {self.folder} cannot be read."
            raise CertificateAuthorityError(what) from error
        matches = isinstance(private, ec.EllipticCurvePrivateKey) and (
            private.public_key() == certificate.public_key()
        )
        if not matches or not isinstance(private, ec.EllipticCurvePrivateKey):
            what = f"The key in {self.folder} is not that of its certificate."
            raise CertificateAuthorityError(what)
        return Authority(certificate, private)

    def _keep(self, authority: Authority, register: Register, now: datetime) -> None:
        gone = {int(r.serial, 16): r.revoked for r in register.issued if isinstance(r.revoked, datetime)}
        write_whole(self.folder / "issued.json", encode(register))
        write_whole(self.folder / "crl.pem", authority.revoked(gone, register.number, whole_second(now)))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one process at a time change the register."""
        if not self.folder.is_dir():
            what = f"There is no certificate authority in {self.folder}."
            raise CertificateAuthorityError(what)
        handle = os.open(self.folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)


def _write_secret(path: Path, data: bytes) -> None:
    """Write a file that only its owner reads and that is never replaced."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
