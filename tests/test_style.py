"""The rules of the house that can be counted: a table at the end of the test run, and two of them held.

Paths and errors in outputs, the other rules without exception, are in test_notebooks.py.
"""

import ast
import re
from functools import cache
from pathlib import Path
from statistics import median

import book
import pytest
from conftest import NOTEBOOKS, code_cells, each, relative
from equations import DIRECTIVE, definitions, is_exported
from nbformat import NotebookNode

ASSERTS = re.compile(r"(?:assert|check|test)_\w+")
HEAD = f"{'notebook':34}{'cells':>6}{'prose:code':>11}{'export lines':>14}{'figures':>8}{'checks':>7}{'kB':>6}"


def called(node: ast.AST) -> str:
    "The last name of what a call calls"
    return getattr(node.func, "attr", getattr(node.func, "id", "")) if isinstance(node, ast.Call) else ""


def assertions(source: str) -> int:
    "How many `assert` statements and calls of `assert_*`, `check_*` or `test_*` the source has"
    return sum(isinstance(o, ast.Assert) or bool(ASSERTS.fullmatch(called(o))) for o in ast.walk(ast.parse(source)))


def names(source: str) -> set[str]:
    "Every name and attribute that the source uses"
    nodes = list(ast.walk(ast.parse(source)))
    return {o.id for o in nodes if isinstance(o, ast.Name)} | {o.attr for o in nodes if isinstance(o, ast.Attribute)}


def unchecked(nb: NotebookNode) -> list[str]:
    "Exported public functions and classes that no cell with an assertion uses"
    exported = [d.name for c in code_cells(nb) for d in definitions(c)]
    checks = [c.source for c in code_cells(nb) if not is_exported(c) and assertions(c.source)]
    return [name for name in exported if not any(name in names(source) for source in checks)]


def lines(cell: NotebookNode) -> int:
    "Lines of code of a cell, without directives and empty lines"
    return len([line for line in DIRECTIVE.sub("", cell.source).splitlines() if line.strip()])


@cache
def row(path: Path) -> str:
    "The counts of one notebook; an exclamation mark stands behind what is outside the rule"
    nb = book.read(path)
    code = code_cells(nb)
    prose = sum(c.cell_type == "markdown" for c in nb.cells)
    lengths = [lines(c) for c in code if is_exported(c)] or [0]
    figures = sum(any(k.startswith("image/") for k in o.get("data", {})) for c in code for o in c.outputs)
    checks, size = sum(assertions(c.source) for c in code if not is_exported(c)), path.stat().st_size / 1000
    mark = lambda text, ok: f"{text}{' ' if ok else '!'}"
    cells = [
        f"{relative(path).removeprefix('nbs/').removesuffix('.ipynb'):34}",
        f"{mark(len(nb.cells), len(nb.cells) <= 41):>6}",  # 40 and the cell for Colab
        f"{mark(f'1:{len(code) / prose:.1f}', len(code) <= 2 * prose):>11}",
        f"{mark(f'{median(lengths):g}, {max(lengths)}', median(lengths) <= 8 and max(lengths) <= 25):>14}",
        f"{mark(figures, 1 <= figures <= 3):>8}",
        f"{mark(checks, checks > 0):>7}",
        f"{mark(f'{size:.0f}', size < 200):>6}",
    ]
    return "".join(cells)


def test_table(report):
    rows = [row(path) for path in NOTEBOOKS]
    report += [HEAD, *rows, "export lines: median and most; ! is outside the rule"]
    assert len(rows) == len(NOTEBOOKS) > 0


@each(NOTEBOOKS)
def test_each_export_is_checked_in_its_notebook(path):
    assert unchecked(book.read(path)) == []


@each(NOTEBOOKS)
def test_notebook_is_small(path):
    assert path.stat().st_size < 200_000


@pytest.mark.parametrize(
    "check, left", [("g(f(1))", ["f"]), ("assert f(1) == 2", []), ("m.f(1); check_that(m)", []), ("assert 'f'", ["f"])]
)
def test_a_function_without_a_check_is_found(check, left):
    cell = lambda source: {"cell_type": "code", "source": source, "metadata": {}, "outputs": []}
    source = "#| export\ndef f(x):\n    assert x\n    return x + 1\n\n\ndef _private(x):\n    pass"
    nb = book.nbformat.from_dict({"cells": [cell(source), cell(check)]})
    assert unchecked(nb) == left
