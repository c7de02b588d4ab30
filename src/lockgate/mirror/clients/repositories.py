"""Configuration for the clients that are told what is served, not only where: apt and dnf."""

from dataclasses import dataclass

from lockgate.mirror.clients.files import USER, ClientConfig, ConfigFile, Place, lines_of

APT, DNF = "apt", "dnf"


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


@dataclass(frozen=True, slots=True)
class DnfSource:
    """One repository of a distribution, and its distribution's keys in ASCII armour."""

    repository: str
    channel: str
    keys: str


@dataclass(frozen=True, slots=True)
class DnfRepositories:
    """What dnf has to be told of a lane's repositories: the lane's key in ASCII armour, and the sources."""

    certificate: str
    fingerprint: str
    sources: tuple[DnfSource, ...]


def apt_config(place: Place, known: AptSuites) -> ClientConfig:
    """Return deb822 sources with the lane's key in them (sources.list(5), apt 2.3.10 and later)."""
    key_file = f"{place.url}{place.below}/lockgate.asc"
    block = "".join(f" {line or '.'}\n" for line in known.certificate.splitlines())
    texts = [
        lines_of(
            f"Types: {'deb deb-src' if source.sources else 'deb'}",
            f"URIs: {place.url}{place.below}/{source.repository}",
            f"Suites: {' '.join(source.suites)}",
            f"Components: {' '.join(source.components)}",
            "Signed-By:",
        )
        + block
        for source in known.sources
    ]
    notes = (
        f"The lane's key: {known.fingerprint}. The same stands in what this command prints at the gate.",
        f"apt before 2.3.10 takes the key from a file: {key_file}, named as Signed-By.",
        "Take other files out of /etc/apt/sources.list.d: their hosts are not reached from here.",
    )
    files = [ConfigFile("/etc/apt/sources.list.d/lockgate.sources", "\n".join(texts))]
    if place.key:
        text = lines_of(f"machine {place.url}{place.below}/ login {USER} password {place.key}")
        files.append(ConfigFile("/etc/apt/auth.conf.d/lockgate.conf", text))
    if place.authority or place.certificate:
        trust = lines_of(
            f'Acquire::https::CaInfo "{place.authority}";' if place.authority else None,
            f'Acquire::https::SslCert "{place.certificate}";' if place.certificate else None,
            f'Acquire::https::SslKey "{place.certificate}";' if place.certificate else None,
        )
        files.append(ConfigFile("/etc/apt/apt.conf.d/90lockgate", trust))
    return ClientConfig(APT, tuple(files), notes=notes)


def dnf_config(place: Place, known: DnfRepositories) -> ClientConfig:
    """Return repositories with their keys in files (dnf.conf(5)): the lane's and the distribution's."""
    folder = "/etc/pki/rpm-gpg"
    lane = ConfigFile(f"{folder}/lockgate.asc", known.certificate)
    texts, keys = [], [lane]
    for source in known.sources:
        name = f"lockgate-{source.repository}-{source.channel}"
        keys.append(ConfigFile(f"{folder}/{name}.asc", source.keys))
        texts.append(
            lines_of(
                f"[{name}]",
                f"name={source.repository} {source.channel}",
                f"baseurl={place.url}{place.below}/{source.repository}/{source.channel}/$basearch/",
                "enabled=1",
                "gpgcheck=1",
                "repo_gpgcheck=1",
                f"gpgkey=file://{folder}/{name}.asc",
                f"       file://{lane.path}",
                f"username={USER}" if place.key else None,
                f"password={place.key}" if place.key else None,
                f"sslcacert={place.authority}" if place.authority else None,
                f"sslclientcert={place.certificate}" if place.certificate else None,
                f"sslclientkey={place.certificate}" if place.certificate else None,
            )
        )
    notes = (
        f"The lane's key, which signs indexes: {known.fingerprint}. Packages bear their distribution's.",
        "Take other files out of /etc/yum.repos.d: their hosts are not reached from here.",
    )
    return ClientConfig(
        DNF, (ConfigFile("/etc/yum.repos.d/lockgate.repo", "\n".join(texts)), *keys), notes=notes
    )
