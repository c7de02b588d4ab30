"""The chat page in Chromium, over a real gateway: by keyboard, streamed, stopped, its sources opened."""

import asyncio
import threading
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field

import pytest
from playwright.sync_api import Browser, Page, expect

from infer_doubles import (
    NOW,
    Counting,
    HandbookKnowledge,
    MemoryLedger,
    MemorySource,
    ScriptedEngine,
    make_key,
)
from lockgate.infer import EngineRequest, GatewayConfig, MemoryKeys, MemoryReceipts, Parts, serve_until
from lockgate.infer.engines.ports import Piece

HOSTILE = '<img src=x onerror="window.owned=1"><script>window.owned=1</script> [9] http://192.0.2.9/x'


class Held(ScriptedEngine):
    """Says one word, then waits until the test lets it go on; counts answers that were cut off."""

    def __init__(self) -> None:
        super().__init__(("Hello", " there."))
        self.hold = False
        self.cut = 0

    async def chat(self, request: EngineRequest) -> AsyncGenerator[Piece, None]:
        if not self.hold:
            async for piece in super().chat(request):
                yield piece
            return
        yield Piece(text="First")
        try:
            await asyncio.Event().wait()
        finally:
            self.cut += 1


@dataclass
class Site:
    """A gateway in a thread of its own."""

    url: str = ""
    secret: str = ""
    engine: Held = field(default_factory=Held)


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    made, ready = Site(), threading.Event()
    entropy = Counting()
    made.secret, key = make_key(entropy)
    parts = Parts(
        source=MemorySource(),
        engines={"small": made.engine},
        knowledge={"handbook": HandbookKnowledge()},
        keys=MemoryKeys(key),
        ledger=MemoryLedger(),
        receipts=MemoryReceipts(),
        clock=lambda: NOW,
        entropy=entropy,
        sources="http://127.0.0.1:8710/",
    )
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    def told(url: str) -> None:
        made.url = url
        ready.set()

    thread = threading.Thread(
        target=loop.run_until_complete, args=(serve_until(GatewayConfig(port=0), parts, stop, told),)
    )
    thread.start()
    assert ready.wait(120)
    yield made
    loop.call_soon_threadsafe(stop.set)
    thread.join(120)
    loop.close()


class Reader:
    """A browser whose every complaint and every request is kept."""

    def __init__(self, browser: Browser, site: Site, scheme: str = "light") -> None:
        self.context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]  # a parameter
        self.page: Page = self.context.new_page()
        self.trouble: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.trouble.append(message.text))
        self.page.on("pageerror", lambda error: self.trouble.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(f"{site.url}/chat")

    def enter(self, secret: str) -> None:
        self.page.get_by_label("API key").fill(secret)
        self.page.keyboard.press("Enter")

    def ask(self, text: str) -> None:
        box = self.page.get_by_label("Question")
        box.fill(text)
        box.press("Enter")


@pytest.fixture
def reader(browser: Browser, site: Site) -> Iterator[Reader]:
    made = Reader(browser, site)
    made.enter(site.secret)
    expect(made.page.get_by_label("Question")).to_be_focused()
    yield made
    made.context.close()


def test_a_wrong_key_is_told_and_nothing_opens(browser: Browser, site: Site) -> None:
    reader = Reader(browser, site)
    reader.enter("lg-000000000000-" + "x" * 43)
    expect(reader.page.get_by_role("alert")).to_contain_text("LG-")
    expect(reader.page.get_by_label("Question")).to_be_hidden()
    assert reader.page.evaluate("sessionStorage.length") == 0
    reader.context.close()


def test_models_and_documents_are_offered_by_label(reader: Reader) -> None:
    groups = reader.page.locator("#model optgroup")
    assert [groups.nth(n).get_attribute("label") for n in range(groups.count())] == ["internal"]
    assert reader.page.locator("#model option").all_inner_texts() == ["small"]
    assert reader.page.locator("#knowledge option").all_inner_texts() == ["none", "handbook"]


def test_a_question_by_keyboard_and_its_answer_in_a_talk(reader: Reader, site: Site) -> None:
    reader.page.get_by_label("Documents").select_option("none")
    reader.ask("Hi")
    answer = reader.page.locator("article").nth(1)
    expect(answer.locator(".said")).to_have_text("Hello there.")
    expect(answer.locator(".note")).to_contain_text("Receipt ")
    reader.ask("And again")
    expect(reader.page.locator("article")).to_have_count(4)
    expect(reader.page.locator("article").nth(3).locator(".note")).to_contain_text("Receipt ")
    talk = [(m.role, m.text) for m in site.engine.asked[-1].messages]
    assert talk[-3:] == [("user", "Hi"), ("assistant", "Hello there."), ("user", "And again")]
    reader.page.keyboard.press("Alt+n")
    expect(reader.page.locator("article")).to_have_count(0)
    reader.ask("Fresh")
    expect(reader.page.locator("article").nth(1).locator(".note")).to_contain_text("Receipt ")
    assert [m.text for m in site.engine.asked[-1].messages if m.role == "user"] == ["Fresh"]
    assert reader.trouble == []


def test_a_line_break_does_not_send(reader: Reader) -> None:
    box = reader.page.get_by_label("Question")
    box.fill("One")
    box.press("Shift+Enter")
    box.press_sequentially("two")
    assert box.input_value() == "One\ntwo"
    expect(reader.page.locator("article")).to_have_count(0)


@pytest.mark.parametrize("how", ["Escape", "button"])
def test_stopping_cuts_the_engine_off(reader: Reader, site: Site, how: str) -> None:
    site.engine.hold, before = True, site.engine.cut
    try:
        reader.page.get_by_label("Documents").select_option("none")
        reader.ask("Never end")
        answer = reader.page.locator("article").nth(1)
        expect(answer.locator(".said")).to_have_text("First")
        if how == "button":
            reader.page.get_by_role("button", name="Stop").click()
        else:
            reader.page.keyboard.press("Escape")
        expect(answer.locator(".note")).to_have_text("Stopped.")
        reader.page.wait_for_function("document.activeElement.id === 'words'")
        for _ in range(600):
            if site.engine.cut > before:
                break
            reader.page.wait_for_timeout(100)
        assert site.engine.cut == before + 1
    finally:
        site.engine.hold = False


def test_sources_open_with_quote_and_document(reader: Reader, site: Site) -> None:
    site.engine.words = ("Generator two starts", " within nine seconds.")
    try:
        reader.ask("How fast is the generator?")
        cites = reader.page.locator(".cites button")
        expect(cites).not_to_have_count(0)
        cites.first.click()
        dialog = reader.page.get_by_role("dialog")
        expect(dialog).to_be_visible()
        expect(dialog.locator("blockquote")).to_have_text("Generator two starts within nine seconds.")
        link = dialog.get_by_role("link", name="Open the document").get_attribute("href")
        assert link is not None
        assert link.startswith("http://127.0.0.1:8710/files/")
        reader.page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()
    finally:
        site.engine.words = ("Hello", " there.")


def test_what_a_model_says_is_never_markup(reader: Reader, site: Site) -> None:
    site.engine.words = (HOSTILE[:20], HOSTILE[20:])
    try:
        reader.page.get_by_label("Documents").select_option("none")
        reader.ask("<b>bold</b>")
        expect(reader.page.locator("article").nth(1).locator(".note")).to_contain_text("Receipt ")
        assert reader.page.locator("article").first.locator(".said").inner_text() == "<b>bold</b>"
        assert reader.page.locator("article img, article script, article b, article a").count() == 0
        assert reader.page.evaluate("window.owned") is None
        assert {url.split("/")[2] for url in reader.asked if url.startswith("http")} == {
            site.url.split("/")[2]
        }
    finally:
        site.engine.words = ("Hello", " there.")


def test_the_key_lives_as_long_as_the_tab(reader: Reader, site: Site) -> None:
    reader.page.reload()
    expect(reader.page.get_by_label("Question")).to_be_focused()
    other = reader.context.new_page()
    other.goto(f"{site.url}/chat")
    expect(other.get_by_label("API key")).to_be_visible()
    reader.page.get_by_role("button", name="Forget the key").click()
    expect(reader.page.get_by_label("API key")).to_be_visible()
    assert reader.page.evaluate("sessionStorage.length") == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_colour_schemes_are_readable(browser: Browser, site: Site, scheme: str) -> None:
    reader = Reader(browser, site, scheme)
    colour = "(e) => getComputedStyle(document.body)[e].match(/\\d+/g).slice(0, 3).map(Number)"
    paper, ink = (sum(reader.page.evaluate(colour, which)) for which in ("backgroundColor", "color"))
    assert (paper > ink) == (scheme == "light")
    assert abs(paper - ink) > 450
    reader.page.set_viewport_size({"width": 320, "height": 640})
    assert reader.page.evaluate("document.documentElement.scrollWidth") <= 320
    reader.context.close()


def test_the_page_is_bound_to_its_own_origin(reader: Reader, site: Site) -> None:
    policy = reader.page.request.get(f"{site.url}/chat").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    for path in ("/chat/../gateway.py", "/chat/chat.html", "/chat/__init__.py"):
        assert reader.page.request.get(f"{site.url}{path}").status == 404
