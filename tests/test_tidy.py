"""The style of this repository as tests: each failure names file and line, and says what to do.

Where a rule has exceptions, they stand in a table below with their reason; one that nothing needs fails too.
"""

import ast
import datetime as dt
import re
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tests.order import SHARING, TOGETHER, WAITING
from tests.tidy_exceptions import COMPOSITION_ROOTS, LONG_MODULES
from tests.tidy_sources import ROOT, dotted, has_reason, names_used, nodes, numbered, python, text, tracked, tree
from tests.tracing import NOT_TRACED, PROVING

SETTINGS: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
AT_THE_TOP: Final[set[str]] = set(SETTINGS["hatch"]["build"]["targets"]["wheel"]["only-include"])
TOP_LEVEL_MODULES: Final = {name for name in AT_THE_TOP if name.endswith(".py")}
SHIPPED: Final = AT_THE_TOP - TOP_LEVEL_MODULES
FOLDERS: Final = SHIPPED | {".ci", "deploy", "docs", "tests", "tools"}

COLUMNS: Final[int] = SETTINGS["ruff"]["line-length"]
LINES: Final = 400
CLOCKS: Final = {
    f"time.{name}{unit}"
    for name in ("time", "monotonic", "perf_counter", "process_time", "clock_gettime")
    for unit in ("", "_ns")
}
CALENDARS: Final = re.compile(r"(?:dt|datetime|date)(?:\.datetime|\.date)?\.(?:now|utcnow|today)")
SLEEPS: Final = {"time.sleep", "asyncio.sleep"}
SKIPS: Final = re.compile(r"(?:pytest|pytest\.mark|unittest)\.(?:skip\w*|importorskip|xfail|expectedFailure)")
BROAD: Final = {"Exception", "BaseException"}
BANNED_WORDS: Final = {"manager", "helper", "util", "utility", "utilitie", "handler"}
"""Without the plural's s."""

# Put together from pieces, so that this file does not find itself.
MARKERS: Final = re.compile(rf"\b(?:{'|'.join(['TO' + 'DO', 'FIX' + 'ME', 'X' * 3, 'NotImplemented' + 'Error'])})\b")
HOME: Final = r"(?<![\w.])/(?:home|Users|root)" + "/"
REGISTRIES: Final = [re.escape(f"{name}.org") for name in ("pypi", "pythonhosted", "npmjs")] + [
    r"index-url[\s=]+\S+://"
]
# A folder like /app would be found in text that means another one.
HERE: Final = [re.escape(f"{ROOT}/")] if len(ROOT.parts) >= 3 else []
MACHINES: Final = re.compile("|".join([HOME, *REGISTRIES, *HERE]))

WRAPPED: Final = {"", ".conf", ".css", ".html", ".js", ".mjs", ".py", ".service", ".sh", ".toml"}
PROOF: Final = re.compile(r"\b(tests/[\w/-]+\.py)::(\w+(?:::\w+)?)")


def shipped() -> Iterator[str]:
    return (path for path in python() if path in TOP_LEVEL_MODULES or path.split("/")[0] in SHIPPED)


def assert_none(breaches: Iterable[str], advice: str) -> None:
    """Fail with the whole list, one `file:line what` a line, and what to do about it."""
    found = sorted(set(breaches))
    assert not found, f"{advice}\n  " + "\n  ".join(found)


# --- The rules ------------------------------------------------------------------------------------------------


def test_the_repository_was_found() -> None:
    """Otherwise every other test here would pass about nothing."""
    assert {"pyproject.toml", "tests/test_tidy.py", *(f"{name}/__init__.py" for name in SHIPPED)} <= set(tracked())


def test_no_line_is_longer_than_the_page() -> None:
    assert_none(
        (
            f"{path}:{number} has {len(line)} columns"
            for path in tracked()
            if Path(path).suffix in WRAPPED and path != "LICENSE"
            for number, line in numbered(path)
            if len(line) > COLUMNS
        ),
        f"Break lines at {COLUMNS} columns:",
    )


def test_nothing_is_left_for_later() -> None:
    assert_none(
        (
            f"{path}:{number} {found[0]}"
            for path in tracked()
            for number, line in numbered(path)
            if (found := MARKERS.search(line))
        ),
        "Do it now, or take it out and write an issue:",
    )


def test_tests_wait_for_conditions_not_for_time() -> None:
    assert_none(
        (
            f"{path}:{line} {name}"
            for path in python()
            if path.startswith("tests/")
            for line, name in names_used(path)
            if name in SLEEPS and not has_reason(path, line)
        ),
        "Await the condition, or say in a comment at the line why only time will do:",
    )


def test_a_broad_except_says_why() -> None:
    def breaches(path: str) -> Iterator[str]:
        for node in nodes(path):
            if isinstance(node, ast.ExceptHandler) and node.type is None:
                yield f"{path}:{node.lineno} bare except: name what may be raised"
            elif isinstance(node, ast.ExceptHandler):
                caught = {ast.unparse(named) for named in _types(node)}
                if caught & BROAD and not _raises_again(node) and not has_reason(path, node.lineno):
                    yield f"{path}:{node.lineno} except {' and '.join(sorted(caught & BROAD))}"
            elif isinstance(node, ast.Call) and dotted(node.func) in {"suppress", "contextlib.suppress"}:
                caught = {ast.unparse(argument) for argument in node.args}
                if caught & BROAD and not has_reason(path, node.lineno):
                    yield f"{path}:{node.lineno} suppress({' and '.join(sorted(caught & BROAD))})"

    assert_none(
        (breach for path in python() for breach in breaches(path)),
        "Catch what you expect; bugs crash. If it must be broad, say why in a comment at the line:",
    )


def _raises_again(caught: ast.ExceptHandler) -> bool:
    last = caught.body[-1]
    return isinstance(last, ast.Raise) and last.exc is None


def _types(caught: ast.ExceptHandler) -> list[ast.expr]:
    return caught.type.elts if isinstance(caught.type, ast.Tuple) else [caught.type] if caught.type else []


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    assert_none(
        (
            f"{path}:{line} {name}"
            for path in python()
            if path.startswith("tests/")
            for line, name in names_used(path)
            if SKIPS.fullmatch(name)
        ),
        "A test runs or is deleted; what it needs is set up by make test:",
    )


def test_a_module_is_one_idea() -> None:
    long = {path: len(text(path).splitlines()) for path in python()}
    assert_none(
        (f"{path}:1 {lines} lines" for path, lines in long.items() if lines > LINES and path not in LONG_MODULES),
        f"Over {LINES} lines is a question: split it, or answer it in LONG_MODULES of tidy_exceptions.py:",
    )
    assert_none(
        (f"{path}: {long.get(path, 0)} lines" for path in LONG_MODULES if long.get(path, 0) <= LINES),
        "These are not long (any more): take them out of LONG_MODULES:",
    )


def test_names_are_the_fields_own() -> None:
    def breaches(path: str) -> Iterator[str]:
        if _words(path) & BANNED_WORDS:
            yield f"{path}:1 by its path"
        for node in nodes(path):
            if isinstance(node, ast.ClassDef) and _words(node.name) & BANNED_WORDS:
                yield f"{path}:{node.lineno} class {node.name}"

    assert_none(
        (breach for path in python() for breach in breaches(path)),
        "Name it for what it is in the clinic or on the wire, not manager, helper, util or handler:",
    )


def _words(name: str) -> set[str]:
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return {word.lower().removesuffix("s") for word in words}


def test_every_top_level_folder_is_known() -> None:
    assert_none(
        (f"{path.split('/')[0]}/" for path in tracked() if "/" in path and path.split("/")[0] not in FOLDERS),
        "A new folder at the top is a decision: if it ships, list it in pyproject's only-include; else in FOLDERS of "
        f"{Path(__file__).name}; and say why in docs/decisions:",
    )


def test_no_module_strays_at_the_top() -> None:
    assert_none(
        (path for path in python() if "/" not in path and path not in TOP_LEVEL_MODULES),
        f"Only {' and '.join(sorted(TOP_LEVEL_MODULES))} may stand at the top: move it into a package:",
    )


def test_each_package_says_what_it_is() -> None:
    folders = {Path(path).parent.as_posix() for path in python() if path.split("/")[0] in SHIPPED}
    assert_none(
        (f"{folder}/__init__.py" for folder in folders if f"{folder}/__init__.py" not in tracked()),
        "A shipped folder with Python in it is a package; add:",
    )
    assert_none(
        (f"{path}:1" for path in python() if path.endswith("__init__.py") and not ast.get_docstring(tree(path))),
        "Say in one sentence what the room is:",
    )


def test_clocks_are_read_in_composition_roots_only() -> None:
    reads = {
        path: [f"{path}:{line} {name}" for line, name in names_used(path) if _is_clock(name)] for path in shipped()
    }
    assert_none(
        (read for path, lines in reads.items() if path not in COMPOSITION_ROOTS for read in lines),
        "Take boot time or wall clock as an injected callable (composition roots: COMPOSITION_ROOTS of "
        f"{Path(__file__).name}):",
    )
    assert_none(
        (path for path in COMPOSITION_ROOTS if not reads.get(path)),
        "These read no clock (any more): take them out of COMPOSITION_ROOTS:",
    )


def _is_clock(name: str) -> bool:
    return name in CLOCKS or CALENDARS.fullmatch(name) is not None


def test_children_of_a_task_group_are_named() -> None:
    def breaches(path: str) -> Iterator[str]:
        for node in nodes(path):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            if dotted(node.func) in {"asyncio.create_task", "asyncio.ensure_future"}:
                yield f"{path}:{node.lineno} {dotted(node.func)}: start it in a TaskGroup"
            elif node.func.attr == "create_task" and "name" not in {keyword.arg for keyword in node.keywords}:
                yield f"{path}:{node.lineno} create_task without a name"

    assert_none(
        (breach for path in shipped() for breach in breaches(path)),
        "One TaskGroup per process, every child named, so that nothing fails unseen:",
    )


def test_nothing_names_a_machine_or_a_registry() -> None:
    assert_none(
        (
            f"{path}:{number} {found[0]}"
            for path in tracked()
            for number, line in numbered(path)
            if (found := MACHINES.search(line))
        ),
        "Paths of one machine and hosts of a package registry do not belong here; use relative paths and settings:",
    )


def test_every_proof_that_hazards_name_exists() -> None:
    """docs/hazards.md names tests as `tests/folder/test_file.py::test_name`."""
    path = "docs/hazards.md"
    assert path in tracked(), f"{path} is missing: it names each hazard, its controls and the test that proves them"
    named = [(number, proof[1], proof[2]) for number, line in numbered(path) for proof in PROOF.finditer(line)]
    assert named, f"{path} names no test: write each proof as `tests/folder/test_file.py::test_name`"
    assert_none(
        (f"{path}:{number} {file}::{name}" for number, file, name in named if name not in _tests_in(file)),
        "These tests do not exist: name the ones that prove the hazard's controls, or write them:",
    )


def _tests_in(file: str) -> set[str]:
    if file not in tracked():
        return set()
    body = tree(file).body
    classes = [node for node in body if isinstance(node, ast.ClassDef)]
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in body if isinstance(node, functions)} | {
        f"{owner.name}::{node.name}" for owner in classes for node in owner.body if isinstance(node, functions)
    }


def test_what_is_shared_out_by_name_is_there() -> None:
    """A name that leads nowhere is passed over: the whole run waits for what it stood for, or traces it."""
    named = {"order": (*WAITING, *SHARING, *TOGETHER, *TOGETHER.values()), "tracing": (*PROVING, *NOT_TRACED)}
    assert_none(
        (f"tests/{table}.py {name}" for table, names in named.items() for name in names if not _is_there(name)),
        "Name what is there now, or take it out:",
    )


def _is_there(name: str) -> bool:
    path, _, test = name.partition("::")
    if test:
        return test in _tests_in(path)
    return any(f"{one}/".startswith(f"{path.rstrip('/')}/") for one in tracked())


def test_decisions_are_dated() -> None:
    """docs/decisions/2026-01-31-what-was-decided.md"""
    decisions = [path for path in tracked() if path.startswith("docs/decisions/")]
    assert decisions, "docs/decisions is empty: what differs from the design is recorded there, dated"
    assert_none(
        (path for path in decisions if not _is_dated(Path(path).name)),
        "Name a decision for its day and its subject, 2026-01-31-what-was-decided.md:",
    )


def _is_dated(name: str) -> bool:
    found = re.fullmatch(r"(\d{4})-(\d\d)-(\d\d)-[a-z0-9-]+\.md", name)
    if not found:
        return False
    try:
        dt.date(*map(int, found.groups()))
    except ValueError:
        return False
    return True
