"""What there is in this repository for the tests of its style: its own files, their text, trees, names and comments.

Each is read once, however many rules look at it.
"""

import ast
import io
import os
import re
import subprocess
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent


@cache
def tracked() -> tuple[str, ...]:
    """Paths, relative to the root, of all that is this repository's own, new files too; not what is vendored."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0")
    except (OSError, subprocess.CalledProcessError):
        listed = []
    if "pyproject.toml" not in listed:  # an unpacked archive, or git refuses a folder that is another account's
        listed = list(walked())
    return tuple(sorted(path for path in listed if path and "/vendor/" not in path and (ROOT / path).is_file()))


def walked() -> Iterator[str]:
    """All files, leaving out what .gitignore's folders and caches hold."""
    for folder, below, names in os.walk(ROOT):
        below[:] = [
            name
            for name in below
            if name == ".ci" or not (name.startswith((".", "__pycache__")) or name in {"build", "dist", "htmlcov"})
        ]
        yield from ((Path(folder) / name).relative_to(ROOT).as_posix() for name in names)


def python() -> Iterator[str]:
    return (path for path in tracked() if path.endswith(".py"))


@cache
def text(path: str) -> str:
    """The file's text; the empty string for pictures and other binary files."""
    raw = (ROOT / path).read_bytes()
    return "" if b"\0" in raw else raw.decode()


def numbered(path: str) -> Iterator[tuple[int, str]]:
    return enumerate(text(path).splitlines(), start=1)


@cache
def tree(path: str) -> ast.Module:
    return ast.parse(text(path), path)


@cache
def nodes(path: str) -> tuple[ast.AST, ...]:
    """All of it, one after the other: each rule looks at most of them."""
    return tuple(ast.walk(tree(path)))


@cache
def reasons(path: str) -> frozenset[int]:
    """The lines with a comment of at least three words that is no directive to a tool."""
    found = set()
    for token in tokenize.generate_tokens(io.StringIO(text(path)).readline):
        if token.type == tokenize.COMMENT:
            said = re.sub(r"#\s*(?:noqa|type|fmt|pragma|ruff|mypy)\b[^#]*?(?=#| -- |$)", "", token.string)
            if len(re.findall(r"\w{2,}", said)) >= 3:
                found.add(token.start[0])
    return frozenset(found)


def has_reason(path: str, line: int) -> bool:
    """Whether a comment stands at the line, or directly above or below it."""
    return not reasons(path).isdisjoint({line - 1, line, line + 1})


@cache
def names_used(path: str) -> tuple[tuple[int, str], ...]:
    """Every dotted name in a module (`time.monotonic`), also where it was imported by itself."""
    imported = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in nodes(path)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    return tuple(
        (node.lineno, imported.get(name, name))
        for node in nodes(path)
        if isinstance(node, ast.Attribute | ast.Name) and ("." in (name := dotted(node)) or name in imported)
    )


def dotted(node: ast.expr) -> str:
    """`time.monotonic`; of what is no name (a call, a subscript) only what is got from it, behind a dot."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
