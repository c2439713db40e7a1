"""Fixtures of the shell's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.adapters.clinic import Clinic


@pytest.fixture
def clinic(tmp_path: Path) -> Iterator[Clinic]:
    """A site with two devices, its broker running."""
    place = Clinic(tmp_path)
    with place.mosquitto:
        yield place
