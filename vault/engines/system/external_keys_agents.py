# SPDX-License-Identifier: EUPL-1.2
"""The agents of external keys: a process for each token that is in use, ended when it is used no longer."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Final, Protocol

import msgspec

from hsm.breaker import Breaker
from hsm.client import AgentClient
from hsm.launch import Launch
from hsm.operations import Opening, TokenInfo
from hsm.pin import Pin
from hsm.process import AgentProcess
from hsm.runtime import runtime_directory
from hsm.signers import Agent
from vault.engines.system.external_keys_token import Pair, Token
from vault.framework.external import PrivateKey

MOST: Final = 8
"""Tokens that are kept open at once; the one that was used longest ago is closed for another."""
MOST_PAIRS: Final = 256
"""Key pairs of one token that are remembered."""
IDLE_SECONDS: Final = 300.0
"""How long an agent stays after its last use. It is logged in, and it outlives the sealing of the vault."""
_OPENING_SECONDS: Final = 10.0
"""How long loading the module and logging in may take. A config is tried within a transaction: other writes wait."""


class Process(Agent, Protocol):
    """An agent that can be ended: `hsm.client.AgentClient`."""

    def end(self) -> object:
        """Take no more requests and let the agent end."""
        ...


class Opened(msgspec.Struct):
    """A token's agent, and the key pairs that were found through it."""

    agent: Process
    used: float
    """When it was asked for last, in seconds."""
    pairs: dict[Pair, tuple[PrivateKey, TokenInfo]] = msgspec.field(default_factory=dict)
    """Private halves, which hold no secret, and what the token said of itself."""

    def remember(self, pair: Pair, found: tuple[PrivateKey, TokenInfo]) -> None:
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
        self._open: OrderedDict[Token, Opened] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None

    def get(self, token: Token) -> Opened:
        """Return the token's agent and what is known through it."""
        opened = self._open.pop(token, None) or Opened(self._start(token), 0.0)
        opened.used = self._now()
        self._open[token] = opened
        if len(self._open) > MOST:
            self._end_oldest()
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle)
        return opened

    def end_idle(self) -> None:
        """End the agents that were not used of late; look again later while there are others."""
        while self._open and next(iter(self._open.values())).used <= self._now() - IDLE_SECONDS:
            self._end_oldest()
        self._timer = None
        if self._open:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self.end_idle)

    def _end_oldest(self) -> None:
        _, oldest = self._open.popitem(last=False)
        oldest.agent.end()


def starter(
    environment: Mapping[str, str], *, now: Callable[[], float], chance: Callable[[], float]
) -> Callable[[Token], AgentClient]:
    """Return what makes agents; `environment` is theirs, `now` and `chance` are as in `hsm.breaker`."""
    directory = str(runtime_directory(environment))

    def start(token: Token) -> AgentClient:
        opening = Opening(
            lib=token.lib,
            slot=token.slot,
            token_label=token.label,
            token_serial=token.serial,
            runtime_directory=directory,
        )
        launch = Launch(
            opening=opening,
            pin=lambda: Pin(token.pin),
            environment=environment,
            opening_seconds=_OPENING_SECONDS,
        )
        return AgentClient(lambda: AgentProcess(launch, now=now), Breaker(now=now, chance=chance))

    return start
