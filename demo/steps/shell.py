"""Typing commands as a user would: shown, timed, and their JSON read."""

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

STEPS = 9


class Stop(Exception):  # noqa: N818  # the demonstration stops; it is no error class of the product
    """A step failed; the sentence says which and why."""


@dataclass(frozen=True)
class _Told:
    """A command as it is shown, and on which side."""

    words: tuple[str | Path, ...]
    high: bool


class Beside:
    """Commands that run one after another in a thread, with what each said."""

    def __init__(self, told: list[_Told]) -> None:
        """Prepare."""
        self.told = told
        self.said: list[Any] = []
        self.failed = ""
        self._thread: Thread | None = None

    def start(self, commands: list[tuple[list[str], dict[str, str]]]) -> None:
        """Begin the commands, each with its environment."""
        self._thread = Thread(target=self._run, args=(commands,))
        self._thread.start()

    def join(self) -> None:
        """Wait for their end."""
        if self._thread is not None:
            self._thread.join()

    def _run(self, commands: list[tuple[list[str], dict[str, str]]]) -> None:
        for told, (argv, environment) in zip(self.told, commands, strict=True):
            ran = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
            if ran.returncode:
                shown = " ".join(map(str, told.words[:4]))
                self.failed = f"`{shown} …` ended with status {ran.returncode}: {ran.stderr.strip()}"
                return
            self.said.append(json.loads(ran.stdout))


class Shell:
    """Runs commands on either side and keeps what each step took."""

    def __init__(self, folder: Path) -> None:
        """Use the demonstration's folder."""
        self.folder = folder
        self.low, self.high, self.people = (folder / "lane" / n for n in ("low", "high", "people"))
        self.isolated = False
        self.reason = ""
        self._number = 0
        self._steps: list[str] = []
        self._file = folder / "steps.json"
        self.facts: dict[str, Any] = json.loads(self._file.read_text()) if self._file.is_file() else {}
        self.facts.setdefault("seconds", {})
        self._beside: dict[str, Beside] = {}

    def remember(self, **facts: Any) -> None:
        """Keep facts for the report of this run and of later ones."""
        self.facts.update(facts)
        self._file.write_text(json.dumps(self.facts, indent=1, default=str))

    @contextmanager
    def step(self, name: str, title: str) -> Iterator[None]:
        """Announce a step and time it; a step that found nothing to do keeps its first time."""
        self._number += 1
        self._steps.append(name)
        print(f"\n\033[1m[{self._number}/{STEPS}] {title}\033[0m", flush=True)
        begun = time.monotonic()
        yield
        took = time.monotonic() - begun
        seconds = self.facts["seconds"]
        seconds[name] = max(took, seconds.get(name, 0.0))
        self.remember(seconds=seconds)
        print(f"      {took:.1f} s", flush=True)

    def steps(self) -> tuple[str, ...]:
        """Return the names of the steps that were gone through."""
        return tuple(self._steps)

    def took(self, name: str, seconds: float) -> None:
        """Keep the time of a part of a step, for the report."""
        self.remember(seconds={**self.facts["seconds"], name: seconds})

    def inside(self, argv: Sequence[str | Path]) -> list[str]:
        """Return a command as it runs on the high side: inside the isolated network, if there is one."""
        words = [str(word) for word in argv]
        if not self.isolated:
            return words
        return ["lockgate", "isolate", "run", "--home", str(self.high), "--", *words]

    def say(self, argv: Sequence[str | Path], *, where: str = "") -> None:
        """Show a command, with paths as the reader sees them."""
        here = str(Path.cwd()) + "/"
        shown = shlex.join(str(word).replace(here, "") for word in argv)
        print(f"  \033[2m{where}$\033[0m {shown}", flush=True)

    def run(self, *argv: str | Path, high: bool = False, timed: str = "") -> None:
        """Run a command whose output the reader sees; keep its time under a name.

        Raises:
            Stop: It failed.

        """
        self.say(argv, where="high " if high else "")
        words = self.inside(argv) if high else [str(word) for word in argv]
        begun = time.monotonic()
        ran = subprocess.run(words, check=False, env=self.environment(high=high))
        if timed:
            self.took(timed, time.monotonic() - begun)
        if ran.returncode:
            reason = f"`{' '.join(map(str, argv[:4]))} …` ended with status {ran.returncode}"
            raise Stop(reason)

    def json(self, *argv: str | Path, high: bool = False, shown: bool = True, timed: str = "") -> Any:
        """Run a command with ``--json`` and return what it printed; keep its time under a name.

        Raises:
            Stop: It failed.

        """
        if shown:
            self.say(argv, where="high " if high else "")
        words = [*argv, "--json"]
        begun = time.monotonic()
        ran = subprocess.run(
            self.inside(words) if high else [str(w) for w in words],
            stdout=subprocess.PIPE,
            text=True,
            check=False,
            env=self.environment(high=high),
        )
        if timed:
            self.took(timed, time.monotonic() - begun)
        if ran.returncode:
            reason = f"`{' '.join(map(str, argv[:4]))} …` ended with status {ran.returncode}"
            raise Stop(reason)
        return json.loads(ran.stdout)

    def beside(self, name: str, *commands: Sequence[str | Path]) -> None:
        """Begin commands, one after another, beside what goes on; `joined` shows what they said.

        Those that name the high side's home run inside its network.
        """
        work = Beside([_Told(tuple(words), high=self.high in words) for words in commands])
        words = [(self.inside(t.words) if t.high else t.words, t.high) for t in work.told]
        environments = {high: self.environment(high=high) for high in (True, False)}
        work.start([([*map(str, argv), "--json"], environments[high]) for argv, high in words])
        self._beside[name] = work

    def joined(self, name: str) -> list[Any]:
        """Wait for commands that run beside, show them, and return what each printed as JSON; once.

        Raises:
            Stop: One failed.

        """
        work = self._beside.pop(name, None)
        if work is None:
            return []
        work.join()
        for told in work.told[: len(work.said)]:
            self.say(told.words, where="high " if told.high else "")
        if work.failed:
            raise Stop(work.failed)
        return work.said

    def refused(self, *argv: str | Path) -> dict[str, Any]:
        """Run a command that has to be refused and return the error that it printed.

        Raises:
            Stop: It was not refused.

        """
        self.say(argv)
        words = [*map(str, argv), "--json"]
        ran = subprocess.run(words, capture_output=True, text=True, check=False)
        if ran.returncode == 0:
            raise Stop("a command that must be refused was carried out")
        error = json.loads(ran.stderr.strip().splitlines()[-1])
        print(f"      refused, as it must be: {error['code']} {error['error']}")
        return error

    def environment(self, *, high: bool) -> dict[str, str]:
        """Return the environment of a command; nothing of a proxy or an index reaches the high side."""
        if not high:
            return dict(os.environ)
        kept = ("PATH", "HOME", "LANG", "TERM")
        return {name: os.environ[name] for name in kept if name in os.environ}


def python() -> str:
    """Return the interpreter that runs the demonstration."""
    return sys.executable
