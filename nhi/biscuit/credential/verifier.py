# SPDX-License-Identifier: EUPL-1.2
"""Verifies a Biscuit that was presented to a server: its signatures, then what storage says of it.

`judge` has the order. Nothing is cached here and nothing is written: see `nhi.biscuit.credential.authenticator`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from msgspec.structs import replace

from nhi.biscuit.credential.cache import BiscuitCache
from nhi.biscuit.credential.known_facts import KnownFacts
from nhi.biscuit.credential.presented_biscuit import fact_bytes
from nhi.biscuit.credential.verdict import Issue, Refusal, Signer, Verdict
from nhi.biscuit.format.chain import Chain
from nhi.biscuit.format.datalog import Block, Check
from nhi.biscuit.format.decode import CheckKey, read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import canonical_ids
from nhi.biscuit.offline.chain_content import Alike, ChainContent, KnownBlocks, RefusedBlock
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.offline.facts import AMBIENT
from nhi.biscuit.offline.verify import TokenLimits, VerifiedToken, from_text, read_token, verify
from nhi.biscuit.records import lineage, store
from nhi.biscuit.records.model import IssuedToken, KeyState, MountRef
from vault.barrier.view import ReadView
from vault.cache.follow import BoundedCache
from vault.framework.call import Namespace
from vault.framework.telemetry.log import Log
from vault.values.ids import NamespaceId, TokenId
from vault.values.times import Millis

Live = Callable[[NamespaceId], Namespace | None]
Mounted = Callable[[Namespace, str], bool]
_READ_BYTES: Final = 16 * 1024 * 1024
"""The most memory, by estimate, for what blocks say."""
_ALIKE_BYTES: Final = 8 * 1024 * 1024
"""The same for what those have in common that have the same checks in the same place."""
_CHECKS: Final = 1024
"""Checks that are remembered, each with the texts that its token names: 8 KB at most."""


class BiscuitVerifier:
    """Says of a token whether it is good now, and why not."""

    def __init__(
        self, live: Live, mounted: Mounted, has_login: Mounted, log: Log, limits: TokenLimits
    ) -> None:
        """See `BiscuitAuthenticator` for what they are."""
        self._live = live
        self._mounted = mounted
        self._has_login = has_login
        self._log = log
        self._limits = limits
        self._contents: BiscuitCache[ChainContent] = BiscuitCache(_READ_BYTES)
        self._checks: BoundedCache[CheckKey, tuple[Check, int]] = BoundedCache(_CHECKS)
        self._alikes: BiscuitCache[Alike] = BiscuitCache(_ALIKE_BYTES)
        self._known_blocks = KnownBlocks(self._contents, self._checks, self._alikes)
        """What blocks say that several chains may have: they are read once, and verified for each chain."""

    def forget(self) -> None:
        """Forget what was read of blocks."""
        self._contents.drop(None)
        self._checks.drop(None)
        self._alikes.drop(None)

    async def judge(
        self, core: ReadView, token: str, now: Millis, known: KnownFacts | None = None
    ) -> Verdict | None:
        """Return what a token is and why it is not good at `now` (ms); None where no key here can have signed it.

        Raises `BiscuitError` for what is none of our tokens, whatever may change. `core` is any view of a namespace's data.
        What is `known` of the first block is not looked up; a transaction sees what it sees, so there it is left out.

        The order is that of what it costs to find out:

        1. The text is a token of our form, within limits.
        2. Its key number leads to a mount that is still there, and to a key.
        3. The signatures hold, and its blocks are not too dear to evaluate.
        4. There is a record that it was issued here, and it has not ended.
        5. Its blocks are taken, its workload, mounts and key are good.
        6. No block of it was revoked, and it has no more blocks than it may.

        The checks are asked by the pipeline, for each request.
        """
        # 1. The form.
        raw = from_text(token, self._limits.size)
        chain = read_token(raw, self._limits)
        # 2. The key number.
        signer = await self._find_signer(core, chain, known)
        if signer is None:
            return None
        # 3. The signatures, and what the blocks would cost.
        verdict = self._verify(raw, chain, signer, now)
        # 4 to 6. What storage says of it.
        checked = await self._check_records(core, verdict, signer, known)
        if known is None or known.current(core.epoch):
            return checked
        # Something changed that is known here otherwise: it is looked up after all.
        signer = await self._find_signer(core, chain, None)
        return None if signer is None else await self._check_records(core, verdict, signer, None)

    async def _find_signer(self, core: ReadView, chain: Chain, known: KnownFacts | None) -> Signer | None:
        """Return the key that must have signed a token; None where there is none, or not for tokens yet.

        Nothing of the token is believed yet: its key number only says where to look.
        """
        number = chain.root_key_id
        found = known.signer(number) if known is not None and number is not None else None
        if found is not None and self._live(found.namespace.id) is found.namespace:
            return found if self._mounted(found.namespace, found.owner.mount) else None
        owner = await store.mount_of_key(core, number) if number is not None else None
        home = self._live(owner.namespace) if owner is not None else None
        if number is None or owner is None or home is None or not self._mounted(home, owner.mount):
            return None
        view = core.space(owner.namespace).mount(owner.mount)
        key = await store.key(view, number)
        return None if key is None or key.state is KeyState.STAGED else Signer(key, owner, home)

    def _verify(self, raw: bytes, chain: Chain, signer: Signer, now: Millis) -> Verdict:
        """Return a verdict that refuses nothing yet. Raises `BiscuitError` where a signature does not hold.

        Of a token with a block that is not taken nothing is verified, and `problem` says why. A holder signed that
        block: the token is told apart from one that nobody here signed, so that operators see it.
        """
        verified: VerifiedToken | None = None
        problem = ""
        try:
            verified = verify(raw, chain, signer.key.key, AMBIENT, self._limits, self._known_blocks)
            blocks, ids = verified.blocks, verified.ids
        except RefusedBlock as refused:
            blocks, problem = refused.blocks or _authority(chain), str(refused)
            ids = canonical_ids(chain, signer.key.key.algorithm)
        return Verdict(
            owner=signer.owner,
            namespace=signer.namespace,
            kid=signer.key.kid,
            ids=ids,
            blocks=blocks,
            now=now,
            token_id=TokenId(fact_bytes(blocks[0], "token_id").hex() if blocks else ""),
            verified=verified,
            problem=problem,
        )

    async def _check_records(
        self, core: ReadView, verdict: Verdict, signer: Signer, known: KnownFacts | None
    ) -> Verdict:
        """Return a verdict with the record of its issuance, and why it is refused: steps 4 to 6 of `judge`."""
        view, key = verdict.view(core), signer.key
        issue = known.issue(signer.owner, verdict.ids[0]) if known is not None else None
        # 4. The record. A signature that holds without one means that somebody else may have the key.
        issued = await self._issued(view, verdict, issue)
        if issued is None or issued.ids != verdict.ids[0].hex():
            if verdict.blocks and verdict.now < deadline_of(verdict.blocks[:1]) and key.verifies:
                self._log.caution("nhi", "a valid signature has no record of its issuance: is the key safe?")
                return replace(verdict, refusal=Refusal.ORPHAN)
            return replace(verdict, refusal=Refusal.EXPIRED)
        refused = partial(replace, verdict, issued=issued)
        if verdict.now >= issued.expires:
            return refused(refusal=Refusal.EXPIRED)
        # 5. What the token ends with.
        if verdict.verified is None:
            return refused(refusal=Refusal.BLOCK)
        workload = await store.workload(view, issued.workload) if issue is None else issue.workload
        if not issued.owned(workload, verdict.now):
            return refused(refusal=Refusal.WORKLOAD)
        if not all(self._has_login(verdict.namespace, login) for login in issued.hangs_on(verdict.owner)):
            return refused(refusal=Refusal.MOUNT)
        if not key.verifies:
            return refused(refusal=Refusal.KEY)
        # 6. Its blocks: the id of one names all that was made from it, so each of the chain is looked for.
        open_to_doubt = verdict.ids if issue is None else verdict.ids[1:] or verdict.ids
        if await store.any_revoked(view, [block_id.hex() for block_id in open_to_doubt]):
            return refused(refusal=Refusal.REVOKED)
        if len(verdict.ids) > issued.max_depth:
            return refused(refusal=Refusal.DEPTH)
        until = min(issued.expires, workload.expires)
        return replace(
            verdict, issued=issued, until=until, signer=signer, issue=issue or Issue(issued, workload)
        )

    async def lives(
        self, core: ReadView, owner: MountRef, home: Namespace, chain: Sequence[str], now: Millis
    ) -> bool | None:
        """Return whether steps 4 to 6 of `judge` let a chain pass that was presented; None where it is of another mount.

        It is known by the ids of its blocks alone, so what they say of its end is not asked: whoever asks knows that.
        """
        view = core.space(owner.namespace).mount(owner.mount)
        token_id = await lineage.owner_of(view, chain[0])
        if token_id is None:
            return None
        issued = await store.issued(view, token_id)
        if issued is None or issued.ids != chain[0] or now >= issued.expires:
            return False
        key = await store.key(view, issued.kid)
        return (
            key is not None
            and key.verifies
            and issued.owned(await store.workload(view, issued.workload), now)
            and all(self._has_login(home, login) for login in issued.hangs_on(owner))
            and not await store.any_revoked(view, chain)
        )

    async def _issued(self, view: ReadView, verdict: Verdict, issue: Issue | None) -> IssuedToken | None:
        if issue is not None and issue.issued.token_id == verdict.token_id:
            return issue.issued
        return await store.issued(view, verdict.token_id) if verdict.token_id else None


def _authority(chain: Chain) -> tuple[Block, ...]:
    """Return the authority block of a token with others that cannot be read; nothing where it cannot be read, either."""
    try:
        return read_blocks(replace(chain, blocks=chain.blocks[:1]), TokenLimits().parts)
    except BiscuitError:
        return ()
