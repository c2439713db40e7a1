"""CSV that a spreadsheet reads as it was meant, and obeys nothing of."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.reports.sheets import BOM, Cell, sheet

EVIL = ['=cmd|"/c calc"!A0', "+1", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1"]


@pytest.mark.parametrize("evil", EVIL)
def test_text_that_begins_like_a_formula_is_text_in_cells_and_headings(evil: str) -> None:
    lines = list(csv.reader(io.StringIO(sheet([evil, "n"], [{evil: evil, "n": 1}]), newline="")))
    assert lines == [[f"'{evil}", "n"], [f"'{evil}", "1"]]


def test_numbers_stay_numbers_and_what_there_is_none_of_is_empty() -> None:
    assert sheet(["a", "b", "c", "d"], [{"a": -1.5, "b": -3, "c": None}]) == "a,b,c,d\r\n-1.5,-3,,\r\n"


def test_commas_quotes_and_lines_are_quoted() -> None:
    assert sheet(["a"], [{"a": 'one, "two"\nthree'}]) == 'a\r\n"one, ""two""\nthree"\r\n'


def test_umlauts_survive_a_spreadsheet_that_looks_for_the_mark() -> None:
    assert (BOM + sheet(["a"], [{"a": "Müller"}])).encode()[:3] == b"\xef\xbb\xbf"


@pytest.mark.parametrize("row", [{"b": 1}, {"a": float("nan")}, {"a": float("inf")}])
def test_what_fits_no_sheet_is_a_bug_that_crashes(row: dict[str, Cell]) -> None:
    with pytest.raises(ValueError, match=r"no column|no number"):
        sheet(["a"], [row])


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=2, max_size=2)))
def test_any_text_comes_back_as_itself_or_with_the_apostrophe_and_never_as_a_formula(rows: list[list[Cell]]) -> None:
    text = sheet(["a", "b"], [{"a": a, "b": b} for a, b in rows])
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for found, meant in zip(back, rows, strict=True):
        for cell, was in zip(found, meant, strict=True):
            if isinstance(was, str):
                assert cell.removeprefix("'") == was.removeprefix("'")
                assert cell[:1] not in set("=+-@\t\r\n")
            else:
                assert cell == ("" if was is None else str(was))
