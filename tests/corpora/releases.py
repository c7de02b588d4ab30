"""Releases of the project that is checked out, under other version numbers, brought across a lane."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from corpora.commands import Commands

ROOT = Path(__file__).resolve().parents[2]


def build_wheel(folder: Path, version: str, **edits: tuple[str, str]) -> Path:
    """Build the checked-out project as another version; `edits` maps module names to replacements."""
    source = folder / f"source-{version}-{len(edits)}"
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    edited = {"__init__": (r'__version__ = "[^"]+"', f'__version__ = "{version}"'), **edits}
    for module, (old, new) in edited.items():
        file = source / "src/lockgate" / f"{module.replace('__', '/') if module != '__init__' else module}.py"
        text, count = re.subn(old, lambda _, new=new: new, file.read_text(), count=1)
        assert count == 1, file
        file.write_text(text)
    out = folder / f"wheels-{version}-{len(edits)}"
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    shutil.rmtree(source)
    return out


@dataclass
class ReleaseLane:
    """A demo lane across which releases are brought."""

    folder: Path
    commands: Commands = field(default_factory=Commands)

    def make(self) -> "ReleaseLane":
        self.commands.json("lane", "init", self.folder / "lane", "--name", "plant")
        return self

    @property
    def low(self) -> Path:
        return self.folder / "lane/low"

    @property
    def high(self) -> Path:
        return self.folder / "lane/high"

    @property
    def releases(self) -> Path:
        return self.high / "releases"

    def person(self, name: str) -> Path:
        return self.folder / "lane/people" / name

    def release(self, wheels: Path, name: str, releasers: Iterable[int] = (1, 2)) -> Path:
        """Make a release of wheels and have releasers sign it, one after the other."""
        out = self.folder / name
        self.commands.json("update", "make", wheels, "--out", out)
        for number in releasers:
            self.commands.json("update", "sign", out, "--key", self.person(f"releaser-{number}"))
        return out

    def bring(self, bundle: Path) -> int:
        """Bring a release across like any other files: collected, sealed, inspected, approved by two."""
        self.commands.json("collect", bundle / "release.toml", "--offline", "--home", self.low)
        crate = Path(self.commands.json("seal", "--home", self.low)["path"])
        target = self.high / "inbox" / crate.name
        shutil.copytree(crate, target)
        sequence = self.commands.json("receive", target, "--home", self.high)["sequence"]
        self.commands.json("gate", "inspect", sequence, "--home", self.high)
        asked = self.commands.json("gate", "request", sequence, *self.operator)
        signed = self.approve(Path(asked["request"]))
        self.commands.json("gate", "publish", *signed, "--home", self.high)
        return int(sequence)

    @property
    def operator(self) -> tuple[object, ...]:
        return ("--key", self.person("operator"), "--home", self.high)

    def approve(self, request: Path, people: Iterable[int] = (1, 2)) -> list[Path]:
        pin = self.commands.json("config", "show", "--home", self.high)["trust"]["site_pin"]
        out = []
        for number in people:
            name = f"approver-{number}"
            target = request.with_suffix(f".{name}.json")
            trusted = ("--site-root", self.high / "trust/site.dsse.json", "--pin", pin)
            state = ("--state", self.folder / "seen" / name, "--yes")
            self.commands.json(
                "approve", request, "--key", self.person(name), *trusted, *state, "--out", target
            )
            out.append(target)
        return out

    def request(self, version: str) -> Path:
        return Path(self.commands.json("update", "request", version, *self.operator)["request"])

    def activate(self, version: str) -> Any:
        signed = self.approve(self.request(version))
        return self.commands.json("update", "activate", *signed, "--home", self.high)

    def update(self, *words: object) -> Any:
        return self.commands.json("update", *words, "--home", self.high)

    def refused(self, *words: object) -> dict[str, Any]:
        return self.commands.refused("update", *words, "--home", self.high)[1]
