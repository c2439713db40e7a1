"""A day on which everything happens: for tests that must not forget an event."""

from dataclasses import replace

from broker.contract.causes import Cause
from broker.contract.messages import Ack as AckMessage
from broker.contract.messages import AckStatus, CommandRefusal, EventKind, HoldChanged, Holds, Phase, Scope
from fleet.core import inputs
from fleet.core.store_events import StoreTrouble
from tests.core.clinic import WALL, Clinic
from tests.core.long_night import a_long_night
from tests.core.on_call import OnCall


def a_long_day() -> Clinic:
    """A clinic in which every kind of event has happened."""
    clinic = OnCall(rota=None)
    clinic.store_says(StoreTrouble.WAITS)
    clinic.store_says(None)
    clinic.recorder_ends()
    stim = clinic.stims["stim-12"]
    clinic.asks()  # refused
    clinic.running()
    clinic.shows("stim-12", boot_n=3)
    clinic.shows("stim-12", amplitude_ma=60.0)
    command_id = next(iter(clinic.state.durable.stops))
    clinic.after(5.0)
    clinic.sent(command_id, "a" * 16)
    clinic.says("stim-12", AckMessage(7, command_id, AckStatus.RECEIVED, None, None, WALL))
    clinic.latches(cause=Cause.RULE_STOP)
    stim.holds = Holds.of(device=("a" * 16,))
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    clinic.says("stim-12", stim.ended(Cause.RULE_STOP, clinic.session_on().session_id))
    held = stim.event(EventKind.HOLD_SET, None, HoldChanged(Scope.DEVICE, "a" * 16))
    clinic.says("stim-12", held)
    clinic.hears(inputs.Unreadable("stim-12", None, 40, "9" * 64, clinic.now_s, clinic.wall_s))
    clinic.releases()
    clinic.cleared()
    stim.holds, stim.latched, stim.phase, stim.oldest_n, stim.fleet_n = Holds.of(), None, Phase.IDLE, 9, 30
    clinic.says("stim-12", stim.birth())
    clinic.shows("stim-12")
    clinic.authorised(client="c-4713", request_id="r3")
    clinic.cancels()
    stim.phase, stim.session_id = Phase.IDLE, None
    clinic.shows("stim-12")
    clinic.armed(client="c-4713", request_id="r10")  # started just before it was cancelled
    clinic.cancels()
    overtaken = clinic.session_on().cancel_id
    assert overtaken is not None
    running = CommandRefusal.ALREADY_RUNNING
    clinic.says("stim-12", AckMessage(7, overtaken, AckStatus.REFUSED, running, None, WALL))
    stim.event_n = 41
    clinic.says("stim-12", stim.ended(Cause.COMPLETED))
    stim.phase, stim.session_id = Phase.IDLE, None
    clinic.shows("stim-12")
    clinic.asks(client="c-4714", request_id="r5")
    declined = clinic.session_on().authorisation.command_id
    clinic.says("stim-12", AckMessage(7, declined, AckStatus.REFUSED, None, None, WALL))
    clinic.shows("stim-12")
    clinic.asks(client="c-4714", request_id="r6")
    clinic.now_s += 200.0
    clinic.after(0.0)
    clinic.now_s += 5.0
    clinic.running("stim-7", client="c-4712", request_id="r7")
    for battery_pct in (15.0, 9.0):
        clinic.shows("stim-7", battery_pct=battery_pct)
        clinic.after(1.0)
    for _ in range(10):
        clinic.shows("stim-7", amplitude_ma=20.0, impedance_ohm=700.0)
    clinic.after(40.0)
    clinic.pushes_stop("stim-9")
    clinic.pushes_stop("stim-9")
    clinic.shows("stim-12", amplitude_ma=9.0)
    clinic.now_s += 3.0
    clinic.shows("stim-12", amplitude_ma=9.0)
    clinic.hears(inputs.Drain(request_id="r8", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s))
    clinic.hears(inputs.Undrain(request_id="r9", issued_by="ada", now_s=clinic.now_s, wall_s=clinic.wall_s))
    stim.event_n = 50
    latched = stim.event(EventKind.LATCHED)
    clinic.says("stim-12", latched)
    clinic.says("stim-12", replace(latched, event_id="e" * 32))
    clinic.shows("stim-12")
    clinic.pushes_stop("stim-12")
    clinic.shows("stim-12", amplitude_ma=9.0)
    clinic.latches(cause=Cause.OVER_LIMIT)
    clinic.says("stim-12", stim.birth())
    clinic.after(1.0)
    clinic.shows("stim-12")
    clinic.after(1.0)
    a_long_night(clinic)
    _the_clock_steps(clinic)
    return clinic


def _the_clock_steps(clinic: OnCall) -> None:
    """Ahead, and back; ahead again, which is right."""
    clinic.wall_s += 3600.0
    clinic.after(1.0)
    clinic.wall_s -= 3600.0
    clinic.after(1.0)
    clinic.after(60.0)
    clinic.wall_s += 3600.0
    clinic.after(1.0)
    at = {"now_s": clinic.now_s, "wall_s": clinic.wall_s}
    clinic.hears(inputs.AcceptClock(request_id="r10", issued_by="ada", reason="as my phone says", **at))
