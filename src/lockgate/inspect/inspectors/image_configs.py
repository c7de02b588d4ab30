"""What a container starts, by the configuration of its image: its own program, and what runs beside it.

Format: OCI Image Configuration (``application/vnd.oci.image.config.v1+json``), and Docker's ``Healthcheck``
and ``OnBuild``.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from lockgate.core.verdict import Severity
from lockgate.inspect.inspectors.code_signs import Sign, look
from lockgate.inspect.inspectors.shell_signs import INSTALL_SHELL, SHELL
from lockgate.inspect.tally import Tally

_BAD_VARIABLES = frozenset({
    "LD_PRELOAD", "LD_AUDIT", "PYTHONSTARTUP", "PYTHONHOME", "PYTHONINSPECT", "BASH_ENV", "ENV",
    "PERL5OPT", "RUBYOPT", "NODE_OPTIONS", "PROMPT_COMMAND", "GIT_SSH_COMMAND",
})  # fmt: skip
"""Variables by which something else than the entrypoint runs with every program."""

_MINES = ("stratum+tcp://", "stratum+ssl://", "--donate-level", "--cpu-max-threads-hint")
_MOST_FINDINGS = 200


def shaped(value: Any) -> bool:
    """Return whether a JSON value is the configuration of an image."""
    return (
        isinstance(value, dict)
        and isinstance(value.get("rootfs"), dict)
        and isinstance(value.get("config"), dict)
    )


def note(tally: Tally, raw: bytes, at: int) -> None:
    """Note what a blob of an image says, be it a configuration or a manifest."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        return
    for code, severity, why in starts(value) if shaped(value) else ():
        tally.note(code, severity, why, at)
    layers = _object(value).get("layers")
    for layer in layers[:_MOST_FINDINGS] if isinstance(layers, list) else ():
        if addresses := _strings(_object(layer).get("urls")):
            why = f"A layer is fetched from {addresses[0][:100]}."
            tally.note("oci-layer-address", Severity.HIGH, why, at)


def starts(said: Mapping[str, Any]) -> Iterator[tuple[str, Severity, str]]:
    """Yield what runs when a container starts, in one view: code, severity and why."""
    config = _object(said.get("config"))
    start = {name: _words(config.get(name)) for name in ("Entrypoint", "Cmd")}
    user = str(config.get("User") or "root")
    whole = " ".join([*start["Entrypoint"], *start["Cmd"]])
    yield "oci-entrypoint", Severity.INFO, f"A container starts {whole[:140]!r} as {user[:40]!r}."
    health = _words(_object(config.get("Healthcheck")).get("Test"))
    yield from _look(whole, "entrypoint: ")
    yield from _look(" ".join(health), "health check: ", SHELL)  # which asks its own server over the network
    if any(word in whole for word in _MINES):
        yield "oci-miner", Severity.HIGH, f"A container mines coins: {whole[:100]!r}."
    for variable in _strings(config.get("Env")):
        name, _, value = variable.partition("=")
        if name in _BAD_VARIABLES:
            why = f"{name} has something run with every program: {value[:80]!r}."
            yield "oci-variable", Severity.HIGH, why
    if ports := sorted(map(str, _object(config.get("ExposedPorts")))):
        yield "oci-ports", Severity.INFO, f"It listens on {', '.join(ports)[:120]}."
    for trigger in _strings(config.get("OnBuild")):
        yield "oci-on-build", Severity.MEDIUM, f"Whoever builds upon it runs {trigger[:100]!r}."
        yield from _look(trigger, "on build: ")


def _look(
    text: str, what: str, signs: tuple[Sign, ...] = SHELL + INSTALL_SHELL
) -> Iterator[tuple[str, Severity, str]]:
    tally = Tally(len(text), "", _MOST_FINDINGS)
    look(tally, text, signs, what)
    for found in tally.findings:
        yield found.code, found.severity, found.why


def _object(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _strings(value: Any) -> list[str]:
    return [item for item in value[:10_000] if isinstance(item, str)] if isinstance(value, list) else []


def _words(value: Any) -> list[str]:
    return [value] if isinstance(value, str) else _strings(value)
