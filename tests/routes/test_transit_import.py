# SPDX-License-Identifier: EUPL-1.2
"""Keys that come from elsewhere, in the whole application: used as those made here, and nothing is done by halves."""

import base64
from collections.abc import Iterator
from typing import Any, Final

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC

from tests.conformance.moved_keys import pair, public_pem, wrapped
from tests.routes.driver import Application
from tests.routes.test_transit import TEXT, Transit
from tests.shared import Shared
from vault.engines.transit.keys.model import KEYS, VERSIONS
from vault.framework.concurrency.offload import Pool

KINDS: Final = {
    "rsa-2048": "rsa2048",
    "ecdsa-p256": "p256",
    "ed25519": "ed25519",
    "mldsa-44": "mldsa44",
}


class Coming(Transit):
    """A mount to import into."""

    @property
    def wrapping(self) -> str:
        found: str = self.ask("GET", "wrapping_key").json()["data"]["public_key"]
        return found

    def bring(self, name: str, key: str, path: str = "import", **more: object) -> None:
        body = {"ciphertext": wrapped(key, self.wrapping), **more}
        assert self.ask("POST", f"keys/{name}/{path}", body).status == 204

    def everything(self) -> dict[str, Any]:
        return self.application.stored()


@pytest.fixture(scope="module")
def mount() -> Iterator[Coming]:
    """One for all tests: its wrapping key, of RSA-4096, takes a second to make."""
    with Application() as application:
        yield Coming(application)


@pytest.fixture
def coming(mount: Coming) -> Iterator[Coming]:
    """The one of all tests, without keys."""
    yield mount
    for name in mount.ask("LIST", "keys").json().get("data", {"keys": ()})["keys"]:
        mount.data(f"keys/{name}/config", {"deletion_allowed": True})
        assert mount.ask("DELETE", f"keys/{name}").status == 204


@pytest.fixture
def fresh() -> Iterator[Coming]:
    """One that nobody asked for its wrapping key."""
    with Application() as application:
        yield Coming(application)


def test_the_wrapping_key_is_made_once_and_off_the_loop(
    fresh: Coming, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Pool.run
    jobs: list[str] = []

    async def counted(self: Any, client: Any, work: Any, **more: Any) -> Any:
        if (name := getattr(work, "func", work).__name__) in {"make", "_unwrapped"}:
            jobs.append(name)
        return await run(self, client, work, **more)

    monkeypatch.setattr(Pool, "run", counted)
    first = fresh.wrapping
    assert jobs == ["make"]
    assert fresh.wrapping == first
    assert jobs == ["make"]
    fresh.application.reopen()
    assert fresh.wrapping == first
    assert fresh.ask("LIST", "keys").status == 404
    assert fresh.refused("keys/k/import", {"ciphertext": wrapped("bytes32", public_pem("rsa4096"))}) == (
        "crypto/rsa: decryption error"
    )


def test_nothing_is_unwrapped_before_somebody_asked_what_to_wrap_for(fresh: Coming) -> None:
    sealed = wrapped("bytes32", public_pem("rsa4096"))
    assert fresh.refused("keys/k/import", {"ciphertext": sealed}) == "crypto/rsa: decryption error"


def test_unwrapping_is_off_the_loop_and_a_long_text_is_not_looked_at(
    coming: Coming, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = coming.wrapping
    run = Pool.run
    jobs: list[str] = []

    async def counted(self: Any, client: Any, work: Any, **more: Any) -> Any:
        if (name := getattr(work, "func", work).__name__) in {"make", "_unwrapped"}:
            jobs.append(name)
        return await run(self, client, work, **more)

    monkeypatch.setattr(Pool, "run", counted)
    for long in (8193, 100_000):
        sealed = base64.b64encode(bytes(long)).decode()
        assert coming.refused("keys/k/import", {"ciphertext": sealed}) == "provided ciphertext is too long"
    assert coming.refused("keys/k/import", {"ciphertext": "AAAA"}) == "provided ciphertext is too short"
    assert not jobs
    body = {"ciphertext": wrapped("rsa3072", key), "type": "rsa-3072"}
    assert coming.ask("POST", "keys/k/import", body).status == 204
    assert jobs == ["_unwrapped"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_public_half_verifies_until_its_private_half_comes(coming: Coming, kind: str) -> None:
    name = KINDS[kind]
    body = {"type": kind, "public_key": public_pem(name)}
    assert coming.ask("POST", "keys/k/import", body).status == 204
    mac = coming.data("hmac/k", {"input": TEXT})["hmac"]
    assert coming.refused("sign/k", {"input": TEXT}) == (
        "requested version for signing does not contain a private part"
    )
    other = {"ciphertext": wrapped(f"{name}_b", coming.wrapping), "version": 1}
    assert "does not match" in coming.refused("keys/k/import_version", other)
    coming.bring("k", name, "import_version")
    shown = coming.ask("GET", "keys/k").json()["data"]
    assert (shown["latest_version"], shown["imported_key"]) == (1, True)
    signature = coming.data("sign/k", {"input": TEXT})["signature"]
    for given in ({"signature": signature}, {"hmac": mac}):
        assert coming.data("verify/k", {"input": TEXT, **given})["valid"]


def test_the_other_server_signs_once_the_private_half_came(shared: Shared) -> None:
    with Application(shared.open()) as first, Application(shared.open(), beside=first) as second:
        here, there = Coming(first), Coming(second)
        body = {"type": "ed25519", "public_key": public_pem("ed25519")}
        assert here.ask("POST", "keys/k/import", body).status == 204
        assert "private part" in there.refused("sign/k", {"input": TEXT})
        here.bring("k", "ed25519", "import_version")
        assert there.data("sign/k", {"input": TEXT})["signature"]


def test_a_derived_key_is_the_one_that_openbao_derives(coming: Coming) -> None:
    """NIST SP 800-108 with a counter of 4 bytes that begins at 0, and 256 bits; the context is all of the fixed data."""
    for name, size, kind in (("k", 32, "aes256-gcm96"), ("short", 16, "aes128-gcm96")):
        coming.bring(name, f"bytes{size}", type=kind, derived=True)
        text = coming.encrypt(name, context=base64.b64encode(b"one").decode())
        mac = HMAC(bytes(range(size)), SHA256())
        mac.update(bytes(4) + b"one" + bytes.fromhex("00000100"))
        key = mac.finalize()[:size]
        sealed = base64.b64decode(text.split(":")[2])
        assert AESGCM(key).decrypt(sealed[:12], sealed[12:], None) == base64.b64decode(TEXT)


def test_only_what_is_allowed_is_made_here_and_then_it_is_imported_no_more(coming: Coming) -> None:
    coming.bring("k", "bytes32")
    assert coming.refused("keys/k/rotate", {}) == "imported key k does not allow rotation within Vault"
    assert "allow_rotation" in coming.refused("keys/k/config", {"auto_rotate_period": "1h"})
    coming.bring("r", "bytes32", allow_rotation=True, auto_rotate_period="1h")
    coming.bring("r", "bytes32", "import_version")
    text = coming.encrypt("r")
    coming.application.clock.sleep(3601)
    coming.application.work()
    shown = coming.ask("GET", "keys/r").json()["data"]
    assert (shown["latest_version"], shown["imported_key"]) == (3, False)
    assert coming.data("decrypt/r", {"ciphertext": text})["plaintext"] == TEXT
    sealed = {"ciphertext": wrapped("bytes32", coming.wrapping)}
    assert "only be used with an imported key" in coming.refused("keys/r/import_version", sealed)


def test_a_refused_import_changes_nothing(coming: Coming) -> None:
    key = coming.wrapping
    coming.bring("k", "p256", type="ecdsa-p256")
    before = len(coming.stored(KEYS)), len(coming.stored(VERSIONS))
    for path, body in (
        ("keys/new/import", {"ciphertext": wrapped("bytes31", key)}),
        ("keys/new/import", {"ciphertext": wrapped("ed25519", key), "type": "ed25519", "derived": True}),
        ("keys/new/import", {"type": "hmac", "public_key": public_pem("p256")}),
        ("keys/k/import", {"ciphertext": wrapped("bytes32", key)}),
        ("keys/k/import_version", {"ciphertext": wrapped("p384", key)}),
        ("keys/k/import_version", {"ciphertext": wrapped("p256_b", key), "version": 1}),
        ("keys/k/import_version", {"ciphertext": wrapped("p256_b", key), "version": 2}),
        ("keys/new/import_version", {"ciphertext": wrapped("bytes32", key)}),
    ):
        coming.refused(path, body)
    assert (len(coming.stored(KEYS)), len(coming.stored(VERSIONS))) == before
    assert coming.ask("GET", "keys/k").json()["data"]["latest_version"] == 1


def test_the_inventory_has_the_wrapping_key(coming: Coming) -> None:
    coming.bring("k", "bytes32")
    answer = coming.application.request("GET", "/v1/sys/crypto/inventory", token="root")
    keys = [one for one in answer.json()["data"]["inventory"] if one["purpose"] == "transit"]
    named = {one["id"].rpartition("/")[2]: one["algorithm"] for one in keys}
    assert named == {"(wrapping key)": "rsa-4096", "k": "aes-256-gcm"}


def test_a_secret_that_is_imported_is_stored_in_no_clear_form(coming: Coming) -> None:
    coming.bring("k", "ed25519", type="ed25519")
    seed = pair("ed25519").private_bytes_raw()  # type: ignore[union-attr]  # of Ed25519
    assert not [path for path, value in coming.everything().items() if seed in bytes(value)]


def test_a_key_leaves_wrapped_only_if_its_settings_say_so_and_neither_is_put_away(coming: Coming) -> None:
    coming.data("keys/there", {"type": "rsa-2048"})
    coming.data("keys/stays", {})
    coming.data("keys/goes", {"exportable": True})
    for path in ("byok-export/there/stays", "byok-export/there/stays/1"):
        assert coming.refused(path, None, "GET") == "key is not exportable"
    assert coming.ask("GET", "byok-export/there/goes").status == 200
    for name, whose in (("there", "destination"), ("goes", "source")):
        coming.ask("DELETE", f"keys/{name}/soft-delete")
        error = coming.refused("byok-export/there/goes", None, "GET")
        assert error == f"for {whose} key: refusing to use soft-deleted key"
        coming.ask("POST", f"keys/{name}/soft-delete-restore")
