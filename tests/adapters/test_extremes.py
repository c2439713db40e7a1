"""Whatever an authentic device may say, at the bounds of the codec, the fleet decides, journals and answers.

The core is driven with messages that the contract allows and no sane device sends; every event has to be storable, the
state has to make a snapshot, and what goes out has to be a message.
"""

from dataclasses import replace
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from broker.contract import messages
from broker.contract.messages import Phase, Uplink
from broker.wire.codec import encode
from fleet.adapters.journal.forms import Forms, dump_exactly
from fleet.adapters.journal.pieces import in_pieces
from fleet.core import inputs
from fleet.core.decide import Decision, decide
from fleet.core.effects import Answer, ClearRetained, Count
from fleet.core.events import Event
from fleet.core.state import Durable
from fleet.tally import Tally
from tests.contract.any_message import message
from tests.core.clinic import Clinic

FORMS = Forms.of(Event)
DURABLE: TypeAdapter[Durable] = TypeAdapter(Durable)
PIECES = in_pieces(Durable)
STORIES = (Clinic.ready, Clinic.authorised, Clinic.armed, Clinic.running, Clinic.stopped)


def said(clinic: Clinic, extreme: Uplink, *, familiar: bool) -> Uplink:
    """The message; `familiar`: of the boot, the session and the command that the fleet expects, so that it counts."""
    stim = clinic.stims["stim-12"]
    if not familiar:
        return extreme
    session = clinic.state.session_on(clinic.state.device("stim-12"))
    session_id = None if session is None else session.session_id
    match extreme:
        case messages.Telemetry():
            stim.seq += 1
            version = clinic.settings_of("stim-12").version
            own: dict[str, Any] = {"session_id": session_id, "settings_version": version, "seq": stim.seq}
            return replace(extreme, boot_n=stim.boot_n, **own)
        case messages.Birth():
            return replace(extreme, boot_n=stim.boot_n, serial=stim.serial)
        case messages.Event():
            return replace(extreme, session_id=session_id, spool_id=stim.spool_id)
        case messages.Ack():
            command_ids = [
                *clinic.state.durable.stops,
                *(() if session is None else [session.authorisation.command_id]),
            ]
            return replace(extreme, boot_n=stim.boot_n, command_id=[*command_ids, extreme.command_id][0])
        case messages.Presence():
            return extreme


def holds_together(clinic: Clinic, decision: Decision) -> None:
    for event in decision.events:
        _ = FORMS.dump(event)
    for effect in (*decision.at_once, *decision.after_commit):
        if not isinstance(effect, Count | Answer | ClearRetained):
            assert encode(effect.message)
    assert b"".join(PIECES(clinic.state.durable)) == dump_exactly(DURABLE, clinic.state.durable)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(STORIES),
    st.lists(st.tuples(st.one_of(*(message(kind) for kind in get_args(Uplink))), st.booleans()), max_size=6),
)
def test_whatever_a_device_says_the_fleet_decides_and_can_journal_and_answer_it(
    story: Any, extremes: list[tuple[Uplink, bool]]
) -> None:
    clinic = Clinic()
    story(clinic)
    tally = Tally(clinic.state)
    for extreme, familiar in extremes:
        clinic.now_s += 0.5
        heard = inputs.Received("stim-12", said(clinic, extreme, familiar=familiar), clinic.now_s, clinic.wall_s)
        decision = decide(clinic.state, heard)
        holds_together(clinic, decision)
        tally.turned(heard, decision)
    for later in (
        clinic.push("stim-12"),
        clinic.request(request_id="request-2"),
        inputs.TookOver("host-boot-1", clinic.now_s, clinic.wall_s),
        clinic.request(device="stim-7", room="room-1", client="c-4712", request_id="request-3"),
        inputs.Tick(clinic.now_s + 40.0, clinic.wall_s + 40.0),
    ):
        decision = decide(clinic.state, later)
        holds_together(clinic, decision)
        tally.turned(later, decision)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from((Phase.ARMED, Phase.RUNNING, Phase.PAUSED, Phase.STOPPING)), message(messages.Telemetry))
def test_whatever_a_sample_of_a_live_session_shows_the_fleet_judges_it(
    phase: Phase, extreme: messages.Telemetry
) -> None:
    clinic = Clinic()
    (clinic.armed if phase is Phase.ARMED else clinic.running)()
    shown = said(clinic, replace(extreme, phase=phase), familiar=True)
    holds_together(clinic, decide(clinic.state, inputs.Received("stim-12", shown, clinic.now_s, clinic.wall_s)))
    holds_together(clinic, decide(clinic.state, clinic.push("stim-12")))
