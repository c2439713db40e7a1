"""What the history store's rollups say of each device and day, as `reports.health` takes it."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from fleet.adapters.history.port import HistoryReader, Resolution, Rollup
from fleet.reports.health import Samples


async def day_samples(
    history: HistoryReader, devices: Iterable[str], first: date, last: date, zone: ZoneInfo
) -> dict[tuple[date, str], Samples]:
    """By day and device, for the days from `first` to `last` of a clinic in `zone`; a day without samples has none.

    Raises:
        HistoryRefuses: the store cannot be read.
    """
    from_s = datetime.combine(first, time.min, zone).timestamp()
    to_s = datetime.combine(last + timedelta(days=1), time.min, zone).timestamp()
    return {
        (datetime.fromtimestamp(rollup.begin_s, zone).date(), device): samples_of(rollup)
        for device in devices
        for rollup in await history.rollups(device, from_s, to_s, Resolution.DAY)
    }


def samples_of(rollup: Rollup) -> Samples:
    """One day's."""
    battery, margin = rollup.spreads.get("battery_pct"), rollup.spreads.get("lease_margin_s")
    return Samples(
        battery_pct_min=None if battery is None else battery.least,
        battery_pct_mean=None if battery is None else battery.mean,
        lease_margin_s_min=None if margin is None else margin.least,
        lease_margin_s_mean=None if margin is None else margin.mean,
        samples=rollup.count,
        missed=rollup.missing,
    )
