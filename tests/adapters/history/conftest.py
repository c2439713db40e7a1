"""The stores that the suite is run on."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.history.engines import Engine, engine, other_influx
from tests.adapters.history.shelf import Shelf

INFLUXDB = pytest.param("influxdb", marks=pytest.mark.needs("influxd", "nginx"))
STORES = ["embedded", INFLUXDB, *(["influxdb-2"] if other_influx() else [])]


@pytest.fixture(scope="session")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    with engine(tmp_path_factory.mktemp("influx")) as one:
        yield one


@pytest.fixture(params=STORES)
def shelf(request: pytest.FixtureRequest, tmp_path: Path) -> Shelf:
    """An empty store of each kind; that of the environment is not empty, but has none of the test's devices."""
    if request.param == "embedded":
        return Shelf(tmp_path / "history")
    if request.param == "influxdb":
        one: Engine = request.getfixturevalue("influx")
        return Shelf(tmp_path / "history", one.database("clinic"))
    return Shelf(tmp_path / "history", other_influx())
