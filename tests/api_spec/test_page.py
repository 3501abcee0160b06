# SPDX-License-Identifier: EUPL-1.2
"""The page has all that there is to say, leads nowhere that is not there, and needs nothing but itself."""

import json
import re
from collections import Counter
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Final

import pytest

from tests.api_spec.members import members, schema
from tests.api_spec.operations import ALL, NONE, operations, profiles
from tests.api_spec.page import TEXT, BadText, ordered, page
from tests.api_spec.pieces import UnknownPiece, piece, worded
from tests.api_spec.requirements import FOLDER, registry, requirements
from vault.log.schema import RECORD_SCHEMA

_PRODUCTS: Final = re.compile(r"Coffre|OpenBao|Vault\b(?!-)|HashiCorp|STACKIT|OVH|Biscuit", re.IGNORECASE)
_CAPITALS: Final = re.compile(r"\b(?:MUST|SHOULD|MAY)\b")
_EXPLAINED: Final = {"02-terms.md", "15-conformance.md"}
"""Files that speak of these words."""
_ROUTE: Final = re.compile(r"`((?:GET|POST|LIST|DELETE|PATCH) /v1/\S+)`")
_EMPTY: Final = frozenset({"meta", "br", "hr", "img", "link"})


class _Outline(HTMLParser):
    """What of a page matters here: its ids, where its links lead, and whether what is opened is closed."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.words: list[str] = []
        self.tags: list[str] = []
        self.attributes: set[str] = set()
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.attributes |= given.keys()
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id" and value]
        self.links += [given["href"] or ""] if "href" in given else []
        if tag not in _EMPTY:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.words.append(data)


@pytest.fixture(scope="module")
def html() -> str:
    return page()


@pytest.fixture(scope="module")
def outline(html: str) -> _Outline:
    return _Outline(html)


def test_every_requirement_stands_there_once(outline: _Outline) -> None:
    ids = Counter(outline.ids)
    assert [each for each, count in ids.items() if count > 1] == []
    assert {each.id for each in requirements()} == {each for each in ids if each.startswith("ESA-")}


def test_every_link_leads_to_a_place_on_the_page(outline: _Outline) -> None:
    assert len(outline.links) > 500
    assert {link for link in outline.links if link.removeprefix("#") not in outline.ids} == set()


def test_the_page_needs_no_script_and_nothing_from_elsewhere(html: str, outline: _Outline) -> None:
    assert {"script", "img", "link", "iframe"}.isdisjoint(outline.tags)
    assert {name for name in outline.attributes if name.startswith("on") or name in {"src", "style"}} == set()
    assert re.search(r"@import|url\(", html) is None


@pytest.mark.parametrize("name", ["bindings", "crypto-suites", "features", "problems", "profiles"])
def test_every_registered_name_stands_there(outline: _Outline, name: str) -> None:
    assert {each["name"] for each in registry(name)} <= set(outline.words)


def test_every_event_stands_there(html: str) -> None:
    shown = {
        f"{area}.{name}"
        for area, names in re.findall(
            r"<tr><td><code>(esa\.\w+)</code></td><td>[^<]*</td><td>(.*?)</td>", html
        )
        for name in re.findall(r"<code>([\w.]+)</code>", names)
    }
    assert shown == set(registry("events")["events"])


@pytest.mark.parametrize("name", ["discovery", "problem", "log-record", "manifest", "report"])
def test_every_member_of_a_schema_stands_there_and_one_of_a_record_has_a_meaning(name: str) -> None:
    listed = [path for path, _, _ in members(schema(name))]
    rows = dict(
        re.findall(r"<tr><td><code>([^<]+)</code></td>.*<td>(.*?)</td></tr>", piece(f"schema {name}"))
    )
    assert list(rows) == listed
    assert len(listed) > 8
    if name == "log-record":
        assert RECORD_SCHEMA["properties"].keys() <= set(listed)
        assert [path for path, meaning in rows.items() if not meaning] == []


def test_every_schema_has_a_section() -> None:
    text = (TEXT / "annex-c-schemas.md").read_text(encoding="utf-8")
    shown = re.findall(r"^\{\{schema (.+)\}\}$", text, re.MULTILINE)
    assert sorted(shown) == sorted(path.stem for path in (FOLDER / "schemas").glob("*.json"))


def test_every_route_that_the_text_names_is_one_of_the_server() -> None:
    named = {route for path in ordered() for route in _ROUTE.findall(path.read_text(encoding="utf-8"))}
    lines = (FOLDER / "routes.txt").read_text(encoding="utf-8").splitlines()
    served = {f"{verb} {re.sub(r'{[^}]*}', 'X', path)}" for path, verb, *_ in map(str.split, lines)}
    placed = {route.replace("MOUNT", "secret").replace("KEYS", "transit") for route in named}
    spelled = {re.sub(r"\b(?:PATH|NAME|LOG|SEQ|KIND)\b", "X", route) for route in placed}
    assert len(spelled) > 30
    assert spelled - served == set()


def test_the_text_names_no_product_and_prose_has_no_words_of_requirement() -> None:
    for path in ordered():
        prose = re.sub(r"`[^`]*`|X-Vault-\w+", "", path.read_text(encoding="utf-8"))
        assert _PRODUCTS.search(prose) is None, path.name
        assert path.name in _EXPLAINED or _CAPITALS.search(prose) is None, path.name


def test_every_test_vector_stands_there(html: str) -> None:
    said = json.loads((FOLDER / "vectors" / "log.json").read_text(encoding="utf-8"))
    values = [each for value in said.values() for each in (value if isinstance(value, list) else [value])]
    assert len(values) == 22
    assert [value for value in values if f"<code>{escape(value)}</code>" not in html] == []


def test_every_operation_of_the_server_stands_in_the_annex() -> None:
    text = (TEXT / "annex-b-operations.md").read_text(encoding="utf-8")
    assert re.findall(r"^\{\{operations (.+)\}\}$", text, re.MULTILINE) == [ALL, *profiles(), NONE]
    whole = json.loads((FOLDER / "openapi.json").read_text(encoding="utf-8"))["paths"]
    served = {(path, method.upper()) for path, item in whole.items() for method in item}
    shown = [key for name in (ALL, *profiles(), NONE) for key in operations(name)]
    assert set(shown) == served
    assert len(operations(ALL)) > 2
    assert not set(operations(ALL)) & set(operations("kv-consume"))


@pytest.mark.parametrize("name", [ALL, "kv-consume", NONE])
def test_every_path_of_a_section_is_shown(name: str) -> None:
    shown = re.findall(r"<code>(/[^<]+)</code>", piece(f"operations {name}"))
    assert set(shown) == {path for path, _ in operations(name)}


def test_every_declared_value_of_discovery_is_listed_with_a_requirement() -> None:
    text = (TEXT / "annex-c-schemas.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\|[^|]*\| `([\w.]+)` \| ESA-", text, re.MULTILINE))
    known = {path for path, _, _ in members(schema("discovery"))}
    assert listed <= known
    assert {path for path in known if path.startswith("limits.")} <= listed


def test_every_outcome_of_a_test_is_explained() -> None:
    text = (TEXT / "15-conformance.md").read_text(encoding="utf-8")
    outcomes = {
        one
        for path, each, _ in members(schema("report"))
        if path == "tests[].outcome"
        for one in each["enum"]
    }
    assert len(outcomes) == 9
    assert set(re.findall(r"^\| ([a-z-]+) \|", text, re.MULTILINE)) == outcomes | {"outcome"}


def test_a_piece_that_nobody_knows_is_refused() -> None:
    for marker in ("ESA-KV-999", "index again", "schema", "operations poem", "poem"):
        with pytest.raises(UnknownPiece):
            piece(marker)


def test_a_link_to_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "front.md").write_text("# A\n\n[b](00-nothing.md)\n")
    with pytest.raises(BadText, match=r"00-nothing\.md"):
        page(tmp_path)


def test_headings_are_numbered_and_names_of_requirements_lead_to_them(tmp_path: Path) -> None:
    (tmp_path / "front.md").write_text("# Title\n")
    (tmp_path / "02-two.md").write_text(
        "# Two\n\n## First thing\n\nSee ESA-KV-001, `ESA-KV-002`, <b>, `X-ns`.\n"
    )
    (tmp_path / "annex-b-more.md").write_text("# More\n\n## Part\n")
    made = page(tmp_path)
    assert '<h2 id="chapter-2.first-thing">2.1  First thing</h2>' in made
    assert 'See <a href="#ESA-KV-001">ESA-KV-001</a>, <code>ESA-KV-002</code>, &lt;b&gt;, ' in made
    assert '<a href="#profile-X-ns"><code>X-ns</code></a>.' in made
    assert "<h1>Annex B  More</h1>" in made
    assert '<a href="#annex-b.part">B.1 Part</a>' in made


def test_words_of_requirement_are_set_off_and_features_are_linked() -> None:
    assert worded("It SHOULD be; with [etag] it MUST NOT.") == (
        'It <strong>SHOULD</strong> be; with <a href="#feature-etag">etag</a> it <strong>MUST NOT</strong>.'
    )
