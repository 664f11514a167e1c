"""phoenix repair in a process of its own: exit codes, the JSON object, --apply, and input that makes no sense."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import ROOT

pytest.importorskip("phoenix.repair.networks")
pytest.importorskip("tyro")
from phoenix.repair.router import find_weights
from phoenix.sandbox import Level, probe

pytestmark = pytest.mark.skipif(
    os.name != "posix" or probe().level < Level.ISOLATED, reason="no sandbox of the highest level on this system"
)
COMMAND = [sys.executable, "-c", "import sys; from phoenix.cli import main; sys.exit(main())", "repair"]
FAULTY = "def area(width, height):\n    return width + height\n"
TESTS = "from area import area\n\n\ndef test_area():\n    assert area(3, 5) == 15\n    assert area(1, 4) == 4\n"


def shell(*args: object, timeout: float = 60) -> tuple[int, str, str]:
    done = subprocess.run([*COMMAND, *map(str, args)], capture_output=True, text=True, timeout=timeout, cwd=ROOT)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def area(tmp_path: Path) -> tuple[Path, Path]:
    (file := tmp_path / "area.py").write_text(FAULTY)
    (tests := tmp_path / "test_area.py").write_text(TESTS)
    return file, tests


def test_verified_as_json_and_applied(area):
    file, tests = area
    file.chmod(0o640)
    code, out, err = shell(file, "--tests", tests, "--json", "--apply", "--budget", 20, "--seed", 1)
    told = json.loads(out)
    assert (code, told["status"], err) == (0, "verified", "")
    assert {"status", "fixed_code", "patch", "confidence", "seconds", "stages"} <= told.keys()
    assert told["fixed_code"] == file.read_text() and "width * height" in told["fixed_code"]
    assert told["patch"].startswith("--- a/area.py\n+++ b/area.py\n@@") and 0 < told["confidence"] <= 1
    assert {"baseline", "search"} <= {stage["stage"] for stage in told["stages"]}
    assert stat.S_IMODE(file.stat().st_mode) == 0o640 and sorted(p.name for p in file.parent.iterdir()) == [
        "area.py",
        "test_area.py",
    ]
    code, out, _ = shell(file, "--tests", tests, "--json")
    assert code == 4 and json.loads(out)["status"] == "passes"


def test_prints_a_diff_changes_nothing_and_loads_torch_for_weights_alone(area):
    file, tests = area
    args = ["repair", str(file), "--tests", str(tests), "--function", "area", "--budget", "20"]
    script = (
        f"import sys; from phoenix.cli import main; code = main({args}); sys.exit(code + 10 * ('torch' in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0 or (find_weights() and done.returncode == 10), done.stderr
    assert "-    return width + height" in done.stdout and "+    return width * height" in done.stdout
    assert "search" in done.stdout and file.read_text() == FAULTY


def test_nothing_found_and_no_time(area):
    file, tests = area
    tests.write_text("from area import area\n\n\ndef test_area():\n    assert area(2, 3) == 'no edit makes this'\n")
    assert shell(file, "--tests", tests, "--budget", 2)[0] == 1
    code, out, _ = shell(file, "--tests", tests, "--budget", 0, "--json")
    assert code == 1 and json.loads(out)["status"] == "not_found" and "budget" in json.loads(out)["message"]


def test_a_proposal_without_tests(tmp_path):
    (file := tmp_path / "mean.py").write_text("def mean(xs):\n    return sum(xs) / len(x)\n")
    code, out, _ = shell(file, "--json", "--apply", "--budget", 10)
    told = json.loads(out)
    assert (code, told["status"], told["applied"]) == (3, "proposed", False)
    assert "len(xs)" in told["fixed_code"] and "len(x)" in file.read_text()


def test_a_file_of_a_package_with_a_conftest(tmp_path):
    (package := tmp_path / "shop").mkdir()
    (package / "__init__.py").touch()
    (package / "rates.py").write_text("RATE = 20\n")
    (package / "tax.py").write_text("from .rates import RATE\n\n\ndef tax(price):\n    return price * RATE / 10\n")
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/conftest.py").write_text("import pytest\n\n\n@pytest.fixture\ndef price():\n    return 50\n")
    (tests := tmp_path / "tests/test_tax.py").write_text(
        "from shop.tax import tax\n\n\ndef test_tax(price):\n    assert tax(price) == 10\n    assert tax(0) == 0\n"
    )
    code, out, err = shell(package / "tax.py", "--tests", tests, "--project", tmp_path, "--budget", 30, "--json")
    assert code == 0, (out, err)
    assert json.loads(out)["patch"].startswith("--- a/shop/tax.py")


WRONG = {
    "no such file": ["none.py"],
    "a folder": ["."],
    "not Python": ["notes.txt"],
    "bytes": ["bytes.py"],
    "no such function": ["area.py", "--function", "volume"],
    "no such tests": ["area.py", "--tests", "none.py"],
    "tests that do not parse": ["area.py", "--tests", "test_broken.py"],
    "tests that need a missing module": ["area.py", "--tests", "test_lacking.py"],
    "a budget below zero": ["area.py", "--budget", "-1"],
    "no such level": ["area.py", "--sandbox-level", "perfect"],
    "no such backend": ["area.py", "--llm", "oracle"],
    "no such environment": ["area.py", "--python", "none"],
    "settings that are none": ["area.py", "--config", "wrong.yaml"],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wrong")
    for name, text in {
        "area.py": FAULTY,
        "notes.txt": "hello",
        "test_broken.py": "def test_(:\n",
        "test_lacking.py": "import no_such_package\n\n\ndef test_it():\n    assert True\n",
        "wrong.yaml": "secnds: 3\n",
    }.items():
        (folder / name).write_text(text)
    (folder / "bytes.py").write_bytes(b"x = '\xff\xfe\x00'\n")
    return folder


def test_wrong_input_is_one_line_and_changes_nothing(folder):
    "In one process, since most of the time is the start of Python"
    script = (
        "import json, os, sys; from phoenix.cli import main; os.chdir(sys.argv[1])\n"
        "for args in json.loads(sys.argv[2]):\n"
        "    code = main(['repair', *args]); print(code, flush=True); print('--', file=sys.stderr, flush=True)\n"
    )
    before = {path: path.read_bytes() for path in folder.iterdir()}
    cases = list(WRONG.values())
    command = [sys.executable, "-c", script, str(folder), json.dumps(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    said = done.stderr.split("--\n")[:-1]
    assert done.stdout.split() == ["2"] * len(cases), (done.stdout, done.stderr)
    assert [what for what, text in zip(WRONG, said, strict=True) if text.count("\n") != 1] == []
    assert all(text.startswith("phoenix: ") for text in said)
    assert before == {path: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may write everywhere")
def test_no_permission_to_write(area):
    file, tests = area
    file.chmod(0o444)
    code, _, err = shell(file, "--tests", tests, "--apply", "--budget", 20)
    assert code == 2 and "ermission" in err and file.read_text() == FAULTY


def test_tests_that_hang_and_an_interrupt(area):
    file, tests = area
    tests.write_text("from area import area\n\n\ndef test_area():\n    while area(1, 2) != 'never':\n        pass\n")
    process = subprocess.Popen(
        [*COMMAND, str(file), "--tests", str(tests), "--budget", "60"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT,
    )  # fmt: skip
    time.sleep(4)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130 and "interrupted" in err and file.read_text() == FAULTY
