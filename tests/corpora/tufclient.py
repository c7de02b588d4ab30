"""The command `lockgate tuf-client`, run in this process against a repository in memory."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.formats import encode_canonical

from corpora.tufrepository import BASE, NOW, Repository
from lockgate.cli.main import main

FIRST = [("root", 2), ("timestamp", None), ("snapshot", 1), ("targets", 1)]


@dataclass
class Client:
    """Runs the command in this process, against a repository in memory."""

    repository: Repository
    home: Path
    trusted: bytes = b""
    now: list[datetime] = field(default_factory=lambda: [NOW])

    @property
    def metadata(self) -> Path:
        return self.home / "metadata"

    def run(self, *arguments: str) -> int:
        known = ["tuf-client", "--metadata-dir", str(self.metadata), "--metadata-url", f"{BASE}/metadata/"]
        with pytest.raises(SystemExit) as end:
            main([*known, *arguments])
        return int(end.value.code or 0)

    def init(self) -> int:
        initial = self.home / "initial_root.json"
        initial.write_bytes(self.trusted or self.repository.published["root"][0])
        return self.run("init", str(initial))

    def refresh(self) -> int:
        return self.run("refresh")

    def download(self, *names: str) -> int:
        options = [word for name in names for word in ("--target-name", name)]
        folder, base = str(self.home / "targets"), f"{BASE}/targets/"
        return self.run(*options, "--target-dir", folder, "--target-base-url", base, "download")

    def files(self) -> list[bytes]:
        folder = self.home / "targets"
        return sorted(p.read_bytes() for p in folder.iterdir()) if folder.exists() else []

    def roles(self) -> dict[str, int]:
        found = sorted(self.metadata.glob("*.json"))
        return {p.stem: json.loads(p.read_bytes())["signed"]["version"] for p in found}


def edited(data: bytes, change: Callable[[dict[str, Any]], object]) -> bytes:
    document = json.loads(data)
    change(document)
    return json.dumps(document).encode()


def canonical(signed: dict[str, Any]) -> bytes:
    return str(encode_canonical(signed)).encode()
