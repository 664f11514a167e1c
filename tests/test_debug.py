"""Self-debugging from outside: what is repaired, what is not, and what the log and the errors say."""

import os

import pytest

debug = pytest.importorskip("phoenix.synthesis.debug")
from phoenix.sandbox import Level, Limits, Sandbox, probe  # noqa: E402

pytestmark = pytest.mark.skipif(
    os.name != "posix" or probe().level < Level.ISOLATED, reason="no sandbox of the highest level on this system"
)

BROKEN = {
    "a missing colon": ("def f(x)\n    return x + 1\n", [("f(1)", "2")]),
    "a misspelt name": ("def total(prices):\n    return sum(pirces)\n", [("total([1, 2])", "3")]),
    "a bound off by one": ("def upto(n):\n    return list(range(n))\n", [("upto(2)", "[0, 1, 2]"), ("upto(0)", "[0]")]),
    "a missing import": ("def root(x):\n    return math.sqrt(x)\n", [("root(4)", "2.0")]),
    "a missing return": ("def f(x):\n    y = 2 * x\n", [("f(1)", "2"), ("f(3)", "6")]),
    "a loop without end": (
        "def count(n):\n    i = 0\n    while i < n:\n        i -= 1\n    return i\n",
        [("count(3)", "3"), ("count(0)", "0")],
    ),
    "a hidden builtin": (
        "def f(xs):\n    sorted = []\n    for x in sorted(xs):\n        sorted.append(x)\n    return sorted\n",
        [("f([2, 1])", "[1, 2]")],
    ),
}


@pytest.fixture(scope="module")
def box():
    with Sandbox(workers=2, limits=Limits(cpu_seconds=0.1, wall_seconds=3, output_bytes=10**5)) as box:
        yield box


@pytest.mark.parametrize("what", BROKEN)
def test_is_repaired(box, what):
    code, examples = BROKEN[what]
    done = debug.SelfDebugger(box).debug(code, examples)
    assert (done.status, done.passed, done.total) == ("passes", len(examples), len(examples)), debug.show_log(done)
    assert done.attempts[-1].code == done.code != done.original == code
    assert debug.show_log(done).endswith("executions") and "kept" in debug.show_log(done)


def test_two_bugs_one_of_them_of_syntax(box):
    code = "def f(a, b):\n    if a > b\n        return 'left'\n    return a + b\n"
    examples = [("f(2, 1)", "'left'"), ("f(1, 2)", "-1"), ("f(0, 5)", "-5")]
    done = debug.SelfDebugger(box).debug(code, examples)
    assert done.status == "passes" and [a.after for a in done.attempts] == [1, 3]
    assert done.attempts[0].failure.kind == "syntax" and done.attempts[0].strategies == ("syntax",)


def test_the_same_again(box):
    code, examples = BROKEN["a bound off by one"]
    first, second = (debug.SelfDebugger(box, seed=3).debug(code, examples) for _ in range(2))
    assert first == second and debug.show_log(first) == debug.show_log(second)


def test_what_cannot_be_repaired(box):
    done = debug.SelfDebugger(box, attempts=2, candidates=25).debug("def f(x):\n    return x\n", [("f(1)", "'Eve'")])
    assert (done.status, done.code, len(done.attempts)) == ("failed", done.original, 2)
    assert "failed: 0 of 1" in debug.show_log(done) and sum(a.tried for a in done.attempts) == 50


def test_a_flood_and_a_crash(box):
    flood = "def f(x):\n    while True:\n        print('a' * 1000)\n    return x\n"
    done = debug.SelfDebugger(box, attempts=1, candidates=20).debug(flood, [("f(1)", "1")])
    assert done.attempts[0].failure.kind == "output" and "loops" in done.attempts[0].strategies
    gone = "import os\n\n\ndef f(x):\n    os._exit(3)\n    return x\n"
    done = debug.SelfDebugger(box).debug(gone, [("f(1)", "1")])
    assert done.attempts[0].failure.kind == "other" and done.total == 1


def test_what_passes_is_left_alone(box):
    done = debug.SelfDebugger(box).debug(
        "def f(x):\n    return x\n", [("f(1)", "1")], ["def test_f():\n    assert f(2) == 2\n"]
    )
    assert (done.status, done.attempts, done.executions, done.total) == ("passes", (), 1, 2)


def test_tests_alone(box):
    tests = ["def test_grows():\n    assert f(1) > 1\n", "def test_f():\n    assert f(2) == 4 and f(3) == 6\n"]
    done = debug.SelfDebugger(box).debug("def f(x):\n    return 2 - x\n", tests=tests)
    assert done.status == "passes" and "2 * x" in done.code


@pytest.mark.parametrize(
    "arguments, mentions",
    [((), "examples"), (([("f(", "1")],), "calls"), (([("f(1)", "one")],), "calls"), (((), ["x = 1"]), "tests")],
)
def test_bad_input(box, arguments, mentions):
    with pytest.raises(ValueError, match=mentions):
        debug.SelfDebugger(box).debug("def f(x):\n    return x\n", *arguments)


def test_a_withheld_operator_is_not_used(box):
    code, examples = BROKEN["a bound off by one"]
    used = debug.SelfDebugger(box).debug(code, examples).attempts[-1].change
    done = debug.SelfDebugger(box, withheld=[used]).debug(code, examples)
    assert all(a.change != used for a in done.attempts)
