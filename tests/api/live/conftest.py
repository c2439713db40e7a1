"""One house for all tests here. Each test leaves every device idle, released and reset."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.clinic import Clinic
from tests.api.live.house import House, log_of
from tests.faults.conftest import Ward, free_port

DEVICES = {"stim-01": "room-1", "stim-02": "room-2", "stim-03": "room-2"}


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("house")
    clinic = Clinic(folder, DEVICES, port=free_port(), seed=1, alone=())
    clinic.provision()
    with clinic:
        clinic.open()
        house = House(Ward(clinic))
        house.open()
        yield house
        for browser in house.browsers.values():
            browser.client.close()
        assert house.web.end() is None, "the web process ends cleanly"
        assert "Traceback" not in log_of(house), log_of(house)
        assert clinic.close() == [], "every process ends cleanly"
