# SPDX-License-Identifier: EUPL-1.2
"""`sys/rotate` and `sys/key-status`: the keys that encrypt storage, and when they are replaced."""

from __future__ import annotations

from typing import Annotated

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.keyring import InvalidRotation, RotationConfig
from vault.barrier.ring import Ring
from vault.framework.call import ROOT, Call
from vault.framework.clock import rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, Duration
from vault.framework.reply import Reply
from vault.framework.route import Params, read, write
from vault.values.ids import ROOT_ID
from vault.values.times import Seconds, millis_to_nanos


class RotationParams(Params, frozen=True):
    """When keys are rotated automatically; what is not given stays."""

    enabled: Annotated[bool | None, Doc("Whether keys are rotated automatically.", clear=True)] = None
    interval: Annotated[Duration | None, Doc("How long a key stays active; 0 for no limit.", clear=True)] = (
        None
    )
    max_operations: Annotated[int | None, Doc("How many encryptions a key is used for.", clear=True)] = None


class RotationView(msgspec.Struct, frozen=True):
    """The rules of automatic rotation; `interval` is 0 or text such as 48h0m0s."""

    enabled: bool
    interval: Seconds | str
    max_operations: int


class KeyStatus(msgspec.Struct, frozen=True):
    """The key in use: how often it has encrypted, since when, and its number."""

    encryptions: int
    install_time: str
    term: int


class KeyringRotationEngine(Engine):
    """Rotation of the keys of storage, or of one namespace with its own. Entries under older keys stay readable."""

    def __init__(self, barrier: Barrier) -> None:
        self._barrier = barrier

    @write("rotate", sudo=True, event="seal.rotate.keyring")
    async def rotate(self, call: Call) -> None:
        """Encrypt with a new key from now on. Needs sudo."""
        await self._rotate(call)

    @write("rotate/keyring", sudo=True, event="seal.rotate.keyring")
    async def rotate_keyring(self, call: Call) -> None:
        """Encrypt with a new key from now on. Needs sudo."""
        await self._rotate(call)

    @read("rotate/config", event="seal.rotate.config.read")
    async def read_config(self, call: Call) -> RotationView:
        """Show when keys are rotated automatically."""
        return _show(self._keys(call).keyring.rotation)

    @read("rotate/keyring/config", event="seal.rotate.config.read")
    async def read_keyring_config(self, call: Call) -> RotationView:
        """Show when keys are rotated automatically."""
        return _show(self._keys(call).keyring.rotation)

    @write("rotate/config", event="seal.rotate.config.write")
    async def configure(self, call: Call, params: RotationParams) -> None:
        """Set when keys are rotated automatically."""
        await self._configure(call, params)

    @write("rotate/keyring/config", event="seal.rotate.config.write")
    async def configure_keyring(self, call: Call, params: RotationParams) -> None:
        """Set when keys are rotated automatically."""
        await self._configure(call, params)

    @read("key-status", event="seal.rotate.status")
    async def read_key_status(self, call: Call) -> Reply[KeyStatus]:
        """Show the key in use."""
        term = self._keys(call).keyring.active
        status = KeyStatus(term.encryptions, rfc3339(millis_to_nanos(term.install_time)), term.number)
        return Reply(data=status, embed=True)

    def _keys(self, call: Call) -> Barrier | Ring:
        """Return the keyring of the call's namespace. Raises `Malformed` where it has none of its own."""
        if call.namespace.id == ROOT.id:
            return self._barrier
        ring = self._barrier.ring(call.namespace.id)
        if ring is None or ring.namespace_id != call.namespace.id:
            raise Malformed("namespace is not sealable")
        return ring

    async def _rotate(self, call: Call) -> None:
        await self._keys(call).rotate_in(call.core.transaction)

    async def _configure(self, call: Call, params: RotationParams) -> None:
        old = self._keys(call).keyring.rotation
        rule = RotationConfig(
            enabled=old.enabled if params.enabled is None else params.enabled,
            interval=old.interval if params.interval is None else params.interval,
            max_operations=old.max_operations if params.max_operations is None else params.max_operations,
        )
        try:
            await self._keys(call).configure_in(call.core.transaction, rule)
        except InvalidRotation as refusal:
            raise Malformed(str(refusal)) from None


async def keep_count(barrier: Barrier) -> None:
    """Save how often keys were used, and rotate the active key when that is due. Runs in the background.

    Of several workers that find a rotation due, one rotates. Raises `BarrierSealed` while sealed.
    """
    for ring in barrier.rings():
        await ring.tend()
    await barrier.save_counts()
    if not barrier.due():
        return
    async with barrier.write(ROOT_ID, "ns/root/") as core:
        await barrier.rotate_due_in(core.transaction)
    await barrier.refresh()


def _show(rule: RotationConfig) -> RotationView:
    return RotationView(
        rule.enabled, _hours(rule.interval) if rule.interval else Seconds(0), rule.max_operations
    )


def _hours(seconds: Seconds) -> str:
    """Write a duration of an hour or more as Go does: 48h0m0s."""
    minutes, rest = divmod(seconds, 60)
    return f"{minutes // 60}h{minutes % 60}m{rest}s"
