"""Whatever bytes come from outside, the answer is a value or one of our own errors."""

import json
from contextlib import suppress

from hypothesis import example, given, settings
from hypothesis import strategies as st

from collect_doubles import make_artifact, make_lock
from lockgate.collect import State, compare, parse_manifest
from lockgate.collect.documents import title_of
from lockgate.collect.errors import DuplicateNameError, ManifestError
from lockgate.collect.pip import read_config
from lockgate.collect.runner import blame
from lockgate.collect.simple import SIMPLE_JSON, PageError, read_page
from lockgate.core.errors import LockgateError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)


@given(st.binary(max_size=300) | st.text(max_size=300).map(lambda t: t.encode("utf-8", "replace")))
@example(b"[[python]]\nrequirements = ['a @ https://[']")
@example(b"[[file]]\nname='a'\nurl='https://['\nsha256='" + b"a" * 64 + b"'")
def test_any_manifest_is_read_or_refused(data: bytes) -> None:
    with suppress(ManifestError, DuplicateNameError):
        parse_manifest(data)


@given(JSON, JSON, JSON)
def test_any_page_is_read_or_refused(size: object, provenance: object, yanked: object) -> None:
    entry = {
        "filename": "a.whl",
        "hashes": {"sha256": "0"},
        "size": size,
        "provenance": provenance,
        "yanked": yanked,
    }
    data = json.dumps({"meta": {"api-version": "1.1"}, "files": [entry]}).encode()
    try:
        (listed,) = read_page(SIMPLE_JSON, data, "https://index.invalid/a/").values()
    except PageError:
        return
    assert listed.provenance is None or listed.provenance.startswith("https://index.invalid/")


@given(st.text(max_size=300), st.text(max_size=200))
def test_no_password_survives_a_clients_last_words(words: str, secret: str) -> None:
    told = blame(f"ERROR: at https://user:pAss-w0rd@host/{words}\n{secret}", 1)
    assert isinstance(told, LockgateError)
    assert "pAss-w0rd" not in str(told)


@given(st.text(max_size=400))
def test_any_settings_text_is_read(text: str) -> None:
    assert all(isinstance(v, str) for v in read_config(text).values())


@given(st.sampled_from(["a.md", "a.html", "a.pdf", "07-.md", "deep/x.txt"]), st.binary(max_size=400))
def test_a_title_is_printable_bounded_and_never_empty(path: str, data: bytes) -> None:
    title = title_of(path, data)
    assert 0 < len(title) <= 200
    assert title.isprintable()


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from("abcde"), st.tuples(st.sampled_from("123"), st.binary(max_size=4))))
def test_a_lock_compared_with_itself_and_with_nothing(content: dict[str, tuple[str, bytes]]) -> None:
    lock = make_lock(*(make_artifact(n, v, d) for n, (v, d) in sorted(content.items())))
    assert {c.state for c in compare(lock, lock).changes} <= {State.SAME}
    assert compare(lock, lock).fresh == 0
    assert {c.state for c in compare(None, lock).changes} <= {State.NEW}
    assert {c.state for c in compare(lock, make_lock()).changes} <= {State.GONE}
