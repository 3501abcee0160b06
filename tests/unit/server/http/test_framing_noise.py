# SPDX-License-Identifier: EUPL-1.2
"""Bytes that chance makes: what becomes of them is the same whatever the verb, and however they arrive."""

import asyncio
import random
import re

import pytest

from tests.fuzz.noise import Noise
from tests.unit.server.http.test_framing_table import passed

_VERB = re.compile(rb"\A(POST|GET|PUT|LIST|SCAN|FOO|DELETE)(?= )")


async def _passed(parts: list[bytes]) -> tuple[list[tuple[bytes, bytes]], list[bytes], bool]:
    requests, statuses, closing = await passed(parts, turns=300)
    return [(path, body) for _, path, body in requests], statuses, closing


def _cut(text: bytes, chance: random.Random) -> list[bytes]:
    places = sorted(chance.sample(range(1, len(text)), min(len(text) - 1, chance.randrange(1, 6))))
    return [text[begin:end] for begin, end in zip([0, *places], [*places, len(text)], strict=True)]


@pytest.mark.parametrize("seed", range(3))
def test_no_verb_and_no_cut_changes_what_is_read(seed: int) -> None:
    noise, chance = Noise([], seed), random.Random(seed)

    async def compared() -> int:
        served = 0
        for _ in range(40):
            text = noise.raw()
            expected = await _passed([_VERB.sub(b"POST", text)])
            served += len(expected[0])
            for verb in (b"POST", b"LIST"):
                sent = _VERB.sub(verb, text)
                for parts in ([sent], _cut(sent, chance) if len(sent) > 1 else [sent]):
                    assert await _passed(parts) == expected, (verb, parts[0][:300])
        return served

    assert asyncio.run(compared()) > 20
