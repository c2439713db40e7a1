"""The link in a message: worth something for one person, one message, one alarm, until it ends; made by nobody else."""

import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.paging.links import BadLink, Link, LinkEnded, link_key, link_token, read_token
from fleet.paging.used_links import LINKS_MAX, UsedLinks

KEY = bytes(range(32))
LINK = Link(page_id="a1" * 16, alarm_id="b2" * 16, person="anna", ends_s=1_795_600_000)
NOW_S = 1_795_597_200.0


@given(
    st.binary(min_size=16, max_size=16),
    st.binary(min_size=16, max_size=16),
    st.from_regex(r"\A[a-z0-9][a-z0-9-]{0,31}\Z"),
    st.booleans(),
)
def test_it_comes_back_as_it_was_made(page: bytes, alarm: bytes, person: str, drill: bool) -> None:
    link = Link(page_id=page.hex(), alarm_id=alarm.hex(), person=person, ends_s=1_795_600_000, drill=drill)
    token = link_token(KEY, link)
    assert read_token(KEY, token, NOW_S) == link
    assert len(token) < 120, "it fits into a short message"
    assert token.isascii()


def test_it_ends_to_the_second() -> None:
    token = link_token(KEY, LINK)
    assert read_token(KEY, token, LINK.ends_s - 0.001) == LINK
    with pytest.raises(LinkEnded):
        read_token(KEY, token, float(LINK.ends_s))


def test_no_bit_of_it_may_be_another() -> None:
    raw = urlsafe_b64decode(link_token(KEY, LINK) + "==")
    for index in range(len(raw) * 8):
        changed = bytearray(raw)
        changed[index // 8] ^= 1 << index % 8
        with pytest.raises(BadLink):
            read_token(KEY, urlsafe_b64encode(bytes(changed)).decode().rstrip("="), NOW_S)


def test_what_is_none_of_ours_is_refused_and_another_spelling_of_one_that_is() -> None:
    token = link_token(KEY, replace(LINK, person="ben"))
    assert len(urlsafe_b64decode(token + "=" * (-len(token) % 4))) % 3, "its last letter has bits to spare"
    respelled = token[:-1] + chr(ord(token[-1]) + 1)
    for none in (
        "",
        "x",
        "é",
        token + "A",
        token[:-2],
        token + "=",
        token * 4,
        respelled,
        "!" + token[1:],
        " " + token,
    ):
        with pytest.raises(BadLink):
            read_token(KEY, none, NOW_S)
    with pytest.raises(BadLink):
        read_token(bytes(32), token, NOW_S)
    # Of a person, a page or an alarm that it was not made for.
    token = link_token(KEY, LINK)
    for other in (replace(LINK, person="annb"), replace(LINK, page_id="a2" * 16), replace(LINK, drill=True)):
        body = urlsafe_b64decode(link_token(KEY, other) + "===")[:-16]
        signature = urlsafe_b64decode(token + "===")[-16:]
        with pytest.raises(BadLink):
            read_token(KEY, urlsafe_b64encode(body + signature).decode().rstrip("="), NOW_S)


def test_the_key_is_made_once_and_is_its_owners_only(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as many:
        keys = {many.submit(link_key, tmp_path).result() for _ in range(8)}
    (key,) = keys
    assert len(key) == 32
    assert stat.S_IMODE((tmp_path / "links.key").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["links.key"]
    assert link_key(tmp_path) == key


# --- once -------------------------------------------------------------------------------------------------------------


def test_a_link_is_used_once_also_after_a_restart(tmp_path: Path) -> None:
    used = UsedLinks(tmp_path, NOW_S)
    assert used.take("token", LINK.ends_s)
    assert not used.take("token", LINK.ends_s)
    used.settle("token", LINK.ends_s)
    assert used.used("token")
    assert UsedLinks(tmp_path, NOW_S).used("token")
    assert b"token" not in (tmp_path / "links.used").read_bytes(), "only that it was, and not what"
    # Over, it need not be remembered; and a torn line is none.
    with (tmp_path / "links.used").open("a") as file:
        file.write("0123abcd 17")
    assert not UsedLinks(tmp_path, float(LINK.ends_s)).used("token")
    assert (tmp_path / "links.used").read_text() == ""


def test_what_came_to_nothing_may_be_tried_again(tmp_path: Path) -> None:
    used = UsedLinks(tmp_path, NOW_S)
    assert used.take("token", LINK.ends_s)
    used.give_back("token")
    assert used.take("token", LINK.ends_s)


def test_it_does_not_grow_for_ever(tmp_path: Path) -> None:
    used = UsedLinks(tmp_path, NOW_S)
    for number in range(LINKS_MAX + 1):
        assert used.take(f"token {number}", number)
    assert not used.used("token 0"), "the one that ends first is forgotten"
    assert used.used("token 1")
