"""Archives, packages and pickles with something in them that must be found."""

import struct
import tarfile
import zipfile

from corpora import inspection_content as make
from corpora.inspection_case import WHEEL, bad


def _central(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _zip(name: str, data: bytes = b"text", mode: int = 0) -> bytes:
    info = zipfile.ZipInfo(name, make.EPOCH)
    info.external_attr = mode << 16
    return make.zipped([(info, data)])


def _twice() -> bytes:
    data = make.zipped({"a.txt": b"one", "b.txt": b"two"}, method=zipfile.ZIP_STORED)
    return data.replace(b"b.txt", b"a.txt")


def _overlap() -> bytes:
    """Two directory records that point to one member."""
    data = make.zipped({"a.txt": b"text"})
    at, end = _central(data), data.index(b"PK\x05\x06")
    record = data[at:end]
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 2, 2, 2 * len(record), at, 0)
    return data[:at] + record * 2 + tail


def _gap() -> bytes:
    data = make.zipped({"a.txt": b"text"})
    at, end = _central(data), data.index(b"PK\x05\x06")
    tail = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, end - at, at + 6, 0)
    return data[:at] + b"hidden" + data[at:end] + tail


def _bomb() -> bytes:
    return make.zipped({"zeros.txt": bytes(32 << 20)})


def _extra(kind: int) -> bytes:
    info = zipfile.ZipInfo("a.txt", make.EPOCH)
    info.extra = struct.pack("<2H", kind, 4) + b"abcd"
    return make.zipped([(info, b"text")])


def _wheel_with(name: str, data: bytes) -> bytes:
    return make.wheel({name: data})


def _wheel_without(suffix: str) -> bytes:
    return make.zipped(
        {name: data for name, data in make.wheel_members().items() if not name.endswith(suffix)}
    )


def _wheel_without_package() -> bytes:
    members = make.wheel_members()
    return make.zipped({name: data for name, data in members.items() if not name.startswith("lock_demo/")})


def _wheel_swapped(name: str, data: bytes) -> bytes:
    """A member other than RECORD says."""
    return make.zipped(make.wheel_members() | {name: data})


def _nested(depth: int) -> bytes:
    data = b"text"
    for _ in range(depth):
        data = make.zipped({"a.zip": data})
    return data


_TORCH = make.zipped({"model/data.pkl": make.evil_pickle(2), "model/version": b"3\n"})
ARCHIVES = [
    # Pickles
    *(bad(f"a pickle, protocol {n}", "m.bin", make.evil_pickle(n), "pickle", "model") for n in range(6)),
    bad("a pickle that is named a text", "notes.txt", make.evil_pickle(0), "pickle"),
    bad("a pickle that is named a text: the mismatch", "notes.txt", make.evil_pickle(4), "type-mismatch"),
    bad("a pickle that breaks off after its call", "m.bin", make.evil_pickle(0)[:-1] + b"\xff\xff", "pickle"),
    bad("a pickle without its protocol mark", "m.bin", make.evil_pickle(4)[2:], "pickle"),
    bad("a pickle in front of a text", "n.txt", make.evil_pickle(0) + b"\nplain words", "pickle"),
    bad("a pickle after a long line", "n.txt", b"S'" + b"a" * 9000 + b"'\n0" + make.evil_pickle(0), "pickle"),
    bad("a pickle inside gzip", "m.pkl.gz", make.gzipped(make.evil_pickle()), "pickle"),
    bad("a pickle in a wheel", WHEEL, _wheel_with("lock_demo/m.pkl", make.evil_pickle()), "pickle", "python"),
    bad("the pickle in a torch archive", "m.pt", _TORCH, "pickle", "model"),
    bad("an array of objects", "a.npy", make.npy("'|O'", "(1,)", make.evil_pickle()), "pickle"),
    # ZIP
    bad("bytes before a ZIP archive", "a.zip", b"\x00" * 9 + make.zipped({"a.txt": b"x"}), "polyglot-zip"),
    bad(
        "a ZIP archive behind a picture", "p.png", make.png(tail=make.zipped({"a.txt": b"x"})), "polyglot-zip"
    ),
    bad("bytes between members", "a.zip", _gap(), "zip-gap"),
    bad("members that overlap", "a.zip", _overlap(), "zip-overlap"),
    bad("a name that stands twice", "a.zip", _twice(), "zip-duplicate"),
    bad("a name that climbs", "a.zip", _zip("../../etc/cron.d/x"), "zip-slip"),
    bad("an absolute name", "a.zip", _zip("/etc/passwd"), "zip-slip"),
    bad("a backslash in a name", "a.zip", _zip("..\\x"), "zip-slip"),
    bad("a symbolic link", "a.zip", _zip("link", b"/etc/passwd", 0o120777), "zip-symlink"),
    bad("a set-id bit", "a.zip", _zip("tool", b"x", 0o104755), "zip-setuid"),
    bad("a device", "a.zip", _zip("tool", b"", 0o020666), "zip-special-file"),
    bad("a file that is a folder too", "a.zip", make.zipped({"a": b"x", "a/b": b"y"}), "zip-file-as-folder"),
    bad("names that differ in case", "a.zip", make.zipped({"a.txt": b"x", "A.txt": b"y"}), "zip-case"),
    bad("a second name in an extra field", "a.zip", _extra(0x7075), "zip-unicode-path"),
    bad("an unknown extra field", "a.zip", _extra(0x4242), "zip-extra-field"),
    bad("a comment", "a.zip", make.zipped({"a.txt": b"x"}, comment=b"hello\x00"), "zip-comment"),
    bad("a bomb", "a.zip", _bomb(), "zip-bomb"),
    bad("archives nested too deep", "a.zip", _nested(9), "over-limit"),
    bad(
        "directories that name a member differently",
        "a.zip",
        _patched(make.zipped({"a.txt": b"text"}), 30, b"b"),
        "zip-directories-differ",
    ),
    bad(
        "flag bits that differ",
        "a.zip",
        _patched(make.zipped({"a.txt": b"text"}), 6, b"\x01"),
        "zip-directories-differ",
    ),
    # Wheels
    bad(
        "code at start-up",
        WHEEL,
        _wheel_with("run.pth", b"import os; os.system('id')\n"),
        "wheel-pth",
        "python",
    ),
    bad("sitecustomize", WHEEL, _wheel_with("sitecustomize.py", b"x = 1\n"), "wheel-startup", "python"),
    bad(
        "start-up code in the data folder",
        WHEEL,
        _wheel_with("lock_demo-1.0.data/purelib/run.pth", b"import os\n"),
        "wheel-pth",
        "python",
    ),
    bad(
        "content of the same length that RECORD denies",
        WHEEL,
        _wheel_swapped("lock_demo/__init__.py", b'"""A package."""\n\nANSWER = 43\n'),
        "record-mismatch",
    ),
    bad(
        "content that RECORD denies",
        WHEEL,
        _wheel_swapped("lock_demo/__init__.py", b"x = 1\n"),
        "record-mismatch",
    ),
    bad(
        "a member that RECORD does not list",
        WHEEL,
        _wheel_swapped("lock_demo/new.py", b"x = 1\n"),
        "record-missing",
    ),
    bad("a member that is gone, with its folder", WHEEL, _wheel_without_package(), "record-extra"),
    bad("no RECORD", WHEEL, _wheel_without("RECORD"), "wheel-structure"),
    bad("another name than its metadata", "other-1.0-py3-none-any.whl", make.wheel(), "wheel-identity"),
    bad(
        "another version than its metadata", "lock_demo-2.0-py3-none-any.whl", make.wheel(), "wheel-identity"
    ),
    bad("a ZIP archive that is named a wheel", WHEEL, make.zipped({"a.txt": b"x"}), "type-mismatch"),
    bad(
        "a foreign codec",
        WHEEL,
        _wheel_with("lock_demo/a.py", b"# coding: rot13\n"),
        "python-encoding",
        "python",
    ),
    bad("a codec on the second line", "a.py", b"\r# coding=utf_7\r", "python-encoding", "python"),
    # TAR and gzip
    bad("a tar name that climbs", "a.tar", make.tar({"../x": b"x"}), "tar-slip"),
    bad("an absolute tar name", "a.tar", make.tar({"/x": b"x"}), "tar-slip"),
    # Images in one archive
    bad(
        "a blob under another digest", "i.tar", make.saved_image({"a": b"x"}, renamed=True), "oci-blob-digest"
    ),
    *(
        bad(f"a removal called {name}", "i.tar", make.saved_image({name: b""}), "oci-whiteout-form")
        for name in (".wh.", "a/.wh..wh.plnk", ".wh..wh.aufs", "etc/.wh...")
    ),
    bad("a removal with content", "i.tar", make.saved_image({"a/.wh.b": b"x"}), "oci-whiteout-form"),
    bad(
        "an old layer's odd removal",
        "i.tar",
        make.tar({"1/layer.tar": make.tar({".wh.": b""})}),
        "oci-whiteout-form",
    ),
    bad("a layer that climbs", "i.tar", make.saved_image({"../x": b"x"}), "tar-slip"),
    bad(
        "a device in a layer",
        "i.tar",
        make.saved_image({"d": make.tar_entry("d", tarfile.CHRTYPE)}),
        "tar-device",
    ),
    bad("a pipe", "a.tar", make.tar({"x": make.tar_entry("x", tarfile.FIFOTYPE)}), "tar-device"),
    bad(
        "a tar link outside",
        "a.tar",
        make.tar({"x": make.tar_entry("x", tarfile.SYMTYPE, "../../y")}),
        "tar-link",
    ),
    bad(
        "a set-id bit in a tar",
        "a.tar",
        make.tar({"x": make.tar_entry("x", tarfile.REGTYPE, "", 0o4755)}),
        "tar-setuid",
    ),
    bad("bytes after a tar's end", "a.tar", make.tar({"a": b"x"})[:-1] + b"x", "tar-tail"),
    bad("bytes after gzip", "a.gz", make.gzipped(b"text") + b"tail", "gzip-tail"),
    bad("a gzip bomb", "a.gz", make.gzipped(bytes(32 << 20)), "over-limit"),
]
