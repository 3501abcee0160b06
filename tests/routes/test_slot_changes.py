# SPDX-License-Identifier: EUPL-1.2
"""Changes of the seal's slots: none is made unrecorded, and a dry run refuses what the change would, and changes nothing."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hsm.errors import SlotUnavailable
from tests.routes.driver import Application
from tests.routes.test_unrecorded import kept, unheard
from tests.unit.seal.soft import SoftSlot
from vault.barrier.failure import BarrierSealed, NamespaceSealed
from vault.engines.system.seal.slots import OUTSTANDING
from vault.framework.errors import Unavailable
from vault.seal.changes import recovery_key
from vault.seal.records import seal_store
from vault.server.compose.safe_migration import SafeMigration
from vault.storage.protocol import StorageFailure
from vault.values.ids import NamespaceId

AWAY = SlotUnavailable("away")
NO_LINKS = {"no_links": True, "drop": ["shamir"]}
Change = tuple[str, str, dict[str, object]]

CHANGES: list[Change] = [
    ("POST", "seal-slots/c", {}),
    ("DELETE", "seal-slots/b", {}),
    ("DELETE", "seal-slots/shamir", {}),
    ("POST", "seal-slots/b/promote", {}),
    ("POST", "seal-slots/a/demote", {}),
    ("POST", "seal-slots/b/rewrap", {}),
    ("POST", "rotate/root", {}),
    ("POST", "rotate/root", NO_LINKS),
]


class Estate:
    """A vault with the slots `a`, `b` and `shamir`, and `c` that is only configured."""

    def __init__(self) -> None:
        self.slots = {name: SoftSlot(name) for name in "abc"}
        self.application = Application(slots=[self.slots["a"], self.slots["b"]])
        self.application.vault.key_slots.lifecycle.slots.join([self.slots["c"]])
        self.ask("POST", "seal-slots/shamir", {})
        for vault in self.application.vaults:  # not when each of them comes to it
            self.application.run(vault.key_slots.lifecycle.confirm())

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask as root."""
        return self.application.request(method, f"/v1/sys/{path}", body, token="root")

    def kept(self) -> tuple[object, ...]:
        """Everything that storage holds."""
        return kept(self.application)

    def away(self, *names: str) -> None:
        """Let these slots be away, and those alone; nothing that was read is remembered."""
        for name, slot in self.slots.items():
            slot.away = AWAY if name in names else None
        self.application.vault.key_slots.wraps.drop()


@pytest.fixture
def estate() -> Iterator[Estate]:
    made = Estate()
    yield made
    made.application.close()


@pytest.mark.parametrize("moment", ["request", "response"])
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_sl_53_a_change_whose_record_nobody_takes_is_not_made(
    estate: Estate, change: Change, moment: str
) -> None:
    method, path, body = change
    estate.slots["b"].rotate()
    assert unheard(estate.application, moment, method, f"/v1/sys/{path}", body) == 500
    before = estate.kept()
    assert estate.ask(method, path, body).status in (200, 204)
    assert estate.kept() != before


@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_a_dry_run_of_what_would_be_done_changes_nothing(estate: Estate, change: Change) -> None:
    method, path, body = change
    before = estate.kept()
    answer = estate.ask(method, *_dry_run(method, path, body))
    assert answer.status in (200, 204)
    assert estate.kept() == before


def _dry_run(method: str, path: str, body: dict[str, object]) -> tuple[str, dict[str, object] | None]:
    return (path + "?dry_run=true", None) if method == "DELETE" else (path, {**body, "dry_run": True})


def _nothing(estate: Estate) -> None:
    del estate


def _last(estate: Estate) -> None:
    for name in ("b", "shamir"):
        assert estate.ask("DELETE", f"seal-slots/{name}").status == 204


def _others_broken(estate: Estate) -> None:
    assert estate.ask("DELETE", "seal-slots/shamir").status == 204
    estate.away("b")


def _away(name: str) -> Callable[[Estate], None]:
    return lambda estate: estate.away(name)


def _shares_unheld(estate: Estate) -> None:
    """Leave the vault to a slot, without anybody's shares."""

    async def forget() -> None:
        vault = estate.application.vault
        config = await vault.key_slots.lifecycle.slot_changes.config()
        async with vault.ground.storage.write() as tx:
            without = await seal_store.drop_recovery(tx, config.without("shamir"))
            await seal_store.write_config(tx, without)

    estate.application.run(forget())


def _sole_holder(estate: Estate) -> None:
    """Let `a` alone hold the recovery key, and `b` be full."""

    async def take() -> None:
        vault = estate.application.vault
        config = await vault.key_slots.lifecycle.slot_changes.config()
        async with vault.ground.storage.write() as tx:
            await recovery_key.take_recovery(tx, config, {"b"})

    estate.application.run(take())
    _full(estate)


def _full(estate: Estate) -> None:
    """Let `b` look well and take nothing."""

    def full(call: str) -> None:
        if call == "wrap":
            raise SlotUnavailable("full")

    estate.slots["b"].before = full


def _no_randomness(estate: Estate) -> None:
    async def draw(count: int) -> bytes:
        raise SlotUnavailable(f"no token gives {count} bytes")

    estate.application.vault.key_slots.lifecycle.slots.draw = draw


REFUSED: list[tuple[str, str, Callable[[Estate], None], dict[str, object]]] = [
    ("POST", "seal-slots/a", _nothing, {}),
    ("POST", "seal-slots/x", _nothing, {}),
    ("POST", "seal-slots/shamir", _nothing, {}),
    ("POST", "seal-slots/shamir", _shares_unheld, {}),
    ("POST", "seal-slots/c", _away("c"), {}),
    ("DELETE", "seal-slots/x", _nothing, {}),
    ("DELETE", "seal-slots/c", _nothing, {}),
    ("DELETE", "seal-slots/a", _last, {}),
    ("DELETE", "seal-slots/a", _others_broken, {}),
    ("DELETE", "seal-slots/a", _sole_holder, {}),
    ("POST", "seal-slots/x/promote", _nothing, {}),
    ("POST", "seal-slots/c/demote", _nothing, {}),
    ("POST", "seal-slots/x/verify", _nothing, {}),
    ("POST", "seal-slots/c/verify", _nothing, {}),
    ("POST", "seal-slots/shamir/verify", _nothing, {}),
    ("POST", "seal-slots/a/verify", _away("a"), {}),
    ("POST", "seal-slots/x/rewrap", _nothing, {}),
    ("POST", "seal-slots/c/rewrap", _nothing, {}),
    ("POST", "seal-slots/shamir/rewrap", _nothing, {}),
    ("POST", "seal-slots/b/rewrap", _away("b"), {}),
    ("POST", "rotate/root", _nothing, {"no_links": True}),
    ("POST", "rotate/root", _away("b"), NO_LINKS),
    ("POST", "rotate/root", _full, NO_LINKS),
    ("POST", "rotate/root", _no_randomness, {}),
    ("POST", "rotate/root", _no_randomness, NO_LINKS),
    ("POST", "rotate/root", _nothing, {"drop": "b"}),
    ("POST", "rotate/root", _nothing, {"abandon": True}),
    ("POST", "rotate/root", _nothing, {"no_links": True, "drop": ["shamir", "nosuch"]}),
    ("POST", "rotate/root", _nothing, {"no_links": True, "drop": ["a", "b", "shamir"]}),
    (
        "POST",
        "rotate/root",
        lambda estate: estate.away("a", "b"),
        {"no_links": True, "drop": ["a", "b", "shamir"]},
    ),
]


@pytest.mark.parametrize(("method", "path", "prepare", "body"), REFUSED)
def test_a_dry_run_refuses_what_the_change_would_in_the_same_words(
    estate: Estate, method: str, path: str, prepare: Callable[[Estate], None], body: dict[str, object]
) -> None:
    prepare(estate)
    before = estate.kept()
    tried = estate.ask(method, *_dry_run(method, path, body))
    assert estate.kept() == before
    done = estate.ask(method, path, body)
    assert estate.kept() == before
    assert tried.status == done.status >= 400
    assert tried.json()["errors"] == done.json()["errors"]
    assert tried.json()["errors"][0] != "internal error"


def test_what_is_to_be_dropped_is_dropped_although_it_answers(estate: Estate) -> None:
    body = {"no_links": True, "drop": ["b", "shamir"]}
    for verb, dry_run in (("would be", True), ("is", False)):
        answer = estate.ask("POST", "rotate/root", {**body, "dry_run": dry_run})
        assert answer.json()["warnings"] == [
            f"slot {name} {verb} dropped and opens the vault no more; sys/seal-slots/{name} adds it again"
            for name in ("b", "shamir")
        ]
    vault = estate.application.vault
    config = estate.application.run(vault.key_slots.lifecycle.slot_changes.config())
    assert (config.slots, config.root_version) == (("a",), 2)
    assert "seal/slots/b" not in str(estate.kept())


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"drop": "b"}, "drop: without no_links no slot is dropped; set no_links as well, or leave out drop"),
        (
            {"no_links": True, "drop": ["shamir", "nosuch"]},
            "drop: names a seal slot that is not there; the vault has a, b, shamir",
        ),
    ],
)
def test_what_cannot_be_dropped_is_told_with_its_field(
    estate: Estate, body: dict[str, object], told: str
) -> None:
    assert estate.ask("POST", "rotate/root", body).json()["errors"] == [told]


def test_a_slot_that_goes_away_once_it_counts_is_added_with_a_warning(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = estate.application.vault
    changes = vault.key_slots.lifecycle.slot_changes
    add = changes.add

    async def added(name: str) -> object:
        config = await add(name)
        estate.away("c")
        return config

    monkeypatch.setattr(changes, "add", added)
    answer = estate.ask("POST", "seal-slots/c")
    assert answer.status == 200
    assert answer.json()["warnings"] == [OUTSTANDING.format("c", "away")]
    state = estate.ask("GET", "seal-slots/c/rewrap").json()["data"]
    assert state["outstanding"] > 0
    estate.away()
    vault._seal_watch.look_soon()
    estate.application.run(vault._seal_watch.step())
    state = estate.ask("GET", "seal-slots/c/rewrap").json()["data"]
    assert state["outstanding"] == 0


@pytest.mark.parametrize(
    ("failure", "told"),
    [
        (NamespaceSealed(NamespaceId("n")), "a namespace was sealed meanwhile; try again"),
        (Unavailable("no slot opens the safe"), "no slot opens the safe"),
        (BarrierSealed(), "what is stored cannot be read or written now"),
        (StorageFailure(), "what is stored cannot be read or written now"),
    ],
)
def test_what_fails_once_a_slot_has_everything_else_is_told(
    estate: Estate, monkeypatch: pytest.MonkeyPatch, failure: Exception, told: str
) -> None:
    async def fails(gathering: SafeMigration) -> None:
        del gathering
        raise failure

    monkeypatch.setattr(SafeMigration, "__call__", fails)
    answer = estate.ask("POST", "seal-slots/c")
    assert (answer.status, answer.json()["warnings"]) == (200, [OUTSTANDING.format("c", told)])
    assert (
        "c"
        in estate.application.run(estate.application.vault.key_slots.lifecycle.slot_changes.config()).slots
    )
    if isinstance(failure, NamespaceSealed | Unavailable):
        again = estate.ask("POST", "seal-slots/c/rewrap")
        assert (again.status, again.json()["errors"]) == (500, [told])


def test_a_slot_that_goes_away_between_the_answer_and_the_rotation_is_not_dropped_unsaid(
    estate: Estate, monkeypatch: pytest.MonkeyPatch
) -> None:
    vault = estate.application.vault
    response = vault.controls.audit.response

    def leaves(*record: Any) -> None:
        response(*record)
        estate.away("b")

    monkeypatch.setattr(vault.controls.audit, "response", leaves)
    refused = estate.ask("POST", "rotate/root", NO_LINKS)
    assert refused.status == 400
    assert "b (away)" in refused.json()["errors"][0]
    found = estate.ask("GET", "seal-slots").json()["data"]
    assert (found["root_version"], found["keys"]) == (1, ["a", "b", "shamir", "c"])


def test_what_is_answered_to_a_change_is_what_is_so_afterwards(estate: Estate) -> None:
    for method, path, body in CHANGES:
        if method != "POST" or not path.startswith("seal-slots"):
            continue
        estate.slots["b"].rotate()
        estate.application.run(asyncio.sleep(0))
        said = estate.ask(method, path, body).json()["data"]
        name = path.split("/")[1]
        found = estate.ask("GET", f"seal-slots/{name}{'/rewrap' if 'rewrap' in path else ''}").json()["data"]
        for key in ("references", "added", "up", "reason"):
            said.pop(key, None)
            found.pop(key, None)
        assert said == found, path
