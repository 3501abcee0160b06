# SPDX-License-Identifier: EUPL-1.2
"""How Sphinx makes the site (`make docs`): of the documents of this repository, each where it is."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from docutils import nodes
from pygments.lexers.shell import BashLexer  # type: ignore[import-untyped] # it has no types
from sphinx.addnodes import download_reference

if TYPE_CHECKING:
    from sphinx.application import Sphinx

project = "Coffre"
author = "the authors of Coffre"
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
include_patterns = ["*.md", "docs/**.md", "api-spec/**.md"]
exclude_patterns = ["api-spec/spec/**"]  # chapters of one page, api-spec/spec.html
root_doc = "docs/index"
nitpicky = True
myst_heading_anchors = 4

html_theme = "furo"
html_title = "Coffre"
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_extra_path = ["site"]

_ROOT = Path(__file__).parent.parent
_PAGES = (
    "api-spec/spec.html",
    *(str(path.relative_to(_ROOT)) for path in _ROOT.glob("api-spec/reports/**/*.html")),
)
"""Pages that are made elsewhere. They lie in the site where they lie in the repository."""


def _link_pages(_app: Sphinx, doctree: nodes.document, _name: str) -> None:
    """Let a link to a page lead to it: for the parser it is a file to keep."""
    for found in list(doctree.findall(download_reference)):
        if found["reftarget"].endswith(".html"):
            found.replace_self(nodes.reference("", "", *found.children, refuri=found["reftarget"]))


def _copy_pages(app: Sphinx, failure: Exception | None) -> None:
    for page in _PAGES if failure is None else ():
        target = Path(app.outdir) / page
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(_ROOT / page, target)


def setup(app: Sphinx) -> dict[str, bool]:
    """See `sphinx.application.Sphinx.setup_extension`."""
    app.add_lexer(
        "hcl", BashLexer
    )  # that for HCL knows Terraform's words alone; strings and comments are a shell's
    app.connect("doctree-resolved", _link_pages)
    app.connect("build-finished", _copy_pages)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
