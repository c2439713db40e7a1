"""A journal that an older program wrote is read: what it could not say yet has the meaning that it had then."""

import json
from typing import Any

import pytest

from broker.contract.dose import DOSE_RULES
from fleet.adapters.journal.errors import JournalCorrupt, UnknownStored
from fleet.core.events import RegistryAdopted, SessionAuthorised, SessionRefused
from fleet.core.evolve import evolve
from fleet.core.state import State
from fleet.stored import FORMS
from tests.core.long_day import a_long_day

REFUSED_AS_WRITTEN_IN_VERSION_1 = b"""{"now_s":100.5,"wall_s":1795348800.5,"request_id":"r-1","client":"c-4711",
"device":"stim-12","operator":"ada","screened":{"outcome":"passed","rule_set":"rules-1","at_wall_s":1795345200.0,
"override_by":null},"refusals":[{"rule":"draining","layer":"fleet","quantity":null,"value":null,"limit":null}]}"""


def as_version_1(event: Any) -> tuple[str, int, bytes]:
    """An event as the first version wrote it."""
    name, version, body = FORMS.dump(event)
    document = json.loads(body)
    if isinstance(event, RegistryAdopted):
        del document["registry"]["clinic"]["time_zone"], document["registry"]["clinic"]["dose"]
    elif isinstance(event, SessionAuthorised):
        del document["issued_by"]
    elif isinstance(event, SessionRefused):
        del document["issued_by"]
        for refusal in document["refusals"]:
            del refusal["again_on"]
    else:
        return name, version, body
    return name, 1, json.dumps(document).encode()


def test_a_refusal_from_before_it_said_from_when_on() -> None:
    event = FORMS.load(1, "SessionRefused", 1, REFUSED_AS_WRITTEN_IN_VERSION_1)
    assert isinstance(event, SessionRefused)
    assert [(refusal.rule.value, refusal.again_on) for refusal in event.refusals] == [("draining", None)]
    assert event.issued_by is None


def test_a_whole_journal_of_the_first_version_leads_to_the_same_state() -> None:
    day, folded = a_long_day(), State()
    older = [as_version_1(event) for event in day.journal]
    assert {name for name, version, _ in older if version == 1} >= {
        "RegistryAdopted",
        "SessionAuthorised",
        "SessionRefused",
    }
    for position, (name, version, body) in enumerate(older, start=1):
        evolve(folded, FORMS.load(position, name, version, body))
    clinic = folded.durable.registry.clinic
    assert (clinic.time_zone, clinic.dose) == ("UTC", DOSE_RULES)
    assert folded.durable == day.state.durable


@pytest.mark.parametrize(
    ("version", "wrong"), [(1, JournalCorrupt), (2, JournalCorrupt), (3, JournalCorrupt), (4, UnknownStored)]
)
def test_what_no_version_wrote_is_not_read(version: int, wrong: type[Exception]) -> None:
    surprise = REFUSED_AS_WRITTEN_IN_VERSION_1.replace(b'"client"', b'"surprise":1,"client"')
    with pytest.raises(wrong):
        FORMS.load(7, "SessionRefused", version, surprise)
