# SPDX-License-Identifier: EUPL-1.2
"""What verification found about a token whose signatures hold: which mount issued it, and why it is refused."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple, TypeVar, cast

import msgspec

from nhi.biscuit.format.datalog import Block, TermKind
from nhi.biscuit.offline.verify import VerifiedToken
from nhi.biscuit.records.model import IssuedToken, IssuerKey, MountRef, Workload
from vault.barrier.view import ReadView
from vault.framework.call import Namespace
from vault.values.ids import TokenId
from vault.values.times import Millis

V = TypeVar("V", bound=ReadView)


class Refusal(StrEnum):
    """Why a genuine token is not good; `NONE` for one that is."""

    NONE = ""
    ORPHAN = "it was not issued here"
    EXPIRED = "it has expired"
    DEPTH = "it has more blocks than its registration allows"
    KEY = "its key was destroyed"
    WORKLOAD = "its workload was revoked, disabled or removed, or has ended"
    MOUNT = "the mount that gave it was moved, or its login's is gone"
    REVOKED = "a block of it was revoked"
    BLOCK = "a block of it is not taken"


class Signer(NamedTuple):
    """Where the key number of a token leads: a key, the mount that it is of, and its namespace."""

    key: IssuerKey
    owner: MountRef
    namespace: Namespace


class Issue(msgspec.Struct, frozen=True):
    """What storage says of an issued token: its record, and the workload that has it."""

    issued: IssuedToken
    workload: Workload
    common: dict[object, object] = msgspec.field(default_factory=dict)
    """What was derived from it and its first block: see `Identity.common`."""


class Verdict(msgspec.Struct, frozen=True):
    """A genuine token at `now` (ms). Of one that is refused for a block, `problem` says why, and nothing is verified."""

    owner: MountRef
    namespace: Namespace
    kid: int
    ids: tuple[bytes, ...]
    blocks: tuple[Block, ...]
    now: Millis
    token_id: TokenId
    issued: IssuedToken | None = None
    verified: VerifiedToken | None = None
    refusal: Refusal = Refusal.NONE
    problem: str = ""
    until: Millis = Millis(0)
    """Of a good one, when it or its workload ends (ms)."""
    signer: Signer | None = None
    issue: Issue | None = None
    """Of a good one, what storage said of it."""

    def view(self, core: V) -> V:
        """Return the data of the mount that the token is of."""
        return cast("V", core.space(self.owner.namespace).mount(self.owner.mount))

    def claimed(self, name: str) -> str:
        """Return the one text of a fact of the authority; empty where there is none."""
        for fact in self.blocks[0].facts if self.blocks else ():
            if fact.name == name and len(fact.terms) == 1 and fact.terms[0].kind is TermKind.STRING:
                return cast("str", fact.terms[0].value)
        return ""
