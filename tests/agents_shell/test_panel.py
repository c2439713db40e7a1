"""The panel's socket: presses and answers in plain words; whoever behaves badly holds up only himself."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agents.engineer import PinRefused, is_pin, set_pin
from agents.panel import CLIENTS_MAX, Panel
from agents.panel_words import CAUSES, CONDITIONS, PHASES
from agents.steps import Press, Reply
from broker.contract.causes import Cause, ResetBy
from broker.contract.messages import Condition, Holds, Phase
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
    panel = Panel(folder, buttons, lambda: snapshot, is_connected=lambda: True)  # type: ignore[arg-type,return-value]
    buttons.answer = panel.reply
    await panel.open()
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
        ({"do": "raise", "step_ma": -1}, "step_ma is a number"),
        (b'{"do": "raise", "step_ma": NaN}\n', "step_ma is a number"),
        (b'{"do": "raise", "step_ma": 1e999}\n', "step_ma is a number"),
        ({"do": "reset", "engineer_pin": 1234}, "engineer_pin is text"),
        (b"x" * 5000 + b"\n", "at most 4096 bytes"),
    ],
)
async def test_what_is_no_request_presses_nothing_and_is_told_why(tmp_path: Path, request_: object, words: str) -> None:
    async with panel_on(tmp_path) as (panel, buttons):
        accepted, said = await ask(panel, request_)
        assert not accepted
        assert words in said
        assert buttons.pressed == []


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
    stuck = "the output did not go to zero when it was told to"
    assert words.splitlines() == [
        "device      bench-ems-2, serial stim-01",
        "phase       latched at zero",
        "setting     0.0 mA",
        "measured    no reading",
        "elapsed     0 s",
        "permission  3.2 s left",
        "electrodes  no reading",
        "battery     no reading",
        "fleet       connected",
        f"latch       {stuck}. Only an engineer may reset it: `stimfleet device reset --engineer`.",
        "holds       1 on this device, taken out of service. The fleet releases them; then the latch is reset here.",
        "conditions  output stuck: switch off at the wall",
    ]


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
        assert "engineer-pin" in (await ask(panel, {"do": "reset", "engineer_pin": "000000"}))[1]


def test_a_pin_is_changed_only_with_the_old_one(tmp_path: Path) -> None:
    with pytest.raises(PinRefused, match="6 to 64"):
        set_pin(tmp_path, "12345")
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
