"""Models: downloaded by the Hub's client, loaded by their readers, and asked one prompt by their engine."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from packaging.utils import canonicalize_name

from lockgate.app.golden.box import EngineReplayError, Setup
from lockgate.app.golden.box import ask as ask_engine
from lockgate.app.rehearsal import missing
from lockgate.app.rehearsal.context import Context, Outcome, Trial, some
from lockgate.app.rehearsal.fit import fits
from lockgate.app.rehearsal.loading import PROMPT
from lockgate.core.artifact import Artifact, ArtifactFile, Kind, Role
from lockgate.core.errors import LockgateError
from lockgate.core.golden import GoldenPrompt
from lockgate.core.host import HostEngine
from lockgate.core.rehearsal import Mark, Missing
from lockgate.infer.engines.installation import Installation, wheel_files

ANSWER_TOKENS = 8
"""How long the answer to the one prompt is, in tokens."""

_TYPES = {Kind.MODEL: "model", Kind.DATASET: "dataset", Kind.SPACE: "space"}
_PLAIN = (Kind.DOCUMENT, Kind.FILE, Kind.RULES)


class _Done(msgspec.Struct):
    loaded: list[tuple[str, str, str]] = []
    missing: list[str] = []
    bad: list[str] = []


_done = msgspec.json.Decoder(_Done)


def rehearse_models(context: Context) -> Iterator[Outcome]:
    """Yield what came of each model, data set and space; engines are installed from the mirrors once."""
    engine: Installation | None = None
    chosen = _chosen(context)
    if chosen and any(_form(each) == "gguf" for each in context.artifacts(Kind.MODEL)):
        engine, outcome = _engine(context, chosen)
        yield outcome
    for artifact in context.artifacts(*_TYPES):
        yield from _repository(context, artifact)
        if artifact.kind is Kind.MODEL:
            yield from _answers(context, artifact, engine)


def _repository(context: Context, artifact: Artifact) -> Iterator[Outcome]:
    kind = _TYPES[artifact.kind]
    name = f"{kind} {artifact.name}"
    trial = Trial(context, f"{name}: snapshot_download")
    task, form = artifact.attributes.get("task", ""), _form(artifact)
    cache = context.folder("hub")
    order = {"do": "repository", "name": artifact.name, "revision": artifact.version, "type": kind}
    order |= {"cache": str(cache), "task": task, "form": form}
    done, why = _ordered(context, order, cache)
    if done is None:
        yield trial.failed(why)
        return
    lost = [_lost(context, artifact, kind, path) for path in done.missing]
    if lost:
        yield trial.failed(f"It lacks {some(done.missing)}, without which it cannot be loaded.", lost)
        return
    yield trial.passed()
    for part, mark, told in done.loaded:
        trial = Trial(context, f"{name}: {part}")
        if mark == Mark.UNPROVEN:
            yield trial.unproven(told)
        elif not context.native:
            yield trial.unproven(f"It was loaded on {context.machine}: {told}")
        else:
            yield trial.passed(told)


def _lost(context: Context, artifact: Artifact, kind: str, path: str) -> Missing:
    """Return a missing file with the lines of the table that the model came from."""
    from_table = any(section.name == artifact.name for section in context.manifest.content.model)
    return missing.member(artifact.name, path) if from_table else missing.hub(artifact.name, path, kind=kind)


def _ordered(context: Context, order: dict[str, Any], folder: Path) -> tuple["_Done | None", str]:
    """Have an order carried out in the box; return what came of it, or why nothing did."""
    file = folder / "order.json"
    file.write_text(json.dumps(order))
    place = {"LOCKGATE_ORDER": str(file), "HF_ENDPOINT": context.url, "HF_HOME": str(folder / "home")}
    words = [sys.executable, "-I", "-m", "lockgate.app.rehearsal.loading"]
    ran = context.box.run(folder, words, place)
    if not ran.well:
        return None, ran.reason
    try:
        return _done.decode(ran.out.strip().rpartition("\n")[2]), ""
    except msgspec.DecodeError as error:
        return None, f"What was loaded cannot be read: {error}."


def _form(artifact: Artifact) -> str:
    """Return the form of a model's weights: as it was collected under, else by its files' names."""
    named = artifact.attributes.get("format", "")
    if named:
        return named
    endings = {file.path.rpartition(".")[2] for file in artifact.files}
    return next((each for each in ("gguf", "safetensors", "onnx") if each in endings), "")


def _chosen(context: Context) -> HostEngine | None:
    """Return the engine of the host that a Python project carries."""
    return next((e for e in context.host.engines if e.kind == "llama" and e.project), None)


def _engine(context: Context, chosen: HostEngine) -> tuple[Installation | None, Outcome]:
    """Install the host's engine from the mirrors, as the high side does."""
    trial = Trial(context, f"engine {chosen.project}: pip")
    if not context.native:
        return None, trial.unproven(
            f"It is for {context.host.architecture}; this machine is {context.machine}."
        )
    held = [
        (artifact, file)
        for artifact in context.artifacts(Kind.PYTHON)
        if canonicalize_name(artifact.name) == canonicalize_name(chosen.project)
        for file in artifact.files
        if file.role is Role.DISTRIBUTION and file.path.endswith(".whl")
    ]
    if not held:
        if chosen.version:
            return None, trial.unproven(
                f"The host has {chosen.version} already; this lock does not bring it."
            )
        lost = missing.python(chosen.project)
        return None, trial.failed("The host's engine is not installed there, and the lock lacks it.", [lost])
    artifact, wheel = held[0]
    folder = context.folder("engine")
    words = ["-m", "pip", "install", "--quiet", "--no-deps", "--no-cache-dir", "--target", str(folder)]
    words += ["--index-url", f"{context.url}/simple/", f"{artifact.name}=={artifact.version}"]
    ran = context.box.run(folder, [sys.executable, *words])
    if not ran.well:
        return None, trial.of(ran)
    minors = context.host.minors or ("3.11",)
    if not any(fits([file.path.rpartition("/")[2] for _, file in held], context.host, m) for m in minors):
        return None, trial.failed("No wheel of the engine can be installed on the host.")
    with context.blob(wheel.sha256).open("rb") as stream:
        files = wheel_files(stream)
    return Installation(folder, chosen.executable, files, artifact.purl), trial.passed()


def _answers(context: Context, artifact: Artifact, engine: Installation | None) -> Iterator[Outcome]:
    """Ask a model one prompt through its engine; an embedder answered while it was loaded."""
    form, task = _form(artifact), artifact.attributes.get("task", "")
    if form == "onnx" and task == "embed":
        return
    trial = Trial(context, f"model {artifact.name}: one prompt")
    weights = _weights(artifact)
    if form != "gguf" or weights is None:
        kinds = ", ".join(each.kind for each in context.host.engines) or "none"
        yield trial.unproven(f"No engine here loads {form or 'these'} weights; the host has: {kinds}.")
    elif task == "adapter":
        yield trial.unproven("An adapter is loaded together with its base alone.")
    elif engine is None:
        yield trial.unproven("The host's engine was not installed here, or its profile names none.")
    else:
        yield _asked(context, trial, engine, weights)


def _weights(artifact: Artifact) -> ArtifactFile | None:
    found = [file for file in artifact.files if file.role is Role.WEIGHTS or file.path.endswith(".gguf")]
    return found[0] if found else None


def _asked(context: Context, trial: Trial, engine: Installation, weights: ArtifactFile) -> Outcome:
    prompt = GoldenPrompt(id="rehearsal", prompt=PROMPT, max_tokens=ANSWER_TOKENS)
    try:
        answer = ask_engine(Setup(engine), context.blob(weights.sha256), weights.sha256, [prompt])
    except EngineReplayError as error:
        return trial.failed(error.what)
    except LockgateError as error:
        return trial.unproven(error.what)
    text = "".join(answer[0])
    return trial.passed(f"It answered: {text!r}") if answer[0] else trial.failed("It answered nothing.")


def rehearse_files(context: Context) -> Iterator[Outcome]:
    """Yield whether the plain files and documents are served as they were collected."""
    files = [(file.path, file.sha256) for each in context.artifacts(*_PLAIN) for file in each.files]
    if not files:
        return
    trial = Trial(context, f"{len(files)} files and documents: download")
    folder = context.folder("files")
    done, why = _ordered(context, {"do": "fetch", "url": context.url, "files": files}, folder)
    if done is None:
        yield trial.failed(why)
    elif done.bad:
        yield trial.failed(some(done.bad))
    else:
        yield trial.passed()
