"""What vouches for callers: the identity sources of a site, and what each of them says."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import StrEnum

from lockgate.infer.ports import Principal

SUBJECT_LIMIT = 255
"""Longest name by which a source knows somebody, in characters (OpenID Connect Core 1.0, section 2)."""

GROUPS_LIMIT = 512
"""Most groups of one caller that are looked at."""

GROUP_NAME_LIMIT = 512
"""Longest name of a group, in characters: names of directories have several parts."""


class Source(StrEnum):
    """Where an identity comes from."""

    OIDC = "oidc"
    LDAP = "ldap"
    CERTIFICATE = "cert"
    LOCAL = "local"


class Role(StrEnum):
    """What a caller may do: ask models, read what stands behind others' answers too, or see every page."""

    USER = "user"
    AUDITOR = "auditor"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Found:
    """What a source says of somebody it knows.

    Attributes:
        source: Who says so.
        subject: The name that the source never gives to anybody else.
        name: What people call them; for eyes alone.
        groups: The groups that they are in.

    """

    source: Source
    subject: str
    name: str
    groups: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """Return what tells callers of all sources apart."""
        return f"{self.source.value}:{self.subject}"


@dataclass(frozen=True, slots=True)
class Identity(Principal):
    """Somebody whom a source vouched for, with what the site grants them."""

    id: str
    name: str
    labels: tuple[str, ...]
    roles: frozenset[str]
    source: str


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a request brought to prove who asks.

    Attributes:
        authorization: The header of that name; none where there was none.
        certificate: The client's certificate (DER), whose chain and key TLS has checked; none without one.
        session: What the chat page's script sends along; none from anybody else.

    """

    authorization: str | None = None
    certificate: bytes | None = None
    session: str | None = None


class Identities(ABC):
    """Tells who asks."""

    @abstractmethod
    async def find(self, credentials: Credentials) -> Found | None:
        """Return whom the credentials prove; nothing where they are not of this source's kind.

        Raises:
            BadCredentialsError: They are of its kind and do not hold.
            IdentitySourceError: The source cannot be asked.

        """


class Directory(ABC):
    """Where people have names and passwords."""

    @abstractmethod
    async def sign_in(self, name: str, password: str) -> Found:
        """Return who somebody is who knows the password.

        Raises:
            BadCredentialsError: Nobody of that name does, or they are disabled.
            IdentitySourceError: The directory cannot be asked.

        """

    @abstractmethod
    async def standing(self, subject: str) -> Found | None:
        """Return what is known of somebody now; nothing where they are gone or disabled.

        Raises:
            IdentitySourceError: The directory cannot be asked.

        """


class Callers(ABC):
    """Tells who asks, and what the site grants them."""

    @abstractmethod
    async def identify(self, credentials: Credentials) -> Principal | None:
        """Return the caller; nothing where no source knows such credentials.

        Raises:
            BadCredentialsError, IdentitySourceError: See `Identities`.
            NotGrantedError: Whoever it is, the site grants them nothing, or has shut them out.

        """


class Chain(Callers):
    """Asks one source after another, and grants what the site says."""

    def __init__(self, sources: "tuple[Identities, ...]", grants: "Granting") -> None:
        """Keep the sources in their order."""
        self._sources = sources
        self._grants = grants

    async def identify(self, credentials: Credentials) -> Principal | None:
        """Return the first source's answer that is one, with its grants."""
        for source in self._sources:
            found = await source.find(credentials)
            if found is not None:
                return self._grants.granted(found)
        return None


class Granting(ABC):
    """What a site grants to whom its sources vouch for."""

    @abstractmethod
    def granted(self, found: Found) -> Identity:
        """Return somebody with their labels and roles.

        Raises:
            NotGrantedError: They have none, or are shut out.

        """
