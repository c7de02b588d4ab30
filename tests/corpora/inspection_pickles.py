"""Pickles: every way to name a function, every container that hides one, and data that is only data.

Nothing here is ever loaded; each payload would only touch a marker file.
"""

import bz2
import collections
import datetime as dt
import decimal
import io
import json
import lzma
import pickle
import struct
import zipfile
import zlib

import zstandard

from corpora import inspection_content as make
from corpora.inspection_case import bad, good
from lockgate.core.verdict import Outcome

MARK = "touch marker"
_NAMES = """
os.system posix.system nt.system os.popen os.execv os.remove subprocess.Popen
subprocess.check_output builtins.eval builtins.exec builtins.getattr builtins.__import__
builtins.compile builtins.open builtins.print builtins.globals builtins.vars builtins.setattr
__builtin__.eval __builtin__.apply runpy.run_path runpy._run_code pip.main pip._internal.main
pip._internal.cli.main.main pkgutil.resolve_name importlib.import_module imp.load_source
operator.attrgetter operator.methodcaller operator.itemgetter functools.partial functools.reduce
numpy.testing._private.utils.runstring numpy.f2py.crackfortran.getlincoef numpy.load
numpy.core.multiarray.fromfile torch.load torch.hub.load torch.storage._load_from_bytes
torch.utils.collect_env.run torch.jit.load torch._utils._rebuild_wrapper
torch.jit.unsupported_tensor_ops.execWrapper torch.serialization.load torch.nn.modules.linear.Linear
torch.distributed.rpc.rpc_sync torch.utils._config_module.ConfigModule.load_config
torch.ops.load_library pickle.loads _pickle.loads cPickle.loads dill.loads
cloudpickle.cloudpickle._make_function joblib.load pandas.read_pickle timeit.timeit cProfile.run
profile.Profile.run pdb.run bdb.Bdb.run trace.Trace.run code.InteractiveInterpreter.runcode
doctest.debug_script distutils.spawn.spawn ctypes.CDLL ctypes.cdll.LoadLibrary
multiprocessing.util.spawnv_passfds asyncio.create_subprocess_shell logging.config.dictConfig
webbrowser.open socket.create_connection urllib.request.urlopen http.client.HTTPSConnection
smtplib.SMTP ssl.get_server_certificate shutil.rmtree pathlib.Path.write_text types.CodeType
types.FunctionType marshal.loads codecs.decode codecs.open commands.getoutput venv.create
ensurepip._run_pip zipimport.zipimporter.load_module uuid._get_command_stdout
_osx_support._read_output _aix_support._read_cmd_output sys.settrace sys.modules.get signal.signal
lib2to3.pgen2.pgen.ParserGenerator idlelib.run.Executive.runcode sklearn.datasets.fetch_openml
sklearn.utils._testing.TempMemmap sklearn.externals.joblib.load keras.utils.get_file
transformers.AutoModel.from_pretrained aiohttp.ClientSession requests.api.get builtins.type
"""
GADGETS = _NAMES.split()


def name_of(dotted: str) -> tuple[bytes, bytes]:
    """A gadget's module and name: the module is what is in lower case before the last part."""
    module, _, name = dotted.rpartition(".")
    return module.encode(), name.encode()


def text(value: bytes) -> bytes:
    return b"\x8c" + bytes([len(value)]) + value


def by_global(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"\x80\x02c" + module + b"\n" + name + b"\n" + text(argument) + b"\x85R."


def by_inst(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"(S'" + argument + b"'\ni" + module + b"\n" + name + b"\n."


def by_obj(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"(c" + module + b"\n" + name + b"\nS'" + argument + b"'\no."


def by_newobj(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"\x80\x02c" + module + b"\n" + name + b"\n" + text(argument) + b"\x85\x81."


def by_newobj_ex(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85}\x92."


def by_stack(module: bytes, name: bytes, argument: bytes) -> bytes:
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def by_memo(module: bytes, name: bytes, argument: bytes) -> bytes:
    """Module and name come out of the memo, in the other order."""
    return (
        b"\x80\x04"
        + text(name)
        + b"\x940"
        + text(module)
        + b"\x940h\x01h\x00\x93"
        + text(argument)
        + b"\x85R."
    )


def by_text_memo(module: bytes, name: bytes, argument: bytes) -> bytes:
    """The same with the text forms of the oldest protocol."""
    return b"V" + name + b"\np7\n0S'" + module + b"'\np1000000\n0g1000000\ng7\n\x93(V" + argument + b"\ntR."


def by_strings(module: bytes, name: bytes, argument: bytes) -> bytes:
    """Names as byte strings of Python 2, made twice."""
    return (
        b"\x80\x04U" + bytes([len(module)]) + module + b"T" + struct.pack("<I", len(name)) + name
        + b"\x93(X" + struct.pack("<I", len(argument)) + argument + b"tR."
    )  # fmt: skip


def framed(module: bytes, name: bytes, argument: bytes) -> bytes:
    body = by_stack(module, name, argument)[2:]
    return b"\x80\x04\x95" + struct.pack("<Q", len(body)) + body


def split_frame(module: bytes, name: bytes, argument: bytes) -> bytes:
    """A frame that ends inside an argument: one loader stops there, another reads on."""
    body = by_stack(module, name, argument)[2:]
    return b"\x80\x04\x95" + struct.pack("<Q", len(body) - 7) + body


FORMS = (
    by_global, by_inst, by_obj, by_newobj, by_newobj_ex, by_stack, by_memo, by_text_memo, by_strings, framed,
)  # fmt: skip


def hostile(dotted: str = "os.system", form=by_global) -> bytes:
    module, name = name_of(dotted)
    return form(module, name, MARK.encode())


def storage_id(key: str = "0", count: int = 6, kind: bytes = b"FloatStorage") -> bytes:
    return (
        b"(" + text(b"storage") + b"ctorch\n" + kind + b"\n" + text(key.encode()) + text(b"cpu")
        + b"K" + bytes([count]) + b"tQ"
    )  # fmt: skip


def tensor(key: str = "0", count: int = 6) -> bytes:
    """``torch._utils._rebuild_tensor_v2(storage, 0, (2, 3), (3, 1), False, OrderedDict())``"""
    return (
        b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage_id(key, count)
        + b"K\x00K\x02K\x03\x86K\x03K\x01\x86\x89ccollections\nOrderedDict\n)RtR"
    )  # fmt: skip


def state_dict(*, extra: bytes = b"", key: str = "0", count: int = 6) -> bytes:
    return b"\x80\x02}(" + text(b"weight") + tensor(key, count) + extra + b"u."


def torch_zip(pickled=None, *, extra=None, storages=None, base="model") -> bytes:
    members = {
        f"{base}/data.pkl": state_dict() if pickled is None else pickled,
        f"{base}/byteorder": b"little",
        **{f"{base}/data/{key}": data for key, data in (storages or {"0": bytes(24)}).items()},
        f"{base}/version": b"3\n",
        **{f"{base}/{name}": data for name, data in (extra or {}).items()},
    }
    return make.zipped(members, method=zipfile.ZIP_STORED)


def torch_legacy(main=None, *, tail=b"", count=6) -> bytes:
    main = (
        b"\x80\x02}(" + text(b"w") + b"ctorch._utils\n_rebuild_tensor_v2\n(("
        + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"7") + text(b"cpu") + b"K\x06NtQ"
        + b"K\x00K\x06\x85K\x01\x85\x89ccollections\nOrderedDict\n)RtRu."
    ) if main is None else main  # fmt: skip
    magic = pickle.dumps(0x1950A86A20F9469CFC6C, 2)
    out = magic + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2) + main
    return out + pickle.dumps(["7"], 2) + struct.pack("<Q", count) + bytes(4 * 6) + tail


def torch_script(code: str, *, data=None) -> bytes:
    body = b"\x80\x02c__torch__\nNet\n)\x81}(" + text(b"training") + b"\x88" + text(b"w") + tensor() + b"ub."
    extra = {"constants.pkl": b"\x80\x02).", "code/__torch__.py": code.encode()}
    return torch_zip(body if data is None else data, extra=extra)


def torch_exported(*, path="weight_0", pickled=False) -> bytes:
    meta = {"dtype": 7, "sizes": [{"as_int": 2}, {"as_int": 3}]}
    table = {"config": {"w": {"path_name": path, "use_pickle": pickled, "tensor_meta": meta}}}
    members = {
        "p/archive_format": b"pt2",
        "p/archive_version": b"0",
        "p/models/model.json": b"{}",
        "p/data/weights/model_weights_config.json": json.dumps(table).encode(),
        "p/data/weights/weight_0": bytes(24),
    }
    return make.zipped(members, method=zipfile.ZIP_STORED)


def joblib_array(*, kind: bytes = b"f8", raw: bytes = bytes(16), align: bool = True) -> bytes:
    """An array as joblib writes it into the middle of its stream."""
    state = text(b"shape") + b"K\x02\x85" + text(b"dtype") + b"cnumpy\ndtype\n(" + text(kind) + b"\x89\x88tR"
    state += (text(b"numpy_array_alignment_bytes") + b"K\x10") if align else b""
    head = b"\x80\x04}" + text(b"a") + b"cjoblib.numpy_pickle\nNumpyArrayWrapper\n)\x81}(" + state + b"ub"
    return head + ((b"\x03\xff\xff\xff" if align else b"") + raw) + b"s."


def lz4_frame(data: bytes) -> bytes:
    from lockgate.inspect.inspectors.lz4 import xxh32

    head = b"\x60\x40"
    out = b"\x04\x22\x4d\x18" + head + bytes([xxh32(head) >> 8 & 0xFF])
    return out + struct.pack("<I", len(data) | 1 << 31) + data + bytes(4)


PACKERS = {
    "gz": make.gzipped,
    "zlib": zlib.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "zst": zstandard.compress,
    "lz4": lz4_frame,
}


def _npz(data: bytes) -> bytes:
    return make.zipped({"a.npy": make.npy("'|O'", "(1,)", data)})


_FORMED = [
    bad(
        f"{dotted} named by {FORMS[at % len(FORMS)].__name__}",
        "m.pkl",
        hostile(dotted, FORMS[at % len(FORMS)]),
        "pickle",
    )
    for at, dotted in enumerate(GADGETS)
]
_PACKED = [
    bad(f"a hostile pickle in {kind}", f"m.pkl.{kind}", pack(hostile()), "pickle")
    for kind, pack in PACKERS.items()
]
_HIDDEN = [
    bad("a frame that splits an argument", "m.pkl", hostile(form=split_frame), "pickle"),
    bad(
        "a frame past the end",
        "m.pkl",
        b"\x80\x04\x95" + struct.pack("<Q", 1 << 40) + hostile()[2:],
        "pickle",
    ),
    bad("a second pickle behind a harmless one", "m.pkl", pickle.dumps({"a": 1}, 2) + hostile(), "pickle"),
    bad("a pickle that breaks off after a call", "m.pkl", hostile()[:-1] + b"\xff", "pickle"),
    bad("a pickle with a mark inside", "m.pkl", b"\x80\x02]\x80\x04.", "pickle"),
    bad(
        "a name of several parts",
        "m.pkl",
        b"\x80\x04" + text(b"os") + text(b"path.os.system") + b"\x93)R.",
        "pickle",
    ),
    bad(
        "a function that is filled",
        "m.pkl",
        b"\x80\x02ccollections\nOrderedDict\n}" + text(b"x") + b"K\x01sb.",
        "pickle",
    ),
    bad("a call of what was computed", "m.pkl", b"\x80\x02ccollections\nOrderedDict\n)R)R.", "pickle"),
    bad("an extension code", "m.pkl", b"\x80\x02\x82\x01)R.", "pickle"),
    bad("a persistent id without torch", "m.pkl", b"\x80\x02" + text(b"x") + b"Qcos\nsystem\n0.", "pickle"),
    bad(
        "another codec",
        "m.pkl",
        b"\x80\x02c_codecs\nencode\n" + text(b"x") + text(b"rot13") + b"\x86R.",
        "pickle",
    ),
    bad(
        "a state dict with a call",
        "m.pt",
        torch_zip(state_dict(extra=text(b"x") + hostile()[2:-1])),
        "pickle",
        "model",
    ),
    bad(
        "a whole module",
        "m.pt",
        torch_zip(hostile("torch.nn.modules.linear.Linear", by_newobj)),
        "pickle",
        "model",
    ),
    bad(
        "a pickle among the storages",
        "m.pt",
        torch_zip(storages={"0": bytes(24), "1": hostile()}),
        "pickle",
        "model",
    ),
    bad(
        "a pickle beside the state dict", "m.pt", torch_zip(extra={"extra.pkl": hostile()}), "pickle", "model"
    ),
    bad(
        "code for debugging that is a pickle",
        "m.pt",
        torch_zip(extra={"code/x.py.debug_pkl": hostile()}),
        "pickle",
    ),
    bad("an old torch file with a call", "m.pth", torch_legacy(hostile()), "pickle", "model"),
    bad("bytes behind an old torch file", "m.pth", torch_legacy(tail=b"hidden"), "pickle-tail", "model"),
    bad("objects in an array of an archive", "a.npz", _npz(hostile()), "pickle"),
    bad(
        "a pickle inside joblib's array",
        "m.joblib",
        joblib_array(kind=b"O8", raw=hostile(), align=False),
        "pickle",
    ),
    bad("a call behind joblib's array", "m.joblib", joblib_array()[:-2] + hostile()[2:], "pickle"),
    bad(
        "TorchScript that writes files",
        "m.pt",
        torch_script("def f(x):\n  ops.aten.save(x, 'f')\n"),
        "torchscript-file",
    ),
    bad(
        "TorchScript of somebody's library", "m.pt", torch_script("ops.evil.run()\n"), "torchscript-operators"
    ),
    bad("TorchScript that is Python", "m.pt", torch_script("__import__('os')\n"), "torchscript-python"),
    bad("TorchScript names outside TorchScript", "m.pkl", b"\x80\x02c__torch__\nNet\n)\x81.", "pickle"),
    bad(
        "a torch archive with its pickle packed otherwise",
        "m.pt",
        make.zipped({"m/data.pkl": hostile()}),
        "pickle",
    ),
    bad(
        "two torch archives in one",
        "m.pt",
        make.zipped({"a/data.pkl": state_dict(), "b/data.pkl": hostile()}),
        "pickle",
    ),
]

PICKLES_BAD = [*_FORMED, *_PACKED, *_HIDDEN]


class _Plain:
    """Data of every kind that pickle itself knows."""

    values = (
        None, True, 1, -5, 1 << 80, 2.5, 1 + 2j, "text", "ä", b"bytes", [1, [2]], (1, 2, 3, 4), {1, 2},
        frozenset({3}), {"a": {"b": 1}}, bytearray(b"x"), collections.OrderedDict(a=1),
        collections.Counter("abc"), collections.deque([1]), dt.datetime(2020, 1, 1, tzinfo=dt.UTC),
        dt.timedelta(3), decimal.Decimal("1.5"), range(4), slice(1, 2),
    )  # fmt: skip


def _opaque(title: str, name: str, data: bytes, detected: str = ""):
    return good(title, name, data, "model", outcome=Outcome.OPAQUE, detected=detected)


def _large() -> bytes:
    """Large bytes: protocol 4 writes them between frames."""
    out = io.BytesIO()
    pickle.Pickler(out, 4).dump({"a": bytes(70_000), "b": "x" * 70_000, "c": [1]})
    return out.getvalue()


PICKLES_GOOD = [
    *(
        _opaque(f"plain data, protocol {n}", "m.pkl", pickle.dumps(list(_Plain.values[:18]), n))
        for n in range(6)
    ),
    *(
        _opaque(f"{type(value).__name__} {at}, protocol {at % 6}", f"v{at}.pkl", pickle.dumps(value, at % 6))
        for at, value in enumerate(_Plain.values)
    ),
    *(
        _opaque(f"a state dict, packed as {kind}", f"m.pkl.{kind}", pack(pickle.dumps({"a": [1.5] * 9}, 4)))
        for kind, pack in PACKERS.items()
    ),
    _opaque("large bytes between frames", "m.pkl", _large()),
    _opaque("NumPy data", "m.pkl", make.numpy_pickle(), "pickle"),
    _opaque("two pickles of data", "m.pkl", pickle.dumps([1], 2) + pickle.dumps([2], 4)),
    _opaque("a state dict", "m.pt", torch_zip(), "torch-archive"),
    _opaque("a state dict with its own folder", "m.bin", torch_zip(base="archive"), "torch-archive"),
    _opaque("an old torch file", "m.pth", torch_legacy(), "pickle"),
    _opaque(
        "TorchScript",
        "m.pt",
        torch_script("def forward(self, x):\n  return torch.relu(x)\n"),
        "torch-archive",
    ),
    _opaque("an exported program", "m.pt2", torch_exported(), "torch-archive"),
    _opaque("joblib's array", "m.joblib", joblib_array(), "pickle"),
    _opaque("joblib's array of old", "m.joblib", joblib_array(align=False), "pickle"),
    _opaque("joblib's objects", "m.joblib", joblib_array(kind=b"O8", raw=pickle.dumps([1], 2), align=False)),
    _opaque("objects in an array", "a.npy", make.npy("'|O'", "(1,)", pickle.dumps([1, None], 3))),
    _opaque(
        "a scikit-learn estimator",
        "m.pkl",
        b"\x80\x04"
        + text(b"sklearn.linear_model._logistic")
        + text(b"LogisticRegression")
        + b"\x93)\x81}("
        + text(b"C")
        + b"K\x01ub.",
    ),
]
"""What a profile covers: opaque, and without a finding."""

PICKLES_UNREAD = [
    ("a storage that no tensor names", "m.pt", torch_zip(storages={"0": bytes(24), "1": b"\x00\x01hidden"})),
    ("a storage of another size", "m.pt", torch_zip(storages={"0": bytes(20)})),
    ("an old torch file with another count", "m.pth", torch_legacy(count=5)),
    ("a weight that the table calls a pickle", "m.pt2", torch_exported(pickled=True)),
    ("a weight that the table does not name", "m.pt2", torch_exported(path="weight_1")),
    ("a pickle of data that breaks off", "m.pkl", pickle.dumps({"a": [1] * 50}, 4)[:-9]),
    ("joblib's array that is too short", "m.joblib", joblib_array(raw=bytes(7))),
    ("a pickle in xz that breaks off", "m.pkl.xz", lzma.compress(b"x" * 999)[:-9]),
    ("LZ4 with a false sum", "m.lz4", lz4_frame(b"x")[:6] + b"\xff" + lz4_frame(b"x")[7:]),
    ("a bzip2 bomb", "m.bz2", bz2.compress(bytes(64 << 20))),
]
