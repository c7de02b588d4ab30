"""Ready configuration for the clients of these mirrors: what stands in which file, and what it means.

Sources: each client's own documentation of its configuration file. Texts name this mirror's address
and no other; what a client would ask besides it is turned off where the client lets one.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from lockgate.mirror.errors import NothingForClientError, UnknownClientError

APT = "apt"
"""The one client that is told what is served, not only where."""


USER = "__token__"
"""The user's name beside an API key, for clients that want one; any will do."""

KEY_PLACE = "YOUR-API-KEY"
"""What stands for a key that is not told."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file: where it usually stands, and its text."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """What one client needs: files, variables of the environment, and what a person should know."""

    client: str
    files: tuple[ConfigFile, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        """Return it as plain values, for ``--json``."""
        return {
            "client": self.client,
            "files": [{"path": file.path, "text": file.text} for file in self.files],
            "environment": dict(self.environment),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Place:
    """The mirror's address, taken apart."""

    url: str
    host: str
    name: str
    secure: bool
    authority: str = ""
    key: str = ""

    @classmethod
    def of(cls, url: str, authority: str = "", key: str = "") -> "Place":
        """Return the parts of an address such as ``https://mirror.example:8710``."""
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        return cls(
            url.rstrip("/"), parts.netloc, parts.hostname or "", secure, authority if secure else "", key
        )

    @property
    def with_key(self) -> str:
        """Return the address with the key in it, for clients that take it nowhere else."""
        scheme, _, rest = self.url.partition("://")
        return f"{scheme}://{USER}:{self.key}@{rest}" if self.key else self.url


@dataclass(frozen=True, slots=True)
class AptSource:
    """Suites of one repository with the same components, and whether they have source packages."""

    repository: str
    suites: tuple[str, ...]
    components: tuple[str, ...]
    sources: bool = False


@dataclass(frozen=True, slots=True)
class AptSuites:
    """What apt has to be told of a lane's repositories: the lane's key in ASCII armour, and the sources."""

    certificate: str
    fingerprint: str
    sources: tuple[AptSource, ...]


def client_config(
    client: str, url: str, apt: AptSuites | None = None, *, authority: str = "", key: str = ""
) -> ClientConfig:
    """Return what a client needs to know of the mirrors at an address.

    Args:
        client: The client.
        url: The mirrors' address.
        apt: What is served to apt; without it there is nothing to say to apt.
        authority: Where the certificate of the internal authority lies on the client's host; empty: the
            host trusts it already.
        key: The API key that the client is to use; empty: none.

    Raises:
        UnknownClientError: There is no such client here.
        NothingForClientError: Nothing is served to it.

    """
    if client == APT:
        if apt is None:
            raise NothingForClientError("No repository for apt is served, or none that the gate signed.")
        return _apt(Place.of(url, authority, key), apt)
    if client not in _CLIENTS:
        what = f"There is no configuration for {client[:40]!r}."
        raise UnknownClientError(what, advice=f"Name one of: {', '.join(clients())}.")
    return _CLIENTS[client](Place.of(url, authority, key))


def clients() -> tuple[str, ...]:
    """Return the clients that are known."""
    return (*_CLIENTS, APT)


def _lines(*lines: str | None) -> str:
    return "".join(f"{line}\n" for line in lines if line is not None)


def _pip(place: Place) -> ClientConfig:
    text = _lines(
        "[global]",
        f"index-url = {place.with_key}/simple/",
        None if place.secure else f"trusted-host = {place.name}",
        f"cert = {place.authority}" if place.authority else None,
        "disable-pip-version-check = true",
    )
    return ClientConfig("pip", (ConfigFile("~/.config/pip/pip.conf", text),))


def _uv(place: Place) -> ClientConfig:
    text = _lines(
        'python-downloads = "never"',
        "",
        "[[index]]",
        'name = "lockgate"',
        f'url = "{place.url}/simple/"',
        "default = true",
    )
    notes = ("A uv.lock that names other hosts is rewritten by `lockgate lockfile rewrite`.",)
    environment: tuple[tuple[str, str], ...] = ()
    if place.authority:
        environment += (("SSL_CERT_FILE", place.authority),)
    if place.key:
        environment += (("UV_INDEX_LOCKGATE_USERNAME", USER), ("UV_INDEX_LOCKGATE_PASSWORD", place.key))
    return ClientConfig("uv", (ConfigFile("~/.config/uv/uv.toml", text),), environment, notes)


def _npmrc(place: Place) -> ConfigFile:
    text = _lines(
        f"registry={place.url}/npm/",
        "replace-registry-host=always",
        "update-notifier=false",
        "fund=false",
        f"cafile={place.authority}" if place.authority else None,
        *_npm_key(place),
    )
    return ConfigFile("~/.npmrc", text)


def _npm_key(place: Place) -> tuple[str, ...]:
    """Return what npm, pnpm and yarn 1 prove who asks by."""
    return (f"//{place.host}/npm/:_authToken={place.key}",) if place.key else ()


def _npm(place: Place) -> ClientConfig:
    return ClientConfig("npm", (_npmrc(place),))


def _pnpm(place: Place) -> ClientConfig:
    return ClientConfig("pnpm", (_npmrc(place),))


def _yarn(place: Place) -> ClientConfig:
    old = _lines(
        f'registry "{place.url}/npm/"',
        "disable-self-update-check true",
        f'cafile "{place.authority}"' if place.authority else None,
        "always-auth true" if place.key else None,
    )
    new = _lines(
        f'npmRegistryServer: "{place.url}/npm"',
        "enableTelemetry: false",
        None if place.secure else f'unsafeHttpWhitelist: ["{place.name}"]',
        f'httpsCaFilePath: "{place.authority}"' if place.authority else None,
        f'npmAuthToken: "{place.key}"' if place.key else None,
        "npmAlwaysAuth: true" if place.key else None,
    )
    notes = (
        "yarn 1 reads .yarnrc, later versions read .yarnrc.yml.",
        "A yarn.lock of yarn 1 that names other hosts is rewritten by `lockgate lockfile rewrite`.",
        "`yarn audit` of yarn 1 asks a registry that is written into its code; use `npm audit`.",
    )
    files = [ConfigFile("~/.yarnrc", old), ConfigFile("~/.yarnrc.yml", new)]
    if place.key:
        files.append(ConfigFile("~/.npmrc", _lines(*_npm_key(place))))  # yarn 1 reads its key there
    return ClientConfig("yarn", tuple(files), notes=notes)


def _huggingface(place: Place) -> ClientConfig:
    environment: tuple[tuple[str, str], ...] = (
        ("HF_ENDPOINT", place.url),
        ("HF_HUB_DISABLE_TELEMETRY", "1"),
        ("HF_HUB_DISABLE_XET", "1"),
    )
    if place.key:
        environment += (("HF_TOKEN", place.key),)
    if place.authority:
        environment += (("REQUESTS_CA_BUNDLE", place.authority), ("SSL_CERT_FILE", place.authority))
    return ClientConfig("huggingface", environment=environment)


def _authority_notes(place: Place, folder: str) -> tuple[str, ...]:
    """Say where a program that trusts by folders looks for the authority of one registry."""
    if not place.authority:
        return ()
    return (f"It trusts the authority from its folder: cp {place.authority} {folder}/{place.host}/ca.crt",)


def _login(place: Place, program: str) -> tuple[str, ...]:
    """Say how a program that keeps credentials by registry is given the key, which stands in no file here."""
    return (f"Log in: {program} login --username {USER} --password-stdin {place.host}",) if place.key else ()


def _docker(place: Place) -> ClientConfig:
    insecure = [] if place.secure else [f'  "insecure-registries": ["{place.host}"],']
    text = _lines("{", *insecure, f'  "registry-mirrors": ["{place.url}"]', "}")
    notes = (
        f"Pull any image by its full name: docker pull {place.host}/REGISTRY/REPOSITORY:TAG",
        "Docker asks a mirror only for images of its default registry.",
        *_login(place, "docker"),
        *_authority_notes(place, "/etc/docker/certs.d"),
    )
    return ClientConfig("docker", (ConfigFile("/etc/docker/daemon.json", text),), notes=notes)


def _podman(place: Place) -> ClientConfig:
    text = _lines(
        f'unqualified-search-registries = ["{place.host}"]',
        "",
        "[[registry]]",
        f'location = "{place.host}"',
        f"insecure = {'false' if place.secure else 'true'}",
    )
    notes = (
        f"Pull any image by its full name: podman pull {place.host}/REGISTRY/REPOSITORY:TAG",
        (
            f'For names as they are upstream, add [[registry]] with prefix = "REGISTRY" and location = '
            f'"{place.host}/REGISTRY". skopeo and buildah read the same file.'
        ),
        *_login(place, "podman"),
        *_authority_notes(place, "/etc/containers/certs.d"),
    )
    return ClientConfig(
        "podman", (ConfigFile("/etc/containers/registries.conf.d/lockgate.conf", text),), notes=notes
    )


def _containerd(place: Place) -> ClientConfig:
    text = _lines(
        f'server = "{place.url}"',
        "",
        f'[host."{place.url}"]',
        '  capabilities = ["pull", "resolve"]',
        f'  ca = "{place.authority}"' if place.authority else None,
        f'  [host."{place.url}".header]' if place.key else None,
        f'    authorization = "Bearer {place.key}"' if place.key else None,
    )
    notes = ("It stands for every registry; containerd's config_path has to name the folder above _default.",)
    return ClientConfig(
        "containerd", (ConfigFile("/etc/containerd/certs.d/_default/hosts.toml", text),), notes=notes
    )


def _ollama(place: Place) -> ClientConfig:
    insecure = "" if place.secure else "--insecure "
    notes = (
        f"Name the mirror before the model: ollama pull {insecure}{place.host}/OWNER/NAME:TAG",
        "Models without an owner have the owner `library`.",
        *(("Ollama sends no API key: it pulls what is read without one.",) if place.key else ()),
    )
    return ClientConfig("ollama", notes=notes)


def _git(place: Place) -> ClientConfig:
    text = _lines(
        f'[url "{place.url}/git/"]',
        "\tinsteadOf = https://",
        f"\tinsteadOf = {place.url}/git/",
        f'[http "{place.url}/"]' if place.authority or place.key else None,
        f'\textraHeader = "Authorization: Bearer {place.key}"' if place.key else None,
        f"\tsslCAInfo = {place.authority}" if place.authority else None,
    )
    notes = (
        "Repositories keep their address: https://HOST/PATH is asked for at the mirror.",
        f"One repository by itself: git clone {place.url}/git/HOST/PATH",
    )
    return ClientConfig("git", (ConfigFile("~/.gitconfig", text),), notes=notes)


def _apt(place: Place, known: AptSuites) -> ClientConfig:
    """Return deb822 sources with the lane's key in them (sources.list(5), apt 2.3.10 and later)."""
    block = "".join(f" {line or '.'}\n" for line in known.certificate.splitlines())
    texts = [
        _lines(
            f"Types: {'deb deb-src' if source.sources else 'deb'}",
            f"URIs: {place.url}/apt/{source.repository}",
            f"Suites: {' '.join(source.suites)}",
            f"Components: {' '.join(source.components)}",
            "Signed-By:",
        )
        + block
        for source in known.sources
    ]
    notes = (
        f"The lane's key: {known.fingerprint}. The same stands in what this command prints at the gate.",
        f"apt before 2.3.10 takes the key from a file: {place.url}/apt/lockgate.asc, named as Signed-By.",
        "Take other files out of /etc/apt/sources.list.d: their hosts are not reached from here.",
    )
    files = [ConfigFile("/etc/apt/sources.list.d/lockgate.sources", "\n".join(texts))]
    if place.key:
        text = _lines(f"machine {place.url}/apt/ login {USER} password {place.key}")
        files.append(ConfigFile("/etc/apt/auth.conf.d/lockgate.conf", text))
    if place.authority:
        trust = _lines(f'Acquire::https::CaInfo "{place.authority}";')
        files.append(ConfigFile("/etc/apt/apt.conf.d/90lockgate", trust))
    return ClientConfig(APT, tuple(files), notes=notes)


_CLIENTS: dict[str, Callable[[Place], ClientConfig]] = {
    "pip": _pip,
    "uv": _uv,
    "npm": _npm,
    "yarn": _yarn,
    "pnpm": _pnpm,
    "docker": _docker,
    "podman": _podman,
    "containerd": _containerd,
    "huggingface": _huggingface,
    "ollama": _ollama,
    "git": _git,
}


def shell_lines(config: ClientConfig) -> Iterator[str]:
    """Yield what a person copies: each file under its path, then the variables."""
    for file in config.files:
        yield f"# {file.path}"
        yield file.text
    for name, value in config.environment:
        yield f"export {name}={value}"
    for note in config.notes:
        yield f"# {note}"
