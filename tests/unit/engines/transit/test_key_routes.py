# SPDX-License-Identifier: EUPL-1.2
"""What is made for a timer by itself: it is in memory only while the vault is open."""

import asyncio
from collections.abc import Callable
from typing import Any, cast

import pytest

from vault.engines.transit.key_routes import KeyEngine
from vault.engines.transit.keys.model import TransitKey
from vault.framework.clock import Clock, Entropy
from vault.framework.keys.external import AskFirst

KEY = TransitKey(id="x", type="rsa-2048")


class SealingPool:
    """Works at once; the vault is sealed meanwhile if `seals` says so."""

    def __init__(self) -> None:
        self.seals: Callable[[], None] = lambda: None

    async def run(self, client: object, work: Callable[[], Any]) -> Any:
        del client
        self.seals()
        return work()


def test_a_key_that_was_made_for_a_timer_is_dropped_where_the_vault_was_sealed_meanwhile() -> None:
    pool = SealingPool()
    nothing = cast("Any", None)
    engine = KeyEngine(nothing, nothing, nothing, Clock(), Entropy(), cast("Any", pool))
    with pytest.raises(AskFirst) as first:
        engine._next(KEY)
    asyncio.run(cast("Any", first.value.ask()))
    assert list(engine._made) == ["x"]
    engine.forget()
    assert engine._made == {}
    pool.seals = engine.forget
    asyncio.run(cast("Any", first.value.ask()))
    assert engine._made == {}
