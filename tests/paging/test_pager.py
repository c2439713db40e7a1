"""From a violating sample at a simulated stimulator to the message that a receiver has taken: real processes."""

import hashlib
import hmac
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from broker.ports import free_port
from demo.processes import Process, await_that
from tests.paging.house import KEY, House, rota, webhook
from tests.paging.receivers import HttpReceiver, Mailbox, boottime_s


@pytest.fixture
def anna() -> Iterator[HttpReceiver]:
    with HttpReceiver() as receiver:
        yield receiver


def test_an_output_above_its_limit_is_told_within_a_second_signed_and_by_mail(
    tmp_path: Path, anna: HttpReceiver
) -> None:
    with Mailbox() as mailbox:
        people = rota(anna=webhook("anna"), ben={"id": "mail", "kind": "apprise", "secret": "ben-mail"})
        people["rungs"] = {"high": [["everyone"]], "medium": [["anna"]]}
        secrets = {"anna-phone": f"{anna.url}/hook?token=t0p-s3cret\n{KEY}\n", "ben-mail": mailbox.url}
        with House(tmp_path, people, secrets) as house:
            house.treat("stim-01", to_ma=20)
            at_s = house.clinic.suffer("stim-01", kind="output_above", size=8.0)
            (first, *_) = anna.await_posts(1)
            assert first.at_s - at_s < 1.0
            said = first.said
            assert said["text"].startswith("HIGH Room room-4, stim-01: ")
            assert said["text"].endswith("See to the patient; do not reset it before you know why.")
            assert (said["code"], said["priority"], said["act"], said["rung"]) == ("A02", "high", "trigger", 1)
            timestamp = first.headers["Stimfleet-Timestamp"]
            signed = hmac.new(KEY.encode(), f"{timestamp}.".encode() + first.body, hashlib.sha256).hexdigest()
            assert first.headers["Stimfleet-Signature"] == f"v1={signed}"
            assert mailbox.await_mails(1)[0] == said["text"]

            await_that("both outcomes are journaled", lambda: len(house.journaled("PageArrived")) >= 2, 5.0)
            arrived = [(one["person"], one["late"]) for one in house.journaled("PageArrived")]
            assert set(arrived) == {("anna", False), ("ben", False)}
            written = house.everything_written()
            assert b"stim-01" in written
            for secret in (b"t0p-s3cret", KEY.encode(), mailbox.url.encode(), anna.url.encode(), b"anna@clinic"):
                assert secret not in written
            assert b"client-0001" not in first.body


def test_first_rung_unreachable_second_slow_third_takes_it(tmp_path: Path) -> None:
    with HttpReceiver(silent=True) as slow, HttpReceiver() as cleo:
        people = rota(anna=webhook("anna"), ben=webhook("ben"), cleo=webhook("cleo"))
        secrets = {
            "anna-phone": f"http://127.0.0.1:{free_port()}/\n{KEY}",
            "ben-phone": f"{slow.url}/\n{KEY}",
            "cleo-phone": f"{cleo.url}/\n{KEY}",
        }
        with House(tmp_path, people, secrets) as house:
            house.treat("stim-01", to_ma=20)
            house.clinic.suffer("stim-01", kind="output_above", size=8.0)
            (taken, *_) = cleo.await_posts(1)
            assert (taken.said["rung"], taken.said["details"][-1]) == (
                3,
                "Nobody has accepted it yet: this is call 3.",
            )
            await_that("it is journaled", lambda: house.journaled("PageArrived") or None, 5.0)
            rungs = [one for one in house.journaled("RungReached") if one["code"] == "A02"]
            first, second, third = (one["now_s"] for one in rungs[:3])
            assert 1.2 < second - first < 3.0, "three tries at a closed door, then the next at once"
            assert 2.0 < third - second < 4.0, "two tries of a second each at one that says nothing"
            missed = [(one["person"], one["why"]) for one in house.journaled("PageMissed")]
            assert missed[:2] == [("anna", "connection refused, 3 tries"), ("ben", "no answer in time, 2 tries")]
            assert len(slow.posted) == 2


def test_pager_killed_between_sending_and_telling_sends_once_more_and_no_more(tmp_path: Path) -> None:
    """Anna's telephone takes the message and the answer is slow: there the pager dies, twice."""
    with HttpReceiver(silent=True) as anna:
        people = rota(anna=webhook("anna"))
        secrets = {"anna-phone": f"{anna.url}/\n{KEY}"}
        with House(tmp_path, people, secrets, settings="send_s = 12.0\n") as house:
            house.treat("stim-01", to_ma=20)
            house.clinic.suffer("stim-01", kind="output_above", size=8.0)
            (first, *_) = anna.await_posts(1)
            house.pager.kill()
            house.pager.start()
            again = anna.await_posts(2)[1]
            assert again.said["page_id"] == first.said["page_id"], "not never: nobody knew that it had gone out"
            house.pager.kill()
            house.pager.start()
            missed = await_that("it is given up", lambda: house.journaled("PageMissed") or None, 10.0)
            assert missed[0]["why"] == "interrupted twice: whether it went out is not known"
            same = [post for post in anna.posted if post.said["page_id"] == first.said["page_id"]]
            assert len(same) == 2, "once more at most"


def test_fleet_and_pager_killed_after_the_alarm_is_raised(tmp_path: Path, anna: HttpReceiver) -> None:
    people = rota(anna=webhook("anna"))
    with House(tmp_path, people, {"anna-phone": f"{anna.url}/\n{KEY}"}) as house:
        house.treat("stim-01", to_ma=20)
        house.pager.kill()
        house.clinic.suffer("stim-01", kind="output_above", size=8.0)
        await_that("the alarm is raised", lambda: house.journaled("AlarmRaised") or None, 10.0)
        house.clinic.fleet.kill()
        killed_s = boottime_s()
        house.clinic.fleet.start()
        house.pager.start()
        # A fleet that was killed in a stop does not know at once that there is zero: A01 may be told as well.
        (told,) = await_that(
            "A02 is told", lambda: [post for post in anna.posted if post.said["code"] == "A02"][:1] or None, 15.0
        )
        assert told.at_s - killed_s < 10.0
        await_that("the fleet hears of it", lambda: house.journaled("PageArrived") or None, 10.0)
        by_page = [post.said["page_id"] for post in anna.posted]
        assert len(by_page) == len(set(by_page)), "each order went out once"


def test_it_ends_in_order_and_another_one_waits_until_it_has(tmp_path: Path, anna: HttpReceiver) -> None:
    with House(tmp_path, rota(anna=webhook("anna")), {"anna-phone": f"{anna.url}/\n{KEY}"}) as house:
        where = [f"--site-dir={house.clinic.site_dir}", f"--data-dir={house.clinic.fleet_dir}"]
        second = Process("second pager", ["pager", *where], tmp_path / "logs" / "second.log")
        second.start()
        await_that("it waits", lambda: b"waiting until it ends" in second.log.read_bytes(), 20.0)
        assert house.clinic.ask(op="drill", issued_by="oskar")["ok"]
        (drill, *_) = anna.await_posts(1)
        assert drill.said["drill"]
        assert drill.said["text"].startswith("TEST, nothing is wrong.")
        assert house.pager.end() is None
        assert [one["person"] for one in house.journaled("PageArrived")] == ["anna"]
        await_that("the other one goes on", lambda: b"telling people" in second.log.read_bytes(), 20.0)
        assert second.end() is None
        assert len(anna.posted) == 1, "what the first had told, the second does not tell again"
        house.start_pager()


def test_a_press_on_the_link_in_the_message_takes_the_alarm(tmp_path: Path, anna: HttpReceiver) -> None:
    """Looked at by a preview, then pressed once; whoever was told hears who has it."""
    port = free_port()
    settings = f'send_s = 1.0\npublic_url = "http://127.0.0.1:{port}"\n'
    people = rota(anna=webhook("anna"), ben=webhook("ben"))
    secrets = {f"{name}-phone": f"{anna.url}/{name}\n{KEY}" for name in ("anna", "ben")}
    with House(tmp_path, people, secrets, settings) as house:
        where = [f"--site-dir={house.clinic.site_dir}", f"--data-dir={house.clinic.fleet_dir}"]
        web = Process("web", ["web", *where, f"--port={port}"], tmp_path / "logs" / "web.log")
        web.start()
        house.treat("stim-01", to_ma=20)
        house.clinic.suffer("stim-01", kind="output_above", size=8.0)
        (told, *_) = anna.await_posts(1)
        link = told.said["link"]

        def looked() -> httpx.Response | None:
            try:
                shown = httpx.get(link)
            except httpx.TransportError:
                return None  # it is coming up
            return shown if told.said["text"].split(":")[0] in shown.text else None

        assert await_that("the page shows the alarm", looked, 20.0).status_code == 200
        assert house.journaled("AlarmAccepted") == []
        assert "You have it" in httpx.post(link, data={"press": "accept"}).text
        (taken,) = house.journaled("AlarmAccepted")
        assert (taken["issued_by"], taken["code"]) == ("anna", "A02")
        await_that(
            "anna hears it", lambda: [post for post in anna.posted if post.said["act"] == "acknowledge"] or None, 5.0
        )
        assert httpx.post(link, data={"press": "reject"}).status_code == 410
        assert link.encode() not in house.everything_written()
        assert (house.clinic.fleet_dir / "links.key").read_bytes() not in house.everything_written()
        assert web.end() is None


def test_the_heartbeat_stops_with_the_fleet_and_comes_back_with_it(tmp_path: Path, anna: HttpReceiver) -> None:
    with HttpReceiver() as switch:
        secrets = {"anna-phone": f"{anna.url}/\n{KEY}", "switch": f"{switch.url}/t0p-s3cret"}
        settings = 'heartbeat_secret = "switch"\nheartbeat_period_s = 1.0\n'
        with House(tmp_path, rota(anna=webhook("anna")), secrets, settings) as house:
            switch.await_posts(2)
            assert switch.posted[0].path == "/t0p-s3cret"
            house.clinic.fleet.kill()
            asked_s = boottime_s()
            await_that("three beats' time", lambda: boottime_s() > asked_s + 4.0, 10.0)
            assert [post for post in switch.posted if post.at_s > asked_s + 1.0] == [], "nobody would be helped"
            house.clinic.fleet.start()
            back_s = boottime_s()
            await_that("it beats again", lambda: any(post.at_s > back_s for post in switch.posted), 20.0)
            assert b"t0p-s3cret" not in house.everything_written()
            house.clinic.await_devices(house.devices)


def test_a_rota_broken_by_hand_and_then_a_restart_leave_people_reachable(tmp_path: Path, anna: HttpReceiver) -> None:
    secrets = {"anna-phone": f"{anna.url}/\n{KEY}"}
    with House(tmp_path, rota(anna=webhook("anna")), secrets) as house:
        kept = house.clinic.fleet_dir / "pager.rota.json"
        await_that("the rota is kept", kept.exists, 10.0, house.pager.last_words)
        assert house.pager.end() is None
        (house.clinic.site_dir / "rota.json").write_text("{")
        house.start_pager()
        house.treat("stim-01", to_ma=20)
        house.clinic.suffer("stim-01", kind="output_above", size=8.0)
        assert anna.await_posts(1)[0].said["code"] == "A02"


def test_a_journal_that_cannot_be_read_is_in_the_pagers_log_once(tmp_path: Path, anna: HttpReceiver) -> None:
    """Before it has begun, and while it reads along."""
    with House(tmp_path, rota(anna=webhook("anna")), {"anna-phone": f"{anna.url}\n{KEY}"}) as house:
        journal = house.clinic.fleet_dir / "journal.db"
        aside = journal.with_name("aside.db")
        unread = b"the journal cannot be read for now, nobody is told of anything new: "

        def logged(words: bytes) -> int:
            return house.pager.log.read_bytes().count(words)

        journal.rename(aside)
        await_that("it is said", lambda: logged(unread + b"journal.db is not there any more") == 1, 10.0)
        aside.rename(journal)
        await_that("it is read again", lambda: logged(b"the journal is read again") == 1, 10.0)
        house.pager.end()
        journal.rename(aside)
        house.pager.start()
        await_that("it is said at the start", lambda: logged(unread + b"there is none") == 1, 10.0)
        aside.rename(journal)
        await_that("it begins", lambda: logged(b"telling people") == 2, 10.0, house.pager.last_words)
        assert (logged(unread), logged(b"the journal is read again")) == (2, 2)
