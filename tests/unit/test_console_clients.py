"""The console's page of client configuration: every client's own files, and only this mirror in them."""

import html
import re

import pytest
from test_console_pages import ask

from console_double import CLIENTS, Fixed
from corpora.homes import HighSide
from lockgate.app.high import clients as told
from lockgate.app.high.clients import client_configs
from lockgate.app.high.console import Readings
from lockgate.app.settings import load_settings
from lockgate.console.home import HomeData
from lockgate.console.pages import build_app
from lockgate.console.shell import POLICY
from lockgate.mirror import APT, DNF, AptSource, AptSuites, clients


@pytest.fixture
def high(tmp_path):
    return HighSide.new(tmp_path)


def test_each_client_has_its_files_variables_and_notes_to_copy():
    page = ask(build_app(Fixed()), "/clients")
    assert page.status == 200
    assert page.headers["content-security-policy"] == POLICY
    shown = [html.unescape(text) for text in re.findall(r"<pre[^>]*>(.*?)</pre>", page.text, re.DOTALL)]
    for client in CLIENTS:
        assert f'<h2 id="{client.client}">' in page.text
        assert {file.text for file in client.files} <= set(shown)
        assert all(html.escape(note) in page.text for note in client.notes)
        for name, value in client.environment:
            assert any(f"export {name}={value}\n" in text for text in shown)
    assert page.text.count("<h1") == 1
    assert 'href="/clients"' in ask(build_app(Fixed()), "/catalogue").text


def test_what_nothing_is_served_to_is_left_out(high, monkeypatch):
    names = [each.client for each in client_configs(high.side, published=False)]
    assert names == [name for name in clients() if name not in {APT, DNF}]
    suites = AptSuites("a key", "AB12", (AptSource("debian", ("bookworm",), ("main",), sources=False),))
    monkeypatch.setattr(told, "served_to_apt", lambda _: suites)
    monkeypatch.setattr(told, "served_to_dnf", lambda _: None)
    names = [each.client for each in client_configs(high.side, published=True)]
    assert names == [name for name in clients() if name != DNF]


@pytest.mark.parametrize("access", ["open", "labels"])
def test_a_word_stands_in_the_place_of_a_key_where_one_is_wanted(high, access):
    config = high.side.home.config
    config.write_text(config.read_text() + f'\n[serve]\nmirror_access = "{access}"\n')
    pip = client_configs(load_settings(high.side.home.root), published=False)[0]
    assert ("YOUR-API-KEY" in pip.files[0].text) == (access == "labels")


def test_the_console_reads_it_anew_when_the_channel_moves(high):
    data = HomeData(Readings(high.side))
    before = data.clients()
    assert data.clients() is before
    high.publish(1, "one")
    after = data.clients()
    assert after is not before
    assert after == before  # neither a repository for apt nor one for dnf
    assert data.clients() is after
