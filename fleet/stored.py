"""What the journal of a fleet stores: its events in every version that was ever written, and the state's snapshot.

A class of event whose fields change gets a higher `version`, and its old form a row in `OLDER` that says how what was
written then reads now. tests/journal/test_golden.py holds this to journals that were written before.
"""

from fleet.adapters.journal.forms import Form, Forms, grown
from fleet.adapters.journal.restore import Fold
from fleet.adapters.journal.writer import Journal
from fleet.core.events import ChannelProven, Event, RegistryAdopted, SessionAuthorised, SessionRefused
from fleet.core.evolve import evolve
from fleet.core.state import Durable, State, restored

# What each meant when it was written: `grown(TheEvent, 1)` where it only lacked fields that have a default now, else
# Form(TheEvent, "TheEvent", 1, upgrade=...), which takes its parsed JSON.
OLDER: tuple[Form, ...] = (
    grown(SessionRefused, 1),  # before a refusal said from when on (`again_on`)
    grown(SessionRefused, 2),  # before a request said who asked (`issued_by`)
    grown(SessionAuthorised, 1),
    grown(RegistryAdopted, 1),  # before a clinic had its time zone and its dose rules
    grown(RegistryAdopted, 2),  # before devices had checks and a firmware that they need
    grown(ChannelProven, 1),  # before it said who answered (`issued_by`)
)

FleetJournal = Journal[State, Durable]
FORMS = Forms.of(Event, OLDER)
FOLD: Fold[State, Durable] = Fold(State, evolve, FORMS, Durable, restored)
