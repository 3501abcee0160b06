# SPDX-License-Identifier: EUPL-1.2
"""`sys/quotas`: how many requests each client may make, of everything or of some part."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.framework.call import ROOT, Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.fields import Anything, Doc, Json, Span, StringList, go_type
from vault.framework.quote import quote
from vault.framework.route import Params, delete, list_, read, write
from vault.mount.router import Router
from vault.namespace.book import Namespaces
from vault.quota.book import Quotas
from vault.quota.model import Quota, QuotaSettings
from vault.token.authenticator import core_reader
from vault.values.ids import NamespaceId
from vault.values.times import Seconds

_FIELD: Final = 'Field validation failed: error converting input for field "rate": '
_NO_RATE: Final = "'rate' is invalid"
_MOST: Final = 1e15
"""A higher number of requests is no limit at all."""


class QuotaName(Params, frozen=True):
    """Which quota."""

    name: Annotated[str, Doc("Name of the quota.")]


class QuotaWrite(QuotaName, frozen=True):
    """A quota. What is not given is reset."""

    path: Annotated[
        str,
        Doc("A namespace, a mount or a path below one, maybe with a final `*`; empty for all.", clear=True),
    ] = ""
    rate: Annotated[Anything, Doc("Requests in one interval, more than 0.")] = 0
    interval: Annotated[Span, Doc("Length of the interval; 0 for one second.", clear=True)] = Seconds(0)
    block_interval: Annotated[Span, Doc("How long a client over the limit is refused.", clear=True)] = (
        Seconds(0)
    )
    role: Annotated[
        str, Doc("Only logins with this role; no auth method here takes part in that.", clear=True)
    ] = ""
    inheritable: Annotated[
        bool | None, Doc("Whether it applies to namespaces below too; yes for an empty path.", clear=True)
    ] = None
    type: Annotated[str, Doc("Accepted for compatibility, without effect.", clear=True)] = ""


class SettingsWrite(Params, frozen=True):
    """Settings of all quotas. What is not given is reset."""

    rate_limit_exempt_paths: Annotated[
        StringList, Doc("Prefixes of paths that are not counted.", clear=True)
    ] = ()
    enable_rate_limit_response_headers: Annotated[
        bool, Doc("Whether answers say how much is left.", clear=True)
    ] = False
    enable_rate_limit_audit_logging: Annotated[
        bool, Doc("Whether refusals reach the audit log.", clear=True)
    ] = False


class QuotaNames(msgspec.Struct, frozen=True):
    """The names of the quotas."""

    keys: list[str]


class QuotaView(msgspec.Struct, frozen=True, kw_only=True):
    """A quota, in seconds."""

    block_interval: Seconds
    inheritable: bool
    interval: Seconds
    name: str
    path: str
    rate: float
    role: str = ""
    type: str = "rate-limit"


class SettingsView(msgspec.Struct, frozen=True):
    """Settings of all quotas."""

    enable_rate_limit_audit_logging: bool
    enable_rate_limit_response_headers: bool
    rate_limit_exempt_paths: Sequence[str]


class QuotaEngine(Engine):
    """Rate limits. A quota whose mount or namespace is gone counts as deleted."""

    def __init__(self, quotas: Quotas, router: Router, namespaces: Namespaces, barrier: Barrier) -> None:
        self._quotas = quotas
        self._router = router
        self._namespaces = namespaces
        self._barrier = barrier

    @list_("quotas/rate-limit", event="config.quota.list")
    async def list_quotas(self, call: Call) -> QuotaNames:
        """List the names of the quotas."""
        quotas = await self._quotas.quotas(core_reader(self._barrier, ROOT))
        names = [name for name, quota in quotas.items() if not self._gone(quota)]
        if not names:
            raise NotFound
        return QuotaNames(names)

    @read("quotas/rate-limit/{name:name}", event="config.quota.read")
    async def read_quota(self, call: Call, params: QuotaName) -> QuotaView:
        """Read a quota."""
        quota = (await self._quotas.quotas(core_reader(self._barrier, ROOT))).get(params.name)
        path = None if quota is None else self._path(quota)
        if quota is None or path is None:
            raise NotFound
        return QuotaView(
            block_interval=quota.block,
            inheritable=quota.inheritable,
            interval=quota.interval,
            name=quota.name,
            path=path,
            rate=int(quota.rate) if quota.rate.is_integer() else quota.rate,
        )

    @write("quotas/rate-limit/{name:name}", event="config.quota.write")
    async def write_quota(self, call: Call, params: QuotaWrite) -> None:
        """Create or replace a quota. It holds from the next request on, and begins to count anew."""
        rate = _rate(params.rate)
        namespace, mount, suffix = self._subject(params)
        everywhere = not params.path.strip("/")
        quota = Quota(
            name=params.name,
            rate=rate,
            interval=params.interval or Seconds(1),
            block=params.block_interval,
            namespace=namespace,
            mount=mount,
            suffix=suffix,
            inheritable=everywhere if params.inheritable is None else params.inheritable,
        )
        for name, other in (await self._quotas.quotas(call.core)).items():
            if self._gone(other):
                await self._quotas.delete(call.core, name)
            elif other.subject == quota.subject and name != quota.name:
                raise Malformed(f'quota rule with similar properties exists under the name "{quote(name)}"')
        await self._quotas.put(call.core, quota)

    @delete("quotas/rate-limit/{name:name}", event="config.quota.delete")
    async def delete_quota(self, call: Call, params: QuotaName) -> None:
        """Delete a quota; nothing happens where there is none."""
        await self._quotas.delete(call.core, params.name)

    @read("quotas/config", event="config.quota.settings.read")
    async def read_settings(self, call: Call) -> SettingsView:
        """Show the settings of all quotas."""
        found = await self._quotas.read_settings(core_reader(self._barrier, ROOT))
        return SettingsView(found.audited, found.headers, found.exempt)

    @write("quotas/config", event="config.quota.settings.write")
    async def write_settings(self, call: Call, params: SettingsWrite) -> None:
        """Change the settings of all quotas."""
        settings = QuotaSettings(
            exempt=tuple(text.strip() for text in params.rate_limit_exempt_paths),
            headers=params.enable_rate_limit_response_headers,
            audited=params.enable_rate_limit_audit_logging,
        )
        await self._quotas.put_settings(call.core, settings)

    def _subject(self, params: QuotaWrite) -> tuple[NamespaceId, str, str]:
        """Return namespace, mount and the rest of a quota's path. Raises `Malformed`."""
        path = params.path.strip("/")
        full = f"{path}/" if path else ""
        namespace = self._namespaces.deepest(full)
        if full == namespace.path:
            self._refuse_role(params.role, full, suffix="", auth=False)
            return namespace.id, "", ""
        self._router.of(namespace)  # refuses for a damaged table, which says nothing of its mounts
        found = self._router.find(full)
        if found is None:
            raise Malformed(f'invalid mount path "{quote(full)}"')
        entry = found[0].entry
        mount = namespace.path + entry.path
        suffix = full[len(mount) :].rstrip("/")
        self._refuse_role(params.role, mount, suffix=suffix, auth=entry.is_auth)
        return namespace.id, entry.uuid, suffix

    def _refuse_role(self, role: str, mount: str, *, suffix: str, auth: bool) -> None:
        if not role:
            return
        if suffix:
            raise Malformed(
                "Quotas cannot contain both a path suffix and a role. If a role is provided, path must be a "
                "valid auth mount with a concept of roles"
            )
        if not auth:
            raise Malformed(
                f'Mount path "{quote(mount)}" is not a valid auth method and therefore unsuitable for use with '
                "role-based quotas"
            )
        raise Malformed(f'Mount path "{quote(mount)}" does not support use with role-based quotas')

    def _gone(self, quota: Quota) -> bool:
        """Whether mount or namespace of a quota are gone: not for being sealed or damaged, when nobody knows."""
        namespace = self._namespaces.live(quota.namespace)
        return namespace is None or (self._router.known(namespace) and self._path(quota) is None)

    def _path(self, quota: Quota) -> str | None:
        """Return the present path of a quota; None when its mount or namespace is gone."""
        namespace = self._namespaces.live(quota.namespace)
        if namespace is None:
            return None
        if not quota.mount:
            return namespace.path
        for mount in self._router.of(namespace):
            if mount.entry.uuid == quota.mount:
                return namespace.path + mount.entry.path + quota.suffix
        return None


def _rate(value: Json) -> float:
    """Return the number of requests. Raises `Malformed`."""
    if isinstance(value, dict | list):
        raise Malformed(f"{_FIELD}'' expected type 'float64', got unconvertible type '{go_type(value)}'")
    try:
        rate = float(value or 0)
    except ValueError:
        raise Malformed(
            f"{_FIELD}'' cannot parse value as 'float64': strconv.ParseFloat: invalid syntax"
        ) from None
    if not math.isfinite(rate) or rate <= 0:
        raise Malformed(_NO_RATE)
    return min(rate, _MOST)
