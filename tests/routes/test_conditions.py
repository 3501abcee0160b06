# SPDX-License-Identifier: EUPL-1.2
"""Conditional requests: nobody overwrites what he has not seen, and who polls gets a secret once (ESA-KV-020)."""

import asyncio
import re
from collections.abc import Generator, Mapping
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from tests.routes.test_again import READER, Client, get
from tests.routes.test_written_again import WRITER, put
from tests.shared import Shared

DATA = "/v1/secret/data/tagged"
METADATA = "/v1/secret/metadata/tagged"
CHANGED = ["the secret is not as If-Match says"]
CANARY = "canary-8f1e"


@pytest.fixture
def both(shared: Shared) -> Generator[tuple[Application, Application]]:
    """Two servers with one storage, neither of which is told what the other does."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


def _ask(server: Application, method: str, path: str = DATA, body: object = None, /, **lines: str) -> Answer:
    headers = {name.replace("_", "-"): value for name, value in lines.items()}
    return server.request(method, path, body, token="root", headers=headers)


def _write(server: Application, value: object, /, **lines: str) -> Answer:
    return _ask(server, "POST", DATA, {"data": {"a": value}}, **lines)


def _tag(server: Application) -> str:
    tag = _ask(server, "GET").headers["etag"]
    assert re.fullmatch(r'"[\x21\x23-\x7e]+"', tag)
    return tag


def _stored(server: Application) -> Any:
    found = _ask(server, "GET").json()["data"]
    return found["data"], found["metadata"]["version"]


def test_a_write_says_which_tag_a_read_then_has(application: Application) -> None:
    first, second = _write(application, 1), _write(application, 1)
    assert (first.status, second.status) == (200, 200)
    assert first.headers["etag"] != second.headers["etag"] == _tag(application)
    older = _ask(application, "GET", f"{DATA}?version=1")
    assert older.headers["etag"] == first.headers["etag"]
    patched = _ask(application, "PATCH", DATA, {"data": {"b": 2}})
    assert patched.headers["etag"] == _tag(application) != second.headers["etag"]
    wrapped = _ask(application, "GET", x_vault_wrap_ttl="60", if_none_match="*")
    assert (wrapped.status, "etag" in wrapped.headers) == (200, False)
    token = wrapped.json()["wrap_info"]["token"]
    unwrapped = application.request("POST", "/v1/sys/wrapping/unwrap", token=token)
    assert (unwrapped.status, unwrapped.json()["data"]["data"]) == (200, {"a": 1, "b": 2})
    for answer in (
        _ask(application, "DELETE"),
        _ask(application, "GET", METADATA),
        _ask(application, "HEAD"),
    ):
        assert "etag" not in answer.headers


def test_a_tag_is_of_a_version_and_its_state(application: Application) -> None:
    seen = [_write(application, 1).headers["etag"]]
    for path, body in (
        ("secret/delete/tagged", {"versions": [1]}),
        ("secret/undelete/tagged", {"versions": [1]}),
        ("secret/metadata/tagged", {"custom_metadata": {"a": "1"}}),
        ("secret/destroy/tagged", {"versions": [1]}),
    ):
        assert _ask(application, "POST", f"/v1/{path}", body).status == 204
        seen.append(_tag(application))
    assert seen[0] == seen[2]  # what is read is the same again
    assert len({*seen}) == 4


def test_who_has_the_newest_version_is_not_sent_it_again(both: tuple[Application, Application]) -> None:
    one, other = both
    _write(one, 1)
    tag = _tag(one)
    for wanted in (tag, f'"x", W/{tag}', "*"):
        answer = _ask(one, "GET", if_none_match=wanted)
        assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", tag)
        assert answer.headers["cache-control"] == "no-store" and "content-length" not in answer.headers
    for _ in range(3):
        assert _ask(one, "GET", if_none_match=tag).status == 304
        _write(other, 2)  # the one is not told
        answer = _ask(one, "GET", if_none_match=tag)
        assert (answer.status, answer.json()["data"]["data"]) == (200, {"a": 2})
        tag = answer.headers["etag"]
    assert _ask(one, "GET", f"{DATA}?version=1", if_none_match=tag).status == 200
    assert _ask(one, "GET", if_match=tag).status == 200
    assert _ask(one, "GET", if_match='"x"').json()["errors"] == CHANGED


def test_what_is_not_there_is_not_found_whatever_the_condition(application: Application) -> None:
    _write(application, 1)
    _ask(application, "DELETE")
    tag = _tag(application)
    for lines in ({"if_none_match": tag}, {"if_none_match": "*"}, {"if_match": '"x"'}, {"if_match": "\x01"}):
        answer = _ask(application, "GET", **lines)
        assert (answer.status, answer.json()["data"]["data"]) == (404, None)
        assert _ask(application, "GET", "/v1/secret/data/nothing", **lines).status == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_who_has_seen_another_version_changes_nothing(application: Application, method: str) -> None:
    _write(application, 1)
    old = _tag(application)
    _write(application, 2)
    body = None if method == "DELETE" else {"data": {"a": 3}}
    for wanted in (old, f"W/{_tag(application)}", f'"x", {old}'):
        problem = {"accept": "application/problem+json"}
        for lines in ({}, problem):
            answer = _ask(application, method, DATA, body, if_match=wanted, **lines)
            assert answer.status == 412 and "etag" not in answer.headers
        assert answer.json()["type"] == "urn:coffre:error:precondition-failed"
    assert _stored(application) == ({"a": 2}, 2)
    for wanted in ("*", old):
        answer = _ask(application, method, "/v1/secret/data/nothing", body, if_match=wanted)
        assert (answer.status, answer.json()["errors"]) == (412, CHANGED)
    assert _ask(application, "GET", "/v1/secret/metadata/nothing").status == 404
    malformed = _ask(application, method, DATA, body, if_match="nothing quoted")
    assert (malformed.status, malformed.json()["errors"]) == (
        400,
        ["If-Match is no list of entity tags"],
    )
    assert _ask(application, method, DATA, body, if_match=f'"x" , {_tag(application)}').status < 300
    assert _ask(application, "GET").json()["data"]["data"] == (None if body is None else {"a": 3})


CHANGES: tuple[tuple[str, str, object], ...] = (
    ("POST", "delete", {"versions": [1]}),
    ("POST", "undelete", {"versions": [1]}),
    ("PUT", "destroy", {"versions": [1]}),
    ("POST", "metadata", {"max_versions": 7}),
    ("POST", "metadata", {}),
    ("PATCH", "metadata", {"max_versions": 7}),
    ("PATCH", "metadata", {}),
    ("DELETE", "metadata", None),
)


@pytest.mark.parametrize(("method", "route", "body"), CHANGES)
def test_versions_and_settings_are_changed_by_who_has_seen_the_newest(
    application: Application, method: str, route: str, body: object
) -> None:
    _write(application, 1)
    old = _tag(application)
    _write(application, 2)
    if route == "undelete":
        _ask(application, "POST", "/v1/secret/delete/tagged", {"versions": [1, 2]})
    path = f"/v1/secret/{route}/tagged"
    before = _ask(application, "GET", METADATA).json()["data"]
    for lines in (
        {"if_match": old},
        {"if_match": '"x"'},
        {"if_none_match": "*"},
        {"if_none_match": _tag(application)},
    ):
        application.records()
        answer = _ask(application, method, path, body, **lines)
        assert answer.status == 412 and answer.json()["errors"][0].startswith("the secret is")
        (asked, said) = application.records()
        assert (asked["type"], said["type"], said["error"]) == (
            "request",
            "response",
            answer.json()["errors"][0],
        )
        assert _ask(application, "GET", METADATA).json()["data"] == before
    assert _ask(application, method, path, body, if_match="no tag").status == 400
    nothing = _ask(application, method, f"/v1/secret/{route}/nothing", body, if_match="*")
    assert (nothing.status, nothing.json()["errors"]) == (412, CHANGED)
    assert _ask(application, "GET", "/v1/secret/metadata/nothing").status == 404
    assert _ask(application, method, path, body, if_match=f"{old}, {_tag(application)}").status == 204
    after = _ask(application, "GET", METADATA)
    assert (after.status == 404) if method == "DELETE" else (after.json()["data"] == before) == (body == {})


@pytest.mark.parametrize(("method", "route", "body"), CHANGES)
def test_anything_is_a_secret_that_is_there(
    application: Application, method: str, route: str, body: object
) -> None:
    _write(application, 1)
    _ask(application, "DELETE")
    path = f"/v1/secret/{route}/tagged"
    assert _ask(application, method, path, body, if_match="*").status == 204
    if method == "DELETE":
        assert _ask(application, method, path, body, if_none_match="*").status == 204
    _ask(application, "POST", "/v1/secret/metadata/settings", {"max_versions": 3})  # without a version
    path = f"/v1/secret/{route}/settings"
    assert _ask(application, method, path, body, if_none_match="*").status == 412
    assert _ask(application, method, path, body, if_match='"x"').status == 412
    assert _ask(application, method, path, body, if_match="*").status == 204


UNTAGGED: tuple[tuple[str, str, object], ...] = (
    ("POST", "/v1/plain/a", {"a": 1}),
    ("DELETE", "/v1/plain/a", None),
    ("POST", "/v1/cubbyhole/a", {"a": 1}),
    ("POST", "/v1/secret/config", {"max_versions": 3}),
    ("PUT", "/v1/sys/policies/acl/p", {"policy": 'path "x" { capabilities = ["read"] }'}),
    ("DELETE", "/v1/sys/policies/acl/p", None),
    ("POST", "/v1/sys/mounts/zz", {"type": "kv"}),
    ("POST", "/v1/auth/token/create", {}),
    ("POST", "/v1/auth/token/revoke-self", {}),
)


@pytest.mark.parametrize(("method", "path", "body"), UNTAGGED)
def test_a_write_of_what_has_no_tag_is_refused_with_a_condition(
    application: Application, method: str, path: str, body: object
) -> None:
    refused = (
        ({"if_match": '"x"'}, "this has no entity tags, so If-Match does not hold"),
        ({"if_match": "*"}, "this has no entity tags, so If-Match does not hold"),
        ({"if_none_match": "*"}, "this has no entity tags, so If-None-Match: * is not carried out"),
    )
    for lines, why in refused:
        application.records()
        answer = _ask(application, method, path, body, **lines)
        assert (answer.status, answer.json()["errors"]) == (412, [why])
        (asked, said) = application.records()
        assert (asked["type"], said["type"], said["error"]) == ("request", "response", why)
        if method != "DELETE":
            gone = {"/v1/sys/mounts/zz": "/v1/zz/a"}.get(path, path)
            assert _ask(application, "GET", gone).status in {200, 404, 405}
    for lines in ({"if_match": "no tag"}, {"if_none_match": "no tag"}):
        assert _ask(application, method, path, body, **lines).status == 400
    assert _ask(application, method, path, body, if_none_match='"x"').status < 300  # it has no such tag


def test_a_look_at_what_has_no_tag_is_answered_whatever_the_condition(application: Application) -> None:
    _ask(application, "POST", "/v1/plain/a", {"a": 1})
    for lines in ({"if_match": '"x"'}, {"if_none_match": "*"}):
        assert _ask(application, "GET", "/v1/plain/a", **lines).status == 200
        assert _ask(application, "POST", "/v1/sys/tools/hash", {"input": "YQ=="}, **lines).status == 200


def test_a_refused_condition_comes_before_any_work(application: Application) -> None:
    """Nobody is logged in, and nothing slow is begun."""
    _ask(application, "POST", "/v1/sys/auth/userpass", {"type": "userpass"})
    _ask(application, "POST", "/v1/auth/userpass/users/u", {"password": "long enough"})
    path, body = "/v1/auth/userpass/login/u", {"password": "long enough"}
    assert application.request("POST", path, body, headers={"if-match": "*"}).status == 412
    assert application.request("POST", path, body).status == 200


def test_what_is_to_be_made_is_made_once(application: Application) -> None:
    assert _write(application, 1, if_none_match="*").status == 200
    assert _write(application, 2, if_none_match="*").status == 412
    assert _stored(application) == ({"a": 1}, 1)
    _ask(application, "DELETE")
    assert _write(application, 2, if_none_match="*").status == 412  # as with a `cas` of 0: it can be restored
    _ask(application, "DELETE", METADATA)
    assert _write(application, 2, if_none_match="*").status == 200


def test_what_was_removed_and_made_again_is_another_secret(application: Application) -> None:
    _write(application, 1)
    old = _tag(application)
    _ask(application, "DELETE", METADATA)
    _write(application, 1)
    assert _stored(application)[1] == 1
    assert _ask(application, "GET", if_none_match=old).status == 200
    assert _write(application, 2, if_match=old).status == 412
    cas = {"data": {"a": 2}, "options": {"cas": 1}}
    assert _ask(application, "POST", DATA, cas, if_match=old).status == 412
    assert _stored(application) == ({"a": 1}, 1)


def test_a_secret_that_is_deleted_is_replaced_by_who_has_seen_that(application: Application) -> None:
    _write(application, 1)
    there = _tag(application)
    _ask(application, "DELETE")
    deleted = _tag(application)
    assert _write(application, 2, if_match=there).status == 412
    assert _write(application, 2, if_match="*").status == 412
    assert _write(application, 2, if_match=deleted).status == 200
    _ask(application, "POST", "/v1/secret/destroy/tagged", {"versions": [2]})
    destroyed = _tag(application)
    assert _ask(application, "DELETE", if_match=deleted).status == 412
    assert _ask(application, "PATCH", DATA, {"data": {}}, if_match=destroyed).status == 404
    assert _write(application, 3, if_match=destroyed).status == 200


def test_check_and_set_and_a_condition_go_together_or_are_refused(application: Application) -> None:
    _ask(application, "POST", "/v1/secret/config", {"cas_required": True})
    assert _write(application, 1).status == 400
    assert _write(application, 1, if_match="*").status == 412
    assert _write(application, 1, if_none_match="*").status == 200  # it says which version it replaces: none
    assert _write(application, 2, if_match="*").status == 400
    assert _write(application, 2, if_match=_tag(application)).status == 200
    assert _ask(application, "PATCH", DATA, {"data": {"b": 1}}).status == 400
    assert _ask(application, "PATCH", DATA, {"data": {"b": 1}}, if_match=_tag(application)).status == 200
    both = {"data": {}, "options": {"cas": 2}}
    for lines, named in (
        ({"if_match": _tag(application)}, "If-Match"),
        ({"if_none_match": "*"}, "If-None-Match"),
    ):
        answer = _ask(application, "POST", DATA, both, **lines)
        assert answer.status == 400
        assert answer.json()["errors"] == [f"options.cas and {named} mean different versions"]
    same = {"data": {}, "options": {"cas": 3}}
    assert _ask(application, "POST", DATA, same, if_match=_tag(application)).status == 200


def test_of_those_who_have_seen_the_same_one_writes(shared: Shared) -> None:
    with Application(shared.open()) as server:
        _write(server, 0)
        for turn in range(4):
            tag = _tag(server)

            async def several(tag: str = tag, turn: int = turn) -> list[int]:
                body = {"data": {"a": turn}}
                asked = (
                    server.ask("POST", DATA, body, token="root", headers={"if-match": tag}) for _ in range(5)
                )
                return [answer.status for answer in await asyncio.gather(*asked)]

            assert sorted(server.run(several())) == [200, 412, 412, 412, 412]
            assert _stored(server) == ({"a": turn}, turn + 2)


def test_who_has_seen_what_another_server_replaced_changes_nothing(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    _write(one, 0)
    for turn in range(1, 4):
        tag = _tag(one)
        assert _write(other, turn, if_match=tag).status == 200
        assert _write(one, -1, if_match=tag).status == 412
        assert _stored(one) == ({"a": turn}, turn + 1)


LINES: tuple[Mapping[str, str], ...] = (
    {"if-none-match": "*"},
    {"if-match": '"x"'},
    {"if-match": "*"},
    {"if-none-match": "no tag"},
    {"if-match": ",".join(['"a"'] * 100)},
)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE", "HEAD", "LIST"])
def test_who_has_no_right_sees_no_difference(application: Application, method: str) -> None:
    tokens = (
        "",
        application.token('path "elsewhere/*" { capabilities = ["read"] }'),
        application.token('path "secret/data/*" { capabilities = ["deny"] }'),
    )
    body = {"data": {"a": 1}} if method in {"POST", "PATCH"} else None
    for token in tokens:
        for path in ("/v1/secret/data/x", "/v1/secret/data/nothing", "/v1/nowhere/x", "/v1/plain/x"):
            plain = application.request(method, path, body, token=token)
            assert plain.status in {400, 403, 405}
            for lines in LINES:
                asked = application.request(method, path, body, token=token, headers=lines)
                assert (asked.status, asked.body) == (plain.status, plain.body)
                assert "etag" not in asked.headers


def test_who_may_only_create_is_told_nothing_of_what_is_there(application: Application) -> None:
    token = application.token('path "secret/data/*" { capabilities = ["create"] }')
    for lines in LINES:
        answer = application.request("POST", "/v1/secret/data/x", {"data": {}}, token=token, headers=lines)
        assert answer.status == 403


@pytest.mark.asked_alone("each node counts by itself for a rate limit", nodes=True)
def test_a_read_that_is_not_sent_again_is_recorded_and_counted_as_a_read(application: Application) -> None:
    _write(application, CANARY)
    tag = _tag(application)
    made = {"policies": ["root"], "num_uses": 3}
    few = application.request("POST", "/v1/auth/token/create", made, token="root").json()["auth"][
        "client_token"
    ]
    application.records()
    answers = [application.request("GET", DATA, token=few, headers={"if-none-match": tag}) for _ in range(4)]
    assert [answer.status for answer in answers] == [304, 304, 304, 403]
    requests = application.records()[:6]
    assert [record["type"] for record in requests] == ["request", "response"] * 3
    assert {record["request"]["operation"] for record in requests} == {"read"}
    assert {record["request"]["path"] for record in requests} == {"secret/data/tagged"}
    assert requests[1]["response"]["data"]["data"] is None
    told = [record for record in application.logged() if record.get("status_code") == 304]
    assert [(record["event_name"], record["resource"]["version"]) for record in told] == [
        ("esa.kv.read", 1)
    ] * 3
    rate = {"rate": 2, "interval": "1h", "path": "secret/"}
    application.request("POST", "/v1/sys/quotas/rate-limit/few", rate, token="root")
    found = [_ask(application, "GET", if_none_match=tag).status for _ in range(3)]
    assert found == [304, 304, 429]
    assert CANARY not in str(application.logged())


def test_a_poll_that_comes_again_byte_for_byte_is_answered_without_parsing(application: Application) -> None:
    client = Client(application)
    tag = application.request("GET", "/v1/secret/data/x", token="root").headers["etag"].encode()
    poll = get(application.token(READER), b"if-none-match: " + tag)
    application.records()
    assert client.send(poll, poll, poll) == [(304, {})] * 3
    assert client.passes(poll)
    assert b"\r\netag: %b\r\n" % tag in client.written
    assert [record["type"] for record in application.records()] == ["request", "response"] * 4
    application.request("POST", "/v1/secret/data/x", {"data": {"a": "new"}}, token="root")
    ((status, body),) = client.send(poll)
    assert (status, body["data"]["data"]) == (200, {"a": "new"})
    assert b"\r\netag: " in client.written and tag not in client.written


def test_the_head_of_a_conditional_write_is_not_kept(application: Application) -> None:
    client, token = Client(application), application.token(WRITER)
    for line in (b"if-match: *", b'if-none-match: "x"'):
        client.send(*(put(token, value, line) for value in "abc"))
        assert not client.passes(put(token, "d", line))
    client.send(*(put(token, value, b"if-range: x") for value in "abc"))
    assert client.passes(put(token, "d", b"if-range: x"))  # it is another header, which asks for nothing


def test_a_refused_answer_takes_its_tag_along(application: Application) -> None:
    client = Client(application)
    head = get("root")
    client.send(head, head, head)
    (writer,) = application.vault.controls.audit._devices.values()
    write = writer.write

    def fails(line: bytes, now: float) -> None:
        raise RuntimeError("nobody thought of it")

    writer.write = fails  # type: ignore[method-assign]  # a device with a defect
    try:
        assert [status for status, _ in client.send(head)] == [500]
        assert b"\r\netag: " not in client.written
    finally:
        writer.write = write  # type: ignore[method-assign]  # mended
    assert client.passes(head)
    assert b"\r\netag: " in client.written
