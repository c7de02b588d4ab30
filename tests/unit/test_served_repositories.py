"""What apt and dnf are told of a channel: repositories, and the keys that were admitted with them."""

import pytest

from corpora.debs import suite
from corpora.lanekey import LaneKey
from corpora.mirrorsite import MirrorSite
from lockgate.app.high import repositories
from lockgate.core.rpm import REPOSITORY_FORMAT, RpmRepository
from lockgate.mirror import DnfSource


@pytest.fixture
def site(tmp_path, monkeypatch):
    """Return a site whose channel stands for the one of a high side."""
    made = MirrorSite(tmp_path)

    def reader(*_, **__):
        return made.view()._verifier

    def signed(_, statement, snapshot):
        return LaneKey.at(made.root / "repository.key").signed(made.blobs)(statement, snapshot)

    monkeypatch.setattr(repositories, "channel_reader", reader)
    monkeypatch.setattr(repositories, "signed_repositories", signed)
    monkeypatch.setattr(repositories, "blobs_of", lambda _: made.blobs)
    return made


def about(channel, architecture="x86_64"):
    return RpmRepository(
        format=REPOSITORY_FORMAT, repository="rocky", channel=channel, architecture=architecture
    )


def test_dnf_is_told_each_repository_once_with_the_keys_admitted_last(site):
    site.add_suite(suite())
    site.add_rpm_repository(about("baseos"), "first keys")
    site.add_rpm_repository(about("baseos", "aarch64"), "first keys")
    site.add_rpm_repository(about("appstream"), "old keys")
    site.publish()
    found = repositories.served_to_dnf(None)
    assert found.sources == (
        DnfSource("rocky", "appstream", "old keys"),
        DnfSource("rocky", "baseos", "first keys"),
    )
    assert found.certificate == LaneKey.at(site.root / "repository.key").certificate
    site.add_rpm_repository(about("appstream"), "new keys", crossing=2)
    site.publish()
    assert repositories.served_to_dnf(None).sources[0].keys == "new keys"
    assert [s.suites for s in repositories.served_to_apt(None).sources] == [("bookworm",)]


def test_a_client_without_a_repository_is_told_nothing(site):
    site.add_suite(suite())
    site.publish()
    assert repositories.served_to_dnf(None) is None
    site.entries.clear()
    site.add_rpm_repository(about("baseos"), "keys")
    site.publish()
    assert repositories.served_to_apt(None) is None
