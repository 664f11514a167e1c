"""The Triton kernels compile for the GPUs that people have, without one: no traffic between lanes, no spills."""

import json
import os
import subprocess
import sys

import pytest

pytest.importorskip("triton")

# In a process of its own: here the kernels may be run by Triton's interpreter, which compiles nothing.
COMPILE = """
import json, re, sys
from triton.backends.compiler import GPUTarget
from triton import compile
from triton.compiler import ASTSource
from phoenix.blocks import triton_conv
from phoenix.ssm import triton_scan, triton_step

ROWS = dict(sul=64, sdl=64, szl=128, sBl=8, sCl=8, syl=64)
FIXED = dict(N=4, BD=64, K=2, U=2, PACK=4, SOFTPLUS=True, EVEN=True, WHOLE=False, BACK=False) | ROWS
FIXED |= dict(k=4, SILU=True, BN=4, BR=16, REVERSE=False)
SCAN = "_states _chain _outputs _states_back _gradients _collect _collect_parameters".split()
# down the columns of an image the same kernels take two more numbers; all of them are compiled for one of the GPUs
WALKS = ["_outputs", "_gradients"] + ["_states", "_states_back", "_collect"] * (sys.argv[1] == "90")
DOWN = [f"{name} down" for name in WALKS]
KERNELS = dict.fromkeys(SCAN + DOWN, triton_scan) | dict.fromkeys(["_one_step", "_add_then_norm"], triton_step)
KERNELS |= dict.fromkeys(["_conv", "_conv_back", "_conv_token"], triton_conv)
HALF = "u delta z B C y dout du ddelta dz dB dC x dx dy".split()
WORDS = "A init ends before carries last after scratch dinit dlast first".split()
FLOATS = "Dp bias sums dBC dparams dA dD dbias w b parts A_log skip state h".split()
NONE, IMAGE = ["opens", "closes"], ["H", "W"]
OTHERS = {"_collect": dict(parts="i32"), "_one_step": dict(after="*fp32", N="i32"), "_conv_token": dict(after="*fp32")}
OTHERS["_add_then_norm"] = dict(eps="fp32")


def types(kernel, none):
    for i, name in enumerate(kernel.arg_names):
        pointer = dict.fromkeys(HALF, "*bf16") | dict.fromkeys(WORDS, "*i64") | dict.fromkeys(FLOATS, "*fp32")
        pointer |= OTHERS.get(kernel.__name__, {})
        yield i, name, "constexpr" if name in none or kernel.params[i].is_constexpr else pointer.get(name, "i32")


found = {}
for name, module in KERNELS.items():
    kernel, none = getattr(module, name.split()[0]), NONE if name in DOWN else NONE + IMAGE
    signature = {n: t for _, n, t in types(kernel, none)}
    constants = {(i,): FIXED.get(n) for i, n, t in types(kernel, none) if t == "constexpr"}
    source = ASTSource(fn=kernel, signature=signature, constexprs=constants)
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    warps = dict(_chain=2, _collect=4, _add_then_norm=4).get(kernel.__name__, 1)
    built = compile(source, target=target, options=dict(num_warps=warps))
    text = built.asm["ptx"]
    found[name] = {w: len(re.findall(w, text)) for w in ("shfl", "bar.sync", "ld.shared", "ex2.approx", "div.s32")}
    found[name]["cubin"] = len(built.asm["cubin"])
print(json.dumps(found))
"""


@pytest.mark.parametrize("arch", [75, 80, 89, 90])
def test_kernels_compile_and_keep_the_lanes_apart(arch, tmp_path):
    env = {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    run = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", COMPILE, str(arch)], capture_output=True, text=True, env=os.environ | env
    )
    assert run.returncode == 0, run.stderr[-2000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert all(k["cubin"] > 0 for k in found.values()), found
    rows = {"_one_step", "_add_then_norm"}  # sums over states and over a row
    assert {name for name, k in found.items() if k["ld.shared"]} <= rows
    # the walks exchange nothing; the sums over channels take at most 15 exchanges for B and C each and one more, a step
    assert {name for name, k in found.items() if k["shfl"]} - rows == {"_gradients", "_gradients down"}
    assert found["_gradients"]["shfl"] == found["_gradients down"]["shfl"] <= 2 * (2 * 15 + 1)
    assert {name for name, k in found.items() if k["bar.sync"]} <= rows
    # two exponentials of the softplus and the gate a step beside one a state: nothing is computed twice
    assert found["_outputs"]["ex2.approx"] == found["_outputs down"]["ex2.approx"] == 2 * 2 * (4 + 2)
    # the steps of an image's columns are divided once for each step and each of its uses, never for each state
    assert found["_outputs"]["div.s32"] < found["_outputs down"]["div.s32"] <= found["_outputs"]["div.s32"] + 4 * 2
