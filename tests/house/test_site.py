# SPDX-License-Identifier: EUPL-1.2
"""The site is made of the documents, all of them, without a link that leads nowhere, and asks no other server for anything."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.tree import ROOT

_FROM_ELSEWHERE = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["'](?:https?:)?//""")


def _made(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", source / "docs", source, target],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = _made(ROOT, target)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return target


def test_each_document_is_a_page_and_is_found(site: Path) -> None:
    index = (site / "searchindex.js").read_text()
    pages = [path.relative_to(ROOT).with_suffix("") for path in sorted(ROOT.glob("docs/**/*.md"))]
    assert len(pages) > 60
    for page in pages:
        assert (site / page).with_suffix(".html").is_file(), page
        assert f'"{page}"' in index, page


def test_no_code_is_marked_as_wrong(site: Path) -> None:
    """Stanzas of our configuration were red, each of them: the lexer of that name knows Terraform's words."""
    pages = [page for page in site.glob("**/*.html") if (text := page.read_text()) and 'class="err"' in text]
    assert pages == []
    assert '<span class="s2">' in (site / "docs" / "first-day.html").read_text()


def test_nothing_is_asked_of_other_servers(site: Path) -> None:
    pages = list(site.glob("docs/**/*.html"))
    assert not [str(page) for page in pages if _FROM_ELSEWHERE.search(page.read_text())]
    assert _FROM_ELSEWHERE.search('<script async src="https://cdn.example/x.js">')


def test_pages_that_are_made_elsewhere_are_led_to(site: Path) -> None:
    assert (
        'href="../api-spec/reports/1.0/comparison.html"' in (site / "docs" / "conformance.html").read_text()
    )
    assert 'href="spec.html"' in (site / "api-spec" / "README.html").read_text()
    for page in ("api-spec/spec.html", "api-spec/reports/1.0/comparison.html"):
        assert (site / page).read_bytes() == (ROOT / page).read_bytes()
    assert "url=docs/index.html" in (site / "index.html").read_text()


def test_links_that_lead_nowhere_are_refused(tmp_path: Path) -> None:
    nowhere = ["[a](none.md)", "[b](#none)", "[c](index.md#none)", "![d](none.png)"]
    (tmp_path / "docs" / "site").mkdir(parents=True)
    (tmp_path / "api-spec").mkdir()
    for name in ("docs/conf.py", "api-spec/spec.html"):
        shutil.copyfile(ROOT / name, tmp_path / name)
    (tmp_path / "docs" / "index.md").write_text("\n\n".join(["# Title", *nowhere, "[e](#title)"]))
    done = _made(tmp_path, tmp_path / "out")
    assert done.returncode != 0
    lines = [int(line) for line in re.findall(r"index\.md:(\d+): WARNING", done.stderr)]
    assert sorted(lines) == [3, 5, 7, 9], done.stderr
