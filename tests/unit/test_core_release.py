from datetime import UTC, datetime

import msgspec
import pytest

from lockgate.core.release import (
    FILES_LIMIT,
    RELEASE_FORMAT,
    Active,
    Installation,
    Pinned,
    Release,
    ReleaseFile,
    ReleaseRefusedError,
    Standing,
    activated,
    demand_form,
    demand_newer,
    reverted,
    standing,
)
from lockgate.core.statement import NOTHING

NOW = datetime(2026, 5, 1, tzinfo=UTC)
KIT = Active(
    version="0.1.0",
    release_sha256=NOTHING,
    slot="/opt/lockgate",
    statement_sha256=NOTHING,
    since=NOW,
    highest="0.1.0",
    highest_sha256=NOTHING,
)


def file(name: str) -> ReleaseFile:
    return ReleaseFile(name=f"{name}-1-py3-none-any.whl", sha256="a" * 64, size=1)


RELEASE = Release(
    format=RELEASE_FORMAT,
    version="0.2.0",
    python="3.11",
    created=NOW,
    files=(file("lockgate"),),
    packages=(Pinned(name="lockgate", version="0.2.0"), Pinned(name="pip", version="25")),
)


def test_a_release_in_order_is_read() -> None:
    demand_form(RELEASE, "3.11")


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"format": "lockgate-release/2"}, "this version does not read"),
        ({"python": "3.12"}, "runs on Python 3.12"),
        ({"files": ()}, "brings 1 to"),
        ({"files": tuple(file(f"a{n:04}") for n in range(FILES_LIMIT + 1))}, "brings 1 to"),
        ({"files": (file("b"), file("a"))}, "out of order"),
        ({"files": (file("a"), file("a"))}, "twice"),
        ({"packages": RELEASE.packages[::-1]}, "out of order"),
        ({"optional": (Pinned(name="pip", version="25"),)}, "twice"),
        ({"packages": RELEASE.packages[1:]}, "does not run with lockgate 0.2.0"),
        ({"version": "0.2.1"}, "does not run with lockgate 0.2.1"),
    ],
)
def test_a_release_that_contradicts_itself_is_refused(changes, why: str) -> None:
    with pytest.raises(ReleaseRefusedError, match=why):
        demand_form(msgspec.structs.replace(RELEASE, **changes), "3.11")


def test_a_version_that_is_none_is_refused() -> None:
    packages = (Pinned(name="lockgate", version="0.2.0...x"),)
    odd = msgspec.structs.replace(RELEASE, version="0.2.0...x", packages=packages)
    with pytest.raises(ReleaseRefusedError, match="is no version"):
        demand_form(odd, "3.11")


def test_versions_are_compared_as_versions_and_not_as_text() -> None:
    ten = activated(KIT, Installation(version="0.10.0", release_sha256="a" * 64, slot="s"), "b" * 64, NOW)
    assert standing("0.9.9", "c" * 64, ten) is Standing.OLDER
    assert standing("0.10.1rc1", "c" * 64, ten) is Standing.NEWER
    assert standing("0.10.0rc1", "c" * 64, ten) is Standing.OLDER
    assert standing("0.10.0", "a" * 64, ten) is Standing.ACTIVE


def test_going_back_leads_one_step_and_never_lowers_the_highest() -> None:
    two = activated(KIT, Installation(version="0.2.0", release_sha256="2" * 64, slot="two"), "b" * 64, NOW)
    three = activated(
        two, Installation(version="0.3.0", release_sha256="3" * 64, slot="three"), "c" * 64, NOW
    )
    back = reverted(three, "d" * 64, NOW)
    assert (back.version, back.slot, back.highest, back.previous) == ("0.2.0", "two", "0.3.0", None)
    with pytest.raises(ReleaseRefusedError, match="no release to go back to"):
        reverted(back, "e" * 64, NOW)
    # The highest may come back; another release under its number, or anything below it, may not.
    demand_newer("0.3.0", "3" * 64, back)
    with pytest.raises(ReleaseRefusedError, match=r"Another release with the version 0\.3\.0"):
        demand_newer("0.3.0", "4" * 64, back)
    with pytest.raises(ReleaseRefusedError, match="is older"):
        demand_newer("0.2.5", "5" * 64, back)
    with pytest.raises(ReleaseRefusedError, match="is active"):
        demand_newer("0.2.0", "2" * 64, back)
    kit = reverted(two, "f" * 64, NOW)
    assert (kit.release_sha256, kit.slot) == (NOTHING, "/opt/lockgate")
