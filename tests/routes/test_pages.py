# SPDX-License-Identifier: EUPL-1.2
"""Lists in pages, each of which names the next one in its `Link` (ESA-KV-011, RFC 8288)."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.routes.driver import Answer, Application
from vault.storage.sqlite.storage import SqliteStorage

NAMES = [
    "a b",
    "a+b",
    "a%20b",
    "é",
    "e\u0301",
    "x" * 300,
    "y,z",
    'q"q',
    "k&l=m",
    "~",
    "-0",
    "a/b",
    "a/c",
    "d/e",
]
DIRECT = sorted({name.partition("/")[0] + ("/" if "/" in name else "") for name in NAMES}, key=str.encode)
_LINK = re.compile(r'<(\?[A-Za-z0-9_=&-]+)>; rel="next"')


@pytest.fixture
def filled(application: Application) -> Application:
    """A folder with names of every kind."""
    for name in NAMES:
        _write(application, f"f/{name}")
    return application


def _write(server: Application, name: str) -> None:
    path = "".join(f"%{byte:02X}" if chr(byte) != "/" else "/" for byte in name.encode())
    assert server.request("POST", f"/v1/secret/data/{path}", {"data": {}}, token="root").status == 200


def _page(server: Application, query: str, how: str = "LIST", at: str = "metadata/f/", **more: str) -> Answer:
    headers: Mapping[str, str] = {name.replace("_", "-"): value for name, value in more.items()}
    return server.request(how, f"/v1/secret/{at}{query}", token="root", headers=headers)


def _next(answer: Answer) -> str:
    found = _LINK.fullmatch(answer.headers["link"])
    assert found is not None, answer.headers["link"]
    return found[1]


@pytest.mark.parametrize("how", ["LIST", "GET"])
@pytest.mark.parametrize("at", ["metadata/f/", "detailed-metadata/f/"])
@pytest.mark.parametrize("limit", [1, 3, len(DIRECT) - 1, len(DIRECT)])
def test_pages_lead_to_each_name_once_and_the_last_to_none(
    filled: Application, how: str, at: str, limit: int
) -> None:
    query, seen, pages = f"?{'list=true&' if how == 'GET' else ''}limit={limit}", list[str](), 0
    while True:
        answer = _page(filled, query, how, at)
        assert (answer.status, answer.json()["warnings"]) == (200, None)
        keys = answer.json()["data"]["keys"]
        seen, pages = [*seen, *keys], pages + 1
        _write(filled, f"f/{keys[-1].rstrip('/!')}!")  # what comes meanwhile moves nothing
        if "link" not in answer.headers:
            break
        assert len(keys) == limit
        query = _next(answer)
    assert [name for name in seen if not name.endswith("!")] == DIRECT
    assert len({*seen}) == len(seen)


def test_what_is_opened_so_deep_comes_in_pages_too(filled: Application) -> None:
    for depth, wanted in ((1, DIRECT), (2, sorted(NAMES, key=str.encode))):
        for at in ("metadata/f/", "detailed-metadata/f/"):
            query, seen = f"?scan=true&depth={depth}&limit=4", list[str]()
            while query:
                answer = _page(filled, query, "GET", at)
                seen += answer.json()["data"]["keys"]
                query = _next(answer) if "link" in answer.headers else ""
            assert seen == wanted


def test_without_a_limit_and_at_the_end_no_page_is_named(filled: Application) -> None:
    for query in ("", "?limit=0", "?limit=-1", "?limit=100", f"?limit={1 << 62}", f"?limit={(1 << 63) - 1}"):
        answer = _page(filled, query)
        assert (answer.status, "link" in answer.headers) == (200, False), query
        assert answer.json()["data"]["keys"] == DIRECT
    assert "link" not in _page(filled, "?limit=2", "SCAN").headers
    assert _page(filled, "?limit=2&after=~~").status == 200
    beyond = _page(filled, "?limit=2&after=\U0010ffff".replace("\U0010ffff", "%F4%8F%BF%BF"))
    assert (beyond.status, "link" in beyond.headers) == (404, False)


@pytest.mark.parametrize("cursor", ["%20", "a", "=", "%C3%A9", "____", "gICA", "a" * 4097, "YQ%3D%3D%3D"])
def test_what_is_no_cursor_is_refused_without_being_repeated(filled: Application, cursor: str) -> None:
    answer = _page(filled, f"?limit=2&cursor={cursor}")
    assert (answer.status, answer.json()["errors"]) == (400, ["cursor is none of a list"])


def test_a_cursor_beside_after_is_refused(filled: Application) -> None:
    query = _next(_page(filled, "?limit=2"))
    answer = _page(filled, f"{query}&after=b")
    assert (answer.status, answer.json()["errors"]) == (400, ["cursor and after mean different pages"])


def test_a_rules_limit_names_the_next_page(filled: Application) -> None:
    policy = 'path "secret/metadata/*" { capabilities = ["list"]\n pagination_limit = 4 }'
    token = filled.token(policy)
    query, seen = "", list[str]()
    for _ in DIRECT:
        answer = filled.request("LIST", f"/v1/secret/metadata/f/{query}", token=token)
        seen += answer.json()["data"]["keys"]
        if "link" not in answer.headers:
            break
        query = _next(answer)
        assert query.endswith("&limit=4")
    assert seen == DIRECT


FILTERED = """
path "secret/metadata/*" {
  capabilities = ["list"]
  list_scan_response_keys_filter_path = "{{ .path }}{{ .key }}"
}
path "secret/metadata/f/q*" { capabilities = ["read"] }
"""


def test_no_page_is_named_where_names_are_hidden(filled: Application) -> None:
    for token, lines in ((filled.token(FILTERED), {}), ("root", {"x-vault-list-filter": "readable"})):
        query = "?limit=2&after=k%26l%3Dm"
        answer = filled.request("LIST", f"/v1/secret/metadata/f/{query}", token=token, headers=lines)
        assert answer.json()["data"]["keys"][0] == 'q"q', answer.body
        assert "link" not in answer.headers
        plain = filled.request("LIST", f"/v1/secret/metadata/f/{query}", token="root")
        assert "link" in plain.headers


def test_the_largest_limit_is_one(tmp_path: Path) -> None:
    with Application(SqliteStorage.open(tmp_path / "db")) as server:
        _write(server, "f/a")
        answer = _page(server, f"?limit={(1 << 63) - 1}")
        assert (answer.status, answer.json()["data"]["keys"]) == (200, ["a"])


def test_a_wrapped_page_names_none_outside(filled: Application) -> None:
    answer = _page(filled, "?limit=2", x_vault_wrap_ttl="60")
    assert (answer.status, "link" in answer.headers) == (200, False)


def test_a_cursor_is_a_name_and_stands_in_no_record(filled: Application) -> None:
    query = _next(_page(filled, "?limit=7"))
    cursor = query.partition("cursor=")[2].partition("&")[0]
    filled.records()
    assert _page(filled, query).status == 200
    assert cursor not in str(filled.records()) + str(filled.logged())
