"""The sections of `lockgate.toml`: every key with its bounds, its default and its meaning."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Section(BaseModel):
    """Base of the sections: unknown keys are mistakes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class LaneSection(Section):
    """Which lane and which side."""

    name: str = Field(description="Name of the lane; both sides use the same.")
    side: Literal["low", "high", "station"] = Field(
        description="low (connected), high (isolated), or station (a transfer station between them)."
    )
    assurance: Literal["demo", "production"] = Field(
        "production", description="Demo lanes say so everywhere."
    )


class TrustSection(Section):
    """What was pinned when the lane was made."""

    supply_pin: str = Field(description="SHA-256 of the first supply root, compared aloud on both sides.")
    site_pin: str = Field(description="SHA-256 of the site root, compared aloud on both sides.")


class SealSection(Section):
    """How crates are made (low side)."""

    volume_bytes: int = Field(
        default=4 * 2**30 - 1, ge=2 * 2**20, description="Largest volume in bytes; FAT32 takes 4 GiB - 1."
    )
    parity: str = Field(
        default="0%",
        pattern=r"^(100|[0-9]{1,2})(\.[0-9]{1,2})?%$",
        description="Parity volumes, as a share of the volumes, from which lost or damaged ones are rebuilt.",
    )
    expires_days: int = Field(
        default=45, ge=1, le=400, description="Days until a crate may no longer be admitted."
    )


class CustodySection(Section):
    """What a counter needs to know (both sides)."""

    call: str = Field(
        default="", max_length=40, description="Whom to call when a package is not right; stands on slips."
    )


class ServeSection(Section):
    """Where the services of the high side listen."""

    host: str = Field(default="127.0.0.1", description="Address that the services bind to.")
    mirror_port: int = Field(default=8710, ge=1, le=65535, description="Package and model mirrors.")
    mirror_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:\[\]-]{1,260})?$",
        description="Address that clients reach the mirrors by; empty: as each of them asks.",
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
        description="Whether the gateway takes clients without a certificate too.",
    )
    gateway_port: int = Field(default=8720, ge=1, le=65535, description="OpenAI-compatible gateway.")
    gateway_processes: int = Field(
        default=1, ge=1, le=256, description="Gateway processes on the port; more than one need `servers`."
    )
    console_port: int = Field(default=8730, ge=1, le=65535, description="Console.")
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
    push_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Most bytes that open namespaces hold together."
    )


class EngineSection(Section):
    """Which engine the gateway starts (high side)."""

    kind: Literal["llama", "vllm", "ollama", "tgi"] = Field(
        default="llama", description="What the engine is that the gateway starts."
    )
    project: str = Field(default="", description="Python project that carries the engine; empty: no engine.")
    executable: str = Field(
        default="", description="Path of the program inside that project (llama) or folder (ollama, tgi)."
    )
    folder: str = Field(
        default="",
        description="Folder of an installed program (ollama, tgi); each file in it must be admitted.",
    )
    options: str = Field(
        default="", description="Further options of vLLM with spaces between, as `--dtype bfloat16`."
    )
    instances: int = Field(
        default=1, ge=1, le=16, description="How many programs are started for each model."
    )
    chat_model: str = Field(
        default="",
        description="Names of the chat models to load, as `org/name` or `org/name@revision` with spaces "
        "between; empty: the newest.",
    )
    context_tokens: int = Field(default=4096, ge=512, le=1 << 20, description="Context window in tokens.")
    threads: int = Field(
        default=0, ge=0, le=512, description="Threads of the engine; 0: one for each processor."
    )
    servers: str = Field(
        default="",
        description="Servers that have the chat model, as `kind=http://host:port` with spaces between "
        "(openai, llama, vllm, ollama, tgi); empty: the gateway starts its own engine.",
    )
    served_name: str = Field(default="", description="Name of the model on the servers; empty: its own name.")
    server_key_file: str = Field(
        default="", description="File with the bearer token of the servers; relative ones lie below the home."
    )

    @property
    def serves(self) -> bool:
        """Tell whether there is anything to serve models with."""
        return bool(self.project or self.folder or self.servers)


class IdentitiesSection(Section):
    """Who may ask the gateway beside the holders of API keys (high side)."""

    stale_seconds: int = Field(
        default=900,
        ge=30,
        le=86_400,
        description="Seconds until somebody whom their source disabled is refused, whatever a token says.",
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


class KnowledgeSection(Section):
    """What the knowledge base is built from (high side)."""

    collection: str = Field(default="", description="Document collection to index; empty: no knowledge base.")
    embed_model: str = Field(default="", description="Name of the embedding model, as `org/name`.")


class GuardSection(Section):
    """What the guards let pass (high side). No key turns one off: that takes two persons."""

    classifier: str = Field(
        default="",
        description="Name of an admitted classifier, as `org/name`; empty: the one that ships.",
    )
    classifier_label: int = Field(
        default=1, ge=0, le=1000, description="Which output of that classifier means an attack, from 0."
    )
    classifier_flag_percent: int = Field(
        default=50,
        ge=1,
        le=99,
        description="Probability from which that classifier flags a text, in percent.",
    )
    classifier_block_percent: int = Field(
        default=99, ge=1, le=99, description="Probability from which it blocks one, where it may block."
    )
    classifier_user: Literal["log", "block"] = Field(
        default="log", description="What a high score does to a user's turn."
    )
    classifier_retrieved: Literal["log", "block"] = Field(
        default="log", description="What a high score does to a passage that was looked up."
    )
    classifier_tool: Literal["log", "block"] = Field(
        default="log", description="What a high score does to what a tool answered."
    )

    marking: Literal["mark", "tag"] = Field(
        default="mark",
        description="How models are shown text of tools and documents: marked words, or tags around.",
    )
    hosts: str = Field(
        default="",
        description="Hosts that answers may link to, with spaces between; a leading dot admits subdomains.",
    )
    personal: Literal["log", "block"] = Field(
        default="log", description="Card numbers, IBANs and mail addresses in answers: counted, or removed."
    )
    system_prompt: Literal["log", "block"] = Field(
        default="log", description="Answers that repeat a system prompt word for word: counted, or stopped."
    )


class ShapingSection(Section):
    """What an observer of the network learns from sizes and times of answers (high side)."""

    labels: str = Field(
        default="",
        description="Profiles by label, as `secret=constant internal=padded`: off, padded, paced, constant.",
    )
    record_bytes: int = Field(default=1024, ge=64, le=1 << 20, description="Bytes of one record.")
    interval_ms: int = Field(default=50, ge=1, le=60_000, description="Milliseconds between two records.")
    bucket_records: int = Field(
        default=600, ge=1, le=1 << 20, description="A constant answer has a multiple of so many records."
    )


class StoreSection(Section):
    """Where records and blobs are kept. Secrets stand in files; relative ones lie below the home."""

    records: str = Field(
        default="",
        description="Address of the records, as `postgresql://user@host/name`; empty: SQLite in the home.",
    )
    audit: str = Field(
        default="", description="Address of the log, a database of its own; empty: SQLite in the home."
    )
    password_file: str = Field(default="", description="File with the password of both addresses' user.")
    blobs: str = Field(default="", description="Bucket of blobs, as `s3://bucket/prefix`; empty: `blobs/`.")
    s3_endpoint: str = Field(default="", description="Address of the object store, as `https://host:port`.")
    s3_region: str = Field(default="us-east-1", description="Region that requests are signed for.")
    s3_key_file: str = Field(default="", description="File with the access key, as `id:secret`.")
    spool_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Largest content that passes to a bucket through this disk."
    )
    copies_bytes: int = Field(
        default=1 << 38, ge=1 << 20, description="Most bytes of local copies of a bucket's blobs."
    )


class AdvisoriesSection(Section):
    """Vulnerability data."""

    age_days: int = Field(
        default=14, ge=1, le=400, description="Age of the newest record from which data is too old."
    )


class ProvenanceSection(Section):
    """What signatures are judged by."""

    age_days: int = Field(
        default=180, ge=1, le=2000, description="Age from which trust roots judge nothing any more."
    )


class CadenceSection(Section):
    """When crossings are planned."""

    first: str = Field(default="", description="First planned day, as 2026-01-05; empty: no plan.")
    every_days: int = Field(default=7, ge=1, le=400, description="Days from one planned day to the next.")
    grace_days: int = Field(default=2, ge=0, le=400, description="Days after which a planned one is missed.")


class AuditSection(Section):
    """Who outside this host vouches for the audit log."""

    witness: str = Field(
        default="",
        description="Addresses of witnesses inside the network, in numbers, as `http://192.0.2.7:8790`, with "
        "spaces between; empty: nobody is asked.",
    )
    witness_every_seconds: int = Field(
        default=900, ge=10, le=86_400, description="Seconds until a witness is asked again without admission."
    )


class LogSection(Section):
    """What is logged. Lines go to standard error; those of services to their files below `run/`."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Least level of the services' logs; the variable holds for every command."
    )


class StationSection(Section):
    """Which scanner a transfer station shows crates to (station)."""

    adapter: Literal["", "command", "folder", "icap"] = Field(
        default="", description="How the scanner is spoken to: command, folder or icap."
    )
    scanner: str = Field(
        default="",
        pattern=r"^([a-z0-9][a-z0-9._-]{0,63})?$",
        description="The scanner's name in reports and in the site's policy.",
    )
    version: str = Field(default="", description="Its version, where nothing prints it.")
    version_command: str = Field(default="", description="Command that prints its version in the first line.")
    database: str = Field(
        default="", description="File or folder whose newest file dates the scanner's data."
    )
    seconds: int = Field(default=600, ge=1, le=86400, description="Time for one file.")
    largest_bytes: int = Field(
        default=100 << 20,
        ge=1 << 10,
        description="Longest file that the scanner reads whole; a longer one is never clean.",
    )
    report_days: int = Field(default=7, ge=1, le=90, description="Days that a report counts.")
    command: str = Field(
        default="", description="Command for one file, with `{file}` where its path goes; no shell is used."
    )
    clean_status: str = Field(default="0", description="Exit statuses that say that nothing was found.")
    infected_status: str = Field(default="1", description="Exit statuses that say that something was found.")
    found_pattern: str = Field(
        default=r": (.{1,200}) FOUND$",
        description="Where a line of output names what was found: a regular expression with one group.",
    )
    folder: str = Field(default="", description="The watched folder; `in/` in it is where files appear.")
    folder_answer: Literal["move", "result"] = Field(
        default="move",
        description="move: to `clean/` or `infected/`; result: a file for each in `result/`, named like it.",
    )
    result_suffix: str = Field(
        default=".txt", pattern=r"^[A-Za-z0-9._-]{0,32}$", description="Ending of a result file's name."
    )
    result_clean: str = Field(
        default="CLEAN", min_length=1, description="What the first line of a clean result begins with."
    )
    result_infected: str = Field(
        default="INFECTED", min_length=1, description="What the first line of another result begins with."
    )
    icap: str = Field(default="", description="Address of the service, as `icap://host:1344/service`.")
    icap_method: Literal["respmod", "reqmod"] = Field(
        default="respmod", description="Whether files go as downloads or as uploads."
    )


class ReinspectSection(Section):
    """Looking again at what was admitted, when rules or inspectors are newer (high side)."""

    every_seconds: int = Field(
        default=3600, ge=0, le=30 * 86_400, description="Seconds between two looks of the services; 0: never."
    )
    bytes_per_second: int = Field(
        default=32 << 20, ge=1 << 10, description="Most bytes that are looked at again in a second."
    )


class ClamavSection(Section):
    """ClamAV's daemon as a second opinion at inspection (high side)."""

    socket: str = Field(default="", description="Unix socket of clamd; empty: it is not asked.")
    kinds: str = Field(
        default="python npm document file oci space dataset",
        description="Kinds of artifacts whose files it is shown, with spaces between.",
    )
    required: bool = Field(
        default=True, description="Whether nothing is inspected while it is down or its data too old."
    )
    database: str = Field(
        default="", description="Its folder of signatures, where its version names no date."
    )
    database_days: int = Field(
        default=7, ge=0, le=400, description="Days that its data may be old; 0: any age."
    )
    largest_bytes: int = Field(
        default=100 << 20,
        ge=1 << 10,
        description="Longest file that it is shown, as StreamMaxLength; a longer one is incomplete.",
    )
    seconds: int = Field(default=120, ge=1, le=3600, description="How long it may be silent.")


class LimitsSection(Section):
    """Bounds on what untrusted input can make this side do."""

    inspect_seconds: int = Field(default=60, ge=1, description="Time for one file; size adds to it.")
    inspect_memory_bytes: int = Field(default=3 << 30, ge=1 << 26, description="Most memory for one file.")
    inspect_member_bytes: int = Field(default=1 << 30, ge=1, description="Largest member of an archive.")
    inspect_unpacked_bytes: int = Field(default=8 << 30, ge=1, description="Most that an archive unpacks to.")
