"""Scripted people: a therapist at each device, who asks the fleet and presses at the panel, and the front desk.

They use what people use, and see what people see: the fleet's answers, the panel's words. What they pressed and when is
written down by themselves: an observer need not believe any agent about it.
"""

import asyncio
import contextlib
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

from demo.asking import Line, Unanswered, ask
from demo.day import Button, PushedStop, Step, Visit
from fleet.words.events import refusal_words

RULE_SET: Final = "ems-2026-1"
AGAIN_S: Final = 0.3  # a person who is told "not yet" presses again
LOOKS_S: Final = 1.5  # how often a therapist looks at the panel in between
PATIENCE_S: Final = 20.0  # what is not taken within so long is given up
PUTS_BACK_S: Final = 1.5  # a person sees a pad that has come off, and presses it on
STEP_MA: Final = 2.0
RESET: Final = "reset"
STATUS: Final = "status"
HELD: Final = "A hold of the fleet"  # the panel's words for a latch that waits for the front desk
NOT_ANSWERED: Final = "has not answered"  # the panel's words for a control loop that may still take it
# Refusals that mostly pass by themselves, and how often somebody asks again: each refusal is in the journal.
NOT_YET: Final = frozenset({"device_not_fresh", "device_not_idle", "device_settings"})
ASKS_AGAIN_S: Final = 2.0
_WHILE_RUNNING: Final = frozenset({Button.RAISE, Button.LOWER, Button.PAUSE})

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pressed:
    """A press by a person, with boot times of before it and after the answer.

    `accepted` None: there was no answer, and it may have been taken. `by_ma`: of a raise or lower, by how much.
    """

    device: str
    button: str
    sent_s: float
    answered_s: float
    accepted: bool | None
    by_ma: float = 0.0


@dataclass(frozen=True, slots=True)
class House:
    """What people need to know: whom to ask, when it closes. `presses` is their own record."""

    fleet_socket: Path
    operator: str
    boottime_s: Callable[[], float]
    wall_s: Callable[[], float]
    say: Say
    closing: asyncio.Event
    presses: list[Pressed] = field(default_factory=list)

    async def ask_fleet(self, **request: Any) -> dict[str, Any]:
        return await ask(self.fleet_socket, **request)

    async def pause(self, for_s: float) -> bool:
        """A person's pause; False: the house closes."""
        try:
            async with asyncio.timeout(max(0.0, for_s)):
                await self.closing.wait()
        except TimeoutError:
            return True
        return False


@dataclass(frozen=True, slots=True)
class Seen:
    """What the panel says: the phase, and the beginning of the session's id."""

    phase: str
    session: str


class Therapist:
    """The therapist at one device."""

    def __init__(self, house: House, device: str, room: str, panel: Path) -> None:
        self.device = device
        self.out_of_use = False  # an engineer has to come
        self.session_id: str | None = None  # of the client who is being treated
        self._house = house
        self._room = room
        self._panel = Line(panel)
        self._pressing = asyncio.Lock()  # somebody else may press too
        self._treating = asyncio.Lock()
        self._level_ma = 0.0
        self._started = False
        self._looked_s = -math.inf

    async def work(self, visits: Iterable[Visit], began_s: float) -> None:
        """One visit after the other until the house closes; then nothing is left running.

        A device that came up latched is reset first.
        """
        await self._leave_it_idle()
        try:
            for visit in visits:
                left_s = began_s + visit.at_s - self._house.boottime_s()
                if not await self._house.pause(left_s) or self.out_of_use:
                    break
                await self.treat(visit)
        finally:
            self._panel.hang_up()

    async def treat(self, visit: Visit) -> None:
        """From the request to the end, whatever happens in between."""
        async with self._treating:
            answer = await self.request(visit)
            if answer["ok"]:
                await self._treat(answer["session_id"], visit.steps)

    async def treat_for(self, session_id: str, steps: Iterable[Step]) -> None:
        """The same, of a session that somebody at a screen has asked for."""
        async with self._treating:
            await self._treat(session_id, steps)

    async def _treat(self, session_id: str, steps: Iterable[Step]) -> None:
        self.session_id, self._level_ma, self._started = session_id, 0.0, False
        if await self._press_all(steps):
            await self._attend_until_over()
        await self._end_by_hand()
        if not self._started:
            with contextlib.suppress(Unanswered):  # then it expires
                await self._house.ask_fleet(op="session_cancel", session_id=self.session_id, issued_by="therapist")
        await self._leave_it_idle()
        self.session_id = None

    async def request(self, visit: Visit) -> dict[str, Any]:
        """The fleet's answer, told. Where it is only "not yet", ask again."""
        house = self._house
        give_up_s = house.boottime_s() + PATIENCE_S
        answer = await self._request(visit)
        while answer.get("refusals") and {refusal["rule"] for refusal in answer["refusals"]} <= NOT_YET:
            if house.boottime_s() > give_up_s or not await house.pause(ASKS_AGAIN_S):
                break
            answer = await self._request(visit)
        if not answer["ok"]:
            for words in map(refusal_words, answer.get("refusals", ())):
                house.say(f"    {self.device}: refused: {words}")
            if "refusals" not in answer:
                house.say(f"    {self.device}: {answer['text']}")
        return answer

    async def _request(self, visit: Visit) -> dict[str, Any]:
        house = self._house
        try:
            return await house.ask_fleet(
                op="session_request",
                client=visit.client,
                device=self.device,
                room=self._room,
                operator=house.operator,
                plan=asdict(visit.plan),
                screening={"rule_set": RULE_SET, "at_wall_s": house.wall_s(), "findings": visit.findings},
            )
        except Unanswered as unanswered:
            return {"ok": False, "text": f"The fleet: {unanswered}."}

    # --- at the device ----------------------------------------------------------------------------------------------

    async def _press_all(self, steps: Iterable[Step]) -> bool:
        """Whether every step was done."""
        for step in steps:
            until_s = self._house.boottime_s() + step.after_s
            if not await self._attend(until_s) or not await self._press_until_taken(step.press, step.by_ma):
                return False
        return True

    async def _attend_until_over(self) -> None:
        while await self._attend(self._house.boottime_s() + LOOKS_S):
            pass

    async def _attend(self, until_s: float) -> bool:
        """Be there until then, and mend what can be mended; False: the session is over, or the house closes."""
        while (left_s := until_s - self._house.boottime_s()) > 0.0:
            if not await self._house.pause(min(left_s, LOOKS_S)):
                return False
            if self._house.boottime_s() - self._looked_s >= LOOKS_S and not await self._goes_on():
                return False
        return True

    async def _goes_on(self) -> bool:
        """Look at the panel. A session that the device has paused is resumed, and brought back to where it was."""
        seen = await self._look()
        self._looked_s = self._house.boottime_s()
        if seen is None:
            return True  # nobody knows
        if self.session_id is None or not self.session_id.startswith(seen.session):
            return False
        if seen.phase == "paused" and self._level_ma > 0.0:
            return await self._go_on_from_zero()
        return True

    async def _go_on_from_zero(self) -> bool:
        level_ma, self._level_ma = self._level_ma, 0.0
        if not await self._house.pause(PUTS_BACK_S) or not await self._press_until_taken(Button.RESUME):
            return False
        while self._level_ma < level_ma:
            if not await self._press_until_taken(Button.RAISE, min(STEP_MA, level_ma - self._level_ma)):
                return False
        return True

    async def _press_until_taken(self, button: str, by_ma: float = 1.0) -> bool:
        """Press, and again while the device says "not yet"; False: the session is over, or the house closes.

        What is never taken is left out: only a session that does not begin is given up.
        """
        give_up_s = self._house.boottime_s() + PATIENCE_S
        while not (await self.press(button, by_ma))[0]:
            seen = await self._look()
            if seen is not None and (seen.phase == "latched" or (seen.phase == "idle" and button != Button.ARM)):
                return False
            if seen is not None and seen.phase == "paused" and button in _WHILE_RUNNING:
                if not await self._go_on_from_zero():
                    return False
            elif self._house.boottime_s() > give_up_s:
                return button not in {Button.ARM, Button.START}
            elif not await self._house.pause(AGAIN_S):
                return False
        self._remember(button, by_ma)
        return True

    def _remember(self, button: str, by_ma: float) -> None:
        """What this person has brought the setting to."""
        if button == Button.RAISE:
            self._level_ma += by_ma
        elif button == Button.LOWER:
            self._level_ma = max(0.0, self._level_ma - by_ma)
        elif button == Button.PAUSE:
            self._level_ma = 0.0
        elif button == Button.START:
            self._started = True

    async def press(self, button: str, by_ma: float = 1.0) -> tuple[bool, str]:
        """Press once: whether it was taken, and the panel's words."""
        request: dict[str, Any] = {"do": button}
        step_ma = by_ma if button in {Button.RAISE, Button.LOWER} else 0.0
        if step_ma:
            request["step_ma"] = step_ma
        async with self._pressing:
            sent_s = self._house.boottime_s()
            try:
                answer = await self._panel.ask(**request)
            except Unanswered as unanswered:
                self._write_down(button, sent_s, None, step_ma)
                return False, str(unanswered)
            accepted, words = bool(answer["accepted"]), str(answer["words"])
            self._write_down(button, sent_s, None if NOT_ANSWERED in words else accepted, step_ma)
        return accepted, words

    def _write_down(self, button: str, sent_s: float, accepted: bool | None, by_ma: float) -> None:
        if button != STATUS:
            answered_s = self._house.boottime_s()
            self._house.presses.append(Pressed(self.device, button, sent_s, answered_s, accepted, by_ma))

    async def _look(self) -> Seen | None:
        """None: the panel does not answer."""
        is_there, words = await self.press(STATUS)
        said = dict(re.findall(r"^(\w+) +(\w+)", words, re.MULTILINE)) if is_there else {}
        return Seen(said["phase"], said["session"]) if {"phase", "session"} <= set(said) else None

    # --- how it ends ------------------------------------------------------------------------------------------------

    async def _end_by_hand(self) -> None:
        """The house closes: whatever runs is stopped at the device."""
        give_up_s = self._house.boottime_s() + PATIENCE_S
        while not (await self.press(Button.STOP))[0]:
            seen = await self._look()
            if (seen is not None and seen.phase in {"idle", "latched", "fault"}) or await self._late(give_up_s):
                return

    async def _leave_it_idle(self) -> None:
        """Wait for the end, and reset what is latched; what only an engineer resets is left to him."""
        give_up_s = self._house.boottime_s() + PATIENCE_S
        is_told = False
        while not self.out_of_use:
            seen = await self._look()
            if seen is not None and seen.phase == "idle":
                return
            if seen is not None and seen.phase == "latched":
                taken, words = await self.press(RESET)
                if not taken and HELD in words and self._house.closing.is_set() and not is_told:
                    is_told = True
                    self._house.say(f"    {self.device}: {words} That is waited for a little.")
                if not taken and "engineer" in words:
                    self.out_of_use = True
                    self._house.say(f"    {self.device}: {words} It is out of use until then.")
            if await self._late(give_up_s):
                return

    async def _late(self, give_up_s: float) -> bool:
        """Wait a moment, also while the house closes; True: it takes too long."""
        await asyncio.sleep(AGAIN_S)  # a person presses again after a moment; nothing would tell them when
        return self._house.boottime_s() > give_up_s


class FrontDesk:
    """Somebody at a screen: pushes stops, and releases them."""

    def __init__(self, house: House) -> None:
        self._house = house

    async def work(self, stops: Iterable[PushedStop], began_s: float) -> None:
        for stop in stops:
            if not await self._house.pause(began_s + stop.at_s - self._house.boottime_s()):
                return
            self._house.say(f"    {stop.device}: somebody at a screen pushes a stop")
            await self._insist(op="stop", device=stop.device, issued_by="front-desk", reason="pushed by the script")
            await self._house.pause(stop.released_after_s)
            await self._insist(op="release", device=stop.device, issued_by="front-desk")

    async def _insist(self, **request: Any) -> None:
        give_up_s = self._house.boottime_s() + PATIENCE_S
        while True:
            try:
                answer = await self._house.ask_fleet(**request)
                if answer["ok"] or self._house.boottime_s() > give_up_s:
                    return
            except Unanswered as unanswered:
                if self._house.boottime_s() > give_up_s:
                    self._house.say(f"    the front desk: {unanswered}")
                    return
            await asyncio.sleep(AGAIN_S)  # a person tries again after a moment
