# SPDX-License-Identifier: EUPL-1.2
"""Issues tokens: an authority block of few facts, its signature by the issuer key, here or in a device, and its record."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from biscuit_auth import KeyPair
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.credential.possession import KINDS, KeyBinding
from nhi.biscuit.format.authority import LATEST_VERSION, Algorithm, Authority, parse, serialise
from nhi.biscuit.format.chain import Key
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.ids import next_id
from nhi.biscuit.issue.authority_block import TokenContent, authority_block
from nhi.biscuit.issue.grants import Grant, exported
from nhi.biscuit.issue.key_store import SigningKeys, from_safe, into_safe
from nhi.biscuit.offline.keys import RootKey, public_key
from nhi.biscuit.offline.root_signature import resign, signed
from nhi.biscuit.offline.verify import to_text
from nhi.biscuit.records import renewals, store
from nhi.biscuit.records.model import (
    LONGEST_TTL,
    Approver,
    IssuedToken,
    IssuerKey,
    KeyState,
    MountRef,
    Registration,
    Workload,
)
from vault.barrier.view import ReadView, View
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.errors import Failed, Malformed, NotFound, Unauthenticated
from vault.framework.keys.asked_first import asked_first
from vault.framework.keys.external import ExternalKeys, PrivateKey
from vault.framework.keys.safe import Safe
from vault.policy.store import PolicyStore
from vault.values.ids import TokenId
from vault.values.times import Millis, Seconds, millis_after, millis_to_seconds, seconds_to_millis

T = TypeVar("T")
FindMount = Callable[[MountRef], tuple[Namespace, MountFacts] | None]
LongestTtl = Callable[[str, Sequence[str]], Seconds]

_KEY_NUMBERS: Final = 4
"""Bytes of a key number."""
_UNSIGNED: Final = bytes(64)
"""What stands for a signature before there is one."""


class _TokenOrder(msgspec.Struct, frozen=True):
    """Everything that a token is made from."""

    owner: MountRef
    key: IssuerKey
    registration: Registration
    workload: Workload
    ttl: Seconds
    renewed: IssuedToken | None
    content: TokenContent


class _NewToken(msgspec.Struct, frozen=True, kw_only=True):
    """A token, and its times in milliseconds since the epoch."""

    token: Authority
    token_id: bytes
    created: Millis
    expires: Millis
    latest: Millis


class BiscuitIssuer:
    """Makes issuer keys and issues tokens. Each token costs one signature, which a device may have to give."""

    def __init__(
        self,
        clock: Clock,
        entropy: Entropy,
        external: ExternalKeys,
        policies: PolicyStore,
        safe: Safe,
        signing_keys: SigningKeys,
        where: FindMount,
        longest: LongestTtl,
    ) -> None:
        """`where` finds the mount that keys and tokens are of: what a token asks may come in at another one.

        `longest` says how long the tokens of mounts of a namespace may last that call their logins so.
        """
        self._where = where
        self._longest = longest
        self._safe = safe
        self._signing_keys = signing_keys
        self._policies = policies
        self._clock = clock
        self._entropy = entropy
        self._external = external

    async def new_key(self, call: Call, algorithm: Algorithm, ref: str, state: KeyState) -> IssuerKey:
        """Make a key here, or take the one in a device that `ref` names. Raises `Malformed` and as `ExternalKeys`."""
        owner = MountRef(call.namespace.id, call.mount.uuid)
        while True:
            kid = int.from_bytes(self._entropy.bytes(_KEY_NUMBERS), "big")
            if kid and await store.claim(call.core, kid, owner):
                break
        public, held = await self.make_key(call, algorithm, ref)
        now = self._clock.millis()
        made = IssuerKey(
            kid=kid,
            algorithm=int(public.algorithm),
            state=state,
            public=public.data,
            held=held,
            external=ref,
            created=now,
            changed=now,
        )
        await store.put_key(call.tx, made)
        return made

    async def issue(
        self,
        call: Call,
        place: tuple[MountRef, str],
        registration: Registration,
        workload: Workload,
        ttl: Seconds,
        method: str = "issue",
        renewed: IssuedToken | None = None,
        pop: KeyBinding | None = None,
        door: str = "",
    ) -> tuple[str, IssuedToken]:
        """Make a token of `ttl` seconds for a registration, in the open transaction; return it and its record.

        `place` is the mount, and the path of its namespace; `pop` the key that the token is bound to, which one that is
        renewed keeps; `door` what the mount below `auth/` calls its logins, where the login came by it. Raises `Malformed`
        without an active key, and without a proof where the registration wants one, `Unauthenticated` for a login that
        a request brings along: that leaves no token behind.
        """
        if call.login is not None and call.login.identity is None:
            raise Unauthenticated
        owner, path = place
        view = _data(call, owner)
        key, root = await self._signing_keys.of(call, view, owner)
        grants = await self._grants(call, owner, registration) if registration.offline else ()
        if not workload.alive(call.now):
            raise Malformed("the workload is disabled, or its time is over")
        pop = _binding(registration, renewed, pop)
        doors = tuple(filter(None, (call.mount.logins, door))) if renewed is None else renewed.hangs_on(owner)
        registration = self._cut(registration, owner, doors)
        content = await _content(view, registration, path, grants, pop)
        order = _TokenOrder(owner, key, registration, workload, ttl, renewed, content)
        if root is None:
            made = await asked_first(call, order, _NewToken, lambda: self._build_token(call, order, None))
        else:
            made = await self._build_token(call, order, root)
        issued = IssuedToken(
            token_id=TokenId(made.token_id.hex()),
            kid=key.kid,
            workload=workload.name,
            uid=workload.uid,
            registration=registration.name,
            policies=registration.policies,
            created=made.created,
            expires=_whole(made.expires),
            latest=_whole(made.latest),
            max_depth=registration.max_depth,
            ids=next_id(b"", made.token.signature, Algorithm(key.algorithm)).hex(),
            parent=renewed.token_id if renewed is not None else "",
            line=(renewed.line or renewed.ids) if renewed is not None else "",
            since=_since(renewed),
            method=method,
            audiences=registration.audiences,
            doors=doors,
            pop=f"{pop.kind}:{pop.thumbprint}" if pop is not None else "",
        )
        await store.put_issued(view, owner, issued)
        if renewed is not None:
            await renewals.add(view, owner, renewed, issued)
        return to_text(serialise(made.token)).rstrip("="), issued

    def _cut(self, registration: Registration, owner: MountRef, doors: Sequence[str]) -> Registration:
        """Return a registration whose tokens last no longer than the mounts allow that they end with."""
        longest = min(registration.max_ttl, self._longest(owner.namespace, doors))
        return msgspec.structs.replace(registration, max_ttl=longest)

    async def _build_token(self, call: Call, order: _TokenOrder, root: RootKey | None) -> _NewToken:
        """Make the token and sign it, with `root` or the device. Raises `Malformed` for one that would have ended."""
        registration, renewed = order.registration, order.renewed
        now = self._clock.millis()
        latest = millis_after(_since(renewed) or now, registration.max_ttl)
        if renewed is not None:
            latest = min(latest, renewed.latest)
        ttl = min(order.ttl or registration.ttl, registration.max_ttl, LONGEST_TTL)
        expires = min(millis_after(now, ttl), latest, order.workload.expires)
        issued, ends = millis_to_seconds(now), millis_to_seconds(expires)
        if ends <= issued:
            raise Malformed("the token would have ended already")
        token_id = self._entropy.bytes(16)
        pair = KeyPair()
        unsigned = Authority(
            root_key_id=order.key.kid,
            block=authority_block(order.content, token_id, issued=issued, expires=ends),
            next_algorithm=Algorithm.ED25519,
            next_public=bytes(pair.public_key.to_bytes()),
            signature=_UNSIGNED,
            version=LATEST_VERSION,
            next_secret=bytes(pair.private_key.to_bytes()),
        )
        if root is not None:
            return _NewToken(
                token=signed(unsigned, root), token_id=token_id, created=now, expires=expires, latest=latest
            )
        bare = serialise(unsigned)
        raw = await self._with(call, order.owner, order.key, lambda root: resign(bare, root, order.key.kid))
        return _NewToken(token=parse(raw), token_id=token_id, created=now, expires=expires, latest=latest)

    async def _grants(self, call: Call, owner: MountRef, registration: Registration) -> tuple[Grant, ...]:
        """Return the rights of a registration as facts. Raises `Malformed` where they are too many, or not exact."""
        core = call.core.space(owner.namespace)
        texts, until = await self._policies.texts(core, owner.namespace, registration.policies, call.now)
        if until:
            raise Malformed("policies: one of them expires, which facts cannot say exactly")
        return exported(texts, millis_to_seconds(call.now))

    async def _found(self, call: Call, ref: str) -> Key:
        """Return the public half of a key in a device."""
        key = await self._external.find(call.namespace, call.mount, ref)
        return await key.use(call, _public)

    async def make_key(self, call: Call, algorithm: Algorithm, ref: str) -> tuple[Key, bytes]:
        """Return a new key, public and as the safe holds it, or the public half of the one in a device that `ref` names.

        Raises `Unavailable` while no slot opens the safe.
        """
        if not ref:
            public, private = _generated(algorithm, self._entropy)
            return public, into_safe(self._safe, public, private)
        owner = MountRef(call.namespace.id, call.mount.uuid)
        return await asked_first(call, (owner, ref), Key, lambda: self._found(call, ref)), b""

    async def approve(self, call: Call, approver: Approver, work: Callable[[RootKey], bytes]) -> bytes:
        """Return what `work` makes with the key of an approver, outside of a transaction."""
        return await self._use(call, MountRef(call.namespace.id, call.mount.uuid), approver, work)

    async def signed(self, call: Call, work: Callable[[RootKey, IssuerKey], T]) -> T:
        """Return what `work` makes with the key that signs tokens of the mount of `call` now, outside of a transaction.

        Raises `Malformed` without an active key.
        """
        owner = MountRef(call.namespace.id, call.mount.uuid)
        key, _ = await self._signing_keys.of(call, call.reader, owner)
        return await self._with(call, owner, key, lambda root: work(root, key))

    async def _with(self, call: Call, owner: MountRef, key: IssuerKey, work: Callable[[RootKey], T]) -> T:
        try:
            return await self._use(call, owner, key, work)
        except BiscuitError as error:
            raise Failed(f"issuer key {key.kid}: {error}") from None

    async def _use(
        self, call: Call, owner: MountRef, key: IssuerKey | Approver, work: Callable[[RootKey], T]
    ) -> T:
        if not key.external:
            return work(await from_safe(self._safe, key))
        place = self._where(owner)
        if place is None:
            raise Malformed("the mount that the key belongs to is gone")
        ref = key.external

        async def use() -> T:
            found = await self._external.find(*place, ref)
            return await found.use(call, lambda root: work(_root(root)))

        return await asyncio.get_running_loop().create_task(use())  # a read may run outside of any task


async def _content(
    view: ReadView, registration: Registration, path: str, grants: tuple[Grant, ...], pop: KeyBinding | None
) -> TokenContent:
    """Return what all tokens of a registration say. Raises `Malformed` where an approver of it is gone."""
    approvers = await store.approver_keys(view, registration.approvers)
    return TokenContent(
        registration.workload, path, registration.audiences, registration.policies, grants, pop, approvers
    )


def _binding(
    registration: Registration, renewed: IssuedToken | None, pop: KeyBinding | None
) -> KeyBinding | None:
    """Return the key that a token is bound to. Raises `Malformed` where the registration wants another kind."""
    if renewed is not None:
        kind, _, thumbprint = renewed.pop.partition(":")
        pop = KeyBinding(kind, thumbprint) if kind else None
    wanted = KINDS[registration.pop]
    if wanted and (pop is None or pop.kind != wanted):
        raise Malformed(f"the registration wants a proof of possession: {registration.pop}")
    return pop


def _data(call: Call, owner: MountRef) -> View:
    """Return the data of a mount in the open transaction; most calls are to the mount itself, and have it."""
    here = owner.mount == call.mount.uuid
    return call.tx if here else call.core.space(owner.namespace).mount(owner.mount)


def _since(renewed: IssuedToken | None) -> Millis:
    """Return when the first of those was issued that a new token is in place of (ms); 0 where there is none."""
    return Millis(0) if renewed is None else renewed.since or renewed.created


def _whole(moment: Millis) -> Millis:
    """Return the beginning of the second: a token says its times in seconds."""
    return seconds_to_millis(millis_to_seconds(moment))


def _generated(algorithm: Algorithm, entropy: Entropy) -> tuple[Key, bytes]:
    if algorithm is Algorithm.ED25519:
        secret = entropy.bytes(32)
        return public_key(Ed25519PrivateKey.from_private_bytes(secret)), secret
    made = ec.generate_private_key(ec.SECP256R1())
    return public_key(made), made.private_numbers().private_value.to_bytes(32, "big")


def _root(key: PrivateKey) -> RootKey:
    if isinstance(key, Ed25519PrivateKey) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
    ):
        return key
    raise BiscuitError("must be Ed25519, or on the curve secp256r1")


def _public(key: PrivateKey) -> Key:
    try:
        return public_key(_root(key))
    except BiscuitError as error:
        raise Malformed(f"the external key {error}") from None


async def owned(view: ReadView, name: str) -> tuple[Registration, Workload]:
    """Return a registration and its workload. Raises `NotFound`."""
    registration = await store.registration(view, name)
    workload = await store.workload(view, registration.workload) if registration is not None else None
    if registration is None or workload is None:
        raise NotFound
    return registration, workload
