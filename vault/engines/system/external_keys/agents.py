# SPDX-License-Identifier: EUPL-1.2
"""The agents of external keys: a process for each PKCS#11 token in use, ended when idle."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Final, Protocol

import msgspec

from hsm.client.agent_client import AgentClient
from hsm.client.backoff import BackOff
from hsm.client.launch import Launch
from hsm.client.process import AgentProcess
from hsm.client.signers import SigningAgent
from hsm.operations import AgentConfig, TokenInfo
from hsm.pin import Pin
from hsm.runtime import runtime_directory
from vault.engines.system.external_keys.pkcs11_config import TokenConfig, TokenKeyConfig
from vault.framework.errors import Unavailable
from vault.framework.keys.external import PrivateKey, SecretKey

MOST: Final = 8
"""Tokens that are open at once. For another one the idle token that was used longest ago is closed."""
MOST_KEYS: Final = 256
"""Keys of one token in the cache."""
TURNS: Final = 4
"""Threads that may wait for one token at once, so that threads are left for the other tokens."""
IDLE_SECONDS: Final = 300.0
"""How long an idle agent stays. It is logged in, and it outlives the sealing of the vault."""
_OPENING_SECONDS: Final = 10.0
"""How long loading the module and logging in may take."""


class Process(SigningAgent, Protocol):
    """An agent that can be ended: `hsm.client.agent_client.AgentClient`."""

    def end(self) -> object:
        """Take no more requests and let the agent end."""
        ...


class TokenKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair or an AES key in a token, described without secrets."""

    key: PrivateKey | SecretKey
    """The private half, or the AES key, which stays in the token."""
    oaep: str = ""
    """The hash with which an RSA key was seen to decrypt RSA-OAEP; empty for one that does not."""
    label: str
    key_id: bytes
    """Its version; empty if the token states none."""
    token: TokenInfo
    """The token's description of itself."""


class TokenAgent(msgspec.Struct):
    """The agent of a token, with the keys that it has found."""

    agent: Process
    used: float
    """When it was used last, in seconds."""
    users: int = 0
    """How many calls wait for its answers. It is not closed while there are any."""
    turns: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(TURNS))
    keys: dict[TokenKeyConfig, TokenKey] = msgspec.field(default_factory=dict)

    def remember(self, wanted: TokenKeyConfig, found: TokenKey) -> None:
        """Cache a key, so that the next use asks the token for the signature only."""
        if len(self.keys) >= MOST_KEYS:
            self.keys.clear()
        self.keys[wanted] = found


class Agents:
    """Agents by token, PIN included: two configs with different PINs never share one. Not thread-safe."""

    def __init__(self, start: Callable[[TokenConfig], Process], now: Callable[[], float]) -> None:
        """`start` makes the agent of a token, whose process starts with its first request; `now` is in seconds."""
        self._start = start
        self._now = now
        self._open: OrderedDict[TokenConfig, TokenAgent] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def using(self, token: TokenConfig) -> Iterator[TokenAgent]:
        """Hold a token's agent with its cached keys. Raises `Unavailable` while all places are in use."""
        opened = self._open.pop(token, None) or self._another(token)
        self._open[token] = opened
        opened.users += 1
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle)
        try:
            yield opened
        finally:
            opened.users -= 1
            opened.used = self._now()

    def end_idle(self) -> None:
        """End idle agents; check again later while there are others."""
        for token, opened in list(self._open.items()):
            if not opened.users and opened.used <= self._now() - IDLE_SECONDS:
                self._end(token)
        self._timer = None
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle)

    def _another(self, token: TokenConfig) -> TokenAgent:
        if len(self._open) >= MOST:
            idle = next((held for held, opened in self._open.items() if not opened.users), None)
            if idle is None:
                raise Unavailable(f"{MOST} tokens are in use at once, and no more are opened")
            self._end(idle)
        return TokenAgent(self._start(token), 0.0)

    def _end(self, token: TokenConfig) -> None:
        self._open.pop(token).agent.end()


def starter(
    environment: Mapping[str, str], *, now: Callable[[], float], chance: Callable[[], float]
) -> Callable[[TokenConfig], AgentClient]:
    """Return the function that makes agents; `environment` is theirs, `now` and `chance` are as in
    `hsm.client.backoff`.

    Their PINs come from clients: wrong ones must not lock a token that a seal uses.
    """
    directory = str(runtime_directory(environment))

    def start(token: TokenConfig) -> AgentClient:
        config = AgentConfig(
            lib=token.lib,
            slot=token.slot,
            token_label=token.label,
            token_serial=token.serial,
            guest=True,
            runtime_directory=directory,
        )
        launch = Launch(
            config=config,
            pin=lambda: Pin(token.pin),
            environment=environment,
            opening_seconds=_OPENING_SECONDS,
        )
        return AgentClient(lambda: AgentProcess(launch, now=now), BackOff(now=now, chance=chance))

    return start
