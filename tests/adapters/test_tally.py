"""What turns come to: every count and every bound, against decisions of the real core."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.contract.messages import Ack, AckStatus
from fleet.adapters.metrics import LABELS_MAX, Exposition, Figures
from fleet.core import inputs
from fleet.core.decide import Decision
from fleet.core.registry import RegisteredDevice
from fleet.tally import LATENCY_S, MARGIN_S, OTHER, ROOMS_MAX, SENT_TO_ZERO, Distribution, Tally
from tests.core.clinic import WALL, Clinic
from tests.core.long_day import a_long_day


class Counted(Clinic):
    """A clinic of which every turn is counted."""

    def __init__(self) -> None:
        super().__init__()
        self.tally = Tally(self.state)

    def decides(self, heard: inputs.Input) -> Decision:
        decision = super().decides(heard)
        if hasattr(self, "tally"):
            self.tally.turned(heard, decision)
        return decision

    def room(self, name: str = "room-4") -> tuple[int, int, int, int]:
        """Samples, late, missed and leases of a room."""
        room = self.tally.rooms[name]
        return room.samples, room.late, room.missed, room.leases


@pytest.fixture
def clinic() -> Counted:
    clinic = Counted()
    clinic.running()
    return clinic


def test_samples_leases_and_gaps(clinic: Counted) -> None:
    samples, late, missed, leases = clinic.room()
    assert (late, missed) == (0, 0)
    clinic.shows("stim-12")
    assert clinic.room() == (samples + 1, 0, 0, leases + 1)
    clinic.stims["stim-12"].seq += 3
    clinic.shows("stim-12")
    assert clinic.room() == (samples + 2, 0, 3, leases + 2)
    clinic.shows("stim-12", late=True)
    assert clinic.room() == (samples + 3, 1, 3, leases + 2)
    clinic.shows("stim-12", impedance_ohm=20_000.0)  # left out: no lease; and the late one did not come live
    assert clinic.room() == (samples + 4, 1, 4, leases + 2)
    assert "room-1" not in clinic.tally.rooms, "nothing was heard of it, or asked"


def test_a_new_boot_begins_a_new_count_and_loses_nothing_of_the_old(clinic: Counted) -> None:
    stim = clinic.stims["stim-12"]
    stim.seq += 5
    clinic.shows("stim-12")
    assert clinic.room()[2] == 5
    stim.boot_n, stim.seq = 8, 77
    clinic.shows("stim-12")
    assert clinic.room()[2] == 5
    stim.seq += 2
    clinic.shows("stim-12")
    assert clinic.room()[2] == 7


def test_margins_are_those_of_live_samples_that_have_one(clinic: Counted) -> None:
    margin_s = clinic.tally.rooms["room-4"].margin_s
    assert sum(margin_s.counts) == 0
    for margin in (0.0, 0.01, 0.5, 4.49, 7.5, 7.6, None, -3.0):
        clinic.shows("stim-12", lease_margin_s=margin)
    clinic.shows("stim-12", lease_margin_s=1.0, late=True)
    upto = dict(zip((*MARGIN_S, "beyond"), margin_s.counts, strict=True))
    assert {bound: count for bound, count in upto.items() if count} == {0.0: 2, 0.5: 2, 4.5: 1, 7.5: 1, "beyond": 1}
    assert margin_s.sum == pytest.approx(0.0 + 0.01 + 0.5 + 4.49 + 7.5 + 7.6)


def test_latencies_of_stops_and_none_where_a_person_says_that_it_is_off(clinic: Counted) -> None:
    def counts() -> list[int]:
        return [sum(latency.counts) for latency in clinic.tally.latency_s.values()]

    stim = clinic.stims["stim-12"]
    clinic.pushes_stop()
    command_id = clinic.open_stop()
    clinic.says("stim-12", Ack(stim.boot_n, command_id, AckStatus.RECEIVED, None, None, WALL))  # not sent, by our count
    assert counts() == [0, 0, 0]
    clinic.sent(command_id, "0" * 16, after_s=0.2)
    clinic.now_s += 0.3
    clinic.says("stim-12", Ack(stim.boot_n, command_id, AckStatus.DONE, None, 0.2, WALL))
    assert counts() == [1, 0, 1]
    assert clinic.tally.latency_s[SENT_TO_ZERO].sum == pytest.approx(0.3)

    silent = Counted()
    silent.running()
    silent.pushes_stop()
    silent.sent(silent.open_stop(), "0" * 16)
    silent.now_s += 60.0
    silent.hears(
        inputs.ConfirmOff(request_id="r", device="stim-12", issued_by="ada", now_s=silent.now_s, wall_s=silent.wall_s)
    )
    assert not silent.state.durable.stops
    assert sum(silent.tally.latency_s[SENT_TO_ZERO].counts) == 0, "nothing was measured"


def test_a_device_that_moves_is_counted_in_its_new_room_from_then_on(clinic: Counted) -> None:
    before = clinic.room()
    clinic.changes_device("stim-12", room="room-9")
    clinic.shows("stim-12")
    assert clinic.room() == before
    assert clinic.room("room-9")[0] == 1
    clinic.changes_registry(devices={})
    clinic.shows("stim-12")
    assert clinic.room(OTHER)[0] == 1


def test_rooms_are_bounded_whatever_the_registry_says() -> None:
    clinic = Counted()
    devices = {
        f"d-{n}": RegisteredDevice(device=f"d-{n}", room=f"r-{n}", model="m", serial=f"s-{n}", enrolment="1")
        for n in range(ROOMS_MAX + 20)
    }
    clinic.changes_registry(devices=devices)
    rooms = {clinic.tally.room_of(name) for name in devices}
    assert len(rooms) == ROOMS_MAX + 1
    assert OTHER in rooms
    # A clinic that renames its rooms again and again gets no further ones either.
    for n in range(50):
        clinic.changes_device("d-1", room=f"again-{n}")
        clinic.tally.room_of("d-1")
    assert len(clinic.tally.rooms) == ROOMS_MAX + 1


def test_every_event_of_a_long_day_is_counted_by_its_kind() -> None:
    day = a_long_day()
    counted = Counted()
    for event in day.journal:
        counted.tally._happened(event)
    assert +counted.tally.events == Counter(type(event).__name__ for event in day.journal)


@given(st.lists(st.floats(0.0, 20.0)))
def test_a_distribution_counts_each_value_at_its_upper_bound(values: list[float]) -> None:
    distribution = Distribution(LATENCY_S)
    for value in values:
        distribution.observe(value)
    upto = 0
    for bound, count in zip((*LATENCY_S, float("inf")), distribution.counts, strict=True):
        upto += count
        assert upto == sum(value <= bound for value in values)
    assert distribution.sum == pytest.approx(sum(values))


def test_labels_are_bounded_and_what_is_beyond_is_counted_together() -> None:
    refused: dict[tuple[str, ...], int] = {("core", "telemetry", f"reason_{n}"): n for n in range(LABELS_MAX + 50)}
    text = Exposition().text(replace(NOTHING, refused=refused)).decode()
    lines = [line for line in text.splitlines() if line.startswith("stimfleet_refused_total")]
    assert len(lines) == LABELS_MAX + 1
    assert sum(float(line.split()[-1]) for line in lines) == sum(refused.values())
    beyond = sum(range(LABELS_MAX, LABELS_MAX + 50))
    assert f'stimfleet_refused_total{{by="other",channel="other",reason="other"}} {beyond:.1f}' in lines


NOTHING = Figures(
    site="north",
    version="0",
    fleet_n=1,
    connected=False,
    connections_lost={},
    draining=False,
    rooms={},
    devices={},
    sessions={},
    alarms={},
    events={},
    latency_s={},
    stops_open=0,
    stops_unconfirmed=0,
    refused={},
    undelivered={},
    inbox=0,
    outbox=0,
    journal_position=0,
    journal_refusing=False,
    journal_lag_rows=0,
    journal_lag_s=0.0,
    pager_silent_s=0.0,
    feed_readers=0,
    feed_missed=0,
    disk_free_bytes=None,
    disk_size_bytes=None,
    certificate_ends_wall_s={},
)
