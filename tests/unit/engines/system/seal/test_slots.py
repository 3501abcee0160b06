# SPDX-License-Identifier: EUPL-1.2
"""`sys/seal-slots` and `sys/rotate/…` on an open vault, through the whole application."""

import asyncio
import io
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest

from hsm.errors import SlotUnavailable
from hsm.key_slot import KeyIdentity, WrappedKey
from tests.routes.driver import Ahead, Answer, Application
from vault.audit.device import DeviceConfig
from vault.framework.clock import Entropy
from vault.framework.errors import Unavailable
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.framework.telemetry.metrics import Metrics
from vault.seal.records.record import WrappedSlot, decode, encode, link_path
from vault.server.compose.app import Vault
from vault.server.config.seal_settings import HsmPolicy, SealSettings, StaticSeal
from vault.server.config.settings import Config, Listener, StorageSettings
from vault.storage.memory import MemoryStorage
from vault.values.ids import ROOT_ID

RECOVERY = {"recovery_shares": 3, "recovery_threshold": 2}


class Estate(Application):
    """A vault that static keys open: `a` and `b` at first, and `c`, which it does not know yet."""

    def __init__(self, *, can_unseal: bool = True) -> None:
        self.storage = MemoryStorage()
        self.client = ("127.0.0.1", 4711)
        self.clock = Ahead()
        self.text = io.StringIO()
        self._policy = HsmPolicy(recovery_can_unseal=can_unseal)
        self.restart("a", "b")

    def restart(self, *names: str) -> None:
        """Start anew with these slots."""
        clock = self.clock
        config = Config(
            listeners=(Listener(kind="tcp", address="127.0.0.1:1", tls_disable=True),),
            storage=StorageSettings(kind="inmem"),
            seals=tuple(_static(name) for name in names),
            hsm=self._policy,
            unsafe_allow_api_audit_creation=True,
        )
        log = Log(stream=self.text, level="trace", clock=clock)
        self.vault = Vault(
            config, self.storage, clock=clock, entropy=Entropy(), metrics=Metrics(clock), log=log
        )
        self.vaults = [self.vault]

    async def __call__(self, method: str, path: str, body: object = None, **options: Any) -> Answer:
        return await self.ask(method, f"/v1/sys/{path}", body, token=options.get("token", self.root))

    async def open(self) -> "Estate":
        self.root = ""
        made = (await self("POST", "init", RECOVERY)).json()
        self.root, self.shares = made["root_token"], made["recovery_keys"]
        return self

    async def again(self, *names: str) -> "Estate":
        """Be another start, which opens by itself."""
        await self.vault.stop()
        self.restart(*names)
        await self.vault._open_by_slots()
        return self

    async def slots(self) -> dict[str, Any]:
        found: dict[str, Any] = (await self("LIST", "seal-slots")).json()["data"]
        return found


def _static(name: str) -> SealSettings:
    key = Secret((name * 32)[:32])
    return SealSettings(
        kind="static", name=name, static=StaticSeal(current_key_id=f"{name}1", current_key=key, name=name)
    )


def play(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


def test_slots_are_listed_with_what_is_known_of_them() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        await here.vault._seal_watch.step()
        found = await here.slots()
        assert found["keys"] == ["a", "b", "shamir"]
        assert found["root_version"] == 1
        a = found["key_info"]["a"]
        assert (a["type"], a["stored"], a["priority"], a["up"], a["key_version"]) == (
            "static",
            True,
            1,
            True,
            "a1",
        )
        assert a["references"] == {"a1": 5}  # root key, canary, recovery, wrapping tokens, safe
        assert found["key_info"]["shamir"]["priority"] == 3
        assert (await here("GET", "seal-slots")).json()["data"] == found
        assert (await here("GET", "seal-slots/a")).json()["data"] == a
        assert (await here("GET", "seal-slots/x")).status == 404
        status = (await here("GET", "seal-status", token="")).json()
        assert [(slot["name"], slot["type"], slot["up"], slot["behind"]) for slot in status["slots"]] == [
            ("a", "static", True, 0),
            ("b", "static", True, 0),
            ("shamir", "shamir", True, 0),
        ]

    play(scenario)


def test_a_vault_of_shares_has_one_slot() -> None:
    application = Application()
    try:
        found = application.request("LIST", "/v1/sys/seal-slots", token="root").json()["data"]
        assert (found["keys"], found["key_info"]["shamir"]["type"]) == (["shamir"], "shamir")
        assert "slots" not in application.request("GET", "/v1/sys/seal-status").json()
        refused = application.request("DELETE", "/v1/sys/seal-slots/shamir", token="root")
        assert "last one that works" in refused.json()["errors"][0]
        assert application.request("POST", "/v1/sys/seal-slots/shamir/rewrap", token="root").status == 400
    finally:
        application.close()


def test_slots_are_added_ordered_tried_and_removed_without_a_pause() -> None:
    async def scenario() -> None:
        here = await (await Estate().open()).again("a", "b", "c")
        added = await here("POST", "seal-slots/c")
        assert (added.status, added.json()["data"]["priority"]) == (200, 4)
        assert "part of the vault already" in (await here("POST", "seal-slots/c")).json()["errors"][0]
        assert "no seal stanza" in (await here("POST", "seal-slots/d")).json()["errors"][0]
        assert (await here("POST", "seal-slots/c/promote")).json()["data"]["priority"] == 1
        assert (await here("POST", "seal-slots/c/demote")).json()["data"]["priority"] == 4
        assert (await here("POST", "seal-slots/x/demote")).status == 400
        verified = (await here("POST", "seal-slots/c/verify")).json()["data"]
        assert verified == {"name": "c", "verified": True, "key_version": "c1"}
        assert (await here("POST", "seal-slots/shamir/verify")).status == 400
        for name in ("a", "b", "shamir"):
            assert (await here("DELETE", f"seal-slots/{name}")).status == 204
        assert "last one that works" in (await here("DELETE", "seal-slots/c")).json()["errors"][0]
        await here.again("c")
        assert (await here.slots())["keys"] == ["c"]
        assert (await here("POST", "seal-slots/shamir")).status == 200
        assert (await here("DELETE", "seal-slots/c")).status == 204
        assert "a slot was removed" in here.text.getvalue()

    play(scenario)


def test_a_rewrap_moves_everything_of_a_slot_to_its_newest_key() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        vault = here.vault
        wrapped = await vault.key_slots.wraps.wrap(ROOT_ID, "audit/salt", b"salt")
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            await vault.key_slots.wraps.put(core, "audit/salt", wrapped)
        first = vault.key_slots.lifecycle.slots.enabled[0]
        state = (await here("GET", "seal-slots/a/rewrap")).json()["data"]
        assert (state["references"], state["outstanding"], state["root_current"]) == ({"a1": 6}, 0, True)
        first._key_id = "a2"  # type: ignore[attr-defined]  # a key that was rotated outside
        first._keys["a2"] = first._keys["a1"]  # type: ignore[attr-defined]  # and still has the old one
        state = (await here("POST", "seal-slots/a/rewrap")).json()["data"]
        assert (state["key_version"], state["references"], state["outstanding"]) == ("a2", {"a2": 6}, 0)
        assert (await here("POST", "seal-slots/x/rewrap")).status == 400
        assert (await here("GET", "seal-slots/shamir/rewrap")).status == 404

    play(scenario)


def test_another_root_key_links_the_slot_for_shares_or_drops_it() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        assert (await here("POST", "rotate/root", {})).status == 204
        found = await here.slots()
        assert (found["root_version"], found["key_info"]["shamir"]["behind"]) == (2, 1)
        assert await here.storage.reader().get(link_path(1)) is not None
        for drop in ([], ["a"]):
            refused = await here("POST", "rotate/root", {"no_links": True, "drop": drop})
            assert refused.status == 400
            assert "open the vault no more: shamir (people's shares)" in refused.json()["errors"][0]
        body = {"no_links": True, "drop": "shamir"}
        tried = await here("POST", "rotate/root", {**body, "dry_run": True})
        assert tried.json()["warnings"] == [
            "slot shamir would be dropped and opens the vault no more; sys/seal-slots/shamir adds it again"
        ]
        assert (await here.slots())["root_version"] == 2
        dropped = await here("POST", "rotate/root", body)
        assert dropped.json()["warnings"] == [
            "slot shamir is dropped and opens the vault no more; sys/seal-slots/shamir adds it again"
        ]
        found = await here.slots()
        assert (found["root_version"], found["keys"]) == (3, ["a", "b"])
        assert await here.storage.reader().get(link_path(1)) is None
        assert (await here("POST", "seal-slots/shamir")).status == 200
        await here.again("b")
        assert (await here("GET", "seal-slots")).status == 200
        assert (await here("POST", "rotate/root", {"dry_run": True})).status == 204
        assert (await here.slots())["root_version"] == 3

    play(scenario)


def test_a_change_is_made_once_although_it_moves_the_epoch() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        for version in (2, 3, 4):
            assert (await here("POST", "rotate/root", {})).status == 204
            assert (await here.slots())["root_version"] == version

    play(scenario)


def test_what_is_answered_once_cannot_be_wrapped() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        for path in ("rotate/root", "seal-slots/a/verify", "rotate/recovery/update"):
            answer = await here.ask(
                "POST", f"/v1/sys/{path}", {}, token=here.root, headers={"x-vault-wrap-ttl": "60"}
            )
            assert answer.status == 400
            assert "cannot be wrapped" in answer.json()["errors"][0]
        assert (await here.slots())["root_version"] == 1

    play(scenario)


def test_everything_needs_sudo() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        text = 'path "sys/seal-slots*" { capabilities = ["create", "read", "update", "delete", "list"] }'
        await here("PUT", "policies/acl/p", {"policy": text})
        body = {"policies": ["p"], "no_default_policy": True}
        made = await here.ask("POST", "/v1/auth/token/create", body, token=here.root)
        token = made.json()["auth"]["client_token"]
        for method, path in (
            ("LIST", "seal-slots"),
            ("GET", "seal-slots"),
            ("GET", "seal-slots/a"),
            ("POST", "seal-slots/a"),
            ("DELETE", "seal-slots/a"),
            ("POST", "seal-slots/a/verify"),
            ("POST", "seal-slots/a/promote"),
            ("POST", "seal-slots/a/demote"),
            ("POST", "seal-slots/a/rewrap"),
            ("GET", "seal-slots/a/rewrap"),
        ):
            assert (await here(method, path, token=token)).status == 403

    play(scenario)


def test_a_slot_that_hangs_is_asked_for_an_audit_devices_salt_while_others_write(tmp_path: Path) -> None:
    async def scenario() -> None:
        here = await Estate().open()
        entered, hold = asyncio.Event(), asyncio.Event()
        first = here.vault.key_slots.lifecycle.slots.enabled[0]
        wrap = first.wrap

        async def slow(dek: bytes, key: KeyIdentity | None = None) -> WrappedKey:
            entered.set()
            await hold.wait()
            return await wrap(dek, key)

        first.wrap = slow  # type: ignore[method-assign]  # a token that hangs
        device = {"type": "file", "options": {"file_path": str(tmp_path / "audit.log")}}
        enabling = asyncio.create_task(here("PUT", "audit/x", device))
        await entered.wait()
        text = 'path "a" { capabilities = ["read"] }'
        async with asyncio.timeout(60):
            assert (await here("PUT", "policies/acl/p", {"policy": text})).status == 204
        hold.set()
        assert (await enabling).status == 204
        assert (await here("GET", "audit")).json()["data"]["x/"]["type"] == "file"

    play(scenario)


def test_hashes_stay_as_they_are_while_no_slot_answers(tmp_path: Path) -> None:
    async def scenario() -> None:
        here = await Estate().open()

        async def enabled(name: str) -> str:
            device = {"type": "file", "options": {"file_path": str(tmp_path / name)}}
            assert (await here("PUT", f"audit/{name}", device)).status == 204
            return await hashed()

        async def hashed() -> str:
            return str((await here("PUT", "audit-hash/x", {"input": "secret"})).json()["data"]["hash"])

        before = await enabled("x")
        here.vault.key_slots.wraps.drop()
        for slot in here.vault.key_slots.lifecycle.slots.enabled:
            slot._keys = {}  # type: ignore[attr-defined]  # its key is gone
        assert (await here("DELETE", "audit/y")).status == 204
        assert await hashed() == before
        await here.vault._sealing()
        assert here.vault.controls.audit._salts._salts._known == {}

    play(scenario)


def test_an_audit_device_whose_salt_is_for_a_slot_that_is_gone_is_refused(tmp_path: Path) -> None:
    async def scenario() -> None:
        here = await Estate().open()
        vault = here.vault
        vault.key_slots.lifecycle.slots.enabled = vault.key_slots.lifecycle.slots.enabled[:1]
        salt = await vault.controls.audit.salt_for(vault.ground.barrier.reader(ROOT_ID, "ns/root/"), "x")
        here.restart("a", "b")
        await here.vault._open_by_slots()
        vault = here.vault
        assert (await here("DELETE", "seal-slots/a")).status == 204
        config = DeviceConfig(path="x", kind="file", options={"file_path": str(tmp_path / "audit.log")})
        async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
            with pytest.raises(Unavailable):
                await vault.controls.audit.enable(core, config, salt)

    play(scenario)


def test_a_damaged_record_is_no_reason_to_hide_the_list() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        async with here.storage.write() as tx:
            await tx.put("core/seal/slots/a", b"damaged")
        assert (await here.slots())["key_info"]["a"]["references"] == {}
        answer = await here("POST", "seal-slots/a/verify")
        assert (answer.status, answer.json()["errors"][0]) == (
            500,
            "the stored seal record fails its integrity check",
        )

    play(scenario)


def test_a_record_without_a_version_of_its_key_is_counted_as_damaged() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        path = "core/seal/slots/a"
        async with here.storage.write() as tx:
            record = decode(path, await tx.get(path) or b"", WrappedSlot)
            await tx.put(path, encode(path, msgspec.structs.replace(record, root=b"x" * 40)))
        assert (await here.slots())["key_info"]["a"]["references"]["damaged"] == 1
        answer = await here("POST", "seal-slots/a/verify")
        assert "was damaged or cut short" in answer.json()["errors"][0]

    play(scenario)


def test_a_new_vault_is_replaced_until_its_token_was_used() -> None:
    async def scenario() -> None:
        here = Estate()
        here.root = ""
        lost = (await here("POST", "init", RECOVERY)).json()
        assert not (await here("GET", "seal-status")).json()["sealed"]
        assert (await here("POST", "init", RECOVERY)).status == 400
        made = (await here("POST", "init", {**RECOVERY, "replace_unconfirmed": True})).json()
        assert made["root_token"] != lost["root_token"]
        assert (await here("GET", "mounts", token=lost["root_token"])).status == 403
        assert (await here("GET", "mounts", token=made["root_token"])).status == 200
        again = await here("POST", "init", {**RECOVERY, "replace_unconfirmed": True})
        assert again.json()["errors"] == ["Vault is already initialized"]
        await here.vault._seal_watch.step()
        config = await here.vault.key_slots.lifecycle.config()
        assert config is not None
        assert config.confirmed

    play(scenario)


def test_a_vault_that_no_slot_can_make_is_not_made() -> None:
    async def scenario() -> None:
        here = Estate()
        here.root = ""

        async def gone(dek: bytes, key: KeyIdentity | None = None) -> None:
            raise SlotUnavailable("gone")

        for slot in here.vault.key_slots.lifecycle.slots:
            slot.wrap = gone  # type: ignore[assignment,method-assign]  # it does not answer
        answer = await here("POST", "init", RECOVERY)
        assert answer.status == 500
        assert answer.json()["errors"][0].startswith("no seal slot answers (a: gone; b: gone)")
        assert not (await here("GET", "init")).json()["initialized"]

    play(scenario)


def test_a_vault_that_is_still_loading_is_shown_as_sealed() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        presence = here.vault.presence
        async with here.vault._turn:
            cluster, presence.cluster = presence.cluster, None
            assert (await here("GET", "seal-status", token="")).json()["sealed"]
            assert (await here("GET", "health", token="")).status == 503
            presence.cluster = cluster
            assert (await here("GET", "health", token="")).status == 200
        assert not (await here("GET", "seal-status", token="")).json()["sealed"]

    play(scenario)


def test_a_vault_that_somebody_sealed_is_not_opened_by_its_slots() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        assert (await here("PUT", "seal")).status == 204
        await here.vault._seal_watch.step()
        assert (await here("GET", "seal-status", token="")).json()["sealed"]
        for share in here.shares[:2]:
            await here("PUT", "unseal", {"key": share}, token="")
        assert not (await here("GET", "seal-status", token="")).json()["sealed"]

    play(scenario)


def test_while_a_vault_is_being_opened_a_good_token_is_not_told_that_it_is_a_bad_one() -> None:
    async def scenario() -> None:
        here = await Estate().open()
        here.restart("a", "b")
        await here.vault.key_slots.lifecycle.auto_unseal()
        for method, path in (("GET", "seal-slots"), ("PUT", "seal"), ("GET", "policies/acl")):
            answer = await here(method, path)
            assert (answer.status, answer.json()["errors"]) == (503, ["Vault is sealed"])
        assert (await here("GET", "seal-status")).status == 200
        await here.vault._opened()
        assert (await here("GET", "seal-slots")).status == 200

    play(scenario)
