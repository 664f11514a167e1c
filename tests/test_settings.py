"""settings.ini, pyproject.toml, the pins and the installed distribution say the same, and say it once."""

import os
import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path

import book
import build_docs
import pytest
import yaml
from conftest import PAGES, ROOT, relative
from packaging.requirements import Requirement
from pre_commit.clientlib import load_config

import phoenix

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
EXTRAS = ("dev", "docs", "train", "corpus", "synthesis", "imaging", "monai", "llm", "wandb")
TEXT = {".ipynb", ".md", ".py", ".toml", ".yml", ".yaml", ".ini", ".txt", ".css", ".js", ".cff", ""}


def requirements(settings, kind: str = "") -> dict[str, Requirement]:
    "The requirements of settings.ini by name; `kind` is an extra with an underscore"
    return {r.name: r for r in map(Requirement, shlex.split(settings[f"{kind}requirements"]))}


def pins() -> dict[str, str]:
    "The exact versions of constraints.txt"
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    return dict(line.split("==") for line in lines if line and not line.startswith("#"))


def texts() -> Iterator[Path]:
    "Every text file of the tree that is not made by a build"
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [f for f in folders if f == ".github" or not re.match(r"[._]|build$|dist$|.*\.egg-info$", f)]
        yield from (path for name in names if (path := Path(folder, name)).suffix in TEXT and name != ".coverage")


@pytest.mark.parametrize("key", ["nbs_path", "tst_flags", "allowed_cell_metadata_keys", "allowed_metadata_keys"])
def test_both_versions_of_nbdev_read_the_same(settings, key):
    theirs = PYPROJECT["tool"]["nbdev"][key]
    assert theirs == (settings[key].split() if isinstance(theirs, list) else settings[key])


def test_neither_version_of_nbdev_rewrites_pyproject(settings):
    assert settings["update_pyproject"] == "False"
    assert PYPROJECT["tool"]["nbdev"]["update_pyproject"] is False


def test_pyproject_says_what_settings_say(settings):
    project = PYPROJECT["project"]
    assert project["name"] == settings["lib_name"]
    assert project["description"] == settings["description"]
    assert project["requires-python"] == f">={settings['min_python']}"
    assert [a["name"] for a in project["authors"]] == [settings["author"]]
    assert {"version", "dependencies", "optional-dependencies", "urls"} == set(project["dynamic"])


def test_version_is_that_of_the_package(settings):
    assert phoenix.__version__ == settings["version"]


def test_pins_satisfy_the_requirements(settings):
    wanted = {k: v for kind in ("", "dev_", "docs_", "train_") for k, v in requirements(settings, kind).items()}
    assert {name for name in wanted if name not in pins()} <= {"triton"}
    assert [f"{name}=={v}" for name, v in pins().items() if name in wanted and v not in wanted[name].specifier] == []


def test_nbdev_is_held_at_the_2_line(settings):
    dev = requirements(settings, "dev_")
    for name, broken in {"nbdev": "3.0.0", "execnb": "0.2.0", "fastcore": "2.0.0", "ghapi": "2.0.0"}.items():
        assert broken not in dev[name].specifier and name in pins()


def test_installed_distribution_has_name_extras_and_requirements(settings):
    meta = distribution(settings["lib_name"])
    assert meta.name == settings["lib_name"] and meta.version == settings["version"]
    assert set(meta.metadata.get_all("Provides-Extra")) == set(EXTRAS)
    got = {(r.name, str(r.specifier)) for r in map(Requirement, meta.requires) if "extra" not in str(r.marker)}
    assert got == {(r.name, str(r.specifier)) for r in requirements(settings).values()}
    for extra in EXTRAS:
        got = {r.name for r in map(Requirement, meta.requires) if f'extra == "{extra}"' in str(r.marker)}
        assert got == set(requirements(settings, f"{extra}_"))


def test_every_address_of_the_project_is_that_of_the_settings(settings):
    address = re.compile(rf"github(?:\.com)?/([\w.-]+)/{settings['repo']}\b(?![-\w])")
    owners = {relative(path): set(address.findall(path.read_text(encoding="utf-8"))) for path in texts()}
    assert {name: found for name, found in owners.items() if found - {settings["user"]}} == {}
    assert settings["git_url"] == f"https://github.com/{settings['user']}/{settings['repo']}"


def test_addresses_are_written_by_the_tools_alone(settings):
    generated = {"settings.ini", "README.md", "phoenix/_modidx.py", *map(relative, PAGES)}
    found = {relative(path) for path in texts() if settings["git_url"] in path.read_text(encoding="utf-8")}
    assert found - generated == set()
    for path in PAGES:
        by_hand = [c for c in book.read(path).cells if c.id != book.COLAB_ID and not c.source.startswith("<!-- ")]
        assert [c.id for c in by_hand if settings["git_url"] in c.source] == [], path


def test_the_tools_agree_on_the_parts():
    assert list(build_docs.PARTS.items()) == list(book.PARTS.items())


def test_workflow_runs_what_a_contributor_runs(settings):
    jobs = yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text(encoding="utf-8"))["jobs"]
    assert settings["min_python"] in jobs["test"]["strategy"]["matrix"]["python"]
    commands = "\n".join(step.get("run", "") for step in jobs["test"]["steps"])
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M)
    made = re.findall(r"\bmake ([a-z]+)", commands)
    assert {"test", "docs"} <= set(made) <= set(targets)
    assert jobs["next"]["continue-on-error"] is True


def test_commit_hooks_are_valid_and_name_files_that_exist():
    hooks = [hook for repo in load_config(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repo["hooks"]]
    assert {"book", "ruff-check", "ruff-format"} == {hook["id"] for hook in hooks}
    for hook in hooks:
        assert hook["language"] in ("system", "unsupported")  # the second is what pre-commit 4.4 makes of the first
        assert all((ROOT / word).exists() for word in hook["entry"].split() if word.endswith(".py"))
