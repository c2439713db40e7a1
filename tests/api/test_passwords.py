"""What a good password is, and what is kept of it."""

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import VerifyMismatchError

from fleet.api.passwords import CHARS_MAX, Passwords, one_time_password, weakness
from tests.api.desk import CHEAP


@pytest.mark.parametrize(
    "password",
    [
        "seven brown cows on a hill",
        "Zr7-qf0-Lm2p",  # twelve
        "käse mit preiselbeeren",
        "пять коричневых коров",
        "x9" + "long enough, whatever it says " * 8,
        "anna karenina",  # of a user bert
    ],
)
def test_long_and_unheard_of_is_good(password: str) -> None:
    assert weakness(password, "bert.k", "Bert Kern") is None


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("", "12 characters or more"),
        ("Zr7-qf0-Lm2", "12 characters or more"),
        ("é" * 11, "12 characters or more"),
        ("ab" * CHARS_MAX, "256 characters at most"),
        ("aaaaaaaaaaaa", "same or of neighbouring"),
        ("abababababab", "same or of neighbouring"),
        ("123456789012", "same or of neighbouring"),
        ("abcdefghijklm", "same or of neighbouring"),
        ("password1234", "tried first"),
        ("Passwort2026!!", "tried first"),
        ("P@ssw0rd123456", "tried first"),
        ("qwertyuiopas", "tried first"),
        ("stimfleet2026", "tried first"),
        ("letmeinletmein", "tried first"),
        ("correct-horse-battery-staple", "tried first"),
        ("kern is the best", "user's name"),
        ("my name is BERT", "user's name"),
        ("i am b3rt, hello", "user's name"),
    ],
)
def test_short_common_or_ones_own_name_is_refused_with_the_reason(password: str, why: str) -> None:
    assert why in (weakness(password, "bert.k", "Bert Kern") or "nothing wrong with it")


def test_one_that_is_made_is_good_and_never_the_same() -> None:
    made = {one_time_password() for _ in range(100)}
    assert len(made) == 100
    assert all(weakness(password, "anna") is None and len(password) == 20 for password in made)


def test_a_hash_is_argon2id_salted_and_knows_its_password_only() -> None:
    one, other = CHEAP.hash("seven brown cows"), CHEAP.hash("seven brown cows")
    assert one != other
    assert one.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert CHEAP.verify(one, "seven brown cows")
    assert not CHEAP.verify(one, "seven brown cow")
    assert not CHEAP.verify("no hash at all", "seven brown cows")


def test_what_looks_the_same_is_the_same_whichever_keyboard_wrote_it() -> None:
    assert CHEAP.verify(CHEAP.hash("caf\u00e9 au lait, please"), "cafe\u0301 au lait, please")


def test_the_usual_costs_are_those_of_rfc_9106() -> None:
    assert Passwords().hash("seven brown cows").startswith("$argon2id$v=19$m=65536,t=3,p=1$")


def test_whoever_nobody_knows_is_checked_at_the_same_cost_and_never_right() -> None:
    nobodys = Passwords().nobodys
    assert extract_parameters(nobodys) == extract_parameters(Passwords().hash("seven brown cows"))
    assert nobodys != Passwords().nobodys
    with pytest.raises(VerifyMismatchError):  # worked out to its end, not refused for its form
        PasswordHasher().verify(nobodys, "seven brown cows")
