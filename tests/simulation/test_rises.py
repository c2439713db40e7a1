"""Whatever a therapist presses and whatever is lost: the fleet finds no rise of an honest agent too fast (H04)."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agents.steps import Press
from broker.contract.messages import LIVE_PHASES, Phase, Telemetry
from fleet.core import rises
from fleet.core.turn import Turn
from tests.agents.clinic import Clinic as TreatmentRoom
from tests.core.clinic import Clinic

PRESSES = st.tuples(
    st.sampled_from([Press.RAISE, Press.RAISE, Press.RAISE, Press.RAISE, Press.LOWER, Press.PAUSE, Press.RESUME]),
    st.floats(0.1, 5.0),  # mA
    st.sampled_from([0.05, 0.1, 0.2, 0.4, 0.5, 2.0]),  # s until the next
)


def treated(presses: list[tuple[Press, float, float]]) -> list[Telemetry]:
    """The samples of a session in which these were pressed, one after the other, allowed or not."""
    room = TreatmentRoom()
    room.until_running()
    for press, step_ma, then_s in presses:
        room.press(press, step_ma)
        room.run(then_s)
    return [sample for sample in room.samples() if sample.phase in LIVE_PHASES]


@settings(max_examples=60, deadline=None)
@given(presses=st.lists(PRESSES, max_size=60), fates=st.lists(st.sampled_from(["heard", "late", "lost"]), max_size=400))
def test_h04_no_rise_by_the_device_s_own_rules_is_too_fast(
    presses: list[tuple[Press, float, float]], fates: list[str]
) -> None:
    samples = treated(presses)
    assert samples[-1].phase in {Phase.RUNNING, Phase.PAUSED}
    clinic = Clinic()
    session = clinic.armed()
    limits = session.authorisation.limits
    turn = Turn(clinic.state, clinic.now_s, clinic.wall_s)
    fate_of = dict(enumerate(fates))
    heard = [sample for n, sample in enumerate(samples) if fate_of.get(n, "heard") == "heard"]
    late = [sample for n, sample in enumerate(samples) if fate_of.get(n) == "late"]
    middle = len(heard) // 2
    for some, newest in ((heard[:middle], True), (late, False), (heard[middle:], True)):
        for sample in some:
            assert rises.too_fast(turn, session, limits, sample, newest=newest) is None
