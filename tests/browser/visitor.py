"""Somebody at a browser: what they do, and what their browser asks for and complains about meanwhile."""

import os
import re
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Page, Route, expect

from tests.browser.house import PASSWORD, House

HOLD_MS: Final = 600
PATIENCE_MS: Final = 10_000
# An answer that says no is part of what is tested here; the browser logs each of them as an error.
ANSWERED: Final = re.compile(r"Failed to load resource: the server responded with a status of")


class Visitor:
    """A page of their own. Leaving it asserts that nothing was asked of another host, and that nothing broke."""

    def __init__(self, browser: Browser, house: House, size: tuple[int, int]) -> None:
        self.url = house.url
        self._signed_in = house.signed_in
        self._context = browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="light",
            accept_downloads=True,
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self.page: Page = self._context.new_page()
        self.asked: list[str] = []
        self.broken: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.on("pageerror", lambda error: self.broken.append(str(error)))
        self.page.on("console", self._console)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.close()
        if error is None:
            own = urlsplit(self.url).netloc
            assert {urlsplit(url).netloc for url in self.asked} == {own}, "the page asked another host"
            assert not self.broken, self.broken

    def sign_in(self, user: str, *, anew: bool = False) -> None:
        """By the form; who has signed in before, and is not to do it `anew`, comes with the cookie that they have."""
        if user in self._signed_in and not anew:
            self._context.add_cookies([self._signed_in[user]])
            self.page.goto(self.url)
        else:
            self.page.goto(self.url)
            self.fill_in(user, PASSWORD)
        expect(self.title("Overview")).to_be_visible()
        expect(self.page.locator("[data-device]").first).to_be_visible()

        (cookie,) = self._context.cookies()
        if not anew:
            self._signed_in[user] = {name: cookie[name] for name in ("name", "value", "domain", "path")}

    def fill_in(self, user: str, password: str) -> None:
        """The form, and send it."""
        self.page.get_by_label("User", exact=True).fill(user)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in").click()

    def go(self, *where: str) -> None:
        """To a view of the page, as by a link that somebody sent."""
        self.page.evaluate("where => { location.hash = where; }", "#/" + "/".join(where))

    def title(self, text: str) -> Any:
        return self.page.get_by_role("heading", level=1, name=text)

    def device(self, device: str) -> Any:
        """Its line or card."""
        return self.page.locator(f"main [data-device={device}]")

    def hold(self, what: str, for_ms: int = HOLD_MS + 150) -> None:
        """Press an emergency stop of the dock and hold it: `device/stim-01`, `site/north`."""
        self.page.locator(f"#dock [data-stop='{what}']").click(delay=for_ms)

    def outlast_a_hold(self) -> None:
        """Until whatever is down now would have been held for long enough, and any timer of it has run."""
        self.goes_on_for(HOLD_MS + 100)

    def goes_on_for(self, ms: int) -> None:
        """By the page's own clock."""
        until_ms = self.page.evaluate("performance.now()") + ms
        # Asked with every frame, as Playwright does by itself, it would have the browser draw sixty of them a second.
        self.page.wait_for_function("until_ms => performance.now() > until_ms", arg=until_ms, polling=50)

    def held_back(self, address: str | re.Pattern[str]) -> list[Route]:
        """What is asked of an address from now on, which nobody answers: each is to be continued, or aborted."""
        waiting: list[Route] = []
        self.page.route(address, lambda route: waiting.append(route))  # noqa: PLW0108 # Playwright takes no built-in
        return waiting

    def truth(self) -> Any:
        """What became of the newest stop that was pushed here."""
        return self.page.locator(".truth").first

    def picture(self, name: str, *, whole: bool = False) -> None:
        """For somebody who wants to see it: kept in the folder that STIMFLEET_PICTURES names, where it names one."""
        if folder := os.environ.get("STIMFLEET_PICTURES"):
            self.drawn()
            self.page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole)

    def drawn(self) -> None:
        """Wait until the page has drawn once more, and after that the browser."""
        self.page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")

    def samples_drawn(self) -> int:
        return int(self.page.locator(".panels").get_attribute("data-samples") or 0)

    def ask(self, path: str) -> Any:
        """What the API answers their browser, signed in as they are."""
        return self.page.evaluate("path => fetch(`api/v1/${path}`).then(answer => answer.json())", path)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not ANSWERED.match(message.text):
            self.broken.append(message.text)
