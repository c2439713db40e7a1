"""Two demos on one machine: each has a page of its own."""

from demo.story import _port_of, _taken_port


def test_while_one_demo_makes_its_past_another_does_not_get_its_port() -> None:
    with _taken_port() as first:
        wanted = _port_of(first)
        with _taken_port(wanted) as second:
            assert _port_of(second) != wanted
    with _taken_port(wanted) as later:
        assert _port_of(later) == wanted, "it was wanted, and is free again"
