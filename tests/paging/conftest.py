"""What every process that tells people does first."""

import pytest

from fleet.adapters.notify.apprise_url import warm_up


@pytest.fixture(scope="session", autouse=True)
def _warm() -> None:
    warm_up()
