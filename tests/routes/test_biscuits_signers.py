# SPDX-License-Identifier: EUPL-1.2
"""The issuer key that is remembered signs as long as it is the one, and no longer."""

import gc
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from nhi.biscuit.issue import key_store
from nhi.biscuit.records import store
from nhi.biscuit.records.model import IssuerKey, KeyState
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.shared import Shared
from vault.storage.postgres import lanes
from vault.values.ids import ROOT_ID


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Application() as application:
        yield Issuer(application)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of the keys that were opened, in order."""
    found: list[int] = []
    work = key_store.from_safe

    def noting(safe: Any, key: Any) -> Any:
        if isinstance(key, IssuerKey):
            found.append(key.kid)
        return work(safe, key)

    monkeypatch.setattr(key_store, "from_safe", noting)
    return found


def _kid(issuer: Issuer, token: str) -> int:
    number: int = issuer.root("nhi/introspect", {"token": token})["data"]["kid"]
    return number


def _newest(issuer: Issuer) -> int:
    return int(issuer.application.request("LIST", "/v1/nhi/keys", token="root").json()["data"]["keys"][-1])


def _signers(issuer: Issuer) -> key_store.SigningKeys:
    """The application's own, for others may not be collected yet."""
    follower = issuer.application.vault.ground.follower
    (found,) = [
        one for one in gc.get_objects() if type(one) is key_store.SigningKeys and one._follower is follower
    ]
    return found


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_a_key_is_opened_once_for_many_tokens_and_again_after_a_seal(
    issuer: Issuer, opened: list[int]
) -> None:
    key = _newest(issuer)
    for _ in range(4):
        assert _kid(issuer, issuer.issue()) == key
    assert opened == [key]
    assert len(_signers(issuer)._known) == 1
    issuer.root("sys/seal")
    assert len(_signers(issuer)._known) == 0
    issuer.application.reopen()
    issuer.issue()
    assert opened == [key, key]


def test_another_server_signs_with_the_key_that_was_activated_and_goes_on_with_it(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has seen a moment ago is a guess, which its transaction finds wrong: it is not what is remembered."""
    for moment in ("_RECENT", "_BRIEF", "_DOUBTED"):
        monkeypatch.setattr(lanes, moment, 600.0)
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        here, there = Issuer(one), Issuer(other)
        for _ in range(3):
            staged = here.root("nhi/keys", {"algorithm": "p256", "staged": True})["data"]
            there.issue()
            here.root(f"nhi/keys/{staged['kid']}", {"state": "active"})
            assert [_kid(here, there.issue()) for _ in range(2)] == [staged["kid"]] * 2


def test_the_next_token_is_signed_by_a_newer_key(issuer: Issuer) -> None:
    first = _kid(issuer, issuer.issue())
    issuer.root("nhi/keys", {"algorithm": "p256"})
    second = _kid(issuer, issuer.issue())
    assert second == _newest(issuer) != first
    issuer.root(f"nhi/keys/{second}", {"state": "destroyed"})
    assert _kid(issuer, issuer.issue()) == first


def test_a_key_that_another_process_retired_signs_nothing_more(issuer: Issuer) -> None:
    login = issuer.root("nhi/registrations/r1/secret", {})["data"]
    proof = {"client_id": login["client_id"], "client_secret": login["client_secret"]}
    application = issuer.application
    assert application.request("POST", "/v1/nhi/login", proof).status == 200
    vault = application.vault
    [mount] = [mount for mount in vault.mounts.router.root if mount.entry.path == "nhi/"]

    async def retire() -> None:
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            view = core.mount(mount.entry.uuid)
            (key,) = [key for key in await store.keys(view) if key.state is KeyState.ACTIVE]
            await store.put_key(view, msgspec.structs.replace(key, state=KeyState.RETIRED))

    application.run(retire())
    answer = application.request("POST", "/v1/nhi/login", proof)
    assert answer.status == 400
    assert "there is no active issuer key" in answer.json()["errors"][0]
