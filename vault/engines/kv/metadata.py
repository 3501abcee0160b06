# SPDX-License-Identifier: EUPL-1.2
"""Version 2 of key-value secrets: the routes of `config`, `metadata/` and `detailed-metadata/`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec.structs import replace

from vault.barrier.view import ReadView
from vault.engines.kv import custom, logic, pages, store
from vault.engines.kv.conditions import check_change
from vault.engines.kv.model import Config, ConfigResult, DetailedKeys, Keys, MetadataResult, Row
from vault.engines.kv.params import Listing, PatchMetadata, ScanParams, SecretPath, WriteConfig, WriteMetadata
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.concurrency.offload import Pool
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.names import scan_order
from vault.framework.reply import Reply
from vault.framework.route import delete, list_, patch, read, scan, write
from vault.storage.paging import opened
from vault.values.times import Nanos, Seconds

_SWITCHES: Final = ("cas_required", "metadata_cas_required")
_UINT32: Final = 0xFFFF_FFFF
_FEW: Final = 200
"""Names and versions whose metadata are encoded, and hashed for the audit log, on the event loop: more take many milliseconds."""


class MetadataRoutes(Engine):
    """The settings of the mount and of each secret, and the lists of secrets."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.reading = Pool(threads=1, name="kv-read")
        self.writing = Pool(threads=1, name="kv-write")
        """Who waits in this one holds a transaction, so it is never asked by anybody else."""

    @read("config", event="kv.config.read")
    async def read_config(self, call: Call) -> ConfigResult:
        """Read the mount's settings."""
        config = await store.load_config(call.reader)
        return ConfigResult(
            config.cas_required,
            logic.go_duration(config.delete_after),
            config.max_versions,
            config.metadata_cas_required,
        )

    @write("config", event="kv.config.write")
    async def write_config(self, call: Call, params: WriteConfig) -> None:
        """Change the mount's settings; what is left out stays."""
        changes = _changes(call, params)
        if "max_versions" in changes:
            changes["max_versions"] &= _UINT32
        if params.delete_version_after is not None:
            changes["delete_after"] = max(params.delete_version_after, -1)
        await store.save_config(call.tx, replace(await store.load_config(call.tx), **changes))

    @read("metadata/{path:any}", event="kv.metadata.read", resource="kv.secret")
    async def read_metadata(self, call: Call, params: SecretPath) -> Reply[MetadataResult]:
        """Read a secret's settings and the history of its versions."""
        row = await store.load(call.reader, params.path)
        if row is None:
            raise NotFound
        shown = await logic.metadata_result(row, store.versions(row), TimeSlice())
        return Reply(shown, long=len(shown.versions) > _FEW)

    @write(
        "metadata/{path:any}",
        exists="metadata_exists",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.metadata.write",
        resource="kv.secret",
    )
    async def write_metadata(self, call: Call, params: WriteMetadata) -> Reply[None] | None:
        """Set a secret's settings; what is left out stays. The secret need not have a version yet."""
        changes = _changes(call, params)
        if params.delete_version_after is not None:
            changes["delete_after"] = _positive(params.delete_version_after, "")
        if "custom_metadata" in call.data:
            changes["custom"] = custom.checked(params.custom_metadata)
        if not changes and call.head.conditions is None:
            return None
        row = await store.load(call.tx, params.path)
        now = self.clock.nanos()
        check_change(call.head.conditions, row, now)
        if not changes:
            return None
        if "max_versions" in changes:
            changes["max_versions"] &= _UINT32
        config = await store.load_config(call.tx)
        logic.check_metadata_cas(_cas(call, params), row, config)
        await self._save(call, params.path, row or Row(created=now, updated=now), changes, now)
        return _mandated(call, params, config)

    @patch(
        "metadata/{path:any}",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.metadata.patch",
        resource="kv.secret",
    )
    async def patch_metadata(self, call: Call, params: PatchMetadata) -> Reply[None] | None:
        """Change a secret's settings; keys of `custom_metadata` that are left out stay, those null go."""
        changes = _changes(call, params)
        nothing = not changes and params.delete_version_after is None and "custom_metadata" not in call.data
        if nothing and call.head.conditions is None:
            return None
        if params.delete_version_after:  # 0 changes nothing: OpenBao cannot tell it from 'not given'
            changes["delete_after"] = _positive(params.delete_version_after, "Field validation failed: ")
        custom.checked(custom.given(params.custom_metadata))
        row = await store.load(call.tx, params.path)
        check_change(call.head.conditions, row, self.clock.nanos())
        if nothing:
            return None
        if row is None:
            return Reply(status=404, raw=b"")
        config = await store.load_config(call.tx)
        logic.check_metadata_cas(_cas(call, params), row, config)
        if not 0 <= changes.get("max_versions", 0) <= _UINT32:
            raise Malformed(
                "json: cannot unmarshal number into Go struct field .max_versions of type uint32",
                chained=True,
            )
        if "custom_metadata" in call.data:
            changes["custom"] = custom.merged(row.custom, params.custom_metadata)
        await self._save(call, params.path, row, changes, self.clock.nanos())
        return _mandated(call, params, config)

    async def _save(self, call: Call, path: str, row: Row, changes: Mapping[str, Any], now: Nanos) -> None:
        changed = {**changes, "updated": now, "metadata_version": row.metadata_version + 1}
        await store.save(call.tx, path, replace(row, **changed))

    @delete(
        "metadata/{path:any}",
        contained=True,
        repeatable=True,
        conditional=True,
        event="kv.metadata.delete",
        resource="kv.secret",
    )
    async def delete_metadata(self, call: Call, params: SecretPath) -> None:
        """Remove a secret with all its versions and its settings, for good."""
        row = await store.load(call.tx, params.path)
        check_change(call.head.conditions, row, self.clock.nanos())
        if row is not None:
            await store.drop(call.tx, params.path, row)

    @list_("metadata/{path:any}", reads="data/", resource="kv.folder")
    async def list_metadata(self, call: Call, params: Listing) -> Reply[Keys]:
        """List the names in a folder; a folder's ends in `/`. A page that is not the last names the next one in `Link`."""
        names, headers = pages.cut(call, params, await _names(call.reader, params))
        return Reply(Keys(names), headers=headers)

    @scan("metadata/{path:any}", reads="data/", resource="kv.folder")
    async def scan_metadata(self, call: Call, params: ScanParams) -> Reply[Keys]:
        """List every secret below a folder. Without `depth`, `after`, `cursor` and `limit` are without effect."""
        names, headers = await _leaves(call, params)
        return Reply(Keys(names), headers=headers)

    @list_("detailed-metadata/{path:any}", reads="data/", resource="kv.folder")
    async def list_detailed(self, call: Call, params: Listing) -> Reply[DetailedKeys]:
        """List the names in a folder, with the metadata of each secret."""
        names, headers = pages.cut(call, params, await _names(call.reader, params))
        return await _detailed(call.reader, params, names, headers)

    @scan("detailed-metadata/{path:any}", reads="data/", resource="kv.folder")
    async def scan_detailed(self, call: Call, params: ScanParams) -> Reply[DetailedKeys]:
        """List every secret below a folder, with its metadata."""
        names, headers = await _leaves(call, params)
        return await _detailed(call.reader, params, names, headers)

    async def metadata_exists(self, call: Call) -> bool:
        """Tell update from create."""
        return await store.load(call.reader, call.captures["path"]) is not None


def _changes(call: Call, params: WriteConfig | WriteMetadata | PatchMetadata) -> dict[str, Any]:
    """Return the plain settings that the request names; null is the setting's default."""
    return {name: getattr(params, name) for name in ("max_versions", *_SWITCHES) if name in call.data}


def _cas(call: Call, params: WriteMetadata | PatchMetadata) -> int | None:
    return params.metadata_cas if "metadata_cas" in call.data else None


def _positive(seconds: Seconds, prefix: str) -> Seconds:
    if seconds < 0:
        raise Malformed(
            f'{prefix}error converting input for field "delete_version_after": cannot provide negative value'
        )
    return seconds


def _mandated(call: Call, params: WriteMetadata | PatchMetadata, config: Config) -> Reply[None] | None:
    """Warn of a setting that the mount's overrules."""
    warnings = [
        f'"{name}" set to false, but is mandated by backend config. This value will be ignored.'
        for name in _SWITCHES
        if getattr(config, name) and name in call.data and not getattr(params, name)
    ]
    return Reply(warnings=warnings) if warnings else None


def _folder(path: str) -> str:
    return path if not path or path.endswith("/") else f"{path}/"


async def _names(view: ReadView, params: Listing) -> Sequence[str]:
    prefix = store.ROWS + _folder(params.path)
    names = await view.list(prefix, after=pages.begin(params), limit=pages.wanted(params))
    if not names:
        raise NotFound
    return names


async def _leaves(call: Call, params: ScanParams) -> tuple[Sequence[str], Mapping[str, str] | None]:
    folder = store.ROWS + _folder(params.path)
    if params.depth is None:
        return scan_order(await call.reader.scan(folder)), None
    after, limit = pages.begin(params), pages.wanted(params)
    return pages.cut(
        call, params, await opened(call.reader.scan, folder, params.depth, after=after, limit=limit)
    )


async def _detailed(
    view: ReadView, params: Listing, names: Sequence[str], headers: Mapping[str, str] | None
) -> Reply[DetailedKeys]:
    found: dict[str, MetadataResult | Mapping[str, str]] = {}
    turn, versions = TimeSlice(), 0
    for name in names:
        row = None if name.endswith("/") else await store.load(view, _folder(params.path) + name)
        if row is None:
            found[name] = {}
        else:
            found[name] = shown = await logic.metadata_result(row, store.versions(row), turn)
            versions += len(shown.versions)
        await turn.step()
    return Reply(DetailedKeys(found, names), headers=headers, long=len(names) + versions > _FEW)
