"""dnf as a test runs it: in a root of its own, inside a mirror's namespace."""


class Dnf:
    """dnf with folders of its own: no configuration, plugin, cache, key or package of the machine."""

    def __init__(self, server, folder, files, *, architecture="x86_64"):
        """Use configuration files by path, such as `lockgate client-config dnf` prints."""
        self.server, self.folder, self.root = server, folder, folder / "root"
        self.repos = folder / "repos"
        for each in ("cache", "state", "log", "vars", "repos", "root"):
            (folder / each).mkdir(parents=True)
        (folder / "dnf.conf").write_text("[main]\n")
        for path, text in files.items():
            file = self.repos / path.rpartition("/")[2]
            file.write_text(text.replace("file:///etc/pki/rpm-gpg", f"file://{self.repos}"))
        self.options = [
            f"--installroot={self.root}",
            f"--config={folder / 'dnf.conf'}",
            "--noplugins",
            "--assumeyes",
            f"--forcearch={architecture}",
            f"--setopt=reposdir={self.repos}",
            f"--setopt=varsdir={folder / 'vars'}",
            f"--setopt=cachedir={folder / 'cache'}",
            f"--setopt=persistdir={folder / 'state'}",
            f"--setopt=logdir={folder / 'log'}",
            "--setopt=module_platform_id=platform:el9",
            "--setopt=retries=1",
            "--setopt=keepcache=1",
        ]

    def __call__(self, *words, check=True, refresh=True):
        """Run dnf; the rpm that it drives finds no other root's keys either."""
        fresh = ["--refresh"] if refresh else []
        return self.server.run("dnf", *self.options, *fresh, *words, check=check, LC_ALL="C.UTF-8")

    def says(self, name):
        return (self.root / f"usr/share/{name}/says").read_text().strip()

    def edit(self, old, new):
        """Change the repositories' file."""
        file = self.repos / "lockgate.repo"
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
