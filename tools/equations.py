"""The numbered equations of the book: each with its paper, the names that implement it and the check that holds it."""

import ast
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode

DIRECTIVE = re.compile(r"^#[ \t]*\|[ \t]*([\w-]+)[ \t]*:?[ \t]*(.*)$", re.M)
EXPORTS = {"export", "exports", "exporti"}
FENCE = re.compile(r"^[ \t]*(```+|~~~+).*?^[ \t]*\1", re.M | re.S)
DISPLAYED = re.compile(r"(?<!\\)\$\$(.+?)\$\$", re.S)
TAG = re.compile(r"\s*\\tag\{([^}]*)\}")
SOURCE = re.compile(r"^Source:\s*(.+)$", re.M)
ASSERTION = re.compile(r"^(?!\s*#).*\b(?:assert\b|(?:assert_close|check_\w+)\()", re.M)
COMMENT = re.compile(r"^#(?!\s*\|)\s*(\S.*)$", re.M)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Equation:
    "One displayed equation with a number; what the notebook does not give is empty"

    tag: str  # its number, such as S10.1
    tex: str  # what is displayed, without the tag
    source: str  # the paper, in Markdown
    symbols: tuple[str, ...]  # public names defined in the exported cell that follows
    check: str  # first comment line of the cell that asserts it
    notebook: Path


def directives(cell: NotebookNode) -> dict[str, str]:
    "The nbdev directives of a code cell, each with what stands behind it"
    return dict(DIRECTIVE.findall(cell.source)) if cell.cell_type == "code" else {}


def is_exported(cell: NotebookNode) -> bool:
    "Whether nbdev copies the cell into the package"
    return bool(EXPORTS & directives(cell).keys())


def definitions(cell: NotebookNode) -> list[Definition]:
    "The public functions and classes that an exported cell defines"
    if not {"export", "exports"} & directives(cell).keys():
        return []
    return [d for d in ast.parse(cell.source).body if isinstance(d, Definition) and not d.name.startswith("_")]


def equations(path: Path) -> list[Equation]:
    "The numbered equations of the notebook at `path`, in order"
    cells, found = nbformat.read(path, as_version=4).cells, []
    for i, cell in enumerate(cells):
        if cell.cell_type != "markdown":
            continue
        text = FENCE.sub("", cell.source)
        tagged = [(tag, tex) for tex in DISPLAYED.findall(text) for tag in TAG.findall(tex)]
        if not tagged:
            continue
        source = SOURCE.findall(text)
        symbols, check = implementation(cells[i + 1 :])
        for tag, tex in tagged:
            found.append(Equation(tag, TAG.sub("", tex).strip(), source[-1] if source else "", symbols, check, path))
    return found


def implementation(following: list[NotebookNode]) -> tuple[tuple[str, ...], str]:
    "Names defined in the first exported cell of `following`, and the comment of the first asserting cell after it"
    code = [cell for cell in following if cell.cell_type == "code"]
    first = next((i for i, cell in enumerate(code) if is_exported(cell)), len(code))
    symbols = tuple(d.name for cell in code[first : first + 1] for d in definitions(cell))
    checks = (cell.source for cell in code[first + 1 :] if not is_exported(cell) and ASSERTION.search(cell.source))
    comment = COMMENT.search(next(checks, ""))
    return symbols, comment[1] if comment else ""
