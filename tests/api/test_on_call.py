"""The rota as it is shown, of a state in which the fleet has taken one."""

import asyncio
from datetime import date
from pathlib import Path

from fleet.adapters.journal.rows import Tip
from fleet.api import on_call
from fleet.api.sight import Sight
from fleet.api.window import Window
from fleet.core.alarm_events import Priority
from fleet.core.alarm_inputs import RotaChanged
from fleet.core.decide import decide
from fleet.core.inputs import TookOver
from fleet.core.rota import Method, Person, Rota, Rotation
from fleet.core.state import State
from fleet.replica import Replica

NOON_S = 1_795_608_000.0
WEEK = Rotation(rotation="week", people=("anna",), first_day=date(2026, 11, 2), hand_over_local_min=480)
MAIL = Method(method="mail", kind="apprise", priorities=(Priority.HIGH,))
ROTA = Rota(
    people={"anna": Person(person="anna", name="Anna K.", methods=(MAIL,))},
    rotations={"week": WEEK},
    rungs={Priority.HIGH: (("week",), ("anna",))},
)


async def test_who_is_on_call_and_how_to_reach_them() -> None:
    state = State()
    decide(state, TookOver("boot", 10.0, NOON_S))
    decide(state, RotaChanged(ROTA, 11.0, NOON_S))
    sight = Sight("north", False, lambda: 20.0, lambda: NOON_S, Window(1), looked=asyncio.Event())
    sight.replica = Replica(Path("journal.db"), state, Tip())
    shown = on_call.Rota.model_validate(await on_call.show_rota(sight, None))  # type: ignore[arg-type] # anybody
    assert shown.on_call == {"week": "anna"}
    assert shown.rungs == {"high": [["week"], ["anna"]]}
    people = on_call.People.model_validate(await on_call.show_people(sight, None))  # type: ignore[arg-type] # anybody
    (person,) = people.people
    assert (person.person, person.name) == ("anna", "Anna K.")
    assert [(way.method, way.priorities, way.last_proven, way.failed) for way in person.methods] == [
        ("mail", ["high"], None, None)
    ]
