"""An import-linter contract that lists what a pure part may import; everything else is refused.

import-linter's own contracts forbid what they name. For the parts that must be free of I/O, clocks and
randomness the safe direction is the other one: a module that nobody thought of is refused as well.
"""

from typing import Any, Final

from grimp import ImportGraph
from importlinter import Contract, ContractCheck, fields, output

PURE: Final = frozenset({
    "__future__", "abc", "base64", "binascii", "bisect", "collections", "copy", "dataclasses", "datetime",
    "decimal", "enum", "fractions", "functools", "graphlib", "hashlib", "heapq", "hmac", "itertools", "json",
    "math", "numbers", "operator", "re", "statistics", "string", "struct", "textwrap", "types", "typing",
    "unicodedata", "zoneinfo",
})  # fmt: skip
"""The parts of the standard library without I/O, clock or randomness, as far as we use them.

datetime and zoneinfo are here for the arithmetic; `datetime.now` is found by tests/test_tidy.py.
"""


class ImportsOnly(Contract):
    """`modules` and what is below them import themselves, `may_import` and below, and PURE; nothing else.

    Raises ValueError for a module that does not exist: a contract about nothing would always be kept.
    """

    type_name = "imports_only"

    modules: Any = fields.ListField(subfield=fields.StringField())  # import-linter puts the parsed list here
    may_import: Any = fields.ListField(subfield=fields.StringField())

    def check(self, graph: ImportGraph, verbose: bool) -> ContractCheck:
        """Judge every direct import of `modules`; what those import in turn has contracts of its own."""
        own: list[str] = self.modules
        listed: list[str] = self.may_import
        if missing := [name for name in own if name not in graph.modules]:
            raise ValueError(f"contract {self.name!r} names modules that do not exist: {', '.join(missing)}")
        breaches = [
            f"{importer}:{line} imports {imported}"
            for importer in sorted(graph.modules)
            if _is_within(importer, own)
            for imported in sorted(graph.find_modules_directly_imported_by(importer))
            if imported not in PURE and not _is_within(imported, own + listed)
            for line in _lines(graph, importer, imported)
        ]
        return ContractCheck(kept=not breaches, metadata={"breaches": breaches, "listed": listed})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each import that is not listed, and what is."""
        for breach in check.metadata["breaches"]:
            output.print_error(breach)
        listed = ", ".join(check.metadata["listed"]) or "nothing else"
        output.print(f"Allowed: itself, {listed}, and the pure standard library (PURE in tools/imports_only.py).")


def _lines(graph: ImportGraph, importer: str, imported: str) -> list[int]:
    details = graph.get_import_details(importer=importer, imported=imported)
    return sorted({detail["line_number"] for detail in details})


def _is_within(name: str, packages: list[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)
