"""Scripts that a Debian package runs at installation or removal: read from it, told when they are new."""

import gzip
import io
import lzma

import pytest
import zstandard

from corpora.debs import DebFile, pack_ar, pack_tar
from lockgate.collect.apt import scripts
from lockgate.collect.apt.scripts import NONE, UNREADABLE, maintainer_scripts
from lockgate.collect.difference import warnings

SCRIPTS = {"postinst": b"#!/bin/sh\n", "prerm": b"#!/bin/sh\n", "md5sums": b"", "triggers": b""}
CONTROL = gzip.decompress(pack_tar({"control": b"Package: leaf\n", **SCRIPTS}))


def told(data):
    return maintainer_scripts(io.BytesIO(data))


def package(name, control):
    return pack_ar({"debian-binary": b"2.0\n", name: control, "data.tar.gz": b"never looked at"})


def test_scripts_are_named_and_other_control_files_are_not():
    assert told(DebFile("leaf", "1", scripts=SCRIPTS).data) == "postinst prerm"
    assert told(DebFile("leaf", "1").data) == NONE


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("control.tar", CONTROL),
        ("control.tar.xz", lzma.compress(CONTROL)),
        ("control.tar.zst", zstandard.compress(CONTROL)),
    ],
)
def test_each_way_of_packing_is_read(name, packed):
    assert told(package(name, packed)) == "postinst prerm"


BAD = {
    "nothing": b"",
    "no archive": b"PK" + bytes(100),
    "one member": pack_ar({"debian-binary": b"2.0\n"}),
    "cut off": package("control.tar.gz", gzip.compress(CONTROL))[:150],
    "cut off inside": package("control.tar.gz", gzip.compress(CONTROL)[:-40]),
    "packed otherwise": package("control.tar.lzo", CONTROL),
    "no xz": package("control.tar.xz", b"not packed"),
    "no zstd": package("control.tar.zst", b"not packed"),
    "a length that is none": b"!<arch>\n" + b"debian-binary   0           0     0     100644  -1        `\n",
    "a length that is a lie": b"!<arch>\n" + b"debian-binary   0           0     0     100644  9999999999`\n",
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_what_cannot_be_read_is_told_as_that(name):
    assert told(BAD[name]) == UNREADABLE


def test_bombs_and_crowds_are_not_unpacked(monkeypatch):
    monkeypatch.setattr(scripts, "CONTROL_LIMIT", 100_000)
    for name, packed in (
        ("control.tar.gz", gzip.compress(bytes(1 << 20))),
        ("control.tar.xz", lzma.compress(bytes(1 << 20))),
        ("control.tar.zst", zstandard.compress(bytes(1 << 20))),
    ):
        assert told(package(name, packed)) == UNREADABLE
    monkeypatch.setattr(scripts, "MEMBERS_LIMIT", 3)
    assert told(package("control.tar", CONTROL)) == UNREADABLE


def test_new_scripts_are_told_where_it_is_known_what_was_before():
    before, now = {"scripts": "postinst"}, {"scripts": "postinst prerm"}
    assert warnings([before], [now]) == ("new script at installation or removal: prerm",)
    assert warnings([{"scripts": NONE}], [before]) == ("new script at installation or removal: postinst",)
    assert warnings([now], [before]) == ()
    assert warnings([{}], [now]) == ()  # a lock of a time when nobody looked
    assert warnings([before], [{}]) == ()  # before it is fetched
    assert warnings([{"scripts": NONE}], [{"scripts": UNREADABLE}]) != ()
