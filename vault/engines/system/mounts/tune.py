# SPDX-License-Identifier: EUPL-1.2
"""`sys/mounts/…/tune` and `sys/auth/…/tune`: changing a mount in place, KV's upgrade included."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Final

import msgspec

from vault.barrier.view import View
from vault.engines.system.mounts import rules
from vault.engines.system.mounts.mounts import MountPath
from vault.engines.system.mounts.view import TuneRow, show_tuned
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import CommaList, Doc, Map, Mismatch, Pairs, parse_duration
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.mount.entry import SYSTEM_MAX_TTL, LockoutConfig, MountConfig, MountEntry
from vault.mount.router import Router
from vault.values.times import Nanos, Seconds

Upgrade = Callable[[View, Nanos], Awaitable[int]]
"""Turns a mount's data of version 1 into version 2, in the open transaction; returns how many secrets there were."""

_FIXED: Final = ("sys/", "cubbyhole/", "identity/")
"""Mounts of which little can be tuned."""
_LISTS: Final = (
    "audit_non_hmac_request_keys",
    "audit_non_hmac_response_keys",
    "passthrough_request_headers",
    "allowed_response_headers",
)
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,18}")


class TuneParams(Params, frozen=True):
    """What to change; what is not given stays."""

    path: Annotated[str, Doc("Where the mount is.")]
    default_lease_ttl: Annotated[
        str | None, Doc("Default TTL as 3600 or 1h; system for the server's.", clear=True)
    ] = None
    max_lease_ttl: Annotated[
        str | None, Doc("Longest TTL as 3600 or 1h; system for the server's.", clear=True)
    ] = None
    description: Annotated[str | None, Doc("A description for people.")] = None
    audit_non_hmac_request_keys: Annotated[
        CommaList | None, Doc("Request fields that the audit log shows in the clear.", clear=True)
    ] = None
    audit_non_hmac_response_keys: Annotated[
        CommaList | None, Doc("Response fields that the audit log shows in the clear.", clear=True)
    ] = None
    listing_visibility: Annotated[
        str | None, Doc("unauth shows the mount to everybody; hidden or empty.", clear=True)
    ] = None
    passthrough_request_headers: Annotated[
        CommaList | None, Doc("Request headers that are passed to the engine.", clear=True)
    ] = None
    allowed_response_headers: Annotated[
        CommaList | None, Doc("Response headers that the engine may set.", clear=True)
    ] = None
    token_type: Annotated[
        str | None, Doc("Type of tokens that an auth method issues: service, batch, default-…", clear=True)
    ] = None
    user_lockout_config: Annotated[
        Map | None, Doc("Lockout after failed logins, of auth methods with users.")
    ] = None
    plugin_version: Annotated[str | None, Doc("Only the built-in version exists.", clear=True)] = None
    options: Annotated[Pairs | None, Doc("Options to merge; an empty value removes one.")] = None


class TuningEngine(Engine):
    """Tuning of secrets engines and auth methods."""

    def __init__(
        self,
        router: Router,
        clock: Clock,
        upgrade: Upgrade,
        *,
        default_ttl: Seconds = SYSTEM_MAX_TTL,
        max_ttl: Seconds = SYSTEM_MAX_TTL,
    ) -> None:
        """`upgrade` is KV's; the TTLs are the server's, in seconds."""
        self._router = router
        self._clock = clock
        self._upgrade = upgrade
        self._default_ttl = default_ttl
        self._max_ttl = max_ttl

    @read("mounts/{path:path}/tune", event="mount.read")
    async def read_tune(self, call: Call, params: MountPath) -> Reply[TuneRow]:
        """Show how a mount is tuned."""
        return self._show(call, rules.directory(params.path))

    @read("auth/{path:path}/tune", sudo=True, event="mount.read")
    async def read_auth_tune(self, call: Call, params: MountPath) -> Reply[TuneRow]:
        """Show how an auth method is tuned. Needs sudo."""
        return self._show(call, "auth/" + rules.directory(params.path))

    @write("mounts/{path:path}/tune", event="mount.tune")
    async def tune(self, call: Call, params: TuneParams) -> Reply[None] | None:
        """Change a mount; what is not given stays."""
        return await self._tune(call, rules.directory(params.path), params)

    @write("auth/{path:path}/tune", sudo=True, event="mount.tune")
    async def tune_auth(self, call: Call, params: TuneParams) -> Reply[None] | None:
        """Change an auth method; what is not given stays. Needs sudo."""
        return await self._tune(call, "auth/" + rules.directory(params.path), params)

    def _show(self, call: Call, path: str) -> Reply[TuneRow]:
        mount = self._router.of(call.namespace).find(path)
        if mount is None:
            raise Malformed(f'cannot fetch sysview for path "{quote(path)}"')
        row = show_tuned(mount.entry, default_ttl=self._default_ttl, max_ttl=self._max_ttl)
        return Reply(data=row, embed=True)

    async def _tune(self, call: Call, path: str, params: TuneParams) -> Reply[None] | None:
        if path in _FIXED:
            _refuse_fixed(path, [name for name in call.data if name in params.__struct_fields__])
        mount = self._router.of(call.namespace).find(path)
        if mount is None:
            raise Malformed(f'tune of path "{quote(path)}" failed: no mount entry found')
        old = mount.entry
        _refuse_unfit(old, params)
        options = _options(old, params.options)
        new = msgspec.structs.replace(
            old,
            description=old.description if params.description is None else params.description,
            config=_config(old, params),
            options=old.options if options is None else options,
        )
        if new == old:
            return None
        if new.config != old.config:
            rules.check_terms(new.kind, new.config)
        reply: Reply[None] | None = None
        if new.kind == "kv" and _version(old.options) != _version(new.options):
            if _version(new.options) == "2":
                await self._upgrade(call.core.sub(old.prefix), self._clock.nanos())
            reply = Reply(warnings=[_upgrading(old)])
        await self._router.of(call.namespace).put(call.core, new)
        return reply


def _upgrading(old: MountEntry) -> str:
    """Return the warning in OpenBao's words, whose second number is always 0."""
    return (
        f"Upgrading mount from version {_version(old.options) or 0} to version 0. This mount will be "
        "unavailable for a brief period and will resume service shortly."
    )


def _version(options: Mapping[str, str] | None) -> str:
    return (options or {}).get("version", "")


def _refuse_fixed(path: str, given: list[str]) -> None:
    for name in given:
        if not name.startswith("audit_non_hmac_"):
            raise Malformed(f"cannot tune parameter {name} of {quote(path)}")


def _refuse_unfit(entry: MountEntry, params: TuneParams) -> None:
    """Refuse settings that this kind of mount does not have."""
    if params.token_type is not None:
        if not entry.is_auth:
            raise Malformed("'token_type' can only be modified on auth mounts")
        if entry.kind in {"token", "ns_token"}:
            raise Malformed("'token_type' cannot be set for 'token' or 'ns_token' auth mounts")
    if params.user_lockout_config is not None and entry.kind not in rules.LOCKABLE:
        raise Malformed(
            f'tuning of user lockout configuration for auth type "{quote(entry.kind)}" not allowed'
        )
    if params.plugin_version:
        raise Malformed(f"plugin_version: plugin not found in the catalog: {quote(entry.kind)}")


def _config(entry: MountEntry, params: TuneParams) -> MountConfig:
    old = entry.config
    default = _ttl("default_lease_ttl", params.default_lease_ttl, old.default_lease_ttl)
    most = _ttl("max_lease_ttl", params.max_lease_ttl, old.max_lease_ttl)
    changed = (default, most) != (old.default_lease_ttl, old.max_lease_ttl)
    if changed and most and default > most:
        raise Malformed(
            f"backend max lease TTL of {most} would be less than backend default lease TTL of {default}"
        )
    given = {name: getattr(params, name) for name in _LISTS}
    if params.listing_visibility is not None:
        given["listing_visibility"] = rules.check_visibility(params.listing_visibility)
    if params.token_type is not None:
        given["token_type"] = rules.check_token_type(params.token_type)
    if params.user_lockout_config:
        given["user_lockout"] = rules.read_lockout(
            old.user_lockout or LockoutConfig(), params.user_lockout_config
        )
    return msgspec.structs.replace(
        old,
        default_lease_ttl=default,
        max_lease_ttl=most,
        **{name: value for name, value in given.items() if value is not None},
    )


def _ttl(name: str, text: str | None, old: Seconds) -> Seconds:
    if not text:
        return old
    if text == "system":
        return Seconds(0)
    try:
        return parse_duration(text)
    except Mismatch as mismatch:
        raise Malformed(f"{name}: {mismatch}") from None


def _options(entry: MountEntry, given: Mapping[str, str] | None) -> dict[str, str] | None:
    """Return the options after the change, None for unchanged. Raises `Malformed` for a wrong version."""
    if not given:
        return None
    if "version" in given:
        _check_version(entry, given["version"])
    merged = {name: value for name, value in {**(entry.options or {}), **given}.items() if value}
    rules.check_log_values(merged)
    return merged


def _check_version(entry: MountEntry, text: str) -> None:
    if entry.kind != "kv":
        what = "auth method" if entry.is_auth else "secrets engine"
        raise Malformed(f'{what} "{quote(entry.kind)}" does not allow setting a version')
    if text and not _INTEGER.fullmatch(text):
        raise Malformed("unable to parse options: strconv.ParseInt: invalid syntax")
    number = int(text or 0)
    if number not in {1, 2}:
        raise Malformed("invalid version provided: it is 1 or 2")
    if number == 1 and _version(entry.options) == "2":
        raise Malformed("cannot downgrade mount from version 2")
