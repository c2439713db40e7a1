"""What waits for the fleet is bounded, keeps its order, and is counted where it is shed."""

import asyncio

from agents.clocks import Clocks
from agents.steps import Acknowledge, Sample
from agents.uplink import ACKS_MAX, LATE_MAX, LIVE_MAX, LIVE_S, Lane, Outbox
from broker.contract.messages import AckStatus, CommandRefusal
from tests.agents_shell.devices import telemetry


class Time:
    """Both clocks, moved by hand; the wall clock stands at 1970-01-01T00:00:10 when boot time is 0."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.clocks = Clocks(lambda: self.now_s, lambda: 10.0 + self.now_s)


async def test_a_lane_keeps_its_head_until_it_has_been_sent() -> None:
    lane: Lane[int] = Lane(3)
    for number in (1, 2, 3):
        assert lane.put(number) is None
    assert await lane.head() == 1
    assert await lane.head() == 1, "a lost connection loses nothing of it"
    lane.take(1)
    assert await lane.head() == 2


async def test_a_full_lane_gives_up_its_oldest_and_counts_it() -> None:
    lane: Lane[str] = Lane(2)
    lane.put("a")
    lane.put("b")
    assert await lane.head() == "a"
    assert lane.put("c") == "a"
    lane.take("a")  # it had given way while it was sent: nothing else goes in its place
    assert await lane.head() == "b"
    assert lane.shed == 1


async def test_who_waits_for_an_empty_lane_is_woken() -> None:
    lane: Lane[int] = Lane(2)
    waiting = asyncio.create_task(lane.head())
    await asyncio.sleep(0)  # a turn of the loop, for the other to wait
    lane.put(7)
    async with asyncio.timeout(1.0):
        assert await waiting == 7


async def test_samples_grow_late_with_the_time_at_which_they_were_taken() -> None:
    time = Time()
    outbox = Outbox(lambda: 3, time.clocks)
    outbox.put_sample(Sample(0.0, telemetry(1)))
    time.now_s = LIVE_S + 0.5
    outbox.put_sample(Sample(time.now_s, telemetry(2)))
    _, live = await outbox.next_live()
    assert (live.seq, live.late, live.at) == (2, False, "1970-01-01T00:00:11.500Z")
    late = await outbox.late.head()
    assert (late.seq, late.late, late.at) == (1, True, "1970-01-01T00:00:10.000Z")


async def test_a_day_without_a_broker_keeps_the_last_hour_and_counts_the_rest() -> None:
    outbox = Outbox(lambda: 3, Time().clocks)
    extra = 500
    for seq in range(LIVE_MAX + LATE_MAX + extra):
        outbox.put_sample(Sample(0.0, telemetry(seq)))
    assert (len(outbox.live), len(outbox.late), outbox.shed_count) == (LIVE_MAX, LATE_MAX, extra)
    assert (await outbox.late.head()).seq == extra
    for number in range(ACKS_MAX + 3):
        outbox.put_ack(Acknowledge(f"{number:032x}", AckStatus.RECEIVED))
    assert outbox.shed_count == extra + 3


async def test_a_command_repeated_all_day_pushes_no_ack_of_a_stop_out() -> None:
    """1,600 repeats a second of one recorded command, for two seconds, with the broker slow."""
    outbox = Outbox(lambda: 3, Time().clocks)
    repeated = Acknowledge("a" * 32, AckStatus.REFUSED, CommandRefusal.STALE)
    outbox.put_ack(repeated)
    outbox.put_ack(Acknowledge("5" * 32, AckStatus.RECEIVED))
    outbox.put_ack(Acknowledge("5" * 32, AckStatus.DONE, amplitude_ma=0.1))
    for _ in range(3_200):
        outbox.put_ack(repeated)
    assert (len(outbox.acks), outbox.acks.shed) == (3, 0)
    sent = []
    for _ in range(3):
        ack = await outbox.acks.head()
        outbox.put_ack(repeated)  # while it is sent
        outbox.acks.take(ack)
        sent.append((ack.command_id[0], ack.status))
    assert sent == [("a", AckStatus.REFUSED), ("5", AckStatus.RECEIVED), ("5", AckStatus.DONE)]


async def test_a_done_gives_way_to_nothing_but_a_done() -> None:
    outbox = Outbox(lambda: 3, Time().clocks)
    outbox.put_ack(Acknowledge("5" * 32, AckStatus.DONE, amplitude_ma=0.1))
    for number in range(2 * ACKS_MAX):
        outbox.put_ack(Acknowledge(f"{number:032x}", AckStatus.REFUSED, CommandRefusal.STALE))
    assert (len(outbox.acks), outbox.acks.shed) == (ACKS_MAX, ACKS_MAX + 1)
    assert (await outbox.acks.head()).status is AckStatus.DONE
    for number in range(2 * ACKS_MAX):
        outbox.put_ack(Acknowledge(f"{number:032x}", AckStatus.DONE))
    outbox.put_ack(Acknowledge("b" * 32, AckStatus.RECEIVED))
    assert len(outbox.acks) == ACKS_MAX, "bounded all the same"
    kept = []
    while len(outbox.acks):
        kept.append(await outbox.acks.head())
        outbox.acks.take(kept[-1])
    assert [(int(ack.command_id, 16), ack.status) for ack in kept] == [
        (number, AckStatus.DONE) for number in range(ACKS_MAX, 2 * ACKS_MAX)
    ]
