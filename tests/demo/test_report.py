"""The report's arithmetic, by hand; and that its shape is exactly the one that was asked for."""

import json
from typing import Any

import pytest

from agents.counters import Counted
from demo.observer import Violation
from demo.report import Heard, Sources, Spooled, margins, missing, percentile, report
from fleet.adapters.journal.reading import Told

SPOOL = "ab" * 16


def told(name: str, **body: Any) -> Told:
    return Told(0, "2026-11-25T12:00:00.000Z", name, body)


def spooled_event(n: int, kind: str = "session_paused", session: str | None = None) -> Told:
    event = {"spool_id": SPOOL, "n": n, "kind": kind, "session_id": session}
    return told("DeviceReported", device="stim-01", event=event)


def ordered(command: str, *devices: str) -> Told:
    targets = [{"device": device} for device in devices]
    return told("StopOrdered", device="all", stop={"command_id": command, "cause": "emergency_stop"}, targets=targets)


def confirmed(command: str, device: str, sent_s: float | None, zero_s: float | None, by: str = "ack") -> Told:
    return told(
        "StopConfirmed", command_id=command, device=device, by=by, cause_to_sent_s=sent_s, sent_to_zero_s=zero_s
    )


def counted(telemetry: int, **steps: int) -> Counted:
    """`at_2_98=4`: four leases arrived with 2.98 s left."""
    margins = [0] * 512
    for name, leases in steps.items():
        margins[round(float(name.removeprefix("at_").replace("_", ".")) / 0.02)] = leases
    return Counted(telemetry, sum(steps.values()), tuple(margins))


def sources(*journal: Told, **changes: Any) -> Sources:
    given: dict[str, Any] = {
        "seconds": 60.04,
        "devices": 2,
        "journal": journal,
        "counted": {"stim-01": counted(0), "stim-02": counted(0)},
        "spooled": (),
        "heard": (),
        "violations": (),
    }
    return Sources(**{**given, **changes})


@pytest.mark.parametrize(
    ("percent", "value"),
    [(1.0, 15.0), (5.0, 15.0), (30.0, 20.0), (40.0, 20.0), (50.0, 35.0), (99.0, 50.0), (100.0, 50.0)],
)
def test_percentiles_by_nearest_rank(percent: float, value: float) -> None:
    """Five values: the n-th covers up to n x 20 %."""
    assert percentile([40.0, 15.0, 50.0, 20.0, 35.0], percent) == value


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentile([], 50.0) is None
    assert margins([counted(0)]) == {"p5": None, "p50": None}


def test_margins_of_all_devices_together() -> None:
    """100 leases: 4 with 2.98 s, 1 with 3.1 s, 95 with 4.5 s. Five of a hundred are up to 3.1 s, fifty up to 4.5 s."""
    devices = [counted(0, at_2_98=4, at_4_50=40), counted(0, at_3_10=1, at_4_50=55)]
    assert margins(devices) == {"p5": 3.1, "p50": 4.5}


def test_telemetry_is_what_the_agents_published_and_what_every_instance_of_the_fleet_heard() -> None:
    found = report(
        sources(counted={"stim-01": counted(70), "stim-02": counted(30)}, heard=(Heard(60, 50), Heard(37, 31)))
    )
    assert found["telemetry"] == {"published": 100, "received": 97, "lost": 3}
    assert found["leases"]["granted"] == 81


def test_an_event_that_was_spooled_and_not_journaled_is_missing_whatever_the_fleet_says() -> None:
    spool = Spooled("stim-01", SPOOL, newest_n=4, kept=(3,))
    given = sources(spooled_event(1), spooled_event(2), spooled_event(4), spooled=(spool,))
    assert report(given)["events"] == {"published": 4, "journaled": 3, "missing": 1}
    assert missing(given) == [("stim-01", 3)]
    assert report(given)["violations"] == []


def miscounts(found: dict[str, Any]) -> list[tuple[str, str, str]]:
    return [(each["device"], each["rule"], each["what"]) for each in found["violations"]]


def test_an_event_that_is_journaled_twice_is_one_event_and_a_violation() -> None:
    spool = Spooled("stim-01", SPOOL, newest_n=2)
    found = report(sources(spooled_event(1), spooled_event(2), spooled_event(2), spooled=(spool,)))
    assert found["events"] == {"published": 2, "journaled": 2, "missing": 0}
    assert miscounts(found) == [("stim-01", "count", "event 2 is in the journal 2 times")]


def test_what_is_journaled_is_counted_in_the_journal_and_not_made_to_add_up() -> None:
    """Three rows; of the two numbers that the spool has given one is missing: 2 is not 3 + 1."""
    spool = Spooled("stim-01", SPOOL, newest_n=2)
    found = report(sources(spooled_event(1), spooled_event(3), spooled_event(4), spooled=(spool,)))
    assert found["events"] == {"published": 2, "journaled": 3, "missing": 1}
    says = "event {} is in the journal, and its spool has never given that number"
    assert miscounts(found) == [("stim-01", "count", says.format(n)) for n in (3, 4)]


def test_more_heard_than_was_published_is_a_violation() -> None:
    found = report(sources(counted={"stim-01": counted(70)}, heard=(Heard(72, 0),)))
    assert found["telemetry"]["lost"] == -2
    assert miscounts(found) == [("all", "count", "the fleet heard 2 samples more than were published")]


@pytest.mark.parametrize("lost", [(), (1,), (2, 5), (1, 2, 3, 4, 5)])
def test_published_is_journaled_and_missing(lost: tuple[int, ...]) -> None:
    rows = [spooled_event(n) for n in range(1, 6) if n not in lost]
    events = report(sources(*rows, spooled=(Spooled("stim-01", SPOOL, newest_n=5),)))["events"]
    assert events == {"published": 5, "journaled": 5 - len(lost), "missing": len(lost)}
    assert events["published"] == events["journaled"] + events["missing"]


def test_the_same_number_of_another_spool_or_device_is_another_event() -> None:
    spools = (Spooled("stim-01", "cd" * 16, 1), Spooled("stim-02", SPOOL, 1))
    assert missing(sources(spooled_event(1), spooled=spools)) == [("stim-01", 1), ("stim-02", 1)]


def test_sessions_are_counted_from_the_journal() -> None:
    found = report(
        sources(
            told("SessionAuthorised"),
            told("SessionAuthorised"),
            told("SessionAuthorised"),
            told("SessionRefused"),
            spooled_event(1, "session_started", "a"),
            spooled_event(2, "session_started", "b"),
            told("SessionEnded", session_id="a", to="stopped_latched"),
            told("SessionEnded", session_id="a", to="stopped_latched"),  # its numbers, later
            told("SessionEnded", session_id="b", to="completed"),
            told("SessionEnded", session_id="c", to="aborted"),  # never started
        )
    )
    assert found["sessions"] == {"authorised": 3, "refused": 1, "started": 2, "completed": 1, "stopped": 1}


def test_a_stop_counts_once_for_every_device_on_which_it_is_followed() -> None:
    """Two stops, three devices; one is confirmed by a person only, so not at measured zero."""
    found = report(
        sources(
            ordered("x", "stim-01", "stim-02"),
            ordered("y", "stim-03"),
            confirmed("x", "stim-01", 0.010, 0.120),
            confirmed("x", "stim-02", 0.010, 0.200, by="telemetry"),
            confirmed("y", "stim-03", 0.004, None, by="person"),
        )
    )
    assert found["stops"] == {
        "pushed": 3,
        "confirmed_zero": 2,
        "unconfirmed": 1,
        "latency_ms": {
            "cause_to_sent": {"p50": 10.0, "p99": 10.0, "max": 10.0},
            "sent_to_zero": {"p50": 120.0, "p99": 200.0, "max": 200.0},
            "cause_to_zero": {"p50": 130.0, "p99": 210.0, "max": 210.0},
        },
    }


def test_a_latency_that_nobody_heard_of_is_left_out() -> None:
    found = report(sources(ordered("x", "stim-01"), confirmed("x", "stim-01", None, 0.120)))
    assert found["stops"]["latency_ms"]["cause_to_sent"] == {"p50": None, "p99": None, "max": None}
    assert found["stops"]["latency_ms"]["sent_to_zero"]["max"] == 120.0
    assert found["stops"]["latency_ms"]["cause_to_zero"]["max"] is None


def test_the_shape_of_a_report_in_which_nothing_happened() -> None:
    nothing = {"p50": None, "p99": None, "max": None}
    assert report(sources()) == {
        "seconds": 60.0,
        "devices": 2,
        "telemetry": {"published": 0, "received": 0, "lost": 0},
        "events": {"published": 0, "journaled": 0, "missing": 0},
        "sessions": {"authorised": 0, "refused": 0, "started": 0, "completed": 0, "stopped": 0},
        "stops": {
            "pushed": 0,
            "confirmed_zero": 0,
            "unconfirmed": 0,
            "latency_ms": {"cause_to_sent": nothing, "sent_to_zero": nothing, "cause_to_zero": nothing},
        },
        "leases": {"granted": 0, "lost": 0, "margin_s": {"p5": None, "p50": None}},
        "violations": [],
    }


def test_violations_and_lost_leases_are_in_it() -> None:
    violation = Violation("stim-01", 1234.56789, "pause", "output in a pause", 0.12345, 12.0)
    spool = Spooled("stim-01", SPOOL, newest_n=1)
    found = report(sources(spooled_event(1, "lease_lost"), spooled=(spool,), violations=(violation,)))
    assert found["leases"]["lost"] == 1
    assert found["violations"] == [
        {
            "device": "stim-01",
            "at_s": 1234.568,
            "rule": "pause",
            "what": "output in a pause",
            "for_s": 0.123,
            "ma": 12.0,
        }
    ]
    assert json.loads(json.dumps(found, allow_nan=False)) == found
