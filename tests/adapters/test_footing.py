"""What the service stands on, looked at on a real disk and in a real site's folder."""

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from broker.pki.site import SERVER, SERVICES, provision_site
from broker.ports import free_port
from fleet.connections import Loss
from fleet.footing import Footing
from tests.adapters.clinic import Clinic
from tests.adapters.running import fleet_running
from tests.adapters.test_surface import shows

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY_S = 86_400.0


@pytest.fixture
def site(tmp_path: Path) -> Path:
    provision_site(tmp_path / "site", tmp_path / "ca", "north", now=NOW)
    return tmp_path / "site"


def test_the_disk_is_that_of_the_data_folder(site: Path) -> None:
    footing = Footing(site, site)
    footing.look()
    usage = shutil.disk_usage(site)
    assert footing.disk_size_bytes == usage.total
    assert footing.disk_free_bytes is not None
    assert abs(footing.disk_free_bytes - usage.free) < 1_000_000_000, "others write here too"


def test_certificates_end_two_years_on_and_the_ca_later(site: Path) -> None:
    footing = Footing(site, site)
    footing.look()
    days = {whose: (end - NOW.timestamp()) / DAY_S for whose, end in footing.certificate_ends_wall_s.items()}
    assert set(days) == {"ca", SERVER, *SERVICES}
    assert {round(days[whose]) for whose in (SERVER, *SERVICES)} == {730}
    assert days["ca"] > 3_000


def test_what_cannot_be_looked_at_is_not_shown_and_told_once(site: Path, caplog: pytest.LogCaptureFixture) -> None:
    (site / "broker" / "server.crt").unlink()  # the broker's folder is on another host: nothing is wrong
    footing = Footing(site, site)
    with caplog.at_level(logging.WARNING):
        footing.look()
    assert set(footing.certificate_ends_wall_s) == {"ca", *SERVICES}
    assert caplog.messages == []

    (site / "ca.crt").write_text("no certificate")
    footing.data_dir = site / "gone"
    with caplog.at_level(logging.WARNING):
        footing.look()
        footing.look()
    assert set(footing.certificate_ends_wall_s) == set(SERVICES)
    assert (footing.disk_free_bytes, footing.disk_size_bytes) == (None, None)
    assert len(caplog.messages) == 1
    assert "ca.crt cannot be read" in caplog.messages[0]


@asynccontextmanager
async def reading(clinic: Clinic) -> AsyncIterator[None]:
    """Somebody reads along."""
    _, writer = await asyncio.open_unix_connection(clinic.data_dir / "feed.sock")
    try:
        yield
    finally:
        writer.close()


async def test_metrics_show_the_footing_and_why_connections_were_lost(clinic: Clinic) -> None:
    clinic.http_port = free_port()
    async with fleet_running(clinic):
        now = await shows(clinic, lambda shown: bool(shown.each("disk_free_bytes")))
        ends = now.by("certificate_end_timestamp_seconds", "whose")
        assert set(ends) == {"ca", "device", SERVER, *SERVICES}
        in_700_days = (datetime.now(UTC) + timedelta(days=700)).timestamp()
        assert min(ends.values()) > in_700_days
        assert 0 < now("disk_free_bytes") < now("disk_size_bytes")
        assert now.by("connections_lost_total", "why") == dict.fromkeys(Loss, 0.0)

        assert now("feed_readers") == 0
        async with reading(clinic):
            await shows(clinic, lambda shown: shown("feed_readers") == 1)

        clinic.mosquitto.kill()
        await shows(clinic, lambda shown: shown.by("connections_lost_total", "why")[Loss.UNREACHABLE] > 0)
        clinic.mosquitto.start()
        back = await shows(clinic, lambda shown: shown("connected") == 1)
        lost = back.by("connections_lost_total", "why")
        assert lost[Loss.CLOSED] + lost[Loss.ECHO] == 1, "one connection carried, and was lost once"
