"""The command line of the public TUF client conformance suite: delegations, hash bins, odd role names.

The scenarios are those that the suite's tests name.
"""

from datetime import timedelta
from urllib.parse import quote

import pytest
from securesystemslib.signer import CryptoSigner

from corpora.tufclient import FIRST, Client
from corpora.tufrepository import NOW, Repository

# Delegations


def published(repository: Repository, *edges: tuple[str, str, list[str] | None, bool]) -> None:
    for delegator, name, paths, terminating in edges:
        repository.delegate(delegator, name, paths, terminating=terminating)
    names = dict.fromkeys([n for edge in edges for n in (edge[1],)])
    repository.publish_all(*names, "targets")


ANY, PY = None, ["*.py"]


@pytest.mark.parametrize(
    ("edges", "order"),
    [
        ([("targets", "A", ANY, False)], "A"),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False)], "ABC"),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, False),
                ("C", "D", ANY, False),
            ],
            "ACDB",
        ),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, True),
                ("A", "D", ANY, False),
            ],
            "AC",
        ),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", ANY, True),
                ("C", "D", ANY, False),
            ],
            "ACD",
        ),
        ([("targets", "A", PY, False), ("targets", "B", ANY, False), ("A", "C", ANY, False)], "B"),
        (
            [
                ("targets", "A", ANY, False),
                ("targets", "B", ANY, False),
                ("A", "C", PY, False),
                ("C", "D", ANY, False),
            ],
            "AB",
        ),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False),
          ("C", "D", ANY, False), ("D", "B", ANY, False)], "ABCD"),
        ([("targets", "A", ANY, False), ("targets", "B", ANY, False), ("B", "C", ANY, False),
          ("A", "C", PY, False)], "ABC"),
    ],
)  # fmt: skip
def test_the_order_of_search(
    repository: Repository,
    client: Client,
    edges: list[tuple[str, str, list[str] | None, bool]],
    order: str,
) -> None:
    published(repository, *edges)
    client.init()
    assert client.download("missing") == 1
    assert [role for role, _ in repository.asked[4:]] == list(order)


def test_two_delegators_of_one_role_ask_for_it_once(repository: Repository, client: Client) -> None:
    signer = CryptoSigner.generate_ed25519()
    for delegator, name in (("targets", "A"), ("targets", "B"), ("B", "C"), ("A", "C")):
        repository.delegate(delegator, name, signer=signer)
    repository.keys["C"] = [signer]
    repository.publish_all("C", "A", "B", "targets")
    client.init()
    assert client.download("missing") == 1
    assert [role for role, _ in repository.asked[4:]] == ["A", "C", "B"]


def test_a_role_trusted_for_one_delegator_is_not_for_another(repository: Repository, client: Client) -> None:
    """A and B delegate to C with different keys; C is signed with the one that A names."""
    repository.delegate("targets", "A", ["a/*"])
    repository.delegate("targets", "B", ["b/*"])
    repository.delegate("A", "C", ["a/*"])
    signed_for_a = list(repository.keys["C"])
    repository.delegate("B", "C", ["b/*"])
    both, repository.keys["C"] = repository.keys["C"], signed_for_a
    repository.add_file("a/file", b"of a", "C")
    repository.add_file("b/file", b"of b", "C")
    repository.publish_all("C", "A", "B", "targets")
    client.init()
    assert client.download("a/file", "b/file") == 1
    assert client.files() == [b"of a"]
    assert client.download("b/file") == 1
    assert client.files() == [b"of a"]
    repository.keys["C"] = both
    repository.publish_all("C")
    assert client.download("a/file", "b/file") == 0
    assert client.files() == [b"of a", b"of b"]


def test_a_kept_role_is_verified_against_the_present_delegator(
    repository: Repository, client: Client
) -> None:
    """Its own file, version and place in the snapshot stay; only the delegator takes its key away."""
    published(repository, ("targets", "A", ANY, False))
    repository.add_file("first", b"1", "A")
    repository.add_file("second", b"2", "A")
    repository.publish_all("A")
    client.init()
    assert client.download("first") == 0
    old = repository.rotate("A", "targets")
    repository.publish_all("targets")
    assert client.download("second") == 1
    new, repository.keys["A"] = repository.keys["A"], [*repository.keys["A"], *old]
    repository.publish_all("A")
    assert client.download("second") == 0
    assert client.files() == [b"1", b"2"]
    assert len(new) == 1


def test_an_expired_delegated_role_names_nothing(repository: Repository, client: Client) -> None:
    repository.delegate("targets", "A")
    repository.targets("A").expires = NOW + timedelta(days=7)
    repository.add_file("first", b"1", "A")
    repository.add_file("second", b"2", "A")
    repository.publish_all("A", "targets")
    client.init()
    assert client.download("first") == 0
    client.now.append(NOW + timedelta(days=18))
    assert client.download("second") == 1
    repository.targets("A").expires = NOW + timedelta(days=21)
    repository.publish_all("A")
    assert client.download("second") == 0
    assert client.files() == [b"1", b"2"]


def test_a_role_that_the_snapshot_does_not_list_is_not_asked_for(
    repository: Repository, client: Client
) -> None:
    repository.delegate("targets", "A")
    repository.add_file("file", b"content", "A")
    repository.publish("A", "targets")
    del repository.snapshot.meta["A.json"]
    repository.publish("snapshot", "timestamp")
    client.init()
    assert client.refresh() == 0
    repository.asked.clear()
    assert client.download("file") == 1
    assert repository.asked == FIRST[:2]
    assert "A" not in client.roles()
    assert client.files() == []


@pytest.mark.parametrize(
    ("path", "order", "found"),
    [
        ("file", "", 1),
        ("README.md", "A", 1),
        ("releases/x/v1", "BC", 1),
        ("releases/y/v1.zip", "BD", 1),
        ("releases/z/v1.zip", "B", 0),
        ("releases/README.md", "", 0),
        ("README.MD", "", 0),
        ("foo-1.tgz", "A", 1),
        ("foo-10.tgz", "", 0),
    ],
)
def test_a_target_counts_only_where_it_was_delegated(
    repository: Repository, client: Client, path: str, order: str, found: int
) -> None:
    repository.delegate("targets", "A", ["*.doc", "*.md", "foo-?.tgz"])
    repository.delegate("targets", "B", ["releases/*/*"])
    repository.delegate("B", "C", ["releases/x/*"])
    repository.delegate("B", "D", ["releases/y/*.zip"])
    for role, name in (
        ("targets", "file"),
        ("A", "README.md"),
        ("A", "releases/README.md"),
        ("A", "README.MD"),
        ("A", "foo-1.tgz"),
        ("A", "foo-10.tgz"),
        ("C", "releases/x/v1"),
        ("D", "releases/y/v1.zip"),
        ("D", "releases/z/v1.zip"),
    ):
        repository.add_file(name, name.encode(), role)
    repository.publish_all("C", "D", "A", "B", "targets")
    client.init()
    assert client.download(path) == (0 if found else 1)
    assert client.files() == ([path.encode()] if found else [])
    assert [role for role, _ in repository.asked[4:]] == list(order)


def test_hash_prefixes(repository: Repository, client: Client) -> None:
    for name, prefixes in (("low", "01234567"), ("high", "89abcdef")):
        repository.delegate("targets", name, prefixes=list(prefixes))
    repository.add_file("x", b"of low", "low")  # SHA-256 of "x" begins with 2
    repository.add_file("y", b"of low, which is not asked", "low")  # of "y" with a
    repository.publish_all("low", "high", "targets")
    client.init()
    assert client.download("x") == 0
    assert client.download("y") == 1
    assert [role for role, _ in repository.asked[4:5]] == ["low"]


@pytest.mark.parametrize("bits", [1, 5, 9])
def test_hash_bins(repository: Repository, client: Client, bits: int) -> None:
    names = repository.bins("targets", bits, "bin")
    bins = repository.targets().delegations.succinct_roles
    role = bins.get_role_for_target("some/file")
    repository.add_file("some/file", b"content", role)
    repository.publish_all(*names, "targets")
    client.init()
    assert client.download("some/file") == 0
    assert repository.asked[4:] == [(role, 1)]
    assert client.download("other/file") == 1


@pytest.mark.parametrize("name", ["?", "#", "/role", "../role", "a b", ".", "..", "ü", "%2F", "A" * 500])
def test_odd_role_names_are_quoted_and_stay_in_the_folder(
    repository: Repository, client: Client, name: str
) -> None:
    published(repository, ("targets", name, ANY, False))
    client.init()
    before = set(client.home.iterdir()) | {client.metadata}
    assert client.download("missing") == 1
    assert repository.asked[4:] == [(quote(name, safe=""), 1)]
    assert len(list(client.metadata.iterdir())) == 5
    assert set(client.home.iterdir()) == before | {client.metadata}
    assert client.download("missing") == 1
    assert len(repository.asked) == 7


def test_a_search_ends_after_so_many_roles(repository: Repository, client: Client) -> None:
    chain = [("targets", "0"), *((str(n), str(n + 1)) for n in range(40))]
    published(repository, *((a, b, ANY, False) for a, b in chain))
    repository.add_file("deep", b"deep", "40")
    repository.add_file("near", b"near", "20")
    repository.publish_all("40", "20")
    client.init()
    assert client.download("near") == 0
    assert client.download("deep") == 1
    assert len(client.roles()) == 4 + 31
