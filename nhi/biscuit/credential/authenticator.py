# SPDX-License-Identifier: EUPL-1.2
"""Biscuits as credentials: from the text on a request to the identity behind it.

What was verified is kept until a fact that it stands on changes: its key, its workload, a block of its chain that is
revoked. Storage is asked once for each; so revocations take no memory, and one that has committed is obeyed by the
next request. The token's checks are asked at every request, by the pipeline.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Final, cast

import msgspec
from msgspec.structs import replace

from nhi.biscuit.credential.cache import Remembered
from nhi.biscuit.credential.checks import Narrowing
from nhi.biscuit.credential.first_seen import Sight, Sightings
from nhi.biscuit.credential.possession import Possession
from nhi.biscuit.credential.verdict import Judged, Refusal
from nhi.biscuit.format.chain import Chain
from nhi.biscuit.format.datalog import Block, TermKind
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import canonical_ids
from nhi.biscuit.offline.deadline import ends
from nhi.biscuit.offline.facts import AMBIENT
from nhi.biscuit.offline.verify import (
    PREFIX,
    Limits,
    RefusedBlock,
    Verified,
    from_text,
    opened,
    to_text,
    verify,
)
from nhi.biscuit.records import store
from nhi.biscuit.records.model import BISCUIT_KIND, Issued, IssuerKey, KeyState, Place
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.cache.follow import Bounded, Follower
from vault.framework.call import Call, Identity, Namespace
from vault.framework.errors import Unauthenticated
from vault.framework.identity import IdentityFacts
from vault.framework.secret import Secret
from vault.framework.telemetry.log import Log
from vault.token.authenticator import core_reader

_SHORTEST: Final = 200
"""Characters of the shortest token that can be one of ours; a service token has 26."""
_FOURTH: Final = "ABCDEFGHIJKLMNOP"
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""Memory that chains take at most of which there are children, by estimate."""
_REFUSED: Final = 4096
"""Digests of tokens that were refused for what they are, which no fact can change."""

Live = Callable[[str], Namespace | None]
Mounted = Callable[[Namespace, str], bool]
AUDIENCE: Final = "vault"
"""Whom tokens that are meant for this server name, unless their registration says otherwise."""


class Presented(msgspec.Struct, frozen=True):
    """A token that is good now, but for its checks."""

    verified: Verified
    issued: Issued
    owner: Place
    namespace: Namespace
    narrowing: Narrowing
    until: int
    """When its authority or its workload ends (ms)."""

    @property
    def expires(self) -> int:
        """When it ends (ms): with its authority or its workload, or at an earlier end of a block."""
        return min(self.until, self.narrowing.expires or self.until)


class Biscuits:
    """Verifies Biscuits that some mount of ours issued."""

    def __init__(
        self,
        barrier: Barrier,
        follower: Follower,
        live: Live,
        mounted: Mounted,
        takes: Mounted,
        log: Log,
        limits: Limits,
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
        self._sightings = Sightings(barrier)
        self._cache: Remembered[tuple[Presented, Identity, frozenset[str]]] = Remembered()
        self._kept: Remembered[Presented] = Remembered(_KEPT_BYTES)
        self._refused: Bounded[bytes, bool] = Bounded(_REFUSED)
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
        judged = await self._judge(core, call.token.reveal(), call.now, digest)
        if judged is None:
            raise Unauthenticated
        epoch = core.epoch
        sight: Sight | None = None
        if not call.sighted:
            call.sighted = True
            sight = await self._sightings.note(call, core, judged)
        presented = self._good(judged)
        if presented is None or call.now >= presented.expires:
            raise Unauthenticated
        identity = to_identity(call.token, presented)
        if sight is not None and epoch == core.epoch == self._follower.epoch:
            identity.again = sight.again
            kept = (presented, identity, sight.sources)
            self._cache.put(digest, kept, tags_of(presented), presented.verified.size)
        return identity

    async def present(self, core: ReadView, token: str, now: int) -> Presented | None:
        """Return what a token is, if it is good at `now` (ms) but for its checks, which are not asked; else None.

        `core` is any view of a namespace's own data.
        """
        judged = await self.judge(core, token, now)
        return None if judged is None else self._good(judged)

    async def kept(self, core: ReadView, owner: Place, leaf: str, now: int) -> Presented | None:
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
        row = await store.kept_chain(core.space(owner.namespace).sub(f"mnt/{owner.mount}/"), leaf)
        seen = core.epoch
        presented = await self.present(core, to_text(row.token), now) if row is not None else None
        if presented is None or presented.owner != owner or presented.verified.ids[-1].hex() != leaf:
            return None
        if committed and seen == core.epoch == self._follower.epoch:
            self._kept.put(digest, presented, tags_of(presented), presented.verified.size)
        return presented

    def _good(self, judged: Judged) -> Presented | None:
        """Return a token that nothing is held against."""
        if judged.refusal or judged.verified is None or judged.issued is None:
            return None
        narrowing = Narrowing(judged.verified, judged.home, AUDIENCE, self.possession)
        return Presented(judged.verified, judged.issued, judged.owner, judged.home, narrowing, judged.until)

    async def judge(self, core: ReadView, token: str, now: int) -> Judged | None:
        """Return what a token is and why it is not good at `now` (ms); None for one that no key here signed."""
        return await self._judge(core, token, now, b"")

    async def _judge(self, core: ReadView, token: str, now: int, digest: bytes) -> Judged | None:
        """As `judge`; `digest` is remembered where the token is refused for what it is."""
        try:
            raw = from_text(token, self._limits.size)
            chain = opened(raw, self._limits)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        owner = await store.place(core, chain.root_key_id) if chain.root_key_id is not None else None
        home = self._live(owner.namespace) if owner is not None else None
        if owner is None or home is None or not self._mounted(home, owner.mount):
            return None
        view = core.space(owner.namespace).sub(f"mnt/{owner.mount}/")
        key = await store.key(view, chain.root_key_id or 0)
        if key is None or key.state is KeyState.STAGED:
            return None
        verified: Verified | None = None
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
        judged = Judged(
            owner, home, key.kid, ids, blocks, now, token_id, None, verified, Refusal.NONE, problem
        )
        return await self._issued(view, judged, key)

    async def _issued(self, view: ReadView, judged: Judged, key: IssuerKey) -> Judged:
        """Return a token with the record of its issuance, and why it is refused."""
        issued = await store.issued(view, judged.token_id) if judged.token_id else None
        if issued is None or issued.ids != judged.ids[0].hex():
            if judged.blocks and judged.now < ends(judged.blocks[:1]) and key.verifies:
                self._log.caution("nhi", "a valid signature has no record of its issuance: is the key safe?")
                return replace(judged, refusal=Refusal.ORPHAN)
            return replace(judged, refusal=Refusal.EXPIRED)
        judged = replace(judged, issued=issued)
        if judged.now >= issued.expires:
            return replace(judged, refusal=Refusal.EXPIRED)
        if judged.verified is None:
            return replace(judged, refusal=Refusal.BLOCK)
        workload = await store.workload(view, issued.workload)
        if not issued.owned(workload, judged.now):
            return replace(judged, refusal=Refusal.WORKLOAD)
        judged = replace(judged, until=min(issued.expires, workload.expires))
        if not all(self.takes(judged.home, one) for one in issued.hangs_on(judged.owner)):
            return replace(judged, refusal=Refusal.MOUNT)
        if not key.verifies:
            return replace(judged, refusal=Refusal.KEY)
        for block_id in judged.ids:
            if await store.revoked(view, block_id.hex()) is not None:
                return replace(judged, refusal=Refusal.REVOKED)
        if len(judged.ids) > issued.max_depth:
            return replace(judged, refusal=Refusal.DEPTH)
        return judged


def _authority(chain: Chain) -> tuple[Block, ...]:
    """Return the authority block of a token that has others which cannot be read; nothing where it cannot be, either."""
    try:
        return read_blocks(msgspec.structs.replace(chain, blocks=chain.blocks[:1]), Limits().parts)
    except BiscuitError:
        return ()


def fact_bytes(authority: Block, name: str) -> bytes:
    """Return the one term of a fact of the authority, as bytes; empty where there is none."""
    for fact in authority.facts:
        if fact.name == name and len(fact.terms) == 1 and fact.terms[0].kind is TermKind.BYTES:
            return cast("bytes", fact.terms[0].value)
    return b""


def policies_of(authority: Block) -> tuple[str, ...]:
    """Return the policies that an authority block names; no other block can name one."""
    return tuple(
        sorted(
            str(fact.terms[0].value)
            for fact in authority.facts
            if fact.name == "policy" and len(fact.terms) == 1 and fact.terms[0].kind is TermKind.STRING
        )
    )


def to_identity(token: Secret, presented: Presented) -> Identity:
    """Return the identity that a token stands for."""
    issued = presented.issued
    return Identity(
        token=token,
        key="",
        accessor=presented.verified.ids[-1].hex(),
        policies=policies_of(presented.verified.blocks[0]),
        display_name=f"nhi-{issued.workload}",
        metadata={"workload": issued.workload, "token_id": issued.token_id},
        kind="biscuit",
        created=issued.created * 1_000_000,
        expires=presented.expires,
        ttl=-((issued.created - issued.expires) // 1000),
        namespace=presented.namespace,
        narrowing=presented.narrowing,
        facts=facts_of(issued),
        chain=tuple(one.hex() for one in presented.verified.ids),
    )


def facts_of(issued: Issued) -> IdentityFacts:
    """Return what templates of policies see of a token."""
    return IdentityFacts(
        entity_id=issued.uid,
        entity_name=issued.workload,
        metadata={"workload": issued.workload, "registration": issued.registration},
    )


def tags_of(presented: Presented) -> tuple[str, ...]:
    """Return what a token ends with; its own last block comes last."""
    issued = presented.issued
    mounts = (store.mount_tag(one) for one in issued.hangs_on(presented.owner))
    blocks = (store.block_tag(block_id.hex()) for block_id in presented.verified.ids)
    return (store.key_tag(issued.kid), store.workload_tag(issued.uid), *mounts, *blocks)


def _digest(token: Secret) -> bytes:
    return hashlib.sha256(token.reveal().encode()).digest()
