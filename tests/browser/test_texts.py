"""The page's own files: texts stand in one place, whatever the fleet may say has words, nothing becomes markup."""

import re
from collections.abc import Iterable, Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.sync_api import Browser

from broker.contract.causes import AlarmCode, Cause
from broker.contract.limits import Layer
from broker.contract.messages import Phase
from broker.contract.plan import BodySite, Modality
from fleet.api.access import Role
from fleet.core.alarm_events import Priority, SignalState
from fleet.core.alarm_table import Responsible
from fleet.core.attention_state import Responsibility
from fleet.core.refusals import Rule, RuleLayer
from fleet.core.screening import ABSOLUTE, Contraindication
from fleet.core.session_events import SessionState, WithheldFor
from tests.browser.house import House

LIVE: Final = Path(__file__).resolve().parents[2] / "dashboards" / "live"
MODULES: Final = sorted(path for path in LIVE.rglob("*.js") if "vendor" not in path.parts)
LINES: Final = 250
MARKUP: Final = re.compile(r"\b(?:innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval|srcdoc)\b|new Function")
OUTSIDE: Final = re.compile(r"""["'`(](?:https?:)?//(?!www\.w3\.org/)""")
SAID: Final = re.compile(r"""(?:say|known)\(\s*["`]([^"`]+)["`]""")
NAMED: Final = re.compile(r'"((?:[a-z]\w*\.)+\w+)"')

WORDS_FOR: Final[dict[str, Iterable[StrEnum]]] = {
    "rules": Rule,
    "causes": Cause,
    "alarm": AlarmCode,
    "findings": Contraindication,
    "sites": BodySite,
    "modality": Modality,
    "roles": Role,
    "layers": {*RuleLayer, *Layer},
    "priority": Priority,
    "alarms.signal": SignalState,
    "alarms.has": Responsibility,
    "alarms.for": Responsible,
    "withheld": WithheldFor,
    "session_state": set(SessionState) - {SessionState.DRAFT},
    "state": set(Phase) - {Phase.STOPPING},
}


@pytest.fixture(scope="module")
def texts(house: House, browser: Browser) -> Any:
    """texts/en.js as the browser reads it."""
    page = browser.new_page()
    page.goto(house.url)
    found = page.evaluate("() => import('/texts/en.js').then(module => module.en)")
    page.close()
    return found


def at(texts: Any, path: str) -> Any:
    for name in path.split("."):
        texts = texts.get(name) if isinstance(texts, dict) else None
    return texts


@pytest.mark.parametrize("group", WORDS_FOR)
def test_whatever_the_fleet_may_say_has_words(texts: Any, group: str) -> None:
    known = at(texts, group)
    assert known is not None, group
    assert {word.value for word in WORDS_FOR[group]} <= set(known), group


def test_the_screening_of_the_page_is_the_fleets(house: House, browser: Browser) -> None:
    page = browser.new_page()
    page.goto(house.url)
    presets = page.evaluate("() => import('/core/presets.js').then(({ABSOLUTE, RELATIVE}) => ({ABSOLUTE, RELATIVE}))")
    page.close()
    assert set(presets["ABSOLUTE"]) == {finding.value for finding in ABSOLUTE}
    assert set(presets["RELATIVE"]) == {finding.value for finding in set(Contraindication) - ABSOLUTE}


def leaves(tree: Any, path: str = "") -> Iterator[str]:
    if isinstance(tree, str) or "other" in tree:
        yield path
    else:
        for name, below in tree.items():
            yield from leaves(below, f"{path}.{name}" if path else name)


def named(sources: str, texts: Any) -> Iterator[str]:
    """Names of texts that are handed on as strings; files have names with dots too."""
    files = (".csv", ".js")
    return (name for name in NAMED.findall(sources) if at(texts, name.split(".")[0]) and not name.endswith(files))


def test_every_text_is_there_and_none_is_left_over(texts: Any) -> None:
    sources = "\n".join(path.read_text() for path in MODULES if path.parent.name != "texts")
    said = {*SAID.findall(sources), *named(sources, texts)}
    plain = {path for path in said if "$" not in path}
    assert {path for path in plain if at(texts, path) is None} == set()
    # A name that is made up as it is used begins with what stands before the first `${`.
    begun = tuple({path.split("${")[0] for path in said if "$" in path} - {""})
    left_over = {leaf for leaf in leaves(texts) if leaf not in plain and not leaf.startswith(begun)}
    groups = ("rules.", "alarm.", "alarm_of.", "presets.", "sites.", "modality.")  # named by way of a variable
    assert {leaf for leaf in left_over if not leaf.startswith(groups)} == set()


def test_every_module_of_the_page_can_be_loaded(house: House, browser: Browser) -> None:
    """A view that is opened rarely is fetched then: what it takes from other modules has to be there."""
    page = browser.new_page()
    page.goto(house.url)
    paths = [f"/{path.relative_to(LIVE).as_posix()}" for path in MODULES if path.name != "main.js"]
    load = "paths => Promise.all(paths.map(path => import(path).then(() => null, error => `${path}: ${error}`)))"
    wrong = [said for said in page.evaluate(load, paths) if said]
    page.close()
    assert not wrong, wrong


def test_every_module_of_the_page_is_small_and_makes_no_markup() -> None:
    assert MODULES
    found = []
    for path in MODULES:
        text, name = path.read_text(), path.relative_to(LIVE).as_posix()
        lines = len(text.splitlines())
        found += [f"{name}: {lines} lines"] if lines > LINES and name != "texts/en.js" else []
        found += [f"{name}: {markup}" for markup in MARKUP.findall(text)]
        found += [f"{name}: leads outside" for _ in OUTSIDE.findall(text)]
        found += [] if text.startswith("/**") else [f"{name} does not say what it is"]
    for path in [*LIVE.glob("*.html"), *LIVE.glob("style/*")]:
        found += [f"{path.name}: leads outside" for _ in OUTSIDE.findall(path.read_text())]
    assert not found, found
