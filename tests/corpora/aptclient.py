"""apt-get as a test runs it: in folders of its own, inside a mirror's namespace."""


class Apt:
    """apt-get with folders of its own: no state, no cache and no configuration of the machine."""

    def __init__(self, server, folder, sources, *, architectures="amd64"):
        self.server, self.folder = server, folder
        for each in ("etc/sources.list.d", "etc/preferences.d", "etc/apt.conf.d", "lists/partial"):
            (folder / each).mkdir(parents=True)
        for each in ("archives/partial", "root/var/lib/dpkg/updates", "root/var/lib/dpkg/info"):
            (folder / each).mkdir(parents=True)
        (folder / "root/var/lib/dpkg/status").touch()
        (folder / "etc/sources.list.d/lockgate.sources").write_text(sources)
        settings = {
            "Dir::Etc": folder / "etc",
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::TrustedParts": "/dev/null",
            "Dir::Etc::Trusted": "/dev/null",
            "Dir::State": folder,
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "root/var/lib/dpkg/status",
            "Dir::State::extended_states": folder / "extended",
            "Dir::Cache": folder,
            "Dir::Cache::archives": folder / "archives",
            "Dir::Log": folder,
            "APT::Architecture": architectures.split()[0],
            "APT::Architectures": architectures.replace(" ", ","),
            "APT::Sandbox::User": "root",
            "Debug::NoLocking": "1",
            "Acquire::Retries": "0",
            "DPkg::Options::": f"--root={folder / 'root'}",
        }
        self.config = folder / "apt.conf"
        self.config.write_text("".join(f'{key} "{value}";\n' for key, value in settings.items()))

    def __call__(self, *words, check=True, tool="apt-get"):
        place = ("env", "-C", str(self.folder), f"APT_CONFIG={self.config}")
        return self.server.run(*place, tool, *words, check=check, LC_ALL="C")

    def held(self):
        return {path.name for path in (self.folder / "archives").glob("*.deb")}

    def says(self, name):
        return (self.folder / f"root/usr/share/{name}/says").read_text().strip()
