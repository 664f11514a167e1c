"""tools/book.py on a small book: what is out of date is found, named and mended."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import book
import nbformat
import pytest
from conftest import ROOT
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

KERNEL = {"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}}
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="


def page(path: Path, *cells) -> None:
    "Write a notebook of cells: markdown begins with #, > or <, all else is code"
    make = lambda text: new_markdown_cell(text) if re.match(r"[<>]|# ", text) else new_code_cell(text)
    nb = new_notebook(cells=[make(c) if isinstance(c, str) else c for c in cells], metadata=KERNEL)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)


def run(tree: Path, command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "tools/book.py", command], cwd=tree, capture_output=True, text=True)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    "A book of three notebooks after `write`"
    tree = tmp_path_factory.mktemp("book")
    for name in ("settings.ini", "ARCHITECTURE.md", "tools/book.py", "tools/equations.py", "tools/architecture.py"):
        (tree / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tree / name)
    one = "#| export\ndef one():\n    return 1"
    page(tree / "nbs/00_total.ipynb", "# Total\n> Sum | difference\n- order: 0", "#| default_exp total", one)
    twice = "#| export\ndef twice(x):\n    return 2 * x\n\n\ndef _half(x):\n    return x / 2"
    page(tree / "nbs/ssm/10_twice.ipynb", "# Twice\n> Doubling", "#| default_exp ssm.twice", twice)
    page(tree / "nbs/bench/10_speed.ipynb", "# Speed\n> How fast", "1 + 1")
    picture = new_code_cell("#| echo: true\nplot()", outputs=[new_output("display_data", {"image/png": PIXEL})])
    marks = ["<!-- install -->", "<!-- notebooks -->\n\nold"]
    page(tree / "index.ipynb", "# Book\n> A small one\n- order: 0", *marks, "#| hide\nsecret()", picture)
    assert run(tree, "write").returncode == 0
    return tree


@pytest.fixture
def tree(written: Path, tmp_path: Path) -> Path:
    "A copy of it, to break"
    return shutil.copytree(written, tmp_path / "tree")


def test_what_was_written_is_up_to_date(tree):
    done = run(tree, "check")
    assert done.returncode == 0 and "as the notebooks say" in done.stdout and "out of date" not in done.stdout


def test_colab_cell_is_the_first_code_cell_and_stays_one(written, settings):
    for path in book.notebooks(written):
        code = [c for c in book.read(path).cells if c.cell_type == "code"]
        assert code[0].source == book.colab_source(settings) and [c.id for c in code].count("colab") == 1
        nb = book.read(path)
        nb.cells.append(new_code_cell(code[0].source))  # another id, and in the wrong place
        book.stamp(nb, settings)
        assert nb == book.read(path)


def test_package_and_its_parts_are_exported(written):
    assert "def one():" in (written / "phoenix/total.py").read_text()
    init = (written / "phoenix/ssm/__init__.py").read_text()
    assert "from .twice import (\n    twice\n)" in init and "_half" not in init


def test_readme_has_the_tables_and_what_a_reader_should_see(written, settings):
    text = (written / "README.md").read_text()
    links = re.findall(r"^\| (.*?) \| \[(\w+)\]\((.*?)\) \|", text, re.M)
    wanted = [("Commons", "Total", "00_total"), ("State-space models", "Twice", "ssm/10_twice")]
    assert links == [(f"**{p}**", t, f"nbs/{n}.ipynb") for p, t, n in [*wanted, ("Results", "Speed", "bench/10_speed")]]
    colab = f"https://colab.research.google.com/github/{settings['user']}/{settings['repo']}/blob/{settings['branch']}"
    assert text.count(f"({colab}/nbs/") == 3 and r"Sum \| difference" in text
    for command in ("pip install", "uv pip install", "%pip install -q"):
        assert f"\n{command} git+{settings['git_url']}" in text
    assert "```python\nplot()\n```" in text and not re.search(r"secret|#\||order: 0|\nold", text)


def test_readme_shows_pictures_of_the_tree(written):
    images = re.findall(r"!\[\w+\]\((docs/.+?)\)", (written / "README.md").read_text())
    assert len(images) == 1 and (written / images[0]).read_bytes().startswith(b"\x89PNG")


WRITTEN = ("phoenix/total.py", "phoenix/ssm/__init__.py", "README.md", "docs/_static/architecture.svg")


@pytest.mark.parametrize("name", WRITTEN)
def test_edit_by_hand_is_found_and_mended(tree, name):
    before = (tree / name).read_bytes()
    (tree / name).write_bytes(before + b"# by hand\n")
    done = run(tree, "check")
    assert done.returncode == 1 and done.stdout.splitlines() == [f"out of date, now rewritten: {name}"]
    assert (tree / name).read_bytes() == before


def test_module_of_a_notebook_that_is_gone_is_removed(tree):
    (tree / "nbs/ssm/20_thrice.ipynb").write_bytes((tree / "nbs/ssm/10_twice.ipynb").read_bytes())
    (tree / "nbs/ssm/10_twice.ipynb").unlink()
    text = (tree / "nbs/ssm/20_thrice.ipynb").read_text()
    (tree / "nbs/ssm/20_thrice.ipynb").write_text(text.replace("ssm.twice", "ssm.thrice"))
    done = run(tree, "check")
    assert done.returncode == 1 and "out of date, now removed: phoenix/ssm/twice.py" in done.stdout
    assert sorted(p.name for p in (tree / "phoenix/ssm").glob("*.py")) == ["__init__.py", "thrice.py"]
    assert "ssm.twice" not in (tree / "phoenix/_modidx.py").read_text()


def test_module_written_by_hand_is_refused_and_kept(tree):
    (tree / "phoenix/other.py").write_text("x = 1\n")
    done = run(tree, "check")
    assert done.returncode != 0 and "phoenix/other.py" in done.stderr
    assert (tree / "phoenix/other.py").read_text() == "x = 1\n"


def test_owner_stands_in_one_setting(tree, settings):
    ini = (tree / "settings.ini").read_text()
    (tree / "settings.ini").write_text(re.sub(r"^user = .*$", "user = another", ini, flags=re.M))
    assert run(tree, "write").returncode == 0
    for path in (tree / "README.md", *book.notebooks(tree)):
        text = path.read_text()
        assert f"github.com/another/{settings['repo']}" in text and settings["git_url"] not in text


def test_links_of_the_readme_lead_somewhere():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", text)
    assert targets and [t for t in targets if not (ROOT / t).exists()] == []
