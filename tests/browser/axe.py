"""What axe-core finds on a page. It is handed over once a page, and only what it objects to comes back."""

from typing import Any, Final

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

SERIOUS: Final = {"serious", "critical"}
IS_THERE: Final = "() => 'axe' in window"
RUN: Final = "() => axe.run({ resultTypes: ['violations'] }).then(({ violations }) => violations)"


def serious(page: Page) -> list[str]:
    """What makes it hard or impossible to use for somebody, with where."""
    if not page.evaluate(IS_THERE):
        page.evaluate(Axe().axe_script)
    violations: list[dict[str, Any]] = page.evaluate(RUN)
    return [
        f"{one['impact']}: {one['id']}: {node['target']} {node['failureSummary']}"
        for one in violations
        if one["impact"] in SERIOUS
        for node in one["nodes"]
    ]
