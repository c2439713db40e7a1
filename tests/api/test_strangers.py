"""What those may ask for who are not signed in, and that those who are do not notice."""

import asyncio
import statistics
import time
from pathlib import Path

from fleet.api.access import Role
from fleet.api.shield import HELD_S
from fleet.api.strangers import ADDRESSES_MAX, Allowance, Strangers
from tests.api.desk import Front

API, FILE = 10.0, 1.0


def asked(strangers: Strangers, number: int, costs: float, now_s: float) -> int:
    """How many of so many requests may be looked at."""
    return sum(strangers.may("192.0.2.1", costs, now_s) for _ in range(number))


def test_a_hundred_requests_at_once_and_then_ten_a_second() -> None:
    strangers = Strangers()
    assert asked(strangers, 150, API, 0.0) == 100
    assert asked(strangers, 150, API, 1.0) == 10
    assert strangers.may("192.0.2.2", API, 1.0), "another address has its own"
    assert asked(strangers, 150, API, 1_000.0) == 100, "and no more, however long nobody asked"


def test_the_files_of_a_page_are_many() -> None:
    assert asked(Strangers(), 1_500, FILE, 0.0) == 1_000


def test_all_strangers_together_have_their_bound_but_not_where_somebody_has_signed_in_before() -> None:
    strangers = Strangers(everybody=Allowance(at_once=100.0, a_second=10.0))
    assert [strangers.may(f"192.0.2.{n}", API, 0.0) for n in range(11)] == [True] * 10 + [False]
    assert strangers.may("198.51.100.1", API, 0.0, known=True)
    assert not strangers.may("198.51.100.2", API, 0.0)
    assert strangers.may("198.51.100.2", API, 1.0)


def test_a_clock_that_stands_gives_nothing_and_addresses_made_up_take_no_memory() -> None:
    strangers = Strangers()
    for number in range(ADDRESSES_MAX + 100):
        strangers.may(f"address {number}", FILE, 0.0)
    assert len(strangers._left) == ADDRESSES_MAX


async def test_a_crowd_that_asks_too_much_is_held_and_who_is_signed_in_is_not(tmp_path: Path) -> None:
    """From the same address. Compared are times of this machine at this moment."""
    front = Front(tmp_path, strangers=Strangers(Allowance(at_once=300.0, a_second=0.0)))
    front.user("anna", Role.VIEWER)
    page, crowd = front.browser(), front.browser()
    await page.signs_in("anna")
    requests = [asyncio.ensure_future(crowd.get("/me")) for _ in range(60)]
    began = time.perf_counter()
    took = []
    for _ in range(40):
        pushed = time.perf_counter()
        assert (await page.stops()).status_code == 202
        took.append(time.perf_counter() - pushed)
    statuses = [(await one).status_code for one in requests]
    assert (statuses.count(401), statuses.count(429)) == (29, 31), "one was used to sign in"
    assert time.perf_counter() - began >= HELD_S
    assert statistics.median(took) < HELD_S / 10
    assert (await crowd.get("/me")).status_code == 429
    token = front.token(Role.VIEWER)
    async with front.machine(token) as machine:
        assert {(await machine.get("/api/v1/me")).status_code for _ in range(40)} == {200}
    front.store.close()


async def test_one_user_who_asks_too_much_is_held_except_for_a_stop_and_no_other_is(tmp_path: Path) -> None:
    front = Front(tmp_path, signed_in=Allowance(at_once=30.0, a_second=0.0))
    for user in ("anna", "mallory"):
        front.user(user, Role.VIEWER)
    greedy, again, anna = front.browser(), front.browser(), front.browser()
    for browser, user in ((greedy, "mallory"), (again, "mallory"), (anna, "anna")):
        await browser.signs_in(user)
    answers = await asyncio.gather(*(browser.get("/me") for browser in (greedy, again) for _ in range(20)))
    assert sorted(answer.status_code for answer in answers) == [200] * 30 + [429] * 10
    assert (await again.stops()).status_code == 202, "a stop is never counted"
    assert (await anna.get("/me")).status_code == 200
    front.store.close()
