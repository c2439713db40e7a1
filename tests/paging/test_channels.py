"""Channels with real receivers: what they take, what they refuse, and that no word of it holds an address."""

import hashlib
import hmac
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from broker.ports import free_port
from demo.processes import await_that
from fleet.adapters.notify.alertmanager import send_alert
from fleet.adapters.notify.apprise_url import send_by_apprise
from fleet.adapters.notify.message import NotDelivered
from fleet.adapters.notify.posting import post_json
from fleet.adapters.notify.webhook import send_webhook
from fleet.core.alarm_events import Priority
from fleet.core.attention_state import Act
from tests.paging.receivers import HttpReceiver, Mailbox, alertmanager, fetched
from tests.paging.test_lane import message

NOW_S = 1_795_597_200.0
PAGE = replace(message("a1" * 16, "b2" * 16), details=("A01, since 13:00.",), link="https://fleet.example/l/x")


def why(send: Callable[[], None]) -> tuple[str, bool]:
    with pytest.raises(NotDelivered) as failed:
        send()
    return failed.value.why, failed.value.again


# --- HTTP -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_a_status_from_200_to_299_takes_it(status: int) -> None:
    with HttpReceiver(statuses=[status]) as receiver:
        post_json(f"{receiver.url}/hook?a=b", {"x": 1}, 2.0)
        (posted,) = receiver.posted
        assert (posted.path, posted.said, posted.headers["Content-Type"]) == ("/hook?a=b", {"x": 1}, "application/json")


@pytest.mark.parametrize(
    ("status", "again"),
    [(300, False), (400, False), (401, False), (404, False), (408, True), (429, True), (500, True), (503, True)],
)
def test_any_other_refuses_it_and_says_whether_later_may_do(status: int, again: bool) -> None:
    with HttpReceiver(statuses=[status]) as receiver:
        assert why(lambda: post_json(receiver.url, {}, 2.0)) == (f"answered {status}", again)


def test_nothing_follows_a_redirect_with_what_was_for_somebody_else() -> None:
    with HttpReceiver() as other, HttpReceiver(statuses=[307], location=other.url) as receiver:
        assert why(lambda: post_json(receiver.url, {}, 2.0)) == ("answered 307", False)
        assert other.posted == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://127.0.0.1:{closed}/t0ken", "connection refused"),
        ("http://no-such-host.invalid/t0ken", "its name is not known"),
        ("https://127.0.0.1:{plain}/t0ken", "TLS failed"),
        ("ftp://127.0.0.1/t0ken", "its address is no http or https"),
        ("file:///etc/t0ken", "its address is no http or https"),
        ("http://127.0.0.1:99999/t0ken", "its address is none"),
        ("http:///t0ken", "its address is no http or https"),
        ("http://127.0.0.1:{plain}/t0 ken", "its address is none"),
    ],
)
def test_words_say_what_is_wrong_and_nothing_of_where(url: str, words: str) -> None:
    with HttpReceiver() as plain:
        said, _ = why(lambda: post_json(url.format(closed=free_port(), plain=plain.url.rpartition(":")[2]), {}, 2.0))
    assert said == words


def test_who_says_nothing_is_not_waited_for() -> None:
    with HttpReceiver(silent=True) as receiver:
        assert why(lambda: post_json(receiver.url, {}, 0.3)) == ("no answer in time", True)


def test_a_name_and_a_password_go_into_a_header_of_their_own() -> None:
    with HttpReceiver() as receiver:
        post_json(receiver.url.replace("//", "//fleet:p%40ss@"), {}, 2.0)
        assert receiver.posted[0].headers["Authorization"] == "Basic ZmxlZXQ6cEBzcw=="


# --- the signed webhook -----------------------------------------------------------------------------------------------


def checked(key: bytes, headers: dict[str, str], body: bytes, now_s: float) -> Any:
    """A receiver's own check, as docs/webhook.md describes it: the document, or an error."""
    timestamp, signature = headers["Stimfleet-Timestamp"], headers["Stimfleet-Signature"]
    expected = hmac.new(key, timestamp.encode("ascii") + b"." + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(f"v1={expected}", signature)
    assert abs(now_s - int(timestamp)) <= 300
    return json.loads(body)


def test_a_webhook_can_be_checked_by_who_gets_it() -> None:
    key = "the-clinics-signing-key"
    with HttpReceiver() as receiver:
        send_webhook(receiver.url, key, PAGE, 2.0, lambda: NOW_S)
        (posted,) = receiver.posted
    said = checked(key.encode(), posted.headers, posted.body, NOW_S + 10.0)
    assert said == {
        "version": 1,
        "page_id": "a1" * 16,
        "series": "b2" * 16,
        "act": "trigger",
        "priority": "high",
        "code": "A01",
        "site": "north",
        "room": "room-4",
        "device": "stim-12",
        "text": "HIGH Room room-4, stim-12: output not confirmed zero. Switch it off at the wall.",
        "details": ["A01, since 13:00."],
        "rung": 1,
        "drill": False,
        "by": None,
        "runbook": None,
        "link": "https://fleet.example/l/x",
        "at": "2026-11-25T12:00:00.000Z",
    }
    for other_key, body, now_s in (
        (b"another key", posted.body, NOW_S),
        (key.encode(), posted.body.replace(b"trigger", b"resolve"), NOW_S),
        (key.encode(), posted.body, NOW_S + 301.0),
    ):
        with pytest.raises(AssertionError):
            checked(other_key, posted.headers, body, now_s)


# --- Alertmanager -----------------------------------------------------------------------------------------------------


def test_an_alertmanager_has_one_alert_a_series_a_silence_and_its_end(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    page = replace(PAGE, at=now.isoformat(timespec="milliseconds").replace("+00:00", "Z"), runbook="https://w/r#a01")

    def walltime() -> float:
        return datetime.now(UTC).timestamp()

    with alertmanager(tmp_path) as url:

        def alerts() -> list[dict[str, Any]]:
            found: list[dict[str, Any]] = fetched(f"{url}/api/v2/alerts?active=true&silenced=true")
            return found

        send_alert(f"{url}/", page, 2.0, walltime)
        send_alert(url, replace(page, page_id="a2" * 16, rung=2), 2.0, walltime)
        (alert,) = await_that("the alert is there", lambda: alerts() or None, 5.0)
        assert alert["labels"] == {
            "alertname": "StimFleetAlarm",
            "series": "b2" * 16,
            "sounding": page.at,
            "code": "A01",
            "severity": "high",
            "site": "north",
            "room": "room-4",
            "device": "stim-12",
        }
        assert alert["annotations"]["summary"] == PAGE.line
        assert alert["annotations"]["runbook_url"] == "https://w/r#a01"
        ends = datetime.fromisoformat(alert["endsAt"])
        assert ends - now > timedelta(hours=23), "it does not end by itself while nobody says that it is over"

        send_alert(url, replace(page, act=Act.ACKNOWLEDGE, by="anna"), 2.0, walltime)
        await_that("it is silenced", lambda: alerts()[0]["status"]["state"] == "suppressed", 5.0)
        (silence,) = fetched(f"{url}/api/v2/silences")
        assert (silence["createdBy"], silence["status"]["state"]) == ("anna", "active")
        lasts = datetime.fromisoformat(silence["endsAt"]) - datetime.fromisoformat(silence["startsAt"])
        assert abs(lasts - timedelta(seconds=600)) < timedelta(seconds=2), "as long as an acknowledgement"

        send_alert(url, replace(page, act=Act.RESOLVE), 2.0, walltime)
        await_that("it is over", lambda: not alerts(), 5.0)
        send_alert(url, replace(page, drill=True, room=None, device=None), 2.0, walltime)
        (drill,) = await_that("a test alarm is told as one", lambda: alerts() or None, 5.0)
        assert drill["labels"]["alertname"] == "StimFleetTestAlarm"
        assert "device" not in drill["labels"]


def test_an_alert_rises_with_its_alarm_sounds_again_and_ends_with_it(tmp_path: Path) -> None:
    now = datetime.now(UTC)

    def at(second: int) -> str:
        return (now + timedelta(seconds=second)).isoformat(timespec="milliseconds").replace("+00:00", "Z")

    page = replace(PAGE, code="A02", at=at(-9))
    medium = replace(page, priority=Priority.MEDIUM, at=at(-8))

    def walltime() -> float:
        return datetime.now(UTC).timestamp()

    with alertmanager(tmp_path) as url:

        def alerts() -> list[tuple[str, str]]:
            return sorted(
                (alert["labels"]["severity"], alert["status"]["state"])
                for alert in fetched(f"{url}/api/v2/alerts?active=true&silenced=true")
                if alert["labels"]["series"] == page.series
            )

        def becomes(*wanted: tuple[str, str]) -> None:
            await_that(f"{wanted}", lambda: alerts() == list(wanted), 10.0, lambda: str(alerts()))

        other = replace(medium, series="d4" * 16)
        send_alert(url, other, 2.0, walltime)
        send_alert(url, replace(other, act=Act.ACKNOWLEDGE, by="ben"), 2.0, walltime)
        send_alert(url, page, 2.0, walltime)
        becomes(("high", "active"))
        send_alert(url, medium, 2.0, walltime)
        becomes(("medium", "active"))
        send_alert(url, replace(medium, act=Act.ACKNOWLEDGE, by="anna"), 2.0, walltime)
        becomes(("medium", "suppressed"))
        send_alert(url, replace(page, at=at(-7)), 2.0, walltime)
        becomes(("high", "active"))
        send_alert(url, replace(page, act=Act.ACKNOWLEDGE, by="anna"), 2.0, walltime)
        becomes(("high", "suppressed"))
        send_alert(url, replace(page, rung=2, at=at(-6)), 2.0, walltime)  # anna cannot: the next person is told
        becomes(("high", "active"))
        send_alert(url, replace(medium, act=Act.RESOLVE, at=at(-5)), 2.0, walltime)
        becomes()
        active = [one for one in fetched(f"{url}/api/v2/silences") if one["status"]["state"] == "active"]
        assert [one["createdBy"] for one in active] == ["ben"], "the other alarm's stays"


def test_what_takes_the_alert_and_answers_nothing_else_has_it() -> None:
    with HttpReceiver() as receiver:
        send_alert(receiver.url, PAGE, 2.0, lambda: NOW_S)
        assert [post.path for post in receiver.posted] == ["/api/v2/alerts"]


# --- Apprise ----------------------------------------------------------------------------------------------------------


def test_a_mail_has_the_line_as_its_subject_and_the_link_in_it() -> None:
    with Mailbox() as mailbox:
        send_by_apprise(mailbox.url, PAGE, 2.0)
        send_by_apprise(mailbox.url, replace(PAGE, details=(), link=None, act=Act.RESOLVE), 2.0)
    assert mailbox.subjects == [PAGE.line, PAGE.line]
    assert "A01, since 13:00." in mailbox.bodies[0]
    assert "https://fleet.example/l/x" in mailbox.bodies[0]
    assert mailbox.recipients[0] == ["anna@clinic.example"]


def test_what_a_mail_server_refuses_and_an_address_that_is_none(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with Mailbox(refuses=True) as mailbox:
        assert why(lambda: send_by_apprise(mailbox.url, PAGE, 2.0)) == ("not taken", True)
    closed = f"mailto://user:t0ken@127.0.0.1:{free_port()}?from=a@b.example&to=c@d.example&mode=insecure"
    assert why(lambda: send_by_apprise(closed, PAGE, 2.0)) == ("not taken", True)
    for none in ("nonsense", "nosuchservice://t0ken", "", "mailto://"):
        assert why(lambda none=none: send_by_apprise(none, PAGE, 2.0)) == (  # type: ignore[misc]
            "its address is none of Apprise's",
            False,
        )
    assert "t0ken" not in caplog.text
    assert "c@d.example" not in caplog.text


def test_another_service_of_apprises_is_told_over_http() -> None:
    with HttpReceiver() as receiver:
        send_by_apprise(receiver.url.replace("http://", "json://"), PAGE, 2.0)
        (posted,) = receiver.posted
    assert (posted.said["title"], posted.said["type"]) == (PAGE.line, "failure")
