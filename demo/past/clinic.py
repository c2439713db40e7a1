"""The clinic of the past in virtual time: devices that speak, and the fleet's own core, which decides everything.

No event is written by hand: `decide` is fed what a fleet would have heard, at the times at which it would have, and
what it decides is what the journal has. What the core asks for is performed by the devices here: they obey.
Between two moments at which something happens nothing is computed, however many hours lie there.
"""

import hashlib
import heapq
import itertools
import random
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Final, assert_never

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.messages import AckStatus, EventKind, HoldChanged, Scope, Uplink
from broker.wire.codec import encode
from demo.past.device import LIVE_PERIOD_S, PastDevice, wall_time
from demo.past.rollups import PastRollups, Span
from fleet.core import effects, inputs
from fleet.core.alarm_inputs import PagerAlive, RotaChanged
from fleet.core.decide import decide
from fleet.core.events import Event
from fleet.core.registry import Registry
from fleet.core.rota import Rota
from fleet.core.state import State
from fleet.reports.usage_ledger import SIMULATED

UP_S: Final = 3600.0  # the host was up for so long when the past begins
ANSWERS_S: Final = 0.05  # a device, on a good link

Journaled = Callable[[float, Sequence[Event]], None]  # wall time, and what was decided
Course = Iterator[float]  # what somebody does, step by step: yields the seconds until the next


class PastClinic:
    """Devices, fleet and the clock on the wall. `step` until nothing is left to happen."""

    def __init__(
        self,
        registry: Registry,
        begins_wall_s: float,
        seed: int,
        journaled: Journaled,
        rollups: PastRollups | None = None,
    ) -> None:
        self.state = State()
        self.wall_s = begins_wall_s
        self.registry = registry
        self.devices = {
            name: PastDevice(
                name=name, serial=one.serial, model=one.model, chance=random.Random(f"past device/{seed}/{name}")
            )
            for name, one in registry.devices.items()
        }
        self._begins_wall_s = begins_wall_s
        self._journaled = journaled
        self._rollups = rollups
        self._to_come: list[tuple[float, int, Course]] = []
        self._n = itertools.count()
        self._answers: dict[str, effects.Reply] = {}
        self._requests = itertools.count(1)

    # --- time -------------------------------------------------------------------------------------------------------

    @property
    def now_s(self) -> float:
        """Boot time of the fleet's host."""
        return self.wall_s - self._begins_wall_s + UP_S

    def at(self, wall_s: float, course: Course) -> None:
        """Let somebody begin then."""
        heapq.heappush(self._to_come, (wall_s, next(self._n), course))

    def step(self) -> bool:
        """Go to the next moment at which something happens; False: nothing will any more."""
        if not self._to_come:
            return False
        due_s, _, course = heapq.heappop(self._to_come)
        self.wall_s = max(self.wall_s, due_s)
        pause_s = next(course, None)
        if pause_s is not None:
            self.at(self.wall_s + pause_s, course)
        return True

    def _after(self, seconds: float, do: Callable[[], None]) -> None:
        def once() -> Course:
            do()
            yield from ()

        self.at(self.wall_s + seconds, once())

    # --- the fleet --------------------------------------------------------------------------------------------------

    def takes_over(self, instance: int) -> None:
        """The fleet starts: what is in no event is forgotten."""
        self.state = State(durable=self.state.durable)
        self.hears(inputs.TookOver(f"{SIMULATED}-{instance}", self.now_s, self.wall_s))

    def adopts(self, registry: Registry) -> None:
        self.registry = registry
        self.hears(inputs.RegistryChanged(registry, self.now_s, self.wall_s))

    def puts_on_call(self, rota: Rota | None) -> None:
        """From now on, and somebody who tells them."""
        self.hears(RotaChanged(rota, self.now_s, self.wall_s))
        self.asks(
            lambda request_id: PagerAlive(request_id=request_id, now_s=self.now_s, wall_s=self.wall_s, heartbeat=None)
        )

    def hears(self, heard: inputs.Input) -> None:
        """One input, decided, journaled, performed."""
        decision = decide(self.state, heard)
        if decision.events:
            self._journaled(self.wall_s, decision.events)
        for effect in (*decision.at_once, *decision.after_commit):
            self._perform(effect)

    def asks(self, request: Callable[[str], inputs.Input]) -> effects.Reply:
        """Somebody asks; the answer."""
        request_id = f"past-{next(self._requests)}"
        self.hears(request(request_id))
        return self._answers.pop(request_id)

    def looks_around(self) -> None:
        """Every device that talks shows how it is, then the fleet looks at all of them."""
        for device in self.devices.values():
            self.shows(device)
        self.hears(inputs.Tick(self.now_s, self.wall_s))

    # --- the devices ------------------------------------------------------------------------------------------------

    def says(self, device: PastDevice, message: Uplink) -> None:
        if device.talks:
            self.hears(inputs.Received(device.name, message, self.now_s, self.wall_s))

    def shows(self, device: PastDevice) -> None:
        """Its sample of this moment."""
        if not device.talks:
            return
        before, since_seq = device.shown, device.seq
        sample = device.sample(self.wall_s)
        device.shown = self.wall_s, sample
        if self._rollups is not None:
            if before is None:
                self._rollups.first(device.name, self.wall_s, sample)
            else:
                self._rollups.between(
                    Span(
                        device=device.name,
                        since_wall_s=before[0],
                        wall_s=self.wall_s,
                        since_seq=since_seq,
                        before=before[1],
                        sample=sample,
                        plan=device.plan,
                    )
                )
        self.says(device, sample)

    def is_born(self, device: PastDevice) -> None:
        self.says(device, device.birth(self.wall_s))

    def boots(self, device: PastDevice) -> None:
        device.boots(self.wall_s)
        self.is_born(device)
        self.shows(device)

    def _perform(self, effect: effects.AtOnce | effects.AfterCommit) -> None:
        match effect:
            case effects.SendLease() | effects.Count() | effects.SendReceipt():
                pass  # the samples here are minutes apart; receipts are obeyed by forgetting
            case effects.SendStop(name, message):
                self._stops(name, message)
            case effects.SendCancel(name, message):
                self._after(ANSWERS_S, partial(self._cancelled, self.devices[name], message))
            case effects.SendAuthorisation(name, message):
                self._after(ANSWERS_S, partial(self._accepts, self.devices[name], message))
            case effects.SendRelease(name, message):
                self._after(ANSWERS_S, partial(self._lifts, self.devices[name], message))
            case effects.SendSettings(name, message):
                self._after(ANSWERS_S, partial(self._takes_settings, self.devices[name], message))
            case effects.ClearRetained(name, command_id):
                self.hears(inputs.StopCleared(name, command_id, self.now_s, self.wall_s))
            case effects.Answer(request_id, reply):
                self._answers[request_id] = reply
            case _:
                assert_never(effect)

    def _ack(self, device: PastDevice, command_id: str, status: AckStatus, amplitude_ma: float | None = None) -> None:
        at = wall_time(self.wall_s)
        self.says(device, messages.Ack(device.boot_n, command_id, status, None, amplitude_ma, at))

    def _accepts(self, device: PastDevice, message: messages.Authorisation) -> None:
        if device.session_id is None and device.talks:
            device.gets_ready(message.session_id, message.plan)
            self._ack(device, message.command_id, AckStatus.DONE)
            self.shows(device)

    def _cancelled(self, device: PastDevice, message: messages.Cancel) -> None:
        if device.session_id == message.session_id:
            device.is_at_rest()
            self._ack(device, message.command_id, AckStatus.DONE)
            self.shows(device)

    def _takes_settings(self, device: PastDevice, message: messages.Settings) -> None:
        device.settings, device.fleet_n = message, self.state.fleet_n
        self.is_born(device)
        self.shows(device)

    def _stops(self, name: str, message: messages.Stop) -> None:
        """The broker takes it in some milliseconds; the device obeys at once, and measures zero."""
        hold_id = hashlib.sha256(encode(message)).hexdigest()[:16] if message.hold else None

        def sent() -> None:
            self.hears(inputs.StopSent(message.command_id, hold_id, self.now_s, self.wall_s))

        device = self.devices[name]
        arrives_s = 0.012 + device.chance.uniform(0.0, 0.02)
        self._after(0.004, sent)
        self._after(arrives_s, lambda: self._ack(device, message.command_id, AckStatus.RECEIVED))
        self._after(arrives_s + 0.105, lambda: self._obeys(device, message, hold_id))

    def _obeys(self, device: PastDevice, message: messages.Stop, hold_id: str | None) -> None:
        if hold_id is not None:
            device.holds = (*device.holds, hold_id)
            self.reports(device, EventKind.HOLD_SET, None, HoldChanged(Scope.DEVICE, hold_id))
        self.latches(device, message.cause)
        self._ack(device, message.command_id, AckStatus.DONE, 0.1)

    def _lifts(self, device: PastDevice, message: messages.Release) -> None:
        if device.holds:
            device.holds = tuple(hold for hold in device.holds if hold not in message.holds)
            self.reports(device, EventKind.HOLD_LIFTED, None, HoldChanged(Scope.DEVICE, message.holds[0]))
            self._ack(device, message.command_id, AckStatus.DONE)
            self.is_born(device)

    # --- what happens at a device -----------------------------------------------------------------------------------

    def reports(
        self, device: PastDevice, kind: EventKind, cause: Cause | None = None, detail: messages.Detail | None = None
    ) -> None:
        """An event of its spool: told now, or when the link carries again."""
        event = device.event(self.wall_s, kind, cause, detail)
        if device.talks:
            self.says(device, event)
        else:
            device.unsent.append(event)

    def link_returns(self, device: PastDevice) -> None:
        device.talks = True
        if device.shown is not None:  # what it took meanwhile is not sent afterwards here
            device.seq += round((self.wall_s - device.shown[0]) / LIVE_PERIOD_S)
            device.shown = None
        self.is_born(device)
        for event in device.unsent:
            self.says(device, event)
        device.unsent.clear()
        self.shows(device)

    def ends(self, device: PastDevice, cause: Cause, level_ma: float) -> None:
        """The session is over, with its numbers; latched if it is."""
        self.reports(device, EventKind.SESSION_ENDED, cause, device.numbers(level_ma))
        device.is_at_rest()
        self.shows(device)

    def latches(self, device: PastDevice, cause: Cause) -> None:
        """At zero, latched; a session that is on ends by it."""
        level_ma, is_on = device.setting_ma, device.session_id is not None
        device.latched = cause
        self.reports(device, EventKind.LATCHED, cause)
        if is_on:
            self.ends(device, cause, level_ma)
        self.is_born(device)

    def resets(self, device: PastDevice) -> None:
        """A person at the device."""
        device.latched = None
        device.is_at_rest()
        self.reports(device, EventKind.LATCH_RESET)
        self.is_born(device)
        self.shows(device)
