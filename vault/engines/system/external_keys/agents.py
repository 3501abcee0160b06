# SPDX-License-Identifier: EUPL-1.2
"""The agents of external keys: a process for each token that is in use, ended when it is used no longer."""

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
from vault.engines.system.external_keys.pkcs11_config import Pair, Token
from vault.framework.errors import Unavailable
from vault.framework.keys.external import PrivateKey

MOST: Final = 8
"""Tokens that are kept open at once; the one that nobody uses and was used longest ago is closed for another."""
MOST_PAIRS: Final = 256
"""Key pairs of one token that are remembered."""
TURNS: Final = 4
"""Threads that wait for one token at once: those of the others are free for other tokens."""
IDLE_SECONDS: Final = 300.0
"""How long an agent stays after its last use. It is logged in, and it outlives the sealing of the vault."""
_OPENING_SECONDS: Final = 10.0
"""How long loading the module and logging in may take."""


class Process(SigningAgent, Protocol):
    """An agent that can be ended: `hsm.client.agent_client.AgentClient`."""

    def end(self) -> object:
        """Take no more requests and let the agent end."""
        ...


class TokenKeyPair(msgspec.Struct, frozen=True, kw_only=True):
    """A key pair that a token has; nothing of it is secret."""

    private: PrivateKey
    """The private half, which stays in the token."""
    label: str
    key_id: bytes
    """Its version; empty where the token gives it none."""
    token: TokenInfo
    """What the token said of itself."""


class TokenAgent(msgspec.Struct):
    """A token's agent, and the key pairs that were found through it."""

    agent: Process
    used: float
    """When it was asked for last, in seconds."""
    users: int = 0
    """How many wait for its answers; as long as there are any it stays."""
    turns: asyncio.Semaphore = msgspec.field(default_factory=lambda: asyncio.Semaphore(TURNS))
    pairs: dict[Pair, TokenKeyPair] = msgspec.field(default_factory=dict)

    def remember(self, pair: Pair, found: TokenKeyPair) -> None:
        """Keep what was found, so that the next use asks the token for its signature alone."""
        if len(self.pairs) >= MOST_PAIRS:
            self.pairs.clear()
        self.pairs[pair] = found


class Agents:
    """Agents by token, PIN included: two configs with different PINs never share one. For the event loop alone."""

    def __init__(self, start: Callable[[Token], Process], now: Callable[[], float]) -> None:
        """`start` makes a token's agent, which runs once it is asked; `now` counts seconds."""
        self._start = start
        self._now = now
        self._open: OrderedDict[Token, TokenAgent] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    @contextlib.contextmanager
    def using(self, token: Token) -> Iterator[TokenAgent]:
        """Hold the token's agent and what is known through it. Raises `Unavailable` while all others are in use."""
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
        """End the agents that were not used of late; look again later while there are others."""
        for token, opened in list(self._open.items()):
            if not opened.users and opened.used <= self._now() - IDLE_SECONDS:
                self._end(token)
        self._timer = None
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle)

    def _another(self, token: Token) -> TokenAgent:
        if len(self._open) >= MOST:
            idle = next((held for held, opened in self._open.items() if not opened.users), None)
            if idle is None:
                raise Unavailable(f"{MOST} tokens are in use at once, and no more are opened")
            self._end(idle)
        return TokenAgent(self._start(token), 0.0)

    def _end(self, token: Token) -> None:
        self._open.pop(token).agent.end()


def starter(
    environment: Mapping[str, str], *, now: Callable[[], float], chance: Callable[[], float]
) -> Callable[[Token], AgentClient]:
    """Return what makes agents; `environment` is theirs, `now` and `chance` are as in `hsm.client.backoff`.

    Their PINs come from clients, and are not to use up the tries of a token that a seal is on.
    """
    directory = str(runtime_directory(environment))

    def start(token: Token) -> AgentClient:
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
