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
COMMENT = re.compile(r"^#(?!\s*\|)\s*\S.*(?:\n#.*)*", re.M)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


@dataclass(frozen=True)
class Equation:
    "One displayed equation with a number; what the notebook does not give is empty"

    tag: str  # its number, such as S10.1
    tex: str  # what is displayed, without the tag
    source: str  # the paper, in Markdown
    symbols: tuple[str, ...]  # public names that are defined after it and that its check names
    check: str  # first comment of the cell that asserts it
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


def names(cell: NotebookNode) -> set[str]:
    "Every name that the code of a cell mentions"
    nodes = list(ast.walk(ast.parse(cell.source)))
    return {n.id for n in nodes if isinstance(n, ast.Name)} | {n.attr for n in nodes if isinstance(n, ast.Attribute)}


def implementation(following: list[NotebookNode]) -> tuple[tuple[str, ...], str]:
    "The first asserting cell after exported ones: those of their public names that it uses, and its first comment"
    defined: list[str] = []
    for cell in following:
        if cell.cell_type != "code":
            continue
        if is_exported(cell):
            defined += [d.name for d in definitions(cell)]
        elif defined and ASSERTION.search(cell.source):
            comment, used = COMMENT.search(cell.source), names(cell)
            words = " ".join(line.lstrip("# ") for line in comment[0].splitlines()) if comment else ""
            return tuple(name for name in defined if name in used), words
    return tuple(defined), ""
