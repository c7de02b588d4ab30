"""The authority's folder, and the services' TLS as the configuration names it."""

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from lockgate.app.high.authority import AuthorityFolder
from lockgate.app.high.tls import TlsFilesError, pip_options, tls_of
from lockgate.app.settings import CONFIG_FILE, Side, load_settings
from lockgate.trust.authority import Bounds, Names, Use
from lockgate.trust.errors import CertificateAuthorityError, CertificateNameError

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = Names.of(["localhost", "127.0.0.1"])


@pytest.fixture
def folder(tmp_path: Path) -> AuthorityFolder:
    made = AuthorityFolder(tmp_path / "ca")
    made.make("Plant CA", Bounds.of(["plant.internal"]), NOW)
    return made


def issue(folder: AuthorityFolder, out: Path, use: Use = Use.SERVER) -> str:
    made = folder.issue("mirror", NAMES, use, out, days=30, now=NOW)
    return f"{made.serial_number:x}"


def test_an_authority_is_never_replaced(folder: AuthorityFolder) -> None:
    before = folder.certificate_file.read_bytes()
    with pytest.raises(CertificateAuthorityError, match="never replaced"):
        folder.make("Other", Bounds.of(["plant.internal"]), NOW)
    assert folder.certificate_file.read_bytes() == before


def test_keys_are_their_owners_alone(folder: AuthorityFolder, tmp_path: Path) -> None:
    issue(folder, tmp_path / "tls")
    for file in (folder.folder / "ca-key.pem", folder.folder / "ca-key.pass", tmp_path / "tls/key.pem"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert b"ENCRYPTED" in (folder.folder / "ca-key.pem").read_bytes()


def test_a_key_is_never_replaced(folder: AuthorityFolder, tmp_path: Path) -> None:
    issue(folder, tmp_path / "tls")
    key = (tmp_path / "tls/key.pem").read_bytes()
    with pytest.raises(CertificateAuthorityError, match="holds a key already"):
        issue(folder, tmp_path / "tls")
    assert (tmp_path / "tls/key.pem").read_bytes() == key
    assert len(folder.register().issued) == 1


def test_what_is_refused_is_not_registered(folder: AuthorityFolder, tmp_path: Path) -> None:
    with pytest.raises(CertificateNameError):
        folder.issue("x", Names.of(["evil.example"]), Use.SERVER, tmp_path / "x", days=30, now=NOW)
    assert folder.register().issued == ()
    assert not (tmp_path / "x").exists()


def test_what_cannot_be_written_is_registered_all_the_same(folder: AuthorityFolder, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        folder.issue("mirror", NAMES, Use.SERVER, tmp_path / "file" / "tls", days=30, now=NOW)
    assert len(folder.register().issued) == 1  # a certificate that nobody knows of could not be revoked


def test_revoking_by_the_first_digits(folder: AuthorityFolder, tmp_path: Path) -> None:
    first, second = issue(folder, tmp_path / "a"), issue(folder, tmp_path / "b")
    (gone,) = folder.revoke([first[:10].upper()], NOW)
    assert gone.serial == first
    again = folder.revoke([first], NOW + timedelta(days=1))
    assert again[0].revoked == NOW, "the first moment counts"
    assert [each.serial for each in folder.register().issued] == [first, second]
    for wrong in (first[:7], "00000000000", ""):
        with pytest.raises(CertificateAuthorityError, match="fits"):
            folder.revoke([wrong], NOW)


def test_the_list_gets_a_new_number_each_time(folder: AuthorityFolder) -> None:
    before = folder.register().number
    folder.renew_list(NOW)
    assert folder.register().number == before + 1


@pytest.mark.parametrize("damage", ["ca.pem", "ca-key.pem", "ca-key.pass", "issued.json"])
def test_a_folder_that_is_not_whole(folder: AuthorityFolder, tmp_path: Path, damage: str) -> None:
    (folder.folder / damage).unlink()
    with pytest.raises(CertificateAuthorityError):
        issue(folder, tmp_path / "tls")
    assert not (tmp_path / "tls").exists()


def test_the_key_of_another_authority(folder: AuthorityFolder, tmp_path: Path) -> None:
    other = AuthorityFolder(tmp_path / "other")
    other.make("Other", Bounds.of(["plant.internal"]), NOW)
    for name in ("ca-key.pem", "ca-key.pass"):
        (folder.folder / name).write_bytes((other.folder / name).read_bytes())
    with pytest.raises(CertificateAuthorityError, match="not that of its certificate"):
        issue(folder, tmp_path / "tls")


def test_no_authority_at_all(tmp_path: Path) -> None:
    with pytest.raises(CertificateAuthorityError, match="no certificate authority"):
        issue(AuthorityFolder(tmp_path / "nowhere"), tmp_path / "tls")
    with pytest.raises(CertificateAuthorityError, match="no certificate authority"):
        AuthorityFolder(tmp_path / "nowhere").register()


SMALL = """
[lane]
name = "plant"
side = "high"

[trust]
supply_pin = "aa"
site_pin = "bb"

[serve]
"""


def side(home: Path, **serve: str) -> Side:
    home.mkdir(exist_ok=True)
    lines = "".join(f'{key} = "{value}"\n' for key, value in serve.items())
    (home / CONFIG_FILE).write_text(SMALL + lines)
    return load_settings(home)


WHOLE = {"tls_cert": "tls/cert.pem", "tls_key": "tls/key.pem", "tls_ca": "tls/ca.pem"}


def test_without_settings_there_is_no_tls(tmp_path: Path) -> None:
    plain = side(tmp_path)
    assert tls_of(plain, NOW) is None
    assert pip_options(plain, None) == []


def test_whole_settings_make_both_contexts(folder: AuthorityFolder, tmp_path: Path) -> None:
    home = tmp_path / "high"
    serving = side(home, **WHOLE)
    issue(folder, home / "tls")
    tls = tls_of(serving, NOW)
    assert tls is not None
    assert tls.server().verify_mode == 0
    assert tls.client().check_hostname
    options = pip_options(serving, tls)
    both = Path(options[options.index("--client-cert") + 1])
    assert stat.S_IMODE(both.stat().st_mode) == 0o600
    assert pip_options(serving, tls) == options, "a second start finds the first one's file"


@pytest.mark.parametrize("missing", sorted(WHOLE))
def test_half_settings_are_refused(tmp_path: Path, missing: str) -> None:
    half = side(tmp_path, **{key: value for key, value in WHOLE.items() if key != missing})
    with pytest.raises(TlsFilesError, match="together"):
        tls_of(half, NOW)


@pytest.mark.parametrize("missing", ["cert.pem", "key.pem", "ca.pem"])
def test_missing_files_are_named(folder: AuthorityFolder, tmp_path: Path, missing: str) -> None:
    serving = side(tmp_path / "high", **WHOLE)
    issue(folder, tmp_path / "high/tls")
    (tmp_path / "high/tls" / missing).unlink()
    with pytest.raises(TlsFilesError, match=missing):
        tls_of(serving, NOW)


def test_files_that_cannot_serve(folder: AuthorityFolder, tmp_path: Path) -> None:
    serving, tls = side(tmp_path / "high", **WHOLE), tmp_path / "high/tls"
    issue(folder, tls)
    with pytest.raises(TlsFilesError, match="ended on"):
        tls_of(serving, NOW + timedelta(days=31))
    (tls / "key.pem").chmod(0o640)
    with pytest.raises(TlsFilesError, match="read by others"):
        tls_of(serving, NOW)
    issue(folder, tmp_path / "second")
    (tls / "key.pem").unlink()
    (tmp_path / "second/key.pem").rename(tls / "key.pem")
    with pytest.raises(TlsFilesError, match="not the key of"):
        tls_of(serving, NOW)
    (tls / "key.pem").write_text("no key")
    with pytest.raises(TlsFilesError, match="cannot be read as PEM"):
        tls_of(serving, NOW)


def test_a_list_without_its_authority_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TlsFilesError, match="tls_client_crl"):
        tls_of(side(tmp_path, **WHOLE, tls_client_crl="crl.pem"), NOW)
