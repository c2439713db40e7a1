"""A person with a keyboard and nothing else: Tab until the focus is where they want it, then keys."""

from typing import Any, Final

from playwright.sync_api import Page

TABS_MAX: Final = 120
# What a screen reader would call it: a label, else what is written on it.
FOCUSED: Final = """() => {
  const element = document.activeElement;
  const label = element.getAttribute("aria-label") ?? element.labels?.[0]?.innerText ?? element.innerText ?? "";
  return {name: label.trim().replace(/\\s+/g, " "), id: element.id, seen: element.matches(":focus-visible")};
}"""


class Keyboard:
    """The keyboard of a page. It never clicks, and never sets the focus by other means."""

    def __init__(self, page: Page) -> None:
        self._page = page

    def to(self, name: str) -> None:
        """Tab on until something is focused whose name begins so; its focus has to be seen."""
        self._by("Tab", name)

    def back_to(self, name: str) -> None:
        """The other way round."""
        self._by("Shift+Tab", name)

    def _by(self, key: str, name: str) -> None:
        met = []
        for _ in range(TABS_MAX):
            self._page.keyboard.press(key)
            focused: dict[str, Any] = self._page.evaluate(FOCUSED)
            met.append(focused["name"])
            if focused["name"].startswith(name):
                assert focused["seen"], f"{name} has the focus, and it is not to be seen"
                return
        raise AssertionError(f"Tab does not lead to {name!r}; it leads to {met}")

    def press(self, *keys: str) -> None:
        for key in keys:
            self._page.keyboard.press(key)

    def type(self, text: str) -> None:
        self._page.keyboard.type(text)

    def choose(self, name: str, text: str) -> None:
        """In a list of choices, by typing what one begins with."""
        self.to(name)
        self.type(text)

    def enter(self, name: str) -> None:
        self.to(name)
        self.press("Enter")
