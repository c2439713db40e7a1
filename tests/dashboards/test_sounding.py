"""Whose way is an Alertmanager hears each sounding of an alarm at once: the real one, with the committed routes."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from broker.ports import free_port
from demo.processes import await_that
from fleet.adapters.notify.alertmanager import send_alert
from fleet.adapters.notify.message import Message
from fleet.core.attention_state import Act
from tests.dashboards.engines import Alertmanager
from tests.dashboards.receiver import Receiver
from tests.paging.test_lane import message

pytestmark = pytest.mark.needs("amtool", "prometheus-alertmanager")
AT_ONCE_S = 3.0


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Heard:
    """What the telephone behind the Alertmanager has been told of one series."""

    def __init__(self, receiver: Receiver, series: str) -> None:
        self._receiver = receiver
        self._series = series

    def told(self, status: str) -> list[tuple[str, str]]:
        """Sounding and line, as they came, each once: an alert that ended is told with others of its group."""
        found = [one for one in self._receiver.alerts("engineers") if one["labels"]["series"] == self._series]
        return [(one["labels"]["sounding"], one["annotations"]["summary"]) for one in found if one["status"] == status]

    def await_soundings(self, *wanted: Message) -> None:
        expected = [(one.at, one.line) for one in wanted]
        began_s = time.monotonic()
        await_that(f"sounding {len(wanted)}", lambda: self.told("firing") == expected, 8.0, self._last_words)
        assert time.monotonic() - began_s < AT_ONCE_S

    def await_ends(self, wanted: set[tuple[str, str]]) -> None:
        await_that("the ends are told", lambda: set(self.told("resolved")) == wanted, 30.0, self._last_words)

    def _last_words(self) -> str:
        return f"{self.told('firing')} and over {self.told('resolved')}"


def test_h19_what_sounds_again_at_the_same_priority_is_told_at_once(tmp_path: Path) -> None:
    """Nobody takes it; Anna takes it and it comes back after her ten minutes; then it is over."""
    first = replace(message("a1" * 16, "b2" * 16), at=now())

    with Receiver() as receiver, Alertmanager(tmp_path, free_port(), receiver=receiver.url) as engine:
        heard = Heard(receiver, first.series)

        def sent(one: Message) -> Message:
            send_alert(engine.url, one, 2.0, lambda: datetime.now(UTC).timestamp())
            return one

        def active() -> list[dict[str, Any]]:
            return engine.alerts()

        sent(first)
        sent(replace(first, page_id="a2" * 16))  # Ben has the same Alertmanager: of one call there is one alert
        heard.await_soundings(first)
        second = sent(replace(first, rung=2, at=now()))
        heard.await_soundings(first, second)
        assert [one["labels"]["sounding"] for one in active()] == [second.at]
        sent(replace(second, act=Act.ACKNOWLEDGE, by="anna", at=now()))
        await_that("it is silenced", lambda: active()[0]["status"]["state"] == "suppressed", 5.0)
        third = sent(replace(first, rung=1, at=now()))  # the silence has not run out: this ends it
        heard.await_soundings(first, second, third)
        over = sent(replace(third, act=Act.RESOLVE, line="OVER Room room-4, stim-12: output is zero.", at=now()))
        goes_on = f"GOES ON in another message: {first.line}"
        heard.await_ends({(first.at, goes_on), (second.at, goes_on), (third.at, over.line)})
        heard.await_soundings(first, second, third)
        assert active() == []
