# SPDX-License-Identifier: EUPL-1.2
"""An AES key behind an agent in memory."""

import os
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from hsm.client.ciphers import LARGEST_DATA, TokenCipher
from hsm.errors import AgentDied, BadConfig, IntegrityError, SlotUnavailable
from hsm.operations import Decrypt, Encrypt, Operation, SecretKey, SecretKeyInfo
from hsm.protocol import Request, encode
from vault.framework.keys import external

KEY = AESGCM(bytes(32))


class Agent:
    """Answers for one AES key, and keeps what it was asked."""

    def __init__(self, key_id: bytes = b"v1") -> None:
        self.found = SecretKeyInfo(label="kek", key_id=key_id, bits=256, fingerprint="f00d")
        self.asked: list[tuple[Operation, float]] = []
        self.failures: list[Exception] = []

    def ask_blocking(self, operation: Operation, kind: type[Any], seconds: float) -> Any:
        self.asked.append((operation, seconds))
        encode(Request(1, operation))
        if self.failures:
            raise self.failures.pop(0)
        if isinstance(operation, SecretKey):
            return self.found
        if isinstance(operation, Encrypt):
            nonce = os.urandom(12)
            return nonce + KEY.encrypt(nonce, operation.data, operation.associated_data)
        assert isinstance(operation, Decrypt)
        try:
            return KEY.decrypt(operation.data[:12], operation.data[12:], operation.associated_data)
        except (InvalidTag, ValueError):
            raise IntegrityError("the ciphertext is not of this key, or was changed") from None


@pytest.mark.parametrize(("label", "key_id"), [("kek", None), ("", b"v1"), ("kek", b"v1")])
def test_a_key_that_is_named_by_half_encrypts_as_the_one_that_was_found(
    label: str, key_id: bytes | None
) -> None:
    agent = Agent()
    cipher = TokenCipher(agent, label, key_id, seconds=2.5)
    assert (cipher.label, cipher.key_id, cipher.bits, cipher.fingerprint) == ("kek", b"v1", 256, "f00d")
    made = cipher.encrypt(b"a text", b"aad")
    assert cipher.decrypt(made, b"aad") == b"a text"
    assert agent.asked == [
        (SecretKey(label, key_id), 2.5),
        (Encrypt("kek", b"v1", b"a text", b"aad"), 2.5),
        (Decrypt("kek", b"v1", "AES_GCM", made, b"aad"), 2.5),
    ]


def test_a_key_without_an_id_is_asked_for_by_its_label() -> None:
    cipher = TokenCipher(Agent(b""), "kek", None, seconds=1)
    assert cipher.key_id == b""
    assert cipher.decrypt(cipher.encrypt(b"x", b""), b"") == b"x"


def test_every_wrong_ciphertext_is_refused_alike() -> None:
    cipher = TokenCipher(Agent(), "kek", None, seconds=1)
    made = cipher.encrypt(b"a text", b"")
    refused = set()
    for wrong in (b"", made[:-1], made + b"x", bytes(28), b"x" + made[1:]):
        with pytest.raises(InvalidTag) as caught:
            cipher.decrypt(wrong, b"")
        refused.add((str(caught.value), caught.value.__cause__, caught.value.__suppress_context__))
    assert len(refused) == 1


def test_an_agent_that_dies_is_followed_by_another_once() -> None:
    agent = Agent()
    cipher = TokenCipher(agent, "kek", None, seconds=1)
    agent.failures = [AgentDied("the agent died of SIGKILL")]
    made = cipher.encrypt(b"x", b"")
    agent.failures = [AgentDied("the agent died of SIGKILL")]
    assert cipher.decrypt(made, b"") == b"x"
    agent.failures = [AgentDied("the agent died of SIGKILL"), SlotUnavailable("no agent can be started")]
    with pytest.raises(SlotUnavailable, match="no agent"):
        cipher.decrypt(made, b"")


def test_what_fits_no_frame_is_refused_and_the_largest_that_does_comes_back() -> None:
    assert LARGEST_DATA == external.LARGEST_DATA
    cipher = TokenCipher(Agent(), "kek", None, seconds=1)
    data, associated = bytes(LARGEST_DATA - 10), bytes(10)
    assert cipher.decrypt(cipher.encrypt(data, associated), associated) == data
    for act in (cipher.encrypt, cipher.decrypt):
        with pytest.raises(BadConfig, match="key kek id v1: takes 61440 bytes at once, not "):
            act(bytes(LARGEST_DATA + 29), b"")


def test_nothing_of_a_text_is_shown() -> None:
    assert "secret" not in repr(Encrypt("kek", b"v1", b"secret", b"secret"))
