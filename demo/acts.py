"""The incidents of a demo, acted out on a real clinic, and written down for the observer by the one who does it."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final

from agents.simulation.trace import read_trace
from demo.asking import Unanswered
from demo.clinic import Clinic
from demo.day import TOO_DENSE, Button, Visit
from demo.evidence import CutOff, Gone, Pushed, Released, Suffered
from demo.incidents import CLOSES_S, DEMO_PLAN, TARGET_MA, Incident, Kind
from demo.people import House, Therapist
from demo.telling import Narrator, Voice
from fleet.core.screening import Contraindication
from fleet.words.events import milliseconds

ASKS_S: Final = 0.02
STAYS_UP_S: Final = 3.0  # what happens in an ON phase needs no more
ZERO_WITHIN_S: Final = 10.0
BACK_WITHIN_S: Final = 20.0
A_MOMENT_S: Final = 1.0


class DidNotCome(Exception):
    """What an incident waits for did not come about; the text says what."""


@dataclass(slots=True)
class Record:
    """What was done to the clinic."""

    suffered: list[Suffered] = field(default_factory=list)
    cut_off: list[CutOff] = field(default_factory=list)
    gone: list[Gone] = field(default_factory=list)
    pushed: list[Pushed] = field(default_factory=list)
    released: list[Released] = field(default_factory=list)
    happened: list[Kind] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Acts:
    """Acts out one incident after its time has come, and waits until it has come to rest."""

    clinic: Clinic
    house: House
    therapists: dict[str, Therapist]
    voice: Voice
    narrator: Narrator
    closes_s: float  # boot time
    record: Record = field(default_factory=Record)

    async def act(self, incident: Incident, began_s: float) -> None:
        """One that does not come about is left out, and said to be."""
        if not await self.house.pause(began_s + incident.at_s - self.house.boottime_s()):
            return
        acts = {
            Kind.CONTRAINDICATION: self._contraindication,
            Kind.EXCESS_DENSITY: self._excess_density,
            Kind.TOO_EARLY: self._too_early,
            Kind.STOP_PUSHED: self._stop_pushed,
            Kind.ELECTRODE_LIFTS: self._electrode_lifts,
            Kind.LINK_CUT: self._link_cut,
            Kind.AGENT_KILLED: self._agent_killed,
            Kind.OVER_LIMIT: self._over_limit,
            Kind.OUTPUT_STUCK: self._output_stuck,
        }
        try:
            await acts[incident.kind](incident)
            self.record.happened.append(incident.kind)
        except DidNotCome as why:
            self.record.left_out.append(f"{incident.kind.replace('_', ' ')} at {incident.device}: {why}")
            self.voice.say(f"    left out: {self.record.left_out[-1]}")

    # --- requests that are refused ----------------------------------------------------------------------------------

    async def _contraindication(self, incident: Incident) -> None:
        self.voice.act(f"A therapist asks for {incident.device}, for a client with a pacemaker.")
        await self._refused(replace(_visit(incident), findings=(Contraindication.IMPLANTED_DEVICE,)))

    async def _excess_density(self, incident: Incident) -> None:
        self.voice.act(f"Another asks for {incident.device}, much too strong for a small pad.")
        await self._refused(replace(_visit(incident), plan=TOO_DENSE))

    async def _too_early(self, incident: Incident) -> None:
        self.voice.act(
            f"A client who is being treated is announced at {incident.device} as well: one session at a time, and rest "
            "in between."
        )
        await self._refused(_visit(incident))

    async def _refused(self, visit: Visit) -> None:
        answer = await self.therapists[visit.device].request(visit)
        if answer["ok"] or "refusals" not in answer:
            raise DidNotCome("it was not refused" if answer["ok"] else answer["text"])

    # --- at a device in a session -----------------------------------------------------------------------------------

    async def _stop_pushed(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        self.voice.act(f"Somebody at a screen sees something wrong and pushes a stop for {device}.")
        at_s = self.house.boottime_s()
        self.record.pushed.append(Pushed(device, at_s))
        answer = await self._ask_fleet(op="stop", device=device, issued_by="front-desk", reason="patient called")
        zero_s = await self._zero(device)
        confirmed = await self._until(
            "the stop is confirmed", lambda: self.narrator.confirmed.get((answer["command_id"], device)), ZERO_WITHIN_S
        )
        self.voice.say(
            f"    {device}: confirmed at measured zero {milliseconds(confirmed['sent_to_zero_s'])} after sending; the "
            f"true output was zero {milliseconds(zero_s - at_s)} after the push"
        )
        await self.house.pause(A_MOMENT_S)
        self.voice.say(f"The hold on {device} is released. That starts nothing: the latch waits for a person there.")
        self.record.released.append(Released(device, self.house.boottime_s()))
        await self._ask_fleet(op="release", device=device, issued_by="front-desk")

    async def _electrode_lifts(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        self.voice.act(f"An electrode lifts at {device}.")
        at_s = await self._suffer(device, "electrode_lifts")
        zero_s = await self._zero(device)
        self.voice.say(
            f"    {device}: paused, true output zero {milliseconds(zero_s - at_s)} after the pad came off; the "
            "therapist presses it on and resumes at 0 mA"
        )
        await asyncio.to_thread(self.clinic.heal, device, "electrode_lifts")

    async def _over_limit(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        self.voice.act(f"The output stage of {device} goes wrong: it gives half as much again as was ordered.")
        at_s = await self._suffer(device, "output_above", size=1.5)
        zero_s = await self._zero(device)
        trace = await asyncio.to_thread(read_trace, self.clinic.trace_dir / f"{device}.csv")
        self.voice.say(
            f"    {device}: {trace.peak(at_s, zero_s):.1f} mA flowed at most; zero {milliseconds(zero_s - at_s)} after "
            "it began"
        )
        await asyncio.to_thread(self.clinic.heal, device, "output_above")

    async def _output_stuck(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        self.voice.act(f"The output of {device} sticks; the therapist presses pause, and it does not go down.")
        await self._suffer(device, "output_stuck")
        at_s = self.house.boottime_s()
        taken, words = await self.therapists[device].press(Button.PAUSE)
        if not taken:
            raise DidNotCome(words)
        zero_s = await self._zero(device)
        self.voice.say(
            f"    {device}: it was ordered to zero and did not follow; the relay opened, zero "
            f"{milliseconds(zero_s - at_s)} after the pause"
        )

    async def _link_cut(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        self.voice.act(f"The link of {device} is cut: no sample, no lease.")
        at_s = await self._suffer(device, "link_cut")
        try:
            zero_s = await self._zero(device)
            self.voice.say(
                f"    {device}: nobody had to do anything; true output zero {zero_s - at_s:.1f} s after the cut"
            )
            await self.house.pause(A_MOMENT_S)
        finally:
            self.record.cut_off.append(CutOff(device, at_s, self.house.boottime_s()))
            await asyncio.to_thread(self.clinic.heal, device, "link_cut")
        self.voice.say(f"The link of {device} is mended: what happened meanwhile is told now.")

    async def _agent_killed(self, incident: Incident) -> None:
        device = incident.device
        await self._flows(device)
        agent = self.clinic.agents[device]
        self.voice.act(f"The agent beside {device} is killed in the middle of the session.")
        agent.send(signal.SIGKILL)
        at_s = self.house.boottime_s()
        agent.kill()
        self.record.gone.append(Gone(device, at_s))
        zero_s = await self._zero(device)
        self.voice.say(
            f"    {device}: the stimulator's own watchdog ended output {milliseconds(zero_s - at_s)} after the kill; "
            "the agent is started again, and comes up latched"
        )
        agent.start()
        await self._until("it comes up latched", lambda: self._phase(device) == "latched", BACK_WITHIN_S)

    # --- waiting ----------------------------------------------------------------------------------------------------

    async def _flows(self, device: str) -> None:
        """Wait for the strength that was aimed at, early in an ON phase, while there is time for what is to happen."""
        left_s = self.closes_s - CLOSES_S - self.house.boottime_s()
        await self._until("no current flowed in time", lambda: self._is_up(device), left_s)

    def _is_up(self, device: str) -> bool:
        """By what really flows, and by when a person began: the cycle begins anew with each start and resume."""
        begun_s = [
            press.sent_s
            for press in self.house.presses
            if press.device == device and press.accepted and press.button in {Button.START, Button.RESUME}
        ]
        if not begun_s or self._true_ma(device) <= 0.9 * TARGET_MA:
            return False
        plan = DEMO_PLAN
        into_s = (self.house.boottime_s() - begun_s[-1]) % (plan.ramp_up_s + plan.on_s + plan.ramp_down_s + plan.off_s)
        return into_s < plan.ramp_up_s + plan.on_s - STAYS_UP_S

    async def _zero(self, device: str) -> float:
        """Wait until nothing flows; the boot time since which nothing has."""
        await self._until("zero at the stimulator", lambda: self._true_ma(device) == 0.0, ZERO_WITHIN_S)
        return float((await asyncio.to_thread(self.clinic.truth, device))["zero_since_s"])

    async def _until(self, what: str, ask: Callable[[], Any], within_s: float) -> Any:
        """The first true answer of `ask`, asked in a thread.

        Raises:
            DidNotCome: there is none in time.
        """
        give_up_s = self.house.boottime_s() + within_s
        while not (answer := await asyncio.to_thread(ask)):
            if self.house.boottime_s() > give_up_s:
                raise DidNotCome(what)
            await asyncio.sleep(ASKS_S)  # the state of other processes: it can only be asked
        return answer

    def _true_ma(self, device: str) -> float:
        return float(self.clinic.truth(device)["true_ma"])

    def _phase(self, device: str) -> str | None:
        phase: str | None = self.clinic.device(device)["phase"]
        return phase

    async def _suffer(self, device: str, kind: str, **size: float) -> float:
        """Inject a fault; the boot time from which it is there, by the bench."""
        at_s = await asyncio.to_thread(lambda: self.clinic.suffer(device, kind=kind, **size))
        if kind != "link_cut":
            self.record.suffered.append(Suffered(device, kind, at_s))
        return at_s

    async def _ask_fleet(self, **request: Any) -> dict[str, Any]:
        try:
            answer = await self.house.ask_fleet(**request)
        except Unanswered as unanswered:
            raise DidNotCome(str(unanswered)) from unanswered
        if not answer["ok"]:
            raise DidNotCome(answer["text"])
        return answer


def _visit(incident: Incident) -> Visit:
    return Visit(at_s=incident.at_s, device=incident.device, client=incident.client, plan=DEMO_PLAN)
