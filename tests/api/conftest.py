"""Fixtures of the API's tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.desk import Front


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    place = Front(tmp_path)
    yield place
    place.store.close()
