"""The channel port: the same for the double that checks nothing and for the real reader."""

from datetime import timedelta

import pytest

from corpora.gates import World
from corpora.mirrorsite import START, MirrorSite, UnsignedChannel, ask, statement_for
from corpora.wheels import build_wheel
from lockgate.approve import ChannelReader, request
from lockgate.core.errors import LockgateError
from lockgate.core.wire import encode
from lockgate.mirror import SignedChannel, SignedView, build_app


class Published:
    """A site whose channel file is written as one verifier or the other wants it."""

    def __init__(self, root, *, signed):
        self.site, self.world, self.signed = MirrorSite(root), World(), signed
        self.site.add_wheels("box", "1", build_wheel("box", "1"))
        self.version = 0

    def verifier(self):
        if not self.signed:
            return UnsignedChannel(self.site.channel, self.site.blobs)
        floor = self.site.root / "floor"
        reader = ChannelReader(self.world.site, "stable", self.site.channel, self.site.blobs, floor)
        return SignedChannel(reader, self.site.channel)

    def envelope(self, *approvers):
        self.version += 1
        snapshot = self.site.snapshot()
        self.site.blobs.put_bytes(encode(snapshot))
        statement = statement_for(snapshot, self.version)
        if not self.signed:
            return encode(statement)
        asked = request(statement, self.world.operator, self.world.site, START)
        return self.world.signed(asked, *approvers)

    def publish(self):
        self.site.write_channel(self.envelope("ap-1", "ap-2"))


@pytest.fixture(params=["double", "signed"])
def published(tmp_path, request):
    return Published(tmp_path, signed=request.param == "signed")


@pytest.fixture
def signed(tmp_path):
    return Published(tmp_path, signed=True)


def test_without_a_channel_there_is_an_error_and_a_steady_token(published):
    verifier = published.verifier()
    assert verifier.token() == verifier.token()
    with pytest.raises(LockgateError):
        verifier.current()


def test_the_current_channel_is_what_was_published(published):
    verifier = published.verifier()
    tokens = {verifier.token()}
    for version in (1, 2, 3):
        published.site.add_wheels("box", f"{version}.1", build_wheel("box", f"{version}.1"))
        published.publish()
        tokens.add(verifier.token())
        channel = verifier.current()
        assert channel.statement.channel_version == version
        assert channel.snapshot == published.site.snapshot()
    assert len(tokens) == 4


def test_garbage_is_an_error(published):
    published.publish()
    verifier = published.verifier()
    verifier.current()
    published.site.write_channel(b"{}")
    with pytest.raises(LockgateError):
        verifier.current()


def test_a_view_over_it_serves(published):
    published.publish()
    app = build_app(SignedView(published.verifier(), lambda: 0.0), published.site.blobs, lambda: START)
    assert ask(app, "/simple/box/").status == 200
    app.state.site.blobs.close()


@pytest.mark.parametrize("approvers", [(), ("ap-1",), ("ap-1", "ap-1")])
def test_the_server_serves_nothing_that_too_few_people_signed(signed, approvers):
    signed.site.write_channel(signed.envelope(*approvers) if approvers else b"")
    if not approvers:
        statement = statement_for(signed.site.snapshot(), 1)
        signed.site.write_channel(request(statement, signed.world.operator, signed.world.site, START))
    app = build_app(SignedView(signed.verifier(), lambda: 0.0), signed.site.blobs, lambda: START)
    answer = ask(app, "/simple/box/")
    assert answer.status == 503
    assert b"box" not in answer.body
    app.state.site.blobs.close()


def test_the_server_goes_on_with_what_was_signed_when_an_unsigned_statement_comes(signed):
    signed.publish()
    app = build_app(SignedView(signed.verifier(), lambda: 0.0), signed.site.blobs, lambda: START)
    assert ask(app, "/simple/box/").status == 200
    signed.site.add_wheels("evil", "1", build_wheel("evil", "1"))
    signed.site.write_channel(signed.envelope("ap-1"))
    assert ask(app, "/simple/evil/").status == 404
    assert ask(app, "/simple/box/").status == 200
    assert b"degraded" in ask(app, "/healthz").body
    signed.publish()
    assert ask(app, "/simple/evil/").status == 200
    app.state.site.blobs.close()


def test_a_restarted_server_does_not_go_back_to_an_older_statement(signed):
    signed.publish()
    old = signed.site.channel.read_bytes()
    signed.publish()
    signed.verifier().current()
    signed.site.write_channel(old)
    view = SignedView(signed.verifier(), lambda: 0.0)
    assert not view.refresh()
    assert "older" in view.status.refused.what


def test_an_expired_statement_is_served_on(signed):
    """Expiry stops admission, never serving."""
    signed.publish()
    view = SignedView(signed.verifier(), lambda: 0.0)
    app = build_app(view, signed.site.blobs, lambda: START + timedelta(days=3000))
    assert ask(app, "/simple/box/").status == 200
    app.state.site.blobs.close()
