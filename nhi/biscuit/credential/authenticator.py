# SPDX-License-Identifier: EUPL-1.2
"""Biscuits as credentials: from the text on a request to the identity behind it.

A verified token is cached until a fact that it rests on changes: its key, its workload, the revocation of one of its
blocks. Storage is read once for each token, so revocations take no memory, and the next request obeys one that has
committed. The pipeline evaluates the token's checks at every request.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final

import msgspec
from msgspec.structs import replace

from nhi.biscuit.credential.cache import BiscuitCache
from nhi.biscuit.credential.call_facts import facts_of
from nhi.biscuit.credential.checks import BiscuitChecks
from nhi.biscuit.credential.first_seen import Presentation, Presentations
from nhi.biscuit.credential.possession import Possession
from nhi.biscuit.credential.presented_biscuit import PresentedBiscuit, fact_bytes, tags_of, to_identity
from nhi.biscuit.credential.verdict import Refusal, Verdict
from nhi.biscuit.format.chain import Chain
from nhi.biscuit.format.datalog import Block
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import canonical_ids
from nhi.biscuit.offline.deadline import deadline_of
from nhi.biscuit.offline.facts import AMBIENT
from nhi.biscuit.offline.verify import (
    PREFIX,
    RefusedBlock,
    TokenLimits,
    VerifiedToken,
    from_text,
    opened,
    to_text,
    verify,
)
from nhi.biscuit.records import store
from nhi.biscuit.records.model import BISCUIT_KIND, IssuerKey, KeyState, MountRef
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import Call, Identity, Namespace
from vault.framework.errors import Unauthenticated
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.times import Millis
from vault.token.authenticator import core_reader

_SHORTEST: Final = 200
"""Characters of the shortest token that can be one of ours; a service token has 26."""
_FOURTH: Final = "ABCDEFGHIJKLMNOP"
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""The most memory, by estimate, for chains that child tokens were issued with."""
_REFUSED: Final = 4096
"""How many refused tokens are remembered, by digest: those that no change of a fact can make good."""

Live = Callable[[str], Namespace | None]
Mounted = Callable[[Namespace, str], bool]
AUDIENCE: Final = "vault"
"""The audience that names this server, in tokens of registrations that say nothing else."""


class BiscuitAuthenticator:
    """Verifies Biscuits that some mount of ours issued."""

    def __init__(
        self,
        barrier: Barrier,
        follower: Follower,
        live: Live,
        mounted: Mounted,
        takes: Mounted,
        log: Log,
        limits: TokenLimits,
        possession: Possession,
    ) -> None:
        """`live` finds namespaces by id; `mounted` says whether a namespace still has the mount with an id.

        `takes` says whether it has one that calls its logins so.
        """
        self._barrier = barrier
        self._follower = follower
        self._live = live
        self._mounted = mounted
        self.takes = takes
        self._log = log
        self._limits = limits
        self.possession = possession
        self._presentations = Presentations(barrier)
        self._cache: BiscuitCache[tuple[PresentedBiscuit, Identity, frozenset[str]]] = BiscuitCache()
        self._kept: BiscuitCache[PresentedBiscuit] = BiscuitCache(_KEPT_BYTES)
        self._refused: BoundedCache[bytes, bool] = BoundedCache(_REFUSED)
        follower.own(BISCUIT_KIND, self._drop, knows=True)

    async def _drop(self, key: str | None) -> None:
        self._cache.drop(key)
        self._kept.drop(key)

    def recognises(self, token: str) -> bool:
        """See `Authenticator.recognises`: a key number comes first, so the beginning is always of one shape."""
        text = token.removeprefix(PREFIX)
        return len(text) >= _SHORTEST and text[0] == "C" and text[1] in _FOURTH and "." not in text

    def known(self, call: Call) -> Identity | None:
        """See `Authenticator.known`."""
        found = self._cache.get(_digest(call.token))
        if found is None:
            return None
        presented, identity, sources = found
        if sources and call.client_address not in sources:
            return None
        home = presented.namespace
        if call.now >= identity.expires or call.now >= identity.again or self._live(home.id) is not home:
            return None
        return identity if self._mounted(home, presented.owner.mount) else None

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`. What is presented for the first time, or from elsewhere, is kept first."""
        digest = _digest(call.token)
        if self._refused.get(digest):
            raise Unauthenticated
        core = core_reader(self._barrier, call.namespace)
        verdict = await self._judge(core, call.token.reveal(), call.now, digest)
        if verdict is None:
            raise Unauthenticated
        epoch = core.epoch
        presentation: Presentation | None = None
        facts = facts_of(call)
        if not (facts.noted or call.in_turn):
            facts.noted = True
            presentation = await self._presentations.note(call, core, verdict)
        presented = self._good(verdict)
        if presented is None or call.now >= presented.expires:
            raise Unauthenticated
        identity = to_identity(call.token, presented)
        if presentation is not None and epoch == core.epoch == self._follower.epoch:
            identity.again = presentation.again
            kept = (presented, identity, presentation.sources)
            self._cache.put(digest, kept, tags_of(presented), presented.verified.size)
        return identity

    async def present(self, core: ReadView, token: str, now: Millis) -> PresentedBiscuit | None:
        """Return what a token is, if it is good at `now` (ms) but for its checks, which are not asked; else None.

        `core` is any view of a namespace's own data.
        """
        verdict = await self.judge(core, token, now)
        return None if verdict is None else self._good(verdict)

    async def kept(self, core: ReadView, owner: MountRef, leaf: str, now: Millis) -> PresentedBiscuit | None:
        """Return, as `present`, the chain that was kept of a mount and ends with the block `leaf`, a canonical id.

        It is verified once, and then judged by the facts as any other; a transaction sees it by its own.
        """
        home = self._live(owner.namespace)
        if home is None or not self._mounted(home, owner.mount):
            return None
        digest = f"{owner.namespace}/{owner.mount}/{leaf}".encode()
        committed = not isinstance(core, View)
        known = self._kept.get(digest) if committed else None
        if known is not None and known.namespace is home:
            return known
        row = await store.kept_chain(core.space(owner.namespace).mount(owner.mount), leaf)
        seen = core.epoch
        presented = await self.present(core, to_text(row.token), now) if row is not None else None
        if presented is None or presented.owner != owner or presented.verified.ids[-1].hex() != leaf:
            return None
        if committed and seen == core.epoch == self._follower.epoch:
            self._kept.put(digest, presented, tags_of(presented), presented.verified.size)
        return presented

    def _good(self, verdict: Verdict) -> PresentedBiscuit | None:
        """Return the token of a verdict without a refusal; else None."""
        if verdict.refusal or verdict.verified is None or verdict.issued is None:
            return None
        narrowing = BiscuitChecks(verdict.verified, verdict.home, AUDIENCE, self.possession)
        return PresentedBiscuit(
            verdict.verified, verdict.issued, verdict.owner, verdict.home, narrowing, verdict.until
        )

    async def judge(self, core: ReadView, token: str, now: Millis) -> Verdict | None:
        """Return what a token is and why it is not good at `now` (ms); None for one that no key here signed."""
        return await self._judge(core, token, now, b"")

    async def _judge(self, core: ReadView, token: str, now: Millis, digest: bytes) -> Verdict | None:
        """As `judge`; `digest` is remembered where the token is refused for what it is.

        The order is that of what it costs to find out:

        1. The text is a token of our form, within limits.
        2. Its key number leads to a mount that is still there, and to a key.
        3. The signatures hold, and its blocks are not too dear to evaluate.
        4. There is a record that it was issued here, and it has not ended.
        5. Its blocks are taken, its workload, mounts and key are good.
        6. No block of it was revoked, and it has no more blocks than it may.

        The checks are asked by the pipeline, for each request.
        """
        # 1. The form. It cannot change, so what fails here is remembered by its digest.
        try:
            raw = from_text(token, self._limits.size)
            chain = opened(raw, self._limits)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        # 2. The key number. Nothing of the token is believed yet; the number only says where to look.
        owner = await store.mount_of_key(core, chain.root_key_id) if chain.root_key_id is not None else None
        home = self._live(owner.namespace) if owner is not None else None
        if owner is None or home is None or not self._mounted(home, owner.mount):
            return None
        view = core.space(owner.namespace).mount(owner.mount)
        key = await store.key(view, chain.root_key_id or 0)
        if key is None or key.state is KeyState.STAGED:
            return None
        # 3. The signatures, and what the blocks would cost. A block that is refused was signed by a holder: the token
        # is told apart from one that nobody here signed, so that operators see it.
        verified: VerifiedToken | None = None
        blocks: tuple[Block, ...] = ()
        problem = ""
        try:
            verified = verify(raw, chain, key.key, AMBIENT, self._limits)
            blocks = verified.blocks
        except RefusedBlock as refused:
            self._refused.put(digest, value=True)
            blocks, problem = refused.blocks or _authority(chain), str(refused)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        ids = verified.ids if verified is not None else canonical_ids(chain, key.key.algorithm)
        token_id = fact_bytes(blocks[0], "token_id").hex() if blocks else ""
        verdict = Verdict(
            owner, home, key.kid, ids, blocks, now, token_id, None, verified, Refusal.NONE, problem
        )
        return await self._issued(view, verdict, key)

    async def _issued(self, view: ReadView, verdict: Verdict, key: IssuerKey) -> Verdict:
        """Return a token with the record of its issuance, and why it is refused: steps 4 to 6 of `_judge`."""
        # 4. The record. A signature that holds without one means that somebody else may have the key.
        issued = await store.issued(view, verdict.token_id) if verdict.token_id else None
        if issued is None or issued.ids != verdict.ids[0].hex():
            if verdict.blocks and verdict.now < deadline_of(verdict.blocks[:1]) and key.verifies:
                self._log.caution("nhi", "a valid signature has no record of its issuance: is the key safe?")
                return replace(verdict, refusal=Refusal.ORPHAN)
            return replace(verdict, refusal=Refusal.EXPIRED)
        verdict = replace(verdict, issued=issued)
        if verdict.now >= issued.expires:
            return replace(verdict, refusal=Refusal.EXPIRED)
        # 5. What the token hangs on.
        if verdict.verified is None:
            return replace(verdict, refusal=Refusal.BLOCK)
        workload = await store.workload(view, issued.workload)
        if not issued.owned(workload, verdict.now):
            return replace(verdict, refusal=Refusal.WORKLOAD)
        verdict = replace(verdict, until=min(issued.expires, workload.expires))
        if not all(self.takes(verdict.home, one) for one in issued.hangs_on(verdict.owner)):
            return replace(verdict, refusal=Refusal.MOUNT)
        if not key.verifies:
            return replace(verdict, refusal=Refusal.KEY)
        # 6. Its blocks: the id of one names all that was made from it, so each of the chain is looked for.
        for block_id in verdict.ids:
            if await store.revoked(view, block_id.hex()) is not None:
                return replace(verdict, refusal=Refusal.REVOKED)
        if len(verdict.ids) > issued.max_depth:
            return replace(verdict, refusal=Refusal.DEPTH)
        return verdict


def _authority(chain: Chain) -> tuple[Block, ...]:
    """Return the authority block of a token that has others which cannot be read; nothing where it cannot be, either."""
    try:
        return read_blocks(msgspec.structs.replace(chain, blocks=chain.blocks[:1]), TokenLimits().parts)
    except BiscuitError:
        return ()


def _digest(token: Secret) -> bytes:
    return hashlib.sha256(token.reveal().encode()).digest()
