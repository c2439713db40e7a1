"""What one live sample costs: `python -m tests.core.sample_cost [devices]`. Prints microseconds a sample."""

import sys
import timeit
from dataclasses import replace
from itertools import cycle

from fleet.core.decide import decide
from fleet.core.effects import SendLease
from fleet.core.inputs import Received, Tick
from fleet.core.registry import RegisteredDevice
from tests.core.clinic import Clinic, Stimulator

SAMPLES = 50_000


def clinic_running(devices: int) -> Clinic:
    """So many devices, each with a running session."""
    clinic = Clinic()
    names = [f"stim-{n}" for n in range(devices)]
    clinic.stims = {name: Stimulator(name, name.upper()) for name in names}
    clinic.changes_registry(
        devices={
            name: RegisteredDevice(device=name, room="room-1", model="sim-1", serial=name.upper(), enrolment="first")
            for name in names
        }
    )
    for name in names:
        clinic.running(name, client=f"c-{name}", request_id=f"request-{name}")
    return clinic


def main(devices: int) -> None:
    clinic = clinic_running(devices)
    heard = []
    for n, stim in zip(range(SAMPLES), cycle(clinic.stims.values())):
        now_s = clinic.now_s + n * 0.05 / devices
        sample = replace(stim.sample(), amplitude_ma=29.0 + n // devices % 5 / 10)
        heard.append(Received(stim.name, sample, now_s, clinic.wall_s))
    leases = 0

    def feed() -> None:
        nonlocal leases
        for received in heard:
            leases += isinstance(decide(clinic.state, received).at_once[0], SendLease)

    seconds = timeit.timeit(feed, number=1)
    assert leases == SAMPLES, f"every sample is leased: {leases} of {SAMPLES}"
    ticks = timeit.timeit(lambda: decide(clinic.state, Tick(clinic.now_s, clinic.wall_s)), number=200) / 200
    print(f"{devices} running: {seconds / SAMPLES * 1e6:.1f} us a sample, {ticks * 1e6:.0f} us a tick")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 12)
