"""What every notebook must satisfy, whatever it is about."""

import json
import re
from collections.abc import Iterator

import book
import nbformat
import pytest
from conftest import NOTEBOOKS, PAGES, code_cells, each
from equations import directives
from execnb.nbio import nb2str
from nbdev.clean import clean_nb
from nbformat import NotebookNode

# what a stored output must not show
UNWANTED = {
    "a path of some machine": r"(?<![\w.])/(?:home|Users|root|tmp|content|work|mnt|private)/[\w.]|\b[A-Z]:\\Users\b",
    "a warning": r"\b\w*Warning:",
    "a progress bar": r"\d+%\s?[|━]|\d(?:it/s|s/it)\b|━{3}|\r",
    "an installer": r"pypi\.org|pythonhosted\.org|Looking in (?:indexes|links)|^Collecting \w|Successfully installed",
    "a time of day": r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d",
    "an address in memory": r" at 0x[0-9a-f]{6,}",
}
TITLE = re.compile(r"# \S.*\n> \S.*(?:\n- [\w-]+: .+)*")


def outputs(nb: NotebookNode) -> Iterator[str]:
    "The text of every stored output: streams, and what is not a bitmap"
    for output in (o for c in nb.cells if c.cell_type == "code" for o in c.outputs):
        yield output.get("text", "")
        yield from (str(v) for k, v in output.get("data", {}).items() if not re.match(r"image/(?!svg)", k))


def unwanted(text: str) -> list[str]:
    "What `text` shows that a stored output must not"
    return [f"{what}: {m[0]!r}" for what, p in UNWANTED.items() if (m := re.search(p, text, re.M))]


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 3 and all(path.exists() for path in PAGES)


@each(PAGES)
def test_is_valid_and_clean(path, settings):
    text = path.read_text(encoding="utf-8")
    nb, cleaned = book.read(path), json.loads(text)
    nbformat.validate(nb)
    assert len({c.id for c in nb.cells}) == len(nb.cells)
    assert all(c.execution_count is None for c in nb.cells if c.cell_type == "code")
    keys = [settings[k].split() for k in ("allowed_metadata_keys", "allowed_cell_metadata_keys")]
    clean_nb(cleaned, False, *keys)
    assert nb2str(cleaned) == text, "run nbdev_clean"


@each(PAGES)
def test_outputs_are_those_of_any_machine(path):
    nb = book.read(path)
    assert [c.id for c in code_cells(nb) for o in c.outputs if o.output_type == "error"] == []
    assert [c.id for c in code_cells(nb) for o in c.outputs if o.get("name") == "stderr"] == []
    assert [problem for text in outputs(nb) for problem in unwanted(text)] == []


@each([p for p in NOTEBOOKS if p.parent.name != "experiments"])
def test_has_outputs(path):
    assert any(c.outputs for c in code_cells(book.read(path)))


@each(PAGES)
def test_lines_fit(path):
    code = [c for c in book.read(path).cells if c.cell_type == "code"]
    assert [f"{c.id}: {line}" for c in code for line in c.source.splitlines() if len(line) > 120] == []


@each(PAGES)
def test_title_cell_is_what_nbdev_reads(path):
    first = book.read(path).cells[0]
    assert first.cell_type == "markdown" and TITLE.fullmatch(first.source.strip())
    # nbdev writes the description between three quotes at the top of the module
    assert not re.search(r'\\|"""|"$', book.title(book.read(path))[1])


@each(NOTEBOOKS)
def test_first_code_cell_installs_on_colab_and_only_there(path, settings):
    first = next(c for c in book.read(path).cells if c.cell_type == "code")
    assert first.id == book.COLAB_ID and first.source == book.colab_source(settings)
    assert directives(first)["eval"] == "false" and '-n "$COLAB_RELEASE_TAG" &&' in first.source


@each(NOTEBOOKS)
def test_no_other_cell_needs_ipython(path):
    for cell in code_cells(book.read(path)):
        compile(cell.source, f"{path.name} {cell.id}", "exec")


@pytest.mark.parametrize(
    "text, what",
    [
        ("saved to /home/me/x.pt", "path"),
        ("in /content/drive", "path"),
        (r"C:\Users\me", "path"),
        ("x.py:3: UserWarning: old", "warning"),
        ("45%|####5     | 9/20", "progress"),
        ("3.1it/s", "progress"),
        ("Looking in indexes: http://a", "installer"),
        ("<dc:date>2026-01-02T03:04:05</dc:date>", "time"),
        ("<Block at 0x7f00aa11bb22>", "memory"),
    ],
)
def test_what_is_unwanted_is_seen(text, what):
    assert what in " ".join(unwanted(text))


@pytest.mark.parametrize("text", ["https://example.org/home/page", "12 s/token, 45 % of 3|4", "rate 1e-3/root/2"])
def test_what_is_wanted_is_left_alone(text):
    assert unwanted(text) == []
