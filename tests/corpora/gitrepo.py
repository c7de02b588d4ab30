"""A git repository that tests write, and bundles of it."""

import os
import subprocess

WHO = {
    f"GIT_{who}_{what}": "ann@example.org" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
}
WHEN = {f"GIT_{who}_DATE": "2026-05-01T12:00:00Z" for who in ("AUTHOR", "COMMITTER")}
OWN = {"HOME": "/nonexistent", "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull, **WHO, **WHEN}


def git(folder, *words):
    """Run git without the machine's configuration, as one author at one moment."""
    environ = {"PATH": os.environ["PATH"], **OWN}
    done = subprocess.run(
        ["git", "-C", str(folder), *words], env=environ, check=True, capture_output=True, timeout=120
    )
    return done.stdout.decode().strip()


class GitRepo:
    """A repository with one commit for each step."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir(parents=True)
        git(folder, "init", "-q", "-b", "main")

    def step(self, number, files=None):
        """Commit files; return the commit."""
        lines = "\n".join(f"line {n}" for n in range(400 + number))
        for name, data in {
            "poem.txt": lines.encode(),
            f"file-{number}.py": b"x = 1\n",
            **(files or {}),
        }.items():
            (self.folder / name).write_bytes(data)
        git(self.folder, "add", "-A")
        git(self.folder, "commit", "-q", "-m", f"step {number}")
        return git(self.folder, "rev-parse", "HEAD")

    def tag(self, name):
        git(self.folder, "tag", "-a", name, "-m", name)

    def keep_large(self, pattern="*.bin"):
        """Have git-lfs keep what a pattern names."""
        git(self.folder, "lfs", "install", "--local")
        git(self.folder, "lfs", "track", pattern)

    def refs(self):
        """Return branches and tags with their objects, ``main`` first."""
        lines = git(self.folder, "for-each-ref", "--format=%(refname) %(objectname)").splitlines()
        found = dict(line.split(" ") for line in lines)
        return {"refs/heads/main": found.pop("refs/heads/main"), **found}

    def bundle(self):
        """Return a bundle of all of it."""
        file = self.folder.parent / f"{self.folder.name}.bundle"
        git(self.folder, "bundle", "create", "-q", str(file), *self.refs())
        return file.read_bytes()
