"""One clinic a module: founding it costs a second. Tests that end the broker bring a clinic of their own."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agents_shell.clinic import Clinic, found_clinic


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    founded = found_clinic(tmp_path_factory.mktemp("clinic"))
    with founded.mosquitto:
        yield founded


@pytest.fixture
def own_clinic(tmp_path: Path) -> Iterator[Clinic]:
    founded = found_clinic(tmp_path / "clinic")
    with founded.mosquitto:
        yield founded
