# SPDX-License-Identifier: EUPL-1.2
"""Records of issuer keys, workloads, registrations and issued tokens. Times in milliseconds."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, TypeGuard

import msgspec

from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.chain import Key
from nhi.biscuit.records.attestation import SECRET, Attestation
from vault.values.ids import MountId, NamespaceId, TokenId
from vault.values.times import DAY, Millis, Seconds

BISCUIT_KIND: Final = "biscuit"
"""Kind of the cached facts and of the timers of this package."""


LONGEST_TTL: Final = DAY
"""Of the longest token: so no revocation has to be kept longer."""


class KeyState(StrEnum):
    """The life of an issuer key, in order; a destroyed one is never used again, and its number neither."""

    STAGED = "staged"
    ACTIVE = "active"
    RETIRED = "retired"
    DESTROYED = "destroyed"


class IssuerKey(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A root key: `held` here, in the safe, or in a device as `external` (`<config>:<key>`)."""

    kid: int
    algorithm: int
    state: KeyState
    public: bytes
    private: bytes = b""
    """As it was kept before there was a safe."""
    held: bytes = b""
    external: str = ""
    created: Millis = Millis(0)
    changed: Millis = Millis(0)

    def __repr__(self) -> str:
        """Name the key without what it signs with."""
        return f"<IssuerKey {self.kid} {self.state}>"

    @property
    def key(self) -> Key:
        """The public half."""
        return Key(Algorithm(self.algorithm), self.public)

    @property
    def where(self) -> str:
        """Where its private half is; empty for nowhere."""
        return _where(self)

    @property
    def verifies(self) -> bool:
        """Whether tokens of this key are taken."""
        return self.state in {KeyState.ACTIVE, KeyState.RETIRED}


class Approver(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An approver of tokens; its key is `held` here in the safe, or in a device."""

    name: str
    algorithm: int
    public: bytes
    private: bytes = b""
    """As it was kept before there was a safe."""
    held: bytes = b""
    external: str = ""

    def __repr__(self) -> str:
        """Name it without what it signs with."""
        return f"<Approver {self.name}>"

    @property
    def where(self) -> str:
        """Where its private half is; empty for nowhere."""
        return _where(self)

    @property
    def key(self) -> Key:
        """The public half."""
        return Key(Algorithm(self.algorithm), self.public)


def _where(key: IssuerKey | Approver) -> str:
    """Return the device as it was named, `safe`, or `barrier` for a key that has yet to be put into the safe."""
    return key.external or ("safe" if key.held else "barrier" if key.private else "")


class MountRef(msgspec.Struct, frozen=True):
    """The mount that a key number belongs to: found by the number alone, before anything of a token is believed."""

    namespace: NamespaceId
    mount: MountId


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """A program that has an identity. `uid` is new whenever it is made anew, so that no old token comes back."""

    name: str
    uid: str
    owner: str
    expires: Millis
    description: str = ""
    disabled: bool = False
    reason: str = ""
    """Why all its tokens were ended, where it is disabled."""

    def alive(self, now: Millis) -> bool:
        """Whether it may have tokens at `now`."""
        return not self.disabled and now < self.expires


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """What a workload gets, and how it proves itself. TTLs in seconds."""

    name: str
    workload: str
    policies: tuple[str, ...]
    audiences: tuple[str, ...]
    ttl: Seconds
    max_ttl: Seconds
    max_depth: int
    method: str = SECRET
    """How the workload proves itself; see `nhi.biscuit.records.attestation`. A secret counts beside it while there is one."""
    attestation: Attestation = Attestation()
    cidrs: tuple[str, ...] = ()
    pop: str = ""
    """What its tokens are bound to: `mtls`, `dpop`, or empty for nothing."""
    approvers: tuple[str, ...] = ()
    """One of these must have approved a token, and freshly, before it is good for anything."""
    offline: bool = False
    """Whether its tokens say what their policies allow, for verifiers that do not know these."""
    secret_hash: str = ""
    """What is kept of the client secret (see `nhi.biscuit.login.client_secrets`). Empty for none."""
    secret_expires: Millis = Millis(0)
    """When the secret ends to count (ms); 0 for never."""

    def __repr__(self) -> str:
        """Name the registration, without what its proof may hold."""
        return f"<Registration {self.name}>"


class IssuedToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token that was issued. Found by the id in its authority block."""

    token_id: TokenId
    kid: int
    workload: str
    uid: str
    registration: str
    policies: tuple[str, ...]
    created: Millis
    expires: Millis
    latest: Millis
    """When its last renewal must have ended."""
    max_depth: int
    ids: str
    """The canonical id of its authority block, in hex."""
    parent: str = ""
    """The token that was renewed."""
    line: str = ""
    """The canonical id of the authority block of the first of those that were renewed; empty for a first one."""
    since: Millis = Millis(0)
    """When that was issued; 0 for a first one."""
    pop: str = ""
    """The kind and the thumbprint of the key that it is bound to."""
    method: str = "issue"
    """How its workload proved itself; `issue` where an operator asked, `renewal` for another token in its place."""
    audiences: tuple[str, ...] = ()
    """The services that it is for; any service where there are none."""
    doors: tuple[str, ...] = ()
    """What `hangs_on` returns; empty where it was issued before mounts could be moved."""

    def hangs_on(self, owner: MountRef) -> tuple[str, ...]:
        """Return the ids of the logins that it ends with: of its own mount, `owner`, and of the auth mount that gave it.

        A mount has another one (`MountEntry.logins`) once it was moved: what it had given before is good for nothing.
        """
        return self.doors or (owner.mount,)

    def owned(self, workload: Workload | None, now: Millis) -> TypeGuard[Workload]:
        """Whether this is still the workload that it was issued to, and may have tokens at `now`."""
        return workload is not None and workload.uid == self.uid and workload.alive(now)


class LoginCounts(msgspec.Struct, frozen=True):
    """How often, and when last (ms), each method gave a token."""

    counts: dict[str, int]
    last: dict[str, Millis]


class Revocation(msgspec.Struct, frozen=True, kw_only=True):
    """A block that was revoked, with everything made from it, until the last of that expires anyway."""

    at: Millis
    until: Millis
    reason: str


class KeptChain(msgspec.Struct, frozen=True):
    """A token that others were made with, as it was presented; what it ends with; and when it expires (ms)."""

    token: bytes
    tags: tuple[str, ...]
    until: Millis

    def __repr__(self) -> str:
        """Name it without the token."""
        return f"<KeptChain {self.tags[-1]}>"
