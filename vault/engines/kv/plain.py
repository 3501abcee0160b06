# SPDX-License-Identifier: EUPL-1.2
"""Version 1 of key-value secrets: one value per path, at any path, as it was written."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated, Final

from vault.barrier.stored import raw
from vault.engines.kv.model import Keys
from vault.engines.kv.params import DEPTH
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Doc, FieldKind, Json, Mismatch, to_duration
from vault.framework.limits import AT_ONCE
from vault.framework.names import scan_order
from vault.framework.reply import Reply
from vault.framework.request import exact_json
from vault.framework.route import Params, delete, list_, read, scan, write
from vault.storage.paging import opened
from vault.values.times import Seconds

ENTRIES: Final = "entry/"
"""Prefix of the secrets; below it are the paths as the client named them."""
DEFAULT_TTL: Final = Seconds(2_764_800)
"""How long a secret is said to be good for where neither it nor its mount says: 32 days."""
_LONGEST_KNOWN: Final = 4096
"""Bytes of a stored secret that is known again when it is read again."""


class SecretPath(Params, frozen=True):
    """Which secret."""

    path: Annotated[str, Doc("Where the secret is, below the mount.")]


class ScanParams(SecretPath, frozen=True):
    """Which folder, how deep to look, and which part of what is found; all is shown unless `depth` is given."""

    depth: Annotated[int | None, DEPTH] = None
    after: Annotated[str, FieldKind("string", needs="depth"), Doc("Show only names after this one.")] = ""
    limit: Annotated[
        int,
        FieldKind("int", needs="depth"),
        Doc("How many names to show at most; 0 or less for all.", clear=True),
    ] = 0


class PlainKV(Engine):
    """Secrets without versions. Anything that is valid JSON can be a secret's field."""

    def __init__(self, entropy: Entropy, default_ttl: Seconds = DEFAULT_TTL) -> None:
        """`default_ttl` in seconds."""
        self._default_ttl = default_ttl
        self._key = entropy.bytes(32)
        self._reading = Pool(threads=1, name="kv-read")
        self._writing = Pool(threads=1, name="kv-write")
        """Who waits in this one holds a transaction, so it is never asked by anybody else."""

    @read("{path:any}", resource="kv.secret")
    async def read_secret(self, call: Call, params: SecretPath) -> Reply[Mapping[str, Json]]:
        """Read a secret. `lease_duration` is how long it should be kept: its own `ttl` or `lease`."""
        stored = await call.reader.get(ENTRIES + params.path)
        if stored is None:
            raise NotFound
        long, decode = len(stored) > AT_ONCE, exact_json.decode
        secret = await self._reading.of(call, decode, stored) if long else decode(stored)
        lasts = _ttl(secret, call.mount.default_ttl or self._default_ttl)
        same = self._digest(stored) if len(stored) <= _LONGEST_KNOWN else None
        return Reply(secret, lease_duration=lasts, own_names=True, same=same, long=long)

    @write(
        "{path:any}",
        exists="secret_exists",
        contained=True,
        repeatable=True,
        exact=True,
        resource="kv.secret",
    )
    async def write_secret(self, call: Call, params: SecretPath) -> None:
        """Write a secret, replacing what was there. `ttl` and `lease` are fields like any other."""
        if not params.path:
            raise Malformed("missing path")
        if not call.data:
            raise Malformed("missing data fields")
        long, data, encode = len(call.body) > AT_ONCE, call.data, exact_json.encode
        text = await self._writing.of(call, encode, data) if long else encode(data)
        await call.tx.put(ENTRIES + params.path, raw(text))

    @delete("{path:any}", contained=True, repeatable=True, resource="kv.secret")
    async def delete_secret(self, call: Call, params: SecretPath) -> None:
        """Remove a secret."""
        await call.tx.delete(ENTRIES + params.path)

    @list_("{path:any}", resource="kv.folder")
    async def list_secrets(self, call: Call, params: SecretPath) -> Keys:
        """List the names in a folder; a folder's ends in `/`."""
        names = await call.reader.list(_folder(params.path))
        if not names:
            raise NotFound
        return Keys(names)

    @scan("{path:any}", resource="kv.folder")
    async def scan_secrets(self, call: Call, params: ScanParams) -> Keys:
        """List every secret below a folder. Without `depth`, `after` and `limit` are unknown."""
        if params.depth is not None:
            folder = _folder(params.path)
            return Keys(
                await opened(call.reader.scan, folder, params.depth, after=params.after, limit=params.limit)
            )
        return Keys(scan_order(await call.reader.scan(_folder(params.path))))

    def _digest(self, stored: bytes) -> bytes:
        """Return what stands for a secret in memory, where it tells nothing of it: a digest keyed for this process."""
        return hashlib.blake2b(stored, key=self._key, digest_size=16).digest()

    async def secret_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await call.reader.has(ENTRIES + call.captures["path"])


def _folder(path: str) -> str:
    return ENTRIES + (path if not path or path.endswith("/") else f"{path}/")


def _ttl(secret: Mapping[str, Json], default: Seconds) -> Seconds:
    """Return the TTL that a secret names itself, or `default` when it names none that can be read."""
    for name in ("ttl", "lease"):
        if name in secret:
            value = secret[name]
            if value is None:
                return Seconds(0)
            try:
                return default if isinstance(value, str) and value != value.strip() else to_duration(value)
            except Mismatch:
                return default
    return default
