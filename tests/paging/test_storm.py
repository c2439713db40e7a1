"""Five hundred devices at once, and one output that is not zero: by the orders, the lanes and real HTTP."""

import asyncio
from dataclasses import replace
from pathlib import Path

from broker.contract.causes import Cause
from broker.contract.messages import EventKind, Measured
from fleet.adapters.notify.lane import Deliver
from fleet.adapters.notify.message import Message
from fleet.adapters.notify.webhook import send_webhook
from fleet.core import alarm_inputs as asks
from fleet.core.attention_events import PageDue
from fleet.paging.begun import Begun
from fleet.paging.courier import Courier
from fleet.paging.outcomes import Reports
from fleet.words.pages import Surroundings
from tests.adapters.history.shelf import until
from tests.core.crowd import Crowd
from tests.core.on_call import HIGH, ROTA
from tests.paging.house import KEY
from tests.paging.receivers import HttpReceiver, boottime_s
from tests.paging.test_outcomes import Fleet

PEOPLE = ("anna", "ben", "cleo")


def storm(devices: int) -> Crowd:
    """Each is beyond its limit, and in the middle of it one's output is stuck; everyone is told of what is high."""
    crowd = Crowd(devices)
    crowd.ready()
    everyone = replace(ROTA, rungs={**ROTA.rungs, HIGH: (("everyone",),)})
    crowd.decides(asks.RotaChanged(everyone, crowd.now_s, crowd.wall_s))
    crowd.journal.clear()
    fault = Measured("amplitude_ma", 60.0, 45.0)
    for number, (name, stim) in enumerate(crowd.stims.items()):
        if number == devices // 2:
            crowd.says(name, stim.event(EventKind.OUTPUT_STUCK, Cause.OUTPUT_STUCK))
        else:
            crowd.says(name, stim.event(EventKind.OVER_LIMIT, Cause.OVER_LIMIT, fault))
    return crowd


async def test_h19_in_a_storm_of_500_whoever_is_on_call_has_the_one_that_is_not_zero_within_a_second(
    tmp_path: Path,
) -> None:
    """The other side takes two seconds to answer each: one after the other they would take a quarter of an hour."""
    crowd = storm(500)

    def channel(receiver: HttpReceiver) -> Deliver:
        def deliver(message: Message) -> None:
            send_webhook(receiver.url, KEY, message, 5.0, lambda: crowd.wall_s)

        return deliver

    begun, fleet = Begun(tmp_path / "pager.begun"), Fleet(tmp_path / "control.sock")
    reports = Reports(fleet.path)
    with HttpReceiver(delay_s=2.0) as receiver:
        courier = Courier(
            Surroundings(site="north"),
            reports,
            begun,
            lambda person, method: channel(receiver),
            send_s=5.0,
            boottime=boottime_s,
        )
        running = asyncio.create_task(courier.run())
        ordered_s = 0.0
        for position, event in enumerate(crowd.journal, start=1):
            if isinstance(event, PageDue) and event.code == "A01" and not ordered_s:
                ordered_s = boottime_s()
            courier.heard(position, event, crowd.state)
            if position % 20 == 0:
                await asyncio.sleep(0)  # as the replica does: what came is told while more comes

        def stuck() -> list[float]:
            return [posted.at_s for posted in receiver.posted if posted.said["code"] == "A01"]

        await until("everyone is told", lambda: len(stuck()) == len(PEOPLE))
        running.cancel()
        await asyncio.wait([running])
        others = len(receiver.posted) - len(PEOPLE)
    begun.close()
    assert max(stuck()) - ordered_s < 1.0
    assert others < 20, "it overtook nearly all of the other 1,500"
