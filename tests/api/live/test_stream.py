"""The stream, at a real socket: a snapshot, what changes, samples, coming back, and who does not read."""

import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import islice, pairwise
from typing import Any

import httpx

from demo.processes import await_that
from fleet.api import stream
from fleet.api.access import Role
from tests.api.live.house import Browser, House

WITHIN_S = 10.0


@dataclass
class Event:
    """One event, and when it came (monotonic)."""

    kind: str
    body: dict[str, Any]
    id: str | None
    came_s: float


def events_of(lines: Iterator[str]) -> Iterator[Event]:
    """As an EventSource reads them."""
    told: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            told[name] = value
        elif told:
            yield Event(told["event"], json.loads(told["data"]), told.get("id"), time.monotonic())
            told = {}


@contextmanager
def listening(browser: Browser, trace: str = "", last: str | None = None) -> Iterator[Iterator[Event]]:
    headers = {} if last is None else {"Last-Event-ID": last}
    with browser.client.stream("GET", f"/stream?trace={trace}", headers=headers, timeout=WITHIN_S) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        yield events_of(answer.iter_lines())


def until(events: Iterator[Event], true_of: Any) -> list[Event]:
    """Everything up to the first event that is `true_of`."""
    seen = []
    for event in events:
        seen.append(event)
        if true_of(event):
            return seen
    raise AssertionError(f"the stream ended before it came: {[event.kind for event in seen]}")


def shows(event: Event, device: str, phase: str) -> bool:
    """Whether a delta says that a device is in this phase now."""
    return any((row["device"], row.get("phase")) == (device, phase) for row in event.body.get("devices", ()))


def test_a_snapshot_first_then_what_changes_at_most_twice_a_second(house: House) -> None:
    with listening(house.viewer) as events:
        first = next(events)
        assert first.kind == "snapshot"
        assert {room["room"] for room in first.body["rooms"]} == {"room-1", "room-2"}
        session = house.ward.treat("stim-01")
        seen = until(events, lambda event: shows(event, "stim-01", "running"))
        assert {event.kind for event in seen} <= {"delta", "alive"}
        deltas = [event for event in seen if event.kind == "delta"]
        numbers = [int(str(event.id).partition("-")[2]) for event in [first, *deltas]]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))), "ids rise by one"
        made_s = [datetime.fromisoformat(event.body["as_of"]).timestamp() for event in deltas]
        assert all(after - before > 0.45 for before, after in pairwise(made_s)), "by when they were made"
        house.ward.end("stim-01")
        house.ward.await_record(session, ("aborted", "therapist_stop"))


def test_a_row_that_only_grows_older_is_no_news(house: House) -> None:
    house.await_fresh()
    with listening(house.viewer) as events:
        until(events, lambda event: event.kind == "snapshot")
        later = list(islice(events, 8))
    assert "alive" in {event.kind for event in later}, "idle devices speak every 5 s: in between there is no news"
    for row in (row for event in later if event.kind == "delta" for row in event.body["devices"]):
        assert row.keys() - {"device", "silent_s"}, "only what is new"
        assert "model" not in row


def test_a_snapshot_and_what_came_after_it_are_what_is_shown(house: House) -> None:
    with listening(house.viewer) as events:
        rows = {row["device"]: row for room in next(events).body["rooms"] for row in room["devices"]}
        session = house.ward.treat("stim-03")
        house.ward.end("stim-03")
        house.ward.await_record(session, ("aborted", "therapist_stop"))
        give_up_s = time.monotonic() + WITHIN_S
        for event in events:
            for row in event.body.get("devices", ()):
                rows[row["device"]] = {**rows[row["device"]], **row}
            shown = {row["device"]: row for row in house.viewer.get("/devices")["devices"]}
            if without_age(rows) == without_age(shown):
                break
            assert time.monotonic() < give_up_s, (rows, shown)


def without_age(rows: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {device: {**row, "silent_s": None} for device, row in rows.items()}


def test_who_comes_back_gets_what_was_missed_and_any_other_a_snapshot(house: House) -> None:
    with listening(house.viewer) as events:
        snapshot = next(events)
        house.manager.post("/drain")
        until(events, lambda event: event.body.get("fleet", {}).get("draining"))
    house.manager.post("/undrain")
    with listening(house.viewer, last=snapshot.id) as events:
        missed = until(events, lambda event: event.body.get("fleet", {}).get("draining") is False)
    assert {event.kind for event in missed} <= {"delta", "alive"}
    assert any(event.body.get("fleet", {}).get("draining") for event in missed), "what came meanwhile"
    for unknown in ("00000000-1", "x", f"{str(snapshot.id).partition('-')[0]}-999999999"):
        with listening(house.viewer, last=unknown) as events:
            assert next(events).kind == "snapshot", unknown


def test_samples_come_for_the_devices_that_are_drawn_and_for_no_other(house: House) -> None:
    session = house.ward.treat("stim-02", to_ma=2)
    with listening(house.viewer, trace="stim-02") as events:
        seen = list(islice(events, 30))
    samples = [event for event in seen if event.kind == "sample"]
    assert len(samples) >= 8
    assert {event.body["device"] for event in samples} == {"stim-02"}
    assert {event.body["session_id"] for event in samples} == {session}
    assert all(event.id is None for event in samples)
    apart = [after.came_s - before.came_s for before, after in pairwise(samples)]
    assert 0.3 < sum(apart) / len(apart) < 0.8, "twice a second, as it came"
    assert {"setting_ma", "amplitude_ma", "impedance_ohm", "lease_margin_s", "late"} <= samples[0].body.keys()
    house.ward.end("stim-02")
    house.ward.await_record(session, ("aborted", "therapist_stop"))


def test_it_ends_with_the_sign_in(house: House) -> None:
    with house.another(Role.VIEWER) as browser, listening(browser) as events:
        assert next(events).kind == "snapshot"
        with httpx.Client(base_url=browser.client.base_url, headers=browser.client.headers) as elsewhere:
            elsewhere.cookies = browser.client.cookies
            assert elsewhere.post("/logout").status_code == 204
        last = until(events, lambda event: event.kind == "end")[-1]
        assert last.body["why"] == "signed_out"
        assert next(events, None) is None, "and nothing more comes"


def test_one_window_too_many_ends_the_oldest_and_says_so(house: House) -> None:
    with house.another(Role.VIEWER) as browser, listening(browser) as oldest:
        assert next(oldest).kind == "snapshot"
        with ExitStack() as stack:
            further = [stack.enter_context(listening(browser)) for _ in range(stream.STREAMS_OF_ONE_MAX)]
            assert [next(events).kind for events in further] == ["snapshot"] * stream.STREAMS_OF_ONE_MAX
            assert until(oldest, lambda event: event.kind == "end")[-1].body["why"] == "too_many"


def test_who_does_not_read_is_cut_and_nobody_else_notices(house: House) -> None:
    token = house.token(Role.VIEWER)
    with socket.socket() as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.connect(("127.0.0.1", house.port))
        pipelined = "".join(
            f"GET /api/v1/overview HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n\r\n"
            for _ in range(2_000)
        )
        deaf.sendall(pipelined.encode())  # asks for megabytes, and takes none of them
        with listening(house.viewer) as events:
            assert next(events).kind == "snapshot"
        started_s = time.monotonic()
        house.viewer.get("/overview")
        assert time.monotonic() - started_s < 1.0

        def hung_up() -> bool:
            try:
                return deaf.send(b"\r\n") == 0
            except OSError:
                return True

        await_that("it is cut", hung_up, 40.0)


def test_too_many_devices_at_once_are_not_drawn(house: House) -> None:
    many = ",".join(f"stim-{n:02d}" for n in range(stream.TRACED_MAX + 1))
    assert house.viewer.client.get(f"/stream?trace={many}").status_code == 422
    assert house.viewer.client.get("/stream?trace=a b").status_code == 422
