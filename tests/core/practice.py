"""A clinic over days: clients who come back, and sessions that are run to their end in one step."""

from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from broker.contract import messages
from broker.contract.causes import Cause
from broker.contract.dose import dose_rules
from broker.contract.messages import AckStatus, CommandRefusal, EventKind, Phase
from broker.contract.plan import Modality, Plan
from fleet.core import inputs
from fleet.core.decide import Decision, decide
from fleet.core.dose import Dose
from fleet.core.effects import Answer, Granted, Refused
from fleet.core.refusals import Refusal
from fleet.core.registry import Clinic as ClinicSettings
from tests.core.clinic import PLAN, WALL, Clinic

DAY_S = 86_400.0
CLIENT = "c-4711"
WHOLE_BODY = replace(PLAN, modality=Modality.WB_EMS, duration_s=720.0)


def lasting(duration_s: float, modality: Modality = Modality.NMES) -> Plan:
    return replace(PLAN, modality=modality, duration_s=duration_s)


class Practice(Clinic):
    """Both stimulators, over weeks. `tighter` are dose rules of the clinic's own, by modality."""

    def __init__(self, time_zone: str = "UTC", **tighter: dict[str, float]) -> None:
        dose = {modality: dose_rules(modality, **tighter.get(modality.value, {})) for modality in Modality}
        super().__init__(settings=ClinicSettings(time_zone=time_zone, dose=dose))
        self.requests = 0

    def decides(self, heard: inputs.Input) -> Decision:
        """Without comparing the whole state each time: the histories of weeks that Hypothesis makes are many."""
        decision = decide(self.state, heard)
        self.journal += decision.events
        return decision

    def at(self, local: str) -> None:
        """The wall clock comes to show this time in the clinic."""
        zone = ZoneInfo(self.registry.clinic.time_zone)
        self.goes_to(datetime.fromisoformat(local).replace(tzinfo=zone).timestamp())

    def days_later(self, days: float) -> None:
        self.now_s += days * DAY_S
        self.wall_s += days * DAY_S

    def asked(
        self, client: str = CLIENT, name: str = "stim-12", plan: Plan = PLAN, *, ready: bool = True
    ) -> tuple[Refusal, ...]:
        """A session is asked for on a device that is ready; empty when it is authorised."""
        if ready:
            self.ready(name)
        self.requests += 1
        room = self.registry.devices[name].room
        asked = self.request(client=client, device=name, room=room, plan=plan, request_id=f"r-{self.requests}")
        (answer,) = [effect for effect in self.decides(asked).after_commit if isinstance(effect, Answer)]
        if isinstance(answer.reply, Granted):
            return ()
        assert isinstance(answer.reply, Refused)
        return answer.reply.refusals

    def why(self, client: str = CLIENT, name: str = "stim-12", plan: Plan = PLAN) -> list[str]:
        """Which rules refuse; empty when it would be authorised. What was authorised is withdrawn again."""
        refused = [refusal.rule.value for refusal in self.asked(client, name, plan)]
        if not refused:
            session_id = self.session_on(name).session_id
            at = {"now_s": self.now_s, "wall_s": self.wall_s}
            self.decides(inputs.CancelSession(request_id="c", session_id=session_id, issued_by="ada", **at))
        return refused

    def begins(self, client: str = CLIENT, name: str = "stim-12", plan: Plan = PLAN) -> str:
        """A session is authorised and runs; its id."""
        refused = self.asked(client, name, plan)
        assert refused == (), refused
        session, stim = self.session_on(name), self.stims[name]
        stim.session_id = session.session_id
        for phase in (Phase.ARMED, Phase.RUNNING):
            stim.phase = phase
            self.shows(name)
        return session.session_id

    def is_idle(self, name: str = "stim-12") -> None:
        stim = self.stims[name]
        stim.phase, stim.session_id, stim.latched, stim.shown = Phase.IDLE, None, None, {}

    def ran(
        self,
        session_id: str,
        on_time_s: float,
        gaps: int = 0,
        *,
        elapsed_s: float | None = None,
        cause: Cause = Cause.COMPLETED,
        name: str = "stim-12",
        charge_uc: float | None = None,
    ) -> list[str]:
        """The device reports the end of a session."""
        elapsed_s = min(on_time_s * 3, 1200.0) if elapsed_s is None else elapsed_s
        charge_uc = (9e4 if on_time_s else 0.0) if charge_uc is None else charge_uc
        numbers = messages.SessionEnded(
            elapsed_s=elapsed_s, on_time_s=on_time_s, peak_ma=31.0, charge_uc=charge_uc, gaps=gaps
        )
        return self.says(name, self.stims[name].event(EventKind.SESSION_ENDED, cause, numbers, session_id))

    def treats(
        self, client: str = CLIENT, name: str = "stim-12", plan: Plan = PLAN, *, on_time_s: float = 390.0
    ) -> str:
        """A whole session: authorised, run, reported, idle again; its id."""
        session_id = self.begins(client, name, plan)
        self.ran(session_id, on_time_s, name=name)
        self.is_idle(name)
        self.shows(name)
        return session_id

    def declines(self) -> None:
        """The device refuses what was authorised there."""
        command_id = self.session_on().authorisation.command_id
        reason = CommandRefusal.OTHER_ROOM
        self.says("stim-12", messages.Ack(7, command_id, AckStatus.REFUSED, reason, None, WALL))

    def had_started(self) -> None:
        """The device refuses a cancel: the session runs."""
        command_id = self.session_on().cancel_id
        assert command_id is not None
        reason = CommandRefusal.ALREADY_RUNNING
        self.says("stim-12", messages.Ack(7, command_id, AckStatus.REFUSED, reason, None, WALL))

    def is_off(self, name: str = "stim-12") -> list[str]:
        """A person at the device says that it is off."""
        at = {"now_s": self.now_s, "wall_s": self.wall_s}
        return self.hears(inputs.ConfirmOff(request_id="off", device=name, issued_by="ada", **at))

    def held(self, client: str = CLIENT) -> tuple[Dose, ...]:
        """What the ledger holds of a client."""
        doses = self.state.durable.doses.get(client)
        return () if doses is None else doses.sessions

    def standing(self, client: str = CLIENT) -> list[str]:
        """What each of a client's sessions is in the ledger."""
        return ["reserved" if not one.settled else "counts" if one.counts else "no" for one in self.held(client)]

    def boots(self, name: str = "stim-12") -> None:
        """The agent starts anew; what it lived through is not reported yet."""
        stim = self.stims[name]
        stim.boot_n += 1
        self.is_idle(name)
        self.says(name, stim.birth())
