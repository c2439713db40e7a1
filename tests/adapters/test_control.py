"""The control socket: clear answers to bad input, and nobody at it can hold up anybody else."""

import asyncio
import json
import socket
import stat
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from broker.contract.messages import Scope
from fleet.adapters.control.client import FleetUnreachable, ask
from fleet.adapters.control.requests import (
    AskAlarms,
    AskRelease,
    AskSession,
    AskStop,
    AskUndrain,
    BadRequest,
    Request,
    parse,
)
from fleet.adapters.control.server import control_socket
from tests.adapters.clinic import eventually

STOP = {"op": "stop", "device": "stim-01", "issued_by": "anna"}
SESSION: dict[str, Any] = {
    "op": "session_request",
    "client": "client-0001",
    "device": "stim-01",
    "room": "room-1",
    "operator": "anna",
    "plan": {
        "modality": "nmes",
        "body_site": "thigh",
        "electrode_area_cm2": 80.0,
        "frequency_hz": 50.0,
        "pulse_width_us": 300.0,
        "setting_ma_max": 60.0,
        "duration_s": 1200.0,
        "on_s": 6.0,
        "off_s": 12.0,
        "ramp_up_s": 1.0,
        "ramp_down_s": 1.0,
    },
    "screening": {"rule_set": "ems-1", "at_wall_s": 1e9, "findings": ["hernia"], "override_by": "anna"},
}


def line(request: Any) -> bytes:
    return json.dumps(request).encode() + b"\n"


def test_requests_are_what_they_say() -> None:
    stop = parse(line(STOP))
    assert stop == AskStop(op="stop", device="stim-01", issued_by="anna", reason="pushed")
    session = parse(line(SESSION))
    assert isinstance(session, AskSession)
    assert (session.plan.duration_s, session.screening.override_by, session.request_id) == (1200.0, "anna", None)
    assert parse(line({"op": "undrain", "issued_by": "anna"})) == AskUndrain(op="undrain", issued_by="anna")
    assert parse(line({**STOP, "device": "all"})) == AskStop(op="stop", device="all", issued_by="anna")
    in_a_room = parse(line({"op": "stop", "room": "room-4", "issued_by": "anna"}))
    assert in_a_room == AskStop(op="stop", room="room-4", issued_by="anna")
    assert parse(line({"op": "alarms"})) == AskAlarms(op="alarms", past=False)
    release = {"op": "release", "device": "all", "issued_by": "anna", "scope": "service"}
    assert parse(line(release)) == AskRelease(op="release", device="all", issued_by="anna", scope=Scope.SERVICE)


@pytest.mark.parametrize(
    ("sent", "named"),
    [
        (b"\n", "not one JSON object"),
        (b"stop\n", "not one JSON object"),
        (b"\xff\xfe\n", "not one JSON object"),
        (b"[" * 60_000 + b"\n", "not one JSON object"),
        (b"[]\n", "not one JSON object"),
        (b"7\n", "not one JSON object"),
        (b"{}\n", "op must be one of"),
        (line(STOP).replace(b"{", b'{"device": "all", '), "The request says each thing once: 'device' is there twice"),
        (line(SESSION).replace(b'"on_s"', b'"on_s": 60.0, "on_s"'), "'on_s' is there twice"),
        (line({"op": "start"}), "op must be one of: session_request, session_cancel, stop, "),
        (line({"op": "stop", "issued_by": "anna"}), "device"),
        (line({**STOP, "room": "room-1"}), "one of them only"),
        (line({"op": "stop", "room": "Room 1", "issued_by": "anna"}), "room"),
        (line({**STOP, "device": "Stim 01"}), "device"),
        (line({**STOP, "device": 1}), "device"),
        (line({**STOP, "device": "fleet"}), "device: fleet is no device."),
        (line({**STOP, "device": "fleet-safety"}), "device: fleet-safety is no device."),
        (line({"op": "release", "device": "fleet-intake", "issued_by": "anna"}), "device: fleet-intake is no device."),
        (line({"op": "confirm_off", "device": "all", "issued_by": "anna"}), "device: all is no device."),
        (line({**SESSION, "device": "all"}), "device: all is no device."),
        (line({**SESSION, "screening": {**SESSION["screening"], "rule_set": "Ö" * 200}}), "screening.rule_set"),
        (line({**SESSION, "screening": {**SESSION["screening"], "override_by": "x" * 5000}}), "screening.override_by"),
        (line({**STOP, "more": 1}), "more"),
        (line({**STOP, "reason": "x" * 65}), "reason"),
        (line({**STOP, "issued_by": "an\nna"}), "issued_by"),
        (line({**SESSION, "client": "x"}), "client"),
        (line({**SESSION, "plan": {**SESSION["plan"], "duration_s": "1200"}}), "plan.duration_s"),
        (line({**SESSION, "plan": {**SESSION["plan"], "on_s": -1.0}}), "plan.on_s"),
        (line({**SESSION, "plan": {**SESSION["plan"], "body_site": "knee"}}), "plan.body_site"),
        (line({**SESSION, "screening": {"rule_set": "x", "at_wall_s": 1.0, "findings": ["old"]}}), "findings"),
        (line(SESSION).replace(b"1200.0", b"NaN"), "duration_s"),
        (line({"op": "session_show", "session_id": "7"}), "session_id"),
    ],
)
def test_bad_requests_get_one_sentence_that_names_the_field(sent: bytes, named: str) -> None:
    with pytest.raises(BadRequest) as bad:
        parse(sent)
    assert named in str(bad.value)
    assert str(bad.value).count("\n") == 0


class Counter:
    """Answers with what was asked; a release waits until it is let go."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.go = asyncio.Event()

    async def __call__(self, request: Request) -> dict[str, Any]:
        self.asked.append(request)
        if isinstance(request, AskRelease):
            await self.go.wait()
        return {"ok": True, "n": len(self.asked)}


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[Counter]:
    counter = Counter()
    async with control_socket(path, counter):
        yield counter


async def test_whoever_asks_is_answered_and_nobody_else_may(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    async with served(path) as counter:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert await asyncio.to_thread(ask, path, STOP) == {"ok": True, "n": 1}
        assert [type(request) for request in counter.asked] == [AskStop]
    assert not path.exists()


async def test_bad_and_good_lines_on_one_connection(tmp_path: Path) -> None:
    async with served(tmp_path / "c"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "c")
        writer.write(b"what?\n" + line(STOP))
        first, second = json.loads(await reader.readline()), json.loads(await reader.readline())
        assert first == {"ok": False, "error": "bad_request", "text": "The request is not one JSON object."}
        assert second == {"ok": True, "n": 1}
        writer.close()


async def test_an_endless_line_is_refused_and_let_go(tmp_path: Path) -> None:
    async with served(tmp_path / "c"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "c")
        writer.write(b"x" * 200_000)
        answer = json.loads(await reader.readline())
        assert answer["error"] == "too_large"
        writer.close()


async def test_somebody_who_waits_or_never_reads_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fleet.adapters.control.server.WRITE_S_MAX", 0.2)
    async with served(tmp_path / "c") as counter:
        _, waits = await asyncio.open_unix_connection(tmp_path / "c")
        waits.write(line({"op": "release", "device": "all", "issued_by": "anna"}))
        deaf = socket.socket(socket.AF_UNIX)
        deaf.connect(str(tmp_path / "c"))
        deaf.settimeout(5)
        shouted = threading.Event()

        def shout() -> None:
            try:
                for _ in range(20_000):
                    deaf.sendall(line(STOP))
            except OSError:  # the server has let us go
                shouted.set()

        shouting = asyncio.get_running_loop().run_in_executor(None, shout)
        for _ in range(3):
            answer = await asyncio.to_thread(ask, tmp_path / "c", STOP)
            assert answer["ok"]
        await shouting
        assert shouted.is_set()
        deaf.close()
        counter.go.set()
        waits.close()


async def filled(path: Path) -> list[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """As many clients as there may be, each heard once, in this order."""
    clients = [await asyncio.open_unix_connection(path) for _ in range(32)]
    for reader, writer in clients:
        writer.write(line(STOP))
        assert json.loads(await reader.readline())["ok"]
    return clients


async def test_the_thirty_third_client_is_answered_and_whoever_was_silent_longest_goes(tmp_path: Path) -> None:
    """Pages left open must not keep a stop out."""
    path = tmp_path / "c"
    async with served(path) as counter:
        clients = await filled(path)
        clients[0][1].write(line({"op": "release", "device": "all", "issued_by": "anna"}))  # waits for its answer
        await eventually(lambda: isinstance(counter.asked[-1], AskRelease))
        assert (await asyncio.to_thread(ask, path, STOP))["ok"]
        assert await asyncio.wait_for(clients[1][0].read(), 5) == b""
        clients[2][1].write(line(STOP))
        assert json.loads(await clients[2][0].readline())["ok"]
        counter.go.set()
        assert json.loads(await clients[0][0].readline())["ok"]
        for _, writer in clients:
            writer.close()


async def test_somebody_is_let_in_also_when_all_others_wait_for_their_answer(tmp_path: Path) -> None:
    path = tmp_path / "c"
    async with served(path) as counter:
        clients = await filled(path)
        for _, writer in clients:
            writer.write(line({"op": "release", "device": "all", "issued_by": "anna"}))
        await eventually(lambda: len(counter.asked) == 64)
        assert (await asyncio.to_thread(ask, path, STOP))["ok"]
        assert await asyncio.wait_for(clients[0][0].read(), 5) == b""
        counter.go.set()
        assert json.loads(await clients[1][0].readline())["ok"]
        for _, writer in clients:
            writer.close()


async def test_many_who_come_and_go_at_once_end_nothing(tmp_path: Path) -> None:
    """Whoever is one too many and has gone before it is answered is nobody's fault."""
    loose: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: loose.append(context))
    async with served(tmp_path / "c"):
        clients = await filled(tmp_path / "c")
        for _ in range(20):
            with socket.socket(socket.AF_UNIX) as hasty:
                hasty.connect(str(tmp_path / "c"))
                hasty.sendall(line(STOP))
        assert (await asyncio.to_thread(ask, tmp_path / "c", STOP))["ok"]
        for _, writer in clients:
            writer.close()
    assert loose == []


def test_a_request_that_waits_while_the_process_ends_is_no_error(tmp_path: Path) -> None:
    loose: list[dict[str, Any]] = []

    async def life() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: loose.append(context))
        async with served(tmp_path / "c") as counter:
            _, writer = await asyncio.open_unix_connection(tmp_path / "c")
            writer.write(line({"op": "release", "device": "all", "issued_by": "anna"}))
            await eventually(lambda: counter.asked)
        writer.close()

    asyncio.run(life())
    assert loose == []


async def test_a_silent_client_is_let_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fleet.adapters.control.server.IDLE_S_MAX", 0.1)
    async with served(tmp_path / "c"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "c")
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()


async def test_a_socket_of_a_killed_process_is_in_nobodys_way_but_a_file_is(tmp_path: Path) -> None:
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(tmp_path / "c"))
    left.close()
    async with served(tmp_path / "c"):
        assert (await asyncio.to_thread(ask, tmp_path / "c", STOP))["ok"]
    (tmp_path / "d").write_text("somebody's file")
    with pytest.raises(OSError, match="in use"):
        async with served(tmp_path / "d"):
            pass
    assert (tmp_path / "d").read_text() == "somebody's file"


def test_no_service_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FleetUnreachable, match=r"does not answer at .*: No such file or directory\.$"):
        ask(tmp_path / "none", STOP)
    with socket.socket(socket.AF_UNIX) as mute:
        mute.bind(str(tmp_path / "mute"))
        mute.listen()
        with pytest.raises(FleetUnreachable, match="it gave no answer"):
            ask(tmp_path / "mute", STOP, within_s=0.2)
