"""Sources of identities as the configuration names them: what is set by half is refused at once."""

from pathlib import Path

import pytest

from lockgate.app.high.identities import (
    IdentitySettingsError,
    callers_of,
    doors_of,
    grants_of,
    passwords_of,
    remove_grant,
    seal_of,
    set_grant,
    shut_out,
)
from lockgate.app.high.quotas import quota_file, set_quota
from lockgate.app.settings import CONFIG_FILE, Side, load_settings
from lockgate.infer import Quota
from lockgate.infer.errors import GrantError, KeyNameError
from lockgate.infer.identity import Holder, Source, grant

LANE = '[lane]\nname = "plant"\nside = "high"\n\n[trust]\nsupply_pin = "aa"\nsite_pin = "bb"\n\n'
ISSUER = 'oidc_issuer = "https://sso.plant.internal"\n'
LDAP = 'ldap_url = "ldap://directory.plant.internal"\nldap_base = "ou=people"\n'


def side(home: Path, keys: str) -> Side:
    home.mkdir(parents=True, exist_ok=True)
    (home / CONFIG_FILE).write_text(f"{LANE}[identities]\n{keys}")
    return load_settings(home)


def test_without_settings_keys_alone_open(tmp_path: Path) -> None:
    plain = side(tmp_path, "")
    assert callers_of(plain, passwords_of(plain)) is None
    assert doors_of(plain, passwords_of(plain)) is None


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (ISSUER, "oidc_audience"),
        ('oidc_client = "chat"\n', "needs oidc_issuer"),
        (ISSUER + 'oidc_client = "chat"\n', "needs oidc_issuer and chat_url"),
        (ISSUER + 'oidc_audience = "a"\noidc_ca = "missing.pem"\n', "cannot be read"),
        ('ldap_url = "ldaps://directory.plant.internal"\n', "ldap_base"),
        (LDAP + 'ldap_bind = "cn=lookup"\n', "needs ldap_password_file"),
        (LDAP + 'ldap_bind = "cn=lookup"\nldap_password_file = "missing"\n', "cannot be read"),
        (LDAP + 'ldap_disabled = "nsAccountLock"\n', "ldap_disabled"),
        (LDAP + 'ldap_ca = "missing.pem"\n', "cannot be read"),
        ("certificates = true\n", "tls_client_ca"),
    ],
)
def test_what_is_set_by_half_is_refused(tmp_path: Path, keys: str, said: str) -> None:
    half = side(tmp_path, keys)
    with pytest.raises(IdentitySettingsError, match=said):
        _ = callers_of(half, passwords_of(half)), doors_of(half, {})


def test_whole_settings_open_doors(tmp_path: Path) -> None:
    chat = 'oidc_client = "chat"\nchat_url = "https://gateway.plant.internal"\n'
    whole = side(
        tmp_path, ISSUER + chat + LDAP + 'ldap_disabled = "pwdAccountLockedTime=* userAccountControl&2"\n'
    )
    passwords = passwords_of(whole)
    doors = doors_of(whole, passwords)
    assert doors is not None
    assert doors.names == "issuer password"
    assert callers_of(whole, passwords) is not None
    secret = whole.home.keys / "session-seal"
    assert secret.stat().st_mode & 0o777 == 0o600
    before = secret.read_bytes()
    seal_of(whole)
    assert secret.read_bytes() == before


def test_names_and_passwords_of_the_site_count_at_the_gateway_where_it_says_so(tmp_path: Path) -> None:
    alone = side(tmp_path / "alone", "local = true\n")
    assert set(passwords_of(alone)) == {Source.LOCAL}
    doors = doors_of(alone, passwords_of(alone))
    assert doors is not None
    assert doors.names == "password"
    assert callers_of(alone, passwords_of(alone)) is not None
    both = side(tmp_path / "both", f"local = true\n{LDAP}")
    assert list(passwords_of(both)) == [Source.LOCAL, Source.LDAP]
    assert set(passwords_of(side(tmp_path / "directory", LDAP))) == {Source.LDAP}


def test_grants_and_quotas_of_callers_are_recorded(tmp_path: Path) -> None:
    home = side(tmp_path, "")
    set_grant(home, grant(Source.LDAP, Holder.GROUP, "analysts", ("internal",)))
    shut_out(home, "ldap:jane", out=True)
    assert [each.name for each in grants_of(home).grants] == ["analysts"]
    assert grants_of(home).shut_out == ("ldap:jane",)
    shut_out(home, "ldap:jane", out=False)
    remove_grant(home, Source.LDAP, Holder.GROUP, "analysts")
    with pytest.raises(GrantError):
        remove_grant(home, Source.LDAP, Holder.GROUP, "analysts")
    set_quota(home, "ldap:jane", Quota(requests=5))
    assert quota_file(home).find("ldap:jane") == Quota(requests=5)
    with pytest.raises(KeyNameError):
        set_quota(home, "nobody:jane", Quota(requests=5))
