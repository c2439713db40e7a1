"""What alarms cost with many devices: `python -m tests.core.alarm_cost [devices]`. Prints milliseconds."""

import sys
import timeit
from collections.abc import Callable

from broker.contract.causes import Cause
from fleet.core import alarm_inputs as asks
from fleet.core import alarms, inputs, paging, proof
from fleet.core.turn import Turn
from tests.core.crowd import Crowd
from tests.core.on_call import ROTA

TIMES = 50


def looks(crowd: Crowd) -> float:
    """Milliseconds of the look that is taken once a second."""

    def look() -> None:
        crowd.state.fleeting.alarms_looked_s = float("-inf")
        turn = Turn(crowd.state, crowd.now_s, crowd.wall_s)
        alarms.look(turn)
        assert turn.events == []

    look()
    return min(timeit.repeat(look, number=1, repeat=TIMES)) * 1e3


def messages(crowd: Crowd) -> float:
    """Milliseconds of the look at messages and rungs that is taken with every tick, ten times a second."""

    def look() -> None:
        turn = Turn(crowd.state, crowd.now_s, crowd.wall_s)
        proof.look(turn)
        paging.look(turn)
        assert turn.events == []

    look()
    return min(timeit.repeat(look, number=1, repeat=TIMES)) * 1e3


def once(happens: Callable[[], object]) -> float:
    return timeit.timeit(happens, number=1) * 1e3


def main(devices: int) -> None:
    crowd = Crowd(devices)
    crowd.ready()
    crowd.treats(list(crowd.stims))
    crowd.all_speak()
    told = {"a look, all in session": looks(crowd)}
    for name in crowd.stims:
        crowd.latches(name, Cause.PATIENT_STOP)
        crowd.says(name, crowd.stims[name].birth())
    told["a look, as many alarms open"] = looks(crowd)
    told["a tick's look at messages, as many alarms open"] = messages(crowd)
    took_over = inputs.TookOver("host-boot-1", crowd.now_s, crowd.wall_s)
    told["taking over, as many alarms open"] = once(lambda: crowd.decides(took_over))
    tick = inputs.Tick(crowd.now_s + 30.0, crowd.wall_s)
    told["the tick in which all are lost"] = once(lambda: crowd.decides(tick))
    crowd.now_s += 30.0
    told["a look, all of them lost as well"] = looks(crowd)
    adopts = asks.RotaChanged(ROTA, crowd.now_s, crowd.wall_s)
    told["adopting a rota, as many alarms open"] = once(lambda: crowd.decides(adopts))
    told["the tick in which somebody is told of each of them"] = once(lambda: crowd.after(121.0))
    told["a tick's look at messages, each of them told"] = messages(crowd)
    for what, ms in told.items():
        print(f"{devices} devices, {what}: {ms:.1f} ms")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1000)
