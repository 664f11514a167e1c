"""tools/run_nb.py: runs what it should, keeps what it should, and leaves a notebook that fails as it was."""

import sys
from pathlib import Path

import nbformat
import pytest
import run_nb
from nbclient.exceptions import CellExecutionError
from nbformat.v4 import new_code_cell, new_notebook, new_output


def notebook(path: Path, *sources: str) -> Path:
    "A notebook of code cells whose stored outputs say 'stored'"
    stored = lambda: [new_output("stream", name="stdout", text="stored")]
    nbformat.write(new_notebook(cells=[new_code_cell(s, outputs=stored()) for s in sources]), path)
    return path


def outputs(path: Path) -> list[str]:
    "What the cells of a notebook printed"
    return ["".join(o.text for o in c.outputs) for c in nbformat.read(path, as_version=4).cells]


def test_flagged_cells_keep_their_outputs_and_others_are_run(tmp_path):
    cells = [f"#| {flag}\n1 / 0" for flag in ("gpu", "slow", "notest", "eval: false")]
    path = notebook(tmp_path / "x.ipynb", "print('run', end='')", *cells)
    assert run_nb.run(path) > 0
    assert outputs(path) == ["run", "stored", "stored", "stored", "stored"]


def test_flag_that_is_asked_for_is_run_in_this_interpreter_and_this_folder(tmp_path):
    cells = ["import sys; print(sys.executable, end='')", "import os; print(os.getcwd(), end='')"]
    path = notebook(tmp_path / "x.ipynb", *(f"#| slow\n{cell}" for cell in cells), "#| gpu\n1 / 0")
    run_nb.run(path, "slow")
    assert outputs(path) == [sys.executable, str(tmp_path), "stored"]


def test_nothing_is_written_when_a_cell_fails(tmp_path):
    path = notebook(tmp_path / "x.ipynb", "print('run')", "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run_nb.run(path)
    assert path.read_bytes() == before
