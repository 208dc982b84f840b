"""A real Chromium, without a network: what a page needs must be in it, or come from this machine."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or the one that ``CHROMIUM`` names."""
    assert CHROMIUM, "install chromium, or name a browser: CHROMIUM=/path/to/chrome"
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page that reaches nothing but files and this machine, and on which no script may fail."""
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    asked: list[str] = []
    failed: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    context.route(lambda url: not url.startswith(("file:", "data:", "blob:", "http://127.0.0.1:")), refuse)
    opened = context.new_page()
    opened.on("pageerror", lambda error: failed.append(str(error)))
    yield opened
    context.close()
    assert not asked, f"the page wanted the network: {asked}"
    assert not failed, f"scripts of the page failed: {failed}"
