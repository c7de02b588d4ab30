"""Wheels whose headers and RECORD are of the plain form: read by one look, as the long way reads them."""

import random
from unittest import mock

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from corpora.inspection_case import inspected
from corpora.inspection_content import wheel, wheel_members, zipped
from lockgate.inspect.inspectors import wheels, zip_walk
from lockgate.inspect.malware import GLOBALS, Scanner

MANY = settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck))
INFO = "lock_demo-1.0.dist-info"
RECORD = f"{INFO}/RECORD"
ROWS = (
    b"", b"lock_demo/a.py,,", b"lock_demo/a.py,sha256=AAAA,1", b'"lock_demo/b,c.py",,', b"a,b", b",,", b"\r",
    b"\0", b"\xff,,", b"a,b,c,d", b'"', f"{INFO}/RECORD.jws,,".encode(), f"{RECORD},,".encode(), b"\r\n",
)  # fmt: skip
NAMES = (
    "lock_demo/a.py", "lock_demo/b,c.py", 'lock_demo/"d".py', "lock_demo/\u00e9.py", "lock_demo/e f.py",
    "lock_demo/g\nh.py", "lock_demo/i\r.py", f"{INFO}/RECORD.jws", "lock_demo/",
)  # fmt: skip


def verdict(data: bytes):
    return inspected(data, "lock_demo-1.0-py3-none-any.whl", "python")


def the_long_way(data: bytes):
    with (
        mock.patch.object(wheels, "_recorded", return_value=False),
        mock.patch.object(zip_walk, "_same", return_value=None),
    ):
        return verdict(data)


@MANY
@given(
    st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=8), max_size=4),
    st.lists(st.tuples(st.integers(0, 9), st.sampled_from(ROWS), st.booleans()), max_size=2),
    st.sampled_from(["", "\n"]),
)
@example({"lock_demo/b,c.py": b""}, [], "\n")
@example({}, [(9, b"", False)], "")
def test_a_record_is_read_as_the_long_way_reads_it(more, changes, ended) -> None:
    members = wheel_members(more)
    rows = members[RECORD].removesuffix(b"\n").split(b"\n")
    for at, row, instead in changes:
        rows[at : at + instead] = [row]
    members[RECORD] = b"\n".join(rows) + ended.encode()
    data = zipped(members)
    assert verdict(data) == the_long_way(data)


@MANY
@given(st.integers(0, 1 << 32), st.integers(1, 3))
def test_headers_are_read_as_the_long_way_reads_them(seed, changes) -> None:
    data = bytearray(wheel())
    drawn = random.Random(seed)  # noqa: S311  # which bytes are changed, no secret
    places = [at for at in range(len(data)) if data[at : at + 4] in (b"PK\x03\x04", b"PK\x01\x02")]
    for _ in range(changes):
        at = drawn.choice(places) + drawn.randrange(46)
        data[at] = drawn.choice((0, 1, 8, 0xFF, data[at] ^ 1, drawn.randrange(256)))
    assert verdict(bytes(data)) == the_long_way(bytes(data))


def test_a_plain_wheel_is_told_at_once() -> None:
    compared, looked = mock.Mock(), mock.Mock()
    with mock.patch.object(wheels, "_compare", compared), mock.patch.object(zip_walk, "_local", looked):
        assert verdict(wheel({"lock_demo/a.py": b"A = 1\n"})).complete
    compared.assert_not_called()
    looked.assert_not_called()


def test_a_row_that_claims_another_digest_is_compared() -> None:
    members = wheel_members()
    members[RECORD] = members[RECORD].replace(b"sha256=", b"sha256=_", 1)
    said = verdict(zipped(members))
    assert [found.code for found in said.findings] == ["record-mismatch", "wheel-entry-points"]


def test_rules_are_told_that_a_name_is_none_they_know_only_where_they_were_told_another() -> None:
    made = mock.Mock()
    scanner = Scanner(made, {name: frozenset({"setup.py"}) for name in GLOBALS}, dict.fromkeys(GLOBALS))
    scanner.unnamed(b"a")
    assert made.set_global.call_count == len(GLOBALS)
    scanner.unnamed(b"b")
    assert made.set_global.call_count == len(GLOBALS)
    scanner.scan(b"c", dict.fromkeys(GLOBALS, "setup.py"))
    made.set_global.reset_mock()
    scanner.unnamed(b"d")
    assert {call.args for call in made.set_global.call_args_list} == set(scanner.nothing.items())
    assert scanner.told == scanner.nothing
