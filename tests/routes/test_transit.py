# SPDX-License-Identifier: EUPL-1.2
"""Transit in the whole application: keys through their lives, batches, rights, and what two servers know of each other."""

import base64
from typing import Any, Final

import pytest

from tests.routes.driver import Application
from tests.shared import Shared
from vault.engines.transit.keys.model import KEYS, VERSIONS
from vault.framework.concurrency.offload import Client, Pool

_LOG: Client = ("", "")
"""Whose turn it is where the log signs, which it does meanwhile."""

TEXT: Final = base64.b64encode(b"secret").decode()
CONTEXT: Final = base64.b64encode(b"one").decode()
ABOUT: Final = base64.b64encode(b"about").decode()


class Transit:
    """What is asked of the mount `transit/` of an application."""

    def __init__(self, application: Application) -> None:
        self.application = application
        self.token = "root"

    def ask(self, method: str, path: str, body: object = None) -> Any:
        return self.application.request(method, f"/v1/transit/{path}", body, token=self.token)

    def data(self, path: str, body: object) -> Any:
        answer = self.ask("POST", path, body)
        assert answer.status == 200, answer.body
        return answer.json()["data"]

    def encrypt(self, name: str, **more: object) -> str:
        text: str = self.data(f"encrypt/{name}", {"plaintext": TEXT, **more})["ciphertext"]
        return text

    def refused(self, path: str, body: object, method: str = "POST") -> str:
        answer = self.ask(method, path, body)
        assert answer.status == 400, answer.body
        (error,) = answer.json()["errors"]
        return str(error)

    def stored(self, prefix: str) -> list[str]:
        return [path for path in self.application.stored() if f"/{prefix}" in path]


@pytest.fixture
def transit() -> Any:
    with Application() as application:
        yield Transit(application)


@pytest.mark.parametrize(
    "kind", ["aes128-gcm96", "aes256-gcm96", "chacha20-poly1305", "xchacha20-poly1305", "rsa-2048"]
)
def test_what_any_version_encrypted_is_decrypted_and_wrapped_anew(transit: Transit, kind: str) -> None:
    transit.data("keys/k", {"type": kind})
    texts = []
    for version in (1, 2):
        text = transit.encrypt("k")
        assert text.startswith(f"vault:v{version}:")
        texts.append(text)
        transit.data("keys/k/rotate", {})
    for text in texts:
        assert transit.data("decrypt/k", {"ciphertext": text})["plaintext"] == TEXT
        anew = transit.data("rewrap/k", {"ciphertext": text})
        assert anew["key_version"] == 3
        assert transit.data("decrypt/k", {"ciphertext": anew["ciphertext"]})["plaintext"] == TEXT


def test_associated_data_stays_bound_when_it_is_wrapped_anew(transit: Transit) -> None:
    text = transit.encrypt("k", associated_data=ABOUT)
    assert transit.refused("rewrap/k", {"ciphertext": text}) == "cipher: message authentication failed"
    anew = transit.data("rewrap/k", {"ciphertext": text, "associated_data": ABOUT})["ciphertext"]
    assert transit.refused("decrypt/k", {"ciphertext": anew}) == "cipher: message authentication failed"
    assert transit.data("decrypt/k", {"ciphertext": anew, "associated_data": ABOUT})["plaintext"] == TEXT


def test_eg_04_a_request_that_is_refused_makes_no_key(transit: Transit) -> None:
    before = transit.stored(VERSIONS), transit.stored(KEYS)
    for wrong in (
        {"plaintext": "x"},
        {"plaintext": TEXT, "key_version": 2},
        {"plaintext": TEXT, "context": "x"},
        {"plaintext": TEXT, "associated_data": "x"},
    ):
        transit.refused("encrypt/new", wrong)
    answer = transit.ask("POST", "encrypt/new", {"batch_input": [{"plaintext": "x"}, {"plaintext": "y"}]})
    assert answer.status == 400
    assert transit.ask("GET", "keys/new").status == 404
    assert (transit.stored(VERSIONS), transit.stored(KEYS)) == before
    answer = transit.ask("POST", "encrypt/new", {"batch_input": [{"plaintext": "x"}, {"plaintext": TEXT}]})
    text = answer.json()["data"]["batch_results"][1]["ciphertext"]
    assert transit.data("decrypt/new", {"ciphertext": text})["plaintext"] == TEXT


def test_no_write_waits_while_an_answer_that_is_to_be_wrapped_is_made(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor while a first use encrypts: what takes long is done before the one transaction that stores it."""
    transit.data("keys/k", {"type": "rsa-2048"})
    run = Pool.run
    went: list[int] = []

    async def slow(self: Any, *job: Any, **more: Any) -> Any:
        if job[0] == _LOG:
            return await run(self, *job, **more)
        body = {"policy": 'path "a" { capabilities = ["read"] }'}
        await transit.application.ask("POST", f"/v1/sys/policies/acl/p{len(went)}", body, token="root")
        went.append(1)
        return await run(self, *job, **more)

    monkeypatch.setattr(Pool, "run", slow)
    wrapped = transit.application.request(
        "POST", "/v1/transit/sign/k", {"input": TEXT}, token="root", headers={"x-vault-wrap-ttl": "60s"}
    )
    assert went
    assert wrapped.status in {200, 503}  # the policies that changed meanwhile may be why it may be asked
    del went[:]
    long = base64.b64encode(bytes(300_000)).decode()
    assert transit.ask("POST", "encrypt/first", {"plaintext": long}).status in {200, 503}
    assert went


def test_a_long_batch_is_not_begun_again_because_another_key_changed(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    transit.data("keys/k", {"type": "rsa-2048"})
    transit.data("keys/other", {})
    batch = {"batch_input": [{"input": TEXT}] * 5}
    transit.data("sign/k", batch)
    run = Pool.run
    went: list[int] = []

    async def slow(self: Any, *job: Any, **more: Any) -> Any:
        if job[0] == _LOG:
            return await run(self, *job, **more)
        went.append(1)
        body = {"deletion_allowed": len(went) % 2 == 0}
        path = "/v1/transit/keys/other/config"
        assert (await transit.application.ask("POST", path, body, token="root")).status == 200
        return await run(self, *job, **more)

    monkeypatch.setattr(Pool, "run", slow)
    found = transit.data("sign/k", batch)["batch_results"]
    assert len(went) == len(found) == 5


def test_who_may_only_update_makes_no_key_by_encrypting(transit: Transit) -> None:
    transit.data("keys/k", {})
    update = transit.application.token('path "transit/encrypt/*" { capabilities = ["update"] }')
    create = transit.application.token('path "transit/encrypt/*" { capabilities = ["create"] }')
    transit.token = update
    assert transit.ask("POST", "encrypt/k", {"plaintext": TEXT}).status == 200
    assert transit.ask("POST", "encrypt/new", {"plaintext": TEXT}).status == 403
    transit.token = create
    assert transit.ask("POST", "encrypt/k", {"plaintext": TEXT}).status == 403
    assert transit.ask("POST", "encrypt/new", {"plaintext": TEXT}).status == 200
    transit.token = update
    assert transit.ask("POST", "encrypt/new", {"plaintext": TEXT}).status == 200


def test_encrypting_with_a_key_that_is_there_writes_nothing(transit: Transit) -> None:
    transit.encrypt("k")
    application = transit.application
    before = application.stored(), application.run(application.storage.news(0))
    for _ in range(3):
        transit.encrypt("k")
    assert (application.stored(), application.run(application.storage.news(0))) == before


def test_a_key_that_was_put_away_is_refused_until_it_is_back(transit: Transit) -> None:
    text = transit.encrypt("k")
    mac = transit.data("hmac/k", {"input": TEXT})["hmac"]
    assert transit.ask("DELETE", "keys/k/soft-delete").json()["data"]["soft_deleted"]
    for path, body in (
        ("encrypt/k", {"plaintext": TEXT}),
        ("decrypt/k", {"ciphertext": text}),
        ("rewrap/k", {"ciphertext": text}),
        ("datakey/wrapped/k", {}),
        ("hmac/k", {"input": TEXT}),
        ("verify/k", {"input": TEXT, "hmac": mac}),
        ("keys/k/rotate", {}),
    ):
        assert transit.refused(path, body) == "refusing to use soft-deleted key"
    transit.data("keys/k/soft-delete-restore", {})
    assert transit.data("decrypt/k", {"ciphertext": text})["plaintext"] == TEXT


def test_a_trimmed_version_is_gone_for_good(transit: Transit) -> None:
    texts = []
    for _ in range(4):
        texts.append(transit.encrypt("k"))
        transit.data("keys/k/rotate", {})
    transit.data("keys/k/config", {"min_decryption_version": 3, "min_encryption_version": 3})
    assert "too old" in transit.refused("decrypt/k", {"ciphertext": texts[1]})
    transit.data("keys/k/config", {"min_decryption_version": 1})
    assert transit.data("decrypt/k", {"ciphertext": texts[1]})["plaintext"] == TEXT
    transit.data("keys/k/config", {"min_decryption_version": 3})
    before = len(transit.stored(VERSIONS))
    shown = transit.data("keys/k/trim", {"min_available_version": 3})
    assert sorted(shown["keys"]) == ["3", "4", "5"]
    assert len(transit.stored(VERSIONS)) == before - 2
    assert "should not be less" in transit.refused("keys/k/config", {"min_decryption_version": 1})
    assert transit.data("decrypt/k", {"ciphertext": texts[2]})["plaintext"] == TEXT


def test_a_key_that_is_removed_leaves_nothing_and_its_name_begins_anew(transit: Transit) -> None:
    before = len(transit.stored(VERSIONS)), len(transit.stored(KEYS))
    text = transit.encrypt("k")
    transit.data("keys/k/rotate", {})
    assert "deletion is not allowed" in transit.refused("keys/k", None, "DELETE")
    transit.data("keys/k/config", {"deletion_allowed": True, "auto_rotate_period": "1h"})
    assert transit.ask("DELETE", "keys/k").status == 204
    assert (len(transit.stored(VERSIONS)), len(transit.stored(KEYS))) == before
    assert transit.refused("decrypt/k", {"ciphertext": text}) == "encryption key not found"
    transit.encrypt("k")
    assert transit.refused("decrypt/k", {"ciphertext": text}) == "cipher: message authentication failed"
    transit.application.clock.sleep(7200)
    transit.application.work()
    assert transit.ask("GET", "keys/k").json()["data"]["latest_version"] == 1


@pytest.mark.parametrize("kind", ["aes256-gcm96", "ed25519", "rsa-2048"])
def test_a_key_is_rotated_when_its_period_is_over(transit: Transit, kind: str) -> None:
    def latest() -> int:
        found: int = transit.ask("GET", "keys/k").json()["data"]["latest_version"]
        return found

    transit.data("keys/k", {"type": kind, "auto_rotate_period": "1h"})
    transit.application.clock.sleep(3590)
    transit.application.work()
    assert latest() == 1
    for version in (2, 3):
        transit.application.clock.sleep(3601)
        transit.application.work()
        assert latest() == version
    transit.data("keys/k/rotate", {})  # its hour begins anew
    transit.application.clock.sleep(3590)
    transit.application.work()
    assert latest() == 4
    transit.ask("DELETE", "keys/k/soft-delete")
    transit.application.clock.sleep(3601)
    transit.application.work()
    assert latest() == 4
    transit.data("keys/k/soft-delete-restore", {})
    transit.data("keys/k/config", {"auto_rotate_period": 0})
    transit.application.clock.sleep(36_000)
    transit.application.work()
    assert latest() == 4


def test_settings_that_let_a_key_out_stay(transit: Transit) -> None:
    transit.data("keys/k", {})
    shown = transit.data("keys/k/config", {"exportable": True, "allow_plaintext_backup": True})
    assert shown["exportable"]
    shown = transit.data("keys/k/config", {"exportable": False, "allow_plaintext_backup": False})
    assert shown["exportable"]
    assert shown["allow_plaintext_backup"]


def test_an_upsert_can_be_turned_off(transit: Transit) -> None:
    assert transit.data("config/keys", {"disable_upsert": True}) == {"disable_upsert": True}
    assert transit.refused("encrypt/new", {"plaintext": TEXT}) == "encryption key not found"
    transit.data("keys/new", {})
    assert transit.encrypt("new")


@pytest.mark.asked_alone("counts what one process keeps in memory")
def test_as_many_keys_stay_in_memory_as_a_mount_says(transit: Transit) -> None:
    ring = next(
        engine._ring
        for mount in transit.application.vault.mounts.router.root
        for engine in getattr(mount.backend, "engines", ())
        if hasattr(engine, "_ring")
    )
    transit.data("cache-config", {"size": 10})
    for number in range(25):
        transit.encrypt(f"k{number}")
        transit.encrypt(f"k{number}")
    assert [len(kept) for kept in ring._kept.values()] == [10]
    transit.data("cache-config", {"size": 0})
    for number in range(25):
        transit.encrypt(f"k{number}")
    assert [len(kept) for kept in ring._kept.values()] == [25]


def test_a_batch_says_of_each_what_became_of_it(transit: Transit) -> None:
    batch = [{"plaintext": TEXT, "reference": "a"}, {"plaintext": "x", "reference": "b"}]
    answer = transit.ask("POST", "encrypt/k", {"batch_input": batch, "partial_failure_response_code": 207})
    assert answer.status == 207
    first, second = answer.json()["data"]["batch_results"]
    assert second == {"error": "illegal base64 data at input byte 0", "reference": "b"}
    found = transit.data("decrypt/k", {"batch_input": [{"ciphertext": first["ciphertext"]}] * 3})
    assert found["batch_results"] == [{"plaintext": TEXT, "reference": ""}] * 3
    for code in (99, 204, 304, 600):
        body = {"batch_input": batch, "partial_failure_response_code": code}
        answer = transit.ask("POST", "encrypt/k", body)
        assert answer.status == 400
        assert "reverting to 400" in answer.json()["warnings"][0]


def test_a_batch_that_fails_in_part_waits_where_its_answer_is_to_be_wrapped(transit: Transit) -> None:
    """A policy may say that nothing comes in the clear (`min_wrapping_ttl`): a bad item beside a good one changes nothing."""
    rule = 'path "transit/decrypt/k" { capabilities = ["update"] min_wrapping_ttl = "10s" }'
    transit.application.request("POST", "/v1/sys/policies/acl/wraps", {"policy": rule}, token="root")
    made = transit.application.request(
        "POST", "/v1/auth/token/create", {"policies": ["wraps"]}, token="root"
    ).json()
    batch = {"batch_input": [{"ciphertext": transit.encrypt("k")}, {"ciphertext": "vault:v1:AAAA"}]}
    answer = transit.application.request(
        "POST",
        "/v1/transit/decrypt/k",
        batch,
        token=made["auth"]["client_token"],
        headers={"x-vault-wrap-ttl": "60s"},
    )
    assert (answer.status, answer.json()["data"]) == (200, None)
    waits = answer.json()["wrap_info"]["token"]
    answer = transit.application.request("POST", "/v1/sys/wrapping/unwrap", {}, token=waits)
    assert answer.status == 400
    good, bad = answer.json()["data"]["batch_results"]
    assert (good["plaintext"], bad["plaintext"]) == (TEXT, "")


def test_a_data_key_is_what_its_ciphertext_says(transit: Transit) -> None:
    transit.data("keys/k", {})
    for bits in (128, 256, 512):
        made = transit.data("datakey/plaintext/k", {"bits": bits, "associated_data": ABOUT})
        assert len(base64.b64decode(made["plaintext"])) == bits // 8
        found = transit.data("decrypt/k", {"ciphertext": made["ciphertext"], "associated_data": ABOUT})
        assert found["plaintext"] == made["plaintext"]
    assert "plaintext" not in transit.data("datakey/wrapped/k", {})


def test_eg_05_the_other_server_refuses_a_key_that_was_put_away_here_at_the_next_request(
    shared: Shared,
) -> None:
    with Application(shared.open()) as first, Application(shared.open(), beside=first) as second:
        here, there = Transit(first), Transit(second)
        text = here.encrypt("k")
        assert there.data("decrypt/k", {"ciphertext": text})["plaintext"] == TEXT
        here.ask("DELETE", "keys/k/soft-delete")
        assert there.refused("decrypt/k", {"ciphertext": text}) == "refusing to use soft-deleted key"
        here.data("keys/k/soft-delete-restore", {})
        assert there.data("decrypt/k", {"ciphertext": text})["plaintext"] == TEXT
        here.data("keys/k/rotate", {})
        assert there.encrypt("k").startswith("vault:v2:")
        here.data("keys/k/config", {"min_decryption_version": 2, "min_encryption_version": 2})
        assert "too old" in there.refused("decrypt/k", {"ciphertext": text})
        here.data("keys/k/config", {"min_decryption_version": 1, "min_encryption_version": 1})
        assert there.data("decrypt/k", {"ciphertext": text})["plaintext"] == TEXT
        here.data("keys/k/config", {"min_decryption_version": 2, "min_encryption_version": 2})
        here.data("keys/k/trim", {"min_available_version": 2})
        assert "too old" in there.refused("decrypt/k", {"ciphertext": text})
        here.data("keys/k/config", {"deletion_allowed": True})
        here.ask("DELETE", "keys/k")
        assert there.refused("decrypt/k", {"ciphertext": text}) == "encryption key not found"


def test_no_record_of_the_audit_log_shows_what_was_sent_or_answered(transit: Transit) -> None:
    transit.encrypt("k")
    transit.application.records()
    text = transit.encrypt("k", context="", associated_data=ABOUT)
    transit.data("decrypt/k", {"ciphertext": text, "associated_data": ABOUT})
    transit.data("decrypt/k", {"batch_input": [{"ciphertext": text, "associated_data": ABOUT}]})
    written = str(transit.application.records())
    assert '"path": "transit/decrypt/k"' in written.replace("'", '"')
    for secret in (TEXT, ABOUT, text):
        assert secret not in written


def test_derived_keys_of_a_mount_show_the_public_key_of_a_context(transit: Transit) -> None:
    transit.data("keys/k", {"type": "ed25519", "derived": True})
    signed = transit.data("sign/k", {"input": TEXT, "context": CONTEXT})
    shown = transit.application.request("GET", f"/v1/transit/keys/k?context={CONTEXT}", token="root").json()
    assert shown["data"]["keys"]["1"]["public_key"] == signed["public_key"]
    body = {"input": TEXT, "context": CONTEXT, "signature": signed["signature"]}
    assert transit.data("verify/k", body) == {"valid": True}


def test_a_version_is_made_for_the_key_that_is_there_when_it_is_stored(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While a pair is made, another key of another kind may take the name."""
    run = Pool.run
    turns: list[int] = []

    async def slow(self: Any, *job: Any, **more: Any) -> Any:
        if job[0] == _LOG:
            return await run(self, *job, **more)
        made = await run(self, *job, **more)
        if not turns:
            turns.append(1)
            for method, path, body in (
                ("POST", "keys/k/config", {"deletion_allowed": True}),
                ("DELETE", "keys/k", None),
                ("POST", "keys/k", {"type": "aes256-gcm96"}),
            ):
                answer = await transit.application.ask(method, f"/v1/transit/{path}", body, token="root")
                assert answer.status < 300
        return made

    transit.data("keys/k", {"type": "rsa-2048"})
    monkeypatch.setattr(Pool, "run", slow)
    shown = transit.data("keys/k/rotate", {})
    assert turns
    assert (shown["type"], shown["latest_version"]) == ("aes256-gcm96", 2)
    assert transit.data("decrypt/k", {"ciphertext": transit.encrypt("k")})["plaintext"] == TEXT
