"""Sections of the services: where they listen and who may ask."""

from typing import Literal

from pydantic import Field

from lockgate.app.sections.base import Section


class ServeSection(Section):
    """Where the services of the high side listen."""

    host: str = Field(default="127.0.0.1", description="Address that the services bind to.")
    mirror_port: int = Field(default=8710, ge=1, le=65535, description="Package and model mirrors.")
    mirror_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,260})?$",
        description="Address that clients reach the mirrors by; empty: as each of them asks.",
    )
    mirror_names: str = Field(
        default="",
        max_length=4000,
        description="`PROTOCOL=NAME` with spaces between: host names at which one protocol is served alone.",
    )
    candidate_port: int = Field(
        default=8711, ge=1, le=65535, description="Mirrors of the candidate channel, for canary hosts."
    )
    candidate: bool = Field(
        default=False, description="Whether the mirrors of the candidate channel are started with the others."
    )
    tls_cert: str = Field(
        default="", description="Certificate of the services, with its chain; empty: they speak plain HTTP."
    )
    tls_key: str = Field(default="", description="Its key, not encrypted; relative paths lie below the home.")
    tls_ca: str = Field(
        default="", description="Authority of that certificate, by which the services trust one another."
    )
    tls_client_ca: str = Field(
        default="", description="Authority that clients need a certificate of; empty: they need none."
    )
    tls_client_crl: str = Field(
        default="", description="That authority's list of revoked certificates; read when a service starts."
    )
    tls_client_optional: bool = Field(
        default=False,
        description="Whether the gateway, and mirrors read by label, take clients without a certificate too.",
    )
    gateway_port: int = Field(default=8720, ge=1, le=65535, description="OpenAI-compatible gateway.")
    gateway_processes: int = Field(
        default=1, ge=1, le=256, description="Gateway processes on the port; more than one need `servers`."
    )
    console_port: int = Field(default=8730, ge=1, le=65535, description="Console.")
    console_access: Literal["open", "people"] = Field(
        default="open",
        description="Who sees the console: whoever reaches it, or people who sign in, by their grants.",
    )
    console_idle_seconds: int = Field(
        default=1800, ge=60, le=86_400, description="Silence after which a session of the console ends."
    )
    console_session_seconds: int = Field(
        default=28_800, ge=60, le=604_800, description="Age at which a session of the console ends."
    )
    console_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,260})?$",
        description="The console's address as browsers reach it, to which the issuer sends people back.",
    )
    open_namespaces: str = Field(
        default="",
        description="Image namespaces that clients may push to, with spaces between; empty: none.",
    )
    mirror_access: Literal["open", "labels"] = Field(
        default="open",
        description="Who reads the mirrors: everybody everything, or each by the labels of an API key.",
    )
    anonymous_labels: str = Field(
        default="",
        description="Labels that are read without a key (with tls_client_ca: by any certificate's holder).",
    )
    namespace_labels: str = Field(
        default="",
        description="`BEGINNING=LABEL` with spaces between: package URLs whose readers need that label too.",
    )
    open_projects: str = Field(
        default="",
        description="Python projects that clients may upload, by name or `BEGINNING*`, with spaces between.",
    )
    open_models: str = Field(
        default="",
        description="Models that clients may upload, by `OWNER/NAME` or `BEGINNING*`, with spaces between.",
    )
    take_submissions: bool = Field(
        default=True,
        description="Whether `high up` takes to the gate what clients uploaded or pushed.",
    )
    push_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Most bytes that open namespaces hold together."
    )


class IdentitiesSection(Section):
    """Who may ask the gateway beside the holders of API keys (high side)."""

    stale_seconds: int = Field(
        default=900,
        ge=30,
        le=86_400,
        description="Seconds until somebody whom their source disabled is refused, whatever a token says.",
    )
    local: bool = Field(
        default=False,
        description="The site's own names and passwords (`console user`) count at the gateway too.",
    )
    oidc_issuer: str = Field(
        default="",
        pattern=r"^(https://[^\s?#@]{1,400}|http://(127\.0\.0\.1|\[::1\]):[0-9]{1,5}(/[^\s?#@]{0,300})?)?$",
        description="OpenID Connect issuer, as its tokens name it; empty: no tokens are taken.",
    )
    oidc_audience: str = Field(default="", description="For whom tokens have to be: the gateway's own name.")
    oidc_clients: str = Field(
        default="",
        description="Programs whose tokens are taken (`azp`), with spaces between; empty: any.",
    )
    oidc_groups: str = Field(
        default="groups", description="Claim with the groups; dots lead inside, as `realm_access.roles`."
    )
    oidc_name: str = Field(default="preferred_username", description="Claim with the name for people.")
    oidc_ca: str = Field(
        default="",
        description="Authority of the issuer's certificate; empty: those of the system.",
    )
    oidc_client: str = Field(
        default="", description="As which program people sign in at the chat page; empty: they do not."
    )
    oidc_secret_file: str = Field(
        default="", description="File with that program's secret; empty: it is a public one."
    )
    oidc_scopes: str = Field(default="openid profile", description="What the chat page asks the issuer for.")
    chat_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,260})?$",
        description="The gateway's address as browsers reach it, to which the issuer sends people back.",
    )
    session_seconds: int = Field(
        default=28_800, ge=60, le=604_800, description="Seconds that a sign-in with a password lasts."
    )
    ldap_url: str = Field(
        default="",
        pattern=r"^(ldaps?://[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?)?$",
        description="Directory of names and passwords; `ldap` begins TLS by request; empty: none.",
    )
    ldap_ca: str = Field(
        default="", description="Authority of the directory's certificate; empty: those of the system."
    )
    ldap_base: str = Field(default="", description="Below which object people are.")
    ldap_user: str = Field(default="uid", description="Attribute with the name that people type.")
    ldap_name: str = Field(default="cn", description="Attribute with their name for others' eyes.")
    ldap_groups: str = Field(
        default="", description="Below which object groups are; empty: people name theirs (`memberOf`)."
    )
    ldap_member: str = Field(default="member", description="Attribute of groups with their members.")
    ldap_group: str = Field(default="cn", description="Attribute with a group's own name.")
    ldap_bind: str = Field(default="", description="As which object people are looked up; empty: as nobody.")
    ldap_password_file: str = Field(default="", description="File with that object's password.")
    ldap_disabled: str = Field(
        default="",
        description="What disables somebody, with spaces between: `nsAccountLock=true`, "
        "`pwdAccountLockedTime=*`, `userAccountControl&2`.",
    )
    certificates: bool = Field(
        default=False, description="Whether client certificates of `[serve] tls_client_ca` prove who asks."
    )
