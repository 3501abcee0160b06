# SPDX-License-Identifier: EUPL-1.2
"""Biscuits as credentials: from the text on a request to the identity behind it.

A verified token is cached until a fact that it rests on changes: its key, its workload, the revocation of one of its
blocks. Storage is read once for each token, so revocations take no memory, and the next request obeys one that has
committed. The pipeline evaluates the token's checks at every request.

Read `authenticate` first, then `BiscuitVerifier.judge`: each is a list of numbered steps.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from nhi.biscuit.credential.cache import VERIFIED, BiscuitCache
from nhi.biscuit.credential.call_facts import facts_of
from nhi.biscuit.credential.checks import BiscuitChecks
from nhi.biscuit.credential.first_seen import Presentation, Presentations
from nhi.biscuit.credential.known_facts import KnownFacts
from nhi.biscuit.credential.possession import Possession
from nhi.biscuit.credential.presented_biscuit import PresentedBiscuit, tags_of, to_identity
from nhi.biscuit.credential.verdict import Verdict
from nhi.biscuit.credential.verifier import BiscuitVerifier, Live, Mounted
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.offline.stated_facts import StatedFacts
from nhi.biscuit.offline.verify import PREFIX, TokenLimits, to_text
from nhi.biscuit.records import store
from nhi.biscuit.records.model import BISCUIT_KIND, MountRef
from vault.barrier.barrier import Barrier
from vault.barrier.view import ReadView, View
from vault.cache.follow import BoundedCache, Follower
from vault.framework.call import Call, Identity, Namespace
from vault.framework.errors import Unauthenticated
from vault.framework.telemetry.log import Log
from vault.token.authenticator import core_reader
from vault.values.ids import MountId
from vault.values.times import Millis

_SHORTEST: Final = 200
"""Characters of the shortest token that can be one of ours; a service token has 26."""
_SECOND_LETTER: Final = "ABCDEFGHIJKLMNOP"
"""A token of ours begins with its key number: the byte 0x08 of protobuf, then a number's first byte. In base64 that is
`C`, and one of these."""
_KEPT_BYTES: Final = 16 * 1024 * 1024
"""The most memory, by estimate, for chains that child tokens were issued with."""
_REFUSED: Final = 4096
"""How many refused tokens are remembered, by digest: those that no change of a fact can make good."""

AUDIENCE: Final = "vault"
"""The audience that names this server, in tokens of registrations that say nothing else."""


class _KnownBiscuit(NamedTuple):
    """What is kept of a token that comes again: who it stands for, the mount it is of, and whence it may come.

    Its checks have it as the library does; what was read of it here is not kept.
    """

    identity: Identity
    home: Namespace
    mount: MountId
    sources: frozenset[str]


class BiscuitAuthenticator:
    """Verifies Biscuits that some mount of ours issued."""

    def __init__(
        self,
        barrier: Barrier,
        follower: Follower,
        live: Live,
        mounted: Mounted,
        has_login: Mounted,
        log: Log,
        limits: TokenLimits,
        possession: Possession,
    ) -> None:
        """`live` finds namespaces by id; `mounted` says whether a namespace still has the mount with an id.

        `has_login` says whether it has the auth mount whose logins have an id: another one once that was moved.
        """
        self._barrier = barrier
        self._follower = follower
        self._live = live
        self._mounted = mounted
        self._verifier = BiscuitVerifier(live, mounted, has_login, log, limits)
        self.possession = possession
        self._presentations = Presentations(barrier)
        self._cache: BiscuitCache[_KnownBiscuit] = BiscuitCache(each=VERIFIED)
        self._kept_chains: BiscuitCache[PresentedBiscuit] = BiscuitCache(_KEPT_BYTES, each=VERIFIED)
        self._facts = KnownFacts(follower)
        self._stated = StatedFacts()
        self._refused: BoundedCache[bytes, bool] = BoundedCache(_REFUSED)
        follower.own(BISCUIT_KIND, self._drop, knows=True)

    async def _drop(self, key: str | None) -> None:
        self._cache.drop(key)
        self._kept_chains.drop(key)
        self._facts.drop(key)
        if key is None:
            self._stated.forget()
            self._presentations.forget()
            self._verifier.forget()

    def recognises(self, token: str) -> bool:
        """See `Authenticator.recognises`."""
        text = token.removeprefix(PREFIX)
        return len(text) >= _SHORTEST and text[0] == "C" and text[1] in _SECOND_LETTER and "." not in text

    def known(self, call: Call) -> Identity | None:
        """See `Authenticator.known`. Address, time, namespace and mount are asked each time; no drop tells of them."""
        found = self._cache.get(facts_of(call).digest(call.token))
        if found is None:
            return None
        identity, home, mount, sources = found
        if sources and call.client_address not in sources:
            return None
        if call.now >= identity.expires or call.now >= identity.recheck_at or self._live(home.id) is not home:
            return None
        return identity if self._mounted(home, mount) else None

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`: who calls, from storage.

        1. A token that was refused for what it is, is refused again.
        2. It is judged.
        3. That it was presented is recorded, for the first time or from a new address: also of one that is refused.
        4. It is refused, or stands for an identity.
        5. The identity is cached, unless a fact changed meanwhile.

        What storage said of its first block is kept from step 2 on: others that begin like it come while it is recorded.
        """
        # 1. Refused before.
        digest = facts_of(call).digest(call.token)
        if self._refused.get(digest):
            raise Unauthenticated
        # 2. The verdict.
        state = self._follower.state
        core = core_reader(self._barrier, call.namespace)
        verdict = await self._judge_presented(core, call, digest)
        if verdict is None:
            raise Unauthenticated
        if self._is_current(core, state):
            self._facts.keep(verdict)
        # 3. The record of it, once for each call, and in no transaction of others.
        presentation: Presentation | None = None
        of_call = facts_of(call)
        if not (of_call.noted or call.in_turn):
            of_call.noted = True
            presentation = await self._presentations.note(call, core, verdict)
        # 4. The identity.
        presented = self._accepted(verdict)
        if presented is None or call.now >= presented.expires:
            raise Unauthenticated
        identity = to_identity(call.token, presented)
        # 5. The cache.
        if presentation is not None and self._is_current(core, state):
            identity.recheck_at = presentation.again
            kept = _KnownBiscuit(identity, presented.namespace, presented.owner.mount, presentation.sources)
            self._cache.put(digest, kept, tags_of(presented), presented.verified.size)
        return identity

    def _is_current(self, core: ReadView, state: object) -> bool:
        """Whether what was read since `state` may be kept: what was dropped meanwhile would not be dropped again."""
        return core.epoch == self._follower.epoch and state is self._follower.state

    def _accepted(self, verdict: Verdict) -> PresentedBiscuit | None:
        """Return the token of a verdict without a refusal; else None."""
        if verdict.refusal or verdict.verified is None or verdict.issued is None:
            return None
        checks = BiscuitChecks(verdict.verified, verdict.namespace, AUDIENCE, self.possession, self._stated)
        return PresentedBiscuit(
            verified=verdict.verified,
            issued=verdict.issued,
            owner=verdict.owner,
            namespace=verdict.namespace,
            checks=checks,
            common={} if verdict.issue is None else verdict.issue.common,
            until=verdict.until,
        )

    async def _judge_presented(self, core: ReadView, call: Call, digest: bytes) -> Verdict | None:
        """As `judge`; what is refused for what it is, is remembered."""
        try:
            verdict = await self._verifier.judge(core, call.token.reveal(), call.now, self._facts)
        except BiscuitError:
            self._refused.put(digest, value=True)
            return None
        if verdict is not None and verdict.verified is None:
            self._refused.put(digest, value=True)
        return verdict

    async def judge(self, core: ReadView, token: str, now: Millis) -> Verdict | None:
        """Return what a token is and why it is not good at `now` (ms); None for one that no key here signed.

        `core` is any view of a namespace's own data.
        """
        try:
            return await self._verifier.judge(core, token, now)
        except BiscuitError:
            return None

    async def present(self, core: ReadView, token: str, now: Millis) -> PresentedBiscuit | None:
        """Return what a token is, if it is good at `now` (ms) but for its checks, which are not asked; else None."""
        verdict = await self.judge(core, token, now)
        return None if verdict is None else self._accepted(verdict)

    async def lives(self, core: ReadView, owner: MountRef, chain: Sequence[str], now: Millis) -> bool | None:
        """Return, of a token that was presented, whether it is good at `now` (ms) but for what its blocks say.

        `chain` are the canonical ids of its blocks. None where it is of another mount.
        """
        home = self._live(owner.namespace)
        if home is None or not self._mounted(home, owner.mount):
            return None
        return await self._verifier.lives(core, owner, home, chain, now)

    async def find_kept_chain(
        self, core: ReadView, owner: MountRef, leaf: str, now: Millis
    ) -> PresentedBiscuit | None:
        """Return, as `present`, the chain that was kept of a mount and ends with the block `leaf`, a canonical id.

        It is verified once, and then judged by the facts as any other; a transaction sees it by its own.
        """
        home = self._live(owner.namespace)
        if home is None or not self._mounted(home, owner.mount):
            return None
        digest = f"{owner.namespace}/{owner.mount}/{leaf}".encode()
        committed = not isinstance(core, View)
        known = self._kept_chains.get(digest) if committed else None
        if known is not None and known.namespace is home:
            return known
        row = await store.kept_chain(core.space(owner.namespace).mount(owner.mount), leaf)
        seen = core.epoch
        presented = await self.present(core, to_text(row.token), now) if row is not None else None
        if presented is None or presented.owner != owner or presented.verified.ids[-1].hex() != leaf:
            return None
        if committed and seen == core.epoch == self._follower.epoch:
            self._kept_chains.put(digest, presented, tags_of(presented), presented.verified.size)
        return presented
