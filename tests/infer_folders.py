"""Programs that behave as vLLM, Ollama and TGI towards their supervisor, and read a model from a folder.

Each answers with the words of the weights that it finds where the real one would look for them. Files in its
working folder tell it to misbehave, and `started.json` there says how it was started.
"""

import hashlib
import json
import sys
from pathlib import Path

from lockgate.infer import Installation, ModelFile
from lockgate.infer.engines.vllm import EXECUTABLE, MODULE

WORDS = b"Hello there ."

_SOURCE = r"""
import json, os, socket, socketserver, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KIND = __KIND__
options = dict(zip(sys.argv[1::1], sys.argv[2::1]))
if KIND == "ollama":
    assert sys.argv[1:] == ["serve"]
    top = os.environ["OLLAMA_MODELS"]
    manifest = json.load(open(top + "/manifests/lockgate.invalid/library/served/latest"))
    layer = manifest["layers"][0]["digest"].replace(":", "-")
    weights = top + "/blobs/" + layer
    place = os.environ["OLLAMA_HOST"].split(":")
elif KIND == "tgi":
    top = options["--model-id"]
    weights = top + "/model.safetensors"
    place = [options["--hostname"], options["--port"]]
else:
    top = options["--model"]
    weights = top + "/model.safetensors"
    place = None
    if "--enable-lora" in sys.argv:
        name, _, folder = options["--lora-modules"].partition("=")
        assert (name, options["--served-model-name"]) == ("served", "base")
        assert open(weights, "rb").read()
        weights = folder + "/adapter_model.safetensors"
words = open(weights, "rb").read().decode().split()
try:
    open(top + "/extra", "w").close()
    writable = True
except OSError:
    writable = False
lines = open("/proc/net/route").read().splitlines()
told = {"argv": sys.argv, "env": dict(os.environ), "writable": writable, "routes": len(lines) - 1,
        "path": sys.path, "network": os.readlink("/proc/self/ns/net"),
        "fds": len(os.listdir("/proc/self/fd"))}
json.dump(told, open("started.json", "w"))
print("serving", flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return ""

    def do_GET(self):
        status, body = (503 if os.path.exists("unwell") else 200), {}
        if self.path == "/api/tags":
            tag = {"name": "lockgate.invalid/library/served:latest"}
            if os.path.exists("elsewhere"):
                tag["remote_host"] = "https://models.example"
            body = {"models": [] if os.path.exists("empty") else [tag]}
        if self.path == "/info":
            body = {"model_id": "other" if os.path.exists("empty") else top, "model_sha": None}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if KIND == "tgi" and self.headers["Authorization"] != "Bearer " + os.environ["API_KEY"]:
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "application/x-ndjson" if KIND == "ollama" else "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        most = body["options"]["num_predict"] if KIND == "ollama" else body["max_tokens"]
        said = words[:most]
        finish = "stop" if len(said) == len(words) else "length"
        for n, word in enumerate(said):
            self.part(word if n == 0 else " " + word)
        if KIND == "ollama":
            last = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": finish}
            last.update(prompt_eval_count=5, eval_count=len(said))
            self.wfile.write(json.dumps(last).encode() + b"\n")
            return
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        self.event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(said)}})
        self.wfile.write(b"data: [DONE]\n\n")

    def part(self, text):
        if KIND == "ollama":
            line = {"message": {"role": "assistant", "content": text}, "done": False}
            self.wfile.write(json.dumps(line).encode() + b"\n")
        else:
            self.event({"choices": [{"index": 0, "delta": {"content": text}}]})

    def event(self, chunk):
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


class Server(ThreadingHTTPServer):
    address_family = socket.AF_INET if place else socket.AF_UNIX

    def server_bind(self):  # the library's own looks its address up
        socketserver.TCPServer.server_bind(self)

    def get_request(self):
        request, address = super().get_request()
        return request, address or ("", 0)


Server((place[0], int(place[1])) if place else options["--uds"], Handler).serve_forever()
"""

_PROGRAM = {"ollama": "bin/ollama", "tgi": "bin/text-generation-launcher"}


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def install(root: Path, kind: str) -> Installation:
    """Put a program below a folder and return it with its digests."""
    source = _SOURCE.replace("__KIND__", repr(kind))
    if kind == "vllm":
        files = {EXECUTABLE: source.encode()}
        folder = Path(EXECUTABLE).parent
        while folder != Path():
            files[f"{folder}/__init__.py"] = b""
            folder = folder.parent
        executable, module = EXECUTABLE, MODULE
    else:
        executable, module = _PROGRAM[kind], ""
        files = {executable: f"#!{sys.executable} -ISB\n{source}".encode(), "bin/libwords.so": b"admitted"}
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        (root / path).chmod(0o755)
    return Installation(
        root, executable, {p: sha256(d) for p, d in files.items()}, f"pkg:pypi/{kind}@1", module
    )


class Model:
    """The files of a model as they were admitted, in a folder that stands for the blob store."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        folder.mkdir()
        if kind == "ollama":
            layer = {
                "mediaType": "application/vnd.ollama.image.model",
                "digest": f"sha256:{sha256(WORDS)}",
                "size": len(WORDS),
            }
            contents = {"manifest": json.dumps({"schemaVersion": 2, "layers": [layer]}).encode(), "w": WORDS}
        else:
            contents = {"config.json": b"{}", "model.safetensors": WORDS}
        self.files = {
            name: ModelFile(f"models/org/small/{name}", sha256(data), len(data))
            for name, data in contents.items()
        }
        for name, data in contents.items():
            (folder / self.files[name].sha256).write_bytes(data)

    def add_adapter(self, words: bytes) -> ModelFile:
        """Put an adapter's files beside the model's and return its weights."""
        contents = {"adapter_config.json": b'{"r": 4}', "adapter_model.safetensors": words}
        for name, data in contents.items():
            self.files[name] = ModelFile(f"models/site/own/{name}", sha256(data), len(data))
            (self.folder / self.files[name].sha256).write_bytes(data)
        return self.files["adapter_model.safetensors"]

    @property
    def weights(self) -> ModelFile:
        return self.files.get("model.safetensors") or self.files["w"]

    def path(self, file: ModelFile | None = None) -> Path:
        return self.folder / (file or self.weights).sha256
