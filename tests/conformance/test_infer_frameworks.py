"""LangChain's and LlamaIndex's OpenAI classes, unmodified, in an environment of their own."""

import asyncio
import io
import json
import subprocess
import venv
from pathlib import Path
from typing import Any

import pytest

from infer_doubles import NOW, WEIGHTS, WEIGHTS_SHA256, site
from infer_servers import MODEL, OtherServer
from lockgate.infer import EngineLimits, ModelFile, RemoteConfig, RemoteEngine, RemoteKind

pytestmark = [pytest.mark.online, pytest.mark.slow]

PACKAGES = ("langchain-openai", "llama-index-llms-openai", "llama-index-embeddings-openai")
NAME = "gpt-4o-mini"
"""LlamaIndex's class refuses names whose context it does not know: the model bears one that it does."""

LANGCHAIN = """
import json, sys
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
url, key, name = sys.argv[1:]
chat = ChatOpenAI(model=name, base_url=url, api_key=key, max_retries=0)

@tool
def switch(unit: int) -> str:
    "Switch a unit."
    return str(unit)

schema = {"title": "Answer", "type": "object", "properties": {"unit": {"type": "integer"}}}
vectors = OpenAIEmbeddings(model=name, base_url=url, api_key=key, check_embedding_ctx_length=False)
print(json.dumps({
    "whole": chat.invoke("Hi").content,
    "stream": "".join(chunk.content for chunk in chat.stream("Hi")),
    "tools": chat.bind_tools([switch]).invoke("Hi").tool_calls[0]["args"],
    "structured": chat.with_structured_output(schema, method="function_calling").invoke("Hi"),
    "vectors": vectors.embed_documents(["a", "bbb"]),
}))
"""

LLAMA_INDEX = """
import json, sys
from llama_index.core.llms import ChatMessage
from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI
url, key, name = sys.argv[1:]
llm = OpenAI(model=name, api_base=url, api_key=key, max_retries=0)
vectors = OpenAIEmbedding(model_name=name, api_base=url, api_key=key, max_retries=0)
turn = [ChatMessage(role="user", content="Hi")]
print(json.dumps({
    "whole": llm.chat(turn).message.content,
    "stream": "".join(part.delta for part in llm.stream_chat(turn)),
    "vectors": vectors.get_text_embedding_batch(["a", "bbb"]),
}))
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("frameworks")
    venv.create(folder, with_pip=True)
    found = folder / "bin" / "python"
    pip = [str(found), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, *PACKAGES], check=True)
    return found


def answers(python: Path, script: str) -> tuple[Any, list[str]]:
    """Run a script against a gateway; return what it printed and how its answers ended."""

    async def main() -> tuple[Any, list[str]]:
        async with OtherServer("vllm").running() as server:
            engine = RemoteEngine(
                model=ModelFile("weights.gguf", WEIGHTS_SHA256, len(WEIGHTS)),
                open_model=lambda: io.BytesIO(WEIGHTS),
                config=RemoteConfig(server.url, RemoteKind.VLLM, MODEL),
                limits=EngineLimits(),
                clock=lambda: NOW,
            )
            async with site(engine=engine, name=NAME) as s:
                words = [str(python), "-c", script, f"{s.url}/v1", s.secret, NAME]
                ran = await asyncio.to_thread(
                    subprocess.run, words, capture_output=True, text=True, check=False
                )
                assert ran.returncode == 0, ran.stderr[-3000:]
                return json.loads(ran.stdout), s.ledger.statuses()

    return asyncio.run(main())


def test_langchain(python: Path) -> None:
    found, statuses = answers(python, LANGCHAIN)
    assert found == {
        "whole": "Hello there.",
        "stream": "Hello there.",
        "tools": {"unit": 2},
        "structured": {"unit": 2},
        "vectors": [[1.0, 0.5], [3.0, 0.5]],
    }
    assert statuses == ["answered"] * 5


def test_llama_index(python: Path) -> None:
    found, statuses = answers(python, LLAMA_INDEX)
    assert found["whole"] == found["stream"] == "Hello there."
    assert found["vectors"] == [[1.0, 0.5], [3.0, 0.5]]
    assert statuses == ["answered"] * 3
