# SPDX-License-Identifier: EUPL-1.2
"""What the log says of a change whose commit was lost, was waited for in vain, or came about before something else failed."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest

from tests.routes.driver import Answer, Application
from vault.storage.memory import MemoryStorage
from vault.storage.protocol import Change, Conflict, OutcomeUnknown, StorageFailure, Tx

pytestmark = pytest.mark.asked_alone("its storage is its own")

WRITES = [
    ("secret/data/fresh", {"data": {"a": "kept"}}),
    ("sys/policies/acl/fresh", {"policy": 'path "x" { capabilities = ["read"] }'}),
]
both = pytest.mark.parametrize(("path", "body"), WRITES, ids=["secret", "policy"])


async def _nothing() -> None:
    pass


class Watched(MemoryStorage):
    """A memory of which a test says what happens just before and just after the next commit, and as news are asked for."""

    before: Callable[[], Awaitable[None]] = staticmethod(_nothing)
    after: Callable[[], Awaitable[None]] = staticmethod(_nothing)
    undone: Callable[[], Awaitable[None]] = staticmethod(_nothing)
    """What happens once a transaction was undone, before anybody is told."""
    silent = False

    def write(self, *, optimistic: bool = False) -> AbstractAsyncContextManager[Tx]:  # type: ignore[override]  # the memory's own block lies within
        """See `Storage.write`."""
        return self._block(super().write(optimistic=optimistic))

    @asynccontextmanager
    async def _block(self, inner: AbstractAsyncContextManager[Tx]) -> AsyncIterator[Tx]:
        try:
            async with inner as tx:
                yield tx
                before, self.before = self.before, _nothing
                await before()
        except Conflict:
            undone, self.undone = self.undone, _nothing
            await undone()
            raise
        after, self.after = self.after, _nothing
        await after()

    async def news(self, since: int) -> tuple[int, Sequence[Change] | None]:
        """See `Storage.news`."""
        if self.silent:
            self.silent = False
            raise StorageFailure("storage: a read failed")
        return await super().news(since)


@pytest.fixture
def storage() -> Watched:
    return Watched()


@pytest.fixture
def application(storage: Watched) -> Iterator[Application]:
    with Application(storage) as application:
        yield application


def _outcomes(application: Application) -> list[Any]:
    """The outcomes of the newest request that changed something, in the order of the log."""
    lines = [line for file in application.history.rglob("*.jsonl") for line in file.read_bytes().splitlines()]
    found = [record for record in map(json.loads, lines) if record["phase"] == "outcome"]
    changes = [record for record in found if record["http.request.method"] == "POST"]
    return [record for record in changes if record["request.id"] == changes[-1]["request.id"]]


async def _fail(failure: type[StorageFailure]) -> None:
    raise failure("storage: it failed")


@both
def test_what_is_known_to_be_undone_is_superseded(
    application: Application, storage: Watched, path: str, body: object
) -> None:
    storage.before = lambda: _fail(StorageFailure)
    assert application.request("POST", f"/v1/{path}", body, token="root").status == 500
    done, failed = _outcomes(application)
    assert (done["outcome"], failed["outcome"], failed["supersedes"]) == ("success", "failed", done["seq"])
    assert application.request("GET", f"/v1/{path}", token="root").status == 404


@both
def test_what_may_have_come_about_is_superseded_by_nothing(
    application: Application, storage: Watched, path: str, body: object
) -> None:
    storage.after = lambda: _fail(OutcomeUnknown)
    assert application.request("POST", f"/v1/{path}", body, token="root").status == 500
    done, failed = _outcomes(application)
    assert (done["outcome"], failed["outcome"], "supersedes" in failed) == ("success", "failed", False)
    assert application.request("GET", f"/v1/{path}", token="root").status == 200


@both
@pytest.mark.parametrize("when", ["before", "after"])
def test_who_took_too_long_while_it_was_committed_takes_back_nothing(
    application: Application, storage: Watched, path: str, body: object, when: str
) -> None:
    """Nobody waits for what the commit does in the end, so the log tells of both."""
    requests = application.vault._requests
    begun, go = asyncio.Event(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.shield(asyncio.ensure_future(go.wait()))

    async def late() -> Answer:
        setattr(storage, when, wait)
        asked = asyncio.create_task(application.ask("POST", f"/v1/{path}", body, token="root"))
        await begun.wait()
        lanes = {lane: lane.longest for lane in requests._lanes}
        for lane in lanes:
            lane.longest = -1  # type: ignore[misc]  # the end of what a request may take
        assert requests.end_overdue() == 1
        for lane, longest in lanes.items():
            lane.longest = longest  # type: ignore[misc]  # and as long as before
        return await asked

    answer = application.run(late())
    assert answer.status == 500 and b"context deadline exceeded" in answer.body
    *_, failed = _outcomes(application)
    kept = application.request("GET", f"/v1/{path}", token="root").status == 200
    assert (kept, failed["outcome"], "supersedes" in failed) == (when == "after", "failed", False)


@both
def test_what_is_committed_is_answered_although_what_it_changed_could_not_be_read(
    application: Application, storage: Watched, path: str, body: object
) -> None:
    async def mute() -> None:
        storage.silent = True

    storage.after = mute
    assert application.request("POST", f"/v1/{path}", body, token="root").status in (200, 204)
    assert [record["outcome"] for record in _outcomes(application)] == ["success"]
    storage.silent = False
    assert application.request("GET", f"/v1/{path}", token="root").status == 200


def test_a_login_that_lost_to_another_and_is_refused_then_is_not_shown_as_done(
    application: Application, storage: Watched
) -> None:
    role = "/v1/auth/approle/role/once"
    application.request("POST", role, {"secret_id_num_uses": 1}, token="root")
    proof = {
        "role_id": application.request("GET", f"{role}/role-id", token="root").json()["data"]["role_id"],
        "secret_id": application.request("POST", f"{role}/secret-id", token="root").json()["data"][
            "secret_id"
        ],
    }
    won: list[int] = []

    async def log_in_meanwhile() -> None:
        won.append((await application.ask("POST", "/v1/auth/approle/login", proof)).status)

    storage.before, storage.undone = lambda: _fail(Conflict), log_in_meanwhile
    assert application.request("POST", "/v1/auth/approle/login", proof).status == 400
    assert won == [200]
    done, failed = _outcomes(application)
    assert (done["outcome"], failed["outcome"], failed["supersedes"]) == ("success", "failed", done["seq"])


@pytest.mark.parametrize("failure", [StorageFailure, OutcomeUnknown])
def test_what_fails_after_a_commit_takes_back_nothing(
    application: Application, storage: Watched, failure: type[StorageFailure]
) -> None:
    """That a lease ends is committed, and what its mount has to do for it is done after that."""
    machines = {"key_type": "otp", "default_user": "bob", "cidr_list": "10.0.0.0/8"}
    application.request("POST", "/v1/ssh/roles/machines", machines, token="root")
    made = application.request("POST", "/v1/ssh/creds/machines", {"ip": "10.0.0.1"}, token="root").json()

    async def fail_next() -> None:
        storage.before = lambda: _fail(failure)

    storage.after = fail_next
    ended = application.request("POST", "/v1/sys/leases/revoke", {"lease_id": made["lease_id"]}, token="root")
    assert ended.status == 500
    done, failed = _outcomes(application)
    assert (done["outcome"], failed["outcome"], "supersedes" in failed) == ("success", "failed", False)


@pytest.mark.parametrize(("failure", "undone"), [(StorageFailure, True), (OutcomeUnknown, False)])
def test_what_is_done_after_an_answer_is_superseded_only_where_it_is_undone(
    application: Application, storage: Watched, failure: type[StorageFailure], undone: bool
) -> None:
    """A root key is replaced once the answer that brings its shares is recorded."""
    shares = {"secret_shares": 1, "secret_threshold": 1}
    begun = application.request("POST", "/v1/sys/rotate/root/init", shares, token="root").json()["data"]
    storage.before = lambda: _fail(failure)
    update = {"key": application.key, "nonce": begun["nonce"]}
    assert application.request("POST", "/v1/sys/rotate/root/update", update, token="root").status == 500
    done, failed = _outcomes(application)
    assert (done["outcome"], failed["outcome"], "supersedes" in failed) == ("success", "failed", undone)
