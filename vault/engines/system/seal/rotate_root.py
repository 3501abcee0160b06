# SPDX-License-Identifier: EUPL-1.2
"""`sys/rotate/root` and `sys/rotate/recovery`: a new root key, and new shares for people.

It works on the vault, or on the call's namespace where that has a seal of its own. New shares take these steps:
1. An operator begins, with the number of shares and the threshold.
2. Share holders give their old shares, as consent.
3. The last one is answered with the new shares; with PGP keys a backup of the encrypted shares may be kept.
4. With `require_verification` the new shares are given back first, and the old ones count until then.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Annotated, Final

import msgspec

from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure
from vault.barrier.stored import RecordKind
from vault.barrier.view import core_prefix
from vault.engines.system.seal.errors import confirm_facts, seal_errors, with_seal_errors
from vault.framework.call import ROOT, Call, Namespace
from vault.framework.clock import Clock
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.fields import Doc, StringList
from vault.framework.reply import Reply
from vault.framework.route import Params, delete, read, write
from vault.framework.telemetry.log import Log
from vault.namespace.consents import EveryConsent
from vault.namespace.seal import NamespaceSealing
from vault.seal.changes import dry_run, root_rotation
from vault.seal.consent.rekey import Rekey, RekeyProgress, RekeyRequest, RekeyShares, ShareKind
from vault.seal.failure import SealRefusal
from vault.seal.lifecycle import Lifecycle
from vault.seal.records.sealwrap import deleted
from vault.storage.protocol import StorageFailure

BACKUP_PATH: Final = "seal/backup/"
"""Prefix below a namespace's own data: shares encrypted to their holders, by kind."""

_NOTHING: Final = "no rotation configuration found"


class ShareRekeyParams(Params, frozen=True):
    """How the new key is split."""

    secret_shares: Annotated[int, Doc("Number of shares to split the new key into.", clear=True)] = 0
    secret_threshold: Annotated[int, Doc("Number of shares that are needed.", clear=True)] = 0
    pgp_keys: Annotated[
        StringList,
        Doc("PGP public keys, one per share, to encrypt the shares to."),
    ] = ()
    backup: Annotated[bool, Doc("Keep the encrypted shares, to be read again.", clear=True)] = False
    require_verification: Annotated[
        bool, Doc("Keep the old shares until enough of the new ones were given back.", clear=True)
    ] = False


class RootRotateParams(Params, frozen=True):
    """How the root key is replaced."""

    no_links: Annotated[
        bool,
        Doc(
            "After a compromise: drop slots that cannot get the new root key now (those that do not answer, and the one "
            "for shares), rather than let the old root key lead to the new. Each must be named in drop.",
            clear=True,
        ),
    ] = False
    drop: Annotated[
        StringList, Doc("With no_links: the slots to drop, whether they answer or not.", clear=True)
    ] = ()
    abandon: Annotated[
        bool,
        Doc(
            "With no_links: delete wrapped values that no slot opens any more, rather than refuse.",
            clear=True,
        ),
    ] = False
    dry_run: Annotated[
        bool, Doc("Change nothing: refuse what would be refused, and warn of what would be.", clear=True)
    ] = False


class ShareParams(Params, frozen=True):
    """One share."""

    key: Annotated[str, Doc("One share, in hexadecimal or base64.")] = ""
    nonce: Annotated[str, Doc("Nonce of the rotation.")] = ""


class ShareRekeyState(msgspec.Struct, frozen=True, kw_only=True):
    """The progress; members after `t` are there once it has begun."""

    started: bool
    t: int
    n: int
    required: int
    nonce: str | msgspec.UnsetType = msgspec.UNSET
    progress: int | msgspec.UnsetType = msgspec.UNSET
    verification_required: bool | msgspec.UnsetType = msgspec.UNSET
    verification_nonce: str | msgspec.UnsetType = msgspec.UNSET
    pgp_fingerprints: list[str] | msgspec.UnsetType = msgspec.UNSET
    backup: bool | msgspec.UnsetType = msgspec.UNSET


class NewShares(msgspec.Struct, frozen=True, kw_only=True):
    """The new shares, shown once."""

    complete: bool = True
    nonce: str | msgspec.UnsetType = msgspec.UNSET
    n: int | msgspec.UnsetType = msgspec.UNSET
    """Number of shares and threshold, in place of `nonce` where no consent was needed."""
    t: int | msgspec.UnsetType = msgspec.UNSET
    keys: list[str]
    keys_base64: list[str]
    pgp_fingerprints: list[str] | None
    backup: bool
    verification_required: bool
    verification_nonce: str


class VerificationState(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the new shares were given back."""

    started: bool
    nonce: str
    t: int
    n: int
    progress: int


class VerificationResult(msgspec.Struct, frozen=True):
    """Enough of the new shares were given back: they count."""

    complete: bool
    nonce: str


class Backup(msgspec.Struct, frozen=True):
    """Encrypted shares, by the fingerprint of their holder's key."""

    nonce: str
    keys: Mapping[str, list[str]]
    keys_base64: Mapping[str, list[str]]


_BACKUP: Final = RecordKind("backup of shares", Backup, json=True)


class RootRotationEngine(Engine):
    """Rotation of the root key, and of the shares that people hold."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        barrier: Barrier,
        consents: EveryConsent,
        sealing: NamespaceSealing,
        clock: Clock,
        log: Log,
    ) -> None:
        self._lifecycle = lifecycle
        self._barrier = barrier
        self._consents = consents
        self._sealing = sealing
        self._clock = clock
        self._log = log

    @write("rotate/root", sudo=True, writes=False, event="seal.rotate.root")
    async def rotate_root(self, call: Call, params: RootRotateParams) -> Reply[None] | None:
        """Replace the root key. Needs sudo.

        A slot that does not answer, and the one for shares, keeps a link from the old root key to the new one
        until it is renewed or its shares are given. With `no_links` it is dropped, and a warning says so.
        """
        await confirm_facts(call)
        if call.namespace.id == ROOT.id:
            return await self._rotate_root(call, params)
        try:
            self._consents.of(call.namespace)
        except SealRefusal as refusal:
            raise Malformed(f"failed to rotate barrier root key: {refusal}", chained=True) from None
        if params.no_links:
            raise Malformed(
                "no_links: a namespace has nothing but its shares; rotate them with rotate/root/init"
            )
        _check_alone(params)
        if not params.dry_run:
            call.after = partial(self._apply, partial(self._sealing.renew_root, call.namespace.id))
        return None

    async def _rotate_root(self, call: Call, params: RootRotateParams) -> Reply[None] | None:
        """Rotate the vault's root key once the answer is recorded. The answer names the slots that this drops."""
        _check_alone(params)
        changes, links = self._lifecycle.slot_changes, not params.no_links
        tried = dry_run.rotate_root(changes, links=links, drop=params.drop, abandon=params.abandon)
        dropped, lost = await with_seal_errors(tried)
        if not params.dry_run:
            rotation = partial(
                root_rotation.rotate_root,
                changes,
                links=links,
                drop=None if links else dropped,
                abandon=params.abandon,
            )
            call.after = partial(self._apply, rotation)
        verb = "would be" if params.dry_run else "is"
        warnings = [
            f"slot {name} {verb} dropped and opens the vault no more; sys/seal-slots/{name} adds it again"
            for name in dropped
        ]
        warnings += deleted(lost)
        return Reply(warnings=warnings) if warnings else None

    @read("rotate/root/init", event="seal.rekey.status")
    async def read_root(self, call: Call) -> ShareRekeyState:
        """Show whether new unseal shares are being made."""
        return await self._state("root", call.namespace)

    @write("rotate/root/init", writes=False, event="seal.rekey.start")
    async def begin_root(self, call: Call, params: ShareRekeyParams) -> ShareRekeyState | NewShares:
        """Begin to replace the root key and the unseal shares; it takes the consent of the share holders."""
        return await self.begin("root", call, params)

    @delete("rotate/root/init", writes=False, event="seal.rekey.cancel")
    async def cancel_root(self, call: Call) -> None:
        """Give it up."""
        self.cancel("root", call.namespace)

    @write("rotate/root/update", writes=False, event="seal.rekey.share")
    async def submit_root(self, call: Call, params: ShareParams) -> ShareRekeyState | NewShares:
        """Give one of the old shares, as consent; the last one is answered with the new shares."""
        return await self.submit("root", call, params)

    @read("rotate/root/verify", event="seal.rekey.status")
    async def read_root_verification(self, call: Call) -> VerificationState:
        """Show how many of the new shares were given back."""
        return self._verification("root", call.namespace)

    @write("rotate/root/verify", writes=False, event="seal.rekey.verify")
    async def verify_root(self, call: Call, params: ShareParams) -> VerificationState | VerificationResult:
        """Give back one of the new shares; with enough of them they count, and the old ones no longer do."""
        return await self.verify("root", call, params)

    @delete("rotate/root/verify", writes=False, event="seal.rekey.cancel")
    async def restart_root_verification(self, call: Call) -> VerificationState:
        """Begin to verify anew."""
        return await self._restart("root", call.namespace)

    @read("rekey/backup", event="seal.rekey.backup.read")
    @read("rotate/root/backup", event="seal.rekey.backup.read")
    async def read_root_backup(self, call: Call) -> Reply[Backup]:
        """Show the encrypted unseal shares that were kept."""
        return await self._backup("root", call)

    @delete("rekey/backup", event="seal.rekey.backup.delete")
    @delete("rotate/root/backup", event="seal.rekey.backup.delete")
    async def delete_root_backup(self, call: Call) -> None:
        """Forget the encrypted unseal shares."""
        await call.core.delete(BACKUP_PATH + "root")

    @read("rotate/recovery/init", event="seal.rekey.status")
    async def read_recovery(self, call: Call) -> ShareRekeyState:
        """Show whether new recovery shares are being made."""
        return await self._state("recovery", call.namespace)

    @write("rotate/recovery/init", writes=False, event="seal.rekey.start")
    async def begin_recovery(self, call: Call, params: ShareRekeyParams) -> ShareRekeyState | NewShares:
        """Begin to replace the recovery shares. Where there are none, they are made at once."""
        return await self.begin("recovery", call, params)

    @delete("rotate/recovery/init", writes=False, event="seal.rekey.cancel")
    async def cancel_recovery(self, call: Call) -> None:
        """Give it up."""
        self.cancel("recovery", call.namespace)

    @write("rotate/recovery/update", writes=False, event="seal.rekey.share")
    async def submit_recovery(self, call: Call, params: ShareParams) -> ShareRekeyState | NewShares:
        """Give one of the old recovery shares, as consent; the last one is answered with the new shares."""
        return await self.submit("recovery", call, params)

    @read("rotate/recovery/verify", event="seal.rekey.status")
    async def read_recovery_verification(self, call: Call) -> VerificationState:
        """Show how many of the new recovery shares were given back."""
        return self._verification("recovery", call.namespace)

    @write("rotate/recovery/verify", writes=False, event="seal.rekey.verify")
    async def verify_recovery(
        self, call: Call, params: ShareParams
    ) -> VerificationState | VerificationResult:
        """Give back one of the new recovery shares; with enough of them they count."""
        return await self.verify("recovery", call, params)

    @delete("rotate/recovery/verify", writes=False, event="seal.rekey.cancel")
    async def restart_recovery_verification(self, call: Call) -> VerificationState:
        """Begin to verify anew."""
        return await self._restart("recovery", call.namespace)

    @read("rekey/recovery-key-backup", event="seal.rekey.backup.read")
    @read("rotate/recovery/backup", event="seal.rekey.backup.read")
    async def read_recovery_backup(self, call: Call) -> Reply[Backup]:
        """Show the encrypted recovery shares that were kept."""
        return await self._backup("recovery", call)

    @delete("rekey/recovery-key-backup", event="seal.rekey.backup.delete")
    @delete("rotate/recovery/backup", event="seal.rekey.backup.delete")
    async def delete_recovery_backup(self, call: Call) -> None:
        """Forget the encrypted recovery shares."""
        await call.core.delete(BACKUP_PATH + "recovery")

    async def begin(
        self, kind: ShareKind, call: Call, params: ShareRekeyParams
    ) -> ShareRekeyState | NewShares:
        """Begin to make new shares of a kind. Raises `Malformed` or `Failed`."""
        # 1. Begin. Where no consent is needed the new shares are in this answer already.
        await confirm_facts(call)
        request = RekeyRequest(
            shares=params.secret_shares,
            threshold=params.secret_threshold,
            pgp_keys=params.pgp_keys,
            backup=params.backup,
            verify=params.require_verification,
        )
        done = await with_seal_errors(self._of(kind, call.namespace).begin(request, self._clock.millis()))
        shown = await self._answer(kind, call, done)
        if isinstance(shown, ShareRekeyState):
            return shown
        return msgspec.structs.replace(
            shown, nonce=msgspec.UNSET, n=params.secret_shares, t=params.secret_threshold
        )

    async def submit(self, kind: ShareKind, call: Call, params: ShareParams) -> ShareRekeyState | NewShares:
        """Take one of the old shares. Raises `Malformed` or `Failed`."""
        # 2. Take an old share, as consent.
        await confirm_facts(call)
        done = await with_seal_errors(self._of(kind, call.namespace).submit(params.key, params.nonce))
        return await self._answer(kind, call, done)

    async def verify(
        self, kind: ShareKind, call: Call, params: ShareParams
    ) -> VerificationState | VerificationResult:
        """Take one of the new shares back. Raises `Malformed` or `Failed`."""
        # 4. Take a new share back; with enough of them the new shares count.
        await confirm_facts(call)
        apply = await with_seal_errors(self._of(kind, call.namespace).give_back(params.key, params.nonce))
        if apply is not None:
            call.after = partial(self._apply, apply)
            return VerificationResult(complete=True, nonce=params.nonce)
        return self._verification(kind, call.namespace)

    def state(self, kind: ShareKind, namespace: Namespace = ROOT) -> RekeyProgress:
        """Return the progress of new shares of a kind. Raises `Malformed`."""
        return self._of(kind, namespace).state

    async def required(self, kind: ShareKind, namespace: Namespace = ROOT) -> int:
        """Return how many old shares it takes. Raises `Malformed` where there are no shares of the kind."""
        return await with_seal_errors(self._of(kind, namespace).required())

    async def recoverable(self) -> bool:
        """Whether there can be recovery shares: where a key slot opens the vault."""
        return await self._lifecycle.opens_itself()

    def cancel(self, kind: ShareKind, namespace: Namespace = ROOT) -> None:
        """Cancel new shares of a kind, where there can be any."""
        with contextlib.suppress(SealRefusal):
            self._consents.of(namespace).shares[kind].cancel()

    def restart(self, kind: ShareKind, namespace: Namespace = ROOT) -> None:
        """Begin to verify the new shares anew. Raises `Malformed`."""
        if not self._progress(kind, namespace).nonce:
            raise Malformed(_NOTHING)
        self._of(kind, namespace).restart_verification()

    def _progress(self, kind: ShareKind, namespace: Namespace) -> RekeyProgress:
        """Return the progress; where there can be no shares, it has not begun."""
        try:
            return self._consents.of(namespace).shares[kind].state
        except SealRefusal:
            return RekeyProgress()

    def _of(self, kind: ShareKind, namespace: Namespace) -> Rekey:
        with seal_errors():
            return self._consents.of(namespace).shares[kind]

    async def _restart(self, kind: ShareKind, namespace: Namespace) -> VerificationState:
        self.restart(kind, namespace)
        return self._verification(kind, namespace)

    @staticmethod
    async def _apply(change: Callable[[], Awaitable[object]]) -> None:
        await with_seal_errors(change())

    async def _settle(self, kind: ShareKind, namespace: Namespace, done: RekeyShares) -> None:
        """Apply new shares, then keep the backup of the encrypted ones, so that a backup never is of another key."""
        # 3. The new shares count once the answer that shows them is recorded.
        await with_seal_errors(done.apply())
        if not done.state.backup:
            return
        try:
            await self._keep(kind, namespace, done)
        except (StorageFailure, BarrierFailure):
            self._log.caution("seal", "new shares count, but their backup could not be kept")

    async def _answer(
        self, kind: ShareKind, call: Call, done: RekeyShares | None
    ) -> ShareRekeyState | NewShares:
        if done is None:
            return await self._state(kind, call.namespace)
        call.after = partial(self._settle, kind, call.namespace, done)
        state, shown = done.state, done.shown
        return NewShares(
            nonce=state.nonce,
            keys=list(shown.keys),
            keys_base64=list(shown.keys_base64),
            pgp_fingerprints=list(state.fingerprints) or None,
            backup=state.backup,
            verification_required=state.verify,
            verification_nonce=state.verification_nonce,
        )

    async def _state(self, kind: ShareKind, namespace: Namespace) -> ShareRekeyState:
        required = await self.required(kind, namespace)
        state = self.state(kind, namespace)
        if not state.nonce:
            return ShareRekeyState(started=False, t=0, n=0, required=required)
        return ShareRekeyState(
            started=True,
            t=state.threshold,
            n=state.shares,
            required=required,
            nonce=state.nonce,
            progress=len(state.given),
            verification_required=state.verify,
            verification_nonce=state.verification_nonce,
            pgp_fingerprints=list(state.fingerprints) or msgspec.UNSET,
            backup=True if state.fingerprints and state.backup else msgspec.UNSET,
        )

    def _verification(self, kind: ShareKind, namespace: Namespace) -> VerificationState:
        state = self._progress(kind, namespace)
        if not state.nonce:
            raise Malformed(_NOTHING)
        return VerificationState(
            started=state.made is not None,
            nonce=state.verification_nonce,
            t=state.threshold,
            n=state.shares,
            progress=len(state.returned),
        )

    async def _keep(self, kind: ShareKind, namespace: Namespace, done: RekeyShares) -> None:
        keys: dict[str, list[str]] = {}
        keys_base64: dict[str, list[str]] = {}
        shown = done.shown
        for fingerprint, key, text in zip(shown.pgp_fingerprints, shown.keys, shown.keys_base64, strict=True):
            keys.setdefault(fingerprint, []).append(key)
            keys_base64.setdefault(fingerprint, []).append(text)
        backup = Backup(done.state.nonce, keys, keys_base64)
        async with self._barrier.write(namespace.id, core_prefix(namespace.id)) as core:
            await core.put(BACKUP_PATH + kind, _BACKUP.encode(backup))

    async def _backup(self, kind: ShareKind, call: Call) -> Reply[Backup]:
        home = call.namespace.id
        data = await self._barrier.reader(home, core_prefix(home)).get(BACKUP_PATH + kind)
        if data is None:
            raise Malformed("no backed-up keys found")
        return Reply(data=_BACKUP.decode(data), embed=True)


def _check_alone(params: RootRotateParams) -> None:
    """Raise `Malformed` for options about dropped slots without `no_links`, since then no slot is dropped."""
    for name, given in (("drop", bool(params.drop)), ("abandon", params.abandon)):
        if given and not params.no_links:
            raise Malformed(
                f"{name}: without no_links no slot is dropped; set no_links as well, or leave out {name}"
            )
