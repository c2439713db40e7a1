"""There are plain words for whatever a clinic may see."""

import json
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from broker.contract.limits import ENVELOPE, Layer
from fleet.core.events import Event, SettingsIssued
from fleet.core.refusals import Rule
from fleet.words.events import QUIET, event_words, refusal_words, status_words
from tests.core.clinic import Clinic
from tests.core.long_day import a_long_day


def refusal(rule: Rule, quantity: str | None = None, value: float | None = None, limit: float | None = None) -> str:
    return refusal_words({"rule": rule, "layer": "clinic", "quantity": quantity, "value": value, "limit": limit})


@pytest.mark.parametrize("rule", Rule)
def test_every_rule_that_refuses_has_words_and_names_its_layer(rule: Rule) -> None:
    words = refusal(rule, "implanted_device")
    assert words.endswith(" [clinic]")
    assert "_" not in words, "a person is not shown the names of the machinery"


def test_a_refusal_says_its_numbers_with_their_unit() -> None:
    assert refusal(Rule.LIMIT, "density_ma_cm2", 2.598, 2.0) == (
        "density_ma_cm2 is beyond its limit: 2.598 against 2 [clinic]"
    )


def test_a_dose_refusal_says_its_numbers_and_from_when_on_it_is_possible_again() -> None:
    week = {"rule": "dose_week", "layer": "domain", "quantity": "sessions_in_7_days", "value": 3.0, "limit": 3.0}
    assert refusal_words({**week, "again_on": "2026-11-29"}) == (
        "the client has had 3 of the 3 sessions that 7 days may have; possible again from 2026-11-29 [domain]"
    )
    rest = {"rule": "dose_rest", "layer": "clinic", "quantity": "days_since_wb_ems", "value": 1.0, "limit": 5.0}
    assert refusal_words({**rest, "again_on": "2026-11-28"}) == (
        "too soon after the client's last session (days since: 1, at least 5); possible again from 2026-11-28 [clinic]"
    )
    first = {"rule": "dose_first", "layer": "domain", "quantity": "duration_s", "value": 1200.0, "limit": 720.0}
    assert refusal_words({**first, "again_on": None}) == (
        "this is too long for a first session, and for one after 8 weeks without: 1200 against 720 [domain]"
    )


def test_a_session_whose_agent_died_in_it_has_no_numbers() -> None:
    ended = {"elapsed_s": 0.0, "on_time_s": 0.0, "peak_ma": 0.0, "charge_uc": 0.0, "gaps": 1}
    body = {"session_id": "0123456789", "cause": "reboot", "ended": ended}
    assert event_words("SessionEnded", body) == "session 01234567 ended: reboot, the device has no record of it"
    body["ended"] = {**ended, "elapsed_s": 600.0, "peak_ma": 31.0}
    assert event_words("SessionEnded", body) == "session 01234567 ended: reboot, 600 s, peak 31.0 mA"


def test_every_event_of_a_long_day_has_words_or_is_the_machinerys_own_business() -> None:
    told = {}
    for event in a_long_day().journal:
        adapter: TypeAdapter[Any] = TypeAdapter(type(event))
        told[type(event).__name__] = event_words(type(event).__name__, json.loads(adapter.dump_json(event)))
    assert told.keys() == {event.__name__ for event in get_args(Event)}
    assert {name for name, words in told.items() if words is None} == QUIET


def test_a_confirmed_stop_says_its_latencies_and_leaves_out_a_receipt_that_never_came() -> None:
    body = {
        "device": "stim-12",
        "amplitude_ma": 0.31,
        "cause_to_sent_s": 0.004,
        "sent_to_received_s": None,
        "sent_to_zero_s": 0.151,
    }
    assert event_words("StopConfirmed", body) == (
        "stim-12: sent after 4 ms, zero current measured (0.31 mA) after 151 ms"
    ), "a stop of the whole site has no receipts, and what was overtaken by zero is no trouble"
    assert event_words("StopConfirmed", {**body, "sent_to_received_s": 0.021}) == (
        "stim-12: sent after 4 ms, received after 21 ms, zero current measured (0.31 mA) after 151 ms"
    )
    assert event_words("StopConfirmed", {**body, "cause_to_sent_s": None, "sent_to_zero_s": None}) == (
        "stim-12: not known to be sent, zero current measured (0.31 mA)"
    )


def test_settings_that_were_issued_say_where_and_what_is_tighter() -> None:
    clinic = Clinic()
    clinic.changes_device(
        "stim-12", service_hold=True, limits=ENVELOPE.tightened_by(Layer.SETTINGS, session_s_max=600.0)
    )
    clinic.ready("stim-12")
    (issued,) = [event for event in clinic.journal if isinstance(event, SettingsIssued)]
    body = json.loads(TypeAdapter(SettingsIssued).dump_json(issued))
    assert event_words("SettingsIssued", body) == (
        "stim-12: settings 1: room-4, out of service, peak_ma_max 100 (clinic), session_s_max 600 (settings)"
    )


def test_the_fleet_s_state_is_told_line_by_line_and_what_is_wrong_in_capitals() -> None:
    well = {
        "pid": 7, "fleet_n": 3, "site": "north", "connected": True, "journal_position": 41, "journal_refusing": False,
        "draining": False, "clock_step_s": None, "outbox": 0, "http": "http://127.0.0.1:9883",
        "refused": {"telemetry.bad_mac": 2},
        "refused_by_core": {"lease.settings_old": 4}, "undelivered": {"lease.not_connected": 9},
    }  # fmt: skip
    assert status_words(well) == [
        "site north, fleet instance 3, process 7",
        "broker          connected",
        "journal         41 events",
        "sessions        are authorised",
        "outbox          0 messages wait for the broker",
        "http            http://127.0.0.1:9883",
        "refused         telemetry.bad_mac: 2",
        "refused by core lease.settings_old: 4",
        "undelivered     lease.not_connected: 9",
    ]
    told = status_words(
        well | {"connected": False, "journal_refusing": True, "draining": True, "clock_step_s": 5 * 86_400.0}
    )
    assert "clock           it STEPPED 5.0 days ahead: nothing is authorised; see `stimfleet clock`" in told
    assert "broker          NOT connected: nobody is leased" in told
    assert "disk            it REFUSES: nothing is authorised, no receipts; stops still go out" in told
    assert "sessions        draining: nothing new is authorised" in told


def test_an_unconfirmed_stop_says_where_and_what_to_do() -> None:
    body = {"device": "stim-12", "room": "room-4"}
    assert event_words("StopUnconfirmed", body) == "room-4, stim-12: stop NOT confirmed: switch it off at the wall"
