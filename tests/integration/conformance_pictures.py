# SPDX-License-Identifier: EUPL-1.2
"""The pictures of `docs/conformance.md`: `python -m tests.integration.conformance_pictures` draws them anew.

`docs/images/esa-*.png` are the text (how it begins, requirements, how implementations differ), the report of each
implementation and both side by side: wide and narrow, light and dark. `make conformance` comes first.
"""

import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.api_spec.implementations import REPORTS
from tests.api_spec.requirements import FOLDER as SPECIFICATION
from tests.house.tree import ROOT
from tests.integration.openid import visit
from tests.integration.small_png import small

FOLDER = ROOT / "docs" / "images"
WIDTHS = (1280, 390)
_DIFFERENCES = '<h2 id="annex-e.where-they-differ">'
_TALLEST = 1300
"""Pixels of a picture from its top: further rows say nothing new."""


def draw(folder: Path) -> None:
    """Draw all pictures."""
    with tempfile.TemporaryDirectory() as home:
        for name, text in pages().items():
            place = Path(home) / f"{name}.html"
            place.write_text(text, encoding="utf-8")
            for width in WIDTHS:
                for dark in (False, True):
                    visit(place.as_uri(), folder=Path(home), width=width, dark=dark, pictures=True)
                    picture = small((Path(home) / "1.png").read_bytes(), _TALLEST)
                    (folder / f"esa-{name}-{width}-{'dark' if dark else 'light'}.png").write_bytes(picture)


def pages() -> Mapping[str, str]:
    """By the name of a picture the page that it is of: the text is long, so a part of it stands alone."""
    whole = (SPECIFICATION / "spec.html").read_text(encoding="utf-8")
    head, _, _ = whole.partition("<main>")
    bare = head[: head.index("<header")]
    found = {
        "text": head,
        "requirements": bare + _article(whole, "chapter-8"),
        "differences": f"{bare}<h2>{_article(whole, 'annex-e').partition(_DIFFERENCES)[2]}",
        "comparison": (REPORTS / "comparison.html").read_text(encoding="utf-8"),
    }
    for path in sorted(REPORTS.glob("*/*/report.html")):
        found[path.parts[-3]] = path.read_text(encoding="utf-8")
    return found


def _article(whole: str, name: str) -> str:
    """A chapter or an annex of the text."""
    found = re.search(rf'<article id="{name}">.*?</article>', whole, re.DOTALL)
    assert found, f"{name} is not there"
    return found[0]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    draw(FOLDER)
    sys.stdout.write(
        "".join(f"{one.name}: {one.stat().st_size} bytes\n" for one in sorted(FOLDER.glob("esa-*")))
    )
