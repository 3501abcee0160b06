# SPDX-License-Identifier: EUPL-1.2
"""Keys of transit in devices, in the whole application: which device is asked for what, and what is told of it."""

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from tests.conformance.moved_keys import pair
from tests.devices import SoftAes
from tests.routes.driver import Application
from tests.routes.test_transit import ABOUT, TEXT, Transit
from tests.routes.test_transit_uses import shown, store
from vault.engines.system.external_keys.engine import ExternalKeyEngine
from vault.engines.transit.usage import uses
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.errors import Malformed, Unavailable
from vault.framework.keys.external import PrivateKey, SecretKey

T = TypeVar("T")
WRONG = "failed to decrypt with external key: the ciphertext is not of this key, or was changed"


class Key(NamedTuple):
    """One key of `Devices`, as an engine has found it."""

    devices: "Devices"
    ref: str
    key: PrivateKey | SecretKey
    oaep: str

    def describe(self) -> Mapping[str, str]:
        return {"ref": self.ref, "token_label": "a"}

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        def work_with_pair(key: PrivateKey | SecretKey) -> T:
            assert isinstance(key, PrivateKey)
            return work(key)

        return await self.use_any(call, work_with_pair)

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        assert call is not None
        call.record.external_keys = [*call.record.external_keys, self.describe()]
        self.devices.used.append(self.ref)
        if len(self.devices.used) > self.devices.works:
            raise Unavailable("the token did not answer in time: 15 s")
        return work(self.key)


class Devices:
    """Some keys, the mounts of which are counted by `refused`; `works` is how often they answer."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[PrivateKey | SecretKey, str]] = {}
        self.used: list[str] = []
        self.refused: set[str] = set()
        self.works = 1_000_000

    async def require_grant(self, namespace: Namespace, mount: MountFacts, ref: str) -> None:
        if ref in self.refused:
            raise Malformed(f'mount "{mount.path}" is missing grant for key "{ref}"')

    async def find(self, namespace: Namespace, mount: MountFacts, ref: str) -> Key:
        await self.require_grant(namespace, mount, ref)
        return Key(self, ref, *self.keys[ref])


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> Devices:
    made = Devices()
    rsa, other = pair("rsa2048"), pair("rsa2048_b")
    assert isinstance(rsa, RSAPrivateKey)
    assert isinstance(other, RSAPrivateKey)
    made.keys = {
        "c:aes": (SoftAes(), ""),
        "c:rsa": (rsa, "sha256"),
        "c:signs": (other, ""),
        "c:p256": (generate_private_key(SECP256R1()), ""),
    }
    monkeypatch.setattr(ExternalKeyEngine, "find", made.find)
    monkeypatch.setattr(ExternalKeyEngine, "require_grant", made.require_grant)
    return made


@pytest.fixture
def transit(devices: Devices) -> Iterator[Transit]:
    with Application() as application:
        transit = Transit(application)
        for ref in devices.keys:
            transit.data(f"keys/{ref[2:]}", {"type": "external-key", "external_key_ref": ref})
        devices.used.clear()
        yield transit


def test_a_device_is_asked_for_what_its_public_half_cannot_do(transit: Transit, devices: Devices) -> None:
    def asked(act: Callable[[], Any]) -> tuple[Any, list[str]]:
        devices.used.clear()
        return act(), list(devices.used)

    sealed, used = asked(lambda: transit.encrypt("rsa"))
    assert used == []
    _, used = asked(lambda: transit.data("datakey/wrapped/rsa", {}))
    assert used == []
    _, used = asked(lambda: transit.data("decrypt/rsa", {"ciphertext": sealed}))
    assert used == ["c:rsa"]
    _, used = asked(lambda: transit.data("rewrap/rsa", {"ciphertext": sealed}))
    assert used == ["c:rsa"]
    sealed, used = asked(lambda: transit.encrypt("aes"))
    assert used == ["c:aes"]
    _, used = asked(lambda: transit.data("rewrap/aes", {"ciphertext": sealed}))
    assert used == ["c:aes", "c:aes"]
    _, used = asked(lambda: transit.data("hmac/aes", {"input": TEXT}))
    assert used == []


def test_what_a_device_makes_is_nonce_text_and_tag_and_is_bound(transit: Transit, devices: Devices) -> None:
    aes, _ = devices.keys["c:aes"]
    assert isinstance(aes, SoftAes)
    sealed = transit.encrypt("aes", associated_data=ABOUT)
    body = {"ciphertext": sealed, "associated_data": ABOUT}
    assert transit.data("decrypt/aes", body) == {"plaintext": TEXT}
    assert transit.refused("decrypt/aes", {"ciphertext": sealed}) == WRONG
    assert transit.refused("decrypt/aes", {**body, "associated_data": "!"}).endswith("at input byte 0")


def test_a_device_that_falls_silent_within_a_batch_answers_none_of_it(
    transit: Transit, devices: Devices
) -> None:
    items = {"batch_input": [{"plaintext": TEXT}] * 5}
    sealed = transit.data("encrypt/aes", items)["batch_results"]
    devices.works = len(devices.used) + 2
    body = {"batch_input": [{"ciphertext": one["ciphertext"]} for one in sealed]}
    for path, asked in (("decrypt/aes", body), ("rewrap/aes", body), ("encrypt/aes", items)):
        answer = transit.ask("POST", path, asked)
        assert (answer.status, answer.json()) == (500, {"errors": ["the token did not answer in time: 15 s"]})
    assert transit.data("encrypt/rsa", items)  # its public half is here
    devices.works = 1_000_000
    found = transit.data("decrypt/aes", body)["batch_results"]
    assert [one["plaintext"] for one in found] == [TEXT] * 5


def test_a_grant_that_was_withdrawn_is_heeded_by_the_public_half_too(
    transit: Transit, devices: Devices
) -> None:
    devices.refused = {"c:aes", "c:rsa"}
    for name in ("aes", "rsa"):
        missing = f'failed to fetch external key: mount "transit/" is missing grant for key "c:{name}"'
        assert transit.refused(f"encrypt/{name}", {"plaintext": TEXT}) == f"factory[0] {missing}"
        body = {"plaintext": TEXT, "associated_data": ABOUT}
        assert transit.refused(f"encrypt/{name}", body) == f"factory[1] {missing}"
        assert transit.refused(f"decrypt/{name}", {"ciphertext": "vault:v1:YWJj"}) == f"factory[0] {missing}"


def test_a_version_that_cannot_be_decrypted_encrypts_nothing(transit: Transit, devices: Devices) -> None:
    for act in ("encrypt", "decrypt"):
        body = {"plaintext": TEXT} if act == "encrypt" else {"ciphertext": "vault:v1:YWJj"}
        problem = transit.refused(f"{act}/signs", body)
        assert problem.startswith(f'failed to {act} with external key: key "c:signs" was not seen to decrypt')
        assert transit.refused(f"{act}/p256", body).endswith('key "c:p256" is a pair that only signs')
    assert transit.data("sign/signs", {"input": TEXT})["signature"]
    assert devices.used == ["c:signs"]


def test_a_wrong_ciphertext_never_tells_why(transit: Transit, devices: Devices) -> None:
    lengths = {"rsa": (0, 1, 255, 256, 257, 512), "aes": (0, 1, 12, 27, 28, 29, 60_000)}
    for name, sizes in lengths.items():
        texts = [base64.b64encode(byte * size).decode() for size in sizes for byte in (b"\0", b"\xff")]
        found = {transit.refused(f"decrypt/{name}", {"ciphertext": f"vault:v1:{text}"}) for text in texts}
        assert found == {WRONG}
        batch = {"batch_input": [{"ciphertext": f"vault:v1:{text}"} for text in texts]}
        answer = transit.ask("POST", f"decrypt/{name}", batch)
        assert {one["error"] for one in answer.json()["data"]["batch_results"]} == {WRONG}


def test_what_has_the_length_of_no_ciphertext_never_reaches_a_device(
    transit: Transit, devices: Devices
) -> None:
    for name, sizes in (("rsa", (0, 255, 257)), ("aes", (0, 27, 61_469))):
        for size in sizes:
            text = base64.b64encode(bytes(size)).decode()
            assert transit.refused(f"decrypt/{name}", {"ciphertext": f"vault:v1:{text}"}) == WRONG
    assert devices.used == []


def test_a_text_that_no_device_takes_is_not_even_read(transit: Transit, devices: Devices) -> None:
    text = "!" * 200_000
    for path, body in (("encrypt/aes", {"plaintext": text}), ("decrypt/rsa", {"ciphertext": text})):
        assert "it takes 61440 bytes at once" in transit.refused(path, body)
    assert devices.used == []


def test_the_record_names_each_key_that_was_used(transit: Transit) -> None:
    transit.application.records()
    sealed = {name: transit.encrypt(name) for name in ("aes", "rsa")}
    for name, text in sealed.items():
        transit.data(f"decrypt/{name}", {"ciphertext": text})
    told = [one for one in transit.application.records() if one["type"] == "response"]
    used = [
        (one["request"]["path"], [key["ref"] for key in one["response"]["external_keys"]]) for one in told
    ]
    assert used == [
        ("transit/encrypt/aes", ["c:aes"]),
        ("transit/encrypt/rsa", ["c:rsa"]),
        ("transit/decrypt/aes", ["c:aes"]),
        ("transit/decrypt/rsa", ["c:rsa"]),
    ]


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_versions_are_of_different_kinds_and_older_ones_are_wrapped_anew(
    transit: Transit, devices: Devices
) -> None:
    old = transit.encrypt("rsa")
    transit.data("keys/rsa/rotate", {"external_key_ref": "c:aes"})
    new = transit.data("rewrap/rsa", {"batch_input": [{"ciphertext": old}]})["batch_results"][0]
    assert (new["key_version"], transit.data("decrypt/rsa", {"ciphertext": new["ciphertext"]})) == (
        2,
        {"plaintext": TEXT},
    )
    assert transit.refused("decrypt/rsa", {"ciphertext": new["ciphertext"].replace("v2", "v1")}) == WRONG
    assert transit.refused("encrypt/rsa", {"plaintext": TEXT, "key_version": 3}).endswith(
        "latest key version"
    )
    assert shown(transit, "rsa") == {"1": 1, "2": 1}


def test_a_key_that_was_changed_in_its_device_is_not_used(transit: Transit, devices: Devices) -> None:
    sealed = {name: transit.encrypt(name) for name in ("aes", "rsa")}
    devices.keys["c:aes"] = (SoftAes(), "")
    devices.keys["c:rsa"] = devices.keys["c:signs"]
    for name, text in sealed.items():
        answer = transit.ask("POST", f"decrypt/{name}", {"ciphertext": text})
        assert answer.status == 500
        assert "another key of this name" in answer.json()["errors"][0]
    assert transit.ask("POST", "encrypt/aes", {"plaintext": TEXT}).status == 500
    retired = SoftAes()
    retired.fingerprint = ""  # it only decrypts by now, so nothing shows whose it is but what it opens
    devices.keys["c:aes"] = (retired, "")
    assert transit.refused("decrypt/aes", {"ciphertext": sealed["aes"]}) == WRONG


@pytest.mark.asked_alone("each process has uses that it has not stored yet")
def test_only_aes_versions_are_told_of_before_their_limit(
    transit: Transit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uses, "TOLD_AT", 2)
    for _ in range(3):
        for name in ("aes", "rsa"):
            transit.encrypt(name)
    store(transit)
    told = [line for line in transit.application.log.getvalue().splitlines() if "rotate the key" in line]
    assert [("key=aes" in line, "key_version=1" in line) for line in told] == [(True, True)]


def test_nothing_of_such_a_key_leaves(transit: Transit) -> None:
    transit.data("keys/aes/config", {"exportable": True, "allow_plaintext_backup": True})
    for path in (
        "export/encryption-key/aes",
        "export/signing-key/aes",
        "export/public-key/aes",
        "backup/aes",
    ):
        assert transit.ask("GET", path).status == 400
    assert transit.ask("GET", "export/hmac-key/aes").json()["data"]["keys"]["1"]


@pytest.mark.asked_alone("another process may ask once more, before it learns of it")
def test_a_key_that_is_put_away_asks_no_device(transit: Transit, devices: Devices) -> None:
    sealed = transit.encrypt("aes")
    transit.ask("DELETE", "keys/aes/soft-delete")
    devices.used.clear()
    for path, body in (("encrypt", {"plaintext": TEXT}), ("decrypt", {"ciphertext": sealed})):
        assert transit.refused(f"{path}/aes", body) == "refusing to use soft-deleted key"
    assert devices.used == []
