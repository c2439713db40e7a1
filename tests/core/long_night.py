"""What follows a long day: people on call, and everything that they and whoever delivers may say."""

from fleet.core import alarm_inputs as asks
from tests.core.clinic import HOUR_S
from tests.core.on_call import ROTA, OnCall


def a_long_night(clinic: OnCall) -> None:
    """Every kind of event about people and messages happens: A04 and A09 are open."""
    clinic.hears(asks.RotaChanged(ROTA, clinic.now_s, clinic.wall_s))
    clinic.after(121.0)
    clinic.delivered("anna")
    clinic.failed("ben")
    clinic.acknowledges("A09")
    clinic.after(601.0)
    clinic.accepts("A09")
    clinic.rejects("A09")
    clinic.comments("A09", "somebody has pulled a plug")
    clinic.shelves("A04", HOUR_S)
    clinic.unshelves("A04")
    clinic.drills("anna")
    drill = next(iter(clinic.state.durable.drills))
    clinic.answers(drill)
    clinic.after(601.0)
    clinic.changes_device("stim-7", due_wall_s=clinic.wall_s + HOUR_S)
    clinic.after(61.0)
