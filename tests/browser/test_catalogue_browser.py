"""The page of what is served, searched in a real browser by pointer and keyboard, in both colour schemes."""

import pytest
from playwright.sync_api import Browser
from test_artifact_browser import console  # noqa: F401  # a fixture
from test_console_browser import SCHEMES, WIDTHS, Watched, follow

from console_double import TRACED


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_what_is_served_is_searched_and_turned_over(
    browser: Browser,
    console: str,  # noqa: F811  # the fixture
    scheme: str,
    width: int,
) -> None:
    watched = Watched(browser, scheme, width)
    page = watched.page
    page.goto(console)
    follow(page, "what is served")
    assert page.get_by_role("heading", level=1).inner_text() == "What is served, and who uses it"
    assert page.get_by_text("121 artifacts").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"catalogue-{scheme}-{width}")
    follow(page, "next")
    assert page.get_by_text("page 2 of 2").is_visible()
    page.get_by_label("Advisory").fill("GHSA-AAAA")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Search").click()
    assert page.get_by_text("1 artifact,").is_visible()
    assert page.get_by_role("link", name="pkg:pypi/old@1.0").is_visible()
    assert page.get_by_text("approved by ada, ben").is_visible()
    assert page.get_by_text("analysts").is_visible()
    assert page.get_by_label("Advisory").input_value() == "GHSA-AAAA"
    assert watched.wider_than_screen() == 0
    watched.shoot(f"catalogue-found-{scheme}-{width}")
    follow(page, "everything")
    page.get_by_label("Asked for or approved by").fill("cem")
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    assert page.get_by_text("made inside").is_visible()
    assert page.get_by_text("submission 900001").is_visible()
    assert watched.wider_than_screen() == 0
    watched.shoot(f"catalogue-inside-{scheme}-{width}")
    page.get_by_label("Asked for or approved by").fill("")
    page.get_by_label("never downloaded").check()
    page.get_by_label("Kind").select_option("npm")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Search").click()
    assert page.get_by_text("<script>alert(1)</script>").is_visible()
    assert page.get_by_text("not known by whom").is_visible()
    page.get_by_label("Name or package URL").fill("no such thing")
    with page.expect_navigation(wait_until="load"):
        page.get_by_role("button", name="Search").click()
    assert page.get_by_text("Nothing that is served is like that.").is_visible()
    assert watched.trouble == []
    assert {url.split("/")[2] for url in watched.asked} == {console.split("/")[2]}


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_who_let_something_in_is_asked_by_keyboard_and_the_proof_is_saved(
    browser: Browser,
    console: str,  # noqa: F811  # the fixture
    scheme: str,
    width: int,
) -> None:
    watched = Watched(browser, scheme, width)
    page = watched.page
    page.goto(console)
    follow(page, "who let this in")
    page.get_by_label("A name, a package URL").fill("a/b")
    with page.expect_navigation(wait_until="load"):
        page.keyboard.press("Enter")
    assert page.get_by_role("heading", level=2).first.inner_text() == "ada and ben let it in; olga had asked"
    assert page.get_by_label("A name, a package URL").input_value() == "a/b"
    assert watched.wider_than_screen() == 0
    watched.shoot(f"who-{scheme}-{width}")
    assert watched.trouble == []  # before anything is saved: a browser ends that page's loading itself
    with page.expect_download() as saved:
        page.get_by_role("link", name="Save the proof").press("Enter")
    assert saved.value.path().read_bytes() == TRACED.proof
    assert saved.value.suggested_filename == f"{TRACED.let_in.sha256[:12]}.proof.json"


@pytest.mark.parametrize("scheme", SCHEMES)
def test_findings_stand_beside_long_names_of_files(
    browser: Browser,
    console: str,  # noqa: F811  # the fixture
    scheme: str,
) -> None:
    watched = Watched(browser, scheme, 1280)
    watched.page.goto(f"{console}/crossings/2?outcome=findings")
    name = watched.page.locator("tbody th .path").first
    name.evaluate("each => { each.textContent = 'numpy-2.4.6-cp311-cp311-'.repeat(8) + 'x86_64.whl' }")
    box = watched.page.get_by_text("It loads os.system.").bounding_box()
    assert box is not None
    assert box["x"] + box["width"] <= 1280
