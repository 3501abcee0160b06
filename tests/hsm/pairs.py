# SPDX-License-Identifier: EUPL-1.2
"""Agents on tokens, and key pairs that it makes."""

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from hsm.client.agent_client import AgentClient
from hsm.client.backoff import BackOff
from hsm.client.launch import PROGRAM, Launch
from hsm.client.process import AgentProcess
from hsm.operations import AgentConfig, GenerateKeyPair, PublicHalf, PublicKey
from hsm.pin import Pin
from tests.hsm.tokens import PIN, SoftHsm

IDS = {"p256": b"v0001", "p384": b"v0002", "ed25519": b"v0003", "rsa2048": b"v0004", "p521": b"v0005"}
"""`CKA_ID` of each pair: each its own, because NSS lets a new key take the place of one with the same id."""


def agent(token: SoftHsm, label: str) -> AbstractContextManager[AgentClient]:
    """Return an agent that is logged in to the token `label`; end it at the end."""
    return launched(token.agent_config(label), PIN, token.environment)


@contextmanager
def launched(
    config: AgentConfig, pin: str, environment: Mapping[str, str], *, inside: tuple[str, ...] = ()
) -> Iterator[AgentClient]:
    """Return an agent that opens what `config` names; `inside` goes before its command. End it at the end."""
    launch = Launch(
        config=config,
        pin=lambda: Pin(pin.encode()),
        environment=environment,
        program=(*inside, *PROGRAM),
        opening_seconds=60,
    )
    back_off = BackOff(now=time.monotonic, chance=lambda: 0.5)
    client = AgentClient(lambda: AgentProcess(launch, now=time.monotonic), back_off)
    try:
        yield client
    finally:
        process = client.end()
        assert process is not None
        process.join(60)


def generate(client: AgentClient, *algorithms: str) -> None:
    """Make a key pair of each algorithm, with the algorithm as its label."""
    for algorithm in algorithms:
        client.ask_blocking(GenerateKeyPair(algorithm, IDS[algorithm], algorithm), bytes, 60)


def public(client: AgentClient, label: str) -> bytes:
    """The public half of a pair, as the token gives it: an SPKI in DER."""
    return client.ask_blocking(PublicKey(label, None), PublicHalf, 60).public
