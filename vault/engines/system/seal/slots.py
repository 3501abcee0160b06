# SPDX-License-Identifier: EUPL-1.2
"""`sys/seal-slots`: the key slots of this vault: add, try, renew, order and remove them while it is open."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Annotated, Final

import msgspec
from msgspec.structs import replace

from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.engines.system.seal.errors import confirm_facts, with_seal_errors
from vault.engines.system.seal.seal import LEFT
from vault.framework.call import Call
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, VaultError
from vault.framework.fields import Doc
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, list_, read, write
from vault.framework.telemetry.log import Log
from vault.seal.changes import dry_run
from vault.seal.failure import SealFailure
from vault.seal.health import SlotHealth
from vault.seal.lifecycle import Lifecycle
from vault.seal.records import seal_store
from vault.seal.records.record import SHAMIR_SLOT, SealConfig
from vault.seal.records.sealwrap import LostValues, SealWrap, deleted, lost_phrase
from vault.seal.records.slots import SlotView
from vault.storage.protocol import ReadTx, StorageFailure

NOBODY: Final = (
    "nobody holds shares of this vault any more: make recovery keys with sys/rotate/recovery/init, or it is lost "
    "with its last token"
)
OUTSTANDING: Final = (
    "slot {0} is part of the vault, and was not given everything yet: {1}; it gets the rest once it is seen to work, "
    "or by sys/seal-slots/{0}/rewrap"
)
WITHHELD: Final = "the recovery key stays as it is, since {0}; while there is a slot for shares, sys/rotate/recovery makes another"
_UNREAD: Final = "what is stored cannot be read or written now"
_NAME = Doc("Name of the slot, as its seal stanza has it.")


class SlotName(Params, frozen=True):
    """Which slot."""

    name: Annotated[str, _NAME]


class SlotChange(SlotName, frozen=True):
    """A change of a slot, or a dry run of it."""

    dry_run: Annotated[
        bool, Doc("Change nothing: refuse what would be refused, and show what is.", clear=True)
    ] = False


class SlotRemoval(SlotChange, frozen=True):
    """A slot to be removed."""

    abandon: Annotated[
        bool,
        Doc(
            "Delete wrapped values that no slot opens any more, this one included, rather than refuse.",
            clear=True,
        ),
    ] = False


class SlotInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One slot."""

    type: str
    stored: bool
    """Whether it is part of the vault, and not only of the configuration."""
    priority: int
    """Its position in the order in which slots are tried, from 1; 0 where it is not part of the vault."""
    up: bool
    reason: str
    remark: str
    """A remark for operators although the slot works: ignored objects with the name of its key, or a version of its key
    that nobody ordered."""
    key_version: str
    key_fingerprint: str
    """The key check value of the wrapping key; empty where it is unknown."""
    key_imported: bool
    """Whether that key was imported into its token."""
    behind: int
    software: bool
    description: str
    added: int
    """When its record was made, in milliseconds since the epoch; 0 at initialisation."""
    references: Mapping[str, int]
    """How many stored values are under each version of its key; a version without any can be retired."""
    stuck: int
    """How many wrapped values no other working slot holds: they wait for this slot, or for its removal."""


class SlotList(msgspec.Struct, frozen=True):
    """Every slot of the vault and of the configuration."""

    keys: list[str]
    key_info: dict[str, SlotInfo]
    root_version: int
    """The generation of the root key."""


class Verification(msgspec.Struct, frozen=True):
    """The slot unwrapped its canary and the root key in use. `verified` is false where that was not tried."""

    name: str
    verified: bool
    key_version: str


class RewrapState(msgspec.Struct, frozen=True):
    """How many values are under older versions of the slot's key."""

    name: str
    key_version: str
    """The version that the slot's own record is under."""
    root_current: bool
    """Whether the slot holds the newest root key."""
    references: Mapping[str, int]
    outstanding: int
    """How many values are under other versions, or not under this slot's key at all."""


class SealSlotEngine(Engine):
    """Key slots. Everything here needs sudo, because slots decide who can open the vault."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        health: SlotHealth,
        wraps: SealWrap,
        log: Log,
        reader: Callable[[], ReadTx],
        gather: Callable[[], Awaitable[None]],
    ) -> None:
        """`reader` returns a reader of committed storage; `gather` wraps values that were stored without slots."""
        self._lifecycle = lifecycle
        self._health = health
        self._wraps = wraps
        self._log = log
        self._reader = reader
        self._gather = gather

    @list_("seal-slots", sudo=True, event="seal.slot.list")
    async def list_slots(self, call: Call) -> Reply[SlotList]:
        """List the slots with their states. Warns of removed slots that still hold wrapped values."""
        return await self.read_slots(call)

    @read("seal-slots", sudo=True, event="seal.slot.list")
    async def read_slots(self, call: Call) -> Reply[SlotList]:
        """List the slots with their states. Warns of removed slots that still hold wrapped values."""
        del call
        left = [LEFT.format(*one) for one in sorted(self._health.left_to.items())]
        return Reply(await self._list(), warnings=left)

    @read("seal-slots/{name}", sudo=True, event="seal.slot.read")
    async def read_slot(self, call: Call, params: SlotName) -> SlotInfo:
        """Show one slot."""
        del call
        found = (await self._list()).key_info.get(params.name)
        if found is None:
            raise NotFound
        return found

    @write("seal-slots/{name}", sudo=True, writes=False, event="seal.slot.enable")
    async def add(self, call: Call, params: SlotChange) -> Reply[SlotInfo]:
        """Make a configured slot part of the vault.

        A key slot wraps the root key, and must unwrap it again before it counts. The slot for shares opens with the
        existing recovery shares. Warns of wrapped values that no slot can unwrap: the new slot gets all others. Warns
        also where it was added but could not get everything now.
        """
        await confirm_facts(call)
        changes = self._lifecycle.slot_changes
        if params.name == self._lifecycle.slots.shamir:
            config = await with_seal_errors(dry_run.add_shamir(changes))
        else:
            config = await with_seal_errors(dry_run.add(changes, params.name))
        reply: Reply[SlotInfo] = Reply()
        change = partial(self._add, reply)
        reply.data = await self._change(call, params, config, change, "a slot was added")
        _, withheld = await self._recovery_withheld()
        reply.warnings = [*_warned(await self._wraps.lost()), *withheld]
        return reply

    async def _add(self, reply: Reply[SlotInfo], name: str) -> None:
        """Add slot `name`. After that a failure is a warning in `reply`: the slot watch repeats the work later."""
        if name == self._lifecycle.slots.shamir:
            await self._lifecycle.slot_changes.add_shamir()
            return
        await self._wraps.forget(name)  # the values of another token of that name
        await self._lifecycle.slot_changes.add(name)
        try:
            await with_seal_errors(self._give(name))
        except (VaultError, BarrierFailure, BarrierSealed, StorageFailure) as failure:
            reason = str(failure) if isinstance(failure, VaultError) else _UNREAD
            reply.warnings.append(OUTSTANDING.format(name, reason))
            self._log.caution("seal", "a slot was added and is still behind", slot=name, reason=reason)

    async def _give(self, name: str) -> None:
        """Wrap every value that some slot can unwrap for slot `name`, and return the others."""
        _, lost = await self._wraps.rewrap(name)
        if lost:
            self._log.caution("seal", lost_phrase(lost), slot=name)
        await self._gather()

    @delete("seal-slots/{name}", sudo=True, writes=False, event="seal.slot.remove")
    async def remove(self, call: Call, params: SlotRemoval) -> Reply[None] | None:
        """Take a slot from the vault. The last one that works is refused.

        Values that it alone holds are wrapped for the others first; refused where none can take them. Warns when no
        shares are left.
        """
        await confirm_facts(call)
        changes = self._lifecycle.slot_changes
        config, lost = await with_seal_errors(dry_run.remove(changes, params.name, abandon=params.abandon))
        self._after(call, params, partial(changes.remove, abandon=params.abandon), "a slot was removed")
        warnings = [*([NOBODY] if nobody_holds(config) else []), *deleted(lost)]
        return Reply(warnings=warnings) if warnings else None

    @write("seal-slots/{name}/verify", sudo=True, writes=False, event="seal.slot.verify")
    async def verify(self, call: Call, params: SlotChange) -> Verification:
        """Open the slot's canary and its root key, and compare that with the one in use."""
        await confirm_facts(call)
        # A dry run asks the same: it changes nothing.
        version = await with_seal_errors(self._lifecycle.slot_changes.verify(params.name))
        return Verification(params.name, verified=not params.dry_run, key_version=version)

    @write("seal-slots/{name}/promote", sudo=True, writes=False, event="seal.slot.promote")
    async def promote(self, call: Call, params: SlotChange) -> SlotInfo:
        """Try this slot before all others from now on."""
        return await self._move(call, params, "a slot is tried first now", first=True)

    @write("seal-slots/{name}/demote", sudo=True, writes=False, event="seal.slot.demote")
    async def demote(self, call: Call, params: SlotChange) -> SlotInfo:
        """Try this slot after all others from now on."""
        return await self._move(call, params, "a slot is tried last now", first=False)

    async def _move(self, call: Call, params: SlotChange, done: str, *, first: bool) -> SlotInfo:
        await confirm_facts(call)
        changes = self._lifecycle.slot_changes
        config = await with_seal_errors(dry_run.move(changes, params.name, first=first))
        return await self._change(call, params, config, partial(changes.move, first=first), done)

    @write("seal-slots/{name}/rewrap", sudo=True, writes=False, event="seal.slot.rewrap")
    async def rewrap(self, call: Call, params: SlotChange) -> Reply[RewrapState]:
        """Rewrap everything that this slot holds under the newest version of its key: only this slot is asked.

        This is how a key in a token is rotated: make its next version, rewrap, and retire the old one once no value is
        under it.
        """
        await confirm_facts(call)
        config = await self._config()
        if params.name not in config.slots:
            raise Malformed(
                f"there is no seal slot {quote(params.name)}; there are: {', '.join(map(quote, sorted(config.slots)))}"
            )
        if config.entry(params.name).kind == SHAMIR_SLOT:
            raise Malformed(f"slot {quote(params.name)} has shares for a key; sys/rotate renews them")
        after = await with_seal_errors(dry_run.renew(self._lifecycle.slot_changes, params.name))
        self._after(call, params, self._rewrap, "a slot was rewrapped")
        lost = await self._wraps.lost()
        holders, withheld = await self._recovery_withheld()
        warnings = [*_warned(lost), *withheld]
        if params.dry_run:
            return Reply(await self._rewrap_state(params.name), warnings=warnings)
        held = (await self._references(config)).get(params.name, {})
        version = after.entry(params.name).key_version
        lacking = await self._wraps.lacking(params.name)
        out = len(lost) + (params.name in holders)
        kept = sum(held.values()) + lacking - out
        state = RewrapState(
            params.name, version, root_current=True, references={version: kept}, outstanding=out
        )
        return Reply(state, warnings=warnings)

    async def _recovery_withheld(self) -> tuple[Collection[str], list[str]]:
        """Return the slots of a recovery key that none of them can unwrap, with a warning; nothing where one can."""
        config, reader = await self._config(), self._reader()
        if config.recovery is None:
            return (), []
        try:
            await seal_store.unwrap_recovery(reader, config, self._lifecycle.slots)
        except SealFailure as failure:
            held = await seal_store.recovery_record(reader, config)
            return held.wrapped, [WITHHELD.format(failure)]
        return (), []

    async def _rewrap(self, name: str) -> None:
        await self._lifecycle.slot_changes.renew(name)
        await self._give(name)

    async def _change(
        self,
        call: Call,
        params: SlotChange,
        config: SealConfig,
        change: Callable[[str], Awaitable[object]],
        done: str,
    ) -> SlotInfo:
        """Change a slot once the answer is recorded; return its state in `config` after that, or the present one."""
        self._after(call, params, change, done)
        views = {view.name: view for view in await self._views(config)}
        stored = await self._config()
        references = (await self._references(stored)).get(params.name, {})
        stuck = await self._stuck()
        if params.dry_run:
            return _info(views[params.name], stored, references, stuck)
        entry = config.entry(params.name)
        view = replace(views[params.name], key_version=entry.key_version)
        if params.name not in stored.slots:
            view = replace(view, up=True, reason="")  # it was just tried
        return _info(view, config, references, stuck)

    def _after(
        self, call: Call, params: SlotChange, change: Callable[[str], Awaitable[object]], done: str
    ) -> None:
        """Make a change once its answer is recorded, so that no change is unrecorded. A dry run changes nothing."""

        async def make() -> None:
            await with_seal_errors(change(params.name))
            self._log.note("seal", done, slot=params.name)

        if not params.dry_run:
            call.after = make

    @read("seal-slots/{name}/rewrap", sudo=True, event="seal.slot.rewrap.status")
    async def read_rewrap(self, call: Call, params: SlotName) -> RewrapState:
        """Show how many values are under which version of the slot's key."""
        del call
        config = await self._config()
        if params.name not in config.wrapped:
            raise NotFound
        return await self._rewrap_state(params.name)

    async def _list(self) -> SlotList:
        config = await self._config()
        references = await self._references(config)
        views = await self._views(config)
        stuck = await self._stuck()
        shown = {view.name: _info(view, config, references.get(view.name, {}), stuck) for view in views}
        return SlotList(list(shown), shown, config.root_version)

    async def _stuck(self) -> Mapping[str, int]:
        seen = self._health.seen.values()
        return await self._wraps.stuck([view.name for view in seen if view.up]) if seen else {}

    async def _views(self, config: SealConfig) -> Sequence[SlotView]:
        """Return the state of the slots of `config`, and of those that are only configured."""
        shown = await self._health.shown()
        known = {view.name for view in shown}
        behind = {name: config.root_version - config.entry(name).root_version for name in config.slots}
        more = [SlotView(name, config.entry(name).kind, behind=behind[name]) for name in behind]
        return [*shown, *(view for view in more if view.name not in known)]

    async def _references(self, config: SealConfig) -> dict[str, dict[str, int]]:
        try:
            found = await seal_store.references(self._reader(), config)
        except SealFailure:
            return {}
        await self._wraps.count(found)
        return found

    async def _rewrap_state(self, name: str) -> RewrapState:
        config = await self._config()
        entry = config.entry(name)
        references = (await self._references(config)).get(name, {})
        other = sum(count for version, count in references.items() if version != entry.key_version)
        other += await self._wraps.lacking(name)
        return RewrapState(
            name, entry.key_version, entry.root_version == config.root_version, references, other
        )

    async def _config(self) -> SealConfig:
        config = await self._lifecycle.config()
        if config is None:
            raise Malformed("Vault is not initialized")
        return config


def nobody_holds(config: SealConfig) -> bool:
    """Whether a vault has no shares, so that it is lost together with its tokens."""
    return config.shamir is None and config.recovery is None


def _warned(lost: LostValues) -> list[str]:
    return [lost_phrase(lost)] if lost else []


def _info(
    view: SlotView, config: SealConfig, references: Mapping[str, int], stuck: Mapping[str, int]
) -> SlotInfo:
    stored = view.name in config.slots
    return SlotInfo(
        type=view.kind,
        stored=stored,
        priority=config.slots.index(view.name) + 1 if stored else 0,
        up=view.up,
        reason=view.reason,
        remark=view.remark,
        key_version=view.key_version,
        key_fingerprint=config.entry(view.name).key_fingerprint if stored else "",
        key_imported=stored and config.entry(view.name).key_imported,
        behind=view.behind,
        software=view.software,
        description=view.description,
        added=config.entry(view.name).added if stored else 0,
        references=references,
        stuck=stuck.get(view.name, 0),
    )
