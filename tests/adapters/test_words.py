"""There are plain words for whatever a clinic may see."""

import json
from typing import Any, get_args

import pytest
from pydantic import TypeAdapter

from fleet.core.events import Event
from fleet.core.refusals import Rule
from fleet.words import QUIET, event_words, refusal_words
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


def test_every_event_of_a_long_day_has_words_or_is_the_machinerys_own_business() -> None:
    told = {}
    for event in a_long_day().journal:
        adapter: TypeAdapter[Any] = TypeAdapter(type(event))
        told[type(event).__name__] = event_words(type(event).__name__, json.loads(adapter.dump_json(event)))
    assert told.keys() == {event.__name__ for event in get_args(Event)}
    assert {name for name, words in told.items() if words is None} == QUIET


def test_a_confirmed_stop_says_its_latencies_and_an_unheard_step_says_so() -> None:
    body = {
        "device": "stim-12",
        "amplitude_ma": 0.31,
        "cause_to_sent_s": 0.004,
        "sent_to_received_s": None,
        "sent_to_zero_s": 0.151,
    }
    assert event_words("StopConfirmed", body) == (
        "stim-12: sent after 4 ms, received after not heard, zero current measured (0.31 mA) after 151 ms"
    )


def test_an_unconfirmed_stop_says_where_and_what_to_do() -> None:
    body = {"device": "stim-12", "room": "room-4"}
    assert event_words("StopUnconfirmed", body) == "room-4, stim-12: stop NOT confirmed: switch it off at the wall"
