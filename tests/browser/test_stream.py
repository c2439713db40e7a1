"""The live stream: refused, silent, lost, ended for good; and who is signed in when it is there again."""

from fnmatch import fnmatch

from playwright.sync_api import expect

from demo.processes import await_that
from tests.browser.test_whose_page import ME, account, answered, looked_on, sign_in_in_another_tab
from tests.browser.visitor import Visitor

STREAM = "**/api/v1/stream*"


def test_whoever_has_signed_in_while_the_stream_was_lost_is_said(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    visitor.page.route(STREAM, lambda route: route.abort())
    with visitor.page.expect_event("requestfailed", lambda request: fnmatch(request.url, STREAM)):
        visitor.go("device", "stim-04")  # whose samples are another stream
    sign_in_in_another_tab(visitor, "anna.k")
    visitor.page.unroute(STREAM)
    expect(account(visitor)).to_have_text("Anna")
    visitor.broken[:] = [said for said in visitor.broken if "net::ERR_FAILED" not in said]  # the streams


def test_a_stream_that_was_ended_for_good_is_not_opened_again(visitor: Visitor) -> None:
    """Otherwise the windows of which there are too many would end each other's for ever."""
    visitor.sign_in("vera")
    ended = 'event: end\ndata: {"why": "too_many"}\n\n'
    visitor.page.route(STREAM, lambda route: route.fulfill(content_type="text/event-stream", body=ended))
    opened = answered(visitor, STREAM)
    visitor.go("device", "stim-04")  # whose samples are another stream
    expect(visitor.page.get_by_text("This page was opened in further windows")).to_be_visible()
    visitor.goes_on_for(2_500)
    assert opened == [200]


def test_whose_page_it_is_is_said_in_a_window_too_many_too_and_they_have_a_stream(visitor: Visitor) -> None:
    visitor.sign_in("vera", anew=True)
    ended = 'event: end\ndata: {"why": "too_many"}\n\n'
    visitor.page.route(STREAM, lambda route: route.fulfill(content_type="text/event-stream", body=ended), times=1)
    visitor.go("device", "stim-04")  # whose samples are another stream
    further = visitor.page.get_by_text("This page was opened in further windows")
    expect(further).to_be_visible()
    sign_in_in_another_tab(visitor, "anna.k")
    expect(account(visitor)).to_have_text("Anna", timeout=10_000)
    expect(further).to_have_count(0)
    expect(visitor.page.locator(".note", has_text="OLD DATA")).to_have_count(0)


def test_a_stream_that_stays_silent_is_opened_again_until_it_speaks(visitor: Visitor) -> None:
    """And whose page it is is said meanwhile."""
    visitor.sign_in("vera", anew=True)
    hanging = visitor.held_back(STREAM)
    visitor.go("device", "stim-04")  # whose samples are another stream
    await_that("it hangs, and so does the next one", lambda: looked_on(visitor, hanging) > 1, 30.0)
    old = visitor.page.locator(".note", has_text="OLD DATA")
    expect(old).to_be_visible()
    sign_in_in_another_tab(visitor, "anna.k")
    expect(account(visitor)).to_have_text("Anna", timeout=15_000)
    visitor.page.unroute(STREAM)
    expect(old).to_have_count(0, timeout=15_000)


def test_a_stream_that_is_refused_is_asked_for_once_a_second(visitor: Visitor) -> None:
    visitor.sign_in("vera")
    visitor.page.route(STREAM, lambda route: route.fulfill(status=503, json={"error": "busy", "text": "busy"}))
    refused = answered(visitor, STREAM)
    looks = answered(visitor, ME)
    visitor.go("device", "stim-04")  # whose samples are another stream
    await_that("it was refused", lambda: looked_on(visitor, refused) > 0, 10.0)
    visitor.goes_on_for(3_000)
    assert 2 <= len(refused) <= 6, refused
    assert len(looks) <= 6
    old = visitor.page.locator(".note", has_text="OLD DATA")
    expect(old).to_be_visible()
    visitor.page.unroute(STREAM)
    expect(old).to_have_count(0)
