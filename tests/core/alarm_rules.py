"""What must be true of alarms after every decision, worked out from the state without asking the code that raises them.

What must be open is: so it was raised in time, and was not cleared while it lasts.
"""

from collections import Counter
from dataclasses import dataclass, field

from broker.contract.causes import CONSEQUENCES, Cause
from broker.contract.messages import EventKind
from broker.contract.topics import ALL
from fleet.core import events
from fleet.core.decide import Decision
from fleet.core.events import SessionState
from fleet.core.state import State

NEVER_GROUPED = {"A01", "A02", "A03"}
Place = tuple[str, str]  # code, device


@dataclass
class AlarmRules:
    """Keeps its own record of what each device last said that it is latched for."""

    latched: dict[str, Cause | None] = field(default_factory=dict)
    failing_s: float | None = None  # since when the store of the samples has been in trouble

    def check(self, state: State, decision: Decision) -> None:
        """After a decision."""
        for event in decision.events:
            match event:
                case events.DeviceBorn(device=device, birth=birth):
                    self.latched[device] = birth.latched
                case events.DeviceEnrolled(device=device):
                    self.latched[device] = None
                case events.DeviceReported(device=device, event=said) if said.kind is EventKind.LATCH_RESET:
                    self.latched[device] = None
                case events.StoreFailed(now_s=now_s):
                    self.failing_s = now_s if self.failing_s is None else self.failing_s
                case events.StoreTook() | events.RecorderEnded():
                    self.failing_s = None
                case events.FleetTookOver(now_s=now_s):
                    self.failing_s = None if self.failing_s is None else now_s  # it may be another boot of the host
                case _:
                    pass
        found = open_alarms(state)
        assert max(found.values(), default=1) == 1, "one open alarm for a device and a code"
        assert self.must_be_open(state) <= set(found)
        for alarm in state.durable.alarms.values():
            assert not alarm.members or alarm.code not in NEVER_GROUPED
            assert alarm.device is None or not alarm.members
        assert "c-47" not in repr([event for event in decision.events if type(event).__name__.startswith("Alarm")])

    def must_be_open(self, state: State) -> set[Place]:
        durable = state.durable
        must: set[Place] = set()
        for stop in durable.stops.values():
            for name, pursuit in stop.pursuits.items():
                if pursuit.unconfirmed:
                    must.add(("A01", name))
                if stop.device == name and name in durable.registry.devices:
                    must.add(("A03" if stop.stop.cause is Cause.EMERGENCY_STOP else "A02", name))
        for where, holds in durable.holds.items():
            if where == ALL or where in durable.registry.devices:
                must |= {("A03" if hold.stop.cause is Cause.EMERGENCY_STOP else "A02", where) for hold in holds}
        for session in durable.sessions.values():
            if session.state is SessionState.LOST:
                must.add(("A04", session.device))
        for name, cause in self.latched.items():
            registered = durable.registry.devices.get(name)
            if cause is not None and registered is not None and not registered.struck_off:
                code = CONSEQUENCES[cause].alarm
                assert code is not None
                must.add(("A02" if code == "A01" else code, name))
        # A minute, and the second within which alarms are looked at.
        if self.failing_s is not None and state.fleeting.alarms_looked_s - self.failing_s >= 61.0:
            must.add(("A13", ALL))
        return must


def open_alarms(state: State) -> Counter[Place]:
    """Every device, or the site, with each code that is open for it: alone or in a group."""
    return Counter(
        (str(alarm.code), place)
        for alarm in state.durable.alarms.values()
        for place in (alarm.members or (alarm.device or ALL,))
    )
