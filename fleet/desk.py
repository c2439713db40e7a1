"""Answers people at the control socket: what they ask becomes an input of the core, the core's reply their answer."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any, assert_never

from broker.contract.messages import Scope
from broker.contract.topics import ALL
from fleet import alarm_desk
from fleet.adapters.control import alarm_requests, requests
from fleet.core import effects, inputs
from fleet.core.state import State
from fleet.inbox import Inbox
from fleet.views import (
    alarm_rows,
    client_details,
    clinic_s,
    clock_details,
    device_rows,
    refusal_row,
    session_details,
    session_list,
)

ANSWER_S_MAX = 5.0
WAITING_MAX = 1_000

Document = dict[str, Any]


class Desk:
    """Takes requests, waits for the core's reply, says it in JSON."""

    def __init__(
        self,
        inbox: Inbox,
        state: State,
        *,
        status: Callable[[], Document],
        boottime: Callable[[], float],
        walltime: Callable[[], float],
    ) -> None:
        self._inbox = inbox
        self._state = state
        self._status = status
        self._boottime = boottime
        self._walltime = walltime
        self._waiting: dict[str, list[asyncio.Future[effects.Reply]]] = {}

    def answered(self, request_id: str, reply: effects.Reply) -> None:
        """The core has replied, and what it decided is durable."""
        for waiting in self._waiting.pop(request_id, ()):
            if not waiting.done():
                waiting.set_result(reply)

    async def answer(self, request: requests.Request) -> Document:
        """What whoever made `request` is told."""
        match request:
            case requests.AskList(open_only=open_only):
                return _ok(sessions=session_list(self._state, open_only=open_only))
            case requests.AskShow(session_id=session_id):
                session = self._state.durable.sessions.get(session_id)
                if session is None:
                    return _error("unknown_session", f"There is no session {session_id}.")
                return _ok(session=session_details(self._state, session))
            case requests.AskDevices():
                return _ok(devices=device_rows(self._state, self._boottime(), self._clinic_s()))
            case requests.AskAlarms(past=past):
                return _ok(alarms=alarm_rows(self._state, past=past, wall_s=self._clinic_s()))
            case requests.AskClient(client=client):
                return _ok(client=client_details(self._state, client, self._clinic_s()))
            case requests.AskClock():
                return _ok(**clock_details(self._state, self._boottime(), self._walltime()))
            case requests.AskStatus():
                return _ok(**self._status())
            case requests.AskStop():
                return await self._stop(request)
            case _:
                return await self._ask_core(request)

    async def _stop(self, asked: requests.AskStop) -> Document:
        return await (self._ask_core(asked) if asked.room is None else self._stop_room(asked, asked.room))

    def _clinic_s(self) -> float:
        return clinic_s(self._state, self._boottime(), self._walltime())

    async def _stop_room(self, asked: requests.AskStop, room: str) -> Document:
        """Every order is in the inbox before the answer to any of them is waited for."""
        devices = _standing_in(self._state, room)
        if not devices:
            return _error("unknown_room", f"No device stands in {room}: nothing was stopped.")
        orders = [replace(asked, device=device, room=None) for device in devices]
        answers = await asyncio.gather(*(self._ask_core(order) for order in orders))
        pairs = list(zip(devices, answers, strict=True))
        commands = [{"device": device, "command_id": said["command_id"]} for device, said in pairs if said["ok"]]
        failed = {device: said for device, said in pairs if not said["ok"]}
        if failed:
            text = f"{', '.join(failed)}: {next(iter(failed.values()))['text']}"
            return {**_error("not_recorded", text), "commands": commands}
        return _ok(commands=commands)

    async def _ask_core(
        self,
        request: requests.Decided,
    ) -> Document:
        request_id = getattr(request, "request_id", None) or secrets.token_hex(16)
        if isinstance(request, requests.AskSession) and self._status()["journal_refusing"]:
            return _error("journal_unwritable", "The journal cannot be written, so nothing is authorised.")
        if sum(map(len, self._waiting.values())) >= WAITING_MAX and not isinstance(request, requests.AskStop):
            return _error("busy", f"{WAITING_MAX} requests wait already.")
        waiting: asyncio.Future[effects.Reply] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(request_id, []).append(waiting)
        try:
            if not self._inbox.urgent(self._input(request_id, request)):
                return _error("busy", "The fleet service cannot take any more requests.")
            async with asyncio.timeout(ANSWER_S_MAX):
                return _document(request_id, await waiting)
        except TimeoutError:
            if isinstance(request, requests.AskStop):
                return _error("not_recorded", self._not_recorded())
            return _error("no_answer", f"No answer within {ANSWER_S_MAX:.0f} s: the journal cannot be written.")
        finally:
            self._forget(request_id, waiting)

    def _not_recorded(self) -> str:
        """A stop goes out before the journal is written, but not without a connection; what came of it is not known."""
        if self._status()["connected"]:
            return "The stop went to the broker; whether it arrived is not known: the journal cannot be written."
        return "The stop has not gone out: it waits for the broker, and the journal cannot be written."

    def _forget(self, request_id: str, waiting: asyncio.Future[effects.Reply]) -> None:
        left = [other for other in self._waiting.get(request_id, ()) if other is not waiting]
        if left:
            self._waiting[request_id] = left
        else:
            self._waiting.pop(request_id, None)

    def _input(
        self,
        request_id: str,
        request: requests.Decided,
    ) -> inputs.Input:
        now_s, wall_s = self._boottime(), self._walltime()
        match request:
            case requests.AskSession():
                return inputs.RequestSession(
                    request_id=request_id,
                    client=request.client,
                    device=request.device,
                    room=request.room,
                    plan=request.plan,
                    screening=request.screening,
                    operator=request.operator,
                    issued_by=request.issued_by,
                    now_s=now_s,
                    wall_s=wall_s,
                )
            case requests.AskCancel(session_id=session_id, issued_by=issued_by):
                return inputs.CancelSession(
                    request_id=request_id, session_id=session_id, issued_by=issued_by, now_s=now_s, wall_s=wall_s
                )
            case requests.AskStop(device=device, issued_by=issued_by, reason=reason):
                return inputs.PushStop(
                    request_id=request_id,
                    device=None if device == ALL else device,
                    issued_by=issued_by,
                    reason=reason,
                    now_s=now_s,
                    wall_s=wall_s,
                )
            case requests.AskConfirmOff(device=device, issued_by=issued_by):
                return inputs.ConfirmOff(
                    request_id=request_id, device=device, issued_by=issued_by, now_s=now_s, wall_s=wall_s
                )
            case requests.AskRelease(device=device, issued_by=issued_by, scope=scope):
                return inputs.ReleaseHold(
                    request_id=request_id,
                    scope=scope or (Scope.ALL if device == ALL else Scope.DEVICE),
                    device=None if device == ALL else device,
                    issued_by=issued_by,
                    now_s=now_s,
                    wall_s=wall_s,
                )
            case requests.AskDrain(issued_by=issued_by):
                return inputs.Drain(request_id=request_id, issued_by=issued_by, now_s=now_s, wall_s=wall_s)
            case requests.AskUndrain(issued_by=issued_by):
                return inputs.Undrain(request_id=request_id, issued_by=issued_by, now_s=now_s, wall_s=wall_s)
            case requests.AskClockAccept(issued_by=issued_by, reason=reason):
                return inputs.AcceptClock(
                    request_id=request_id, issued_by=issued_by, reason=reason, now_s=now_s, wall_s=wall_s
                )
            case _:
                return _about_alarms(request_id, request, now_s, wall_s)


def _about_alarms(
    request_id: str,
    request: alarm_requests.OfAlarm | alarm_requests.OfPager | alarm_requests.OfRecorder,
    now_s: float,
    wall_s: float,
) -> inputs.Input:
    if isinstance(request, alarm_requests.AskOfAlarm):
        return alarm_desk.of_alarm(request_id, request, now_s, wall_s)
    if isinstance(request, alarm_requests.OfRecorder):
        return alarm_desk.of_recorder(request_id, request, now_s, wall_s)
    return alarm_desk.of_pager(request_id, request, now_s, wall_s)


def _standing_in(state: State, room: str) -> list[str]:
    """The devices of a room. One off the list that is not heard and not in a session cannot show zero, and would be
    waited for for ever.
    """
    found = []
    for name, registered in state.durable.registry.devices.items():
        device = state.device(name)
        session = state.session_on(device)
        if registered.room == room and (
            not registered.struck_off or not device.lost or (session is not None and session.open)
        ):
            found.append(name)
    return found


def _document(request_id: str, reply: effects.Reply) -> Document:
    match reply:
        case effects.Granted(session_id):
            return _ok(request_id=request_id, session_id=session_id)
        case effects.Ordered(command_id):
            return _ok(request_id=request_id, command_id=command_id)
        case effects.Refused(refusals):
            return {
                **_error("refused", "Refused: " + ", ".join(refusal.rule for refusal in refusals) + "."),
                "request_id": request_id,
                "refusals": [refusal_row(refusal) for refusal in refusals],
            }
        case _:
            assert_never(reply)


def _ok(**said: Any) -> Document:
    return {"ok": True, **said}


def _error(code: str, text: str) -> Document:
    return {"ok": False, "error": code, "text": text}
