"""Sphinx configuration; `tools/build_docs.py` writes the sources that it is used on."""

import re
import sys
from configparser import ConfigParser
from pathlib import Path

from docutils import nodes
from pygments.lexers.special import TextLexer
from sphinx import addnodes

sys.path.insert(0, str(Path(__file__).parent))

_ini = ConfigParser(delimiters=["="])
_ini.read(Path(__file__).parents[1] / "settings.ini", encoding="utf-8")
_c = _ini["DEFAULT"]

project, author, copyright, release = _c["title"], _c["author"], _c["copyright"], _c["version"]
extensions = ["myst_nb", "sphinx_copybutton", "sphinx-mathjax-offline", "site_check"]

nb_execution_mode = "off"  # outputs are those stored in the notebooks
nb_merge_streams = True
myst_enable_extensions = ["dollarmath", "amsmath"]
myst_heading_anchors = 3
nitpicky = True
nitpick_ignore_regex = [("py:class", ".*")]  # types in signatures are mostly those of other libraries
suppress_warnings = ["mystnb.unknown_mime_type", "ref.python"]

smartquotes = False  # comments quote Python strings
add_module_names = False
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "sphinx_book_theme"
html_title = project
html_theme_options = {
    "repository_url": _c["git_url"],
    "repository_branch": _c["branch"],
    "use_repository_button": True,
    "use_issues_button": True,
    "use_download_button": False,  # the pages link to the notebooks themselves
    "use_fullscreen_button": False,
    "show_toc_level": 2,
    "navbar_persistent": [],  # the search field of the sidebar is the only one
    "navigation_with_keys": False,
}
html_static_path = ["_static"]
html_css_files = ["phoenix.css"]
html_js_files = ["phoenix.js"]
html_show_sourcelink = False
html_copy_source = False


def anchor_equations(doctree: nodes.document) -> None:
    r"Hand displayed math to MathJax as written (Sphinx wraps it so that `\tag` fails), with its number as anchor"
    for block in doctree.findall(nodes.math_block):
        tex = block.astext()
        block["ids"] += [f"eq-{tag}" for tag in re.findall(r"\\tag\{([^}]*)\}", tex)]
        if not block.get("nowrap"):  # which MyST sets for an environment that stands without dollars
            block.children = [nodes.Text(rf"\[{tex}\]")]
        block["nowrap"], block["number"] = True, None


def anchor_names(doctree: nodes.document) -> None:
    "Give each API entry the short anchor that nbdev's index has for it"
    for signature in doctree.findall(addnodes.desc_signature):
        short = signature["fullname"].lower()
        if short not in doctree.ids:
            signature["ids"].append(short)


def setup(app) -> None:
    app.add_lexer("mermaid", TextLexer)  # diagrams are shown as text: drawing them needs a script from elsewhere
    app.connect("doctree-read", lambda app, doctree: (anchor_equations(doctree), anchor_names(doctree)))
