# SPDX-License-Identifier: EUPL-1.2
"""How often each version of a transit key was used: counted in memory, kept in storage, and told of in time."""

from collections.abc import Iterator

import pytest

from tests.routes.driver import Application
from tests.routes.test_transit import TEXT, Transit
from tests.shared import Shared
from vault.barrier.view import core_prefix
from vault.engines.transit.keys.model import USES, USES_RECORD
from vault.engines.transit.usage import uses as module
from vault.values.ids import ROOT_ID


@pytest.fixture
def transit() -> Iterator[Transit]:
    with Application() as application:
        yield Transit(application)


def shown(transit: Transit, name: str) -> object:
    return transit.ask("GET", f"keys/{name}?usage=true").json()["data"]["usage"]


def store(transit: Transit) -> None:
    """Do what each process does now and then."""
    transit.application.run(transit.application.vault._background._run_jobs())


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_encryptions_and_signatures_are_counted_by_version(transit: Transit) -> None:
    transit.data("keys/k", {})
    text = transit.encrypt("k")
    transit.encrypt("k")
    transit.data("keys/k/rotate", {})
    transit.encrypt("k", key_version=1)
    transit.data("rewrap/k", {"ciphertext": text})
    transit.data("datakey/wrapped/k", {})
    batch = [{"plaintext": TEXT}, {"plaintext": "", "key_version": 1}, {"plaintext": ""}]
    transit.data("encrypt/k", {"batch_input": batch})
    transit.data("decrypt/k", {"ciphertext": text})
    transit.refused("encrypt/k", {"plaintext": "x"})
    assert shown(transit, "k") == {"1": 4, "2": 4}
    transit.data("keys/s", {"type": "ed25519"})
    transit.data("sign/s", {"input": TEXT})
    transit.data("sign/s", {"batch_input": [{"input": TEXT}, {"input": TEXT}]})
    transit.encrypt("new")
    assert (shown(transit, "s"), shown(transit, "new")) == ({"1": 3}, {"1": 1})
    assert "usage" not in transit.ask("GET", "keys/k").json()["data"]


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_counts_outlive_a_seal_and_are_added_up(transit: Transit) -> None:
    transit.encrypt("k")
    for count in (2, 3, 4):
        transit.application.request("PUT", "/v1/sys/seal", token="root")
        transit.application.reopen()
        transit.encrypt("k")
        assert shown(transit, "k") == {"1": count}


def test_two_servers_count_together(shared: Shared) -> None:
    with Application(shared.open()) as first, Application(shared.open(), beside=first) as second:
        here, there = Transit(first), Transit(second)
        here.encrypt("k")
        for _ in range(2):
            there.encrypt("k")
        assert (shown(here, "k"), shown(there, "k")) == ({"1": 1}, {"1": 2})
        store(here)
        store(there)
        assert shown(here, "k") == shown(there, "k") == {"1": 3}
        store(here)
        assert shown(here, "k") == {"1": 3}


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_a_key_is_told_of_once_when_half_of_its_encryptions_are_done(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "TOLD_AT", 3)
    for kind in ("aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"):
        transit.data(f"keys/{kind}", {"type": kind})
    told = []
    for _ in range(4):
        for kind in ("aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"):
            transit.encrypt(kind)
        store(transit)
        told.append(
            [line for line in transit.application.log.getvalue().splitlines() if "rotate the key" in line]
        )
    assert [len(lines) for lines in told] == [0, 0, 2, 2]
    assert all("[WARN]" in line and "key_version=1" in line for line in told[-1])
    found = [dict(part.partition("=")[::2] for part in line.split() if "=" in part) for line in told[-1]]
    assert [(fields["mount"], fields["key"]) for fields in found] == [
        ("transit/", "aes256-gcm96"),
        ("transit/", "chacha20-poly1305"),
    ]


async def _stored(application: Application) -> list[object]:
    """What is stored of uses in the mount."""
    vault = application.vault
    mount = next(mount.entry for mount in vault.mounts.router.root if mount.entry.path == "transit/")
    async with vault.ground.barrier.write(ROOT_ID, core_prefix(ROOT_ID)) as core:
        view = core.mount(mount.uuid)
        found = [await view.get(USES + name) for name in await view.list(USES)]
        return [USES_RECORD.decode(one).counts for one in found if one is not None]


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_what_is_gone_is_counted_no_more(transit: Transit) -> None:
    transit.data("keys/k", {})
    transit.encrypt("k")
    transit.data("keys/k/rotate", {})
    transit.encrypt("k")
    store(transit)
    transit.data("keys/k/config", {"min_decryption_version": 2, "min_encryption_version": 2})
    assert shown(transit, "k") == {"2": 1}
    transit.data("keys/k/trim", {"min_available_version": 2})
    transit.encrypt("k")
    store(transit)
    assert shown(transit, "k") == {"2": 2}
    assert transit.application.run(_stored(transit.application)) == [{2: 2}]
    transit.encrypt("k")
    transit.data("keys/k/config", {"deletion_allowed": True})
    transit.ask("DELETE", "keys/k")
    store(transit)
    assert [path for path in transit.application.stored() if f"/{USES}" in path] == []
    transit.data("keys/k", {})
    assert shown(transit, "k") == {"1": 0}
