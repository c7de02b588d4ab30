"""Joining the console's door: who may come in, by which sources, and where that is written down."""

import secrets

from lockgate.app.high.identities import (
    certificates_of,
    console_issuer,
    console_passwords,
    grants_file,
    kept_sessions,
    seal_of,
)
from lockgate.app.settings import Side
from lockgate.app.trust import audit_log, utc_now
from lockgate.console.door import Doors
from lockgate.infer.identity.flow import OidcFlow


def doors_of(side: Side) -> Doors | None:
    """Return the console's doors; none where it is open to whoever reaches it.

    Raises:
        IdentitySettingsError: A door is set by half.

    """
    serve = side.settings.serve
    if serve.console_access == "open":
        return None
    issuer = console_issuer(side)

    def journal(action: str, who: str) -> None:
        log = audit_log(side)
        log.outcome(log.intent(action, who=who), "done")

    return Doors(
        sessions=kept_sessions(side),
        grants=grants_file(side),
        passwords=console_passwords(side),
        flow=OidcFlow(issuer, utc_now, secrets.token_bytes) if issuer else None,
        seal=seal_of(side),
        certificates=certificates_of(side),
        secure=bool(serve.tls_cert) or serve.console_url.startswith("https://"),
        journal=journal,
    )
