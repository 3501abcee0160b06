# SPDX-License-Identifier: EUPL-1.2
"""After a seal, no key, share or secret is left in the server's memory; after a rotation, no replaced root key (SL-58)."""

from __future__ import annotations

import asyncio
import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.fuzz.process import Client, VaultProcess, wait_until
from tests.integration.memory import in_memory
from vault.barrier.barrier import Barrier
from vault.barrier.ring import stored
from vault.barrier.view import core_prefix
from vault.namespace import seal
from vault.namespace.book import Namespaces
from vault.seal.lifecycle import Lifecycle
from vault.seal.shares import shamir
from vault.storage.sqlite.storage import SqliteStorage
from vault.values.ids import ROOT_ID, NamespaceId
from vault.values.times import Millis

pytestmark = pytest.mark.executed

NAMESPACE = 'seal "shamir" { shares = 2 threshold = 2 }'
Keys = Mapping[str, bytes]


async def keys_of(
    database: Path, shares: Sequence[str], namespace: str = "", own: Sequence[str] = ()
) -> Keys:
    """Open a vault, and a namespace in it, by people's shares, in this process: return the keys by what they are."""
    storage = SqliteStorage.open(database)
    barrier = Barrier(storage, now=lambda: Millis(0), random=os.urandom)
    life = Lifecycle(storage, barrier, now=lambda: Millis(0), random=os.urandom)
    for share in shares:
        await life.unseal(share)
    found = {"root key": barrier.root_key.reveal()}
    found |= {f"key {number}": term.key.reveal() for number, term in barrier.keyring.terms.items()}
    found["unseal key"] = shamir.combine([bytes.fromhex(share) for share in shares])
    if namespace:
        entry = await Namespaces(barrier).stored(
            barrier.reader(ROOT_ID, core_prefix(ROOT_ID)), NamespaceId(namespace)
        )
        assert entry is not None and entry.seal is not None
        combined = shamir.combine([seal._share(share) for share in own])
        key, root_key = seal._keys(NamespaceId(namespace), entry.seal, combined)
        keyring = await stored(storage.reader(), NamespaceId(namespace), root_key)
        found |= {"namespace's unseal key": key.reveal(), "namespace's root key": root_key.reveal()}
        found["namespace's key"] = keyring.active.key.reveal()
    await storage.close()
    return found


def forms(keys: Keys) -> dict[bytes, str]:
    """Return what keys and shares look like, whoever writes them, by what to tell of them."""
    found = {key: name for name, key in keys.items()}
    found |= {key.hex().encode(): f"{name} in hex" for name, key in keys.items()}
    return found | {base64.b64encode(key): f"{name} in base64" for name, key in keys.items()}


def gone(vault: VaultProcess, wanted: Mapping[bytes, str]) -> None:
    """Wait until nothing of it is there any more: a minute at most."""
    left: set[str] = set()

    def none() -> bool:
        nonlocal left
        left = {wanted[each] for each in in_memory(vault.pid, wanted)}
        return not left

    wait_until(none, lambda: f"left in memory: {sorted(left)}")


def done(client: Client, method: str, path: str, body: object = None) -> Any:
    answer = client.request(method, f"/v1/{path}", body)
    assert answer.status in {200, 204}, (path, answer)
    return answer.json() if answer.body else None


@pytest.fixture
def vault(tmp_path: Path) -> Any:
    """A server that is not initialised."""
    made = VaultProcess(tmp_path)
    made.start()
    yield made
    made.stop()


def test_keys_and_shares_are_gone_from_memory_after_rotation_and_seal(vault: VaultProcess) -> None:
    with vault.client("") as client:
        made = done(client, "PUT", "sys/init", {"secret_shares": 3, "secret_threshold": 2})
        shares = made["keys"]
        for share in shares[:2]:
            done(client, "PUT", "sys/unseal", {"key": share})
    vault.root = made["root_token"]
    secrets = {f"secret-{os.urandom(16).hex()}".encode(): f"secret {number}" for number in range(20)}
    with vault.client() as client:
        done(client, "POST", "sys/mounts/secret", {"type": "kv", "options": {"version": "2"}})
        namespace = done(client, "POST", "sys/namespaces/a", {"seal": NAMESPACE})["data"]
        for share in namespace["key_shares"]:
            done(client, "PUT", "sys/namespaces/a/unseal", {"key": share})
        done(client, "POST", "a/sys/mounts/kv", {"type": "kv"})
        for number, secret in enumerate(secrets):
            done(client, "POST", f"secret/data/{number}", {"data": {"value": secret.decode()}})
            done(client, "POST", f"a/kv/{number}", {"value": secret.decode()})
            done(client, "GET", f"secret/data/{number}")
    asked = (vault.database, shares[:2], namespace["id"], namespace["key_shares"])
    before = asyncio.run(keys_of(*asked))
    held = {"root key", "key 1", "namespace's root key", "namespace's key"}
    assert held <= {
        forms(before)[each] for each in in_memory(vault.pid, forms(before))
    }  # or it looks elsewhere
    with vault.client() as client:
        for path in ("sys/rotate/root", "sys/rotate", "a/sys/rotate/root", "a/sys/rotate"):
            done(client, "POST", path, {})
    after = asyncio.run(keys_of(*asked))
    replaced = {name: before[name] for name in ("root key", "namespace's root key")}
    assert all(key != after[name] for name, key in replaced.items())
    gone(vault, forms(replaced))
    assert set(in_memory(vault.pid, [before["key 1"], after["key 2"]])) == {before["key 1"], after["key 2"]}
    given = {f"share {number}": bytes.fromhex(share) for number, share in enumerate(shares)}
    given |= {f"namespace's {n}": seal._share(share) for n, share in enumerate(namespace["key_shares"])}
    with vault.client() as client:
        done(client, "PUT", "sys/seal")
    keys = {f"replaced {name}": key for name, key in before.items()} | {**after, **given}
    gone(vault, secrets | forms(keys))
    with vault.client("") as client:
        for share in shares[1:]:
            done(client, "PUT", "sys/unseal", {"key": share})
    with vault.client() as client:
        assert done(client, "GET", "secret/data/0")["data"]["data"]["value"].encode() in secrets


def test_recovery_shares_that_were_given_are_gone_from_memory(tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(os.urandom(32))
    seal = f'seal "static" {{\n  current_key_id = "1"\n  current_key = "file://{tmp_path}/key"\n}}\n'
    vault = VaultProcess(tmp_path, more=seal)
    vault.start()
    try:
        with vault.client("") as client:
            made = done(client, "PUT", "sys/init", {"recovery_shares": 3, "recovery_threshold": 2})
        vault.root, shares = made["root_token"], made["recovery_keys"]
        path = "sys/generate-root-token"
        with vault.client() as client:
            nonce = done(client, "POST", f"{path}/attempt", {})["data"]["nonce"]
            for share in shares[:2]:
                given = done(client, "POST", f"{path}/update", {"key": share, "nonce": nonce})["data"]
            assert given["complete"]
            done(client, "PUT", "sys/seal")
        keys = {f"share {number}": bytes.fromhex(share) for number, share in enumerate(shares)}
        keys["recovery key"] = shamir.combine([bytes.fromhex(share) for share in shares[:2]])
        assert in_memory(vault.pid, forms(keys))  # or it looks elsewhere
        gone(vault, forms(keys))
    finally:
        vault.stop()
