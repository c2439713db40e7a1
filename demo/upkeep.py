"""What was checked on the devices of a demo, and when: all in time, and one that is due in some days."""

from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path
from typing import Final

from agents.simulation.bench import MODEL
from broker.pki.checks import CheckKind
from broker.pki.upkeep import record_check, set_interval

YEAR_DAYS: Final = 365
DUE_IN_DAYS: Final = 12
_EVERY: Final[dict[CheckKind, dict[str, float]]] = {
    CheckKind.CALIBRATION: {"days": YEAR_DAYS, "hours": 1_000.0},
    CheckKind.SAFETY: {"days": YEAR_DAYS, "sessions": 5_000},
}


def keep_up(site_dir: Path, devices: Sequence[str], today: date) -> None:
    """Record the checks of a site's devices; the last one's calibration is due in `DUE_IN_DAYS`."""
    for kind, every in _EVERY.items():
        set_interval(site_dir, MODEL, kind, every)
        for number, device in enumerate(devices):
            since_days = 90 + 17 * number % 200
            if kind is CheckKind.CALIBRATION and device == devices[-1]:
                since_days = YEAR_DAYS - DUE_IN_DAYS
            record_check(site_dir, device, kind, today - timedelta(days=since_days), {}, today=today)
