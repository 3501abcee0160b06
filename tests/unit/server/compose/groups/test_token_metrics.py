# SPDX-License-Identifier: EUPL-1.2
"""What is timed and shown of tokens, keys and the seal."""

import asyncio

from tests.unit.engines.system.house import CORE, House
from vault.framework.telemetry.metrics import Metrics
from vault.server.compose.groups.token_metrics import CountedTokens, show_keys, show_state
from vault.token.ancestors import NoAncestors
from vault.token.model import TokenEntry
from vault.values.ids import ROOT_ID
from vault.values.times import Nanos

_TIMED = ("token.lookup", "token.create", "token.revoke-tree")


def _counts(metrics: Metrics) -> list[int]:
    found = {name: timing.count for name, _, timing in metrics.timings()}
    return [found.get(name, 0) for name in _TIMED]


def _gauges(metrics: Metrics) -> dict[tuple[str, ...], float]:
    return {(name, *(text for _, text in labels)): value for name, labels, value in metrics.gauges()}


def test_tokens_are_timed_when_they_are_made_looked_up_and_revoked() -> None:
    async def scenario() -> None:
        house = await House().open()
        metrics = Metrics()
        tokens = CountedTokens(
            house.entropy,
            house.namespaces.live,
            metrics,
            house.tokens.entities,
            house.router.has_login,
            NoAncestors(),
        )
        await tokens.load(house.barrier.reader(ROOT_ID, CORE))
        assert _counts(metrics) == [0, 0, 0]
        async with house.barrier.write(ROOT_ID, CORE) as core:
            entry = TokenEntry(
                accessor=tokens.new_accessor(),
                policies=("p",),
                path="auth/token/create",
                display_name="token",
                created=Nanos(1),
            )
            key = await tokens.create(core, tokens.new_token(), entry)
        assert _counts(metrics)[1:] == [1, 0]
        before = _counts(metrics)[0]
        found = await tokens.get(house.barrier.reader(ROOT_ID, CORE), key)
        assert found is not None
        assert found.policies == ("p",)
        assert _counts(metrics)[0] == before + 1
        async with house.barrier.write(ROOT_ID, CORE) as core:
            await tokens.revoke_tree(core, key)
        assert _counts(metrics)[1:] == [1, 1]
        assert await tokens.get(house.barrier.reader(ROOT_ID, CORE), key) is None

    asyncio.run(scenario())


def test_a_vault_is_shown_under_the_same_name_whether_it_is_sealed_and_its_keys_while_it_is_open() -> None:
    async def scenario() -> None:
        house = await House().open()
        metrics = Metrics()
        show_keys(metrics, house.barrier)
        show_state(metrics, house.barrier, "house")
        shown = _gauges(metrics)
        assert shown["core.unsealed", "house"] == shown["core.active", "house"] == 1
        assert shown["coffre.barrier.key_term",] == 1
        assert shown["barrier.estimated_encryptions",] > 0
        house.barrier.seal()
        assert _gauges(metrics) == {
            ("core.unsealed", "house"): 0,
            ("core.active", "house"): 0,
            ("coffre.barrier.key_term",): 0,
            ("barrier.estimated_encryptions",): 0,
        }

    asyncio.run(scenario())
