# SPDX-License-Identifier: EUPL-1.2
"""What storage said of chains that begin alike, kept until it is no longer true: who signs, and what was issued.

It is about the first block alone. Signatures are verified for each chain, and each of its other blocks is looked for
among the revoked ones.
"""

from __future__ import annotations

from typing import Final

from nhi.biscuit.credential.cache import BiscuitCache
from nhi.biscuit.credential.verdict import Issue, Signer, Verdict
from nhi.biscuit.records import store
from nhi.biscuit.records.model import MountRef
from vault.cache.follow import Follower

_BYTES: Final = 8 * 1024 * 1024
"""The most memory, by estimate, for issued tokens, and for keys."""


class KnownFacts:
    """Facts of storage by what they are about. Each is dropped with its tags, as verified tokens are."""

    def __init__(self, follower: Follower) -> None:
        self._follower = follower
        self._signers: BiscuitCache[Signer] = BiscuitCache(_BYTES)
        self._issues: BiscuitCache[Issue] = BiscuitCache(_BYTES)

    def current(self, seen: int) -> bool:
        """Whether they are true at the epoch that a statement has `seen`."""
        return seen == self._follower.epoch

    def signer(self, kid: int) -> Signer | None:
        """Return whose key a number is; whether the mount is still there is to be asked."""
        return self._signers.get(b"%d" % kid)

    def issue(self, owner: MountRef, authority: bytes) -> Issue | None:
        """Return what was issued with a first block, by its canonical id; what ends by time is to be asked."""
        return self._issues.get(_place(owner, authority))

    def keep(self, verdict: Verdict) -> None:
        """Keep what a good token rests on: no fact may have been dropped since it was read."""
        if verdict.signer is None or verdict.issue is None:
            return
        authority = verdict.ids[0]
        key = store.key_tag(verdict.kid)
        if self.signer(verdict.kid) is not verdict.signer:
            self._signers.put(b"%d" % verdict.kid, verdict.signer, (key,), 0)
        if self.issue(verdict.owner, authority) is verdict.issue:
            return
        ends = (store.mount_tag(one) for one in verdict.issue.issued.hangs_on(verdict.owner))
        tags = (key, store.workload_tag(verdict.issue.workload.uid), *ends, store.block_tag(authority.hex()))
        self._issues.put(_place(verdict.owner, authority), verdict.issue, tags, 0)

    def drop(self, tag: str | None) -> None:
        """Forget what has a tag, or everything."""
        self._signers.drop(tag)
        self._issues.drop(tag)

    def __len__(self) -> int:
        """Return how many facts are kept."""
        return len(self._signers) + len(self._issues)


def _place(owner: MountRef, authority: bytes) -> bytes:
    return f"{owner.namespace}/{owner.mount}/".encode() + authority
