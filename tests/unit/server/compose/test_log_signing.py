# SPDX-License-Identifier: EUPL-1.2
"""The external key that signs the log: whose grant it needs, and what is made of its refusals."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.unit.log.folders import opened
from vault.barrier.failure import BarrierSealed
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.clock import Clock
from vault.framework.errors import Failed, Malformed, Unavailable
from vault.framework.keys.external import PrivateKey, SecretKey
from vault.framework.telemetry.log import Log
from vault.log.format.note_key import KeyKind, Verifier
from vault.log.signing import Checkpoints
from vault.server.compose.log_signing import ExternalSigningKey, sign_with_hsm

T = TypeVar("T")


class Keys:
    """External keys with one key, `hsm:log`, for the server alone."""

    def __init__(self, private: PrivateKey) -> None:
        self._private = private
        self.failure: Exception | None = None
        self.calls: list[Call | None] = []
        self.ref = "hsm:log"
        self.oaep = ""

    async def find(self, namespace: Namespace, mount: MountFacts, ref: str) -> "Keys":
        if self.failure is not None:
            raise self.failure
        if (namespace.path, mount.path, ref) != ("", "sys/", "hsm:log"):
            raise Malformed("missing grant")
        return self

    def describe(self) -> dict[str, str]:
        return {}

    async def require_grant(self, namespace: Namespace, mount: MountFacts, ref: str) -> None:
        raise AssertionError

    async def use_any(self, call: Call | None, work: Callable[[PrivateKey | SecretKey], T]) -> T:
        raise AssertionError

    async def use(self, call: Call | None, work: Callable[[PrivateKey], T]) -> T:
        self.calls.append(call)
        return await asyncio.to_thread(work, self._private)


def test_it_signs_what_the_key_on_p256_verifies_and_no_call_is_told() -> None:
    keys = Keys(generate_private_key(SECP256R1()))

    async def scenario() -> None:
        key = ExternalSigningKey(keys, "hsm:log")
        await key.find()
        signed = await key.sign(b"text")
        Verifier("name", KeyKind.ECDSA, signed.public).verify(b"text", signed.value)
        assert keys.calls == [None]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "private", [generate_private_key(SECP384R1()), Ed25519PrivateKey.generate()], ids=["P-384", "Ed25519"]
)
def test_a_key_of_another_kind_is_refused(private: PrivateKey) -> None:
    async def scenario() -> None:
        key = ExternalSigningKey(Keys(private), "hsm:log")
        await key.find()
        with pytest.raises(Failed, match="none on P-256"):
            await key.sign(b"text")

    asyncio.run(scenario())


def test_a_key_that_was_not_found_signs_nothing() -> None:
    keys = Keys(generate_private_key(SECP256R1()))

    async def scenario() -> None:
        key = ExternalSigningKey(keys, "hsm:log")
        with pytest.raises(Unavailable):
            await key.sign(b"text")
        await key.find()
        key.forget()
        with pytest.raises(Unavailable):
            await key.sign(b"text")
        keys.failure = BarrierSealed()
        with pytest.raises(Unavailable, match="the storage does not tell"):
            await key.find()
        keys.failure = None
        with pytest.raises(Malformed):
            await ExternalSigningKey(keys, "hsm:other").find()

    asyncio.run(scenario())


@pytest.mark.parametrize("ref", ["", "hsm:log"])
def test_checkpoints_have_it_where_one_is_configured(tmp_path: Path, ref: str) -> None:
    log = opened(tmp_path)
    checkpoints = Checkpoints(log.writer, "o", Clock(), Log())
    sign_with_hsm(checkpoints, Keys(generate_private_key(SECP256R1())), ref, Log())
    assert (checkpoints.hsm_state(log.id) is not None) == bool(ref)
    log.writer.close()
