"""A program that behaves as ``llama-server`` towards its supervisor, installed like a wheel.

It answers with the words of its model file, read through the path that it is given, so that a
test sees which bytes it was fed. Files beside the log tell it to misbehave.
"""

import hashlib
import sys
from pathlib import Path

from lockgate.infer import Installation

EXECUTABLE = "engine/bin/server"
LIBRARY = "engine/bin/libwords.so"

_SOURCE = r"""
import json, os, signal, socketserver, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if "--help" in sys.argv:
    if os.path.exists(os.path.join(os.environ["HOME"], "hang-help")):
        time.sleep(600)
    print("usage: --model FNAME --port N --no-webui --offline --something-else")
    sys.exit(0)
options = dict(zip(sys.argv[1::1], sys.argv[2::1]))
if os.path.exists("exit-at-once"):
    print("cannot \x1b[31mload the model\x1b[0m")
    sys.exit(3)
if os.path.exists("unknown-instruction"):
    os.kill(os.getpid(), signal.SIGILL)
if os.path.exists("ignore-term"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
words = open(options["--model"], "rb").read().decode().split()
if "--lora" in options:
    words = open(options["--lora"], "rb").read().decode().split() + words
secret = open(options["--api-key-file"]).read().strip()
library = open(os.path.join(os.path.dirname(sys.argv[0]), "libwords.so")).read()
json.dump({"argv": sys.argv, "env": dict(os.environ), "library": library}, open("started.json", "w"))
print("serving", flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        status = 503 if os.path.exists("unwell") else 200
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.headers["Authorization"] != "Bearer " + secret:
            self.send_error(401)
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True
        said = words[: body["max_tokens"]]
        for n, word in enumerate(said):
            self.say({"choices": [{"index": 0, "delta": {"content": word if n == 0 else " " + word}}]})
        finish = "stop" if len(said) == len(words) else "length"
        self.say({"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]})
        self.say({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": len(said)}})
        self.wfile.write(b"data: [DONE]\n\n")

    def say(self, chunk):
        self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")


class Server(ThreadingHTTPServer):
    def server_bind(self):  # the library's own looks its address up
        socketserver.TCPServer.server_bind(self)


Server((options["--host"], int(options["--port"])), Handler).serve_forever()
"""


def install(root: Path) -> Installation:
    """Put the program below a folder and return it with its digests."""
    program = root / EXECUTABLE
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable} -ISB\n{_SOURCE}")
    program.chmod(0o755)
    (root / LIBRARY).write_text("admitted")
    files = {name: hashlib.sha256((root / name).read_bytes()).hexdigest() for name in (EXECUTABLE, LIBRARY)}
    return Installation(root, EXECUTABLE, files, "pkg:pypi/engine@1")
