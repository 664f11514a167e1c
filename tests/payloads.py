"""Candidates for the sandbox, hostile ones of 44 kinds and 6 benign ones, each with the verdict that a level promises.

python tests/payloads.py LEVEL user|root|any   runs them and prints what became of each, and what is left behind, as JSON
"""

# ruff: noqa: E501  # one candidate stands on few lines, however long

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
ALL, ISOLATED = (1, 2, 3), (3,)  # levels: 1 limits, 2 and filter, 3 and namespaces
CANARY = "canary-4f1c"
CANARY_FILE = Path(f"/tmp/phoenix-canary-{os.getpid()}")  # of the user who runs the payloads


@dataclass(frozen=True)
class Payload:
    "One candidate: its function is `f`"

    name: str  # number in the list of the project's threat model, and what it does
    source: str
    verdict: str  # outcomes that are right, by name; `error:Class` for a class of exception
    levels: tuple[int, ...] = (2, 3)  # the levels that promise it
    inputs: tuple = ((),)
    expected: Any = (None,)
    options: dict = field(default_factory=dict)
    numpy: bool = False  # needs an interpreter with numpy
    lower: str = ""  # the verdict below Level.ISOLATED, where it is another


def tries(*attempts: str, head: str = "import os, sys, ctypes") -> str:
    "A function that returns the names of the attempts that succeeded"
    cases = "\n".join(f"    lambda: {attempt}," for attempt in attempts)
    return (
        f"{head}\nTRIES = [\n{cases}\n]\n"
        + """
def f():
    done = []
    for i, attempt in enumerate(TRIES):
        try:
            if attempt() not in (False, -1, None):
                done.append(i)
        except Exception:
            pass
    return done
"""
    )


LOOP = "import sys, os, signal, time\n"
LIBC = "import os, sys, ctypes\nlibc = ctypes.CDLL(None)\n"
CODE = """import ctypes, mmap
def run(code):
    "Machine code, as a function"
    memory = mmap.mmap(-1, 4096, prot=7)
    memory.write(code)
    return ctypes.CFUNCTYPE(ctypes.c_long)(ctypes.addressof(ctypes.c_char.from_buffer(memory)))()
"""
RAW = "import os, struct\ndef f():\n d={}\n d=struct.pack('=I', len(d)) + d\n while d: d=d[os.write(3, d):]\n os._exit(0)\n"
RESOURCES = [
    Payload("1 endless loop", "def f():\n while True: pass", "timeout", ALL),
    Payload("2 endless loop that catches all",
            "def f():\n while True:\n  try:\n   while True: pass\n  except BaseException: pass", "timeout", ALL),
    Payload("3a loop in C", "def f(): return sum(range(10**12))", "timeout", ALL),
    Payload("3b regular expression", "import re\ndef f(): return re.match('(a+)+$', 'a'*40+'b')", "timeout", ALL),
    Payload("3c large power", "def f(): return len(str(7**7**9 % 10**9))", "timeout memory", ALL),
    Payload("4 list that grows", "def f():\n x=[]\n while True: x.append(bytes(2**20))", "memory", ALL),
    Payload("5 one large object", "def f(): return bytes(2**40)", "memory", ALL),
    Payload("6a recursion in C", "import sys\ndef f():\n sys.setrecursionlimit(10**8)\n x=[]\n"
            " for _ in range(3*10**5): x=[x]\n return repr(x)", "killed error memory timeout", ALL),
    Payload("6b recursion", "def f(): return f()", "error:RecursionError", ALL),
    Payload("7 fork bomb", "import os\ndef f():\n while True: os.fork()", "error:PermissionError", ALL,
            lower="error timeout killed forged"),
    Payload("8 thread bomb", "import threading, time\ndef f():\n"
            " while True: threading.Thread(target=time.sleep, args=(99,)).start()", "error memory", ALL),
    Payload("9 descriptors", "import os\ndef f():\n x=[]\n while True: x.append(open(os.devnull))", "error:OSError", ALL),
    Payload("10 output", "def f():\n while True: print('x'*10**5)", "killed", ALL),
    Payload("11 output without end of line", "import sys\ndef f():\n while True: sys.stderr.write('x'*999)", "killed", ALL),
    Payload("12a large file", "def f():\n with open('x','wb') as o:\n  while True: o.write(bytes(2**20))", "error:OSError", ALL),
    Payload("12b many large files", "def f():\n for i in range(10**6):\n  with open(f'x{i}','wb') as o: o.write(bytes(2**20))",
            "error:OSError", ISOLATED),
    Payload("13 sparse file", "def f():\n with open('x','wb') as o: o.truncate(2**40)", "error:OSError", ALL),
    Payload("14 many files", "def f():\n for i in range(10**6): open(f'x{i}','w').close()", "error:OSError", ISOLATED),
    Payload("15a large result", "def f(): return '0'*10**7", "failed", ALL),
    Payload("15b result that unfolds", "def f():\n x=[0]\n for _ in range(40): x=[x]*10\n return x", "failed timeout memory", ALL),
    Payload("16 large repr", "class A:\n def __repr__(self): return 'x'*10**10\n __str__=__repr__\ndef f(): return A()", "failed", ALL),
    Payload("16b large message", "class A(Exception):\n def __str__(self): return 'x'*10**10\ndef f(): raise A", "error memory", ALL),
    Payload("17 sleep", "import time\ndef f(): time.sleep(10**6)", "timeout", ALL),
    Payload("18 ignores signals", LOOP + "def f():\n for s in (signal.SIGTERM, signal.SIGALRM, signal.SIGXCPU, signal.SIGINT):\n"
            "  signal.signal(s, signal.SIG_IGN)\n while True: pass", "timeout", ALL),
    Payload("19 daemon", LOOP + "def f():\n if os.fork() == 0:\n  os.setsid()\n  if os.fork() == 0:\n   time.sleep(600)\n  os._exit(0)\n"
            " return None", "error:PermissionError", ALL, lower="passed error:PermissionError"),
    Payload("20a stops itself", LOOP + "def f(): os.kill(os.getpid(), signal.SIGSTOP)", "passed timeout", ALL),
    Payload("20b stops the server", LOOP + "def f(): os.kill(os.getppid(), signal.SIGSTOP)",
            "passed timeout error:PermissionError", (2, 3)),
]  # fmt: skip
BLOCKED: dict[str, Any] = {"verdict": "passed", "expected": ([],)}
ESCAPES = [
    Payload("21 files and environment of the user",
            tries("open('/etc/passwd').read()", "open('/etc/hostname').read()", "os.environ['PHOENIX_CANARY']",
                  "open('/root/.bashrc').read()", "os.listdir('/home') or False"), **BLOCKED),
    Payload("22 the parent through /proc",
            "import os\ndef f():\n done=[]\n for pid in {os.getppid(), *map(int, filter(str.isdigit, safe(os.listdir, '/proc')))}:\n"
            "  for name in ('mem','environ','maps'):\n   if pid != os.getpid() and safe(read, f'/proc/{pid}/{name}'): done.append(name)\n"
            "  if safe(os.readlink, f'/proc/{pid}/cwd'): done.append('cwd')\n return sorted(set(done))\n"
            "def read(p):\n with open(p,'rb') as o: return o.read(1)\n"
            "def safe(g, *a):\n try: return g(*a)\n except OSError: return ''", **BLOCKED),
    Payload("23 links to the outside", tries("os.symlink('/etc/passwd','a') or open('a').read()",
            "os.link('/etc/passwd','b') or open('b').read()", "os.symlink('/','c') or os.listdir('c/var')"), **BLOCKED),
    Payload("24 writes into the packages",
            tries("[open(os.path.join(p, n), 'w') for p in sys.path for n in ('sitecustomize.py', 'x.pth')]",
                  "open(os.path.join(sys.prefix, 'x'), 'w')", "open(os.__file__, 'a')", "os.chmod(os.__file__, 0o777) or os.stat(os.__file__).st_mode & 0o777 == 0o777",
                  "os.rename(os.__file__, os.__file__ + 'x') or True", "os.remove(os.__file__) or True"), **BLOCKED),
    Payload("24b modes and times of the user's files",
            tries("os.chmod(FILE, 0o777) or os.stat(FILE).st_mode & 0o777 == 0o777", "os.utime(FILE, (1, 1)) or os.stat(FILE).st_mtime == 1",
                  "os.truncate(FILE, 0) or True", "open(FILE).read()", head="import os\nFILE = 'CANARY_FILE'"), **BLOCKED),
    Payload("25 poisoned bytecode", tries("open(json.__cached__, 'wb')", "os.listdir('.') or False",
            "open('marker', 'w') and False", head="import os, json"),
            "passed", (1, 2, 3), ((), ()), ([], []), {"fresh": True}, lower="passed failed"),
    Payload("26 the C library", LIBC + "def f(): return [libc.system(b'true') in (0,), libc.syscall(41, 2, 1, 0) >= 0,"
            " libc.syscall(198, 2, 1, 0) >= 0]", "passed", expected=([False] * 3,)),
    Payload("27 other programs", tries("os.posix_spawn('/bin/true', ['true'], {})", "__import__('subprocess').run(['true'])",
            "__import__('pty').fork()", "os.system('true') == 0", "os.execv('/bin/true', ['true'])", "os.vfork()"), **BLOCKED),
    Payload("28 sockets", tries("s.socket()", "s.socket(s.AF_INET, s.SOCK_DGRAM)", "s.socket(s.AF_INET6)", "s.socket(s.AF_UNIX)",
            "s.create_connection(('127.0.0.1', 22), 1)", "s.gethostbyname('example.org')", head="import socket as s"), **BLOCKED),
    Payload("29 netlink and raw sockets", tries("s.socket(16, s.SOCK_RAW, 0)", "s.socket(s.AF_INET, s.SOCK_RAW, 1)",
            "s.socket(17, s.SOCK_RAW)", "s.socketpair(s.AF_INET)", head="import socket as s"), **BLOCKED),
    Payload("30 namespaces, mounts, tracing", tries("libc.unshare(1<<28)", "libc.unshare(1<<17)", "libc.mount(b't',b'/tmp',b'tmpfs',0,None)",
            "libc.ptrace(16, os.getppid(), 0, 0)", "libc.setns(0, 0)", "libc.chroot(b'.')", "libc.umount2(b'/sandbox/work', 2)", head=LIBC),
            **BLOCKED),
    Payload("31 signals to others", "import os\ndef f():\n found=[]\n for p in [-1, os.getppid(), *range(2, 3000)]:\n  try:\n"
            "   if p > 0 and p != os.getpid(): os.kill(p, 0); found.append(p)\n   elif p == -1 and os.getpid() != 1: os.kill(p, 0); found.append(p)\n"
            "  except OSError: pass\n return found", **BLOCKED),
    Payload("32 shared memory and message queues", tries("libc.shmget(0, 4096, 0o1600)", "libc.msgget(0, 0o1600)", "libc.semget(0, 1, 0o1600)",
            "libc.syscall(240, b'q', 0o102, 0o600, 0)", "open('/dev/shm/phoenix-canary', 'w') and os.path.samefile('/dev/shm', '.') is False",
            head=LIBC), **BLOCKED),
    Payload("33 writes into every descriptor", "import os\ndef f():\n for h in range(3, 1024):\n  try: os.write(h, b'passed!!')\n"
            "  except OSError: pass", "forged", ALL),
    Payload("34 io_uring", tries("libc.syscall(425, 8, ctypes.create_string_buffer(120))", "libc.syscall(321, 0, 0, 0)",
            "libc.syscall(323, 0)", head=LIBC), **BLOCKED),
    Payload("26b the 32-bit entry", CODE + "def f(): return run(b'\\xb8\\x14\\x00\\x00\\x00\\xcd\\x80\\xc3')", "killed"),
    Payload("26c the x32 numbers", LIBC + "def f(): return libc.syscall(0x40000000 + 39)", "killed"),
    Payload("27b a program in memory", tries("libc.syscall(319, b'a', 0)", "libc.syscall(322, 0, b'/usr/bin/true', 0, 0, 4096)",
            "libc.syscall(435, ctypes.create_string_buffer(88), 88)", head=LIBC), **BLOCKED),
    Payload("28b a datagram to a service", "import socket as s\ndef f():\n try: a, b = s.socketpair(s.AF_UNIX, s.SOCK_DGRAM)\n"
            " except OSError: return []\n return ['socket']", **BLOCKED),
    Payload("30b descriptors and memory of others", tries("libc.syscall(434, os.getppid() or 1, 0)", "libc.syscall(438, 3, 0, 0)",
            "libc.syscall(310, 1, 0, 0, 0, 0, 0)", "libc.syscall(317, 1, 1, 0)", "libc.prctl(22, 2, 0, 0, 0)", "libc.prctl(1, 0, 0, 0, 0)",
            "libc.prctl(4, 1, 0, 0, 0)", "libc.syscall(248, b'user', b'a', b'b', 1, -4)", head=LIBC), **BLOCKED),
    Payload("31b signals through a descriptor", tries("fcntl.fcntl(3, fcntl.F_SETOWN, os.getppid()) or True", "fcntl.fcntl(3, 10, 9) or True",
            "fcntl.fcntl(3, 1024, 0) or True", "fcntl.fcntl(3, 1026, 0) or True", head="import os, fcntl"), **BLOCKED),
    Payload("33b hands descriptors over", "import os, socket, struct, array\ndef f():\n s=socket.socket(fileno=os.dup(3))\n"
            " d=b'[\"return\",[\"l\"],null,[]]'\n h=array.array('i', [os.open('/dev/null', 0)]*4)\n"
            " try: s.sendmsg([struct.pack('=I', len(d)) + d], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, h)])\n except OSError: pass\n"
            " return []", "passed", ALL, ((),) * 3, ([],) * 3),
    Payload("33c lies about the length", "import os, struct\ndef f(): os.write(3, struct.pack('=I', 2**32-1)); return None", "forged", ALL),
    Payload("33d half a message", "import os, struct, time\ndef f():\n os.write(3, struct.pack('=I', 99) + b'[')\n time.sleep(99)", "timeout", ALL),
    Payload("33e a tree that is too deep", RAW.format("b'[\"return\",' + b'[\"t\",'*400 + b'1' + b']'*400 + b',null,[]]'"), "forged", ALL),
    Payload("33f an array of negative size",
            RAW.format("b'[\"return\",[\"a\",\"<f8\",[-1,-1],\"0000000000000000\"],null,[]]'"), "forged", ALL),
    Payload("33g one hash", RAW.format("b'[\"return\",[\"s\"' + b''.join(b',[\"i\",\"%x\"]' % (i*(2**61-1)) for i in range(1, 20000))"
            " + b'],null,[]]'"), "forged", ALL),
    Payload("33h a text to search in for hours", RAW.format("b'[\"raise\",[\"builtins.ValueError\"],\"' + b'a'*10**6 + b'\",1,\"\",[]]'"),
            "forged", ALL),
    Payload("17b the first thread goes, another stays", "import threading, ctypes\ndef g():\n while True: pass\n"
            "def f():\n threading.Thread(target=g).start()\n ctypes.CDLL(None).syscall(60, 0)", "timeout", (2, 3)),
]  # fmt: skip
THREE = ((1,), (2,), (3,))
CHEATS = [
    Payload("35a sys.exit", "import sys\ndef f(x): sys.exit(0)", "error:SystemExit", ALL, THREE, (2, 4, 6)),
    Payload("35b os._exit", "import os\ndef f(x): os._exit(0)", "forged", ALL, THREE, (2, 4, 6)),
    Payload("35c os._exit at import", "import os\nos._exit(0)", "forged", ALL, THREE, (2, 4, 6)),
    Payload("36 success at exit", "import atexit\natexit.register(print, 'passed')\nclass A:\n def __del__(s): print('passed')\n"
            "a=A()\ndef f(x): return 0", "failed", ALL, THREE, (2, 4, 6)),
    Payload("37a equal to everything", "class A:\n def __eq__(s,o): return True\n __hash__=None\n __class__=int\ndef f(x): return A()",
            "failed", ALL, THREE, (2, 4, 6)),
    Payload("37b subclasses", "class I(int):\n def __eq__(s,o): return True\n __hash__=int.__hash__\nclass S(str): pass\n"
            "def f(x): return [I(2), S('a'), True][x-1]", "failed", ALL, THREE, (2, "a", 1)),
    Payload("38 patches the judge", "import unittest, sys\nunittest.TestCase.assertEqual = lambda *a: None\n"
            "for m in list(sys.modules.values()):\n for n in ('same','judge','call','_reply'):\n  if hasattr(m, n): setattr(m, n, lambda *a, **k: True)\n"
            "def f(x): return 0", "failed forged", ALL, THREE, (2, 4, 6)),
    Payload("39 writes configuration", "for n in ('conftest.py','pytest.ini','usercustomize.py'):\n"
            " with open(n,'w') as o: o.write('import os; os._exit(0)')\ndef f(x): return 0", "failed", ALL, THREE, (2, 4, 6)),
    Payload("40 patches builtins", "import builtins\nfor n in ('len','sorted','isinstance','type','AssertionError'):\n"
            " setattr(builtins, n, lambda *a, **k: True)\ndef f(x): return 0", "failed error forged", ALL, THREE, (2, 4, 6)),
    Payload("41a changes the library", "import math, string\nmath.sqrt = lambda x: 0\nstring.digits = ''\ndef f(): return math.sqrt(4)",
            "failed", ALL, ((),), (2.0,)),
    Payload("41b and the next sees nothing of it", "import math, string\ndef f(): return [math.sqrt(4), string.digits]", "passed", ALL,
            ((),), ([2.0, "0123456789"],)),
    Payload("42 looks for the expected value", "import sys, gc\ndef f(x):\n found=[]\n frame=sys._getframe()\n while frame:\n"
            "  found += list(frame.f_locals.values()) + list(frame.f_globals.values())\n  frame=frame.f_back\n found += gc.get_objects()\n"
            " text=[o for o in found if type(o) is str and o.startswith('can'+'ary-4')]\n return text[0] if text else ''",
            "failed", ALL, ((0,),), (CANARY,)),
    Payload("43a right the first time", "n=0\ndef f(x):\n global n\n n+=1\n return 2*x if n==1 else 0", "failed", ALL, THREE, (2, 4, 6)),
    Payload("43b empties its argument", "def f(x):\n x.clear()\n return x", "failed", ALL, (([3, 1],),), ([1, 3],)),
    Payload("44a knows the examples", "def f(x): return {1: 2, 2: 4}[x]", "error:KeyError", ALL, THREE, (2, 4, 6)),
    Payload("44b behaves under test", "import sys, os\ndef f(x): return 2*x if 'pytest' in sys.argv[0] or 'PYTEST_CURRENT_TEST' in os.environ"
            " or os.getcwd() == '/work' else 0", "failed", ALL, THREE, (2, 4, 6)),
]  # fmt: skip
BENIGN = [
    Payload("B1 numpy", "import numpy as np\ndef f(n):\n a=np.arange(n*n, dtype=float).reshape(n,n)\n return float((a @ a.T).trace())",
            "passed", ALL, ((100,),), (float(sum(i * i for i in range(10000))),), numpy=True),
    Payload("B2 threads", "from concurrent.futures import ThreadPoolExecutor\ndef f(n):\n with ThreadPoolExecutor(8) as p:\n"
            "  return sum(p.map(lambda i: i*i, range(n)))", "passed", ALL, ((100,),), (328350,)),
    Payload("B3 recursion", "import sys\ndef f(n):\n sys.setrecursionlimit(20000)\n return 0 if n == 0 else 1 + f(n-1)", "passed", ALL,
            ((9000,),), (9000,)),
    Payload("B4 temporary files", "import tempfile, os, shutil\ndef f(text):\n with tempfile.TemporaryDirectory() as d:\n  p=os.path.join(d,'a')\n"
            "  with open(p,'w') as o: o.write(text)\n  shutil.copy(p, p+'b')\n  return open(p+'b').read()", "passed", ALL, (("é",),), ("é",)),
    Payload("B5 generators", "def f(n):\n a, b = 0, 1\n for _ in range(n):\n  yield a\n  a, b = b, a+b", "passed", ALL, ((6,),),
            ([0, 1, 1, 2, 3, 5],), {"items": 100}),
    Payload("B6 text of all the world", "def f(x):\n print('Grüße 世界 🐦')\n return {x: '\\ud800'}", "passed", ALL, (("é🐦",),),
            ({"é🐦": "\ud800"},)),
]  # fmt: skip
PAYLOADS = [*RESOURCES, *ESCAPES, *CHEATS, *BENIGN]


# test mode: the function is wrong, and tries to be called right

WRONG = "def f(x):\n    return 5\n"
TESTS = {
    "test_lab.py": "import pytest, unittest\nfrom lab import f\n\n@pytest.mark.parametrize('x', [1, 2])\ndef test_f(x):\n    assert f(x) == 2 * x\n"
    "    assert f(-x) == -2 * x\n\nclass TestMore(unittest.TestCase):\n    def test_more(self):\n        self.assertEqual(f(3), 6)\n"
}
TEST_CHEATS = {
    "35a exits in the call": "import sys\ndef f(x): sys.exit(0)",
    "35b ends the process": "import os\ndef f(x): os._exit(0)",
    "35c ends the process at import": "import os\nos._exit(0)",
    "36 prints success": WRONG + "import atexit\natexit.register(print, '3 passed in 0.01s')\nprint('3 passed')",
    "37 equal to everything": "class A:\n def __eq__(s, o): return True\n __hash__ = None\ndef f(x): return A()",
    "38a patches unittest": WRONG + "import unittest\nunittest.TestCase.assertEqual = lambda *a: None\n"
    "unittest.TestCase.run = lambda *a: None",
    "38b patches pytest": WRONG + "import sys\nrunner = sys.modules.get('_pytest.runner')\nif runner:\n"
    " from _pytest.python import Function\n Function.runtest = lambda self: None",
    "38c patches the reports": WRONG + "import sys\nr = sys.modules.get('_pytest.reports')\nif r:\n"
    " r.TestReport.from_item_and_call = classmethod(lambda *a: 1/0)\n r.TestReport.failed = False",
    "39a writes conftest": WRONG + "for n in ('conftest.py', 'pytest.ini', 'usercustomize.py', 'sitecustomize.py'):\n"
    " open(n, 'w').write('[pytest]' if n == 'pytest.ini' else 'import os; os._exit(0)')",
    "39b writes the test file anew": WRONG + "open('test_lab.py', 'w').write('def test_f(): pass')",
    "40a patches AssertionError": WRONG + "import builtins\nclass A(BaseException): pass\nbuiltins.AssertionError = A",
    "40b patches comparisons": WRONG + "import builtins\nfor n in ('isinstance', 'len', 'sorted'):\n"
    " setattr(builtins, n, lambda *a, **k: True)",
    "41 patches the test's module": WRONG + "import sys\nfor m in list(sys.modules.values()):\n"
    " if getattr(m, '__name__', '').startswith('test_'): m.__dict__['f'] = lambda x: 2 * x",
}
TEST_CHEATS |= {  # they write into the channel, whatever is on the other end
    "33 noise": WRONG + "import os\nos.write(3, b'passed!!')",
    "33 noise in the call": "import os\ndef f(x):\n os.write(3, b'passed!!')\n return 5",
    "33 no answer": "import os\ndef f(x):\n os.write(3, b'\\4\\0\\0\\0[[[[')\n return 5",
    "33 a number for an answer": "import os\ndef f(x):\n os.write(3, b'\\1\\0\\0\\0005')\n return 5",
}
TELLS = """
import gc, json, os, struct, time
def f(x):
    class Thing: pass  # no data, so that tests and candidate come together
    nonces = [o["nonce"] for o in gc.get_objects() if type(o) is dict and "nonce" in o and "apart" in o]
    for _ in range(40):
        for message in MESSAGES if nonces else ():
            data = json.dumps([nonces[0], *message]).encode()
            os.write(3, struct.pack("=I", len(data)) + data)
    return Thing()
"""
NAMED = "test_lab.py::test_f[1]"
TEST_CHEATS |= {  # they find the nonce, and tell nonsense with it
    f"33 {name}": TELLS.replace("MESSAGES", repr(messages))
    for name, messages in {
        "an outcome that is none": [["finish", NAMED, {"outcome": "fine", "asserts": 1}, "", []]],
        "half a message": [["finish", NAMED]],
        "no message": [[]],
        "a test that is not there": [["start", "x"]],
        "a test twice": [["start", NAMED], ["finish", NAMED, {"outcome": "failed", "asserts": 0}, "", []]],
        "a second list of tests": [["collected", [f"x{i}" for i in range(9)]]],
        "a question": [["ask", ["get", "lab", "f"]]],
    }.items()
}


# running them


def processes() -> set[int]:
    "The processes of sandboxes that exist now"
    found = set()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if b"phoenix.sandbox" in (folder / "cmdline").read_bytes() and int(folder.name) != os.getpid():
                found.add(int(folder.name))
        except OSError:
            continue
    return found


def state() -> dict[str, Any]:
    "What a sandbox could leave behind on this machine and in this process"
    mine = f"phoenix-sandbox-{os.getpid()}-"
    queues = [line.split()[:2] for name in ("shm", "msg", "sem") for line in read(f"/proc/sysvipc/{name}")[1:]]
    known = ("phoenix-canary", CANARY_FILE.name)
    folders = {d: sorted(n for n in names(d) if n in known or mine in n) for d in ("/tmp", "/dev/shm", os.getcwd())}
    handles = len(names("/proc/self/fd"))
    mounts = read("/proc/self/mounts")
    file = CANARY_FILE.stat() if CANARY_FILE.exists() else None
    changes = file and [file.st_mode, file.st_size, file.st_mtime_ns]
    return {
        "file": changes,
        "queues": queues,
        "folders": folders,
        "handles": handles,
        "environment": dict(os.environ),
        "mounts": mounts,
    }


def read(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:
        return []


def right(verdict: str, outcome: str, error: str) -> bool:
    "Whether an outcome is one of `verdict`"
    return any(outcome == o.partition(":")[0] and o.partition(":")[2] in ("", error) for o in verdict.split())


def limits() -> Any:
    from phoenix.sandbox import Limits

    return Limits(cpu_seconds=0.3, wall_seconds=1.5, memory_bytes=192 * 2**20, threads=16, file_bytes=8 * 2**20, files=200,
                  output_bytes=2**16, result_bytes=2**20)  # fmt: skip


def run(level: int) -> dict[str, Any]:
    "All payloads that `level` promises something for; what became of each, and what was left behind"
    from phoenix.sandbox import Level, Sandbox

    CANARY_FILE.write_text(CANARY)
    before, others = state(), processes()
    told: dict[str, Any] = {"uid": os.geteuid(), "results": {}, "python": sys.version.split()[0]}
    numpy_at = python_with("numpy")
    bare = [p for p in PAYLOADS if level in p.levels and not p.numpy]
    heavy = [p for p in PAYLOADS if level in p.levels and p.numpy and numpy_at]

    start = time.perf_counter()
    for python, payloads in ((None, bare), (numpy_at, heavy)):
        with Sandbox(Level(level), workers=2, limits=limits(), python=python) as box:
            jobs = [
                {
                    "source": p.source.replace("CANARY_FILE", str(CANARY_FILE)),
                    "name": "f",
                    "inputs": p.inputs,
                    "expected": p.expected,
                    **p.options,
                }
                for p in payloads
            ]
            told["layers"] = box.layers
            for p, report in zip(payloads, box.run_many(jobs), strict=True):
                bad = next((c for c in report.calls if c.outcome == report.outcome), report.calls[0])
                verdict = p.lower if p.lower and level < Level.ISOLATED else p.verdict
                told["results"][p.name] = [
                    right(verdict, report.outcome, bad.error.removeprefix("builtins.")), str(report.outcome), bad.error,
                    bad.message[:300], repr(bad.value)[:300], report.level == level,
                ]  # fmt: skip
    told["seconds"] = round(time.perf_counter() - start, 1)
    after = state()
    CANARY_FILE.unlink()
    told["left"] = [key for key in before if before[key] != after[key]]
    told["left_details"] = {key: [before[key], after[key]] for key in told["left"]}
    end = time.monotonic() + 2  # those of another run may be about to end
    while (left := sorted(p for p in processes() - others if ours(p))) and time.monotonic() < end:
        time.sleep(0.05)
    told["processes"] = left
    return told


def ours(pid: int) -> bool:
    "Whether a process is alive and not of somebody else's sandbox"
    status = dict(line.split(":", 1) for line in read(f"/proc/{pid}/status") if ":" in line)
    parents, there = set(), bool(status)
    while status and status.get("PPid", "0").strip() not in ("0", "1"):
        parents.add(int(status["PPid"]))
        status = dict(line.split(":", 1) for line in read(f"/proc/{status['PPid'].strip()}/status") if ":" in line)
    return there and (os.getpid() in parents or not parents)


def python_with(package: str) -> str | None:
    "This interpreter, if it has `package`"
    import importlib.util

    return sys.executable if importlib.util.find_spec(package) else None


def become_user() -> None:
    "Become nobody; an interpreter in a folder of root's alone is shown to all, in a mount namespace of this process"
    import ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    closed = [p for p in Path(os.path.realpath(sys.executable)).parents if not p.stat().st_mode & 1]
    for folder in closed[::-1]:
        if libc.unshare(0x20000) or libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None):
            raise OSError(ctypes.get_errno(), "unshare")
        inside = next(p for p in Path(os.path.realpath(sys.executable)).parents if p.parent == folder)
        handle = os.open(inside, os.O_PATH)
        if libc.mount(b"tmpfs", str(folder).encode(), b"tmpfs", 0, b"mode=755"):
            raise OSError(ctypes.get_errno(), "mount")
        inside.mkdir()
        if libc.mount(f"/proc/self/fd/{handle}".encode(), str(inside).encode(), None, 0x5000, None):
            raise OSError(ctypes.get_errno(), "bind")
        os.close(handle)
    os.setgroups([])
    os.setresgid(65534, 65534, 65534)
    os.setresuid(65534, 65534, 65534)
    os.environ |= {"HOME": "/nonexistent"}
    libc.prctl(4, 1, 0, 0, 0)  # /proc/self belongs to the new user


def main() -> None:
    level, who = int(sys.argv[1]), sys.argv[2]
    sys.path.insert(0, str(ROOT))
    sys.dont_write_bytecode = True
    os.environ["PHOENIX_CANARY"] = CANARY
    os.chdir("/")
    try:
        if who == "user" and os.geteuid() == 0:
            become_user()
    except OSError as e:
        print(json.dumps({"skip": f"no ordinary user that can run this interpreter: {e}"}))
        return
    from phoenix.sandbox import probe

    if (here := probe()).level < level:
        print(json.dumps({"skip": f"level {level} is not here: {here.missing}"}))
        return
    print(json.dumps(run(level)))


if __name__ == "__main__":
    main()
