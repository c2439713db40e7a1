"""Bad sign-ins: how long one waits, whom it keeps out, and whom never."""

import asyncio
import statistics
import threading
import time
from pathlib import Path

import pytest

from fleet.api.access import Role
from fleet.api.attempts import BOUNDS, COUNTS_MAX, Attempts, Bound, Kind, place
from fleet.api.passwords import Passwords
from fleet.api.people import Told
from fleet.api.reception import VERIFYING_MAX_ADDRESS, VERIFYING_MAX_UNKNOWN
from tests.api.desk import NOON_WALL_S, PASSWORD, Front, running, until

MINUTE_S = 60.0
HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


def fails(attempts: Attempts, times: int, user: str = "anna", address: str = HERE, at: float = NOON_WALL_S) -> None:
    for _ in range(times):
        attempts.began(user, address, at)


# --- the arithmetic ---


def test_five_are_free_then_each_doubles_the_wait_up_to_a_quarter_of_an_hour() -> None:
    attempts = Attempts({}, {})
    waits = []
    for _ in range(16):
        attempts.began("anna", HERE, NOON_WALL_S)
        waits.append(attempts.wait_s("anna", HERE, NOON_WALL_S))
    assert waits == [0, 0, 0, 0, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]


def test_the_wait_runs_out() -> None:
    attempts = Attempts({}, {})
    fails(attempts, 7)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 5.0) == 3.0
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 8.0) == 0.0


def test_an_address_has_twenty_for_all_users_together() -> None:
    attempts = Attempts({}, {})
    for number in range(19):
        fails(attempts, 1, user=f"user-{number}")
    assert attempts.wait_s("somebody", HERE, NOON_WALL_S) == 0.0
    fails(attempts, 1, user="user-19")
    assert attempts.wait_s("somebody", HERE, NOON_WALL_S) == 2.0
    assert attempts.wait_s("somebody", ELSEWHERE, NOON_WALL_S) == 0.0


def test_a_user_has_twenty_from_everywhere_together_and_waits_a_minute_at_most() -> None:
    attempts = Attempts({}, {})
    for number in range(40):
        fails(attempts, 1, address=f"192.0.2.{number}")
    assert attempts.wait_s("anna", ELSEWHERE, NOON_WALL_S) == MINUTE_S
    assert attempts.wait_s("bert", ELSEWHERE, NOON_WALL_S) == 0.0


def test_who_has_signed_in_here_before_is_not_kept_out_by_others() -> None:
    attempts = Attempts({}, {("anna", HERE): NOON_WALL_S})
    for number in range(40):
        fails(attempts, 1, address=f"198.51.100.{number}")
        fails(attempts, 1, user=f"user-{number}")
    assert attempts.wait_s("anna", HERE, NOON_WALL_S) == 0.0
    assert attempts.wait_s("bert", HERE, NOON_WALL_S) > 0.0
    fails(attempts, 5)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S) == 2.0, "the narrow bound is for them too"
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 91 * 24 * 60 * MINUTE_S) == 0.0


def test_a_good_one_ends_the_users_wait_but_not_the_addresss() -> None:
    attempts = Attempts({}, {})
    for number in range(18):
        fails(attempts, 1, user=f"user-{number}")
    for _ in range(10):  # somebody with one user of their own goes on guessing others
        attempts.began("mallory", HERE, NOON_WALL_S)
        attempts.succeeded("mallory", HERE, NOON_WALL_S)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S) == 0.0
    fails(attempts, 2, user="bert")
    assert attempts.wait_s("anna", HERE, NOON_WALL_S) == 2.0


def test_all_is_forgotten_after_a_day_or_when_the_password_is_set_anew() -> None:
    attempts = Attempts({}, {})
    fails(attempts, 30)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 1.0) > 0.0
    assert attempts.wait_s("anna", ELSEWHERE, NOON_WALL_S + 1.0, since_wall_s=NOON_WALL_S + 0.5) == 0.0
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 24 * 60 * MINUTE_S + 1.0) == 0.0
    fails(attempts, 1, at=NOON_WALL_S + 25 * 60 * MINUTE_S)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S + 25 * 60 * MINUTE_S) == 0.0, "counted from one again"


def test_a_clock_that_was_set_back_keeps_nobody_out_for_long() -> None:
    attempts = Attempts({}, {})
    fails(attempts, 5)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S - 365 * 24 * 60 * MINUTE_S) == 2.0


def test_names_made_up_take_no_more_memory_than_is_theirs() -> None:
    attempts = Attempts({}, {})
    for number in range(COUNTS_MAX):
        fails(attempts, 1, user=f"user-{number}")
    assert len(attempts._counts) == COUNTS_MAX
    assert attempts.wait_s("anybody", HERE, NOON_WALL_S) > 0.0, "the address's own count is among the newest"


def test_a_count_of_any_height_is_a_wait() -> None:
    attempts = Attempts({}, {})
    fails(attempts, 5_000)
    assert attempts.wait_s("anna", HERE, NOON_WALL_S) == BOUNDS[Kind.PAIR].longest_s


@pytest.mark.parametrize(
    ("address", "counted"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::9", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::1", "::1"),
        ("unknown", "unknown"),
    ],
)
def test_an_address_of_ipv6_is_the_network_of_a_household(address: str, counted: str) -> None:
    assert place(address) == counted


# --- at the route ---


async def test_guessing_is_slowed_down_and_told_how_long_and_the_right_one_waits_too(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    answers = [await browser.signs_in("anna", f"guess number {n}") for n in range(6)]
    assert [answer.status_code for answer in answers] == [401, 401, 401, 401, 401, 429]
    assert answers[0].json() == {"error": "wrong", "text": "Name or password is wrong."}
    assert answers[5].headers["retry-after"] == "2"
    assert (await browser.signs_in("anna")).status_code == 429, "nothing is learned while one waits"
    front.wall.after(2.0)
    assert (await browser.signs_in("anna")).status_code == 200
    assert (await browser.signs_in("anna", "a guess")).status_code == 401, "counted from one again"


async def test_whoever_goes_on_trying_does_not_keep_the_user_out(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    for number in range(5):
        await browser.signs_in("anna", f"guess number {number}")
    for number in range(50):
        assert (await browser.signs_in("anna", f"guess number {number}")).status_code == 429
    front.wall.after(2.0)
    assert (await browser.signs_in("anna")).status_code == 200


async def test_a_signed_in_workstation_is_never_locked_out(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    workstation, same_place = front.browser(HERE), front.browser(HERE)
    await workstation.signs_in("anna")
    for number in range(40):
        await same_place.signs_in("anna", f"guess number {number}")
        await same_place.signs_in(f"user-{number}", "a guess")
    assert (await same_place.signs_in("anna")).status_code == 429
    assert (await workstation.stops()).status_code == 202


async def test_nobody_learns_whether_there_is_such_a_user(front: Front) -> None:
    """Known, unknown, disabled: the same answers in the same order."""
    front.user("anna", Role.VIEWER)
    front.user("bert", Role.VIEWER, disabled=True)
    told = {}
    for user, address in (("anna", "192.0.2.1"), ("bert", "192.0.2.2"), ("nobody", "192.0.2.3")):
        browser = front.browser(address)
        answers = [await browser.signs_in(user, PASSWORD + "?") for _ in range(8)]
        told[user] = [(answer.status_code, answer.text, answer.headers.get("retry-after")) for answer in answers]
    assert told["anna"] == told["bert"] == told["nobody"]
    assert (await front.browser("192.0.2.4").signs_in("bert")).text == told["anna"][0][1], "with the right password too"


async def test_a_name_that_nobody_has_takes_as_long(tmp_path: Path) -> None:
    """Ratio of medians, with the real way through the route and costs high enough to be most of it."""
    front = Front(tmp_path, passwords=Passwords(passes=2, memory_kib=8_192))
    front.user("anna", Role.VIEWER)
    took: dict[str, list[float]] = {"anna": [], "nobody": []}
    for number in range(25):
        for user, times in took.items():
            browser = front.browser(f"192.0.2.{number}")
            began = time.perf_counter()
            answer = await browser.signs_in(user, "a guess that is long enough")
            times.append(time.perf_counter() - began)
            assert answer.status_code == 401
            front.wall.after(2 * 60 * MINUTE_S)
    ratio = statistics.median(took["anna"]) / statistics.median(took["nobody"])
    assert 0.6 < ratio < 1.7, f"ratio of medians {ratio:.2f}"
    front.store.close()


async def test_many_at_once_do_not_all_slip_through(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    answers = await asyncio.gather(*(browser.signs_in("anna", f"guess {number}") for number in range(40)))
    looked_at = [answer.status_code for answer in answers].count(401)
    assert looked_at <= min(VERIFYING_MAX_ADDRESS, BOUNDS[Kind.PAIR].free)


async def test_two_hundred_bad_sign_ins_at_once_do_not_hold_up_who_is_signed_in(tmp_path: Path) -> None:
    """The costs of a real password. Compared are times of this machine at this moment: one verification, and a stop."""
    front = Front(tmp_path, passwords=Passwords())
    loose = {kind: Bound(free=1_000, first_s=1.0, longest_s=1.0, forgotten_s=MINUTE_S) for kind in Kind}
    front.reception._attempts = Attempts({}, {}, loose)
    front.user("anna", Role.VIEWER)
    workstation = front.browser()
    await workstation.signs_in("anna")
    flood = [front.browser(f"203.0.113.{number}").signs_in("anna", f"guess {number}") for number in range(200)]
    bad = asyncio.gather(*flood)
    took = []
    while not bad.done():
        began = time.perf_counter()
        assert (await workstation.stops()).status_code == 202
        took.append(time.perf_counter() - began)
        await asyncio.sleep(0.005)  # a person does not push in a closed loop
    statuses = [answer.status_code for answer in await bad]
    began = time.perf_counter()
    front.passwords.verify(front.passwords.nobodys, "a guess")
    one_verification_s = time.perf_counter() - began
    assert statuses.count(401) >= 10, "that many were verified"
    assert statuses.count(401) + statuses.count(429) == 200
    assert len(took) >= 10
    assert statistics.median(took) < one_verification_s / 4, f"{statistics.median(took)} of {one_verification_s}"
    front.store.close()


async def test_a_flood_of_sign_ins_leaves_room_for_who_was_there_before(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    front.user("bert", Role.VIEWER)
    await front.browser("192.0.2.1").signs_in("anna")
    hold = threading.Event()
    front.reception._verifiers.submit(hold.wait)  # as if a verification took that long
    flood = [asyncio.ensure_future(front.browser(f"203.0.113.{n}").signs_in(f"user-{n}", "a guess")) for n in range(50)]
    await until(lambda: sum(one.done() for one in flood) == 50 - VERIFYING_MAX_UNKNOWN)
    bert = await front.browser("192.0.2.2").signs_in("bert")
    assert (bert.status_code, bert.headers["retry-after"]) == (429, "2")
    anna = asyncio.ensure_future(front.browser("192.0.2.1").signs_in("anna"))
    await until(lambda: front.reception._verifying.total() == VERIFYING_MAX_UNKNOWN + 1)
    hold.set()
    assert (await anna).status_code == 200
    statuses = [(await one).status_code for one in flood]
    assert (statuses.count(401), statuses.count(429)) == (VERIFYING_MAX_UNKNOWN, 50 - VERIFYING_MAX_UNKNOWN)


async def test_counts_survive_a_restart(front: Front) -> None:
    front.user("anna", Role.VIEWER)
    browser = front.browser()
    async with running(front.reception):
        for number in range(6):
            await browser.signs_in("anna", f"guess number {number}")
    front.app.state.reception = front.opened()
    assert (await browser.signs_in("anna")).status_code == 429
    front.wall.after(2.0)
    assert (await browser.signs_in("anna")).status_code == 200


async def test_what_was_typed_as_a_name_is_kept_nowhere(front: Front) -> None:
    """People type their password into the field of the name."""
    async with running(front.reception):
        await front.browser().signs_in("my-secret-of-long-ago", "anna")
        await until(lambda: len(front.audit()) == 1)
    assert front.audit() == [Told(NOON_WALL_S, "(unknown)", "192.0.2.7", "sign in", "", "refused")]
    files = [path for path in front.folder.iterdir() if path.name.startswith("users.db")]
    assert all(b"my-secret-of-long-ago" not in path.read_bytes() for path in files)
