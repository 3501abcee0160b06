# SPDX-License-Identifier: EUPL-1.2
"""The routes of an `nhi` mount: issuer keys, workloads, registrations; tokens issued, shown and revoked."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, cast

import msgspec

from nhi.biscuit.credential.authenticator import Biscuits, policies_of
from nhi.biscuit.credential.possession import JKT, X5T, Bound
from nhi.biscuit.credential.verdict import Refusal
from nhi.biscuit.format.authority import Algorithm
from nhi.biscuit.format.datalog import Block
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_block
from nhi.biscuit.issue.issuer import Mint, owned, prepared
from nhi.biscuit.issue.service import auth_of
from nhi.biscuit.login.failures import Reason
from nhi.biscuit.login.proof import Evidence, Proof, Prover
from nhi.biscuit.offline.attenuation import hops
from nhi.biscuit.offline.deadline import ends
from nhi.biscuit.offline.verify import is_biscuit
from nhi.biscuit.records import store
from nhi.biscuit.records.attestation import PRIVATE_KEY, SECRET
from nhi.biscuit.records.model import IssuerKey, KeyState, Place, Registration, Workload
from nhi.biscuit.revocation.mount_removal import Leaving
from nhi.biscuit.routes.params import (
    BlockInfo,
    IssueParams,
    KeyChange,
    KeyInfo,
    KeyParams,
    KeyPath,
    LoginParams,
    Names,
    TokenInfo,
    TokenParams,
    WorkloadInfo,
    WorkloadParams,
    WorkloadPath,
)
from nhi.biscuit.routes.publication_routes import word
from nhi.biscuit.routes.registration_routes import names_in
from nhi.biscuit.routes.revocation_routes import destroy, end_workload, forget_workload
from vault.barrier.barrier import Barrier
from vault.barrier.view import View
from vault.framework.call import Call, MountFacts, Namespace, Reply
from vault.framework.clock import Clock, Entropy, rfc3339
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound, Unauthenticated
from vault.framework.keys.external import AskFirst
from vault.framework.route import delete, list_, read, write
from vault.token.authenticator import core_reader

_ALGORITHMS: Final = {"ed25519": Algorithm.ED25519, "p256": Algorithm.P256}
_NEXT: Final = {
    KeyState.STAGED: {KeyState.ACTIVE, KeyState.DESTROYED},
    KeyState.ACTIVE: {KeyState.RETIRED, KeyState.DESTROYED},
    KeyState.RETIRED: {KeyState.ACTIVE, KeyState.DESTROYED},
    KeyState.DESTROYED: set[KeyState](),
}
_LONGEST_DATALOG: Final = 16_384

Audiences = Callable[[Call], tuple[str, ...]]


_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}\Z")


class KeyEngine(Engine):
    """Issuer keys. A key's number says for ever which mount of which namespace it is of."""

    stays = True

    def __init__(self, mint: Mint, leaving: Leaving) -> None:
        self._mint = mint
        self._leaving = leaving

    async def unmounting(self, core: View, home: Namespace, mount: MountFacts) -> None:
        """See `Engine.unmounting`: whatever the keys have signed ends."""
        await self._leaving.end(core, Place(home.id, mount.uuid), mount.logins)

    @list_("keys")
    async def list_keys(self, call: Call) -> Names:
        """List the numbers of all issuer keys, the oldest first."""
        found = await store.keys(call.reader)
        if not found:
            raise NotFound
        return Names([str(key.kid) for key in found])

    @write("keys")
    async def make_key(self, call: Call, params: KeyParams) -> KeyInfo:
        """Make an issuer key, or take one in a device. Tokens are signed by the newest active one."""
        algorithm = _ALGORITHMS.get(params.algorithm)
        if algorithm is None:
            raise Malformed("algorithm: must be ed25519 or p256")
        state = KeyState.STAGED if params.staged else KeyState.ACTIVE
        return _shown(await self._mint.new_key(call, algorithm, params.external, state))

    @read("keys/{kid}")
    async def read_key(self, call: Call, params: KeyPath) -> KeyInfo:
        """Show an issuer key."""
        key = await store.key(call.reader, _number(params.kid))
        if key is None:
            raise NotFound
        return _shown(key)

    @write("keys/{kid}")
    async def change_key(self, call: Call, params: KeyChange) -> KeyInfo:
        """Activate, retire or destroy an issuer key. The tokens of a destroyed one end at once."""
        key = await store.key(call.tx, _number(params.kid))
        if key is None:
            raise NotFound
        if params.state not in set(KeyState) or KeyState(params.state) not in _NEXT[key.state]:
            raise Malformed(f"state: a key that is {key.state} cannot become that")
        state = KeyState(params.state)
        if state is KeyState.DESTROYED:
            return _shown(await destroy(call, key))
        changed = msgspec.structs.replace(key, state=state, changed=call.now)
        await store.put_key(call.tx, changed)
        return _shown(changed)


class WorkloadEngine(Engine):
    """Workloads and registrations."""

    def __init__(self, clock: Clock, entropy: Entropy) -> None:
        self._clock = clock
        self._entropy = entropy

    @list_("workloads")
    async def list_workloads(self, call: Call) -> Names:
        """List the names of all workloads."""
        return await names_in(call, store.WORKLOADS)

    @read("workloads/{name:name}")
    async def read_workload(self, call: Call, params: WorkloadPath) -> WorkloadInfo:
        """Show a workload."""
        found = await _workload(call, params.name)
        return WorkloadInfo(
            name=found.name,
            owner=found.owner,
            description=found.description,
            disabled=found.disabled,
            reason=found.reason,
            expire_time=rfc3339(found.expires * 1_000_000),
        )

    @write("workloads/{name:name}", exists="has_workload")
    async def write_workload(self, call: Call, params: WorkloadParams) -> None:
        """Make a workload, or change and enable it. It needs an owner, and an end."""
        if not params.owner:
            raise Malformed("owner: a workload needs somebody who answers for it")
        if params.ttl <= 0:
            raise Malformed("ttl: a workload needs an end")
        old = await store.workload(call.tx, params.name)
        new = Workload(
            name=params.name,
            uid=old.uid if old is not None else self._entropy.uuid(),
            owner=params.owner,
            expires=self._clock.millis() + params.ttl * 1000,
            description=params.description,
        )
        await store.put_workload(call.tx, new)

    @delete("workloads/{name:name}")
    async def delete_workload(self, call: Call, params: WorkloadPath) -> None:
        """Remove a workload. Its tokens end at once."""
        old = await store.workload(call.tx, params.name)
        if old is not None:
            await forget_workload(call, old)

    @write("workloads/{name:name}/revoke")
    async def revoke_workload(self, call: Call, params: WorkloadPath) -> None:
        """End all tokens of a workload at once, and give it no others until it is written again."""
        old = await _workload(call, params.name)
        await end_workload(call, old, self._entropy)

    async def has_workload(self, call: Call) -> bool:
        """Tell update from create."""
        return await store.workload(call.reader, call.captures["name"]) is not None


class IssuingEngine(Engine):
    """Tokens: issued, shown, revoked."""

    def __init__(
        self, mint: Mint, biscuits: Biscuits, barrier: Barrier, prover: Prover, names: Audiences
    ) -> None:
        """`names` are what clients' own assertions may be for: this server, as they call it."""
        self._prover = prover
        self._names = names
        self._mint = mint
        self._biscuits = biscuits
        self._barrier = barrier

    @write("issue/{name:name}")
    async def issue(self, call: Call, params: IssueParams) -> Reply[None]:
        """Make a token for a registration."""
        registration, workload = await owned(call.tx, params.name)
        given = [Bound(kind, one) for kind, one in ((X5T, params.x5t), (JKT, params.jkt)) if one]
        if len(given) > 1 or not all(_THUMBPRINT.match(one.thumbprint) for one in given):
            raise Malformed("x5t or jkt: give one, as 43 characters of base64url")
        place = (Place(call.namespace.id, call.mount.uuid), call.namespace.path)
        token, issued = await self._mint.mint(
            call, place, registration, workload, params.ttl, pop=given[0] if given else None
        )
        return Reply(auth=auth_of(token, issued), display_name=f"nhi-{workload.name}")

    @write("login", public=True, contained=True)
    async def login(self, call: Call, params: LoginParams) -> Reply[None]:
        """Make a token for whoever proves to be the workload of a registration, in the way that it demands."""
        return await self.log_in(call, params)

    async def log_in(self, call: Call, params: LoginParams, door: str = "") -> Reply[None]:
        """As `login`; `door` is what the mount below `auth/` calls its logins by which the call came in."""
        shown = [bool(params.client_secret), bool(params.jwt), bool(params.client_assertion)]
        if sum(shown) > 1:
            raise Malformed("give one of client_secret, jwt and client_assertion")
        asked = cast("Proof | None", prepared(call))
        proof = asked
        if proof is None and params.client_secret:
            proof = await self._prover.at_hand(call, params.client_id, params.client_secret)
        if proof is None:
            raise AskFirst(lambda: self._prove(call, params))
        found = await self._prover.granted(call, proof, fresh=asked is None)
        if found is None:
            raise Unauthenticated("the registration has changed, or the proof was used before: log in again")
        try:
            return await self._issue(call, *found, params.ttl, proof.method, door)
        except Malformed as error:
            self._prover.lacks(call, proof, Reason.NOT_MADE, error.message)
            raise

    async def _prove(self, call: Call, params: LoginParams) -> Proof:
        """Look at a proof that takes time, outside of any transaction. Raises `Malformed`, `Unauthenticated`."""
        call.reader = core_reader(self._barrier, call.namespace).sub(f"mnt/{call.mount.uuid}/")
        if params.client_secret:
            return await self._prover.prove(
                call, params.client_id, Evidence(method=SECRET, secret=params.client_secret)
            )
        registration = await store.registration(call.reader, params.client_id) if params.client_id else None
        method = registration.method if registration is not None else SECRET
        token = params.client_assertion if method == PRIVATE_KEY else params.jwt
        if method == SECRET:
            token = params.jwt or params.client_assertion  # it is none, and not what was to be shown
        return await self._prover.prove(
            call, params.client_id, Evidence(method=method, token=token, audiences=self._names(call))
        )

    @write("introspect", writes=False)
    async def introspect(self, call: Call, params: TokenParams) -> TokenInfo:
        """Show what a token is and says, and whether it is good now. Its checks are shown, not asked."""
        core = core_reader(self._barrier, call.namespace)
        found = await self._biscuits.judge(core, params.token, call.now)
        call.reader.epoch = max(core.epoch, call.reader.epoch)
        issued = found.issued if found is not None else None
        if found is None or issued is None or not self._here(call, found.owner):
            here = found is not None and self._here(call, found.owner)
            foreign = "no key of this mount has signed it" if is_biscuit(params.token) else "it is no Biscuit"
            return TokenInfo(
                active=False, refusal=found.refusal.value if found is not None and here else foreign
            )
        ended = ends(found.blocks)
        until = min(issued.expires, ended or issued.expires)
        refusal = found.refusal or (Refusal.EXPIRED if call.now >= until else Refusal.NONE)
        return TokenInfo(
            active=not refusal,
            refusal=refusal.value,
            problem=found.problem,
            token_id=issued.token_id,
            kid=issued.kid,
            workload=issued.workload,
            registration=issued.registration,
            method=issued.method,
            policies=policies_of(found.blocks[0]),
            namespace=found.home.path,
            issue_time=rfc3339(issued.created * 1_000_000),
            expire_time=rfc3339(until * 1_000_000),
            sealed=found.verified is not None and found.verified.chain.next_secret is None,
            cost=found.verified.cost if found.verified is not None else 0,
            blocks=[
                BlockInfo(
                    id=block_id.hex(),
                    parent=found.ids[place - 1].hex() if place else "",
                    index=place,
                    narrowing=hop.narrowing,
                    anomalies=hop.anomalies,
                    datalog=_datalog(block),
                    external_key=hop.approver or None,
                )
                for place, (block_id, block, hop) in enumerate(
                    zip(found.ids, found.blocks, hops(found.blocks), strict=False)
                )
            ],
        )

    def _here(self, call: Call, owner: Place) -> bool:
        return owner == Place(call.namespace.id, call.mount.uuid)

    async def _issue(
        self, call: Call, registration: Registration, workload: Workload, ttl: int, method: str, door: str
    ) -> Reply[None]:
        place = (Place(call.namespace.id, call.mount.uuid), call.namespace.path)
        pop = self._biscuits.possession.binding(call, registration.pop)
        token, issued = await self._mint.mint(
            call, place, registration, workload, ttl, method, pop=pop, door=door
        )
        return Reply(auth=auth_of(token, issued), display_name=f"nhi-{workload.name}")


def _datalog(block: Block) -> str:
    """Return what a block says, no longer than anybody reads: a text of it may come again and again."""
    try:
        text = print_block(block)
    except BiscuitError:
        return "an expression of it does not print"
    return text if len(text) <= _LONGEST_DATALOG else f"{text[:_LONGEST_DATALOG]}…"


def _number(text: str) -> int:
    """Return a key's number; 0, which is no key's, for anything else."""
    return int(text) if text.isdecimal() and text.isascii() and len(text) <= 10 else 0


async def _workload(call: Call, name: str) -> Workload:
    found = await store.workload(call.reader, name)
    if found is None:
        raise NotFound
    return found


def _shown(key: IssuerKey) -> KeyInfo:
    return KeyInfo(
        kid=key.kid,
        algorithm=word(key),
        state=key.state,
        public_key=key.public.hex(),
        held=key.where,
        created_time=rfc3339(key.created * 1_000_000),
    )
