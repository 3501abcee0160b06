# SPDX-License-Identifier: EUPL-1.2
"""An agent on a SoftHSM token, and key pairs that it makes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hsm.breaker import Breaker
from hsm.client import AgentClient
from hsm.launch import Launch
from hsm.operations import GenerateKeyPair
from hsm.pin import Pin
from hsm.process import AgentProcess
from tests.hsm.tokens import PIN, SoftHsm

VERSION = b"v0001"
"""`CKA_ID` of every pair."""


@contextmanager
def agent(token: SoftHsm, label: str) -> Iterator[AgentClient]:
    """Return an agent that is logged in to the token `label`; end it at the end."""
    launch = Launch(
        opening=token.opening(label),
        pin=lambda: Pin(PIN.encode()),
        environment=token.environment,
        opening_seconds=25,
    )
    breaker = Breaker(now=time.monotonic, chance=lambda: 0.5)
    client = AgentClient(lambda: AgentProcess(launch, now=time.monotonic), breaker)
    try:
        yield client
    finally:
        process = client.end()
        assert process is not None
        process.join(10)


def generate(client: AgentClient, *algorithms: str) -> None:
    """Make a key pair of each algorithm, with the algorithm as its label."""
    for algorithm in algorithms:
        client.ask_blocking(GenerateKeyPair(algorithm, VERSION, algorithm), bytes, 60)
