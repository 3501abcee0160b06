# SPDX-License-Identifier: EUPL-1.2
"""Routes of random bytes and hashes, for clients without sources of their own: `sys/tools` has them, and each transit mount."""

from __future__ import annotations

from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.reply import Reply
from vault.framework.route import write
from vault.framework.tools.hashes import HashParams, HashPathParams, Sum, make_hash
from vault.framework.tools.random_bytes import (
    RandomBytes,
    RandomParams,
    RandomPathParams,
    make_random,
    random_choice,
)


class Tools(Engine):
    """Random bytes and hashes."""

    def __init__(self, entropy: Entropy, pool: Pool) -> None:
        """`pool` hashes long input."""
        self._entropy = entropy
        self._pool = pool


def tool_engine(prefix: str, *, events: str, contained: bool, input_required: bool) -> type[Tools]:
    """Return the engine whose paths begin with `prefix`, and the names of whose events with `events`.

    `contained` is as in `vault.framework.route.Access`. `input_required`: a hash of nothing has to be asked for.
    """

    class ToolEngine(Tools):
        @write(f"{prefix}random", writes=False, contained=contained, event=f"{events}.random")
        async def random(self, call: Call, params: RandomParams) -> Reply[RandomBytes]:
            """Make random bytes."""
            return make_random(call, params, "", params.bytes, self._entropy)

        @write(f"{prefix}random/{{choice:path}}", writes=False, contained=contained, event=f"{events}.random")
        async def random_chosen(self, call: Call, params: RandomPathParams) -> Reply[RandomBytes]:
            """Make random bytes from a source, or of a number, that the path says."""
            return make_random(call, params, *random_choice(params.choice, params.bytes), self._entropy)

        @write(f"{prefix}hash", writes=False, contained=contained, event=f"{events}.hash")
        async def hash(self, call: Call, params: HashParams) -> Reply[Sum]:
            """Hash data."""
            require_input(call)
            return await make_hash(call, params, params.algorithm, self._pool)

        @write(f"{prefix}hash/{{chosen:path}}", writes=False, contained=contained, event=f"{events}.hash")
        async def hash_chosen(self, call: Call, params: HashPathParams) -> Reply[Sum]:
            """Hash data with the algorithm that the path says."""
            require_input(call)
            return await make_hash(call, params, params.chosen, self._pool)

    def require_input(call: Call) -> None:
        if input_required and "input" not in call.data:
            raise Malformed("input missing")

    return ToolEngine
