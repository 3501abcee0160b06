# SPDX-License-Identifier: EUPL-1.2
"""New shares, root keys and root tokens of namespaces that have keys of their own, through the whole application."""

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.namespace.tenancy import NS, ONE, TWO, Tenancy
from tests.unit.seal.keys import Holder
from vault.engines.system.seal.generate_root import RootTokenEngine
from vault.namespace.consents import EveryConsent

RE = "a/sys/rotate/root"
GR = "a/sys/generate-root-token"
SEALED = "namespace is sealed"


@pytest.fixture
def tenancy() -> Iterator[Tenancy]:
    with Tenancy() as tenancy:
        yield tenancy


def begin(tenancy: Tenancy, **wish: object) -> str:
    """Begin to make new shares; return the nonce."""
    body = {"secret_shares": 3, "secret_threshold": 2, **wish}
    nonce: str = tenancy.do("POST", f"{RE}/init", body)["data"]["nonce"]
    return nonce


def rekeyed(tenancy: Tenancy, **wish: object) -> Any:
    """Make new shares; return the answer to the last of the old ones."""
    nonce = begin(tenancy, **wish)
    for share in tenancy.shares["a"][:2]:
        answer = tenancy.do("POST", f"{RE}/update", {"key": share, "nonce": nonce})["data"]
    assert answer["complete"]
    return answer


def opens(tenancy: Tenancy, shares: list[str]) -> bool:
    """Whether these shares, two of them, open the namespace, which is sealed before."""
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.unseal("a", {"reset": True})
    tenancy.unseal("a", {"key": shares[0]})
    answer = tenancy.request("PUT", f"/v1/{NS}/a/unseal", {"key": shares[1]}, token="root")
    if answer.status == 400:
        return False
    assert answer.json()["data"]["sealed"] is False
    assert tenancy.do("GET", "a/kv/x")["data"] == {"of": "a"}
    return True


def works(tenancy: Tenancy) -> None:
    """See that keys are replaced and kept under the root key that counts."""
    tenancy.do("POST", "a/sys/rotate")
    tenancy.do("POST", "a/kv/y", {"after": "all"})
    tenancy.work()
    assert tenancy.do("GET", "a/kv/y")["data"] == {"after": "all"}


def token_of(tenancy: Tenancy) -> str:
    """Have a root token made for the namespace."""
    begun = tenancy.do("POST", f"{GR}/attempt", {})["data"]
    for share in tenancy.shares["a"][: begun["required"]]:
        done = tenancy.do("POST", f"{GR}/update", {"key": share, "nonce": begun["nonce"]})["data"]
    hidden = {"encoded_token": done["encoded_token"], "otp": begun["otp"]}
    token: str = tenancy.do("POST", "sys/decode-token", hidden)["data"]["token"]
    return token


def test_new_shares_open_a_namespace_and_the_old_ones_no_more(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    old = list(tenancy.shares["a"])
    new = rekeyed(tenancy)["keys"]
    works(tenancy)
    assert not opens(tenancy, old)
    assert opens(tenancy, new[1:])
    works(tenancy)


@pytest.mark.parametrize("at", range(24))
def test_whatever_fails_while_shares_are_replaced_either_the_old_or_the_new_ones_open(
    tenancy: Tenancy, at: int
) -> None:
    tenancy.furnished("a", TWO)
    old = list(tenancy.shares["a"])
    nonce = begin(tenancy)
    tenancy.do("POST", f"{RE}/update", {"key": old[0], "nonce": nonce})
    tenancy.fails_at = at
    last = tenancy.request("POST", f"/v1/{RE}/update", {"key": old[1], "nonce": nonce}, token="root")
    tenancy.fails_at = None
    works(tenancy)
    if last.status == 200:
        assert opens(tenancy, last.json()["data"]["keys"])
        assert not opens(tenancy, old)
        assert opens(tenancy, last.json()["data"]["keys"])
    else:
        assert opens(tenancy, old)
    works(tenancy)


@pytest.mark.parametrize("at", range(16))
def test_whatever_fails_while_the_root_key_is_replaced_the_shares_open(tenancy: Tenancy, at: int) -> None:
    tenancy.furnished("a", TWO)
    tenancy.do("POST", RE)
    for path in (RE, f"{NS}/a/seal"):
        tenancy.fails_at = at
        tenancy.request("POST", f"/v1/{path}", {}, token="root")
        tenancy.fails_at = None
    tenancy.do("PUT", f"{NS}/a/seal")
    tenancy.unseal("a", {"key": tenancy.shares["a"][0]})
    tenancy.fails_at = at
    tenancy.request("PUT", f"/v1/{NS}/a/unseal", {"key": tenancy.shares["a"][1]}, token="root")
    tenancy.fails_at = None
    assert opens(tenancy, list(tenancy.shares["a"]))
    works(tenancy)
    assert opens(tenancy, list(tenancy.shares["a"][1:]))


def test_sealing_forgets_what_was_consented_to(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    first = tenancy.shares["a"][0]
    nonce = begin(tenancy)
    tenancy.do("POST", f"{RE}/update", {"key": first, "nonce": nonce})
    attempt = tenancy.do("POST", f"{GR}/attempt", {})["data"]["nonce"]
    tenancy.do("POST", f"{GR}/update", {"key": first, "nonce": attempt})
    tenancy.do("PUT", f"{NS}/a/seal")
    assert tenancy.status_of("GET", f"{RE}/init") == (503, SEALED)
    tenancy.open("a")
    assert tenancy.do("GET", f"{RE}/init")["data"]["started"] is False
    assert tenancy.do("GET", f"{GR}/attempt")["data"]["started"] is False


def test_each_namespace_and_the_vault_have_consents_of_their_own(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    tenancy.furnished("b", ONE)
    begin(tenancy)
    tenancy.do("POST", f"{GR}/attempt", {})
    for place in ("", "b/"):
        assert tenancy.do("GET", f"{place}sys/rotate/root/init")["data"]["started"] is False
        assert tenancy.do("GET", f"{place}sys/generate-root-token/attempt")["data"]["started"] is False
        tenancy.do("DELETE", f"{place}sys/rotate/root/init")
        tenancy.do("DELETE", f"{place}sys/generate-root-token/attempt")
    assert tenancy.do("GET", f"{RE}/init")["data"]["started"] is True
    assert tenancy.do("GET", f"{GR}/attempt")["data"]["started"] is True
    nonce = tenancy.do("POST", "b/sys/rotate/root/init", {"secret_shares": 1, "secret_threshold": 1})["data"][
        "nonce"
    ]
    status, text = tenancy.status_of(
        "POST", "b/sys/rotate/root/update", {"key": tenancy.shares["a"][0], "nonce": nonce}
    )
    assert status == 400, text


def test_consents_of_a_namespace_that_is_gone_are_forgotten(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    begin(tenancy)
    consents = _consents(tenancy)
    known = set(consents._known)
    assert known
    tenancy.do("DELETE", f"{NS}/a")
    tenancy.work()
    tenancy.furnished("b", ONE)
    tenancy.do("GET", "b/sys/rotate/root/init")
    assert not known & set(consents._known)
    assert not known & set(consents._sealing._forgetters)


def test_shares_for_holders_of_keys_are_kept_in_the_namespace(tenancy: Tenancy) -> None:
    identifier = tenancy.furnished("a", TWO)
    holders = [Holder(name) for name in ("one", "two")]
    before = tenancy.kept(identifier).keys()
    made = rekeyed(tenancy, secret_shares=2, pgp_keys=[holder.text for holder in holders], backup=True)
    shares = [
        holder.read(base64.b64decode(key)) for holder, key in zip(holders, made["keys_base64"], strict=True)
    ]
    backup = tenancy.do("GET", f"{RE}/backup")["data"]["keys_base64"]
    assert sorted(text for texts in backup.values() for text in texts) == sorted(made["keys_base64"])
    assert any("seal/backup/root" in name for name in tenancy.kept(identifier).keys() - before)
    assert tenancy.status_of("GET", "sys/rotate/root/backup")[0] == 400
    assert opens(tenancy, shares)


def test_a_change_of_shares_goes_on_when_whoever_asked_is_gone(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    sealing = tenancy.vault.key_slots.sealing
    entry = tenancy.vault.mounts.namespaces.at("a/")
    assert entry is not None

    async def cancelled() -> None:
        async with sealing._turn:
            waiting = asyncio.create_task(sealing.renew_root(entry.id))
            await asyncio.sleep(0)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await asyncio.gather(*sealing._shield._tasks)

    tenancy.run(cancelled())
    changed = tenancy.vault.mounts.namespaces.at("a/")
    assert changed is not None
    assert changed.seal is not None
    assert len(changed.seal.links) == 1
    works(tenancy)
    assert opens(tenancy, list(tenancy.shares["a"]))


def test_a_namespaces_root_token_is_root_there_and_below_and_nobody_elsewhere(tenancy: Tenancy) -> None:
    tenancy.furnished("a", TWO)
    tenancy.furnished("beside", ONE)
    tenancy.do("POST", f"a/{NS}/kid")
    token = token_of(tenancy)
    for path in ("a/kv/x", "a/sys/mounts", "a/kid/sys/mounts"):
        assert tenancy.status_of("GET", path, token=token)[0] == 200
    for method, path in (
        ("GET", "sys/mounts"),
        ("GET", "beside/kv/x"),
        ("PUT", f"{NS}/a/seal"),
        ("PUT", "sys/seal"),
        ("GET", "sys/config/state/sanitized"),
        ("POST", "sys/rotate"),
    ):
        assert tenancy.status_of(method, path, token=token)[0] == 403, path
    for path in ("a/sys/audit", "a/sys/host-info", "a/sys/seal"):
        assert tenancy.status_of("GET", path, token=token) == (
            400,
            "operation only available in root namespace",
        )
    status, text = tenancy.status_of("POST", "a/auth/token/create", {"policies": ["root"]})
    assert (status, text) == (400, "root tokens may not be created from a parent namespace")
    tenancy.do("PUT", f"{NS}/a/seal")
    assert tenancy.status_of("GET", "a/kv/x", token=token)[0] == 503


def _consents(tenancy: Tenancy) -> EveryConsent:
    system = tenancy.vault.catalog._secrets["system", ""]
    return next(one for one in system.engines if isinstance(one, RootTokenEngine))._consents
