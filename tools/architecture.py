"""Who imports whom in the package, read from its source: a figure and a table for ARCHITECTURE.md."""

import ast
import re
import shutil
from collections import Counter
from pathlib import Path
from textwrap import fill

ABOVE = ("demo", "cli")  # modules that may import every part
FIGURE = "docs/_static/architecture.svg"
MARKERS = re.compile(r"(<!-- imports -->\n).*(<!-- /imports -->)", re.S)


def part_of(module: str) -> str:
    "The part that `phoenix.x.y` belongs to: x if it is a folder, itself if it stands above all parts, else the commons"
    names = module.split(".")
    return names[1] if len(names) > 2 or names[1] in ABOVE else "commons"


def imports(path: Path, module: str) -> set[str]:
    "Modules of the package that the file at `path` imports, as dotted names"
    base, found = module.split("."), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            found.add(".".join([*base[: len(base) - node.level], *(node.module or "").split(".")]).rstrip("."))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("phoenix."):
            found.add(node.module)
    return found


def graph(root: Path) -> dict[str, set[str]]:
    "Module -> modules that it imports, for every exported module (package `__init__`s left out)"
    modules = {}
    for path in sorted((root / "phoenix").rglob("*.py")):
        if path.name not in ("__init__.py", "_modidx.py"):
            name = ".".join(path.relative_to(root).with_suffix("").parts)
            modules[name] = imports(path, name)
    return modules


def table(modules: dict[str, set[str]], order: list[str]) -> str:
    "A Markdown table of the modules in the order of the parts, and what each imports"
    rows = ["| module | imports |", "|---|---|"]
    for name in sorted(modules, key=lambda m: (order.index(part_of(m)), m)):
        rows.append(f"| `{name}` | {', '.join(f'`{m}`' for m in sorted(modules[name])) or '(torch alone)'} |")
    return "\n".join(rows)


def figure(modules: dict[str, set[str]], order: list[str], path: Path) -> None:
    "Draw the parts from top to bottom, with an arrow from each to those it imports, as wide as the imports are many"
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    plt.rcParams["svg.hashsalt"] = "phoenix"  # the same picture gives the same bytes
    parts = [p for p in order if any(part_of(m) == p for m in modules)]
    edges = Counter((part_of(m), part_of(i)) for m, found in modules.items() for i in sorted(found))
    fig, ax = plt.subplots(figsize=(9, 0.9 * len(parts) + 0.4), constrained_layout=True)
    for y, part in enumerate(parts):
        names = fill(", ".join(m.split(".")[-1] for m in modules if part_of(m) == part), 90)
        ax.text(0.3, -y, part, weight="bold", va="center", ha="right", size=11)
        ax.text(0.38, -y, names, va="center", size=9, bbox=dict(boxstyle="round,pad=0.5", fc="#fff3e0", ec="#e65100"))
    for (a, b), count in edges.items():
        if a != b:
            ya, yb = -parts.index(a), -parts.index(b)
            bend = dict(arrowstyle="-|>", lw=0.6 + 0.25 * count, color="#455a64", connectionstyle=f"arc3,rad={-0.35}")
            ax.annotate("", (0.16, yb - 0.1), (0.16, ya + 0.1), arrowprops=bend)
    ax.set(xlim=(0, 1.6), ylim=(-len(parts) + 0.4, 0.5))
    ax.axis("off")
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(path.name + ".part")
    fig.savefig(draft, format="svg", metadata={"Date": None})
    plt.close(fig)
    shutil.move(draft, path)


def write(root: Path, folders: list[str]) -> None:
    "Draw the figure and write the table between the markers of ARCHITECTURE.md; `folders` are the parts in order"
    modules, order, page = graph(root), ["commons", *folders, *ABOVE], root / "ARCHITECTURE.md"
    figure(modules, order, root / FIGURE)
    text = MARKERS.sub(lambda m: f"{m[1]}\n{table(modules, order)}\n\n{m[2]}", page.read_text(encoding="utf-8"))
    page.write_text(text, encoding="utf-8")
