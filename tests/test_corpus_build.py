"""A build that is killed at any moment ends with the same bytes as one that is not; and how it is handed to Slurm."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("datatrove")

from phoenix.corpus.builder import BuildConfig, ExecutorConfig, build
from phoenix.corpus.injection import InjectionConfig
from phoenix.corpus.seeds import SEEDS
from phoenix.corpus.sources import SourceConfig
from phoenix.training.config import save_config

# one process that imports everything once, and forks a build for each kill
KILLED = """
import json, os, random, signal, sys, time
from dataclasses import replace
import datatrove.executor, matplotlib.backends.backend_svg, matplotlib.figure, pyarrow.parquet
from phoenix.corpus.builder import BuildConfig, ExecutorConfig, build, config_hash
from phoenix.training.config import load_config

config, folder = load_config(BuildConfig, sys.argv[1]), sys.argv[2]
config_hash(config)  # reads the vocabulary, once for all

def begin(config):
    if not (child := os.fork()):
        os.setsid()
        build(config)
        os._exit(0)
    return child

start = time.monotonic()
assert os.waitpid(begin(replace(config, out=f"{folder}/whole")), 0)[1] == 0
whole, rng, seen = time.monotonic() - start, random.Random(1), []
config = replace(config, out=f"{folder}/killed")
for _ in range(4):
    child = begin(config)
    time.sleep(rng.uniform(0.03, 0.7) * whole)
    try:
        os.killpg(child, signal.SIGKILL)
    except ProcessLookupError:  # not a group of its own yet, or done
        os.kill(child, signal.SIGKILL)
    seen.append(os.waitpid(child, 0)[1])
build(config)
both = ExecutorConfig(workers=2, options={"start_method": "fork"})
build(replace(config, out=f"{folder}/both", executor=both))
print(json.dumps(seen))
"""


@pytest.fixture
def config(tmp_path: Path) -> BuildConfig:
    "A project of four files, in two parts"
    (tree := tmp_path / "tree").mkdir()
    codes = list(SEEDS.values())
    for k in range(4):
        (tree / f"m{k}.py").write_text("\n\n".join(codes[2 * k : 2 * k + 2]))
    source = SourceConfig("code", str(tree), origin="me/tree", license="MIT")
    return BuildConfig(str(tmp_path / "out"), [source], inject=InjectionConfig(per_function=1), tasks=2)


def contents(folder: Path) -> dict[str, bytes]:
    "Everything in a folder by its name, the hidden included"
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_killed_at_any_moment_it_ends_with_the_same_bytes(config, tmp_path):
    save_config(config, path := tmp_path / "config.yaml")
    command = [sys.executable, "-c", KILLED, str(path), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert 9 in json.loads(done.stdout), "none of the builds was killed before its end"
    whole = contents(tmp_path / "whole")
    assert {"manifest.json", "report.json", "report.md", "report.svg"} <= set(whole)
    assert contents(tmp_path / "killed") == whole
    assert contents(tmp_path / "both") == whole  # nor does the number of workers matter
    assert done.stderr == ""


def test_slurm_gets_four_jobs_that_wait_for_one_another(config, tmp_path, monkeypatch):
    (bin_ := tmp_path / "bin").mkdir()
    log = tmp_path / "sbatch.log"
    (bin_ / "sbatch").write_text(f'#!/bin/sh\necho "$@" >> {log}\necho Submitted batch job $(wc -l < {log})\n')
    (bin_ / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}{os.pathsep}{os.environ['PATH']}")
    options = {"time": "1:00:00", "partition": "cpu"}
    assert build(replace(config, executor=ExecutorConfig("slurm", options=options))) is None
    stages = sorted(p.parent.name for p in Path(config.out).glob(".work/*/stages/*/executor.pik"))
    assert stages == ["collect", "compare", "encode", "finish"]
    jobs = [line for line in log.read_text().splitlines() if "RUN_OFFSET" in line]
    assert len(jobs) == 4 and [("dependency" in job) for job in jobs] == [False, True, True, True]
    scripts = [p.read_text() for p in Path(config.out).glob(".work/*/stages/*/launch_script.slurm")]
    assert all("phoenix-" in text and "--partition=cpu" in text for text in scripts)
    with pytest.raises(ValueError, match=r"executor\.options.*partition"):
        build(replace(config, out=str(tmp_path / "new"), executor=ExecutorConfig("slurm")))


def test_ray_that_is_not_installed_is_named(config, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match="ray"):
        build(replace(config, executor=ExecutorConfig("ray")))
