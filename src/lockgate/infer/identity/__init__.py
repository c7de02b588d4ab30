"""Who asks: tokens, certificates, and what the site grants to whom its identity sources know."""

from lockgate.infer.identity.certificates import ClientCertificates
from lockgate.infer.identity.claims import TokenRules
from lockgate.infer.identity.grants import FileGrants, Grant, Grants, Holder, MemoryGrants, grant
from lockgate.infer.identity.issuer import Issuer, IssuerConfig
from lockgate.infer.identity.oidc import BearerTokens
from lockgate.infer.identity.ports import (
    Callers,
    Chain,
    Credentials,
    Found,
    Granting,
    Identities,
    Identity,
    Role,
    Source,
)

__all__ = [
    "BearerTokens",
    "Callers",
    "Chain",
    "ClientCertificates",
    "Credentials",
    "FileGrants",
    "Found",
    "Grant",
    "Granting",
    "Grants",
    "Holder",
    "Identities",
    "Identity",
    "Issuer",
    "IssuerConfig",
    "MemoryGrants",
    "Role",
    "Source",
    "TokenRules",
    "grant",
]
