# SPDX-License-Identifier: EUPL-1.2
"""The plugin `pkcs11` with keys that encrypt, behind an agent in memory."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from hsm.client.signers import Mechanism
from hsm.errors import BadConfig, HsmError, IntegrityError, KeyAmbiguous, KeyMissing, SlotUnavailable
from hsm.operations import (
    Decrypt,
    Encrypt,
    ListTokens,
    Operation,
    PublicHalf,
    PublicKey,
    SecretKey,
    SecretKeyInfo,
    TokenInfo,
)
from tests.devices import SoftAes
from vault.engines.system.external_keys.agents import Agents
from vault.engines.system.external_keys.pkcs11 import Pkcs11Provider
from vault.engines.system.external_keys.pkcs11_config import TokenKeyConfig, read_key
from vault.framework.call import Call
from vault.framework.errors import Failed, Malformed, Unavailable
from vault.framework.keys import external
from vault.framework.keys.external import PrivateKey

HSM = {"lib": "soft", "token_label": "one", "pin": "hunter2"}
RSA = rsa.generate_private_key(65537, 2048)
PUBLIC = RSA.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
INFORMATION = TokenInfo(
    slot=1, label="one", serial="11", manufacturer="maker", model="model", firmware="1.0", flags=0, mechanisms=(),
    software=True,
)  # fmt: skip


class FakeAgent:
    """An agent with an AES key `kek`, an RSA pair `rsa`, and both as `twins`. RSA-OAEP it knows with SHA-1 alone."""

    def __init__(self) -> None:
        self.aes = SoftAes()
        self.asked: list[Operation] = []
        self.failure: HsmError | None = None

    def ask_blocking(self, operation: Operation, kind: Any, seconds: float) -> Any:
        self.asked.append(operation)
        if self.failure is not None:
            raise self.failure
        match operation:
            case ListTokens():
                return [INFORMATION]
            case PublicKey("rsa" | "twins"):
                return PublicHalf(label=operation.key_label, key_id=b"v1", public=PUBLIC)
            case SecretKey("kek" | "twins"):
                shown = {"bits": self.aes.bits, "fingerprint": self.aes.fingerprint}
                return SecretKeyInfo(label=operation.key_label, key_id=b"v2", **shown)  # type: ignore[arg-type]  # as named
            case Encrypt():
                return self.aes.encrypt(operation.data, operation.associated_data)
            case Decrypt():
                return self._decrypted(operation)
        raise KeyMissing("key other: the token has no such private key")

    def _decrypted(self, wanted: Decrypt) -> bytes:
        if wanted.oaep_hash not in {"", "sha1"}:
            raise BadConfig("the token cannot do it")
        try:
            if wanted.oaep_hash:
                return RSA.decrypt(wanted.data, external.oaep(wanted.oaep_hash))
            return self.aes.decrypt(wanted.data, wanted.associated_data)
        except (ValueError, InvalidTag):
            raise IntegrityError("the ciphertext is not of this key, or was changed") from None

    def end(self) -> None: ...


def play(scenario: Callable[[Pkcs11Provider, FakeAgent], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        agent = FakeAgent()
        agents = Agents(lambda _: agent, lambda: 0.0)
        await scenario(Pkcs11Provider({"soft": "/usr/lib/soft.so"}, agents, deadline=120), agent)

    asyncio.run(run())


def encrypting(data: bytes) -> Callable[[PrivateKey | external.SecretKey], bytes]:
    def work(key: PrivateKey | external.SecretKey) -> bytes:
        assert not isinstance(key, PrivateKey)
        return key.encrypt(data, b"aad")

    return work


@pytest.mark.parametrize("key", [{"label": "kek"}, {"label": "twins", "mechanism": "CKM_AES_GCM"}])
def test_an_aes_key_encrypts_and_tells_which_it_is(key: dict[str, str]) -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        await provider.check_key(HSM, key)
        found = await provider.open("c:k", HSM, key)
        call = Call()
        made = [await found.use_any(call, encrypting(b"a text")) for _ in range(2)]
        assert [agent.aes.decrypt(one, b"aad") for one in made] == [b"a text"] * 2
        assert found.oaep == ""
        assert found.describe() == {
            "ref": "c:k",
            "token_serial": "11",
            "token_label": "one",
            "key_label": key["label"],
            "key_id": "v2",
            "key_fingerprint": agent.aes.fingerprint,
        }
        assert call.record.external_keys == [
            found.describe()
        ]  # once, however often it is used in one request

    play(scenario)


def test_a_pair_goes_before_an_aes_key_of_its_name() -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        found = await provider.open("c:k", HSM, {"label": "twins"})
        assert "public_key_sha256" in found.describe()
        assert not any(isinstance(one, SecretKey) for one in agent.asked)

    play(scenario)


def test_an_aes_key_signs_nothing() -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        found = await provider.open("c:k", HSM, {"label": "kek"})
        with pytest.raises(Malformed, match='key "c:k" is an AES key: it signs nothing'):
            await found.use(Call(), lambda _: b"")

    play(scenario)


@pytest.mark.parametrize(("key", "hash_name"), [({"rsa_oaep_hash": "SHA-1"}, "sha1"), ({}, "")])
def test_an_rsa_key_says_with_which_hash_it_was_seen_to_decrypt(key: dict[str, str], hash_name: str) -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        found = await provider.open("c:k", HSM, {"label": "rsa", **key})
        assert found.oaep == hash_name

    play(scenario)


def test_a_key_that_is_for_signing_alone_is_not_tried() -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        key = {"label": "rsa", "rsa_oaep_hash": "sha1", "mechanism": "CKM_RSA_PKCS_PSS"}
        assert (await provider.open("c:k", HSM, key)).oaep == ""
        assert not any(isinstance(one, Decrypt) for one in agent.asked)

    play(scenario)


def test_a_wrong_ciphertext_is_no_failure_of_the_token() -> None:
    """The next use asks for nothing again, and the work's own exception is what comes back."""

    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        aes = await provider.open("c:k", HSM, {"label": "kek"})
        pair = await provider.open("c:r", HSM, {"label": "rsa", "rsa_oaep_hash": "sha1"})
        agent.asked.clear()

        def opened(key: PrivateKey | external.SecretKey) -> bytes:
            assert not isinstance(key, PrivateKey)
            return key.decrypt(bytes(40), b"")

        def unwrapped(key: PrivateKey) -> bytes:
            assert isinstance(key, rsa.RSAPrivateKey)
            return key.decrypt(bytes(256), external.oaep("sha1"))

        for _ in range(2):
            with pytest.raises(InvalidTag):
                await aes.use_any(Call(), opened)
            with pytest.raises(ValueError, match="decryption failed"):
                await pair.use(Call(), unwrapped)
        assert {type(one) for one in agent.asked} == {Decrypt}

    play(scenario)


_FAILURES: list[tuple[HsmError, type[Exception], type[Exception]]] = [
    (SlotUnavailable("gone"), Unavailable, Unavailable),
    (KeyAmbiguous("two of them"), Malformed, Failed),
]


@pytest.mark.parametrize(("failure", "looking", "using"), _FAILURES)
def test_a_token_that_fails_is_told_as_such(
    failure: HsmError, looking: type[Exception], using: type[Exception]
) -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        found = await provider.open("c:k", HSM, {"label": "kek"})
        agent.failure = failure
        with pytest.raises(using, match=str(failure)):
            await found.use_any(Call(), encrypting(b""))
        with pytest.raises(looking, match=str(failure)):
            await provider.open("c:k", HSM, {"label": "kek"})

    play(scenario)


def test_a_key_that_is_neither_is_missed_as_a_pair() -> None:
    async def scenario(provider: Pkcs11Provider, agent: FakeAgent) -> None:
        for key in (
            {"label": "other"},
            {"label": "other", "mechanism": "CKM_AES_GCM"},
            {"label": "kek", "mechanism": "CKM_ECDSA"},
        ):
            with pytest.raises(Malformed, match="the token has no such private key"):
                await provider.open("c:k", HSM, key)

    play(scenario)


@pytest.mark.parametrize(
    ("key", "mechanism", "hash_name"),
    [
        ({}, None, "sha256"),
        ({"rsa_oaep_hash": ""}, None, "sha256"),
        ({"rsa_oaep_hash": "SHA-512"}, None, "sha512"),
        ({"mechanism": "rsa-pkcs-oaep", "rsa_oaep_hash": "sha1"}, Mechanism.RSA_PKCS_OAEP, "sha1"),
        ({"mechanism": "0x9"}, Mechanism.RSA_PKCS_OAEP, "sha256"),
        ({"mechanism": "CKM_AES_GCM"}, Mechanism.AES_GCM, "sha256"),
        ({"mechanism": "0x1087"}, Mechanism.AES_GCM, "sha256"),
    ],
)
def test_a_key_is_read_as_openbao_s_plugin_has_it(
    key: dict[str, str], mechanism: Mechanism | None, hash_name: str
) -> None:
    wanted = TokenKeyConfig(label="a", key_id=None, mechanism=mechanism, oaep_hash=hash_name)
    assert read_key({"label": "a", **key}) == wanted


def test_a_hash_that_no_token_is_asked_for_is_refused() -> None:
    with pytest.raises(
        Malformed, match="'rsa_oaep_hash' must be one of sha1, sha224, sha256, sha384, sha512"
    ):
        read_key({"label": "a", "rsa_oaep_hash": "md5"})
