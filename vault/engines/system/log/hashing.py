# SPDX-License-Identifier: EUPL-1.2
"""`sys/log/hash`: what stands for a value in records, and the key that it is made with."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Final

import msgspec

from vault.audit.broker import AUDIT_KIND
from vault.engines.system.log.readers import NO_LOG, LogReading
from vault.framework.call import Call
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc
from vault.framework.limits import AT_ONCE
from vault.framework.route import Params, write
from vault.log.common_log import CommonLog
from vault.log.keys import MOST_HASHING, NoMoreKeys, add_hashing_key, read_keys

_LONGEST: Final = 1 << 20
"""Characters of the longest value that is looked for: it is hashed with each key that there ever was."""


class HashParams(Params, frozen=True):
    """A value to look for."""

    input: Annotated[str, Doc("The value.")] = ""


class ValueHashes(msgspec.Struct, frozen=True):
    """What stands for a value in records, under each key that there is or was, the newest last."""

    hashes: Sequence[str]


class HashingKey(msgspec.Struct, frozen=True):
    """The id of the key that values are hashed with, with which each hash begins."""

    key: str


class HashEngine(Engine):
    """Hashes values as the log does."""

    def __init__(
        self, reading: LogReading, common: CommonLog | None, pool: Pool, entropy: Entropy, clock: Clock
    ) -> None:
        """`common` is this server's own log, None where it keeps none; `pool` hashes what is long."""
        self._reading, self._common = reading, common
        self._pool = pool
        self._entropy, self._clock = entropy, clock

    @write("log/hash", writes=False, event="log.hash")
    async def hash_value(self, call: Call, params: HashParams) -> ValueHashes:
        """Return what stands for a value in records. Who may ask can try out values: grant it to few."""
        self._reading.permit(call)
        common = self._common
        if common is None:
            raise NotFound(NO_LOG)
        if len(params.input) > _LONGEST:
            raise Malformed(f"field 'input' may have at most {_LONGEST} characters")
        slow = len(params.input) * common.hashing_keys > AT_ONCE
        return ValueHashes(await self._pool.do(call, partial(common.hashes, params.input), slow=slow))

    @write("log/hash/rotate", sudo=True, event="log.hash.rotate")
    async def rotate_key(self, call: Call) -> HashingKey:
        """Hash values with a new key from now on, on every node. Needs sudo.

        Old keys stay, so that what they hashed is found; but equal values before and after do not look equal.
        """
        self._reading.permit_all(call)
        keys = None if self._common is None else await read_keys(call.core)
        if keys is None:
            raise NotFound(NO_LOG)
        try:
            newest = await add_hashing_key(call.core, keys, self._entropy, self._clock.millis())
        except NoMoreKeys:
            raise Malformed(f"there are {MOST_HASHING} keys of hashes, and no more can be made") from None
        call.record.changed = {"new": newest, "old": keys.current}
        await call.core.invalidate(AUDIT_KIND, "")
        return HashingKey(newest)
