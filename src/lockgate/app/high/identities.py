"""Joining who may ask the gateway: tokens of the site's issuer, client certificates, and their grants."""

import re
import secrets
import ssl
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import urlsplit

from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import InputError
from lockgate.infer.identity import (
    BasicPasswords,
    BearerTokens,
    Callers,
    Chain,
    ClientCertificates,
    DirectoryConfig,
    Disabled,
    FileGrants,
    Grant,
    Grants,
    Holder,
    Identities,
    Issuer,
    IssuerConfig,
    LdapDirectory,
    Passwords,
    Seal,
    Sessions,
    Source,
    TokenRules,
)
from lockgate.infer.identity.flow import OidcSignIn
from lockgate.infer.identity.kept import KeptSessions
from lockgate.infer.identity.local import LocalDirectory
from lockgate.infer.identity.signin import SignIn
from lockgate.infer.keys import replace_file
from lockgate.store import open_records

LDAP_PORT, LDAPS_PORT = 389, 636
_DISABLED = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,63})(?:=([^=&]{1,64})|&([1-9][0-9]{0,9}))")

LOCAL_STALE_SECONDS = 0.0
"""For how long the console goes by the site's own file of people without reading it again, in seconds."""

LOCAL_KEPT_SECONDS = 10.0
"""For how long a gateway does: to prove a password that comes with each request takes a tenth of a second."""

REFRESH_SHARE = 3
"""How many times an issuer's keys are fetched within the time that they count without it."""


class IdentitySettingsError(InputError):
    """The sources of identities cannot be used as they are set."""

    code = "LG-1f2f"
    advice = "`lockgate config explain` describes the keys of `[identities]` and `[serve] tls_client_ca`."


def grants_file(side: Side) -> FileGrants:
    """Return where the site's grants are written."""
    return FileGrants(side.home.trust / "grants.json")


def callers_of(side: Side, passwords: Mapping[Source, Passwords]) -> Callers | None:
    """Return what tells who asks beside API keys; none where no source is set.

    Args:
        side: The high side.
        passwords: See `passwords_of`.

    Raises:
        IdentitySettingsError: A source is set by half, or its files cannot be read.

    """
    sources: list[Identities] = []
    section = side.settings.identities
    if section.oidc_issuer and (section.oidc_audience or not section.oidc_client):
        sources.append(BearerTokens(issuer_of(side), token_rules(side), utc_now))
    if passwords:
        sources.append(BasicPasswords(passwords))
    if passwords or section.oidc_client:
        sources.append(Sessions(seal_of(side), passwords))
    if section.certificates:
        sources.append(_certificates(side))
    return Chain(tuple(sources), grants_file(side)) if sources else None


def doors_of(side: Side, passwords: Mapping[Source, Passwords]) -> SignIn | None:
    """Return the chat page's doors; none where people have API keys alone.

    Raises:
        IdentitySettingsError: A door is set by half.

    """
    section = side.settings.identities
    oidc = _issuer_door(side) if section.oidc_client else None
    if oidc is None and not passwords:
        return None
    return SignIn(
        seal_of(side),
        utc_now,
        secrets.token_bytes,
        oidc=oidc,
        passwords=passwords,
        session_seconds=section.session_seconds,
        secure=bool(side.settings.serve.tls_cert) or section.chat_url.startswith("https://"),
    )


def _issuer_door(side: Side, address: str = "", back: str = "/chat/signed-in") -> OidcSignIn:
    section = side.settings.identities
    address = address or section.chat_url
    if not (section.oidc_issuer and address):
        what = "`[identities] oidc_client` needs oidc_issuer and chat_url."
        raise IdentitySettingsError(what)
    rules = TokenRules(
        issuer=section.oidc_issuer,
        audience=section.oidc_client,
        clients=frozenset({section.oidc_client}),
        stale_seconds=section.stale_seconds,
        groups=section.oidc_groups,
        name=section.oidc_name,
        own=True,
    )
    return OidcSignIn(
        issuer=issuer_of(side),
        rules=rules,
        client=section.oidc_client,
        address=address,
        back=back,
        secret=_secret(side, section.oidc_secret_file),
        scopes=section.oidc_scopes,
    )


def console_issuer(side: Side) -> OidcSignIn | None:
    """Return how people sign in to the console at the issuer; none where they do not.

    Raises:
        IdentitySettingsError: It is set by half.

    """
    address = side.settings.serve.console_url
    if not (side.settings.identities.oidc_client and address):
        return None
    return _issuer_door(side, address, "/sign-in/back")


def people_of(side: Side) -> LocalDirectory:
    """Return where the site's own names and passwords are."""
    return LocalDirectory(side.home.trust / "people.json")


def console_passwords(side: Side) -> dict[Source, Passwords]:
    """Return what proves names and passwords at the console, by source.

    Raises:
        IdentitySettingsError: The directory is set by half.

    """
    return {Source.LOCAL: _local(side, LOCAL_STALE_SECONDS), **_directory(side)}


def passwords_of(side: Side) -> dict[Source, Passwords]:
    """Return what proves names and passwords at the gateway, by source; empty where nobody has one.

    Raises:
        IdentitySettingsError: The directory is set by half, or a file cannot be read.

    """
    local = {Source.LOCAL: _local(side, LOCAL_KEPT_SECONDS)} if side.settings.identities.local else {}
    return {**local, **_directory(side)}


def _local(side: Side, stale_seconds: float) -> Passwords:
    return Passwords(people_of(side), secrets.token_bytes(32), stale_seconds)


def certificates_of(side: Side) -> ClientCertificates | None:
    """Return what knows people by certificate; none where certificates prove nobody.

    Raises:
        IdentitySettingsError: The authority cannot be read.

    """
    return _certificates(side) if side.settings.identities.certificates else None


def seal_of(side: Side) -> Seal:
    """Return what seals sessions; its secret is made when it is first asked for, and processes share it."""
    path = side.home.keys / "session-seal"
    if not path.exists():
        side.home.keys.mkdir(parents=True, exist_ok=True)
        replace_file(path, secrets.token_bytes(32))
    return Seal(path.read_bytes(), utc_now)


def _directory(side: Side) -> dict[Source, Passwords]:
    """Return what proves names and passwords of the directory; empty where none is set."""
    section = side.settings.identities
    if not section.ldap_url:
        return {}
    if not section.ldap_base:
        what = "`[identities] ldap_base` is empty: nobody can be looked up."
        raise IdentitySettingsError(what)
    place = urlsplit(section.ldap_url)
    plain = place.scheme == "ldap"
    config = DirectoryConfig(
        host=place.hostname or "",
        port=place.port or (LDAP_PORT if plain else LDAPS_PORT),
        tls=authority_tls(side, section.ldap_ca) or ssl.create_default_context(),
        base=section.ldap_base,
        start_tls=plain,
        user=section.ldap_user,
        name=section.ldap_name,
        groups=section.ldap_groups,
        member=section.ldap_member,
        group=section.ldap_group,
        bind_name=section.ldap_bind,
        bind_password=_secret(side, section.ldap_password_file),
        disabled=tuple(_disabled(word) for word in section.ldap_disabled.split()),
    )
    if config.bind_name and not config.bind_password:
        what = "`[identities] ldap_bind` needs ldap_password_file: a bind without a password proves nothing."
        raise IdentitySettingsError(what)
    return {Source.LDAP: Passwords(LdapDirectory(config), secrets.token_bytes(32), section.stale_seconds)}


def _disabled(word: str) -> Disabled:
    match = _DISABLED.fullmatch(word)
    if match is None:
        what = f"`[identities] ldap_disabled`: {word[:60]!r} is no attribute with a value or a bit."
        raise IdentitySettingsError(what)
    return Disabled(match[1], match[2] or "", int(match[3] or 0))


def _secret(side: Side, file: str) -> str:
    """Return the secret in a file, without the line's end; nothing where no file is named."""
    if not file:
        return ""
    try:
        return (side.home.root / file).read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        what = f"The secret in {file} cannot be read: {error}."
        raise IdentitySettingsError(what) from error


def token_rules(side: Side) -> TokenRules:
    """Return what a token has to say.

    Raises:
        IdentitySettingsError: Nobody said for whom it has to be.

    """
    section = side.settings.identities
    if not section.oidc_audience:
        what = "`[identities] oidc_audience` is empty: tokens for any other service would open this one."
        raise IdentitySettingsError(what)
    return TokenRules(
        issuer=section.oidc_issuer,
        audience=section.oidc_audience,
        clients=frozenset(section.oidc_clients.split()),
        stale_seconds=section.stale_seconds,
        groups=section.oidc_groups,
        name=section.oidc_name,
    )


def issuer_of(side: Side) -> Issuer:
    """Return the issuer of tokens.

    Raises:
        IdentitySettingsError: Its authority cannot be read.

    """
    section = side.settings.identities
    config = IssuerConfig(
        issuer=section.oidc_issuer,
        tls=authority_tls(side, section.oidc_ca),
        refresh_seconds=section.stale_seconds / REFRESH_SHARE,
        stale_seconds=section.stale_seconds,
    )
    return Issuer(config)


def authority_tls(side: Side, authority: str) -> ssl.SSLContext | None:
    """Return what another server's certificate is judged by; none where no authority is named.

    Raises:
        IdentitySettingsError: The authority cannot be read.

    """
    if not authority:
        return None
    try:
        context = ssl.create_default_context(cafile=str(side.home.root / authority))
    except (OSError, ssl.SSLError) as error:
        what = f"The authority {authority} cannot be read: {error}."
        raise IdentitySettingsError(what) from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _certificates(side: Side) -> ClientCertificates:
    serve = side.settings.serve
    if not serve.tls_client_ca:
        what = (
            "`[identities] certificates` needs `[serve] tls_client_ca`: nobody shows a certificate without."
        )
        raise IdentitySettingsError(what)
    revoked = side.home.root / serve.tls_client_crl if serve.tls_client_crl else None
    try:
        authority = (side.home.root / serve.tls_client_ca).read_bytes()
        return ClientCertificates(authority, utc_now, revoked)
    except (OSError, ValueError) as error:
        what = f"The authority {serve.tls_client_ca} cannot be read: {error}."
        raise IdentitySettingsError(what) from error


def set_person(side: Side, name: str, password: str, groups: tuple[str, ...]) -> None:
    """Give somebody a name and a password of the site's own, recorded before and after.

    Raises:
        PersonError: The name or the password cannot be used.

    """
    log = audit_log(side)
    intent = log.intent("person-set", name=name, groups=list(groups))
    people_of(side).put(name, password, groups, secrets.token_bytes)
    ended = kept_sessions(side).end_all(Source.LOCAL, name)
    log.outcome(intent, "done", sessions=ended)


def remove_person(side: Side, name: str) -> None:
    """Take somebody's name and password away, recorded before and after; their sessions end.

    Raises:
        PersonError: There is nobody of this name.

    """
    log = audit_log(side)
    intent = log.intent("person-remove", name=name)
    people_of(side).remove(name)
    ended = kept_sessions(side).end_all(Source.LOCAL, name)
    log.outcome(intent, "done", sessions=ended)


def kept_sessions(side: Side) -> KeptSessions:
    """Return the sessions of the console."""
    serve = side.settings.serve
    return KeptSessions(
        open_records(f"sqlite:///{side.home.root / 'sessions.sqlite'}"),
        utc_now,
        secrets.token_bytes,
        idle=timedelta(seconds=serve.console_idle_seconds),
        longest=timedelta(seconds=serve.console_session_seconds),
    )


def set_grant(side: Side, given: Grant) -> None:
    """Grant labels and roles, recorded before and after; gateways follow at once."""
    log = audit_log(side)
    intent = log.intent(
        "grant-set",
        source=given.source.value,
        holder=given.holder.value,
        name=given.name,
        labels=list(given.labels),
        roles=[role.value for role in given.roles],
    )
    grants_file(side).add(given)
    log.outcome(intent, "done")


def remove_grant(side: Side, source: Source, holder: Holder, name: str) -> None:
    """Take a grant away, recorded before and after; gateways follow at once.

    Raises:
        GrantError: There is none.

    """
    log = audit_log(side)
    intent = log.intent("grant-remove", source=source.value, holder=holder.value, name=name)
    grants_file(side).remove(source, holder, name)
    log.outcome(intent, "done")


def shut_out(side: Side, caller_id: str, *, out: bool) -> None:
    """Shut somebody out whatever is granted, or let them in again, recorded before and after.

    Raises:
        GrantError: There is nobody of that id to do so with.

    """
    log = audit_log(side)
    intent = log.intent("caller-shut-out" if out else "caller-let-in", caller=caller_id)
    grants_file(side).shut(caller_id, out=out)
    log.outcome(intent, "done")


def grants_of(side: Side) -> Grants:
    """Return everything that is granted, and who is shut out."""
    return grants_file(side).all()
