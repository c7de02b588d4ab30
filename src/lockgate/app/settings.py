"""Settings of one side: ``lockgate.toml`` in its home, with environment variables over it."""

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as VariableError

from lockgate.app.sections import (
    AdvisoriesSection,
    AuditSection,
    CadenceSection,
    ClamavSection,
    CustodySection,
    EngineSection,
    GuardSection,
    IdentitiesSection,
    KnowledgeSection,
    LaneSection,
    LimitsSection,
    LogSection,
    ProvenanceSection,
    ReinspectSection,
    SealSection,
    ServeSection,
    ShapingSection,
    StationSection,
    StoreSection,
    TrustSection,
)
from lockgate.app.targets import TargetName, TargetSection
from lockgate.core.errors import InputError

CONFIG_FILE = "lockgate.toml"
ANY_NAME = "NAME"
"""What stands in explanations where an operator gives a table its name."""


class SettingsError(InputError):
    """The configuration is missing or has a mistake."""

    code = "LG-1f01"
    advice = (
        "`lockgate config explain` describes every key; `--home` names the folder that holds lockgate.toml."
    )


@dataclass(frozen=True, slots=True)
class Home:
    """The folders of one side. Everything that this side keeps lies below `root`."""

    root: Path

    @property
    def config(self) -> Path:
        """Return the place of the configuration file."""
        return self.root / CONFIG_FILE

    @property
    def trust(self) -> Path:
        """Return the place of roots and pins."""
        return self.root / "trust"

    @property
    def keys(self) -> Path:
        """Return the place of keys of this side's own processes."""
        return self.root / "keys"

    @property
    def blobs(self) -> Path:
        """Return the place of the blob store."""
        return self.root / "blobs"

    @property
    def inbox(self) -> Path:
        """Return the place of crates as they arrived."""
        return self.root / "inbox"

    @property
    def outbox(self) -> Path:
        """Return the place of sealed crates."""
        return self.root / "outbox"

    @property
    def locks(self) -> Path:
        """Return the place of what was collected."""
        return self.root / "locks"

    @property
    def quarantine(self) -> Path:
        """Return the place of what was received and not admitted."""
        return self.root / "quarantine"

    @property
    def pending(self) -> Path:
        """Return the place of statements that wait for approvals."""
        return self.root / "pending"

    @property
    def channels(self) -> Path:
        """Return the place of signed channel statements."""
        return self.root / "channels"

    @property
    def internal(self) -> Path:
        """Return the place of what clients pushed into open namespaces."""
        return self.root / "internal"

    @property
    def knowledge(self) -> Path:
        """Return the place of indexes of documents."""
        return self.root / "knowledge"

    @property
    def advisories(self) -> Path:
        """Return the place of loaded vulnerability data."""
        return self.root / "advisories"

    @property
    def station(self) -> Path:
        """Return the place of files that lie before a station's scanner."""
        return self.root / "station"

    @property
    def runtime(self) -> Path:
        """Return the place of installed engines."""
        return self.root / "runtime"

    @property
    def releases(self) -> Path:
        """Return the place of slots, of the link to the active one, and of test crates."""
        return self.root / "releases"

    @property
    def run(self) -> Path:
        """Return the place of process ids, logs and state of running services."""
        return self.root / "run"

    @property
    def records_url(self) -> str:
        """Return the address of the records."""
        return f"sqlite:///{self.root / 'records.sqlite'}"

    @property
    def audit_url(self) -> str:
        """Return the address of the audit log's records."""
        return f"sqlite:///{self.root / 'audit.sqlite'}"


class Settings(BaseSettings):
    """Everything that can be set for one side."""

    model_config = SettingsConfigDict(
        env_prefix="LOCKGATE_", env_nested_delimiter="__", extra="forbid", frozen=True
    )

    lane: LaneSection
    trust: TrustSection
    seal: SealSection = SealSection()
    custody: CustodySection = CustodySection()
    serve: ServeSection = ServeSection()
    engine: EngineSection = EngineSection()
    identities: IdentitiesSection = IdentitiesSection()
    knowledge: KnowledgeSection = KnowledgeSection()
    guard: GuardSection = GuardSection()
    shaping: ShapingSection = ShapingSection()
    limits: LimitsSection = LimitsSection()
    reinspect: ReinspectSection = ReinspectSection()
    clamav: ClamavSection = ClamavSection()
    audit: AuditSection = AuditSection()
    log: LogSection = LogSection()
    advisories: AdvisoriesSection = AdvisoriesSection()
    cadence: CadenceSection = CadenceSection()
    provenance: ProvenanceSection = ProvenanceSection()
    station: StationSection = StationSection()
    store: StoreSection = StoreSection()
    targets: dict[TargetName, TargetSection] = Field(default_factory=dict)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  # the framework's signature
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # no .env files
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # secrets are named by path
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let environment variables win over the file."""
        return env_settings, init_settings


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a lane, ready to be used: its home and its settings."""

    home: Home
    settings: Settings

    @property
    def lane(self) -> str:
        """Return the lane's name."""
        return self.settings.lane.name

    def require(self, side: str) -> "Side":
        """Return itself when it is the named side.

        Raises:
            SettingsError: The command belongs to the other side.

        """
        if self.settings.lane.side != side:
            here = self.settings.lane.side
            what = f"This command belongs to the {side} side; {self.home.root} is the {here} side."
            advice = f"Name the home of the {side} side: --home, or LOCKGATE_HOME."
            raise SettingsError(what, advice=advice)
        return self


def default_home() -> Path:
    """Return the home that is used when none is named (XDG Base Directory Specification)."""
    data = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data) / "lockgate"


def load_settings(home: Path | None) -> Side:
    """Return a side from its home.

    Raises:
        SettingsError: No configuration there, or it has a mistake.

    """
    root = (home or default_home()).expanduser().resolve()
    file = root / CONFIG_FILE
    try:
        table = tomllib.loads(file.read_text())
        settings = Settings(**table)
    except FileNotFoundError:
        what = f"There is no {CONFIG_FILE} in {root}."
        advice = "Name the folder of this side: --home, or LOCKGATE_HOME. `lockgate lane init` makes a lane."
        raise SettingsError(what, advice=advice) from None
    except VariableError as error:
        what = f"An environment variable cannot be read: {error}."
        raise SettingsError(what) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        what = f"{file}: {key}: {first['msg']}."
        raise SettingsError(what, key=key) from error
    except (ValueError, OSError) as error:  # numbers with thousands of digits are no TOMLDecodeError
        what = f"{file} cannot be read: {error}."
        raise SettingsError(what) from error
    return Side(Home(root), settings)


def explanations() -> list[dict[str, str]]:
    """Return what every key means, its default and the environment variable that overrides it."""
    sections: dict[str, type[BaseModel]] = {
        section: part.annotation
        for section, part in Settings.model_fields.items()
        if isinstance(part.annotation, type) and issubclass(part.annotation, BaseModel)
    }
    sections[f"targets.{ANY_NAME}"] = TargetSection
    return [key for section, model in sections.items() for key in _explained(section, model)]


def _explained(section: str, model: type[BaseModel]) -> Iterator[dict[str, str]]:
    for name, field in model.model_fields.items():
        default = "none, must be set" if field.is_required() else repr(field.default)
        variable = f"LOCKGATE_{section.replace('.', '__')}__{name}".upper()
        yield {
            "key": f"{section}.{name}",
            "default": default,
            "variable": variable,
            "meaning": field.description or "",
        }
