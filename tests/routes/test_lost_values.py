# SPDX-License-Identifier: EUPL-1.2
"""Wrapped values that no slot opens any more: they are in nobody's way, and go when somebody says so."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from hsm.errors import SlotUnavailable
from tests.routes.driver import Application
from tests.routes.issuer import Issuer
from tests.unit.seal.soft import SoftSlot
from vault.seal.records.sealwrap import PREFIX
from vault.values.ids import ROOT_ID

pytestmark = pytest.mark.asked_alone("takes slots away from one process")

LOST = SlotUnavailable("lost for good")
HELD = {"audit/salt/file", "safe/1", "wrapping/key"}
SHUT = "no slot opens"


class Bereft:
    """A vault whose only slot, `a`, was lost; shares opened it. `b` and `c` are configured."""

    def __init__(self) -> None:
        self.slots = {name: SoftSlot(name) for name in "abc"}
        self.app = Application(slots=[self.slots["a"]])
        self.vault = self.app.vault
        self.vault.key_slots.lifecycle.slots.join([self.slots["b"], self.slots["c"]])
        self.issuer = Issuer(self.app)
        assert self.issuer.issue()
        self.reopened("a")

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask as root."""
        return self.app.request(method, f"/v1/sys/{path}", body, token="root")

    def did(self, method: str, path: str, body: object = None) -> Any:
        """Do as root, and return the warnings."""
        answer = self.ask(method, path, body)
        assert answer.status in (200, 204), answer.body
        return (answer.json()["warnings"] or []) if answer.body else []

    def reopened(self, *lost: str) -> None:
        """Start anew with shares, while these slots are lost."""
        assert self.ask("POST", "seal").status == 204
        for name, slot in self.slots.items():
            slot.away = LOST if name in lost else None
        assert not self.app.request("PUT", "/v1/sys/unseal", {"key": self.app.key}).json()["sealed"]

    def watch(self) -> None:
        """Let the watch look."""
        self.app.vault._seal_watch.look_soon()
        self.app.run(self.app.vault._seal_watch.step())

    def holders(self) -> dict[str, set[str]]:
        """Return which slots each wrapped value is for."""

        async def read() -> dict[str, set[str]]:
            core = self.vault.ground.barrier.reader(ROOT_ID, "ns/root/")
            return {
                path: set(msgspec.json.decode(await core.get(PREFIX + path) or b"")["slots"])
                for path in await core.scan(PREFIX)
            }

        found: dict[str, set[str]] = self.app.run(read())
        return found

    def recovery_anew(self) -> None:
        """Give people new recovery keys: nobody has the old ones' key any more."""
        nonce = self.ask("POST", "rotate/recovery/init", {"secret_shares": 1, "secret_threshold": 1}).json()
        body = {"key": self.app.key, "nonce": nonce["data"]["nonce"]}
        self.app.key = self.ask("POST", "rotate/recovery/update", body).json()["data"]["keys"][0]


@pytest.fixture
def bereft() -> Iterator[Bereft]:
    made = Bereft()
    yield made
    made.app.close()


def test_a_value_that_no_slot_opens_keeps_no_other_from_a_new_slot(bereft: Bereft) -> None:
    told, withheld = bereft.did("POST", "seal-slots/b", {"dry_run": True})
    assert told.startswith(SHUT)
    assert all(path in told for path in HELD)
    assert bereft.did("POST", "seal-slots/b") == [told, withheld]
    assert bereft.issuer.root("nhi/keys", {"algorithm": "ed25519"})
    bereft.did("POST", "seal-slots/c")
    assert bereft.holders()["safe/2"] == {"b", "c"}
    state = bereft.ask("POST", "seal-slots/c/rewrap", {"dry_run": True}).json()
    assert state["data"]["outstanding"] == len(HELD)
    bereft.slots["c"].rotate()
    bereft.did("POST", "seal-slots/c/rewrap")
    state = bereft.ask("GET", "seal-slots/c/rewrap").json()["data"]
    assert set(state["references"]) == {"v0002"}
    assert state["outstanding"] == len(HELD)
    bereft.reopened("a", "b")
    assert bereft.issuer.issue()
    bereft.reopened()
    bereft.watch()
    assert all(held == {"a", "b", "c"} for held in bereft.holders().values())
    assert bereft.did("POST", "seal-slots/c/rewrap", {"dry_run": True}) == []


def test_a_slot_that_was_away_gets_what_opens_and_the_recovery_key(bereft: Bereft) -> None:
    bereft.did("POST", "seal-slots/b")
    bereft.did("POST", "seal-slots/c")
    bereft.slots["c"].away = LOST
    bereft.recovery_anew()
    bereft.vault.key_slots.safe.keys.forget()
    bereft.reopened("a", "c")
    bereft.slots["c"].away = None
    bereft.watch()
    bereft.reopened("a", "b")
    assert bereft.issuer.root("nhi/keys", {"algorithm": "ed25519"})
    bereft.did("DELETE", "seal-slots/shamir")
    bereft.did("DELETE", "seal-slots/a?abandon=true")
    bereft.reopened("a", "b")  # with what the slot that was away holds of the recovery key


def test_that_no_slot_gives_the_recovery_key_is_told_by_whoever_takes_what_there_is(bereft: Bereft) -> None:
    """The token was replaced by another one of its name: what is in memory goes there, what is not stays away."""
    lost = "the recovery key"
    assert any(told.startswith(lost) for told in bereft.did("POST", "seal-slots/b"))
    bereft.slots["a"].away = None
    bereft.slots["a"].replace()
    bereft.slots["a"].rotate()
    for body in ({"dry_run": True}, {}):
        answer = bereft.ask("POST", "seal-slots/a/rewrap", body).json()
        assert any(told.startswith(lost) for told in answer["warnings"])
    state = bereft.ask("GET", "seal-slots/a/rewrap").json()["data"]
    assert answer["data"]["outstanding"] == state["outstanding"] == len(HELD) + 1
    assert answer["data"]["references"]["v0002"] == state["references"]["v0002"]
    bereft.recovery_anew()  # with the slot for shares
    bereft.did("POST", "seal-slots/a/rewrap")
    warned = bereft.did("POST", "seal-slots/a/rewrap")
    assert not any(told.startswith(lost) for told in warned)


@pytest.mark.parametrize("how", ["remove", "rotate"])
def test_what_a_lost_slot_took_along_goes_only_if_somebody_says_so(bereft: Bereft, how: str) -> None:
    bereft.did("POST", "seal-slots/b")
    bereft.recovery_anew()
    said: dict[str, object] = {"no_links": True, "drop": ["a", "shamir"]}
    method, path, body = (
        ("DELETE", "seal-slots/a", None) if how == "remove" else ("POST", "rotate/root", said)
    )
    refused = bereft.ask(method, path, body)
    assert refused.status == 400
    assert all(lost in refused.json()["errors"][0] for lost in (*HELD, "abandon"))
    assert bereft.holders().keys() >= HELD
    tried = {**said, "abandon": True, "dry_run": True} if body else None
    asked = path if body else f"{path}?abandon=true&dry_run=true"
    warned = bereft.did(method, asked, tried)[-1]
    assert all(lost in warned for lost in HELD)
    assert bereft.holders().keys() >= HELD
    done = {**said, "abandon": True} if body else None
    assert bereft.did(method, path if body else f"{path}?abandon=true", done)[-1] == warned
    assert all(held == {"b"} for held in bereft.holders().values())
    bereft.slots["a"].away = None
    bereft.did("POST", "seal-slots/a")
    assert all(held == {"a", "b"} for held in bereft.holders().values())
    bereft.did("DELETE", "seal-slots/b")
    assert bereft.issuer.root("nhi/keys", {"algorithm": "ed25519"})


def test_abandon_takes_nothing_that_a_slot_opens(bereft: Bereft) -> None:
    bereft.did("POST", "seal-slots/b")
    bereft.slots["a"].away = None
    before = bereft.holders().keys()
    assert bereft.did("DELETE", "seal-slots/a?abandon=true") == []
    assert bereft.holders() == {path: {"b"} for path in before}


def test_a_slot_that_was_left_while_it_was_away_gives_what_it_holds_once_it_is_back() -> None:
    slot = SoftSlot("a")
    app = Application(slots=[slot])
    issuer, vault = Issuer(app), app.vault
    assert issuer.issue()

    def reopened(**more: object) -> None:
        app.request("POST", "/v1/sys/seal", token="root")
        answer = app.request("PUT", "/v1/sys/unseal", {"key": app.key, **more})
        assert not answer.json()["sealed"]

    def warnings() -> list[str]:
        app.vault._seal_watch.look_soon()
        app.run(app.vault._seal_watch.step())
        found: list[str] = app.request("GET", "/v1/sys/seal-status").json().get("warnings", [])
        return found

    vault.key_slots.lifecycle.slots.enabled, vault.key_slots.lifecycle.slots.disabled = [], [slot]
    slot.away = LOST
    reopened(migrate=True)
    assert ["held by slot a only" in told for told in warnings()] == [True]
    assert app.log.getvalue().count("left to slots of before") == 1
    slot.away = None
    assert warnings() == []
    assert issuer.issue()
    vault.key_slots.lifecycle.slots.disabled = []
    reopened()
    assert issuer.issue()
    app.close()


def test_a_slot_whose_name_another_token_has_now_is_given_what_the_other_held() -> None:
    a, b = SoftSlot("a"), SoftSlot("b")
    app = Application(slots=[a, b])
    issuer, vault = Issuer(app), app.vault
    b.away = LOST
    app.request("POST", "/v1/sys/rotate/root", {"no_links": True, "drop": ["b", "shamir"]}, token="root")
    b.away = None
    b.replace()
    app.run(vault.key_slots.lifecycle.slot_changes.add("b"))  # and the server was killed just then
    app.vault._seal_watch.look_soon()
    app.run(app.vault._seal_watch.step())
    a.away = LOST
    app.run(app.vault._closing())
    assert app.run(app.vault._open_by_slots())
    assert issuer.issue()
    app.close()


def test_what_of_the_safe_does_not_open_is_told_once_and_damage_is_an_alarm(bereft: Bereft) -> None:
    bereft.did("POST", "seal-slots/b")
    bereft.watch()
    bereft.watch()
    assert (
        bereft.app.log.getvalue().count("[WARN]  seal: a key of the safe does not open: key_version=1") == 1
    )
    bereft.slots["a"].away = None
    bereft.slots["a"].replace()
    bereft.vault.key_slots.wraps.drop()
    bereft.watch()
    bereft.watch()
    assert (
        bereft.app.log.getvalue().count("[ERROR] seal: a key of the safe does not open: key_version=1") == 1
    )


def test_what_only_a_lost_slot_can_give_is_counted_until_it_has(bereft: Bereft) -> None:
    def stuck() -> dict[str, int]:
        bereft.watch()
        found = bereft.ask("GET", "seal-slots").json()["data"]["key_info"]
        return {name: info["stuck"] for name, info in found.items()}

    assert stuck() == {"shamir": 0, "a": len(HELD), "b": 0, "c": 0}
    bereft.did("POST", "seal-slots/b")
    assert stuck()["a"] == len(HELD)
    bereft.slots["a"].away = None
    assert stuck()["a"] == 0


def test_a_recovery_key_that_a_lost_slot_alone_has_goes_with_it_if_somebody_says_so(bereft: Bereft) -> None:
    bereft.did("POST", "seal-slots/b")
    bereft.did("DELETE", "seal-slots/shamir")
    for path in ("seal-slots/a", "seal-slots/a?dry_run=true"):
        [told] = bereft.ask("DELETE", path).json()["errors"]
        assert told.startswith("only slot a holds the recovery key, and no slot that stays can take it now")
    bereft.slots["a"].away, bereft.slots["b"].away = None, LOST
    assert (
        bereft.ask("DELETE", "seal-slots/a?abandon=true").status == 400
    )  # it gives the key: nothing is lost
    bereft.slots["a"].away, bereft.slots["b"].away = LOST, None
    tried = bereft.did("DELETE", "seal-slots/a?abandon=true&dry_run=true")
    assert bereft.did("DELETE", "seal-slots/a?abandon=true") == tried
    assert any("nobody holds shares of this vault any more" in told for told in tried)
    wish = {"secret_shares": 1, "secret_threshold": 1}
    bereft.app.key = bereft.ask("POST", "rotate/recovery/init", wish).json()["data"]["keys"][0]
    bereft.did("POST", "seal-slots/shamir")
    bereft.reopened("a", "b")


def test_what_a_slot_holds_that_the_vault_left_while_it_was_away_can_be_given_up() -> None:
    slot = SoftSlot("a")
    app = Application(slots=[slot])
    vault = app.vault
    vault.key_slots.lifecycle.slots.enabled, vault.key_slots.lifecycle.slots.disabled = [], [slot]
    app.request("POST", "/v1/sys/seal", token="root")
    slot.away = LOST
    app.request("PUT", "/v1/sys/unseal", {"key": app.key, "migrate": True})

    def warnings(path: str) -> list[str]:
        app.vault._seal_watch.look_soon()
        app.run(app.vault._seal_watch.step())
        found: list[str] = app.request("GET", f"/v1/sys/{path}", token="root").json().get("warnings") or []
        return [told for told in found if "seal-slots remove -abandon a" in told]

    [told] = warnings("seal-slots")
    assert warnings("seal-status") == [told]
    assert "held by slot a only, which is no part of the vault: 3;" in told
    for path in ("seal-slots/a", "seal-slots/a?dry_run=true"):
        refused = app.request("DELETE", f"/v1/sys/{path}", token="root")
        assert refused.json()["errors"][0].startswith("slot a holds wrapped values that no slot opens: ")
    assert app.request("DELETE", "/v1/sys/seal-slots/b?abandon=true", token="root").status == 400
    done = app.request("DELETE", "/v1/sys/seal-slots/a?abandon=true", token="root")
    assert all(path in done.json()["warnings"][0] for path in HELD)
    assert warnings("seal-slots") == warnings("seal-status") == []
    again = app.request("DELETE", "/v1/sys/seal-slots/a?abandon=true", token="root")
    assert again.json()["errors"] == ["there is no seal slot a; there are: shamir"]
    app.close()


def test_what_the_server_has_in_memory_is_given_to_a_new_slot_though_its_only_holder_is_lost() -> None:
    slots = {name: SoftSlot(name) for name in "ab"}
    app = Application(slots=[slots["a"]])
    issuer, vault = Issuer(app), app.vault
    assert issuer.issue()
    vault.key_slots.lifecycle.slots.join([slots["b"]])
    vault.key_slots.wraps.drop()
    slots["a"].away = LOST
    added = app.request("POST", "/v1/sys/seal-slots/b", token="root")
    assert added.status == 200
    [told] = added.json()["warnings"]
    assert told.startswith("the recovery key stays as it is")  # it is in nobody's memory
    app.request("POST", "/v1/sys/seal", token="root")
    app.vault.key_slots.lifecycle._kept_sealed = False
    assert app.run(app.vault._open_by_slots())
    assert issuer.issue()
    assert list(vault.key_slots.safe.keys.known) == list(vault.key_slots.signing.known) == [1]
    app.close()
