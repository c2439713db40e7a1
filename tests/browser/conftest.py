"""One clinic and one browser for all tests here: they take seconds to open. Each test has a page of its own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.house import House
from tests.browser.visitor import Visitor

CHROMIUM = "/usr/bin/chromium"
WIDE = (1440, 900)


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with House(tmp_path_factory.mktemp("house")) as house:
        yield house


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not work for root, as which containers run.
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield browser
        browser.close()


@pytest.fixture
def visitor(house: House, browser: Browser) -> Iterator[Visitor]:
    """Somebody at a laptop who is not signed in yet."""
    with Visitor(browser, house.url, WIDE) as visitor:
        yield visitor


@pytest.fixture(scope="package")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where screenshots are kept: STIMFLEET_PICTURES, else a folder of this run."""
    named = os.environ.get("STIMFLEET_PICTURES")
    folder = Path(named) if named else tmp_path_factory.mktemp("pictures")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
