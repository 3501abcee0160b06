# SPDX-License-Identifier: EUPL-1.2
"""Version 2 of key-value secrets: the routes of `data/`, `subkeys/` and the three that change versions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from vault.engines.kv import logic, store, versions
from vault.engines.kv.conditions import check_change, check_write, etag, unchanged
from vault.engines.kv.metadata import MetadataRoutes
from vault.engines.kv.model import Row, SecretResult, SubkeysResult, Version, VersionResult
from vault.engines.kv.params import PatchSecret, ReadSecret, ReadSubkeys, SecretPath, Versions, WriteSecret
from vault.framework.call import Call
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.framework.limits import AT_ONCE
from vault.framework.reply import Reply
from vault.framework.request import exact_json
from vault.framework.request.operation import Operation
from vault.framework.route import delete, patch, read, write
from vault.values.times import Nanos


class VersionedKV(MetadataRoutes):
    """Secrets with versions, soft deletion, check-and-set and metadata."""

    _COMMANDS: ClassVar[Mapping[Operation, str]] = {
        Operation.READ: "get",
        Operation.CREATE: "put",
        Operation.UPDATE: "put",
    }

    @read("data/{path:any}", conditional=True, resource="kv.secret")
    async def read_secret(self, call: Call, params: ReadSecret) -> Reply[SecretResult]:
        """Read a secret.

        A version that is deleted or destroyed answers 404, with its metadata and null for its data. A reader who has it
        already, as `If-None-Match` says, is told so with 304; an answer that is wrapped is new each time.
        """
        now = self.clock.nanos()
        row, version, stored = await versions.read(call.reader, params.path, params.version, now)
        shown = logic.version_result(version, row)
        tag = etag(row, version, gone=stored is None)
        if stored is None:
            return Reply(SecretResult(None, shown), status=404, etag=tag)
        asked = call.head.conditions
        if asked is not None and not call.options.wrap_ttl and unchanged(asked, tag):
            return Reply(SecretResult(None, shown), status=304, etag=tag)
        long = len(stored) > AT_ONCE
        data = await self.reading.of(call, exact_json.decode, stored) if long else exact_json.decode(stored)
        same = (params.path, tag) if row.custom is None else None
        return Reply(SecretResult(data, shown), same=same, long=long, etag=tag)

    @write(
        "data/{path:any}",
        exists="secret_exists",
        contained=True,
        repeatable=True,
        conditional=True,
        exact=True,
        resource="kv.secret",
    )
    async def write_secret(self, call: Call, params: WriteSecret) -> Reply[VersionResult]:
        """Write a new version of a secret.

        `If-Match` and `If-None-Match` say what it may replace, as `options.cas` does.
        """
        if "data" not in call.data:
            raise Malformed("no data provided")
        config = await store.load_config(call.tx)
        row = await store.load(call.tx, params.path)
        now = self.clock.nanos()
        named = check_write(call.head.conditions, row, now, params.options)
        current, required = (row.current, row.cas_required) if row else (0, False)
        logic.check_cas(params.options, current, required=(config.cas_required or required) and not named)
        long, data = len(call.body) > AT_ONCE, params.data
        made = await self.writing.of(call, exact_json.encode, data) if long else exact_json.encode(data)
        return _written(*await versions.add(call.tx, params.path, row, config, made, self.clock.nanos()))

    @patch(
        "data/{path:any}", contained=True, repeatable=True, conditional=True, exact=True, resource="kv.secret"
    )
    async def patch_secret(self, call: Call, params: PatchSecret) -> Reply[VersionResult]:
        """Write a new version that differs from the newest by a merge patch (RFC 7396)."""
        if "data" not in call.data:
            raise Malformed("no data provided")
        row = await store.load(call.tx, params.path)
        now = self.clock.nanos()
        named = check_write(call.head.conditions, row, now, params.options)
        if row is None:
            return Reply(status=404, raw=b"")
        config = await store.load_config(call.tx)
        required = config.cas_required or row.cas_required
        logic.check_cas(params.options, row.current, required=required and not named)
        if row.newest is None:
            return Reply(status=404, raw=b"")
        if row.newest.gone(now):
            return Reply(logic.version_result(row.newest, row), status=404)
        stored = await versions.data(call.tx, params.path, row, row.newest) or b"null"
        changed = (
            await self.writing.of(call, _patched, stored, params.data)
            if len(stored) + len(call.body) > AT_ONCE
            else _patched(stored, params.data)
        )
        return _written(*await versions.add(call.tx, params.path, row, config, changed, now))

    @delete("data/{path:any}", contained=True, repeatable=True, conditional=True, resource="kv.secret")
    async def delete_newest(self, call: Call, params: SecretPath) -> None:
        """Delete the newest version; it can be restored."""
        row = await store.load(call.tx, params.path)
        now = self.clock.nanos()
        check_write(call.head.conditions, row, now)
        if row is not None and row.newest is not None:
            newest = logic.deleted(row.newest, now)
            if newest is not row.newest:
                await versions.replace_newest(call.tx, params.path, row, newest)

    @write(
        "delete/{path:any}",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.delete",
        resource="kv.secret",
    )
    async def delete_versions(self, call: Call, params: Versions) -> None:
        """Delete versions; they can be restored."""
        if not params.versions:
            raise Malformed("No version number provided")
        await _change(
            call,
            params,
            self.clock.nanos(),
            lambda _row, version: logic.deleted(version, self.clock.nanos()),  # each has a time of its own
        )

    @write(
        "undelete/{path:any}",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.undelete",
        resource="kv.secret",
    )
    async def undelete_versions(self, call: Call, params: Versions) -> None:
        """Restore deleted versions. Where versions delete themselves, the time starts again."""
        if not params.versions:
            raise Malformed("No version number provided")
        config = await store.load_config(call.tx)
        now = self.clock.nanos()
        await _change(
            call,
            params,
            now,
            lambda row, version: logic.undeleted(version, logic.deletion_time(row, config, now)),
        )

    @write(
        "destroy/{path:any}",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.destroy",
        resource="kv.secret",
    )
    async def destroy_versions(self, call: Call, params: Versions) -> None:
        """Remove the data of versions for good."""
        if not params.versions:
            raise Malformed("no version number provided")
        await _change(call, params, self.clock.nanos(), lambda _row, version: logic.destroyed(version))

    @read("subkeys/{path:any}", event="kv.subkeys.read", resource="kv.secret")
    async def read_subkeys(self, call: Call, params: ReadSubkeys) -> Reply[SubkeysResult]:
        """Read the keys of a secret, without the values."""
        now = self.clock.nanos()
        row, version, stored = await versions.read(call.reader, params.path, params.version, now)
        shown = logic.version_result(version, row)
        if stored is None:
            return Reply(SubkeysResult(shown, None), status=404)
        long, depth = len(stored) > AT_ONCE, params.depth
        keys = await self.reading.of(call, _subkeys, stored, depth) if long else _subkeys(stored, depth)
        return Reply(SubkeysResult(shown, keys), long=long)

    async def secret_exists(self, call: Call) -> bool:
        """Tell update from create: whether there is anything at this path, deleted versions included."""
        return await store.exists(call.reader, call.captures["path"])

    async def missing(self, call: Call) -> Reply[None]:
        """Explain a path that version 2 does not have: as a rule it is one of version 1."""
        listing = call.operation in {Operation.LIST, Operation.SCAN}
        if not listing and call.local in {"data", "metadata", "delete", "undelete", "destroy"}:
            warning = "Non-listing operations on the root of a K/V v2 mount are not supported."
        else:
            command = self._COMMANDS.get(call.operation, call.operation.value)
            warning = (
                "Invalid path for a versioned K/V secrets engine. See the API docs for the appropriate API "
                f"endpoints to use. If using the OpenBao CLI, use 'bao kv {command}' for this operation."
            )
        return Reply(status=404, warnings=[warning])


async def _change(
    call: Call, params: Versions, now: Nanos, changed: Callable[[Row, Version], Version]
) -> None:
    """Change versions of a secret. Raises `PreconditionFailed`, `Malformed`."""
    row = await store.load(call.tx, params.path)
    check_change(call.head.conditions, row, now)
    if row is not None:
        await versions.change(call.tx, params.path, row, params.versions, changed)


def _written(row: Row, version: Version) -> Reply[VersionResult]:
    return Reply(logic.version_result(version, row), etag=etag(row, version, gone=False))


def _patched(stored: bytes, patch: Mapping[str, Json] | None) -> bytes:
    """Return the text of a secret with a merge patch applied. Raises `Malformed`."""
    value = exact_json.decode(stored)
    if value is None:
        raise Malformed("resource does not exist")
    return exact_json.encode(None if patch is None else logic.merge(value, dict(patch)))


def _subkeys(stored: bytes, depth: int) -> Json:
    return logic.subkeys(exact_json.decode(stored), max(depth, 1) if depth else 0)
