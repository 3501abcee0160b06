# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit with many versions: they cost no more than others, and no write waits while all are read."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from tests.conformance.certifier import chain
from tests.routes.driver import Application
from tests.routes.test_transit import Transit
from vault.barrier.view import View, core_prefix
from vault.engines.transit.key_routes import KeyEngine
from vault.engines.transit.keys.key_ring import KeyRing, find_key
from vault.engines.transit.keys.key_types import Material
from vault.engines.transit.keys.model import KEYS, VERSIONS
from vault.values.ids import ROOT_ID
from vault.values.times import Nanos


@pytest.fixture
def transit() -> Iterator[Transit]:
    with Application() as application:
        yield Transit(application)


def test_a_key_of_ten_thousand_versions_costs_no_more_than_one_of_two(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is read for a first use: the settings, and the one version."""
    transit.data("keys/many", {})
    storage = transit.application.storage
    transit.application.run(_grow(transit.application, "many", 10_000))
    text = transit.encrypt("many")
    asked = []
    for name in ("few", "many"):
        if name == "few":
            transit.encrypt("few")
        transit.application.request("PUT", "/v1/sys/seal", token="root")
        transit.application.reopen()
        seen: list[str] = []
        get = type(storage.reader()).get

        async def noted(reader: Any, path: str, get: Any = get, seen: list[str] = seen) -> Any:
            seen.append(path)
            return await get(reader, path)

        with monkeypatch.context() as patch:
            patch.setattr(type(storage.reader()), "get", noted)
            transit.encrypt(name)
        asked.append(len([path for path in seen if f"/{VERSIONS}" in path or f"/{KEYS}" in path]))
    assert asked == [2, 2]
    assert text.startswith("vault:v10000:")


async def _grow(application: Application, name: str, latest: int) -> None:
    """Give a key that many versions, as so many rotations would."""
    vault = application.vault
    ring = KeyRing(vault.key_slots.safe, vault.ground.follower)
    mount = next(mount.entry for mount in vault.mounts.router.root if mount.entry.path == "transit/")
    async with vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
        view = core.mount(mount.uuid)
        key = await find_key(view, name)
        assert key is not None
        grown = replace(key, latest=latest)
        material = Material(bytes(32), bytes(32))
        for number in range(key.latest + 1, latest + 1):
            await ring.put_version(view, grown, number, material, Nanos(number))
        await ring.put_key(view, name, grown)


@pytest.mark.parametrize("kind", ["aes256-gcm96", "ed25519"])
def test_no_write_waits_while_all_versions_of_a_key_are_read(
    transit: Transit, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a change answers is read before its transaction, but for what that makes."""
    transit.data("keys/k", {"type": kind})
    for _ in range(20):
        transit.data("keys/k/rotate", {})
    read: list[str] = []
    get = View.get

    async def noted(view: View, path: str) -> bytes | None:
        if path.startswith(VERSIONS):
            read.append(path)
        return await get(view, path)

    with monkeypatch.context() as patch:
        patch.setattr(View, "get", noted)
        for path, body, most in (
            ("keys/k/rotate", {}, 1),
            ("keys/k/config", {"min_decryption_version": 5, "min_encryption_version": 6}, 0),
            ("keys/k/trim", {"min_available_version": 5}, 0),
            ("keys/k/soft-delete-restore", {}, 0),
        ):
            shown = transit.data(path, body)
            assert len(read) <= most, path
            first = 1 if path.endswith("rotate") else 5
            assert sorted(map(int, shown["keys"])) == list(range(first, 23))
            del read[:]
    assert transit.ask("GET", "keys/k").json()["data"]["keys"] == shown["keys"]


def test_what_changed_since_versions_were_read_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    look = KeyEngine.look
    chains: list[str] = []

    async def meanwhile(engine: KeyEngine, call: Any, params: Any) -> Any:
        seen = await look(engine, call, params)
        path = "/v1/transit/keys/k/set-certificate"
        answer = await application.ask("POST", path, {"certificate_chain": chains[0]}, token="root")
        assert answer.status == 200
        return seen

    monkeypatch.setattr(KeyEngine, "look", meanwhile)
    with Application() as application:
        transit = Transit(application)
        public = transit.data("keys/k", {"type": "ecdsa-p256"})["keys"]["1"]["public_key"]
        chains.append(chain("two", public))
        shown = transit.data("keys/k/config", {"deletion_allowed": True})
    assert shown["keys"]["1"]["certificate_chain"] == chains[0].rstrip()
