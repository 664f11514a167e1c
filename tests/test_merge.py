"""Two people edit one notebook: nbdev's merge driver, installed as `make hooks` does it, leaves a valid notebook."""

import os
import subprocess
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_output

NOTEBOOK = "nbs/03_arguments.ipynb"
# the cells that nbdev puts between the two versions have no ids; both versions of a cell have the same one
pytestmark = pytest.mark.filterwarnings("ignore::nbformat.warnings.MissingIDFieldWarning", "ignore:Non-unique cell id")


class Repo:
    "A git repository with one notebook, in which nothing of the user's home is read or written"

    def __init__(self, folder: Path, home: Path):
        self.folder, self.path = folder, folder / NOTEBOOK
        jupyter = {f"JUPYTER_{kind}_DIR": str(home / ".jupyter") for kind in ("CONFIG", "DATA", "RUNTIME")}
        identity = {f"GIT_{who}_{what}": "someone" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
        self.env = {**kept, **jupyter, **identity, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1"}
        home.mkdir()

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=self.folder, env=self.env, capture_output=True, text=True)

    def git(self, *arguments: str) -> str:
        done = self.run("git", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def commit(self, branch: str, **edits: tuple[int, str]) -> None:
        "On `branch`, which begins at the first commit, set `source` or `output` of the n-th code cell"
        self.git("checkout", "-q", "-B", branch, "start")
        nb = nbformat.read(self.path, as_version=4)
        code = [c for c in nb.cells if c.cell_type == "code"]
        for what, (n, text) in edits.items():
            if what == "source":
                code[n].source = text
            else:
                code[n].outputs = [new_output("stream", name="stdout", text=text)]
        nbformat.write(nb, self.path)
        self.git("commit", "-qam", branch)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    "A clone of a repository with a real notebook of the book, and the hooks installed"
    origin = Repo(tmp_path / "origin", tmp_path / "home")
    for name in (".gitattributes", ".gitignore", "settings.ini", NOTEBOOK):
        (origin.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (origin.folder / name).write_bytes((ROOT / name).read_bytes())
    origin.git("init", "-q")
    origin.git("add", ".")
    origin.git("commit", "-qm", "start")
    origin.git("clone", "-q", str(origin.folder), str(tmp_path / "clone"))
    clone = Repo(tmp_path / "clone", tmp_path / "home of clone")
    done = clone.run("nbdev_install_hooks")
    assert done.returncode == 0, done.stderr
    clone.git("tag", "start")
    return clone


def cells(path: Path) -> list[str]:
    "The sources of a notebook's cells, read as JupyterLab reads them: a cell without an id of its own gets one"
    nb = nbformat.read(path, as_version=4)
    nbformat.validate(nb)
    return [c.source for c in nb.cells]


def test_hooks_are_installed_in_the_clone_and_leave_it_clean(repo):
    assert repo.git("config", "merge.nbdev-merge.driver") == "nbdev_merge %O %A %B %P"
    assert repo.git("check-attr", "merge", NOTEBOOK).endswith(": nbdev-merge")
    assert os.access(repo.folder / ".git/hooks/post-merge", os.X_OK)
    assert repo.git("status", "--porcelain") == "", "an ignored file or .gitattributes was changed"
    assert (Path(repo.env["HOME"]) / ".jupyter/jupyter_server_config.py").exists()


def test_edits_of_different_cells_merge(repo):
    repo.commit("theirs", source=(4, "theirs = 1"), output=(5, "their output\n"))
    repo.commit("ours", source=(10, "ours = 1"), output=(11, "our output\n"))
    repo.git("merge", "-q", "--no-edit", "theirs")
    merged = cells(repo.path)
    assert "theirs = 1" in merged and "ours = 1" in merged
    text = repo.path.read_text(encoding="utf-8")
    assert "their output" in text and "our output" in text and "<<<<<<<" not in text


def test_outputs_of_one_cell_merge_without_a_conflict(repo):
    before = cells(repo.path)
    repo.commit("theirs", output=(5, "took 1 s\n"))
    repo.commit("ours", output=(5, "took 2 s\n"))
    repo.git("merge", "-q", "--no-edit", "theirs")
    assert cells(repo.path) == before
    text = repo.path.read_text(encoding="utf-8")
    assert "took 2 s" in text and "took 1 s" not in text


def test_edits_of_one_cell_stop_the_merge_with_both_in_a_valid_notebook(repo):
    before = cells(repo.path)
    repo.commit("theirs", source=(5, "theirs = 1"))
    repo.commit("ours", source=(5, "ours = 1"))
    assert repo.run("git", "merge", "theirs").returncode == 1
    assert repo.git("diff", "--name-only", "--diff-filter=U") == NOTEBOOK
    after = cells(repo.path)
    start = after.index("`<<<<<<< HEAD`")
    assert after[start + 1 : start + 4] == ["ours = 1", "`=======`", "theirs = 1"]
    assert after[start + 4].startswith("`>>>>>>> ")
    assert after[:start] == before[:start] and after[start + 5 :] == before[start + 1 :]


def test_conflict_marks_that_plain_git_left_are_mended(repo):
    repo.git("config", "merge.nbdev-merge.driver", "git merge-file %A %O %B")
    repo.commit("theirs", source=(5, "theirs = 1"))
    repo.commit("ours", source=(5, "ours = 1"))
    assert repo.run("git", "merge", "theirs").returncode == 1
    with pytest.raises(nbformat.reader.NotJSONError):
        cells(repo.path)
    fixed = repo.run("nbdev_fix", NOTEBOOK)
    assert "conflict" in fixed.stdout
    assert {"ours = 1", "theirs = 1", "`=======`"} <= set(cells(repo.path))
