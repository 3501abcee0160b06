# SPDX-License-Identifier: EUPL-1.2
"""What pages make of answers that are rare in life: strangers' tokens, more than is shown, refusals."""

import asyncio
import re
from collections.abc import Mapping
from html import unescape
from typing import Any
from urllib.parse import parse_qs, urlencode

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response

from tests.unit.ui.house import BLOCK, CREDENTIAL, MOUNTS, Front, shown
from vault.framework.clock import Clock, Entropy
from vault.framework.secret import Secret
from vault.ui.pages import COOKIE, Pages, whose_token
from vault.ui.session.api_client import ApiAnswer
from vault.ui.session.sessions import UiSessions
from vault.ui.session.visit import ApiRefusal
from vault.ui.views import anomalies, credentials, failures, registrations, revocation, workloads
from vault.values.times import Seconds


def test_a_token_that_nobody_issued_is_an_alarm() -> None:
    orphan = {
        "token_id": BLOCK,
        "workload": "w",
        "kid": 7,
        "first_seen": "2026-11-26T18:00:01Z",
        "source": "10.9.9.9",
    }
    none = (200, {"data": {"credentials": [], "next": ""}})
    quiet = shown(anomalies.anomalies, Front(orphans=(200, {"data": {"orphans": []}}), credentials=none))
    assert 'role="alert"' not in quiet
    loud = shown(anomalies.anomalies, Front(orphans=(200, {"data": {"orphans": [orphan]}}), credentials=none))
    assert 'role="alert"' in loud
    assert "10.9.9.9" in loud


def test_credentials_are_shown_with_their_state_and_what_is_odd_in_words() -> None:
    front = Front(credentials=(200, {"data": {"credentials": [CREDENTIAL], "next": "00-1&2"}}))
    page = shown(credentials.credentials, front, workload="w", anomaly="no-op", after="x y")
    assert front.asked[0][2] == {
        "workload": ["w"],
        "anomaly": ["no-op"],
        "after": ["x y"],
        "presented": ["any"],
    }
    assert "its signing key was destroyed" in page
    assert '<li class="">2 copies, over 2 hops</li><li class="">4711 service tokens</li>' in page
    assert "came from several addresses" in page
    assert "something-new" in page
    assert '<option value="no-op" selected>' in page
    further = re.search(r'<a href="([^"]*)">Next page</a>', page)
    assert further
    asked = parse_qs(unescape(further[1]).partition("?")[2])
    assert asked == {"mount": ["nhi"], "workload": ["w"], "anomaly": ["no-op"], "after": ["00-1&2"]}
    assert '<a href="/ui/credentials?mount=more">more/</a>' in page


def test_credentials_never_presented_are_found_and_the_others_say_when_they_were_seen_last() -> None:
    unused = {**CREDENTIAL, "state": "active", "first_seen": "", "last_seen": "", "sources": [], "blocks": 1}
    used = {**CREDENTIAL, "last_seen": "2026-11-26T19:00:02Z"}
    front = Front(credentials=(200, {"data": {"credentials": [unused, used], "next": "00-1"}}))
    for chosen, presented in (("", "any"), ("active", "yes"), ("never-presented", "no"), ("nonsense", "any")):
        page = shown(credentials.credentials, front, state=chosen)
        assert front.asked[-1][2] == {"presented": [presented]}
        following = re.search(r'<a href="([^"]*)">Next page</a>', page)
        assert following
        kept = parse_qs(unescape(following[1]).partition("?")[2]).get("state", [""])
        assert kept == ["" if chosen == "nonsense" else chosen]
        options = re.findall(r'<option value="([^"]*)" selected>', page.rpartition("State<select")[2])
        assert options == kept
    seen = re.findall(r'data-label="(?:First|Last) seen \(UTC\)"><div>(.*?)</div></td>', page)
    assert [re.sub("<[^>]*>", "", cell) for cell in seen] == [
        *("never", "never"),
        *("2026-11-26 18:00:01", "2026-11-26 19:00:02"),
    ]
    assert "no copies" in page
    answer = {"data": {"credential": used, "nodes": []}}
    one = shown(credentials.credential, Front(**{f"credentials__{BLOCK}": (200, answer)}), id=BLOCK)
    assert '<dt>Last seen (UTC)</dt><dd><time datetime="2026-11-26T19:00:02Z">' in one


def test_registrations_say_how_many_of_their_tokens_came_and_when_the_last_did() -> None:
    used = {
        "registration": "w",
        "workload": "w",
        "owner": "team",
        "methods": {},
        "issued": 12,
        "presented": 11,
        "last_used": "2026-11-26T19:00:02Z",
    }
    unused = {**used, "registration": "x", "presented": 0, "last_used": ""}
    report = (200, {"data": {"registrations": [used, unused], "next": ""}})
    page = shown(registrations.secrets, Front(report=report))
    cells = re.findall(r'data-label="(?:Tokens presented|Last used \(UTC\))"><div>(.*?)</div></td>', page)
    assert [re.sub("<[^>]*>", "", cell) for cell in cells] == [
        "11 of 12",
        "2026-11-26 19:00:02",
        "0 of 12",
        "never",
    ]
    front = Front(
        workloads__w=(200, {"data": {"owner": "team"}}),
        report=report,
        credentials=(200, {"data": {"credentials": []}}),
    )
    own = shown(workloads.workload, front, name="w")
    assert 'data-label="Tokens presented"' in own and 'data-label="Workload, owner"' not in own
    assert front.asked[-1][2] == {"workload": ["w"], "presented": ["any"]}


def test_failed_logins_are_shown_with_the_reason_that_clients_are_not_told() -> None:
    failure = {
        "time": "2026-11-26T18:00:00Z",
        "registration": "w",
        "method": "client_secret",
        "reason": "expired-secret",
        "message": "the client secret's time is over",
        "count": 3,
        "sources": ["10.1.2.3", "10.1.2.4"],
    }
    nameless = {**failure, "registration": "", "count": 1}
    page = shown(failures.failed_logins, Front(failures=(200, {"data": {"failures": [failure, nameless]}})))
    first, second = (
        [re.sub("<[^>]*>", " ", cell).split() for cell in re.findall("<div>(.*?)</div>", line)]
        for line in re.findall('<tr role="row">(<th scope="row".*?)</tr>', page)
    )
    assert first == [
        ["w"],
        ["client", "secret"],
        ["the", "client", "secret&#x27;s", "time", "is", "over"],
        ["3"],
        ["2026-11-26", "18:00:00"],
        ["10.1.2.3", "10.1.2.4"],
    ]
    assert second[0] == ["no", "registration", "of", "that", "name"]
    none = shown(failures.failed_logins, Front(failures=(200, {"data": {"failures": []}})))
    assert "No login has failed since then." in none


def test_nothing_is_said_to_be_none_while_there_may_be_further_ones() -> None:
    orphans: tuple[int, object] = (200, {"data": {"orphans": []}})
    for after, words in (("", "None."), ("00-1", "None among those that were looked at")):
        found = (200, {"data": {"credentials": [], "next": after}})
        assert words in shown(anomalies.anomalies, Front(orphans=orphans, credentials=found))


def test_a_tree_of_which_not_all_was_kept_says_so() -> None:
    nodes = [{"id": BLOCK, "parent": "", "index": 0}]
    answer = {"data": {"credential": CREDENTIAL, "more": True, "nodes": nodes}}
    page = shown(credentials.credential, Front(**{f"credentials__{BLOCK}": (200, answer)}), id=BLOCK)
    assert "More copies were made of it" in page
    assert "Revoke…" not in page
    empty = {"data": {"credential": CREDENTIAL, "more": False, "nodes": []}}
    page = shown(credentials.credential, Front(**{f"credentials__{BLOCK}": (200, empty)}), id=BLOCK)
    assert page.count("Nothing of it was presented here.") == 2


def test_what_was_renewed_from_a_credential_is_named_beside_its_tree() -> None:
    renewed = {"token_id": "c2", "id": "d2", "parent": BLOCK, "expire_time": "", "state": "revoked"}
    answer = {"credential": CREDENTIAL, "nodes": [{"id": BLOCK, "parent": ""}], "renewals": [renewed]}
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": answer})})
    page = shown(credentials.credential, front, id=BLOCK)
    assert "Renewals of it" in page and "id=c2" in page and 'id="b-d2"' in page
    assert "renewed: another token" in page
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": {**answer, "renewals": []}})})
    assert "Renewals of it" not in shown(credentials.credential, front, id=BLOCK)


def test_the_service_tokens_that_a_credential_has_made_are_named_beside_its_tree() -> None:
    made = {"accessor": "Qk3v", "parent": BLOCK, "display_name": "token-<job>", "policies": ["app"]}
    answer = {"credential": CREDENTIAL, "nodes": [{"id": BLOCK, "parent": ""}], "tokens": [made]}
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": answer})})
    page = shown(credentials.credential, front, id=BLOCK)
    assert "Service tokens made with it" in page and "token-&lt;job&gt;" in page and 'id="b-Qk3v"' in page
    front = Front(**{f"credentials__{BLOCK}": (200, {"data": {**answer, "tokens": []}})})
    assert "Service tokens made with it" not in shown(credentials.credential, front, id=BLOCK)


def test_many_workloads_come_in_pages() -> None:
    names = [f"w{number:03}" for number in range(120)]
    answers = {f"workloads__{name}": (200, {"data": {"owner": f"o-{name}"}}) for name in names}
    front = Front(workloads=(200, {"data": {"keys": names}}), **answers)
    first = shown(workloads.workloads, front)
    assert ("o-w049" in first, "o-w050" in first, "120 in all" in first) == (True, False, True)
    assert 'after=w049">Next page' in first
    last = shown(workloads.workloads, front, after="w099")
    assert ("o-w119" in last, "o-w099" in last, "Next page" in last) == (True, False, False)
    assert "There are no workloads" in shown(workloads.workloads, Front())


def test_a_workload_is_shown_without_a_report_that_the_token_may_not_read() -> None:
    answers: dict[str, tuple[int, object]] = {
        "workloads__w": (200, {"data": {"owner": "team", "disabled": True, "reason": "a <lost> key"}}),
        "report": (403, {"type": "urn:coffre:error:forbidden"}),
        "credentials": (200, {"data": {"credentials": []}}),
    }
    page = shown(workloads.workload, Front(**answers), name="w")
    assert "team" in page
    assert "How it logs in" not in page
    assert "Revoke all its tokens" not in page
    assert "a &lt;lost&gt; key" in page


def test_a_preview_says_who_can_go_on_after_the_revocation() -> None:
    for index, words in (
        (0, "This is the credential as it was issued: its workload can log in for another one."),
        (1, "Whoever holds the block before it can make another copy: to stop them, revoke that block."),
    ):
        dying = [
            {"id": BLOCK, "index": index, "token_id": "9a"},
            {"id": "cd" * 16, "index": 2, "token_id": "9a"},
        ]
        found = {"data": {"credentials": 1, "blocks": 2, "dying": dying, "more": False}}
        page = shown(revocation.preview, Front(revoke__preview=(200, found)), id=BLOCK)
        said = [text for text in ("as it was issued", "the block before it can") if text in page]
        assert words in page and len(said) == 1


def test_what_was_never_presented_can_be_revoked_all_the_same() -> None:
    found = {"data": {"credentials": 0, "blocks": 0, "dying": [], "more": False}}
    page = shown(revocation.preview, Front(revoke__preview=(200, found)), id=BLOCK)
    assert "This ends 0 blocks of 0 credentials" in page
    front = Front(revoke=(200, found))
    assert shown(revocation.revoke, front, id=BLOCK, reason="why") == "/ui/credentials?mount=nhi&done=1"
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
    with pytest.raises(ApiRefusal) as refused:
        shown(registrations.secrets, Front())
    assert "s.x" not in repr(refused.value)


def _asked(front: Front, view: str, **fields: str) -> Response:
    """What somebody who is signed in gets for a GET."""
    sessions = UiSessions(Clock(), Entropy())
    number = sessions.begin(Secret("s.x"), namespace="", name="ann", address="10.0.0.1", ttl=Seconds(0))
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
    assert whose_token(ApiAnswer(200, {"data": told})) == whose


@pytest.mark.parametrize(
    ("path", "method", "status"),
    [
        ("/ui/nothing", "GET", 404),
        ("/ui/workloads/", "GET", 404),
        ("/ui/a/b/c", "DELETE", 404),
        ("/ui/workloads", "POST", 405),
        ("/ui/revoke", "PUT", 405),
        ("/ui/style.css", "FOO", 405),
    ],
)
def test_whatever_is_no_page_is_answered_by_one(path: str, method: str, status: int) -> None:
    sessions = UiSessions(Clock(), Entropy())
    number = sessions.begin(Secret("s.x"), namespace="", name="ann", address="10.0.0.1", ttl=Seconds(0))
    for cookie, back in ((f"{COOKIE}={number}", "/ui/overview"), ("", "/ui/")):
        page, text = _routed(Pages(Front(), sessions), path, method, cookie)
        assert (page["status"], b"text/html; charset=utf-8" in dict(page["headers"]).values()) == (
            status,
            True,
        )
        assert dict(page["headers"])[b"content-security-policy"].startswith(b"default-src 'none'")
        assert f'<a href="{back}">' in text
        assert (b"allow" in dict(page["headers"])) is (status == 405)
        assert ("Sign out" in text) is bool(cookie)


@pytest.mark.parametrize("path", ["/ui/sign-in", "/ui/sign-out"])
def test_where_a_form_was_sent_to_leads_to_the_page_when_it_is_opened_again(path: str) -> None:
    page, _ = _routed(Pages(Front(), UiSessions(Clock(), Entropy())), path, "GET", "")
    assert (page["status"], dict(page["headers"])[b"location"]) == (307, b"/ui/")


def _routed(pages: Pages, path: str, method: str, cookie: str) -> tuple[Any, str]:
    """What the application of these pages answers: the start of it, and its text."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "root_path": "",
        "query_string": b"",
        "headers": [(b"host", b"vault.example"), (b"cookie", cookie.encode())],
        "server": ("vault.example", 443),
        "scheme": "https",
    }
    asyncio.run(Starlette(routes=list(pages.routes()))(scope, receive, send))
    return sent[0], b"".join(message.get("body", b"") for message in sent[1:]).decode()


@pytest.mark.parametrize(
    ("status", "kind", "title"),
    [
        (400, "malformed", "That was not understood"),
        (403, "forbidden", "Not permitted"),
        (404, "not-found", "Not found"),
        (429, "limited", "Too many requests"),
        (500, "internal", "Something went wrong"),
    ],
)
def test_a_refusal_has_a_title_and_a_way_back_to_the_mount(status: int, kind: str, title: str) -> None:
    refusal = (status, {"type": f"urn:coffre:error:{kind}", "detail": "no"})
    page = _asked(
        Front(sys__internal__ui__mounts=(200, MOUNTS), credentials=refusal), "credentials", mount="nhi"
    )
    text = bytes(page.body).decode()
    assert f"<h1>{title}</h1>" in text
    assert '<a href="/ui/overview?mount=nhi">Back to the overview</a>' in text


def test_a_sealed_vault_is_told_on_a_page() -> None:
    front = Front(sys__internal__ui__mounts=(503, {"type": "urn:coffre:error:sealed"}))
    page = _asked(front, "overview")
    assert (page.status_code, "The vault is sealed." in bytes(page.body).decode()) == (503, True)


def test_a_time_is_utc_whether_or_not_it_says_so() -> None:
    front = Front(credentials=(200, {"data": {"credentials": [], "next": "00-1"}}))
    for given, sent, value in (
        ("2026-12-01T08:30", "2026-12-01T08:30Z", "2026-12-01T08:30"),
        ("2026-12-01T08:30:15", "2026-12-01T08:30:15Z", "2026-12-01T08:30:15"),
        ("2026-12-01", "2026-12-01T00:00:00Z", "2026-12-01T00:00"),
        ("2026-12-01T10:30:00+02:00", "2026-12-01T10:30:00+02:00", "2026-12-01T08:30"),
        ("yesterday", "yesterday", ""),
        ("9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59-14:00", ""),
    ):
        front.asked.clear()
        for view in (credentials.credentials, anomalies.anomalies):
            front.answers["orphans"] = (200, {"data": {"orphans": []}})
            page = shown(view, front, since=given)
            assert front.asked[-1][2]["since"] == [sent]
            field = re.search(r'First seen from \(UTC\)<input name="since" ([^>]*)>', page)
            assert field and field[1] == f'type="datetime-local" step="any" value="{value}"'
            following = re.search(r'<a href="([^"]*)">Next page</a>', page)
            assert following and parse_qs(unescape(following[1]).partition("?")[2])["since"] == [given]


def test_a_table_that_is_laid_out_as_cards_is_a_table_all_the_same() -> None:
    page = shown(
        registrations.secrets,
        Front(
            report=(
                200,
                {
                    "data": {
                        "registrations": [
                            {"registration": "w", "workload": "w", "owner": "team", "methods": {}}
                        ]
                    }
                },
            )
        ),
    )
    head = re.findall(r'<th scope="col" role="columnheader">([^<]*)</th>', page)
    cells = re.findall(r'role="(?:rowheader|cell)" data-label="([^"]*)"', page)
    assert head == cells
    assert page.count('role="table"') == 1
    assert page.count('role="row"') == page.count('role="rowgroup"') == 2


def test_a_workload_whose_end_has_come_is_not_said_to_be_active() -> None:
    for end, words in (("2026-11-27T11:59:59Z", "expired"), ("2026-11-27T12:00:01Z", "active")):
        front = Front(
            workloads=(200, {"data": {"keys": ["w"]}}),
            workloads__w=(200, {"data": {"owner": "team", "expire_time": end}}),
        )
        assert f'class="state {words}"' in shown(workloads.workloads, front)


def test_a_workload_among_very_many_registrations_says_what_was_not_looked_at() -> None:
    ways = [{"registration": "r", "workload": "w", "methods": {}}, {"registration": "x", "workload": "other"}]
    for after, told in (("r999", True), ("", False)):
        front = Front(
            workloads__w=(200, {"data": {"owner": "team"}}),
            report=(200, {"data": {"registrations": ways, "next": after}}),
            credentials=(200, {"data": {"credentials": []}}),
        )
        page = shown(workloads.workload, front, name="w")
        assert (">r</div>" in page, ">x</div>" in page) == (True, False)
        assert ("among the first 1000" in page) is told
        assert [query.get("limit") for _, path, query, _ in front.asked if path == "report"] == [["1000"]]
