"""Build the site from the notebooks, with parts from PyPI alone.

python tools/build_docs.py            # writes _docs/index.html; a warning is an error
python tools/build_docs.py --serve    # builds, serves on localhost, and rebuilds when a notebook is saved

Each notebook becomes a MyST notebook in `_proc/site`, in which a folded API entry follows each exported cell; Sphinx
makes the pages from those. Nothing is run and the library is not imported: signatures, docstrings and the comments of
parameters are read from the cells, and outputs are the stored ones.
"""

import argparse
import ast
import io
import posixpath
import re
import shutil
import subprocess
import sys
import time
import tokenize
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import nbformat
from book import PARTS, notebooks, part_of, settings, title
from equations import DIRECTIVE, FENCE, Definition, Equation, definitions, directives, equations, is_exported
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
STAGE, OUT, SITE = ROOT / "_proc/site", ROOT / "_proc/out", ROOT / "_docs"
# MyST-NB writes a folder of its own beside that of the pages, hence `_proc/out/html` and not `_docs`
SPHINX = ["-q", "-b", "html", "-c", str(ROOT / "docs"), "-d", str(OUT / "doctrees"), str(STAGE), str(OUT / "html")]
SETTINGS = settings(ROOT)
METADATA = {
    "kernelspec": {"name": "python3", "display_name": "python3", "language": "python"},
    "language_info": {"name": "python", "pygments_lexer": "ipython3"},
}
LINK = re.compile(r"\]\(([^)\s]+)\)")
IMAGES = (".svg", ".png", ".jpg", ".gif", ".webp")
REMOTE_IMAGE = re.compile(r"!\[([^\]]*)\]\(https?://[^)\s]+\)")
NAME = re.compile(r"(?<![`\[\\}])`([A-Za-z_][\w.]*(?:\(\))?)`(?!`)")
ROW_MATH = re.compile(r"(?<![\\$])\$(?!\$)[^$\n]+\$")


@dataclass(frozen=True)
class Page:
    "A notebook and its place in the site"

    path: Path  # relative to the root of the repository

    @cached_property
    def notebook(self) -> NotebookNode:
        return nbformat.read(ROOT / self.path, as_version=4)

    @property
    def address(self) -> str:
        "Where the page is, without an ending: the notebook's path less the number of its file, as nbdev's index has it"
        return self.path.with_name(re.sub(r"^\d+[a-zA-Z0-9]*_", "", self.path.stem.lower())).as_posix()

    @cached_property
    def module(self) -> str:
        "The module that the notebook exports, such as `phoenix.ssm.scan`, or an empty string"
        found = [d["default_exp"] for c in self.notebook.cells if "default_exp" in (d := directives(c))]
        return f"{SETTINGS['lib_path']}.{found[0].strip()}" if found else ""

    @property
    def package(self) -> str:
        "The module under the name by which it is imported: `phoenix.ssm` for `phoenix.ssm.__init__`"
        return self.module.removesuffix(".__init__")


FRONT = Page(Path("index.ipynb"))


def book() -> dict[str, list[Page]]:
    "The parts that exist and their notebooks, in reading order"
    parts = {caption: [] for caption in PARTS.values()}
    for path in notebooks(ROOT):
        parts[PARTS[part_of(path, ROOT)]].append(Page(path.relative_to(ROOT)))
    return {caption: pages for caption, pages in parts.items() if pages}


# --- API entries: what stands folded below an exported cell ----------------------------------------------------------


@dataclass(frozen=True)
class Parameter:
    "One row of a parameter table"

    name: str
    annotation: ast.expr | None
    default: ast.expr | None
    line: int  # of the cell, where its comment stands


def init_of(node: ast.ClassDef) -> ast.FunctionDef | None:
    "The `__init__` that a class defines"
    return next((f for f in node.body if isinstance(f, ast.FunctionDef) and f.name == "__init__"), None)


def parameters(node: Definition) -> list[Parameter]:
    "The parameters of a function, of a class's `__init__`, or the fields of a dataclass; never `self`"
    if isinstance(node, ast.ClassDef):
        if init := init_of(node):
            return parameters(init)
        if not re.search("dataclass|NamedTuple", " ".join(map(ast.unparse, [*node.decorator_list, *node.bases]))):
            return []
        fields = [f for f in node.body if isinstance(f, ast.AnnAssign)]
        return [Parameter(ast.unparse(f.target), f.annotation, f.value, f.lineno) for f in fields]
    a = node.args
    plain, gap = [*a.posonlyargs, *a.args], len(a.posonlyargs) + len(a.args) - len(a.defaults)
    pairs = [*zip(plain, [None] * gap + a.defaults, strict=True), (a.vararg, None)]
    pairs += [*zip(a.kwonlyargs, a.kw_defaults, strict=True), (a.kwarg, None)]
    return [Parameter(p.arg, p.annotation, d, p.lineno) for p, d in pairs if p and p.arg not in ("self", "cls")]


def signature(node: Definition) -> str:
    "Name and parameters on one line, as Python writes them, without `self`"
    if isinstance(node, ast.ClassDef):
        if init := init_of(node):
            return node.name + signature(init).removeprefix("__init__").removesuffix(" -> None")
        default = lambda p: f" = {ast.unparse(p.default)}" if p.default else ""
        fields = ", ".join(f"{p.name}: {ast.unparse(p.annotation)}{default(p)}" for p in parameters(node))
        return f"{node.name}({fields})" if fields else node.name
    inside = re.sub(r"^(self|cls)(, (/, )?|$)", "", ast.unparse(node.args))
    return f"{node.name}({inside})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")


def table(node: Definition, source: str) -> str:
    "The parameters and what the comments beside them say; nothing if there is no such comment"
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    comments = {t.start[0]: t.string.lstrip("# ") for t in tokens if t.type == tokenize.COMMENT}
    rows = parameters(node)
    if returns := getattr(node, "returns", None):
        rows.append(Parameter("returns", returns, None, returns.lineno))
    lines = [p.line for p in rows]
    said = {p.name: comments[p.line] for p in rows if p.line in comments and lines.count(p.line) == 1}
    if not said:
        return ""
    code = lambda e: f"`{ast.unparse(e)}`".replace("|", r"\|") if e else ""
    cells = [(f"`{p.name}`", code(p.annotation), code(p.default), said.get(p.name, "")) for p in rows]
    head = [("name", "type", "default", "meaning"), ("---",) * 4]
    return "\n".join(f"| {' | '.join(row)} |" for row in head + cells)


def directive(name: str, argument: str, options: dict[str, str], *content: str) -> str:
    "A MyST directive, in a fence longer than those that it contains"
    body = "\n\n".join(filter(None, content))
    fence = "~" * (1 + max([2, *map(len, re.findall(r"^~{3,}", body, re.M))]))  # a title may hold backticks
    lines = [f"{fence}{{{name}}} {argument}", *(f":{k}: {v}".rstrip() for k, v in options.items()), "", body, fence]
    return "\n".join(lines)


def methods(node: Definition) -> list[ast.FunctionDef]:
    "The public methods of a class"
    body = node.body if isinstance(node, ast.ClassDef) else []
    return [f for f in body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_")]


def described(node: Definition, source: str, page: Page, links: "Links") -> tuple[str, str]:
    "The docstring and the parameter table of a name"
    return links.apply(ast.get_docstring(node) or "", page), links.apply(table(node, source), page)


def method(node: ast.FunctionDef, source: str, page: Page, links: "Links") -> str:
    "The entry of one method, inside that of its class"
    marks = {ast.unparse(mark) for mark in node.decorator_list}
    kind = next((k for k in ("property", "classmethod", "staticmethod") if k in marks), "method")
    argument = node.name if kind == "property" else signature(node)
    return directive(f"py:{kind}", argument, {"no-contents-entry": ""}, *described(node, source, page, links))


def entry(node: Definition, source: str, page: Page, links: "Links") -> str:
    "The folded entry of a public name: signature, docstring, parameters, methods, link to the source"
    kind = "py:class" if isinstance(node, ast.ClassDef) else "py:function"
    content = [*described(node, source, page, links), *(method(m, source, page, links) for m in methods(node))]
    body = directive(kind, signature(node), {"module": page.package}, *content)
    name = f"`{page.package}.{node.name}` [source]({source_address(page.module, node.name)})"
    return directive("admonition", name, {"class": "api", "collapsible": "closed"}, body)


def source_address(module: str, name: str) -> str:
    "Where the name is defined in the package, on GitHub"
    path = Path(*module.split(".")).with_suffix(".py")
    text = (ROOT / path).read_text(encoding="utf-8") if (ROOT / path).exists() else ""
    found = re.search(rf"^(async def|def|class) {name}\b", text, re.M)
    return on_github(path) + (f"#L{text.count(chr(10), 0, found.start()) + 1}" if found else "")


# --- From notebooks to MyST notebooks --------------------------------------------------------------------------------


def on_github(path: Path) -> str:
    "Address of a file or folder of the repository"
    kind = "tree" if (ROOT / path).is_dir() else "blob"
    return f"{SETTINGS['git_url']}/{kind}/{SETTINGS['branch']}/{path.as_posix()}"


class Links:
    "Where the names and the files are that the text mentions"

    def __init__(self, pages: list[Page]):
        self.pages = {page.path.as_posix(): page for page in pages}
        self.images: set[str] = set()  # those met in the text so far
        self.modules = {page.package: page for page in pages if page.module}
        self.names: dict[str, dict[Page, str]] = {}  # what may be written: the pages that define it, its full name
        for page in pages:
            shown = [cell for cell in page.notebook.cells if "hide" not in directives(cell)]
            for node in (node for cell in shown for node in definitions(cell)):
                for name in [node.name, *(f"{node.name}.{m.name}" for m in methods(node))]:
                    # a part re-exports the names of its modules
                    for prefix in ("", f"{page.package}.", f"{page.package.rpartition('.')[0]}."):
                        self.names.setdefault(prefix + name, {})[page] = f"{page.package}.{name}"

    def role(self, name: str, page: Page) -> str:
        "A link to `name` as `page` means it, its own before the first in reading order; plain code if there is none"
        known = self.names.get(name.removesuffix("()"), {})
        full = known.get(page) or next(iter(known.values()), None)
        home = self.modules.get(name)
        return f"{{py:obj}}`{name} <{full}>`" if full else f"[`{name}`](/{home.address}.ipynb)" if home else f"`{name}`"

    def file(self, target: str, page: Page) -> str:
        "What a link to a file of the repository becomes: a page of the site, or an address on GitHub"
        name, _, anchor = target.partition("#")
        anchor = f"#{anchor.lower()}" if anchor else ""  # Jupyter keeps capitals in anchors
        path = posixpath.normpath((page.path.parent / name).as_posix())
        if ":" in name or not name:
            return target if name else anchor
        if path in self.pages:
            return f"/{self.pages[path].address}.ipynb{anchor}"
        if path == "ARCHITECTURE.md":
            return f"/architecture.md{anchor}"
        if path.endswith(IMAGES) and (ROOT / path).exists():
            self.images.add(path)
            return f"/{path}"
        return on_github(Path(path)) + anchor if (ROOT / path).exists() else target

    def line(self, text: str, page: Page) -> str:
        "One line of Markdown with its links made"
        if text.lstrip().startswith("|"):  # a bar in math would end the table's cell
            text = ROW_MATH.sub(lambda m: m[0].replace(r"\|", r"\Vert ").replace("|", r"\vert "), text)
        text = REMOTE_IMAGE.sub(r"\1", text)  # a badge, as its words: pages load nothing from elsewhere
        text = LINK.sub(lambda m: f"]({self.file(m[1], page)})", text)
        return text if text.startswith("#") else NAME.sub(lambda m: self.role(m[1], page), text)

    def apply(self, text: str, page: Page) -> str:
        "Markdown with its links made, outside fenced code"
        parts, end = [], 0
        for start, stop in [*(m.span() for m in FENCE.finditer(text)), (len(text), len(text))]:
            parts += ["\n".join(self.line(line, page) for line in text[end:start].split("\n")), text[start:stop]]
            end = stop
        return "".join(parts)


def header(page: Page) -> str:
    "Title, description, and the ways to the notebook"
    name, what = title(page.notebook)
    colab = on_github(page.path).replace("https://github.com/", "https://colab.research.google.com/github/")
    return f"# {name}\n\n*{what}*\n\n[Open in Colab]({colab}) · [Notebook on GitHub]({on_github(page.path)})"


def code_cells(cell: NotebookNode, page: Page, links: Links) -> list[NotebookNode]:
    "A code cell without its directives, and the entries of what it exports; nothing for a hidden cell"
    found = directives(cell)
    if {"hide", "default_exp"} & found.keys() or found.get("include") == "false":
        return []
    shown = new_code_cell(DIRECTIVE.sub("", cell.source).strip("\n"), outputs=cell.outputs)
    classes = {"export": is_exported(cell), "remove-input": found.get("echo") == "false"}
    shown.metadata.tags = [name for name, on in classes.items() if on]
    return [shown, *(new_markdown_cell(entry(node, cell.source, page, links)) for node in definitions(cell))]


def convert(page: Page, links: Links, last: str = "") -> str:
    "The MyST notebook of a page, with `last` as its last cell"
    cells = [new_markdown_cell(links.apply(header(page), page))]
    for cell in page.notebook.cells[1:]:
        if cell.cell_type == "markdown":
            cells.append(new_markdown_cell(links.apply(cell.source, page)))
        elif cell.cell_type == "code":
            cells += code_cells(cell, page, links)
    cells.append(new_markdown_cell(last))
    for i, cell in enumerate(cells):
        cell.id = f"c{i}"
    return nbformat.writes(new_notebook(cells=cells, metadata=METADATA))


def toctree(caption: str, entries: list[str]) -> str:
    "A group of the sidebar"
    return directive("toctree", "", {"hidden": "", "caption": caption}, "\n".join(entries))


def front_page(parts: dict[str, list[Page]], links: Links) -> str:
    "`index.ipynb` with the sidebar: pages about the book, then its parts"
    about = ["architecture"] * (ROOT / "ARCHITECTURE.md").exists() + ["equations", "Index of names <genindex>"]
    groups = [toctree("The book", about)]
    groups += [toctree(caption, [page.address for page in pages]) for caption, pages in parts.items()]
    page = convert(FRONT, links, "\n\n".join(groups))
    return re.sub(r"\[!\[(.*?)\]\(.*?\)\]\(", r"[\1](", page)  # a badge is loaded from elsewhere; its words are not


def equation_row(equation: Equation, page: Page, links: Links) -> str:
    "One row of the table of equations"
    number = f'<a href="{page.address}.html#eq-{equation.tag}">{equation.tag}</a>'
    code = ", ".join(links.role(name, page) for name in equation.symbols)
    check = re.sub(r"(`[^`]*`)|([*<$])", lambda m: m[1] or "\\" + m[2], equation.check)  # a comment, not Markdown
    row = [number, f"$$\n{equation.tex}\n$$", code, links.apply(check, page), links.apply(equation.source, page)]
    return "\n".join(f"{'  -' if i else '* -'} {cell}".replace("\n", "\n    ") for i, cell in enumerate(row))


def equations_page(parts: dict[str, list[Page]], links: Links) -> str:
    "All numbered equations, each with what implements, checks and justifies it"
    text = ["---\nhtml_theme.sidebar_secondary.remove: true\n---", "# Equations"]
    text += ["Every numbered equation of the book, the code that computes it, the check that holds it, and its source."]
    head = "* - number\n  - equation\n  - code\n  - check\n  - source"
    options = {"header-rows": "1", "class": "equations", "widths": "6 40 16 20 18"}
    for caption, pages in parts.items():
        numbered = {page: found for page in pages if (found := equations(ROOT / page.path))}
        text += [f"## {caption}"] * bool(numbered)
        for page, found in numbered.items():
            rows = "\n".join([head, *(equation_row(equation, page, links) for equation in found)])
            name = f"### [{title(page.notebook)[0]}](/{page.address}.ipynb)"
            text += [name, directive("list-table", "", options, rows)]
    return "\n\n".join(text) + "\n"


# --- Build -----------------------------------------------------------------------------------------------------------


def sources() -> dict[str, bytes]:
    "The sources of the site: file name and content"
    if not (ROOT / FRONT.path).exists():
        raise SystemExit("index.ipynb is missing: it is the front page")
    parts = book()
    pages = [page for group in parts.values() for page in group]
    links = Links([FRONT, *pages])
    files = {"index.ipynb": front_page(parts, links), "equations.md": equations_page(parts, links)}
    if (plan := ROOT / "ARCHITECTURE.md").exists():
        files["architecture.md"] = links.apply(plan.read_text(encoding="utf-8"), Page(Path(plan.name)))
    for page in pages:
        if f"{page.address}.ipynb" in files:
            raise SystemExit(f"{page.path}: another notebook has the same address, {page.address}.html")
        files[f"{page.address}.ipynb"] = convert(page, links)
    images = {path: (ROOT / path).read_bytes() for path in links.images}
    return {name: text.encode() for name, text in files.items()} | images


def stage() -> tuple[int, int]:
    "Write the sources that changed and remove those that are gone; returns how many pages there are and changes"
    files = {STAGE / name: content for name, content in sources().items()}
    gone = [path for path in STAGE.rglob("*") if path.is_file() and path not in files]
    changed = [path for path, content in files.items() if not path.exists() or path.read_bytes() != content]
    for path in gone:
        path.unlink()
    for path in changed:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(files[path])
    return sum(path.suffix in (".ipynb", ".md") for path in files), len(gone) + len(changed)


def build() -> int:
    "Build the whole site into `_docs`, and return the exit code of Sphinx"
    start = time.time()
    shutil.rmtree(STAGE, ignore_errors=True)
    shutil.rmtree(OUT, ignore_errors=True)
    count, _ = stage()
    code = subprocess.run([sys.executable, "-m", "sphinx", "--fail-on-warning", "--keep-going", *SPHINX]).returncode
    if not code:
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.move(OUT / "html", SITE)
        print(f"{count} pages in {time.time() - start:.0f} s: {SITE / 'index.html'}")
    return code


def watched() -> dict[Path, float]:
    "Notebooks and pages at the root, and when each was saved"
    paths = [ROOT / FRONT.path, ROOT / "ARCHITECTURE.md", *(ROOT / "nbs").rglob("*.ipynb")]
    return {path: path.stat().st_mtime for path in paths if path.exists()}


def serve(port: int) -> int:
    "Serve the site on localhost; what is saved is staged again, and sphinx-autobuild sees that and reloads the page"
    seen = watched()
    stage()
    server = subprocess.Popen([sys.executable, "-m", "sphinx_autobuild", "--port", str(port), *SPHINX])
    try:
        while server.poll() is None:
            time.sleep(0.5)
            if (now := watched()) != seen:
                saved = [path.relative_to(ROOT).as_posix() for path, _ in sorted(now.items() ^ seen.items())]
                seen = now
                try:
                    print(f"saved: {', '.join(dict.fromkeys(saved))}; {stage()[1]} files change", flush=True)
                except (Exception, SystemExit) as error:  # a notebook in the middle of an edit must not end the server
                    print(f"not rebuilt: {error}", file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        pass
    finally:
        server.terminate()
        server.wait()
    return 0


def main() -> int:
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--serve", action="store_true", help="serve on localhost and rebuild on every save")
    ap.add_argument("--port", type=int, default=8000, help="for --serve")
    a = ap.parse_args()
    return serve(a.port) if a.serve else build()


if __name__ == "__main__":
    sys.exit(main())
