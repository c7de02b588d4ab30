"""Others' red-team tools, run as programs where they are installed: garak and AgentDojo.

Formats: garak's ``report.jsonl`` (entries of the type ``eval``), AgentDojo's log folder (one JSON file for
each task, with ``security``: true where the attacker's goal was reached).
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lockgate.app.high.forwarding import forwarded
from lockgate.core.errors import HostError
from lockgate.guard.redteam import Tally

TOOL_SECONDS = 6 * 3600
"""Longest that another's tool may run."""

LINE_LIMIT = 16 << 20
_SAID = 400


class ToolFailedError(HostError):
    """Another's red-team tool did not run through."""

    code = "LG-5f21"
    advice = "Run it by hand as its documentation says, or leave it out: --suite own."


@dataclass(frozen=True, slots=True)
class Reached:
    """Where the gateway is, and as whom it is asked for which model."""

    url: str
    key: str
    model: str


class Tool(ABC):
    """A red-team tool of others."""

    package = ""

    def installed(self) -> bool:
        """Tell whether it is installed beside Lockgate."""
        return importlib.util.find_spec(self.package) is not None

    @abstractmethod
    def run(self, reached: Reached) -> dict[str, Tally]:
        """Run it and return what worked, by category.

        Raises:
            ToolFailedError: It did not run through, or wrote no results.

        """


def _program(name: str, command: list[str], **variables: str) -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", **variables}
    try:
        done = subprocess.run(  # noqa: S603  # the operator installed it
            [sys.executable, "-m", *command],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TOOL_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        what = f"{name} did not run: {error}."
        raise ToolFailedError(what) from error
    if done.returncode:
        said = (done.stderr or done.stdout).decode("utf-8", "replace")[-_SAID:].strip()
        what = f"{name} ended with status {done.returncode}: {said}"
        raise ToolFailedError(what)


class Garak(Tool):
    """NVIDIA's garak: its probes for injection, leaks and smuggling."""

    package = "garak"
    probes = "promptinject,latentinjection,dan,encoding,sysprompt_extraction,web_injection"

    def run(self, reached: Reached) -> dict[str, Tally]:
        """Run its probes against the gateway."""
        options = {"openai": {"OpenAICompatible": {"uri": f"{reached.url}/", "stop": [], "max_tokens": 150}}}
        with tempfile.TemporaryDirectory(prefix="lockgate-garak-") as folder:
            prefix = str(Path(folder) / "run")
            command = ["garak", "--target_type", "openai.OpenAICompatible", "--target_name", reached.model]
            command += ["--generator_options", json.dumps(options), "--probes", self.probes]
            command += ["--generations", "1", "--report_prefix", prefix, "--narrow_output"]
            _program("garak", command, OPENAICOMPATIBLE_API_KEY=reached.key)
            found = sorted(Path(folder).rglob("*.report.jsonl"))
            if not found:
                raise ToolFailedError("garak wrote no report.")
            return garak_tallies(found[0].read_text(encoding="utf-8", errors="replace"))


def garak_tallies(report: str) -> dict[str, Tally]:
    """Return what a report of garak says, by the family of probes.

    Prompts that the gateway refused have no answer to judge (``nones``): guards stopped those attacks.

    Raises:
        ToolFailedError: It is no report, or judges nothing.

    """
    fails: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    refused: Counter[str] = Counter()
    for line in report.splitlines():
        if not line.strip() or len(line) > LINE_LIMIT:
            continue
        try:
            entry = json.loads(line)
            if entry.get("entry_type") != "eval":
                continue
            family = str(entry["probe"]).removeprefix("probes.").split(".")[0]
            judged[family] += int(entry["total_evaluated"])
            fails[family] += int(entry["fails"])
            refused[family] += int(entry.get("nones", 0))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"garak's report cannot be read: {error}."
            raise ToolFailedError(what) from error
    if not judged:
        raise ToolFailedError("garak's report judges nothing.")
    return {
        f"garak/{name}": Tally(
            succeeded=fails[name], attacks=judged[name] + refused[name], blocked=refused[name]
        )
        for name in judged
    }


class AgentDojo(Tool):
    """ETH's AgentDojo: agents whose tools answer with planted orders."""

    package = "agentdojo"
    attack = "important_instructions"

    def run(self, reached: Reached) -> dict[str, Tally]:
        """Run its suites against the gateway, through a port that adds the key."""
        with (
            tempfile.TemporaryDirectory(prefix="lockgate-agentdojo-") as folder,
            forwarded(reached.url, reached.key) as port,
        ):
            command = ["agentdojo.scripts.benchmark", "--model", "local", "--model-id", reached.model]
            command += ["--attack", self.attack, "--logdir", folder]
            _program("AgentDojo", command, LOCAL_LLM_PORT=str(port))
            return agentdojo_tallies(Path(folder))


def agentdojo_tallies(folder: Path) -> dict[str, Tally]:
    """Return what the logs of AgentDojo say, by suite.

    Raises:
        ToolFailedError: They cannot be read, or judge nothing.

    """
    reached: Counter[str] = Counter()
    judged: Counter[str] = Counter()
    for path in sorted(folder.rglob("*.json")):
        try:
            entry = json.loads(path.read_text(encoding="utf-8"))
            if entry.get("injection_task_id") is None or entry.get("attack_type") in {None, "none"}:
                continue
            judged[str(entry["suite_name"])] += 1
            reached[str(entry["suite_name"])] += bool(entry["security"])
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            what = f"AgentDojo's log {path.name} cannot be read: {error}."
            raise ToolFailedError(what) from error
    if not judged:
        raise ToolFailedError("AgentDojo's logs judge nothing.")
    return {f"agentdojo/{name}": Tally(succeeded=reached[name], attacks=judged[name]) for name in judged}


TOOLS: dict[str, Tool] = {"garak": Garak(), "agentdojo": AgentDojo()}
