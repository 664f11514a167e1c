"""Execute notebooks in place, in this interpreter's kernel; cells flagged `#| gpu` or `#| slow` keep their outputs.

python tools/run_nb.py nbs/ssm/10_discretize.ipynb [--flags "gpu slow"]
"""

import argparse
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from traitlets import default

SKIP = {"notest", "gpu", "slow"}
DIRECTIVE = re.compile(r"^#\s*\|\s*([\w-]+)\s*:?\s*(\S*)", re.M)


class ThisPython(KernelSpecManager):
    "A kernel of the interpreter that runs this script, whatever kernels the machine has"

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        argv = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=ERROR"]
        return KernelSpec(argv=argv, display_name=kernel_name, language="python")


class Manager(AsyncKernelManager):
    @default("kernel_spec_manager")
    def _this_python(self):
        return ThisPython()


class Client(NotebookClient):
    skip: set = SKIP

    async def async_execute_cell(self, cell, cell_index, *args, **kwargs):
        found = dict(DIRECTIVE.findall(cell.source)) if cell.cell_type == "code" else {}
        if self.skip & found.keys() or found.get("eval") == "false":
            return cell
        return await super().async_execute_cell(cell, cell_index, *args, **kwargs)


def run(path: Path, flags: str = "") -> float:
    "Execute the notebook at `path`, write it back, and return the seconds it took; on an error nothing is written"
    nb, start = nbformat.read(path, as_version=4), time.time()
    client = Client(nb, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(path.parent)}})
    client.kernel_manager_class = Manager
    client.skip = SKIP - set(flags.split())
    client.execute()
    nbformat.write(nb, path)
    return time.time() - start


def main() -> None:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("paths", nargs="+", type=Path)
    ap.add_argument("--flags", default="", help="flags of cells to run all the same: gpu, slow, notest")
    a = ap.parse_args()
    for path in a.paths:
        print(f"{path}: {run(path, a.flags):.1f} s", flush=True)


if __name__ == "__main__":
    main()
