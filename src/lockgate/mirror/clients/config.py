"""Ready configuration for the clients of these mirrors: what stands in which file, and what it means.

Sources: each client's own documentation of its configuration file. Texts name this mirror's address
and no other; what a client would ask besides it is turned off where the client lets one.
"""

from collections.abc import Callable, Iterator

from lockgate.mirror.clients.files import USER, ClientConfig, ConfigFile, Place, lines_of
from lockgate.mirror.clients.names import MirrorNames
from lockgate.mirror.clients.projects import pdm_config, poetry_config
from lockgate.mirror.clients.repositories import (
    APT,
    DNF,
    AptSuites,
    DnfRepositories,
    apt_config,
    dnf_config,
)
from lockgate.mirror.errors import NothingForClientError, UnknownClientError


def client_config(
    client: str,
    url: str,
    apt: AptSuites | None = None,
    *,
    dnf: DnfRepositories | None = None,
    authority: str = "",
    key: str = "",
    certificate: str = "",
    names: MirrorNames | None = None,
) -> ClientConfig:
    """Return what a client needs to know of the mirrors at an address.

    Args:
        client: The client.
        url: The mirrors' address.
        apt: What is served to apt; without it there is nothing to say to apt.
        dnf: What is served to dnf; likewise.
        authority: Where the certificate of the internal authority lies on the client's host; empty: the
            host trusts it already.
        key: The API key that the client is to use; empty: none.
        certificate: Where the client's own certificate and its key lie on its host, as PEM in one file;
            empty: it shows none.
        names: Names of single protocols, which take the place of the address's host.

    Raises:
        UnknownClientError: There is no such client here.
        NothingForClientError: Nothing is served to it.

    """
    names, protocol = names or MirrorNames(), _PROTOCOLS.get(client, "")
    below = names.below(protocol) if protocol else ""
    place = Place.of(names.url(protocol, url), authority, key, certificate, below)
    if client == APT:
        if apt is None:
            raise NothingForClientError("No repository for apt is served, or none that the gate signed.")
        return apt_config(place, apt)
    if client == DNF:
        if dnf is None:
            raise NothingForClientError("No repository for dnf is served, or none that the gate signed.")
        return dnf_config(place, dnf)
    if client not in _CLIENTS:
        what = f"There is no configuration for {client[:40]!r}."
        raise UnknownClientError(what, advice=f"Name one of: {', '.join(clients())}.")
    return _CLIENTS[client](place)


def clients() -> tuple[str, ...]:
    """Return the clients that are known."""
    return (*_CLIENTS, APT, DNF)


def _pip(place: Place) -> ClientConfig:
    text = lines_of(
        "[global]",
        f"index-url = {place.with_key}/simple/",
        None if place.secure else f"trusted-host = {place.name}",
        f"cert = {place.authority}" if place.authority else None,
        f"client-cert = {place.certificate}" if place.certificate else None,
        "disable-pip-version-check = true",
    )
    return ClientConfig("pip", (ConfigFile("~/.config/pip/pip.conf", text),))


def _uv(place: Place) -> ClientConfig:
    text = lines_of(
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
    if place.certificate:
        environment += (("SSL_CLIENT_CERT", place.certificate),)
    if place.key:
        environment += (("UV_INDEX_LOCKGATE_USERNAME", USER), ("UV_INDEX_LOCKGATE_PASSWORD", place.key))
    return ClientConfig("uv", (ConfigFile("~/.config/uv/uv.toml", text),), environment, notes)


def _npmrc(place: Place) -> ConfigFile:
    text = lines_of(
        f"registry={place.url}{place.below}/",
        "replace-registry-host=always",
        "update-notifier=false",
        "fund=false",
        f"cafile={place.authority}" if place.authority else None,
        *_npm_key(place),
        *_npm_certificate(place),
    )
    return ConfigFile("~/.npmrc", text)


def _npm_key(place: Place) -> tuple[str, ...]:
    """Return what npm, pnpm and yarn 1 prove who asks by."""
    return (f"//{place.host}{place.below}/:_authToken={place.key}",) if place.key else ()


def _npm_certificate(place: Place) -> tuple[str, ...]:
    """Return the certificate that npm and pnpm (from 10.25 on) show."""
    names = ("certfile", "keyfile") if place.certificate else ()
    return tuple(f"//{place.host}{place.below}/:{name}={place.certificate}" for name in names)


def _npm(place: Place) -> ClientConfig:
    note = (
        "`npm audit signatures` asks a server of Sigstore's before this one, which is not reached from here."
    )
    return ClientConfig("npm", (_npmrc(place),), notes=(note,))


def _pnpm(place: Place) -> ClientConfig:
    return ClientConfig("pnpm", (_npmrc(place),))


def _yarn(place: Place) -> ClientConfig:
    old = lines_of(
        f'registry "{place.url}{place.below}/"',
        "disable-self-update-check true",
        f'cafile "{place.authority}"' if place.authority else None,
        "always-auth true" if place.key else None,
    )
    new = lines_of(
        f'npmRegistryServer: "{place.url}{place.below}"',
        "enableTelemetry: false",
        None if place.secure else f'unsafeHttpWhitelist: ["{place.name}"]',
        f'httpsCaFilePath: "{place.authority}"' if place.authority else None,
        f'npmAuthToken: "{place.key}"' if place.key else None,
        "npmAlwaysAuth: true" if place.key else None,
        f'httpsCertFilePath: "{place.certificate}"' if place.certificate else None,
        f'httpsKeyFilePath: "{place.certificate}"' if place.certificate else None,
    )
    notes = (
        "yarn 1 reads .yarnrc, later versions read .yarnrc.yml.",
        "A yarn.lock of yarn 1 that names other hosts is rewritten by `lockgate lockfile rewrite`.",
        "`yarn audit` of yarn 1 asks a registry that is written into its code; use `npm audit`.",
        *(("yarn 1 takes certificates from no file; give it an API key.",) if place.certificate else ()),
    )
    files = [ConfigFile("~/.yarnrc", old), ConfigFile("~/.yarnrc.yml", new)]
    if place.key:
        # Else yarn 1 proves itself for scoped names alone.
        always = f"//{place.host}{place.below}/:always-auth=true"
        files.append(ConfigFile("~/.npmrc", lines_of(*_npm_key(place), always)))
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
    shows_none = "No variable gives the Hub's client a certificate to show; give it an API key."
    return ClientConfig(
        "huggingface", environment=environment, notes=(shows_none,) if place.certificate else ()
    )


def _folder_notes(place: Place, folder: str) -> tuple[str, ...]:
    """Say where a program looks for the authority of one registry, and for the certificate to show to it."""
    own = f"{folder}/{place.host}"
    notes = []
    if place.authority:
        notes.append(f"It trusts the authority from its folder: cp {place.authority} {own}/ca.crt")
    if place.certificate:
        notes.append(f"It shows the certificate that lies there: cp {place.certificate} {own}/client.cert")
        notes.append(f"Its key stands in the same file: cp {place.certificate} {own}/client.key")
    return tuple(notes)


def _login(place: Place, program: str) -> tuple[str, ...]:
    """Say how a program that keeps credentials by registry is given the key, which stands in no file here."""
    return (f"Log in: {program} login --username {USER} --password-stdin {place.host}",) if place.key else ()


def _docker(place: Place) -> ClientConfig:
    insecure = [] if place.secure else [f'  "insecure-registries": ["{place.host}"],']
    text = lines_of("{", *insecure, f'  "registry-mirrors": ["{place.url}"]', "}")
    notes = (
        f"Pull any image by its full name: docker pull {place.host}/REGISTRY/REPOSITORY:TAG",
        "Docker asks a mirror only for images of its default registry.",
        *_login(place, "docker"),
        *_folder_notes(place, "/etc/docker/certs.d"),
    )
    return ClientConfig("docker", (ConfigFile("/etc/docker/daemon.json", text),), notes=notes)


def _podman(place: Place) -> ClientConfig:
    text = lines_of(
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
        *_folder_notes(place, "/etc/containers/certs.d"),
    )
    return ClientConfig(
        "podman", (ConfigFile("/etc/containers/registries.conf.d/lockgate.conf", text),), notes=notes
    )


def _containerd(place: Place) -> ClientConfig:
    text = lines_of(
        f'server = "{place.url}"',
        "",
        f'[host."{place.url}"]',
        '  capabilities = ["pull", "resolve"]',
        f'  ca = "{place.authority}"' if place.authority else None,
        f'  client = "{place.certificate}"' if place.certificate else None,
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
        *(("Ollama shows no certificate: it pulls what is read without.",) if place.certificate else ()),
    )
    return ClientConfig("ollama", notes=notes)


def _conda(place: Place) -> ClientConfig:
    """Return what conda, mamba and micromamba read (.condarc): names of channels mean this mirror's."""
    text = lines_of(
        f"channel_alias: {place.with_key}{place.below}",
        "default_channels: []",
        "channels:",
        "  - nodefaults",
        f"ssl_verify: {place.authority}" if place.authority else None,
        f"client_ssl_cert: {place.certificate}" if place.certificate else None,
    )
    notes = (
        "Name a channel as it is mirrored: conda create -n NAME -c CHANNEL PACKAGE",
        f"pixi and rattler take its address: {place.url}{place.below}/CHANNEL",
    )
    return ClientConfig("conda", (ConfigFile("~/.condarc", text),), notes=notes)


def _git(place: Place) -> ClientConfig:
    text = lines_of(
        f'[url "{place.url}{place.below}/"]',
        "\tinsteadOf = https://",
        f"\tinsteadOf = {place.url}{place.below}/",
        f'[http "{place.url}/"]' if place.authority or place.key or place.certificate else None,
        f'\textraHeader = "Authorization: Bearer {place.key}"' if place.key else None,
        f"\tsslCAInfo = {place.authority}" if place.authority else None,
        f"\tsslCert = {place.certificate}" if place.certificate else None,
        f"\tsslKey = {place.certificate}" if place.certificate else None,
    )
    notes = (
        "Repositories keep their address: https://HOST/PATH is asked for at the mirror.",
        f"One repository by itself: git clone {place.url}{place.below}/HOST/PATH",
    )
    return ClientConfig("git", (ConfigFile("~/.gitconfig", text),), notes=notes)


_CLIENTS: dict[str, Callable[[Place], ClientConfig]] = {
    "pip": _pip,
    "uv": _uv,
    "poetry": poetry_config,
    "pdm": pdm_config,
    "npm": _npm,
    "yarn": _yarn,
    "pnpm": _pnpm,
    "docker": _docker,
    "podman": _podman,
    "containerd": _containerd,
    "huggingface": _huggingface,
    "ollama": _ollama,
    "git": _git,
    "conda": _conda,
}


_PROTOCOLS = {
    "pip": "pypi",
    "uv": "pypi",
    "poetry": "pypi",
    "pdm": "pypi",
    "npm": "npm",
    "yarn": "npm",
    "pnpm": "npm",
    "docker": "oci",
    "podman": "oci",
    "containerd": "oci",
    "ollama": "oci",
    "huggingface": "huggingface",
    "git": "git",
    "conda": "conda",
    APT: "apt",
    DNF: "rpm",
}
"""What each client speaks."""


def shell_lines(config: ClientConfig) -> Iterator[str]:
    """Yield what a person copies: each file under its path, then the variables."""
    for file in config.files:
        yield f"# {file.path}"
        yield file.text
    for name, value in config.environment:
        yield f"export {name}={value}"
    for note in config.notes:
        yield f"# {note}"
