"""CSV that a spreadsheet reads as it was meant, and obeys nothing of."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fleet.reports.sheets import BOM, Cell, sheet

EVIL = {
    '=cmd|"/c calc"!A0': '\'=cmd|"/c calc"!A0',
    "+1": "'+1",
    "-2+3": "'-2+3",
    "@SUM(A1)": "'@SUM(A1)",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
}


@pytest.mark.parametrize("evil", EVIL)
def test_text_that_begins_like_a_formula_is_text_in_cells_and_headings(evil: str) -> None:
    lines = list(csv.reader(io.StringIO(sheet([evil, "n"], [{evil: evil, "n": 1}]), newline="")))
    assert lines == [[EVIL[evil], "n"], [EVIL[evil], "1"]]


def test_numbers_stay_numbers_and_what_there_is_none_of_is_empty() -> None:
    assert sheet(["a", "b", "c", "d"], [{"a": -1.5, "b": -3, "c": None}]) == '"a","b","c","d"\r\n-1.5,-3,"",""\r\n'


def test_commas_quotes_and_lines_are_quoted() -> None:
    assert sheet(["a"], [{"a": 'one, "two"\nthree'}]) == '"a"\r\n"one, ""two""\nthree"\r\n'


def test_umlauts_survive_a_spreadsheet_that_looks_for_the_mark() -> None:
    assert (BOM + sheet(["a"], [{"a": "Müller"}])).encode()[:3] == b"\xef\xbb\xbf"


@pytest.mark.parametrize("row", [{"b": 1}, {"a": float("nan")}, {"a": float("inf")}])
def test_what_fits_no_sheet_is_a_bug_that_crashes(row: dict[str, Cell]) -> None:
    with pytest.raises(ValueError, match=r"no column|no number"):
        sheet(["a"], [row])


@pytest.mark.parametrize("divider", [",", ";", "\t"])
@pytest.mark.parametrize(
    "evil", ["x;=1+1", "x;\t=1+1", "x\t@SUM(A1)", "x\n-2+3", 'x;"=1+1"', '{"reason": "x;=1+1"}', ";;+1"]
)
def test_text_is_no_formula_wherever_a_spreadsheet_divides_cells(evil: str, divider: str) -> None:
    assert formulas(sheet(["n", "a", "b"], [{"n": 1, "a": evil, "b": evil}]), divider) == []


def formulas(text: str, divider: str) -> list[str]:
    """The cells that a spreadsheet that divides them so would reckon."""
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=divider)
    return [cell for line in lines for cell in line if cell.lstrip("\t\r\n").startswith(("=", "+", "-", "@"))]


@given(st.lists(st.lists(st.text(alphabet='x;,=+-@"\t\r\n '), min_size=2, max_size=2)))
def test_no_text_becomes_a_formula_by_any_divider(rows: list[list[str]]) -> None:
    text = sheet(["a", "b"], [{"a": a, "b": b} for a, b in rows])
    assert [formulas(text, divider) for divider in ",;\t"] == [[], [], []]


@given(st.lists(st.lists(st.one_of(st.text(), st.integers(), st.none()), min_size=2, max_size=2)))
def test_any_text_comes_back_as_itself_but_for_apostrophes(rows: list[list[Cell]]) -> None:
    text = sheet(["a", "b"], [{"a": a, "b": b} for a, b in rows])
    back = list(csv.reader(io.StringIO(text, newline="")))[1:]
    for found, meant in zip(back, rows, strict=True):
        for cell, was in zip(found, meant, strict=True):
            if isinstance(was, str):
                assert cell.replace("'", "") == was.replace("'", "")
            else:
                assert cell == ("" if was is None else str(was))
