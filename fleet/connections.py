"""The life of the fleet's two connections: made together, watched by the echo, made anew together, ended when another
instance has taken over.
"""

import asyncio
import logging
import math
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from broker.contract.topics import FLEET, Channel, topic_for
from fleet.adapters.downlink import Downlink
from fleet.adapters.echo import MISSES_MAX, PERIOD_S, Echo
from fleet.adapters.intake import UNACKNOWLEDGED_MAX, Intake
from fleet.mqtt import Connection, Endpoint, NoConnection

log = logging.getLogger(__name__)
RETRY_S = 0.2
LISTEN_S = 1.2 * PERIOD_S  # long enough to hear one beat of another instance
FAREWELL_BEATS = 5
CONTESTED_S = 5.0  # a life that the broker ends sooner may have been ended by another instance
PAUSE_S_MAX = 4.0
TELL_AGAIN_S = 60.0  # that there is still no connection, in the log; the metrics count every try


class Loss(StrEnum):
    """Why there was no connection, or no more."""

    UNREACHABLE = "unreachable"  # the broker is not there, or refuses
    CLOSED = "closed"  # by the broker, or the network ended it
    ECHO = "echo"  # what was sent did not come back


@dataclass(slots=True)
class Connections:
    """Keeps intake and downlink connected. `up` is set while both carry; `losses` counts how often they did not."""

    site: str
    intake_endpoint: Endpoint
    safety_endpoint: Endpoint
    intake: Intake
    downlink: Downlink
    echo: Echo
    up: asyncio.Event
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    losses: Counter[Loss] = field(default_factory=lambda: Counter(dict.fromkeys(Loss, 0)))

    async def keep(self) -> None:
        """Connect, and again whenever a connection is lost, until cancelled.

        Raises:
            TakenOver: another instance runs this site.
        """
        now = asyncio.get_running_loop().time
        contested = 0  # lives in a row that the broker ended soon
        told_s = -math.inf  # when it was said that there is no connection, since the last one
        while True:
            began_s = now()
            try:
                await self._one_life(listen_first=contested > 0)
            except _Lost as lost:
                log.warning("connection lost: %s", lost)
                told_s = -math.inf
                self.losses[Loss.CLOSED if lost.by_broker else Loss.ECHO] += 1
                # The broker is there and closed the connection: perhaps another instance took it. Listen, so that the
                # two do not take it from each other for ever.
                contested = (1 if now() - began_s > CONTESTED_S else contested + 1) if lost.by_broker else 0
            except NoConnection as error:
                if now() - told_s >= TELL_AGAIN_S:  # tried five times a second
                    log.warning("no connection: %s", error)
                    told_s = now()
                self.losses[Loss.UNREACHABLE] += 1
                contested = 0
            await self.sleep(_pause_s(contested))

    async def _one_life(self, *, listen_first: bool) -> None:
        opened: list[Connection] = []
        try:
            if listen_first:
                opened.append(await self._open_intake())
                await self._unless_taken_over(opened[0], LISTEN_S)
                opened.append(await self._open_safety())
            else:
                opened.extend(await _both(self._open_intake(), self._open_safety()))
            intake, safety = opened
            self.downlink.attach(safety)
            self.up.set()
            await self._listen(intake, safety)
        finally:
            self.up.clear()
            self.downlink.detach()
            await asyncio.gather(*(connection.close() for connection in opened))

    async def _open_intake(self) -> Connection:
        connection = await Connection.open(
            self.intake_endpoint, hear=self.intake.hear, unacknowledged_max=UNACKNOWLEDGED_MAX
        )
        try:
            await connection.subscribe(self.intake.topics)
        except NoConnection:
            await connection.close()
            raise
        return connection

    async def _open_safety(self) -> Connection:
        return await Connection.open(self.safety_endpoint, acknowledged=self.downlink.acknowledged)

    async def _unless_taken_over(self, intake: Connection, for_s: float) -> None:
        done, _ = await asyncio.wait({intake.lost}, timeout=for_s)
        if done:
            _end(intake)

    async def _listen(self, intake: Connection, safety: Connection) -> None:
        """Beat twice a second until either connection is over or two beats in a row did not come back."""
        topic = topic_for(self.site, FLEET, Channel.ECHO)
        self.echo.begin()
        while not self.echo.silent:
            safety.publish(topic, self.echo.beat(), qos=0)
            done, _ = await asyncio.wait({intake.lost, safety.lost}, timeout=PERIOD_S, return_when="FIRST_COMPLETED")
            if intake.lost in done and safety.lost not in done:
                await self._tell_whoever_took_it(safety, topic)
            for connection in (intake, safety):
                if connection.lost in done:
                    _end(connection)
        for connection in (intake, safety):
            connection.abort()  # a farewell to nobody would cost a second of every session's lease
        raise _Lost(f"{MISSES_MAX} echoes in a row did not come back", by_broker=False)

    async def _tell_whoever_took_it(self, safety: Connection, topic: str) -> None:
        """Only the intake is gone: if another instance listens there now, it must hear that we are here."""
        for _ in range(FAREWELL_BEATS):
            if safety.lost.done():
                return
            safety.publish(topic, self.echo.beat(), qos=0)
            await asyncio.wait({safety.lost}, timeout=PERIOD_S / FAREWELL_BEATS)


class _Lost(Exception):
    """A connection is over."""

    def __init__(self, text: str, *, by_broker: bool) -> None:
        super().__init__(text)
        self.by_broker = by_broker


def _pause_s(contested: int) -> float:
    """How long to wait for the next try: short, and longer and more by chance the longer two instances contend, so
    that one of them is up while the other one listens."""
    if contested <= 1:
        return RETRY_S * random.uniform(0.5, 1.5)
    return random.uniform(0.0, min(PAUSE_S_MAX, RETRY_S * 2.0**contested))


def _end(connection: Connection) -> None:
    """Say how a connection that is over ended."""
    code = connection.lost.result()  # raises what hearing a message raised
    # "Session taken over" (142) says only that somebody else came: brokers say it to the older connection, which may be
    # the younger instance's, and Mosquitto 2.0.11 does not say it at all. The echo says who has to go.
    raise _Lost("closed" if code is None else f"closed by the broker with reason {code}", by_broker=True)


async def _both(first: Awaitable[Connection], second: Awaitable[Connection]) -> list[Connection]:
    """Open both at once; if one fails, close the other and raise."""
    results = await asyncio.gather(first, second, return_exceptions=True)
    opened = [result for result in results if isinstance(result, Connection)]
    failed = [result for result in results if isinstance(result, BaseException)]
    if failed:
        for connection in opened:
            await connection.close()
        raise failed[0]
    return opened
