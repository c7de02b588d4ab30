"""Signing in at a real directory (OpenLDAP): who gets in, who does not, and what a name cannot become."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockgate.infer.errors import BadCredentialsError, IdentitySourceError
from lockgate.infer.identity import LdapDirectory
from slapd_server import BASE, JANE, SLAPD, Slapd, slapd

pytestmark = pytest.mark.skipif(SLAPD is None, reason="slapd is not installed")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    with slapd(tmp_path_factory.mktemp("slapd")) as running:
        yield running


def sign_in(server: Slapd, name: str, password: str, **changed: object) -> tuple[str, str, tuple[str, ...]]:
    found = asyncio.run(LdapDirectory(server.config(**changed)).sign_in(name, password))
    return found.id, found.name, tuple(sorted(found.groups))


def test_somebody_signs_in_by_both_ways_into_tls(server: Slapd) -> None:
    jane = ("ldap:jane", "Jane Doe", ("analysts",))
    assert sign_in(server, "jane", JANE) == jane
    assert sign_in(server, "jane", JANE, port=server.tls, start_tls=False) == jane
    assert sign_in(server, "JANE", JANE)[0] == "ldap:jane", "the directory's own spelling counts"


def test_names_with_the_directory_syntax_in_them_are_names(server: Slapd) -> None:
    found = sign_in(server, "john", "another one")
    assert found == ("ldap:john", "Smith, John (contractor) *", ("analysts", "auditors"))
    for name in ("*", "j*", "jane)(uid=*", "*)(objectClass=*", "jane\\00", "(jane", "", "jane\0", "j" * 256):
        with pytest.raises(BadCredentialsError):
            sign_in(server, name, JANE)


@pytest.mark.parametrize("password", ["", "wrong", "\0", f"{JANE}\0", "x" * 1025, JANE.upper()])
def test_no_other_password_opens(server: Slapd, password: str) -> None:
    with pytest.raises(BadCredentialsError):
        sign_in(server, "jane", password)


@pytest.mark.parametrize(
    ("name", "password"), [("twin", "same"), ("mallory", "mallory"), ("root", "mallory")]
)
def test_whoever_is_not_one_person_with_one_name_does_not_get_in(
    server: Slapd, name: str, password: str
) -> None:
    with pytest.raises(BadCredentialsError):
        sign_in(server, name, password)


def test_groups_by_the_persons_own_object(server: Slapd) -> None:
    server.change(
        f"dn: cn=watch,ou=groups,{BASE}\nchangetype: add\nobjectClass: groupOfNames\n"
        f"cn: watch\nmember: uid=jane,ou=people,{BASE}\n"
    )
    assert sign_in(server, "jane", JANE, groups="")[2] == (f"cn=watch,ou=groups,{BASE}",)
    server.change(f"dn: cn=watch,ou=groups,{BASE}\nchangetype: delete\n")
    assert sign_in(server, "jane", JANE, groups="")[2] == ()


def test_who_is_locked_or_gone_stands_no_more(server: Slapd) -> None:
    ask = LdapDirectory(server.config())
    found = asyncio.run(ask.standing("jane"))
    assert found is not None
    assert found.groups == ("analysts",)
    dn = f"dn: uid=jane,ou=people,{BASE}\nchangetype: modify\n"
    server.change(f"{dn}add: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n")
    try:
        assert asyncio.run(ask.standing("jane")) is None
        with pytest.raises(BadCredentialsError):
            sign_in(server, "jane", JANE)
        with pytest.raises(BadCredentialsError):
            sign_in(server, "jane", JANE, disabled=())  # the directory itself refuses the bind
    finally:
        server.change(f"{dn}delete: pwdAccountLockedTime\n")
    assert asyncio.run(ask.standing("jane")) is not None
    assert asyncio.run(ask.standing("nobody")) is None
    assert asyncio.run(ask.standing("JANE")) is None, "a session names who the directory named"


def test_nothing_is_said_to_another_directory(server: Slapd, tmp_path: Path) -> None:
    import ssl
    from datetime import UTC, datetime

    from lockgate.app.high.authority import AuthorityFolder
    from lockgate.trust.authority import Bounds

    other = AuthorityFolder(tmp_path / "ca")
    other.make("Other", Bounds.of(["plant.internal"]), datetime.now(UTC))
    stranger = ssl.create_default_context(cafile=str(other.certificate_file))
    for changed in ({"tls": stranger}, {"tls": stranger, "port": server.tls, "start_tls": False}):
        with pytest.raises(IdentitySourceError):
            sign_in(server, "jane", JANE, **changed)
    with pytest.raises(IdentitySourceError, match="refused the one who looks"):
        sign_in(server, "jane", JANE, bind_password="wrong")
    with pytest.raises(IdentitySourceError):
        sign_in(server, "jane", JANE, bind_name="")  # this directory answers nobody who says no name
    with pytest.raises(IdentitySourceError):
        sign_in(server, "jane", JANE, port=1)
