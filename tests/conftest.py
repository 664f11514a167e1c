"""What the tests share: the tree, its settings and notebooks, and small inputs and models with fixed seeds."""

import os
import sys
from configparser import SectionProxy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# the package and the tools of this tree, whatever else is installed; here and in the processes that tests start
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
os.environ["MPLBACKEND"] = "agg"
os.environ.setdefault("OMP_NUM_THREADS", "1")
if not os.path.exists("/dev/nvidia0"):
    os.environ.setdefault("TRITON_INTERPRET", "1")  # before triton is imported: kernels step by step in Python

import book  # noqa: E402
import pytest  # noqa: E402
import torch  # noqa: E402
from equations import directives  # noqa: E402
from nbformat import NotebookNode  # noqa: E402
from torch import Tensor, nn  # noqa: E402

NOTEBOOKS = book.notebooks(ROOT)
PAGES = [ROOT / "index.ipynb", *NOTEBOOKS]
REPORT = pytest.StashKey[list[str]]()


def relative(path: Path) -> str:
    "The name of a file of the tree, as test ids and messages show it"
    return path.relative_to(ROOT).as_posix()


def each(paths: list[Path]) -> pytest.MarkDecorator:
    "Run a test for each of `paths`, given as `path`"
    return pytest.mark.parametrize("path", paths, ids=relative)


def code_cells(nb: NotebookNode) -> list[NotebookNode]:
    "The code cells of a notebook that some machine can run"
    return [c for c in nb.cells if c.cell_type == "code" and directives(c).get("eval", "").strip() != "false"]


ON_THE_CLOCK = ("sandbox", "repair", "synthesis", "test_training", "90_demo", "95_cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    "What starts processes with limits on real time gets a second try, which the summary tells: a machine may pause"
    for item in items:
        if any(part in item.nodeid for part in ON_THE_CLOCK):
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session")
def settings() -> SectionProxy:
    "The values of settings.ini"
    return book.settings(ROOT)


@pytest.fixture(scope="session")
def report(pytestconfig: pytest.Config) -> list[str]:
    "Lines that stand at the end of the test run, whatever passed"
    return pytestconfig.stash.setdefault(REPORT, [])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    "Print what the tests put into `report`"
    if lines := config.stash.get(REPORT, []):
        terminalreporter.section("the style of the notebooks, counted")
        for line in lines:
            terminalreporter.write_line(line)


@pytest.fixture
def generator() -> torch.Generator:
    "A source of random numbers that gives each test the same ones"
    return torch.Generator().manual_seed(0)


@pytest.fixture
def sequence() -> Tensor:
    "Noise of shape (B, L, D) = (3, 24, 8), an even length that is no power of two"
    return torch.randn(3, 24, 8, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def signal() -> Tensor:
    "Ten seconds of a heartbeat at 100 Hz, (1, 1000, 1): irregular beats, a wandering baseline, and noise"
    generator, t = torch.Generator().manual_seed(2), torch.arange(1000) / 100
    beats = torch.cumsum(0.8 + 0.1 * torch.randn(12, generator=generator), 0)
    # each wave of a beat: when it comes (s), how wide it is (s), how high it is
    waves = [(-0.20, 0.025, 0.15), (-0.03, 0.010, -0.10), (0.0, 0.012, 1.0), (0.03, 0.010, -0.25), (0.25, 0.04, 0.30)]
    heart = sum(h * torch.exp(-0.5 * ((t - b - at) / width) ** 2) for b in beats for at, width, h in waves)
    wander = 0.2 * torch.sin(2 * torch.pi * 0.3 * t)
    return (heart + wander + 0.02 * torch.randn(t.shape, generator=generator))[None, :, None]


@pytest.fixture
def s4d() -> nn.Module:
    "A small S4D layer for sequences of 8 channels"
    ssm = pytest.importorskip("phoenix.ssm")
    if not hasattr(ssm, "S4DKernel"):
        pytest.skip("phoenix.ssm has no S4DKernel")
    torch.manual_seed(0)
    return ssm.S4DKernel(d_model=8, d_state=16)
