"""The panel's socket: presses and answers in plain words; whoever behaves badly holds up only himself."""

import asyncio
import json
import re
import shlex
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agents.callers import CLIENTS_MAX
from agents.drivers.port import Reading
from agents.engineer import PinRefused, is_pin, set_pin
from agents.panel import Panel
from agents.panel_words import CAUSES, CONDITIONS, PHASES, Place, status_words
from agents.steps import Press, Reply
from broker.contract.causes import Cause, ResetBy
from broker.contract.limits import ENVELOPE, Layer, Limit
from broker.contract.messages import Condition, Holds, Phase, Settings
from tests.agents_shell.devices import SNAPSHOT


@dataclass
class Buttons:
    """Stands where the control loop stands; answers at once unless told to be slow."""

    pressed: list[tuple[Press, float, ResetBy]] = field(default_factory=list)
    answer: Callable[[Reply], None] | None = None
    takes: bool = True

    def press(self, press_id: int, press: Press, step_ma: float = 1.0, who: ResetBy = ResetBy.THERAPIST) -> bool:
        self.pressed.append((press, step_ma, who))
        if self.answer is not None:
            accepted = press is not Press.START
            self.answer(Reply(press_id, accepted, "Done." if accepted else "Not now: arm first."))
        return self.takes


@asynccontextmanager
async def panel_on(folder: Path, snapshot: object = SNAPSHOT) -> AsyncIterator[tuple[Panel, Buttons]]:
    buttons = Buttons()
    panel = Panel(
        folder,
        buttons,
        lambda: snapshot,  # type: ignore[arg-type,return-value]
        is_connected=lambda: True,
        device="stim-01",
        room="room-1",
    )
    buttons.answer = panel.reply
    panel.open()
    async with asyncio.TaskGroup() as life:
        life.create_task(panel.serve(), name="panel")
        try:
            yield panel, buttons
        finally:
            await panel.close()


async def ask(panel: Panel, request: object) -> tuple[bool, str]:
    raw = request if isinstance(request, bytes) else json.dumps(request).encode() + b"\n"
    reader, writer = await asyncio.open_unix_connection(panel.path)
    try:
        writer.write(raw)
        async with asyncio.timeout(5.0):
            answer = json.loads(await reader.readline())
        return answer["accepted"], answer["words"]
    finally:
        writer.close()


async def test_every_press_reaches_the_control_loop_and_is_answered(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, buttons):
        for press in Press:
            accepted, words = await ask(panel, {"do": press})
            assert (accepted, words) == ((False, "Not now: arm first.") if press is Press.START else (True, "Done."))
        assert [pressed[0] for pressed in buttons.pressed] == list(Press)
        await ask(panel, {"do": "raise", "step_ma": 2.0})
        assert buttons.pressed[-1] == (Press.RAISE, 2.0, ResetBy.THERAPIST)
        assert (tmp_path / "panel.sock").stat().st_mode & 0o777 == 0o600


async def test_several_presses_on_one_connection_are_answered_in_order(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, _):
        reader, writer = await asyncio.open_unix_connection(panel.path)
        writer.write(b'{"do": "arm"}\n{"do": "start"}\n{"do": "stop"}\n')
        answers = [json.loads(await reader.readline())["accepted"] for _ in range(3)]
        assert answers == [True, False, True]
        writer.close()


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (b"hello\n", "one JSON object"),
        (b"[]\n", "one JSON object"),
        (b"\xff\xfe\n", "one JSON object"),
        (b"[" * 3000 + b"\n", "one JSON object"),
        ({}, "The panel knows status, arm"),
        ({"do": "explode"}, "not 'explode'"),
        ({"do": 7}, "not '7'"),
        ({"do": None}, "not 'None'"),
        ({"do": "arm", "force": True}, "has no force"),
        ({"do": "raise", "step_ma": "2"}, "step_ma is a number"),
        ({"do": "raise", "step_ma": True}, "step_ma is a number"),
        ({"do": "raise", "step_ma": -1}, "Raise by 0.1 to 1000 mA: --by MA."),
        ({"do": "raise", "step_ma": 0.05}, "Raise by 0.1 to 1000 mA: --by MA."),
        ({"do": "raise", "step_ma": 5000}, "Raise by 0.1 to 1000 mA: --by MA."),
        (b'{"do": "raise", "step_ma": NaN}\n', "Raise by 0.1 to 1000 mA: --by MA."),
        (b'{"do": "raise", "step_ma": 1e999}\n', "Raise by 0.1 to 1000 mA: --by MA."),
        ({"do": "lower", "step_ma": None}, "step_ma is a number"),
        ({"do": "lower", "step_ma": 0}, "Lower by more than 0 mA: --by MA."),
        (b'{"do": "lower", "step_ma": NaN}\n', "Lower by more than 0 mA: --by MA."),
        (b'{"do": "lower", "step_ma": Infinity}\n', "Lower by more than 0 mA: --by MA."),
        (b'{"do": "status", "do": "stop_button"}\n', "A request says each thing once: 'do' is there twice"),
        (b'{"do": "raise", "step_ma": 1, "step_ma": 2}\n', "'step_ma' is there twice"),
        (b'{"do": "stop", "more": {"a": 1, "a": 2}}\n', "'a' is there twice"),
        ({"do": "reset", "engineer_pin": 1234}, "engineer_pin is printable text"),
        ({"do": "reset", "engineer_pin": "1" * 65}, "engineer_pin is printable text"),
        (b'{"do": "reset", "engineer_pin": "\\ud800"}\n', "engineer_pin is printable text"),
        (b'{"do": "reset", "engineer_pin": "12345\\u0000"}\n', "engineer_pin is printable text"),
        (b'{"do": "\\ud800"}\n', "not '\\ud800'"),
        (b"x" * 5000 + b"\n", "at most 4096 bytes"),
    ],
)
async def test_what_is_no_request_presses_nothing_and_is_told_why(tmp_path: Path, request_: object, words: str) -> None:
    set_pin(tmp_path, "correct-horse")
    async with panel_on(tmp_path) as (panel, buttons):
        accepted, said = await ask(panel, request_)
        assert not accepted
        assert words in said
        assert buttons.pressed == []


@pytest.mark.parametrize(
    ("said", "step_ma"),
    [(b"0.05", 0.05), (b"1e-9", 1e-9), (b"1000", 1000.0), (b"1001", 1000.0), (b"1e300", 1000.0), (b"9" * 999, 1000.0)],
)
async def test_less_is_always_free(tmp_path: Path, said: bytes, step_ma: float) -> None:
    async with panel_on(tmp_path) as (panel, buttons):
        assert (await ask(panel, b'{"do": "lower", "step_ma": ' + said + b"}\n"))[0]
        assert buttons.pressed == [(Press.LOWER, step_ma, ResetBy.THERAPIST)]


async def test_a_stop_is_not_refused_for_a_step_it_has_no_use_for(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, buttons):
        assert (await ask(panel, {"do": "stop_button", "step_ma": -1}))[0]
        assert buttons.pressed == [(Press.STOP_BUTTON, 1.0, ResetBy.THERAPIST)]


async def test_silent_and_slow_clients_hold_up_nobody(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, buttons):
        idle = [await asyncio.open_unix_connection(panel.path) for _ in range(3 * CLIENTS_MAX)]
        for _, writer in idle:
            writer.write(b'{"do": ')  # and never the rest
        assert (await ask(panel, {"do": "stop_button"}))[0]
        assert buttons.pressed == [(Press.STOP_BUTTON, 1.0, ResetBy.THERAPIST)]
        for _, writer in idle:
            writer.close()


async def test_a_client_that_never_reads_holds_up_nobody(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, _):
        _, deaf = await asyncio.open_unix_connection(panel.path)
        deaf.write(b'{"do": "status"}\n' * 3000)  # the answers fill every buffer
        await asyncio.sleep(0.2)  # time to fill the buffers
        assert (await ask(panel, {"do": "stop"}))[0]
        deaf.transport.abort()


async def test_a_control_loop_that_does_not_answer_is_told_with_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.panel.ANSWER_S", 0.2)
    async with panel_on(tmp_path) as (panel, buttons):
        buttons.answer = None
        accepted, words = await ask(panel, {"do": "stop"})
        assert not accepted
        assert "switch it off at the wall" in words
        buttons.takes = False
        assert "too busy" in (await ask(panel, {"do": "arm"}))[1]


async def test_status_says_everything_in_plain_words(tmp_path: Path) -> None:
    snapshot = replace(
        SNAPSHOT,
        phase=Phase.LATCHED,
        latched=Cause.OUTPUT_STUCK,
        reset_by=ResetBy.ENGINEER,
        holds=Holds.of(device=("0" * 16,), service=True),
        conditions=(Condition.OUTPUT_STUCK,),
        lease_margin_s=3.21,
    )
    async with panel_on(tmp_path, snapshot) as (panel, _):
        accepted, words = await ask(panel, {"do": "status"})
    assert accepted
    reset = f"stimfleet device reset --engineer --data-dir {tmp_path}"
    stuck = "the output did not go to zero when it was told to"
    assert words.splitlines() == [
        "device      stim-01: bench-ems-2, serial stim-01",
        "room        room-1",
        "phase       latched at zero",
        "session     none",
        "elapsed     0 s",
        "setting     0.0 mA",
        "output      none",
        "measured    no reading",
        "permission  3.2 s left",
        "electrodes  no reading",
        "battery     no reading",
        "fleet       connected",
        f"latch       {stuck}. Only an engineer may reset it: `{reset}`.",
        "holds       1 on this device, taken out of service. The fleet releases them; then the latch is reset here.",
        "conditions  output stuck: switch off at the wall",
    ]


@pytest.mark.parametrize(("in_on_phase", "output"), [(True, "ON phase"), (False, "OFF phase, or a ramp")])
async def test_status_says_which_session_runs_how_far_and_how_strongly(
    tmp_path: Path, in_on_phase: bool, output: str
) -> None:
    """The room is that of the settings: the papers keep the one in which the device was provisioned."""
    snapshot = replace(
        SNAPSHOT,
        phase=Phase.RUNNING,
        session_id="0123456789abcdef" * 2,
        settings=Settings(1, (), "room-4", 1.0, 0.2, ENVELOPE, service_hold=False),
        setting_ma=12.0,
        elapsed_s=119.6,
        duration_s=1200.0,
        ceiling=Limit(40.0, Layer.PLAN),
        lease_margin_s=4.04,
        reading=Reading(1.0, 11.9, 278, 7, 1500.0, 12.0, 12.0, in_on_phase, 90.0, 25.0, True, False, False),
    )
    async with panel_on(tmp_path, snapshot) as (panel, _):
        _, words = await ask(panel, {"do": "status"})
    assert words.splitlines() == [
        "device      stim-01: bench-ems-2, serial stim-01",
        "room        room-4",
        "phase       running",
        "session     01234567",
        "elapsed     120 s, 1080 s left",
        "setting     12.0 mA; 40.0 mA is the limit (plan)",
        f"output      {output}",
        "measured    11.9 mA",
        "permission  4.0 s left",
        "electrodes  1500.0 ohm",
        "battery     90.0 %",
        "fleet       connected",
    ]


def test_a_command_in_words_works_in_a_shell_as_it_stands(tmp_path: Path) -> None:
    folder = tmp_path / "room 4; rm"
    snapshot = replace(SNAPSHOT, latched=Cause.PATIENT_STOP, reset_by=ResetBy.THERAPIST)
    words = status_words(snapshot, Place("stim-01", "room-4", folder), connected=True)
    (command,) = re.findall(r"`(.*)`", words)
    assert shlex.split(command) == ["stimfleet", "device", "reset", "--data-dir", str(folder)]


def test_there_are_words_for_everything() -> None:
    assert (set(PHASES), set(CAUSES), set(CONDITIONS)) == (set(Phase), set(Cause), set(Condition))


# --- the engineer ---------------------------------------------------------------------------------------------------


async def test_an_engineer_resets_with_the_pin_and_nobody_without(tmp_path: Path) -> None:
    set_pin(tmp_path, "correct-horse")
    async with panel_on(tmp_path) as (panel, buttons):
        assert await ask(panel, {"do": "reset", "engineer_pin": "wrong-horse"}) == (
            False,
            "That is not the engineer's PIN.",
        )
        assert buttons.pressed == []
        assert (await ask(panel, {"do": "reset", "engineer_pin": "correct-horse"}))[0]
        assert buttons.pressed == [(Press.RESET, 1.0, ResetBy.ENGINEER)]
        await ask(panel, {"do": "reset"})
        assert buttons.pressed[-1] == (Press.RESET, 1.0, ResetBy.THERAPIST)


async def test_a_pin_cannot_be_tried_out(tmp_path: Path) -> None:
    set_pin(tmp_path, "correct-horse")
    async with panel_on(tmp_path) as (panel, buttons):
        for _ in range(5):
            await ask(panel, {"do": "reset", "engineer_pin": "000000"})
        assert "Too many" in (await ask(panel, {"do": "reset", "engineer_pin": "correct-horse"}))[1]
        assert buttons.pressed == []
        assert (await ask(panel, {"do": "stop_button"}))[0], "the rest goes on"


async def test_without_a_pin_the_panel_says_how_to_get_one(tmp_path: Path) -> None:
    async with panel_on(tmp_path) as (panel, _):
        for _ in range(10):
            words = (await ask(panel, {"do": "reset", "engineer_pin": "correct-horse"}))[1]
            assert f"`stimfleet device engineer-pin --data-dir {tmp_path}`" in words
        set_pin(tmp_path, "correct-horse")
        accepted, _ = await ask(panel, {"do": "reset", "engineer_pin": "correct-horse"})
        assert accepted, "nobody has guessed at a PIN that was not there"


def test_a_pin_is_changed_only_with_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(PinRefused, match="6 to 64"):
        set_pin(tmp_path, "12345")
    with pytest.raises(PinRefused, match="printable"):
        set_pin(tmp_path, "12345\ud800")
    set_pin(tmp_path, "123456")
    with pytest.raises(PinRefused, match="old one"):
        set_pin(tmp_path, "654321")
    with pytest.raises(PinRefused, match="old one"):
        set_pin(tmp_path, "654321", "000000")
    set_pin(tmp_path, "654321", "123456")
    assert is_pin(tmp_path, "654321")
    assert not is_pin(tmp_path, "123456")
    file = tmp_path / "engineer-pin.json"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "654321" not in file.read_text()
    file.write_text("{}")
    with pytest.raises(PinRefused, match="damaged"):
        is_pin(tmp_path, "654321")
