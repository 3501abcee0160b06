# SPDX-License-Identifier: EUPL-1.2
"""The fence: nobody is answered by facts that are no longer true, nor disturbed by what changed for others.

One server changes something while the other is in the middle of a request, at each of its statements in turn: both
have one storage, whose statements suspend.
"""

import asyncio
from collections.abc import Callable, Generator
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from tests.shared import Shared
from vault.storage.memory import MemoryStorage

READER = 'path "secret/*" { capabilities = ["read", "list", "update"] }'
READ = "/v1/secret/data/x"
MOST_TURNS = 60


@pytest.fixture
def both() -> Generator[tuple[Application, Application]]:
    """The one that changes things, and the one that is not told."""
    shared = Shared("memory-lagging")
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


class _Request:
    """A request that a server has begun and not answered yet, after so many turns of its loop."""

    def __init__(self, server: Application, token: str, turns: int) -> None:
        self._server = server

        async def begin() -> "asyncio.Task[Answer]":
            task = asyncio.create_task(server.ask("GET", READ, token=token))
            for _ in range(turns):
                await asyncio.sleep(0)
            return task

        self._task: asyncio.Task[Answer] = server.run(begin())
        self.answered = self._task.done()

    def end(self) -> int:
        """Return its status."""

        async def wait() -> Answer:
            return await self._task

        answer: Answer = self._server.run(wait())
        return answer.status


def _begun(other: Application, token: Callable[[], str], before: int = 3) -> Generator[tuple[str, _Request]]:
    """Yield a token that was shown so often `before`, and a request with it, one turn further on each time until its end."""
    for turns in range(MOST_TURNS):
        known = token()
        for _ in range(before):
            assert other.request("GET", READ, token=known).status == 200
        request = _Request(other, known, turns)
        if request.answered:
            return
        yield known, request
    pytest.fail("it is never answered")


def _done(answer: Answer) -> None:
    assert answer.status < 300, answer.body


@pytest.mark.parametrize("before", [0, 1, 3])
def test_a_token_that_was_revoked_is_refused_whatever_was_under_way(
    both: tuple[Application, Application], before: int
) -> None:
    one, other = both
    met = set()
    for token, request in _begun(other, lambda: one.token(READER), before):
        _done(one.request("POST", "/v1/auth/token/revoke", {"token": token}, token="root"))
        follower = other.vault.ground.follower
        if follower._looking is None:  # else the request itself is about to know
            one.run(follower.follow())  # another request of the same server was quicker
        assert other.request("GET", READ, token=token).status == 403
        met.add(request.end())
    assert met == {200, 403}, "some had read before the revocation, and some had not"


@pytest.mark.parametrize(
    ("undo", "do", "status"),
    [
        (("POST", "sys/policies/acl/x", {"policy": READER}), ("DELETE", "sys/policies/acl/x", None), 403),
        (("POST", "sys/mounts/secret", {"type": "kv"}), ("DELETE", "sys/mounts/secret", None), 404),
    ],
    ids=["a policy that goes", "a mount that goes"],
)
def test_what_changed_for_the_caller_is_obeyed_whatever_was_under_way(
    both: tuple[Application, Application], undo: Any, do: Any, status: int
) -> None:
    one, other = both
    whole = {"policies": ["x"], "no_default_policy": True}
    target = READ

    def token() -> str:
        one.request(undo[0], f"/v1/{undo[1]}", undo[2], token="root")
        one.request("POST", target, {"data": {"a": "1"}}, token="root")
        made: str = one.request("POST", "/v1/auth/token/create", whole, token="root").json()["auth"][
            "client_token"
        ]
        return made

    _done(one.request("POST", "/v1/sys/policies/acl/x", {"policy": READER}, token="root"))
    for known, request in _begun(other, token):
        _done(one.request(do[0], f"/v1/{do[1]}", do[2], token="root"))
        assert other.request("GET", READ, token=known).status == status
        assert request.end() in {200, status}


def test_what_changed_for_others_makes_nobody_begin_again(both: tuple[Application, Application]) -> None:
    one, other = both
    looked: list[str] = []
    storage = other.storage
    assert isinstance(storage, MemoryStorage)

    def count(name: str) -> None:
        looked.append(name)

    token = one.token(READER)
    for _, request in _begun(other, lambda: token):
        made = one.request("POST", "/v1/auth/token/create", {}, token="root").json()["auth"]
        _done(one.request("POST", "/v1/auth/token/revoke", {"token": made["client_token"]}, token="root"))
        storage._on_statement = count
        assert request.end() == 200
        storage._on_statement = None
        assert sorted(looked) in ([], ["get"], ["news"], ["get", "news"]), "its data and the news, once each"
        looked.clear()


EVERYTHING = [
    ("GET", "secret/data/x", 200),
    ("LIST", "secret/metadata", 200),
    ("POST", "secret/data/x", 200),
    ("POST", "auth/token/create", 200),
    ("GET", "sys/policies/acl/x", 200),
    ("GET", "nothing/there", 404),
]


@pytest.mark.parametrize(("method", "path", "status"), EVERYTHING)
@pytest.mark.parametrize("kind", ["memory", "memory-lagging"])
def test_revocations_at_every_statement_refuse_nobody(method: str, path: str, status: int, kind: str) -> None:
    with Application(Shared(kind).open()) as application:
        storage = application.storage
        assert isinstance(storage, MemoryStorage)
        weak = application.token('path "secret/other" { capabilities = ["read"] }')
        for token, expected in (("root", status), (weak, 403), ("s.nobody", 403)):
            for _ in range(3):
                storage._on_statement = lambda _: storage.data.record([("token", "somebody-elses")])
                answer = application.request(method, f"/v1/{path}", {"data": {"a": "1"}}, token=token)
                storage._on_statement = None
                assert answer.status == expected, answer.body


@pytest.mark.parametrize(
    ("rule", "seen"),
    [
        ("pagination_limit = 1", (200, ["a"])),
        ('pagination_limit = 5 required_parameters = ["limit"]', (403, None)),
        ("", (200, ["a", "b", "c", "x"])),
    ],
)
def test_a_listing_that_starts_over_forgets_the_limit_of_the_rule_before(
    both: tuple[Application, Application], rule: str, seen: tuple[int, Any]
) -> None:
    one, other = both

    def allow(rule: str) -> None:
        policy = f'path "secret/metadata/*" {{ capabilities = ["list"] {rule} }}'
        _done(one.request("POST", "/v1/sys/policies/acl/pages", {"policy": policy}, token="root"))

    def keys() -> tuple[int, Any]:
        answer = other.request("LIST", "/v1/secret/metadata", token=token)
        return answer.status, answer.json().get("data", {}).get("keys")

    for name in ("a", "b", "c"):
        _done(one.request("POST", f"/v1/secret/data/{name}", {"data": {}}, token="root"))
    allow("pagination_limit = 2")
    made = one.request("POST", "/v1/auth/token/create", {"policies": ["pages"]}, token="root").json()
    token = made["auth"]["client_token"]
    assert keys() == (200, ["a", "b"])
    allow(rule)
    assert keys() == seen


def test_a_request_that_is_answered_after_a_limit_was_set_is_counted(
    both: tuple[Application, Application],
) -> None:
    one, other = both
    other.request("GET", READ, token="root")
    limit = {"path": "secret/", "rate": 2, "interval": "1h"}
    assert one.request("POST", "/v1/sys/quotas/rate-limit/x", limit, token="root").status == 204
    assert [other.request("GET", READ, token="root").status for _ in range(3)] == [200, 200, 429]
