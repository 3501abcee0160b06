# SPDX-License-Identifier: EUPL-1.2
"""One server moves the vault from shares to a key slot and back, as OpenBao does, while another one serves: both go on."""

from collections.abc import Generator, Sequence
from functools import partial
from typing import Any

import pytest

from tests.routes.driver import Application
from tests.routes.kinds import KINDS, Site
from tests.shared import Shared
from tests.unit.seal.soft import SoftSlot

PENDING = "migrate option not provided and seal migration is pending"
Both = tuple[Application, Application]


@pytest.fixture
def both(shared: Shared) -> Generator[Both]:
    """The one that is started anew with another configuration, and one that serves."""
    with Application(shared.open()) as one, Application(shared.open(), beside=one) as other:
        yield one, other


def _do(application: Application, method: str, path: str, body: object = None) -> Any:
    answer = application.request(method, f"/v1/{path}", body, token="root")
    assert answer.status < 300, (path, answer.body)
    return answer.json() if answer.body else None


def _begin_anew(
    application: Application, *, enabled: Sequence[SoftSlot] = (), disabled: Sequence[SoftSlot] = ()
) -> None:
    """Seal it, as a start does, and have it know these key slots."""
    _do(application, "PUT", "sys/seal")
    slots = application.vault.key_slots.lifecycle.slots
    slots.enabled, slots.disabled, slots.recovery_can_unseal = enabled, disabled, False


def _open(application: Application, *, migrate: bool = False) -> None:
    body = {"key": application.key, "migrate": True} if migrate else {"key": application.key}
    shown = _do(application, "PUT", "sys/unseal", body)
    assert not shown["sealed"]


def _write_in_turn(both: Both, turn: int) -> None:
    """Have each write what the other one reads then."""
    for writer, reader in (both, both[::-1]):
        for path in ("secret/data/x", "sys/policies/acl/x"):
            body = {"data": {"turn": turn}, "policy": f'path "p{turn}" {{ capabilities = ["read"] }}'}
            _do(writer, "POST", path, body)
        assert _do(reader, "GET", "secret/data/x")["data"]["data"] == {"turn": turn}
        assert f"p{turn}" in _do(reader, "GET", "sys/policies/acl/x")["data"]["policy"]


def _rotate(both: Both, *, first: int) -> None:
    """Replace both keys on one, and what encrypts on the other: whoever has an old key cannot read on."""
    one, other = both[first], both[1 - first]
    _do(one, "POST", "sys/rotate/root", {})
    _do(one, "POST", "sys/rotate")
    _write_in_turn(both, 10)
    _do(other, "POST", "sys/rotate")
    _write_in_turn(both, 11)


@pytest.mark.parametrize("known", [True, False])
def test_a_server_that_serves_goes_on_while_another_one_moves_the_vault_to_a_slot_and_back(
    both: Both, *, known: bool
) -> None:
    """`known`: the one that serves has been told of the slot, as before anything is moved."""
    one, other = both
    slot = SoftSlot("a")
    if known:
        other.vault.key_slots.lifecycle.slots.join([slot])
    _begin_anew(one, enabled=[slot])
    refused = one.request("PUT", "/v1/sys/unseal", {"key": one.key})
    assert (refused.status, refused.json()["errors"]) == (400, [PENDING])
    _do(other, "POST", "sys/rotate/root", {})  # the one that is sealed finds it out with the shares
    _open(one, migrate=True)
    _write_in_turn(both, 1)
    assert _do(one, "GET", "sys/seal-status")["recovery_seal"]
    if known:
        _rotate(both, first=0)
        _rotate(both, first=1)
    else:
        _rotated_alone(both)
        other.vault.key_slots.lifecycle.slots.join([slot])
        _open(other)
    _write_in_turn(both, 2)

    _begin_anew(one, disabled=[slot])
    _open(one, migrate=True)
    _write_in_turn(both, 3)
    assert not _do(one, "GET", "sys/seal-status")["recovery_seal"]
    _begin_anew(other)
    _open(other)
    _write_in_turn(both, 4)
    _rotate(both, first=0)
    _rotate(both, first=1)


def _rotated_alone(both: Both) -> None:
    """Replace the root key beside one that has no slot of the vault: it is sealed, and with no key of before it says what it lacks."""
    one, other = both
    _do(one, "POST", "sys/rotate/root", {})
    _do(one, "POST", "sys/rotate")
    _do(one, "POST", "secret/data/x", {"data": {"turn": 5}})
    refused = other.request("GET", "/v1/secret/data/x", token="root")
    assert (refused.status, refused.json()["errors"]) == (503, ["Vault is sealed"])
    other.run(other.vault._leaving)
    assert "replaced the root key" in other.log.getvalue()
    refused = other.request("PUT", "/v1/sys/unseal", {"key": other.key})
    assert refused.status == 400
    assert "no seal stanza has such a name" in refused.json()["errors"][0]
    assert _do(one, "GET", "secret/data/x")["data"]["data"] == {"turn": 5}


class Workers(Application):
    """Two of one server, on SQLite."""

    make_site = partial(Site, KINDS["sqlite-2"])


def test_each_of_two_workers_has_the_vault_that_one_of_them_moved() -> None:
    """They are started together, and the share is given to one of them."""
    with Workers() as workers:
        slot = SoftSlot("a")
        _do(workers, "PUT", "sys/seal")
        for vault in workers.vaults:
            vault.key_slots.lifecycle.slots.join([slot])
        _open(workers, migrate=True)
        assert [vault.ground.barrier.sealed for vault in workers.vaults] == [False, False]
        for turn in range(4):
            _do(workers, "POST", "sys/rotate/root", {})
            _do(workers, "POST", "sys/rotate")
            _do(workers, "POST", "secret/data/x", {"data": {"turn": turn}})
            for _ in workers.vaults:
                assert _do(workers, "GET", "secret/data/x")["data"]["data"] == {"turn": turn}
        assert len({vault.ground.barrier.root_key.reveal() for vault in workers.vaults}) == 1
