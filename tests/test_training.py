"""Training in processes of their own: two that share the work, one that is killed, and what they leave on disk."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("accelerate")

SCRIPT = """
import os, signal, sys
import torch
import torch.nn.functional as F
from phoenix.measure import save_rows
from phoenix.training import Batches, OptimConfig, TrainConfig, Trainer
from torch import nn
from torch.utils.data import TensorDataset

class Net(nn.Module):
    def __init__(self, dropout):
        super().__init__()
        block = lambda: nn.Sequential(nn.Linear(8, 8, bias=False), nn.Tanh(), nn.Dropout(dropout), nn.Linear(8, 8))
        self.layers, self.head = nn.ModuleList(block() for _ in range(2)), nn.Linear(8, 4)

    def forward(self, x):
        for layer in self.layers:
            x = x + layer(x)
        return self.head(x)

def loss_fn(model, batch):
    x, y = batch
    logits = model(x)
    loss = F.cross_entropy(logits.flatten(0, 1), y.flatten(), ignore_index=-100, reduction="sum")
    return loss, (y != -100).sum(), dict(right=(logits.argmax(-1) == y).sum())

def data():
    # 32 sequences of 6 tokens; the labels end after 1 to 6, so that batches differ in how many tokens count
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(32, 6, 8, generator=generator)
    ends = torch.randint(1, 7, (32, 1), generator=generator)
    return TensorDataset(x, (x[..., :4].argmax(-1)).masked_fill(torch.arange(6) >= ends, -100))

def trainer(out, name="adamw", dropout=0.3, shuffle=True, callbacks=(), **settings):
    torch.manual_seed(0)
    settings = dict(steps=24, batch_size=4, ema=0.9, log_every=3, device="cpu", trackers=()) | settings
    config = TrainConfig(out_dir=out, optim=OptimConfig(name, lr=1e-2, warmup=3), **settings)
    on = lambda model: [x.to(next(model.parameters()).device) for x in data()[:]]
    evaluate = lambda model: dict(loss=loss_fn(model, on(model))[0].item())
    run = Trainer(Net(dropout), loss_fn, data(), config, evaluate, callbacks)
    run.data.shuffle = shuffle
    return run

def report(run, rows, path):
    # the rows without times, and every number of weights and average
    from phoenix.training import whole
    numbers = whole(dict(weights=run.plain.state_dict(), ema=run.ema.weights))
    if run.accelerator.is_main_process:
        rows = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
        weights = {k: [x.double().flatten().tolist() for x in v.values()] for k, v in numbers.items()}
        save_rows([dict(rows=rows, **weights)], path)

def leave_at(step, number, rank=0):
    def callback(run, row):
        if row["step"] == step and run.accelerator.process_index == rank:
            os.kill(os.getpid(), number)
    return callback
"""

# an optimiser for each strategy, Muon where the matrices are whole
KINDS = (("ddp", "muon"), ("fsdp", "adam_atan2"))
FIRST = """
for strategy, name in KINDS:
    run = trainer(f"{out}/{strategy}-straight", name, strategy=strategy)
    report(run, run.fit(), f"{out}/{strategy}-straight.json")
    trainer(f"{out}/{strategy}-resumed", name, strategy=strategy).fit(until=13)
for strategy in ("ddp", "fsdp"):
    cut = dict(accumulate=2, batch_size=2, eval_every=5)  # an evaluation, with other weights, changes nothing
    run = trainer(f"{out}/{strategy}-even", dropout=0.0, shuffle=False, strategy=strategy, **cut)
    report(run, run.fit(), f"{out}/{strategy}-even.json")
"""
SECOND = """
for strategy, name in KINDS:
    run = trainer(f"{out}/{strategy}-resumed", name, strategy=strategy)
    report(run, run.fit(), f"{out}/{strategy}-resumed.json")
"""

# Gloo's threads hold the last tensors that were sent and let go of them without the lock of an interpreter that
# ends, which aborts one process in some hundreds (pytorch/pytorch#179291): so no interpreter ends here.
END = """
if torch.distributed.is_initialized():
    torch.distributed.barrier()
    torch.distributed.destroy_process_group()
    sys.stdout.flush(), sys.stderr.flush()
    os._exit(0)
"""


def launch(folder: Path, body: str, processes: int = 1) -> int:
    "Run SCRIPT and `body`, which finds its folder in `out`, in this many processes; the exit code"
    script = folder / "script.py"
    script.write_text("\n".join([SCRIPT, "out = sys.argv[1]", f"KINDS = {KINDS}", body, END]))
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"] if processes > 1 else []
    env = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else os.environ
    command = [sys.executable, *torchrun, str(script), str(folder)]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=240)
    if done.returncode > 0:
        print(done.stderr[-4000:])
    return done.returncode


def result(folder: Path, name: str) -> dict:
    return json.loads((folder / f"{name}.json").read_text())[0]


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "What two processes left: runs at one go, runs that were stopped and went on in new processes"
    folder = tmp_path_factory.mktemp("pair")
    assert launch(folder, FIRST, 2) == 0
    assert launch(folder, SECOND, 2) == 0
    return folder


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "What one process left: a step of one whole batch, and a run that was killed and went on"
    folder = tmp_path_factory.mktemp("alone")
    straight = 'run = trainer(f"{out}/straight", save_every=5)\nreport(run, run.fit(), f"{out}/straight.json")'
    even = 'run = trainer(f"{out}/even", dropout=0.0, shuffle=False, batch_size=8, eval_every=5)'
    assert launch(folder, f'{straight}\n{even}\nreport(run, run.fit(), f"{{out}}/even.json")') == 0
    return folder


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_two_processes_go_on_with_the_same_bits(pair, strategy):
    straight, resumed = (result(pair, f"{strategy}-{kind}") for kind in ("straight", "resumed"))
    assert resumed == straight
    assert straight["rows"][-2]["loss"] < 0.9 * straight["rows"][0]["loss"]
    assert [row["step"] for row in straight["rows"]] == [3, 6, 9, 12, 15, 18, 21, 24, 24]


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_micro_batches_in_two_processes_are_the_batch(pair, alone, strategy):
    cut, whole = result(pair, f"{strategy}-even"), result(alone, "even")
    for kind in ("weights", "ema"):
        for a, b in zip(cut[kind], whole[kind], strict=True):
            torch.testing.assert_close(torch.tensor(a), torch.tensor(b), rtol=1e-4, atol=1e-4)
    for a, b in zip(cut["rows"], whole["rows"], strict=True):
        assert a.get("tokens") == b.get("tokens") and a == pytest.approx(b, rel=1e-3)


def test_checkpoints_hold_no_pickle(pair):
    files = [path for path in pair.rglob("*") if path.is_file() and path.name != "script.py"]
    assert {path.suffix for path in files} == {".json", ".jsonl", ".safetensors"}
    assert {p.stem for p in files if p.suffix == ".safetensors"} == {"state", "process0", "process1"}


def test_killed_run_goes_on_from_its_last_checkpoint(alone):
    assert launch(alone, 'trainer(f"{out}/killed", save_every=5, callbacks=[leave_at(12, signal.SIGKILL)]).fit()') == -9
    checkpoints = alone / "killed/checkpoints"
    assert sorted(p.name for p in checkpoints.iterdir()) == ["00000005", "00000010"]
    again = 'run = trainer(f"{out}/killed", save_every=5)\nreport(run, run.fit(), f"{out}/killed.json")'
    assert launch(alone, again) == 0
    assert result(alone, "killed") == result(alone, "straight")


def test_two_processes_leave_together(tmp_path):
    body = 'trainer(f"{out}/left", callbacks=[leave_at(9, signal.SIGTERM, rank=1)]).fit()'
    assert launch(tmp_path, body, 2) > 0
    assert [p.name for p in (tmp_path / "left/checkpoints").iterdir()] == ["00000009"]


def test_another_number_of_processes_goes_on_and_says_so(pair, tmp_path):
    name, folder = KINDS[0][1], pair / "ddp-straight"
    (tmp_path / "one").symlink_to(folder)
    body = f"""
import warnings
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    run = trainer(f"{{out}}/one", "{name}", steps=26)
    run.fit()
assert run.step == 26 and any("2 processes wrote this, 1 go on" in str(w.message) for w in said)
"""
    assert launch(tmp_path, body) == 0
