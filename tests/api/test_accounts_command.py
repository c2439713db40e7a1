"""`stimfleet user` and `stimfleet token`, as somebody at the fleet's own machine types them."""

import argparse
import io
import os
import pty
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from broker.pki.devices import provision_operator
from broker.pki.site import provision_site
from fleet.api import passwords
from fleet.api.access import Role
from fleet.api.people import User
from fleet.api.store import Store
from fleet.commandline import add_commands
from tests.api.desk import CHEAP, PASSWORD

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


@pytest.fixture
def run(data_dir: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """One command, with what comes at standard input; its status, output and errors.

    Hashes cost little: the usual costs are for the command at a terminal, below.
    """
    monkeypatch.setattr(passwords, "Passwords", lambda: CHEAP)

    def run(*words: str, typed: str = "") -> tuple[int, str, str]:
        parser = argparse.ArgumentParser()
        add_commands(parser.add_subparsers())
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        args = parser.parse_args([*words, "--data-dir", str(data_dir)])
        status = args.run(args)
        said = capsys.readouterr()
        return status, said.out, said.err

    return run


@pytest.fixture
def store(data_dir: Path) -> Iterator[Store]:
    store = Store(data_dir / "users.db")
    yield store
    store.close()


def kept(store: Store, user: str) -> User:
    return store.kept().users[user]


def test_somebody_is_added_with_a_password_from_standard_input(run: Run, store: Store) -> None:
    status, out, err = run("user", "add", "anna", "--name", "Anna K.", "--role", "manager", typed=f"{PASSWORD}\n")
    assert (status, out, err) == (0, "anna may sign in as manager.\n", "")
    anna = kept(store, "anna")
    assert (anna.name, anna.role, anna.operator, anna.must_change) == ("Anna K.", Role.MANAGER, None, False)
    assert CHEAP.verify(anna.hash, PASSWORD)
    [(_, told)] = store.audit(10)
    assert (told.address, told.what, told.subject) == ("command line", "add user", "anna as manager")


def test_a_password_that_is_made_is_printed_once_and_has_to_be_changed(run: Run, store: Store) -> None:
    status, out, err = run("user", "add", "anna", "--role", "viewer", "--generate")
    made = out.removesuffix("\n")
    assert (status, err) == (0, "anna may sign in as viewer. The password, shown this once:\n")
    assert CHEAP.verify(kept(store, "anna").hash, made)
    assert kept(store, "anna").must_change
    assert made not in run("user", "list")[1]
    status, out, err = run("user", "add", "anna", "--role", "viewer", "--generate")
    assert (status, out) == (1, ""), "one that is good for nothing is not printed"
    status, out, err = run("user", "password", "anna", "--generate")
    assert (status, err) == (
        0,
        "anna has another password, and their sessions are over. The password, shown this once:\n",
    )
    assert CHEAP.verify(kept(store, "anna").hash, out.removesuffix("\n"))


@pytest.mark.parametrize(
    ("words", "typed", "says"),
    [
        (("add", "Anna K", "--role", "viewer"), PASSWORD, "A user's id is 1 to 64 of a-z, 0-9, dot and hyphen"),
        (("add", "anna", "--role", "viewer", "--name", "a\nb"), PASSWORD, "A name is one line"),
        (("add", "anna", "--role", "viewer"), "", "12 characters or more"),
        (("add", "anna", "--role", "viewer"), "password1234", "tried first"),
        (
            ("add", "anna", "--role", "viewer", "--operator", "o", "--site-dir", "/nowhere"),
            PASSWORD,
            "--site-dir names",
        ),
        (("add", "root", "--role", "viewer"), PASSWORD, "There is a user root already"),
        (("password", "nobody"), PASSWORD, "There is no user nobody."),
        (("disable", "nobody"), "", "There is no user nobody."),
        (("disable", "root"), "", "root is the last admin: make another user admin first."),
        (("role", "root", "viewer"), "", "root is the last admin"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    run: Run, store: Store, words: tuple[str, ...], typed: str, says: str
) -> None:
    run("user", "add", "root", "--role", "admin", typed=f"{PASSWORD}\n")
    status, out, err = run("user", *words, typed=typed)
    assert (status, out) == (1, "")
    assert says in err
    assert list(store.kept().users) == ["root"]


def test_an_operator_is_one_that_the_site_has(run: Run, store: Store, tmp_path: Path) -> None:
    site = tmp_path / "site"
    provision_site(site, tmp_path / "ca", "clinic", now=datetime.now(UTC))
    provision_operator(site, "anna.k", {"model": date(2030, 1, 1)})
    asked = ("user", "add", "anna", "--role", "therapist", "--site-dir", str(site), "--operator")
    status, _, err = run(*asked, "berta", typed=f"{PASSWORD}\n")
    assert (status, err) == (1, "The site has no operator berta: `stimfleet provision operator` adds one.\n")
    assert run(*asked, "anna.k", typed=f"{PASSWORD}\n")[0] == 0
    assert kept(store, "anna").operator == "anna.k"


def test_role_password_disable_enable_and_list(run: Run, store: Store) -> None:
    run("user", "add", "root", "--role", "admin", typed=f"{PASSWORD}\n")
    run("user", "add", "anna", "--role", "viewer", typed=f"{PASSWORD}\n")
    assert run("user", "role", "anna", "on-call")[:2] == (0, "anna is on-call now.\n")
    before = kept(store, "anna")
    assert run("user", "password", "anna", typed="eight green hens in a yard\n")[0] == 0
    assert kept(store, "anna").hash != before.hash
    assert kept(store, "anna").password_wall_s > before.password_wall_s
    run("user", "disable", "anna")
    assert run("user", "list")[1].splitlines() == [
        "anna                 on-call    anna, disabled",
        "root                 admin      root",
    ]
    run("user", "enable", "anna")
    assert not kept(store, "anna").disabled
    assert [told.subject for _, told in store.audit(4)][::-1] == [
        "anna: role on-call", "anna: password", "anna: disabled", "anna: enabled",
    ]  # fmt: skip


def test_a_token_is_made_listed_and_revoked(run: Run, store: Store) -> None:
    status, out, err = run("token", "create", "wall display", "--role", "viewer", "--days", "30")
    value = out.strip()
    [token] = store.kept().tokens.values()
    assert status == 0
    assert value.startswith("sf_")
    assert f"Token {token.id} for wall display, viewer, until 20" in err
    assert token.ends_wall_s == token.created_wall_s + 30 * 86_400.0
    listed = run("token", "list")[1]
    assert listed.startswith(f"{token.id}  viewer     wall display, until 20")
    assert listed.endswith("never used\n")
    assert run("token", "revoke", token.id)[:2] == (0, f"Token {token.id} is good for nothing any more.\n")
    assert run("token", "revoke", token.id)[::2] == (1, f"There is no token {token.id}.\n")
    assert not store.kept().tokens
    run("token", "create", "recorder", "--role", "viewer", "--no-end")
    assert "until it is revoked" in run("token", "list")[1]


@pytest.mark.parametrize(
    "words", [("--role", "admin"), ("--role", "viewer", "--days", "0"), ("--role", "viewer", "--days", "ten")]
)
def test_a_token_that_cannot_be_is_a_wrong_command(run: Run, store: Store, words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run("token", "create", "machine", *words)
    assert ended.value.code == 2
    assert not store.kept().tokens


def test_nothing_is_made_where_no_fleet_is(run: Run, data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = data_dir.stat().st_uid
    with monkeypatch.context() as patched:
        patched.setattr(os, "geteuid", lambda: owner + 1)
        assert f"belongs to another account (uid {owner})" in run("user", "list")[2]
    assert list(data_dir.iterdir()) == []
    data_dir.rmdir()
    assert f"There is no folder {data_dir}" in run("user", "list")[2]


def test_at_a_terminal_a_password_is_typed_twice_and_not_shown(data_dir: Path, store: Store) -> None:
    asked = ["-m", "stimfleet", "user", "add", "anna", "--role", "viewer", "--data-dir", str(data_dir)]
    for again, status in (("something else entirely", 1), (PASSWORD, 0)):
        process, terminal = pty.fork()
        if process == 0:
            os.execv(sys.executable, [sys.executable, *asked])  # noqa: S606 # our own command
        shown = b""
        for prompt, typed in ((b"Password: ", PASSWORD), (b"Again: ", again)):
            while not shown.endswith(prompt):
                shown += os.read(terminal, 1_000)
            os.write(terminal, f"{typed}\n".encode())
        _, ended = os.waitpid(process, 0)
        os.close(terminal)
        assert os.waitstatus_to_exitcode(ended) == status
        assert PASSWORD.encode() not in shown
    listed = subprocess.run(
        [sys.executable, "-m", "stimfleet", "user", "list", "--data-dir", str(data_dir)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    assert listed.stdout == "anna                 viewer     anna\n"
    assert not passwords.Passwords().outdated(kept(store, "anna").hash), "at the costs that the page has, too"
