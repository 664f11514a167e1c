"""The sandbox against hostile candidates, at each level, as root and as a user; and what it does when it is hurt."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import payloads
import pytest

sandbox = pytest.importorskip("phoenix.sandbox")
from phoenix.sandbox import Call, Level, Limits, NotData, Outcome, Raises, Sandbox, SandboxError, probe, run_tests  # noqa: E402

HERE = probe() if os.name == "posix" else None
BEST = HERE.level if HERE else Level.NONE
pytestmark = pytest.mark.skipif(BEST < Level.RLIMITS, reason="no sandbox on this system")
isolated = pytest.mark.skipif(BEST < Level.ISOLATED, reason=f"level ISOLATED is not here: {HERE and HERE.missing}")
SUITES = [(3, "any"), (3, "user"), (2, "any"), (2, "user"), (1, "any")]
FAST = Limits(cpu_seconds=1, wall_seconds=4, memory_bytes=256 * 2**20)
DOUBLE = "def f(x):\n    return 2 * x\n"


# the payloads


@cache
def suite(level: int, who: str) -> dict[str, Any]:
    "What `payloads.py` tells of one level and user"
    command = [sys.executable, payloads.__file__, str(level), who]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, cwd="/")
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout.splitlines()[-1])


def told(level: int, who: str) -> dict[str, Any]:
    if "skip" in (found := suite(level, who)):
        pytest.skip(found["skip"])
    return found


@pytest.mark.parametrize(
    "who, level, name", [(w, n, p.name) for n, w in SUITES for p in payloads.PAYLOADS if n in p.levels]
)
def test_payload(who, level, name):
    results = told(level, who)["results"]
    if name not in results:
        pytest.skip("no numpy")
    right, *what, same_level = results[name]
    assert right, what
    assert same_level


@pytest.mark.parametrize("level, who", SUITES)
def test_nothing_is_left_behind(level, who):
    found = told(level, who)
    assert found["left"] == [] and found["processes"] == []
    if who == "user":
        assert found["uid"] != 0


def test_the_list_is_complete():
    numbers = {int("".join(c for c in p.name.split()[0] if c.isdigit())) for p in payloads.PAYLOADS if p.name[0] != "B"}
    assert numbers == set(range(1, 45)) and sum(p.name[0] == "B" for p in payloads.PAYLOADS) == 6


# function mode


@pytest.fixture(scope="module")
def box():
    with Sandbox(BEST, workers=2, limits=FAST) as box:
        yield box


def test_values_and_expected_exceptions(box):
    source = "def f(x, *, key=None):\n    return [x, key] if key else x[0]"
    inputs = [Call((1,), {"key": "a"}), ([],), ("",), (None,), ({},)]
    expected = [[1, "a"], Raises(LookupError), Raises("IndexError", "string index"), Raises("ValueError"), 1]
    report = box.run_function(source, "f", inputs, expected)
    assert [str(c.outcome) for c in report.calls] == ["passed", "passed", "passed", "failed", "error"]
    last = report.calls[-1]
    assert (last.error, last.line, report.level) == ("KeyError", 2, BEST) and "candidate.py" in last.traceback


@pytest.mark.parametrize(
    "source, name, error",
    [("def f(:", "f", "SyntaxError"), ("x = 1", "f", "AttributeError"), ("f = 3", "f", "TypeError"),
     ("import no_such", "f", "ModuleNotFoundError"), ("1 / 0", "f", "ZeroDivisionError"), ("\0", "f", "SyntaxError")],
)  # fmt: skip
def test_what_cannot_be_loaded_is_an_error(box, source, name, error):
    report = box.run_function(source, name, [(1,), (2,)], [1, 2])
    assert {(c.outcome, c.error) for c in report.calls} <= {(Outcome.ERROR, error), (Outcome.ERROR, "ValueError")}
    assert len(report.calls) == 2


def test_two_threads_may_close_at_once():
    for _ in range(5):
        with Sandbox(BEST, workers=1, limits=FAST) as box:
            (worker,) = box._all
            with ThreadPoolExecutor(4) as threads:
                assert [*threads.map(lambda _, worker=worker: worker.kill(), range(4))] == [None] * 4


def test_a_reply_is_read_though_its_process_is_gone(box, monkeypatch):
    send = sandbox.server.Channel.send

    def late(self, message, *handle):
        if isinstance(message, tuple):  # a call
            time.sleep(0.5)
        send(self, message, *handle)

    monkeypatch.setattr(sandbox.server.Channel, "send", late)
    report = box.run_function("import no_such", "f", [(1,), (2,)], [1, 2])
    assert [(c.outcome, c.error) for c in report.calls] == [(Outcome.ERROR, "ModuleNotFoundError")] * 2


@pytest.mark.parametrize(
    "arguments, error, words",
    [
        ({"inputs": [(object(),)]}, NotData, r"inputs\[0\]\[0\].*object"),
        ({"inputs": [1]}, TypeError, "tuple of arguments"),
        ({"inputs": [(1,)], "expected": []}, ValueError, "expected 1 values"),
        ({"path": "../x.py"}, ValueError, "relative path"),
        ({"inputs": [(1,)], "expected": [object()]}, NotData, r"expected\[0\]"),
    ],
)
def test_bad_input_is_named(box, arguments, error, words):
    with pytest.raises(error, match=words):
        box.run_function(**({"source": DOUBLE, "name": "f", "inputs": [(1,)]} | arguments))


def test_bad_settings_are_named(tmp_path):
    cases = [({"workers": 0}, "workers"), ({"python": tmp_path / "x"}, "python"), ({"level": 0}, "level")]
    more = [({"project": tmp_path / "y"}, "project"), ({"level": 2, "limits": Limits(processes=2)}, "ISOLATED")]
    for arguments, words in cases + more:
        with pytest.raises(ValueError, match=words):
            Sandbox(**arguments)


def test_lines_items_fresh_and_tolerance(box):
    source = "n = 0\ndef f(x):\n    global n\n    n += 1\n    if x:\n        return n + 1e-12\n"
    source += "    return (i for i in range(9))"
    report = box.run_function(
        source, "f", [(1,), (1,), (0,)], [1.0, 1.0, [0, 1]], 1e-9, fresh=True, trace=True, items=2
    )
    assert report.outcome == Outcome.PASSED and report.calls[0].lines == (4, 5, 6) and report.calls[2].lines[-1] == 7
    assert box.run_function(source, "f", [(1,)] * 2, [1.0] * 2, 1e-9).passed == 1
    assert box.run_function(DOUBLE, "f", [(1,)]).calls[0].value == 2


def test_a_project_is_read_and_not_written(tmp_path):
    package = tmp_path / "pkg"
    package.mkdir()
    (package / "__init__.py").write_text("from .a import f")
    (package / "a.py").write_text("from .b import N\ndef f(): return 0")
    (package / "b.py").write_text("N = 7")
    tmp_path.chmod(0o755)
    source = "import pkg\nfrom pathlib import Path\nfrom .b import N\ndef f():\n"
    source += "    try: Path(pkg.b.__file__).write_text('N = 8')\n    except OSError: return N"
    with Sandbox(BEST, workers=1, project=tmp_path, limits=FAST) as box:
        report = box.run_function(source, "f", [()], [7 if BEST > Level.RLIMITS else None], path="pkg/a.py")
    assert BEST == Level.RLIMITS or (report.outcome == Outcome.PASSED and (package / "b.py").read_text() == "N = 7")


def test_an_environment_brings_its_packages():
    pytest.importorskip("numpy")
    source = "import numpy as np\ndef f(a): return a * np.float32(2)"
    import numpy as np

    a = np.arange(4, dtype="f4").reshape(2, 2)
    with Sandbox(BEST, workers=1, python=sys.executable, preload=["numpy"], limits=FAST) as box:
        report = box.run_function(source, "f", [(a,), (a,)], [a * 2, a.astype("f8") * 2])
    assert [str(c.outcome) for c in report.calls] == ["passed", "failed"]


@isolated
def test_processes_can_be_granted_and_none_survives():
    source = """
import os, subprocess, sys, time
def f(kind):
    if kind == "run":
        return subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
    if kind == "daemon":
        if os.fork() == 0:
            os.setsid()
            time.sleep(600)
        return 1
    while True:
        try: os.fork()
        except OSError: pass
"""
    with Sandbox(workers=1, limits=Limits(cpu_seconds=1, wall_seconds=2, processes=8)) as box:
        cases = (("run", "42\n"), ("daemon", 1), ("bomb", 1))
        outcomes = [box.run_function(source, "f", [(kind,)], [value]).outcome for kind, value in cases]
        assert outcomes == [Outcome.PASSED, Outcome.PASSED, Outcome.TIMEOUT]
        (worker,) = box._all
        below = below_of(worker.process.pid)
        assert len(below) == 1  # the server itself, in its namespaces
    assert gone(below)


# when it is hurt


def below_of(pid: int) -> list[int]:
    "The processes below `pid`"
    found, todo = [], [pid]
    while todo:
        p = todo.pop()
        children = [int(c) for line in payloads.read(f"/proc/{p}/task/{p}/children") for c in line.split()]
        found += children
        todo += children
    return found


def gone(pids: list[int], seconds: float = 5) -> bool:
    "Whether these processes end (zombies have ended)"
    alive = lambda p: any(line.startswith("State") and "Z" not in line for line in payloads.read(f"/proc/{p}/status"))
    end = time.monotonic() + seconds
    while any(map(alive, pids)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(alive, pids))


def test_a_dead_server_is_replaced_once():
    with Sandbox(BEST, workers=1, limits=FAST) as box:
        for _ in range(2):
            (worker,) = box._all
            worker.process.kill()
            assert box.run_function(DOUBLE, "f", [(1,)], [2]).outcome == Outcome.PASSED
        run, calls = type(worker).run, []

        def dies(self, *arguments):
            calls.append(self)
            chain = [self.process.pid, *below_of(self.process.pid)]
            self.process.kill()
            assert gone(chain)  # or it might still answer
            return run(self, *arguments)

        type(worker).run = dies
        try:
            with pytest.raises(SandboxError, match="died twice"):
                box.run_function(DOUBLE, "f", [(1,)], [2])
        finally:
            type(worker).run = run
        assert len(calls) == 2 and box.run_function(DOUBLE, "f", [(1,)], [2]).passed == 1
    with pytest.raises(SandboxError, match="closed"):
        box.run_function(DOUBLE, "f", [(1,)])


SLEEPER = f"""
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # what starts the tests may ignore it
sys.path.insert(0, {str(payloads.ROOT)!r})
from phoenix.sandbox import *
box = Sandbox(Level({int(BEST)}), workers=2, limits=Limits(cpu_seconds=60, wall_seconds=60))
print("ready", flush=True)
list(box.run_many([dict(source="def f():\\n while True: pass", name="f", inputs=[()])] * 9))
"""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_the_end_of_the_parent_is_the_end_of_all(how):
    command = [sys.executable, "-c", SLEEPER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd="/") as parent:
        assert parent.stdout.readline() == "ready\n"
        time.sleep(0.3)
        below = below_of(parent.pid)
        assert len(below) >= 4 or BEST < Level.ISOLATED
        parent.send_signal(how)
        assert parent.wait(10) != 0
    assert gone(below)


REFUSING = f"""
import sys
sys.path.insert(0, {str(payloads.ROOT)!r})
from phoenix.sandbox import syscalls as s
code = [(0x20, 0, 0, 0)]
for name in sys.argv[1].split():
    code += [(0x15, 0, 1, s.SYSCALLS[name][s.MACHINE]), (0x06, 0, 0, s.ERRNO + 1)]
code += [(0x06, 0, 0, s.ALLOW)]
container = s.Filter()
container._code, container._own = (s._Instruction * len(code))(*code), []
container._program = s._Program(len(code), container._code)
container.install()
from phoenix.sandbox import *
print(probe().level.name)
for level in (3, 2, 1):
    try:
        with Sandbox(Level(level), workers=1) as box:
            print(box.run_function("def f(): return 1", "f", [()], [1]).level.name)
    except SandboxRefused as e:
        print("refused", str(e).split(":")[0])
"""


@pytest.mark.skipif(BEST < Level.FILTERED, reason="no filter here to play a poorer machine with")
@pytest.mark.parametrize(
    "denied, level, words",
    [
        ("unshare", "FILTERED", "refused FILTERED RLIMITS"),
        ("unshare landlock_create_ruleset", "RLIMITS", "refused refused RLIMITS"),
    ],
)
def test_a_level_that_is_not_there_is_refused(denied, level, words):
    done = subprocess.run([sys.executable, "-c", REFUSING, denied], capture_output=True, text=True, timeout=60, cwd="/")
    lines = done.stdout.split("\n")
    assert lines[0] == level, done.stderr
    assert [line.split()[0] for line in lines[1:4]] == words.split()


def test_many_candidates_leave_no_trace():
    source = "import os\ndef f(x):\n    open('t', 'w').close()\n    return 2 * x\n"
    jobs = lambda n: ({"source": source, "name": "f", "inputs": [(i,)], "expected": [2 * i]} for i in range(n))
    with Sandbox(BEST, workers=2, limits=FAST) as box:
        assert all(r.outcome == Outcome.PASSED for r in box.run_many(jobs(40)))
        servers = [pid for worker in box._all for pid in (worker.process.pid, *below_of(worker.process.pid))]
        before = usage(servers)
        assert all(r.outcome == Outcome.PASSED for r in box.run_many(jobs(400)))
        after = usage(servers)
    assert after["handles"] == before["handles"] and after["processes"] == before["processes"]
    assert after["kib"] < 1.05 * before["kib"] + 1000
    assert gone(servers)


def usage(pids: list[int]) -> dict[str, int]:
    "Descriptors of this process and of the servers, memory of the servers, processes below this one"
    handles = sum(len(payloads.names(f"/proc/{p}/fd")) for p in (os.getpid(), *pids))
    rows = [line for p in pids for line in payloads.read(f"/proc/{p}/status") if line.startswith("VmRSS")]
    kib = sum(int(row.split()[1]) for row in rows)
    return {"handles": handles, "kib": kib, "processes": len(below_of(os.getpid()))}


def test_import_is_light():
    heavy = "torch numpy matplotlib asyncio multiprocessing"
    code = f"import sys; from phoenix import sandbox; print([m for m in {heavy.split()} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=payloads.ROOT)
    assert done.stdout.strip() == "[]", done.stderr


# test mode


@pytest.fixture(scope="module")
def tester():
    with Sandbox(BEST, workers=1, limits=FAST, python=sys.executable) as box:
        yield box


@pytest.mark.parametrize("together", ["never", "always"])
@pytest.mark.parametrize("name", payloads.TEST_CHEATS)
def test_no_cheat_passes(tester, name, together):
    report = run_tests(tester, {"lab.py": payloads.TEST_CHEATS[name]}, payloads.TESTS, together)
    assert report.outcome in (Outcome.FAILED, Outcome.FORGED, Outcome.ERROR, Outcome.REFUSED), report
    assert report.passed == 0 and (together == "never" or not any(t.trusted for t in report.tests))
    if name.startswith("37"):
        assert run_tests(tester, {"lab.py": payloads.TEST_CHEATS[name]}, payloads.TESTS).outcome == Outcome.FORGED


def test_each_test_has_its_outcome_values_and_lines(tester):
    source = DOUBLE + "def g(x):\n    if x:\n        return 1\n    return 2\n"
    source += "def hang():\n    while True: pass\nclass C:\n    n = 1\n"
    tests = """
import pytest, lab
from lab import f, g

@pytest.mark.parametrize("x", [1, 2])
def test_f(x):
    assert f(x) == 2

def test_g(): assert g(0) == 2
def test_hang(): lab.hang()
def test_more(two): assert f(two) == 4
def test_c(): assert lab.C().n == 1
def test_patch(monkeypatch):
    monkeypatch.setattr(lab, "f", lambda x: 0)
    assert lab.f(1) == 0
@pytest.mark.skip
def test_skipped(): pass
"""
    fixture = "import pytest\n@pytest.fixture\ndef two(): return 2\n"
    report = run_tests(tester, {"lab.py": source}, {"test_lab.py": tests, "conftest.py": fixture})
    found = {t.name.partition("::")[2]: t for t in report.tests}
    outcomes = {name: str(t.outcome) for name, t in found.items()}
    assert outcomes == {
        "test_f[1]": "passed", "test_f[2]": "failed", "test_g": "passed", "test_hang": "timeout", "test_more": "passed",
        "test_c": "passed", "test_patch": "passed", "test_skipped": "refused",
    }  # fmt: skip
    wrong = found["test_f[2]"]
    assert wrong.values == ("==", 4, 2) and wrong.line == 7 and wrong.lines == {"lab.py": (2,)} and wrong.asserts == 0
    assert found["test_g"].lines == {"lab.py": (4, 6)} and found["test_g"].asserts == 1
    assert {name for name, t in found.items() if not t.trusted} == {"test_c", "test_patch"}
    assert report.level == BEST and report.passed == 5 and not report.trusted


@pytest.mark.parametrize(
    "files, tests, outcome, words",
    [({}, "def test_a(:", "error", "SyntaxError"), ({}, "import no_such\ndef test_a(): pass", "error", "no_such"),
     ({}, "from lab import missing\ndef test_a(): pass", "error", "missing"), ({}, "x = 1", "error", "no tests"),
     ({"lab.py": "def f(:"}, "import lab\ndef test_a(): pass", "error", "SyntaxError"),
     ({"lab.py": "while True: pass"}, "import lab\ndef test_a(): pass", "timeout", "processor time")],
)  # fmt: skip
def test_what_does_not_collect_is_told(tester, files, tests, outcome, words):
    report = run_tests(tester, {"lab.py": DOUBLE} | files, {"test_x.py": tests})
    assert report.outcome == outcome and words in report.message and report.passed == 0


def test_arrays_go_there_and_back(tester):
    pytest.importorskip("numpy")
    source = "def f(a): return a * 2\ndef g(a): a[0] = 7\n"
    tests = """
import numpy as np
from lab import f, g
def test_f():
    assert f(np.float32(2)) == 4 and f(np.arange(3)).tolist() == [0, 2, 4]
def test_g():
    a = np.zeros(2)
    g(a)
    assert a.tolist() == [7, 0]
"""
    report = run_tests(tester, {"lab.py": source}, {"test_lab.py": tests}, "never")
    assert report.passed == 2 and report.trusted, report


def test_a_test_that_hangs_does_not_take_the_others_with_it(tester):
    tests = {"test_x.py": "import lab\ndef test_a():\n    while True: pass\ndef test_b(): assert lab.f(1) == 2"}
    report = run_tests(tester, {"lab.py": DOUBLE}, tests, limits=Limits(cpu_seconds=0.3, wall_seconds=1))
    assert [str(t.outcome) for t in report.tests] == ["timeout", "passed"]


def test_bad_input_of_test_mode_is_named(tester, box):
    cases = [(({"a.txt": ""}, {"t.py": ""}), "a.txt"), (({}, {"../t.py": ""}), "relative"), (({}, {}), "at least one")]
    for arguments, words in [*cases, (({}, {"t.py": ""}, "perhaps"), "together")]:
        with pytest.raises(ValueError, match=words):
            run_tests(tester, *arguments)
    with pytest.raises(SandboxError, match="pytest"), Sandbox(BEST, workers=1) as bare:
        run_tests(bare, {"lab.py": DOUBLE}, payloads.TESTS)
