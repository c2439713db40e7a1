"""One house for all tests here. Each test leaves every device idle, released and reset."""

from collections.abc import Iterator

import pytest

from tests.api.live.house import House, opened_house

DEVICES = {"stim-01": "room-1", "stim-02": "room-2", "stim-03": "room-2"}


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with opened_house(tmp_path_factory.mktemp("house"), DEVICES) as house:
        yield house
