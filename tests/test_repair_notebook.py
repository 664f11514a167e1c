"""The magics in a real kernel: a cell with asserts is repaired, and so is the cell that raised."""

import os

import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_notebook
from run_nb import Client, Manager

pytest.importorskip("phoenix.repair.notebook")
from phoenix.sandbox import Level, probe

pytestmark = pytest.mark.skipif(
    os.name != "posix" or probe().level < Level.ISOLATED, reason="no sandbox of the highest level on this system"
)
MIDDLE = """%%repair 20
def middle(xs):
    return sorted(xs)[len(xs) // 2 + k]

assert middle([3, 1, 2]) == 2
assert middle([5, 3, 1, 4, 2, 7, 6]) == 4
"""
HOLDS = "%%repair\ndef one():\n    return 1\n\nassert one() == 1\n"


def test_repair_and_fix():
    sources = ["%load_ext phoenix", "k = 1", MIDDLE, HOLDS, "print(one())"]
    sources += ["def mean(xs):\n    return sum(xs) / len(x)", "mean([1, 2, 3])", "%fix 20"]
    nb = new_notebook(cells=[new_code_cell(source) for source in sources])
    nb.cells[6].metadata.tags = ["raises-exception"]
    client = Client(nb, timeout=120, kernel_name="python3", resources={"metadata": {"path": str(ROOT)}})
    client.kernel_manager_class = Manager
    client.execute()
    said = ["".join(o.get("text", "") or o.get("data", {}).get("text/plain", "") for o in c.outputs) for c in nb.cells]
    assert said[2].startswith("verified") and "+    return sorted(xs)[len(xs) // 2]" in said[2]
    assert "```diff" in nb.cells[2].outputs[0].data["text/markdown"]
    assert said[3].startswith("passes") and said[4] == "1\n"
    assert nb.cells[6].outputs[0].ename == "NameError"
    assert said[7].startswith("proposed") and "len(xs)" in said[7]
    nbformat.validate(nb)
