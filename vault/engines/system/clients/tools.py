# SPDX-License-Identifier: EUPL-1.2
"""`sys/tools`: random bytes and hashes, for clients without sources of their own."""

from __future__ import annotations

from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
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


class ToolEngine(Engine):
    """Random bytes and hashes."""

    def __init__(self, entropy: Entropy, pool: Pool) -> None:
        """`pool` hashes long input."""
        self._entropy = entropy
        self._pool = pool

    @write("tools/random", writes=False, event="sys.random")
    async def random(self, call: Call, params: RandomParams) -> Reply[RandomBytes]:
        """Make random bytes."""
        return make_random(call, params, "", params.bytes, self._entropy)

    @write("tools/random/{choice:path}", writes=False, event="sys.random")
    async def random_chosen(self, call: Call, params: RandomPathParams) -> Reply[RandomBytes]:
        """Make random bytes from a source, or of a number, that the path says."""
        return make_random(call, params, *random_choice(params.choice, params.bytes), self._entropy)

    @write("tools/hash", writes=False, event="sys.hash")
    async def hash(self, call: Call, params: HashParams) -> Reply[Sum]:
        """Hash data."""
        return await make_hash(call, params, params.algorithm, self._pool)

    @write("tools/hash/{chosen:path}", writes=False, event="sys.hash")
    async def hash_chosen(self, call: Call, params: HashPathParams) -> Reply[Sum]:
        """Hash data with the algorithm that the path says."""
        return await make_hash(call, params, params.chosen, self._pool)
