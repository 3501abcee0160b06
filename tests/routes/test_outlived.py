# SPDX-License-Identifier: EUPL-1.2
"""A write during which another node revokes a token: it goes on where it does not rest on that one, and is refused where it does."""

import gc
from collections.abc import Awaitable, Callable, Iterator

import pytest

from tests.postgres import Cluster, Lent
from tests.routes.driver import Application
from vault.framework.call import Call
from vault.mount.entry import MOUNT_KIND
from vault.pipeline import Pipeline
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.postgres.transaction import Transaction
from vault.storage.protocol import Tx
from vault.token.model import TOKEN_KIND

_TOKENS = "ns/root/token/id/"
_POLICY = """
path "secret/*" { capabilities = ["create", "update"] }
path "auth/token/create" { capabilities = ["update"] }
"""


class _House:
    """An application on a database, and another node there that revokes."""

    def __init__(self, application: Application, address: Address, patch: pytest.MonkeyPatch) -> None:
        self.application, self._address = application, address
        self.retries = 0
        retry = Pipeline.retry
        self._between: list[Callable[[Tx], Awaitable[None]]] = []

        async def counted(pipeline: Pipeline, *given: object) -> object:
            self.retries += 1
            return await retry(pipeline, *given)  # type: ignore[arg-type]  # as they came

        patch.setattr(Pipeline, "retry", counted)
        for end in (Transaction.commit, Transaction.confirm):
            patch.setattr(Transaction, end.__name__, self._late(end))

    def _late(
        self, end: Callable[[Transaction], Awaitable[None]]
    ) -> Callable[[Transaction], Awaitable[None]]:
        """Return what revokes before that."""

        async def late(transaction: Transaction) -> None:
            if self._between:
                between, other = self._between.pop(), PostgresStorage(self._address)
                async with other.write() as tx:
                    await between(tx)
                await other.close()
            await end(transaction)

        return late

    def token(self) -> tuple[str, str]:
        """A new token, and what it is called in storage."""
        before = {*self._keys()}
        token = self.application.token(_POLICY)
        (key,) = {*self._keys()} - before
        return token, key

    def _keys(self) -> list[str]:
        async def keys() -> list[str]:
            return [*await self.application.storage.reader().list(_TOKENS)]

        found: list[str] = self.application.run(keys())
        return found

    def child(self, token: str) -> str:
        """A new token below another one."""
        made = self.application.request("POST", "/v1/auth/token/create", {}, token=token)
        child: str = made.json()["auth"]["client_token"]
        return child

    def write(self, path: str, token: str, revoked: str, body: object = None) -> int:
        """Write a secret; the token of that key is revoked between the handler and the commit. Return the status."""

        async def revoke(tx: Tx) -> None:
            await tx.delete(_TOKENS + revoked)
            await tx.invalidate(TOKEN_KIND, revoked)

        return self.write_before(path, token, revoke, body)

    def write_before(
        self, path: str, token: str, between: Callable[[Tx], Awaitable[None]], body: object = None
    ) -> int:
        """Write a secret; another node commits something between the handler and the commit. Return the status."""
        self._between, self.retries = [between], 0
        status = self.application.request(
            "POST", f"/v1/secret/data/{path}", body or {"data": {"a": 1}}, token=token
        ).status
        assert not self._between
        return status


@pytest.fixture(scope="module")
def house(postgres: Callable[[], Cluster]) -> Iterator[_House]:
    name = postgres().empty()
    with Application(Lent(postgres(), name)) as application, pytest.MonkeyPatch.context() as patch:
        yield _House(application, postgres().address(name), patch)


def test_a_write_goes_on_while_tokens_of_others_are_revoked(house: _House) -> None:
    (token, _), (_, other) = house.token(), house.token()
    assert house.write("going-on", token, other) == 200
    assert house.retries == 0
    read = house.application.request("GET", "/v1/secret/data/going-on", token="root").json()["data"]
    assert read["metadata"]["version"] == 1


def test_a_write_by_a_token_that_is_revoked_meanwhile_is_refused(house: _House) -> None:
    token, own = house.token()
    assert house.write("refused", token, own) == 403
    assert house.retries == 1
    assert house.application.request("GET", "/v1/secret/data/refused", token="root").status == 404


def test_a_write_by_a_token_below_one_that_is_revoked_meanwhile_is_refused(house: _House) -> None:
    """What a token hangs on is not in the transaction, and the node is not told of it either: the commit finds it out."""
    grandparent, above = house.token()
    parent = house.child(grandparent)
    child = house.child(parent)
    assert house.write("inherited", child, above) == 403
    assert house.retries == 1
    assert house.application.request("GET", "/v1/secret/data/inherited", token="root").status == 404


def test_a_refusal_is_by_what_is_so_when_it_is_given(house: _House) -> None:
    (token, own), (_, other) = house.token(), house.token()
    assert house.write("kept", token, "") == 200
    body = {"data": {"a": 2}, "options": {"cas": 7}}
    assert house.write("kept", token, other, body) == 400
    assert house.retries == 0
    assert house.write("kept", token, own, body) == 403
    assert house.retries == 1


async def mount(tx: Tx) -> None:
    """Change what every write stands on, so that it is done anew."""
    await tx.invalidate(MOUNT_KIND, "")


def test_a_write_that_lost_has_one_record_of_its_request_and_one_of_its_answer_for_each_attempt(
    house: _House,
) -> None:
    token, _ = house.token()
    house.application.records()
    assert house.write_before("lost", token, mount) == 200
    assert house.retries == 1
    request, *answers = house.application.records()
    assert [request["type"], *(record["type"] for record in answers)] == ["request", "response", "response"]
    assert {record["request"]["id"] for record in answers} == {request["request"]["id"]}
    read = house.application.request("GET", "/v1/secret/data/lost", token="root").json()["data"]
    assert read["metadata"]["version"] == 1


@pytest.mark.parametrize("lost", [False, True])
def test_no_call_is_led_to_by_what_it_had_asked(house: _House, *, lost: bool) -> None:
    """Nor by the transaction, which lasts as long, nor by what it lost by: its token would stay in memory (SL-58)."""
    token, _ = house.token()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        left = house.write_before("left", token, mount) if lost else house.write("left", token, "")
        assert left == 200
        assert not [one for one in gc.get_objects() if isinstance(one, Call)]
    finally:
        gc.enable()
        gc.unfreeze()
