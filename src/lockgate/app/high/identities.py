"""Joining who may ask the gateway: tokens of the site's issuer, client certificates, and their grants."""

import ssl

from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.core.errors import InputError
from lockgate.infer.identity import (
    BearerTokens,
    Callers,
    Chain,
    ClientCertificates,
    FileGrants,
    Grant,
    Grants,
    Holder,
    Identities,
    Issuer,
    IssuerConfig,
    Source,
    TokenRules,
)

REFRESH_SHARE = 3
"""How many times an issuer's keys are fetched within the time that they count without it."""


class IdentitySettingsError(InputError):
    """The sources of identities cannot be used as they are set."""

    code = "LG-1f2f"
    advice = "`lockgate config explain` describes the keys of `[identities]` and `[serve] tls_client_ca`."


def grants_file(side: Side) -> FileGrants:
    """Return where the site's grants are written."""
    return FileGrants(side.home.trust / "grants.json")


def callers_of(side: Side) -> Callers | None:
    """Return what tells who asks beside API keys; none where no source is set.

    Raises:
        IdentitySettingsError: A source is set by half, or its files cannot be read.

    """
    sources: list[Identities] = []
    if side.settings.identities.oidc_issuer:
        sources.append(BearerTokens(issuer_of(side), token_rules(side), utc_now))
    if side.settings.identities.certificates:
        sources.append(_certificates(side))
    return Chain(tuple(sources), grants_file(side)) if sources else None


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
