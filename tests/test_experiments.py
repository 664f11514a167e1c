"""Each experiment runs at smoke size, and follows the convention that makes it a papermill notebook.

Its first code cell (after the one for Colab) is tagged `parameters` and assigns literals, among them `smoke = False`
and `out_dir = "../../_runs/..."`, relative to the notebook's folder; all that it writes goes into `out_dir`.
"""

import ast
import json
import sys
from pathlib import Path

import book
import papermill
import pytest
from conftest import NOTEBOOKS, each
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_notebook

EXPERIMENTS = [path for path in NOTEBOOKS if path.parent.name == "experiments"]
KERNEL = "the-python-of-the-tests"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    "A kernel of this interpreter, whatever kernels the machine has"
    folder = tmp_path / "jupyter/kernels" / KERNEL
    folder.mkdir(parents=True)
    argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec = {"argv": argv, "display_name": KERNEL, "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    return KERNEL


def parameters(path: Path) -> dict[str, object]:
    "The defaults of an experiment's parameters; AssertionError where it leaves the convention"
    code = [c for c in book.read(path).cells if c.cell_type == "code" and c.id != book.COLAB_ID]
    assert "parameters" in code[0].metadata.get("tags", []), "the first code cell is not tagged 'parameters'"
    found = {}
    for node in ast.parse(code[0].source).body:
        assert isinstance(node, ast.Assign | ast.AnnAssign), f"not an assignment: {ast.unparse(node)}"
        target = node.targets[0] if isinstance(node, ast.Assign) else node.target
        found[ast.unparse(target)] = ast.literal_eval(node.value)
    assert found.get("smoke") is False, "no parameter 'smoke = False'"
    assert str(found.get("out_dir", "")).startswith("../../_runs/"), "no parameter 'out_dir = \"../../_runs/...\"'"
    return found


def smoke_run(path: Path, folder: Path, kernel: str) -> tuple[NotebookNode, list[Path]]:
    "Run an experiment at smoke size; the notebook that ran, and the files that it wrote"
    out = folder / "out"
    nb = papermill.execute_notebook(
        str(path),
        str(folder / path.name),
        parameters={"smoke": True, "out_dir": str(out)},
        kernel_name=kernel,
        cwd=str(path.parent),
        progress_bar=False,
    )
    return nb, [p for p in out.rglob("*") if p.is_file() and p.stat().st_size]


def injected(nb: NotebookNode) -> str:
    "The source of the cell that papermill put in"
    return next(c.source for c in nb.cells if "injected-parameters" in c.metadata.get("tags", []))


@each(EXPERIMENTS)
def test_experiment_runs_at_smoke_size(path, tmp_path, kernel):
    parameters(path)
    nb, written = smoke_run(path, tmp_path, kernel)
    assert "smoke = True" in injected(nb)
    assert written, "nothing was written to out_dir"


# the above on an experiment made here, so that it is known to work and to fail


def sample(folder: Path, *sources: str) -> Path:
    "A notebook of these code cells, the first of them tagged `parameters`"
    nb = new_notebook(cells=[new_code_cell(source) for source in sources])
    nb.cells[0].metadata.tags = ["parameters"]
    nb.metadata.kernelspec = {"name": "python3", "display_name": "python3", "language": "python"}
    book.stamp(nb, book.settings())
    book.nbformat.write(nb, path := folder / "train_sample.ipynb")
    return path


PARAMETERS = 'steps = 1000\nsmoke = False\nout_dir = "../../_runs/sample"'


def test_sample_gets_its_parameters_in_this_interpreter(tmp_path, kernel):
    body = "import sys\nfrom pathlib import Path\nPath(out_dir).mkdir()\n"
    path = sample(tmp_path, PARAMETERS, body + 'Path(out_dir, "log").write_text(f"{smoke} {steps} {sys.executable}");')
    assert parameters(path) == {"steps": 1000, "smoke": False, "out_dir": "../../_runs/sample"}
    nb, written = smoke_run(path, tmp_path, kernel)
    assert [p.read_text() for p in written] == [f"True 1000 {sys.executable}"]
    assert "smoke = True" in injected(nb)


def test_sample_that_fails_is_an_error(tmp_path, kernel):
    with pytest.raises(papermill.PapermillExecutionError, match="ZeroDivisionError"):
        smoke_run(sample(tmp_path, PARAMETERS, "1 / 0"), tmp_path, kernel)


@pytest.mark.parametrize(
    "source, lack",
    [
        (PARAMETERS.replace("smoke = False", "smoke = True"), "smoke"),
        (PARAMETERS.replace("../../_runs", "results"), "out_dir"),
        ("import os\n" + PARAMETERS, "assignment"),
    ],
)
def test_sample_that_leaves_the_convention_is_found(tmp_path, source, lack):
    with pytest.raises(AssertionError, match=lack):
        parameters(sample(tmp_path, source))
