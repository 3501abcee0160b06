# SPDX-License-Identifier: EUPL-1.2
"""All quotas, in memory while unsealed; storage holds the truth, in the root namespace."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View, core_prefix
from vault.framework.call import ROOT, Call, Namespace
from vault.framework.clock import Clock
from vault.framework.errors import Limited
from vault.framework.quote import quote
from vault.namespace.book import Namespaces
from vault.quota.model import (
    QUOTA,
    QUOTA_KIND,
    SETTINGS,
    Quota,
    QuotaSettings,
)
from vault.quota.tally import Tally
from vault.quota.windows import WindowResult, Windows
from vault.values.times import Millis

_RATE: Final = "quota/rate-limit/"
_SETTINGS: Final = "quota/config"
_EXCEPT: Final = "!"


class Exemptions:
    """Paths that are not counted: those that begin with one of the texts, where the longest that fits decides.

    A text that begins with `!` takes paths out again. A final `*` says nothing more, but alone it means all.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        self._beginnings = sorted(
            (
                (text.removeprefix(_EXCEPT).removesuffix("*"), not text.startswith(_EXCEPT))
                for text in texts
                if text
            ),
            key=lambda pair: -len(pair[0]),
        )

    def __contains__(self, path: str) -> bool:
        """Whether requests of this path, namespaces included, are not counted."""
        return next((exempt for beginning, exempt in self._beginnings if path.startswith(beginning)), False)


class Quotas:
    """Lets requests in, or not. A request counts against the one quota that is most specific."""

    def __init__(
        self,
        barrier: Barrier,
        namespaces: Namespaces,
        clock: Clock,
        tally: Tally | None = None,
        violated: Callable[[str], None] = lambda _name: None,
    ) -> None:
        """`tally` has what other workers count, where there are any. `violated` is told which quota refused."""
        self._violated = violated
        self._barrier = barrier
        self._namespaces = namespaces
        self._clock = clock
        self._tally = tally
        self._windows = Windows(tally=tally)
        self._serial = 0
        self._forget()

    def seal(self) -> None:
        """Forget everything at seal."""
        self._forget()
        self._windows.clear()

    def _forget(self) -> None:
        self._serials: dict[Quota, int] = {}
        self._by_mount: dict[str, list[Quota]] = {}
        self._by_namespace: dict[str, Quota] = {}
        self._settings = QuotaSettings()
        self._exempt = Exemptions(self._settings.exempt)

    async def drop(self, key: str | None) -> None:
        """Read all quotas again: `key` was written, or nobody knows which. Counts of all others go on."""
        if self._barrier.sealed:
            return
        core = self._barrier.reader(ROOT.id, core_prefix(ROOT.id))
        quotas, settings = await self.quotas(core), await self.read_settings(core)
        serials: dict[Quota, int] = {}
        by_mount: dict[str, list[Quota]] = {}
        by_namespace: dict[str, Quota] = {}
        for quota in quotas.values():
            serials[quota] = (quota.name != key and self._serials.get(quota)) or self._next(quota)
            if quota.mount:
                by_mount.setdefault(quota.mount, []).append(quota)
            else:
                by_namespace[quota.namespace] = quota
        for rules in by_mount.values():
            rules.sort(key=lambda quota: (not quota.suffix, quota.suffix.endswith("*"), -len(quota.suffix)))
        self._serials, self._by_mount, self._by_namespace = serials, by_mount, by_namespace
        self._settings, self._exempt = settings, Exemptions(settings.exempt)

    def _next(self, quota: Quota) -> int:
        """Return a number for a quota that was written: other than before, and the same in all workers."""
        if self._tally is not None:
            return hash((quota.name, self._tally.changes(quota.name))) or 1
        self._serial += 1
        return self._serial

    def _changes(self, name: str) -> None:
        if self._tally is not None:
            self._tally.change(name)

    def admit(self, call: Call) -> None:
        """Count a request, once namespace and mount are known and before the caller is. Raises `Limited`: not counted.

        One that was counted, and is asked about again because facts have changed, is counted by those of now alone.
        """
        call.admission = ()
        if call.counted is not None:
            self._windows.give_back(*call.counted)
            call.counted = None
        if not self._serials:
            return
        quota = self._deciding(call)
        if quota is None or call.namespace.path + call.path in self._exempt:
            return
        serial = self._serials[quota]
        window = self._windows.take(
            serial,
            call.client_address,
            most=quota.most,
            interval=quota.interval,
            block=quota.block,
            now=Millis(int(self._clock.monotonic() * 1000)),
        )
        if self._settings.headers:
            call.admission = _headers(quota, window)
        if not window.allowed:
            self._violated(quota.name)
            raise Limited(
                f'request path "{quote(call.path)}": rate limit quota exceeded',
                retry_after=window.retry,
                recorded=self._settings.audited,
            )
        call.counted = (serial, call.client_address)

    def _deciding(self, call: Call) -> Quota | None:
        """Return the most specific quota: of the path, of paths that begin so, of the mount, of the namespace."""
        local = call.local.removesuffix("/") if call.mount.uuid else ""
        for quota in self._by_mount.get(call.mount.uuid, ()):
            if quota.suffix.endswith("*"):
                if call.local.startswith(quota.suffix[:-1]):
                    return quota
            elif quota.suffix in ("", local):
                return quota
        return self._of_namespace(call.namespace)

    def _of_namespace(self, namespace: Namespace) -> Quota | None:
        """Return the quota of the namespace, or the nearest one above that holds in it."""
        found = self._by_namespace.get(namespace.id)
        path = namespace.path
        while found is None and path:
            path = path[: path.rstrip("/").rfind("/") + 1]
            above = self._namespaces.at(path)
            candidate = self._by_namespace.get(above.id if above is not None else ROOT.id)
            if candidate is not None and candidate.inheritable:
                found = candidate
        return found

    async def quotas(self, core: ReadView) -> Mapping[str, Quota]:
        """Return all quotas by name; `core` is a view of any namespace's own data."""
        root = core.space(ROOT.id)
        found = {}
        for name in await root.list(_RATE):
            value = await root.get(_RATE + name)
            if value is not None:
                found[name] = QUOTA.decode(value)
        return found

    async def read_settings(self, core: ReadView) -> QuotaSettings:
        """Return what holds for all quotas."""
        value = await core.space(ROOT.id).get(_SETTINGS)
        return QuotaSettings() if value is None else SETTINGS.decode(value)

    async def put(self, core: View, quota: Quota) -> None:
        """Store a quota, new or changed."""
        self._changes(quota.name)
        await core.space(ROOT.id).put(_RATE + quota.name, QUOTA.encode(quota))
        await core.invalidate(QUOTA_KIND, quota.name)

    async def delete(self, core: View, name: str) -> None:
        """Remove a quota; removing what is not there is no error."""
        self._changes(name)
        await core.space(ROOT.id).delete(_RATE + name)
        await core.invalidate(QUOTA_KIND, name)

    async def put_settings(self, core: View, settings: QuotaSettings) -> None:
        """Store what holds for all quotas."""
        await core.space(ROOT.id).put(_SETTINGS, SETTINGS.encode(settings))
        await core.invalidate(QUOTA_KIND, "")


def _headers(quota: Quota, window: WindowResult) -> Sequence[tuple[bytes, bytes]]:
    """Return what the answer says: how much is left, and to those that are refused, when to come again."""
    found = []
    if window.counted:
        found = [
            (b"x-ratelimit-limit", b"%d" % quota.most),
            (b"x-ratelimit-remaining", b"%d" % window.remaining),
            (b"x-ratelimit-reset", b"%d" % window.reset),
        ]
    if not window.allowed:
        found.append((b"retry-after", b"%d" % window.retry))
    return found
