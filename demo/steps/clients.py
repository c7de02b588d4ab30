"""Unmodified clients on the high side: pip, uv, hf, and the OpenAI client."""

import json
import os
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from steps.shell import Shell, Stop, python

MIRROR = "http://127.0.0.1:8710"
GATEWAY = "http://127.0.0.1:8720/v1"
MODEL = "smollm2-135m-instruct@handbook"
EMBEDDER = "minilm/all-minilm-l6-v2"


@dataclass(frozen=True)
class Answer:
    """One question, what came back, and the receipt behind it."""

    question: str
    text: str
    seconds: float
    lockgate: dict[str, Any]
    receipt: dict[str, Any]
    expected: dict[str, Any]

    @property
    def right(self) -> bool | None:
        """Tell whether the answer has the facts that it should have; None for own questions."""
        if not self.expected:
            return None
        if self.expected.get("answerable", True) is False:
            return not self.lockgate["citations"]
        said = self.text.casefold()
        return all(any(f.casefold() in said for f in spellings) for spellings in self.expected["facts"])


def install_clients(shell: Shell) -> None:
    """Install from the mirrors with pip and uv, hashes required, and download a model with hf."""
    with shell.step("clients", "Unmodified clients: pip, uv and hf, from the mirrors"):
        folder = shell.folder / "clients"
        if (folder / "done").is_file():
            print("  installed already")
            return
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        requirements = _requirements(shell, folder / "requirements.txt")
        quiet = [("PIP_CONFIG_FILE", os.devnull), ("HF_ENDPOINT", MIRROR), ("HF_HOME", str(folder / "hf"))]
        env = ["env", *(f"{name}={value}" for name, value in quiet)]
        index = f"{MIRROR}/simple/"
        shell.run(python(), "-m", "venv", folder / "by-pip", high=True)
        pip = folder / "by-pip" / "bin" / "python"
        shell.run(
            *(*env, pip, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"),
            *("--index-url", index, "--require-hashes", "--requirement", requirements),
            high=True,
        )
        uv = [*env, "uv", "--quiet", "--no-config", "--cache-dir", folder / "uv-cache"]
        shell.run(*uv, "venv", "--python", python(), folder / "by-uv", high=True)
        shell.run(
            *(*uv, "pip", "install", "--python", folder / "by-uv", "--index-url", index),
            *("--require-hashes", "--requirement", requirements),
            high=True,
        )
        proof = (
            "import httpx, numpy; print('imports httpx', httpx.__version__, 'and numpy', numpy.__version__)"
        )
        shell.run(pip, "-c", proof, high=True)
        shell.run(folder / "by-uv" / "bin" / "python", "-c", proof, high=True)
        shell.run(*env, "hf", "download", EMBEDDER, "--local-dir", folder / "model", high=True)
        (folder / "done").touch()


def _requirements(shell: Shell, target: Path) -> Path:
    """Write hashed requirements for what the lock holds (the engine is the gateway's own affair)."""
    lock = json.loads((shell.low / "locks" / "lock.json").read_text())
    lines = []
    for artifact in lock["artifacts"]:
        if artifact["kind"] == "python" and "llama" not in artifact["name"]:
            wheels = [f["sha256"] for f in artifact["files"] if f["role"] == "distribution"]
            hashes = " ".join(f"--hash=sha256:{digest}" for digest in wheels)
            lines.append(f"{artifact['name']}=={artifact['version']} {hashes}\n")
    target.write_text("".join(lines))
    return target


def ask_questions(shell: Shell, questions: Path, more: list[str]) -> list[Answer]:
    """Ask through the OpenAI client, streamed, and fetch the receipt of each answer."""
    known = tomllib.loads(questions.read_text())["question"]
    with shell.step("ask", "Five questions through the OpenAI client, each with citations and a receipt"):
        key = _key(shell)
        asked = [(q["ask"], q) for q in known] + [(text, {}) for text in more]
        script = Path(__file__).with_name("openai_client.py")
        words = shell.inside([python(), script, GATEWAY, MODEL, *(text for text, _ in asked)])
        shell.say([*words[-len(asked) - 4 : -len(asked)], "QUESTION …"], where="high ")
        environment = {**shell.environment(high=True), "LOCKGATE_API_KEY": key}
        client = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment)
        answers = []
        for (question, expected), line in zip(asked, client.stdout or [], strict=False):
            told = json.loads(line)
            answers.append(Answer(question=question, expected=expected, **told))
            _show(answers[-1])
        if client.wait() or len(answers) != len(asked):
            raise Stop("the OpenAI client failed")
    return answers


def _show(answer: Answer) -> None:
    print(f"\n  \033[1mQ\033[0m {answer.question}")
    print(f"  \033[1mA\033[0m {answer.text}  ({answer.seconds:.1f} s)")
    for c in answer.lockgate["citations"]:
        place = f"page {c['page']}" if c.get("page") else c["heading"]
        print(f"    [{c['number']}] {c['path']}, {place}, characters {c['start']}-{c['end']}: {c['quote']!r}")


def _key(shell: Shell) -> str:
    """Return the demonstration's API key; it is made once and kept where only its owner reads."""
    file = shell.folder / "api-key"
    if not file.is_file():
        made = shell.json("lockgate", "gateway", "key", "add", "demo", "--home", shell.high, high=True)
        file.touch(mode=0o600)
        file.write_text(made["key"])
    return file.read_text()
