"""A free port: nobody's, and none that the kernel could give to a connection in the next moment."""

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from broker import ports
from broker.ports import free_port


@pytest.fixture
def taken() -> Iterator[int]:
    with closing(socket.create_server(("127.0.0.1", free_port()))) as other:
        yield other.getsockname()[1]


def can_be_had(port: int) -> bool:
    with socket.create_server(("127.0.0.1", port)):
        return True


def outgoing_from(lowest: int, folder: Path) -> Path:
    (folder / "ip_local_port_range").write_text(f"{lowest}\t65535\n")
    return folder / "ip_local_port_range"


def test_no_connection_that_goes_out_is_given_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "OUTGOING", outgoing_from(32_768, tmp_path))  # Linux's default
    picked = [free_port() for _ in range(50)]
    assert all(ports.LOWEST <= port < 32_768 and can_be_had(port) for port in picked)
    assert len(set(picked)) > 45  # those who pick at once, each another one


def test_what_somebody_has_is_passed_over(taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports, "LOWEST", taken)
    monkeypatch.setattr(ports, "ENOUGH", 5)
    monkeypatch.setattr(ports, "OUTGOING", outgoing_from(taken + 5, tmp_path))
    assert {free_port() for _ in range(50)} <= set(range(taken + 1, taken + 5))


@pytest.mark.parametrize("leaves", ["hardly any", "only what is taken", "what it does not say"])
def test_where_the_kernel_leaves_none_it_is_any_that_is_free(
    leaves: str, taken: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if leaves == "only what is taken":
        monkeypatch.setattr(ports, "LOWEST", taken)
        monkeypatch.setattr(ports, "ENOUGH", 1)
    lowest = {"hardly any": 1024, "only what is taken": taken + 1}
    there = outgoing_from(lowest[leaves], tmp_path) if leaves in lowest else tmp_path / "no such file"
    monkeypatch.setattr(ports, "OUTGOING", there)
    assert can_be_had(free_port())
