"""Sphinx extension: the finished pages have no dead link, load nothing from elsewhere and show no raw markup."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sphinx.util import logging

LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "link": "href"}
QUIET = {"pre", "code", "script", "style", "textarea"}
RAW = re.compile(r"\{target=|:::|#\||\$\$|\{py:|\{doc\}|```|\[`|^> ", re.M)


class Reader(HTMLParser):
    "Collects the anchors, links, loaded files and visible text of one page"

    def __init__(self, path: Path):
        super().__init__()
        self.ids: set[str] = set()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.text, self._quiet = [], 0
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self._quiet += tag in QUIET
        self.ids |= {a[k] for k in ("id", "name") if a.get(k)}
        if tag == "a" and a.get("href"):
            self.links.add(a["href"])
        if (target := a.get(LOADED.get(tag, ""))) and a.get("rel") not in ("search", "index", "next", "prev"):
            self.loads.add(target)

    def handle_endtag(self, tag):
        self._quiet -= tag in QUIET

    def handle_data(self, data):
        if not self._quiet:
            self.text.append(data)


def problems(site: Path) -> list[str]:
    "What is wrong with the pages beneath `site`, one line each"
    read = {path.resolve(): Reader(path) for path in sorted(site.rglob("*.html")) if "_static" not in path.parts}
    found = []
    for path, page in read.items():
        name = path.relative_to(site.resolve()).as_posix()
        found += [f"{name}: raw markup is visible: {text.strip()[:80]!r}" for text in page.text if RAW.search(text)]
        for target in sorted(page.links | page.loads):
            url = urlsplit(target)
            if url.scheme or url.netloc:
                if target in page.loads and url.scheme != "data":
                    found.append(f"{name}: loads {target} from elsewhere")
                continue
            file = (path.parent / unquote(url.path)).resolve() if url.path else path
            anchor = unquote(url.fragment)
            if not file.exists() or (anchor and file in read and anchor not in read[file].ids):
                found.append(f"{name}: dead link {target}")
    return found


def check(app, exception) -> None:
    "Report each problem as a warning of the build"
    if exception is None and app.builder.format == "html":
        for problem in problems(Path(app.outdir)):
            logging.getLogger(__name__).warning(problem)


def setup(app) -> dict:
    # after the files of MathJax have been copied
    app.connect("build-finished", check, priority=900)
    return {"parallel_read_safe": True}
