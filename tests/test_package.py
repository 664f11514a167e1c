"""The package as a whole: light to import, layered, complete, and true to what its notebooks claim."""

import ast
import importlib
import json
import linecache
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from symtable import symtable
from types import ModuleType

import book
import matplotlib.pyplot as plt
import pytest
import torch
from conftest import NOTEBOOKS, ROOT, code_cells, each, relative
from equations import directives, is_exported

PACKAGE = ROOT / "phoenix"
EXPORTED = book.exported(ROOT)
PARTS = [part for part in book.PARTS if (PACKAGE / part / "__init__.py").exists()]
ORDER = [part for part in book.PARTS if part not in ("bench", "experiments")]
PAGES = [p for p in NOTEBOOKS if p not in EXPORTED.values() and not (p.parent / ".notest").exists()]
MODULES = [p for p in sorted(PACKAGE.rglob("*.py")) if p.name != "_modidx.py"]
HEAVY = (
    "torch matplotlib scipy pyarrow pandas nbdev fastcore IPython transformers accelerate huggingface_hub triton PIL"
)
LOADED = """
import importlib, json, sys
heavy, found = set(sys.argv[1].split()), {}
for name in sys.argv[2:]:
    importlib.import_module(name)
    found[name] = sorted(heavy & {loaded.partition(".")[0] for loaded in sys.modules})
print(json.dumps(found))
"""


# imports


def imported(path: Path) -> Iterator[str]:
    "The full names that a module of the package imports, anywhere in it: `phoenix.checks.assert_close`"
    package = ["phoenix", *path.relative_to(PACKAGE).parent.parts]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield from (".".join([*base, *filter(None, [node.module]), alias.name]) for alias in node.names)


def rank(name: str) -> int | None:
    "The place of a module of the package in the order of the parts; None if it is not of the package"
    root, part, *_ = [*name.split("."), "", ""]
    if root != "phoenix":
        return None
    return len(ORDER) if part in ("demo", "cli") else ORDER.index(part) if part in ORDER else 0


def test_import_is_light():
    commons = [f"phoenix.{name}" for name in EXPORTED if "." not in name and name != "demo"]
    parts = [f"phoenix.{part}" for part in ("blocks", "training", "ssm", "refine") if part in PARTS]
    command = [sys.executable, "-c", LOADED, HEAVY, "phoenix", *commons, *parts]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert len(found) == 1 + len(commons) + len(parts) > 3
    assert {name: heavy for name, heavy in found.items() if set(heavy) - {"torch"}} == {}


@each(MODULES)
def test_does_not_import_the_tools_of_the_notebooks(path):
    assert {name.partition(".")[0] for name in imported(path)} & {"nbdev", "fastcore", "execnb", "IPython"} == set()


@each(MODULES)
def test_imports_only_from_parts_above(path):
    name = ".".join(["phoenix", *path.relative_to(PACKAGE).with_suffix("").parts])
    assert [other for other in imported(path) if (rank(other) or 0) > rank(name)] == []


def test_every_module_comes_from_a_notebook():
    written = {".".join(p.relative_to(PACKAGE).with_suffix("").parts) for p in MODULES if p.name != "__init__.py"}
    assert written == set(EXPORTED)


@pytest.mark.parametrize("part", [part for part in PARTS if part != "."])
def test_part_gives_the_public_names_of_its_modules(part):
    package = importlib.import_module(f"phoenix.{part}")
    for name in (name for name in EXPORTED if name.startswith(f"{part}.")):
        module = importlib.import_module(f"phoenix.{name}")
        other = [n for n in module.__all__ if getattr(package, n, None) is not getattr(module, n)]
        assert other == [], f"not those of {name}"
        assert set(module.__all__) <= set(package.__all__)


# the claims of the notebooks, held against the package


def bound(source: str, name: str) -> set[str]:
    "The names that a cell defines, assigns or imports at its top level"
    return {s.get_name() for s in symtable(source, name, "exec").get_symbols() if s.is_assigned() or s.is_imported()}


def run_cells(path: Path, modules: list[ModuleType], space: ModuleType, skip: set[str]) -> int:
    "Run the notebook's cells in `space`, exported ones replaced by what `modules` hold; returns how many were run"
    package = {k: v for module in modules for k, v in vars(module).items() if not k.startswith("__")}
    count = 0
    for i, cell in enumerate(code_cells(book.read(path))):
        name = f"{relative(path)}, code cell {i} ({cell.id})"
        if is_exported(cell):
            # only what this cell defines: a notebook may build up to it under the same name
            vars(space).update({k: package[k] for k in bound(cell.source, name) & package.keys()})
        elif not skip & directives(cell).keys():
            linecache.cache[name] = len(cell.source), None, cell.source.splitlines(True), name
            exec(compile(cell.source, name, "exec"), vars(space))
            count += 1
    return count


@pytest.fixture
def space(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    "An empty module for a notebook to run in; what a notebook sets for the process is set back after it"
    module = ModuleType("notebook")
    module.display = print
    monkeypatch.setitem(sys.modules, "notebook", module)
    dtype, grad = torch.get_default_dtype(), torch.is_grad_enabled()
    with plt.rc_context(), torch.random.fork_rng(devices=[]):
        yield module
    plt.close("all")
    torch.set_default_dtype(dtype)
    torch.set_grad_enabled(grad)


@each([*dict.fromkeys(EXPORTED.values()), *PAGES, ROOT / "index.ipynb"])
def test_checks_of_the_notebook_hold_for_the_package(path, space, settings, monkeypatch):
    modules = [importlib.import_module(f"phoenix.{name}") for name, home in EXPORTED.items() if home == path]
    monkeypatch.chdir(path.parent)
    assert run_cells(path, modules, space, set(settings["tst_flags"].split())) > 0


def test_a_package_that_differs_from_its_notebook_is_found(tmp_path, space, monkeypatch):
    nb = book.nbformat.v4.new_notebook()
    cells = ["def f(x):\n    return -x", "assert f(1) == -1", "#| export\ndef f(x):\n    return x", "assert f(1) == 1"]
    nb.cells = [book.new_code_cell(source) for source in [*cells, "#| gpu\n1 / 0", "#| eval: false\n!ls"]]
    book.nbformat.write(nb, path := tmp_path / "x.ipynb")
    monkeypatch.setattr(f"{__name__}.relative", lambda path: path.name)
    module = ModuleType("x")
    module.f = lambda x: x
    assert run_cells(path, [module], space, {"gpu"}) == 3
    module.f = lambda x: x + 1
    with pytest.raises(AssertionError):
        run_cells(path, [module], space, {"gpu"})


def test_the_notebooks_export_something():
    assert len(EXPORTED) >= 3 and set(EXPORTED.values()) <= set(NOTEBOOKS)
