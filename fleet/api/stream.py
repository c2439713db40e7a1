"""`GET /stream`: server-sent events to every browser, and nobody at one holds up anybody else.

- A browser that does not read is cut: when what waits for it is too much, or when its connection takes nothing for
  some seconds (`fleet.api.serving`).
- One stream a browser is usual; so many at most for one sign-in (windows, tabs): one more ends the oldest, with an
  event `end` that says so.
- It ends with the sign-in that it was opened with, and with the process.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request
from fastapi.sse import EventSourceResponse, format_sse_event
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from fleet.api.access import Permission, SignedIn
from fleet.api.answers import Declined, problems
from fleet.api.guard import require
from fleet.api.pulse import PERIOD_S, Pulse, encoded, sample_frame
from fleet.api.reception import Reception
from fleet.api.window import Point

router = APIRouter(tags=["stream"])
TRACED_MAX = 12
STREAMS_OF_ONE_MAX = 4
WAITING_MAX = 400  # frames: a device in a session brings two a second
HEARTBEAT_S = 1.0  # an event, no comment: the page has to see by it that the line is not dead
HEARTBEAT = b"event: alive\ndata: {}\n\n"


def _end(why: str, text: str) -> bytes:
    return format_sse_event(data_str=encoded({"why": why, "text": text}), event="end")


TOO_MANY = _end("too_many", "This was opened in further windows: close one, and load this page again.")
SIGNED_OUT = _end("signed_out", "You are not signed in any more.")


@dataclass(eq=False, slots=True)
class Listener:
    """One browser. `frames` wait for it; `last` is said before it is let go."""

    owner: object
    traced: frozenset[str]
    still: Callable[[], bool]
    frames: list[bytes] = field(default_factory=list)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False

    def give(self, frame: bytes) -> None:
        if len(self.frames) >= WAITING_MAX:
            self.end(None)  # it does not read
        elif not self.over:
            self.frames.append(frame)
            self.news.set()

    def end(self, last: bytes | None) -> None:
        if not self.over:
            self.frames = [] if last is None else [*self.frames, last]
            self.over = True
            self.news.set()


@dataclass(slots=True)
class Studio:
    """Everybody who listens. `streams_max` at most."""

    pulse: Pulse
    streams_max: int
    listeners: dict[Listener, None] = field(default_factory=dict)

    def sample(self, device: str, point: Point) -> None:
        """Hand a sample to whoever draws this device."""
        drawing = [listener for listener in self.listeners if device in listener.traced]
        if drawing:
            frame = sample_frame(device, point)
            for listener in drawing:
                listener.give(frame)

    async def run(self) -> None:
        """Say what is new, twice a second, while anybody listens or not: ids rise all the same."""
        while True:
            frame = self.pulse.beat()
            for listener in tuple(self.listeners):
                if not listener.still():
                    listener.end(SIGNED_OUT)
                elif frame is not None:
                    listener.give(frame)
            await asyncio.sleep(PERIOD_S)

    def end_all(self) -> None:
        for listener in tuple(self.listeners):
            listener.end(None)

    def join(self, listener: Listener) -> None:
        """Raises: Declined: 503, too many listen."""
        if len(self.listeners) >= self.streams_max:
            raise Declined(503, "busy", "Too many pages are open at this server.")
        own = [other for other in self.listeners if other.owner == listener.owner and not other.over]
        for other in own[: max(0, len(own) + 1 - STREAMS_OF_ONE_MAX)]:
            other.end(TOO_MANY)
        self.listeners[listener] = None

    def leave(self, listener: Listener) -> None:
        self.listeners.pop(listener, None)

    async def frames(self, listener: Listener) -> AsyncIterator[bytes]:
        """What a browser is sent, until it is over."""
        while True:
            waiting, listener.frames = listener.frames, []
            listener.news.clear()
            if waiting:
                yield b"".join(waiting)
            if listener.over and not listener.frames:
                return
            try:
                async with asyncio.timeout(HEARTBEAT_S):
                    await listener.news.wait()
            except TimeoutError:
                yield HEARTBEAT


class Stream(EventSourceResponse):
    """Lets its listener go however it ends."""

    def __init__(self, studio: Studio, listener: Listener) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(studio.frames(listener), headers=headers)
        self._studio = studio
        self._listener = listener

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._studio.leave(self._listener)


def _traced(trace: str) -> frozenset[str]:
    names = frozenset(name for name in trace.split(",") if name)
    if len(names) > TRACED_MAX:
        raise Declined(422, "invalid", f"The request's trace: {TRACED_MAX} devices at most.")
    return names


_EVENTS: dict[int | str, dict[str, Any]] = {
    200: {"description": "events until either side ends", "content": {EventSourceResponse.media_type: {"schema": {}}}}
}


# FastAPI makes the events itself where a route yields them, each for each browser; ours are encoded once for all.
@router.get("/stream", response_class=StreamingResponse, responses={**problems(503), **_EVENTS})
async def stream(
    request: Request,
    who: Annotated[SignedIn, require(Permission.SEE)],
    trace: Annotated[str, Query(max_length=512, pattern="^[a-z0-9,-]*$", description="devices, with commas")] = "",
    last_event_id: Annotated[str | None, Header(max_length=64)] = None,
) -> Any:
    """Server-sent events. `snapshot` holds an overview; `delta`, at most twice a second, what is new of each of
    `devices`, names that are `gone`, and `fleet` and `alarms` where they changed; `sample` each sample of the devices
    in `trace`; `alive` that for a second there was nothing to say; `end` why nothing more will come. Ids resume, for a
    minute, by `Last-Event-ID`.
    """
    studio: Studio = request.app.state.studio
    reception: Reception = request.app.state.reception
    listener = Listener(who.key or who.user, _traced(trace), lambda: reception.still(who))
    listener.frames.extend(studio.pulse.since(last_event_id))
    studio.join(listener)
    return Stream(studio, listener)
