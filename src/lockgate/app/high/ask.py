"""Asking the gateway from the command line: streamed, with sources and receipt."""

import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, BinaryIO

from lockgate.core.errors import HostError, InputError

LINE_LIMIT = 1 << 20
ANSWER_SECONDS = 600.0
ANSWER_LIMIT = 16 << 20
"""Longest answer in one object, in bytes."""


class GatewayRefusedError(InputError):
    """The gateway refused the question."""

    code = "LG-1f07"
    advice = "The sentence says why; `lockgate gateway key list` shows the keys that may ask."


class GatewayAwayError(HostError):
    """The gateway does not answer."""

    code = "LG-5f03"
    advice = "`lockgate high status` shows whether it runs; --url names another address."


@dataclass
class Answered:
    """An answer as it came: its text and what Lockgate says of it."""

    text: str = ""
    lockgate: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Gateway:
    """A gateway as it is asked: its base address with ``/v1``, the key, and TLS of its own."""

    url: str
    key: str = field(repr=False)
    tls: ssl.SSLContext | None = None


def _open(gateway: Gateway, path: str, body: dict[str, Any] | None = None) -> BinaryIO:
    if not (gateway.key.isascii() and gateway.key.isprintable()):
        # the client of HTTP would refuse it too, and print it: it may be any other secret
        what = "What was given as API key is none: a key is one line of ASCII characters."
        raise GatewayRefusedError(what, advice="Name the file that `lockgate gateway key add` wrote.")
    data = None if body is None else json.dumps(body).encode()
    headers = {"Authorization": f"Bearer {gateway.key}", "Content-Type": "application/json"}
    url = f"{gateway.url}{path}"
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310  # the operator's own address
    try:
        opened: BinaryIO = urllib.request.urlopen(  # noqa: S310  # the same
            request, timeout=ANSWER_SECONDS, context=gateway.tls
        )
    except urllib.error.HTTPError as error:
        raise GatewayRefusedError(_reason(error)) from error
    except (urllib.error.URLError, TimeoutError, ValueError) as error:
        what = f"The gateway at {url} does not answer: {getattr(error, 'reason', error)}."
        raise GatewayAwayError(what) from error
    return opened


def _reason(error: urllib.error.HTTPError) -> str:
    try:
        return str(json.loads(error.read(LINE_LIMIT))["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return f"The gateway answered with status {error.code}."


def asked(gateway: Gateway, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return what the gateway says in one JSON object; with a body, something is asked of it.

    Raises:
        GatewayRefusedError, GatewayAwayError: It refuses, nobody answers, or it answers no JSON.

    """
    with _open(gateway, path, body) as stream:
        try:
            found: dict[str, Any] = json.loads(stream.read(ANSWER_LIMIT))
        except ValueError as error:
            what = f"The gateway at {gateway.url} does not answer in JSON."
            raise GatewayAwayError(what) from error
    return found


def _events(stream: BinaryIO) -> Iterator[dict[str, Any]]:
    """Yield the events of a server-sent stream (WHATWG HTML, "Server-sent events")."""
    while line := stream.readline(LINE_LIMIT):
        text = line.decode("utf-8", "replace").strip()
        if text == "data: [DONE]":
            return
        if text.startswith("data: "):
            yield json.loads(text[6:])


def default_model(gateway: Gateway) -> str:
    """Return the first model that the gateway offers, one with a knowledge base if there is one.

    Raises:
        GatewayRefusedError, GatewayAwayError: No answer, or it offers none.

    """
    with _open(gateway, "/models") as stream:
        names = [entry["id"] for entry in json.load(stream)["data"]]
    if not names:
        raise GatewayRefusedError("The gateway offers no model.")
    return str(min(names, key=lambda name: "@" not in name))


def ask(gateway: Gateway, model: str, question: str, told: Callable[[str], None]) -> Answered:
    """Ask one question; `told` gets the text as it arrives.

    Raises:
        GatewayRefusedError: The key, the model or the question is refused, or the answer broke off.
        GatewayAwayError: Nobody answers.

    """
    body = {
        "model": model,
        "stream": True,
        "temperature": 0,
        "messages": [{"role": "user", "content": question}],
    }
    answered = Answered()
    with _open(gateway, "/chat/completions", body) as stream:
        for event in _events(stream):
            if "error" in event:
                raise GatewayRefusedError(str(event["error"]["message"]))
            for choice in event.get("choices", []):
                text = choice["delta"].get("content") or ""
                answered.text += text
                told(text)
            answered.lockgate = event.get("lockgate") or answered.lockgate
    return answered
