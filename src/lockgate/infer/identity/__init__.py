"""Who asks: tokens, certificates, and what the site grants to whom its identity sources know."""

from lockgate.infer.identity.certificates import ClientCertificates
from lockgate.infer.identity.claims import TokenRules
from lockgate.infer.identity.grants import FileGrants, Grant, Grants, Holder, MemoryGrants, grant
from lockgate.infer.identity.issuer import Issuer, IssuerConfig
from lockgate.infer.identity.ldap import DirectoryConfig, Disabled, LdapDirectory
from lockgate.infer.identity.oidc import BearerTokens
from lockgate.infer.identity.passwords import BasicPasswords, Passwords, Sessions
from lockgate.infer.identity.ports import (
    Callers,
    Chain,
    Credentials,
    Directory,
    Found,
    Granting,
    Identities,
    Identity,
    Role,
    Source,
)
from lockgate.infer.identity.session import Seal

__all__ = [
    "BasicPasswords",
    "BearerTokens",
    "Callers",
    "Chain",
    "ClientCertificates",
    "Credentials",
    "Directory",
    "DirectoryConfig",
    "Disabled",
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
    "LdapDirectory",
    "MemoryGrants",
    "Passwords",
    "Role",
    "Seal",
    "Sessions",
    "Source",
    "TokenRules",
    "grant",
]
