# SPDX-License-Identifier: EUPL-1.2
"""A write during which another node revokes a token: it goes on where it does not rest on that one, and is refused where it does."""

import gc
from collections.abc import Callable, Iterator

import pytest

from tests.postgres import Cluster, Lent
from tests.routes.driver import Application
from vault.framework.call import Call
from vault.pipeline import Pipeline
from vault.storage.postgres.connection import Address
from vault.storage.postgres.storage import PostgresStorage
from vault.storage.postgres.transaction import Transaction
from vault.token.model import TOKEN_KIND

_TOKENS = "ns/root/token/id/"
_POLICY = 'path "secret/*" { capabilities = ["create", "update"] }'


class _House:
    """An application on a database, and another node there that revokes."""

    def __init__(self, application: Application, address: Address, patch: pytest.MonkeyPatch) -> None:
        self.application, self._address = application, address
        self.retries = 0
        retry, commit = Pipeline.retry, Transaction.commit
        self._key = ""

        async def counted(pipeline: Pipeline, *given: object) -> object:
            self.retries += 1
            return await retry(pipeline, *given)  # type: ignore[arg-type]  # as they came

        async def late(transaction: Transaction) -> None:
            key, self._key = self._key, ""
            if key:
                await self._revoke(key)
            await commit(transaction)

        patch.setattr(Pipeline, "retry", counted)
        patch.setattr(Transaction, "commit", late)

    async def _revoke(self, key: str) -> None:
        other = PostgresStorage(self._address)
        async with other.write() as tx:
            await tx.delete(_TOKENS + key)
            await tx.invalidate(TOKEN_KIND, key)
        await other.close()

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

    def write(self, path: str, token: str, revoked: str) -> int:
        """Write a secret; the token of that key is revoked between the handler and the commit. Return the status."""
        self._key, self.retries = revoked, 0
        status = self.application.request(
            "POST", f"/v1/secret/data/{path}", {"data": {"a": 1}}, token=token
        ).status
        assert self._key == ""
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


def test_no_call_is_led_to_by_what_it_had_asked(house: _House) -> None:
    """Nor by the transaction, which lasts as long: its token would stay in memory until the collector comes (SL-58)."""
    token, _ = house.token()
    gc.collect()
    gc.disable()
    gc.freeze()
    try:
        assert house.write("left", token, "") == 200
        assert not [one for one in gc.get_objects() if isinstance(one, Call)]
    finally:
        gc.enable()
        gc.unfreeze()
