# SPDX-License-Identifier: EUPL-1.2
"""Mounts of both versions."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.unit.engines.driver import Driver, FakeClock
from vault.engines.kv.engine import VersionedKV
from vault.engines.kv.plain import PlainKV
from vault.framework.clock import Entropy

Play = Callable[[Callable[[Driver], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def v2() -> Play:
    """Play a scenario on an empty mount of version 2."""

    def play(scenario: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            clock = FakeClock()
            await scenario(await Driver(VersionedKV(clock), clock).start())

        asyncio.run(run())

    return play


@pytest.fixture
def v1() -> Play:
    """Play a scenario on an empty mount of version 1."""

    def play(scenario: Callable[[Driver], Coroutine[Any, Any, None]]) -> None:
        async def run() -> None:
            await scenario(await Driver(PlainKV(Entropy()), FakeClock()).start())

        asyncio.run(run())

    return play
