# SPDX-License-Identifier: EUPL-1.2
"""Whether the key slots still are what they were: each is tried with something fresh and with its stored canary."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from msgspec.structs import replace

from hsm.errors import HsmError, IntegrityError
from hsm.key_slot import KeySlot
from vault.seal.failure import SealFailure
from vault.seal.records import seal_store
from vault.seal.records.record import SHAMIR_SLOT, SealConfig
from vault.seal.records.slots import Slots, SlotView, check_canary
from vault.storage.protocol import Storage
from vault.values.times import Millis


class SlotHealth:
    """What was found when the slots were last tried."""

    def __init__(self, storage: Storage, slots: Slots, *, now: Callable[[], Millis]) -> None:
        """`now` gives milliseconds since the epoch."""
        self._storage = storage
        self._slots = slots
        self._now = now
        self._seen: dict[str, SlotView] = {}
        self._members: frozenset[str] = frozenset()
        self.left_to: Mapping[str, int] = {}
        """Slots that are no part of the vault, and how many wrapped values they alone hold still."""
        self.left_why = ""
        """What the log said of them last."""

    @property
    def seen(self) -> Mapping[str, SlotView]:
        """What was found, by the slot's name; empty before the first look."""
        return self._seen

    @property
    def lost(self) -> bool:
        """Whether enabled key slots hold the root key, and none of them works; others open nothing."""
        names = [slot.name for slot in self._slots.enabled if slot.name in self._members]
        views = [self._seen[name] for name in names if name in self._seen]
        return bool(views) and not any(view.up for view in views)

    @property
    def well(self) -> bool:
        """Whether every slot that was tried works."""
        return all(view.up for view in self._seen.values())

    async def look(self) -> Sequence[SlotView]:
        """Try every slot, all at once; return those that changed between working and not working.

        Raises `SealFailure` when the stored configuration is damaged.
        """
        await seal_store.read_config(self._storage.reader())
        found = await asyncio.gather(*(self._try(slot) for slot in self._slots))
        config = await seal_store.read_config(self._storage.reader())
        self._members = frozenset(config.wrapped if config is not None else ())
        changed = [
            view
            for view in found
            if (old := self._seen.get(view.name)) is None
            or (old.up, old.up and (old.software, old.remark))
            != (view.up, view.up and (view.software, view.remark))
        ]
        self._seen = {view.name: view for view in found}
        return changed

    async def shown(self) -> Sequence[SlotView]:
        """Return the slots of the vault in their order, then those that are configured and not part of it.

        Where there are no key slots, there is nothing to show.
        """
        config = await seal_store.read_config(self._storage.reader())
        if not any(True for _ in self._slots) and (config is None or not config.wrapped):
            return []
        stored = config.slots if config is not None else ()
        views = [self._view(config, name) for name in stored if config is not None]
        return [*views, *(self._absent(slot) for slot in self._slots if slot.name not in stored)]

    async def _try(self, slot: KeySlot) -> SlotView:
        state = await slot.probe()
        view = SlotView(
            name=slot.name,
            kind=slot.kind,
            up=state.up,
            key_version=state.key_version,
            key_bits=state.key_bits,
            software=state.software,
            reason=state.reason,
            remark=state.remark and f"objects that do not count have the name of its key: {state.remark}",
            description=state.description,
            checked=self._now(),
        )
        config: SealConfig | None = None
        while state.up:
            reader = self._storage.reader()
            before, config = config, await seal_store.read_config(reader)
            if config is None or slot.name not in config.slots:
                break
            try:
                record = await seal_store.wrapped_slot(reader, config, slot.name)
                entry = config.entry(slot.name)
                revision = entry.revision
                await check_canary(slot, record, generation=config.generation, revision=revision)
                if slot.kind == "pkcs11" and entry.key_version != state.key_version:
                    view.remark = "; ".join(
                        filter(
                            None,
                            (_other_version(slot.name, entry.key_version, state.key_version), view.remark),
                        )
                    )
                break
            except (HsmError, SealFailure) as failure:
                if config != before:
                    continue  # its record may have been written anew meanwhile: only what stays wrong is wrong
                view.up, view.reason = False, str(failure)
                view.refused = isinstance(failure, IntegrityError)
                break
        return view

    def _view(self, config: SealConfig, name: str) -> SlotView:
        entry = config.entry(name)
        behind = config.root_version - entry.root_version
        if entry.kind == SHAMIR_SLOT:
            return SlotView(name, entry.kind, behind=behind, stored=True)
        slot = self._slots.get(name)
        if slot is None:
            reason = "no seal stanza has this name"
            found = SlotView(name, entry.kind, up=False, reason=reason)
        else:
            found = self._absent(slot)
        found.key_version, found.behind, found.stored = entry.key_version, behind, True
        return found

    def _absent(self, slot: KeySlot) -> SlotView:
        """Return a copy of what was found of a configured slot."""
        seen = self._seen.get(slot.name)
        if seen is None:
            return SlotView(slot.name, slot.kind, up=False, reason="not tried yet")
        return replace(seen)


def _other_version(name: str, recorded: str, found: str) -> str:
    return (
        f"its token has version {found} of its key, and all stays under {recorded} until somebody orders otherwise: "
        f"vaultctl operator seal-slots rewrap {name}"
    )
