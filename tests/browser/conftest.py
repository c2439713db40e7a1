"""One clinic and one browser for all tests here: they take seconds to open. Each test has a page of its own."""

import os
import shutil
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.chromium import CHROMIUM
from tests.browser.house import House
from tests.browser.visitor import Visitor

WIDE = (1440, 900)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses a browser needs one (tests/conftest.py says at the end what was not run)."""
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.needs(CHROMIUM))


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        silent = ["--disable-audio-output"]  # nobody listens, and to fill what would be heard takes a processor
        # Chromium's own sandbox does not work for root, as which containers run.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which(CHROMIUM), args=silent + sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visitor(house: House, browser: Browser) -> Iterator[Visitor]:
    """Somebody at a laptop who is not signed in yet."""
    with Visitor(browser, house, WIDE) as visitor:
        yield visitor


@pytest.fixture
def orderly(house: House) -> Iterator[None]:
    """Whatever a test did, the next one finds every device idle."""
    yield
    house.tidy()


@pytest.fixture
def mira(house: House, browser: Browser) -> Iterator[Visitor]:
    """The manager, at a browser of her own."""
    with Visitor(browser, house, WIDE) as visitor:
        yield visitor
