# SPDX-License-Identifier: EUPL-1.2
"""What pages make of answers that are rare in life: strangers' tokens, more than is shown, refusals."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from starlette.requests import Request
from starlette.responses import Response

from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret
from vault.ui import credentials, revoking, views
from vault.ui.inner import Inner, Told
from vault.ui.pages import COOKIE, Pages, whose_token
from vault.ui.sessions import Session, Sessions
from vault.ui.visit import Refused, Visit

BLOCK = "ab" * 16
MOUNTS = {
    "data": {"secret": {"nhi/": {"type": "nhi"}, "kv/": {"type": "kv"}, "more/": {"type": "nhi"}}, "auth": {}}
}
CREDENTIAL = {
    "token_id": BLOCK,
    "workload": "w",
    "state": "key-destroyed",
    "first_seen": "2026-11-26T18:00:01.5Z",
    "expire_time": "",
    "sources": ["10.0.0.7", "10.0.0.8"],
    "blocks": 3,
    "depth": 3,
    "tokens": 4711,
    "anomalies": ["several-sources", "something-new"],
}


class Front:
    """Answers by path, as it was told to; everything else is missing."""

    def __init__(self, **answers: tuple[int, object]) -> None:
        self.answers = {path.replace("__", "/"): answer for path, answer in answers.items()}
        self.asked: list[tuple[str, str, Mapping[str, list[str]], Any]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """As the server behind `/v1/`."""
        path = scope["path"].removeprefix("/v1/").removeprefix("nhi/")
        body = (await receive())["body"]
        query = parse_qs(scope["query_string"].decode())
        self.asked.append((scope["method"], path, query, json.loads(body) if body else None))
        status, answer = self.answers.get(path, (404, {"type": "urn:coffre:error:not-found"}))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})


def _shown(view: Callable[[Visit], Awaitable[Response]], front: Front, **fields: str) -> str:
    """The text of a page, for a signed-in visitor of `nhi`."""
    session = Session(Secret("s.x"), "", "ann", Secret("form"), 0, 0)
    visit = Visit(Inner(front, {}, session.token), session, fields, ["more", "nhi"], "nhi")

    async def asked() -> Response:
        return await view(visit)

    page = asyncio.run(asked())
    return bytes(page.body).decode() or page.headers["location"]


def test_a_token_that_nobody_issued_is_an_alarm() -> None:
    orphan = {
        "token_id": BLOCK,
        "workload": "w",
        "kid": 7,
        "first_seen": "2026-11-26T18:00:01Z",
        "source": "10.9.9.9",
    }
    none = (200, {"data": {"credentials": [], "next": ""}})
    quiet = _shown(views.anomalies, Front(orphans=(200, {"data": {"orphans": []}}), credentials=none))
    assert 'role="alert"' not in quiet
    loud = _shown(views.anomalies, Front(orphans=(200, {"data": {"orphans": [orphan]}}), credentials=none))
    assert 'role="alert"' in loud
    assert "10.9.9.9" in loud


def test_credentials_are_shown_with_their_state_and_what_is_odd_in_words() -> None:
    front = Front(credentials=(200, {"data": {"credentials": [CREDENTIAL], "next": "00-1&2"}}))
    page = _shown(credentials.credentials, front, workload="w", anomaly="no-op", after="x y")
    assert front.asked[0][2] == {"workload": ["w"], "anomaly": ["no-op"], "after": ["x y"]}
    assert "ended with its key" in page
    assert "<td>4711</td>" in page
    assert "came from several addresses" in page
    assert "something-new" in page
    assert '<option value="no-op" selected>' in page
    further = re.search(r'<a href="([^"]*)">Further ones</a>', page)
    assert further
    asked = parse_qs(unescape(further[1]).partition("?")[2])
    assert asked == {"mount": ["nhi"], "workload": ["w"], "anomaly": ["no-op"], "after": ["00-1&2"]}
    assert '<a href="/ui/credentials?mount=more">more/</a>' in page


def test_nothing_is_said_to_be_none_while_there_may_be_further_ones() -> None:
    orphans: tuple[int, object] = (200, {"data": {"orphans": []}})
    for after, words in (("", "None."), ("00-1", "None among those that were looked at")):
        found = (200, {"data": {"credentials": [], "next": after}})
        assert words in _shown(views.anomalies, Front(orphans=orphans, credentials=found))


def test_a_tree_of_which_not_all_was_kept_says_so() -> None:
    nodes = [{"id": BLOCK, "parent": "", "index": 0}]
    answer = {"data": {"credential": CREDENTIAL, "more": True, "nodes": nodes}}
    page = _shown(credentials.credential, Front(**{f"credentials__{BLOCK}": (200, answer)}), id=BLOCK)
    assert "More was made of it" in page
    assert "Revoke…" not in page
    empty = {"data": {"credential": CREDENTIAL, "more": False, "nodes": []}}
    page = _shown(credentials.credential, Front(**{f"credentials__{BLOCK}": (200, empty)}), id=BLOCK)
    assert page.count("Nothing of it was presented here.") == 2


def test_what_was_renewed_from_a_credential_is_named_beside_its_tree() -> None:
    renewed = {"token_id": "c2", "id": "d2", "parent": BLOCK, "expire_time": "", "state": "revoked"}
    answer = {"credential": CREDENTIAL, "nodes": [{"id": BLOCK, "parent": ""}], "renewals": [renewed]}
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": answer})})
    page = _shown(credentials.credential, front, id=BLOCK)
    assert "Renewed from it" in page and "id=c2" in page and 'id="b-d2"' in page
    assert "renewed: another token" in page
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": {**answer, "renewals": []}})})
    assert "Renewed from it" not in _shown(credentials.credential, front, id=BLOCK)


def test_the_service_tokens_that_a_credential_has_made_are_named_beside_its_tree() -> None:
    made = {"accessor": "Qk3v", "parent": BLOCK, "display_name": "token-<job>", "policies": ["app"]}
    answer = {"credential": CREDENTIAL, "nodes": [{"id": BLOCK, "parent": ""}], "tokens": [made]}
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": answer})})
    page = _shown(credentials.credential, front, id=BLOCK)
    assert "Made with it" in page and "token-&lt;job&gt;" in page and 'id="b-Qk3v"' in page
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": {**answer, "tokens": []}})})
    assert "Made with it" not in _shown(credentials.credential, front, id=BLOCK)


def test_many_workloads_come_in_pages() -> None:
    names = [f"w{number:03}" for number in range(120)]
    answers = {f"workloads__{name}": (200, {"data": {"owner": f"o-{name}"}}) for name in names}
    front = Front(workloads=(200, {"data": {"keys": names}}), **answers)
    first = _shown(views.workloads, front)
    assert ("o-w049" in first, "o-w050" in first, "120 workloads" in first) == (True, False, True)
    assert 'after=w049">Further ones' in first
    last = _shown(views.workloads, front, after="w099")
    assert ("o-w119" in last, "o-w099" in last, "Further ones" in last) == (True, False, False)
    assert "There are no workloads" in _shown(views.workloads, Front())


def test_a_workload_is_shown_without_a_report_that_the_token_may_not_read() -> None:
    answers: dict[str, tuple[int, object]] = {
        "workloads__w": (200, {"data": {"owner": "team", "disabled": True, "reason": "a <lost> key"}}),
        "report": (403, {"type": "urn:coffre:error:forbidden"}),
        "credentials": (200, {"data": {"credentials": []}}),
    }
    page = _shown(views.workload, Front(**answers), name="w")
    assert "team" in page
    assert "How it gets tokens" not in page
    assert "End all its tokens" not in page
    assert "a &lt;lost&gt; key" in page


def test_what_was_never_presented_can_be_revoked_all_the_same() -> None:
    found = {"data": {"credentials": 0, "blocks": 0, "dying": [], "more": False}}
    page = _shown(revoking.preview, Front(revoke__preview=(200, found)), id=BLOCK)
    assert "This ends 0 blocks of 0 credentials" in page
    front = Front(revoke=(200, found))
    assert _shown(revoking.revoke, front, id=BLOCK, reason="why") == "/ui/credentials?mount=nhi&done=1"
    assert front.asked == [("POST", "revoke", {}, {"id": BLOCK, "reason": "why"})]


@pytest.mark.parametrize(
    ("status", "answer", "says"),
    [
        (429, {"type": "urn:coffre:error:limited"}, "Too many requests"),
        (404, {"type": "urn:coffre:error:not-found"}, "There is nothing of this name"),
        (
            403,
            {"type": "urn:coffre:error:forbidden", "path": "nhi/<b>", "capability": "read"},
            "may not read nhi/&lt;b&gt;",
        ),
        (403, {"type": "urn:coffre:error:forbidden"}, "may not do that"),
        (400, {"type": "urn:coffre:error:malformed", "detail": "since: <must>"}, "Since: &lt;must&gt;."),
        (500, {}, "The server could not do it"),
    ],
    ids=["limited", "missing", "forbidden", "forbidden-silently", "malformed", "internal"],
)
def test_a_refusal_is_told_and_ends_no_session(status: int, answer: object, says: str) -> None:
    front = Front(sys__internal__ui__mounts=(200, MOUNTS), credentials=(status, answer))
    page = _asked(front, "credentials", mount="nhi")
    assert page.status_code == status
    assert says in bytes(page.body).decode()
    assert "set-cookie" not in page.headers


@pytest.mark.parametrize("fields", [{}, {"id": "a", "workload": "b"}, {"id": "../x"}, {"workload": ".."}])
def test_what_cannot_be_revoked_is_never_asked_about(fields: dict[str, str]) -> None:
    front = Front(sys__internal__ui__mounts=(200, MOUNTS))
    assert _asked(front, "revoke", **fields).status_code == 400
    assert [path for _, path, *_ in front.asked] == ["sys/internal/ui/mounts"]


def test_a_refusal_is_an_exception_that_shows_no_token() -> None:
    with pytest.raises(Refused) as refused:
        _shown(views.secrets, Front())
    assert "s.x" not in repr(refused.value)


def _asked(front: Front, view: str, **fields: str) -> Response:
    """What somebody who is signed in gets for a GET."""
    sessions = Sessions(Clock(), Entropy())
    number = sessions.begin(Secret("s.x"), "", "ann", "10.0.0.1", 0)
    scope = {
        "type": "http",
        "method": "GET",
        "path": f"/ui/{view}",
        "query_string": urlencode(fields).encode(),
        "headers": [(b"cookie", f"{COOKIE}={number}".encode())],
    }
    route = next(
        one
        for one in Pages(front, sessions).routes()
        if one.path == f"/ui/{view}" and "GET" in (one.methods or ())
    )

    async def asked() -> Response:
        response: Response = await route.endpoint(Request(scope))
        return response

    return asyncio.run(asked())


@pytest.mark.parametrize(
    ("told", "whose"),
    [
        ({"entity_id": "e", "meta": {"workload": "w"}, "type": "service"}, "\0entity\0e"),
        ({"namespace_path": "a/", "type": "biscuit", "meta": {"workload": "w"}}, "a/\0workload\0w"),
        ({"type": "service", "chain": "ab", "meta": {"workload": "w"}}, "\0workload\0w"),
        ({"type": "service", "entity_id": "", "meta": {"workload": "forged"}}, ""),
        ({"type": "service", "meta": None}, ""),
    ],
)
def test_a_session_is_of_whom_the_server_says_and_not_of_whom_a_token_says(
    told: Mapping[str, object], whose: str
) -> None:
    assert whose_token(Told(200, {"data": told})) == whose
