"""Rows as CSV: the one place that writes it. RFC 4180, and nothing that a spreadsheet would obey.

Text that begins like a formula gets an apostrophe in front, which spreadsheets show as text. So does what follows a
semicolon, a tab or a line break: where those divide cells, as in most of Europe, it is the beginning of a cell too,
whatever is quoted. Text is always quoted. A number is written as a number, whatever its sign, because it came as one. A
value that there is none of is an empty cell.

With `BOM` in front for files that people open: without it a spreadsheet takes UTF-8 for the machine's old code page.
Without for pipes, whose first column would begin with it.
"""

import csv
import io
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import date

BOM = "\ufeff"
# OWASP "CSV Injection": what makes a cell a formula, also behind a line break that a spreadsheet swallows.
# A quotation mark is swallowed with the one that belongs to it.
_BEGINS_A_FORMULA = re.compile(r'(^|[;\t\r\n])(?="*[=+\-@\t\r\n])')
SIMULATED_UNTIL = "simulated_until"  # the column of every report: everything up to that day never happened

Cell = str | int | float | None


def sheet(columns: Sequence[str], rows: Iterable[Mapping[str, Cell]]) -> str:
    """The heading and a line for each row, lines ended by CR LF. What a row does not have is empty.

    Raises:
        ValueError: a row has a column that is none, or a number is none.
    """
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow([_safe(column) for column in columns])
    for row in rows:
        if strange := row.keys() - set(columns):
            raise ValueError(f"no columns: {sorted(strange)}")
        writer.writerow([_said(row.get(column)) for column in columns])
    return out.getvalue()


def said_until(day: date | None) -> Cell:
    """The cell of `SIMULATED_UNTIL`."""
    return None if day is None else day.isoformat()


def _said(cell: Cell) -> str | int | float:
    if cell is None:
        return ""
    if isinstance(cell, str):
        return _safe(cell)
    if isinstance(cell, float) and not math.isfinite(cell):
        raise ValueError(f"{cell} is no number for a spreadsheet")
    return cell


def _safe(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return _BEGINS_A_FORMULA.sub(r"\1'", text)
