"""What sizes and times of a gateway's answers tell of their topic, in each of the four profiles.

The gateway serves over TLS in a network namespace of its own, with its guards on; `lockgate leak measure`
asks and listens in another one, at its end of the link between them. Every profile has the same number of
keys; `off` is measured twice, as the control and as one of the rows. The engine says answers again
that `llama-server` gave to the questions before (`--program` and `--model` record them, `--answers` names
the file), each part at its recorded time, since thousands of answers of a model would take the machine for
hours.
`--quick` asks for few samples: then nothing is shown of `constant`. `--json` prints one object.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from _llama_server import served
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from lockgate.app.check.leak_capture import LOGISTICS, MEDICINE
from lockgate.infer.shaping import Profile
from lockgate.isolate.holder import Holder, start_holder

ROLES = Path(__file__).parent / "measure" / "leak_roles.py"
ASKER, GATEWAY = "192.0.2.1", "192.0.2.2"
LINK = "leak-tap"
TOKENS = 128
EACH = 8
"""Requests of one key at a time, as the gateway allows by default."""

CONTROL = "control"


def recorded(program: Path, model: Path, each: int) -> dict[str, list[list[tuple[float, str]]]]:
    """Return so many answers of a model to every question: when each part came, and what it said."""
    with served(program, model, context=2048) as url:
        return {
            question: [_said(url, question, seed) for seed in range(1, each + 1)]
            for question in (*MEDICINE, *LOGISTICS)
        }


def _said(url: str, question: str, seed: int) -> list[tuple[float, str]]:
    body = {
        "stream": True,
        "max_tokens": TOKENS,
        "temperature": 0.8,
        "seed": seed,
        "cache_prompt": False,
        "messages": [{"role": "user", "content": question}],
    }
    request = urllib.request.Request(  # noqa: S310  # loopback
        f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    began, parts = time.monotonic(), []
    with urllib.request.urlopen(request, timeout=600) as answer:  # noqa: S310  # loopback
        for line in answer:
            choices = json.loads(line[6:])["choices"] if line.startswith(b"data: {") else []
            if choices and (text := choices[0]["delta"].get("content")):
                parts.append((round(time.monotonic() - began, 4), text))
    return parts


def certify(folder: Path) -> None:
    """Make a certificate for the gateway's address, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address(GATEWAY))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "gateway.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "gateway.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )


def within(holder: Holder, *command: object) -> list[str]:
    """Return the command that runs in a holder's network namespace."""
    return ["nsenter", "--target", str(holder.pid), "--net", "--", *map(str, command)]


@contextmanager
def linked() -> Iterator[tuple[Holder, Holder]]:
    """Make two network namespaces with a link between them; yield the asker's and the gateway's."""
    with ExitStack() as stack:
        ends = []
        for _ in range(2):
            ends.append(start_holder((), user=False, stay=False))
            stack.callback(ends[-1].kill)
        peer = ["peer", "name", LINK, "netns", ends[1].pid]
        commands: list[list[str]] = [within(ends[0], "ip", "link", "add", LINK, "type", "veth", *peer)]
        for end, address in zip(ends, (ASKER, GATEWAY), strict=True):
            commands += [
                within(end, "ip", "addr", "add", f"{address}/24", "dev", LINK),
                within(end, "ip", "link", "set", LINK, "up"),
                within(end, "ip", "link", "set", "lo", "up"),
            ]
        for command in commands:
            subprocess.run(command, check=True)
        yield ends[0], ends[1]


@contextmanager
def role(holder: Holder, *arguments: object) -> Iterator[str]:
    """Start a process of `measure/leak_roles.py` beside the gateway; yield its first line."""
    process = subprocess.Popen(
        within(holder, sys.executable, ROLES, *arguments),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process.stdout.readline().strip()  # type: ignore[union-attr]
    finally:
        process.communicate()


def measured(answers: Path, folder: Path, samples: int, parallel: int) -> dict[str, Any]:
    """Serve, and return what `lockgate leak measure` says of every profile."""
    certify(folder)
    keys = -(-parallel // EACH)
    with linked() as (asker, server), role(server, "engine", "--answers", answers) as engine:
        certificate = ("--certificate", folder / "gateway.pem", "--key", folder / "gateway.key")
        serves = ("--host", GATEWAY, "--engine", engine, "--keys", keys)
        with role(server, "gateway", *serves, *certificate) as said:
            told = json.loads(said)
            files: dict[str, Path] = {}
            for name, secrets in told["keys"].items():
                files[name] = folder / name
                files[name].write_text("\n".join(secrets), encoding="utf-8")
            shaped = [word for name in Profile for word in ("--key-file", files[name])]
            command = within(
                asker,
                *(Path(sys.executable).with_name("lockgate"), "leak", "measure", "--json"),
                *("--url", f"https://{GATEWAY}:{told['port']}", "--ca", folder / "gateway.pem"),
                *(
                    "--model",
                    "small",
                    "--interface",
                    LINK,
                    "--samples",
                    samples,
                    "--parallel",
                    parallel,
                    "--each",
                    EACH,
                ),
                *("--control-key-file", files[CONTROL], *shaped),
            )
            done = subprocess.run(command, stdout=subprocess.PIPE, check=False)
    if not done.stdout:
        sys.exit("the measure failed")
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def rows_of(found: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the table: the control, and each profile."""
    named = {CONTROL: {**found["control"], "cost": 1.0}, **found["shaped"]}
    return [{"profile": name, **values} for name, values in named.items()]


def show(rows: Sequence[dict[str, Any]]) -> None:
    """Print the table."""
    print(
        f"{'answers':10}{'samples':>8}{'area':>7}  {'95 % interval':16}{'bits':>6}{'chance':>8}{'bytes':>9}"
    )
    for row in rows:
        span = f"{row['low']:.3f} to {row['high']:.3f}"
        print(
            f"{row['profile']:10}{row['samples']:8}{row['auc']:7.3f}  {span:16}{row['bits']:6.3f}"
            f"{row['null_bits']:8.3f}{row['wire_bytes']:9.0f} ({row['cost']:.1f} x){row['seconds']:7.2f} s"
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, help="llama-server, with its libraries beside")
    parser.add_argument("--model", type=Path, help="a GGUF file with a chat template")
    parser.add_argument("--answers", type=Path, required=True, help="recorded answers; made where missing")
    parser.add_argument("--samples", type=int, default=1000, help="answers of each topic for each profile")
    parser.add_argument("--parallel", type=int, default=128, help="requests at a time")
    parser.add_argument("--quick", action="store_true", help="60 samples of each topic")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    if not options.answers.is_file():
        if options.program is None or options.model is None:
            parser.error("no such file of answers: name --program and --model to record them")
        options.answers.write_text(json.dumps(recorded(options.program, options.model, 8)), encoding="utf-8")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lockgate-bench-") as folder:
        samples = 60 if options.quick else options.samples
        found = measured(options.answers, Path(folder), samples, options.parallel)
    constant, rows = found["shaped"][Profile.CONSTANT], rows_of(found)
    ratios = {
        "constant_auc_high": round(constant["high"], 4),
        "control_auc_low": round(found["control"]["low"], 4),
        "constant_bytes_over_off": round(constant["cost"], 1),
    }
    machine = {
        "python": platform.python_version(),
        "processors": os.cpu_count(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "minutes": round((time.monotonic() - began) / 60, 1),
    }
    if options.json:
        print(json.dumps({"machine": machine, "ratios": ratios, "rows": rows}))
        return
    print("  ".join(f"{name} {value}" for name, value in machine.items()))
    show(rows)
    for name, value in ratios.items():
        print(f"{name:24} {value}")


if __name__ == "__main__":
    main()
