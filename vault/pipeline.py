# SPDX-License-Identifier: EUPL-1.2
"""THE request path. Every security decision of a request is here, in the only order there is: see `Pipeline.handle`.

What stands below comes in the order in which it runs: first the stages, then what begins a call again, then refusals.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from vault.audit.broker import Broker, Taken
from vault.barrier.barrier import Barrier
from vault.barrier.failure import BarrierFailure, BarrierSealed
from vault.barrier.view import ReadView, View, core_prefix, mount_prefix
from vault.cache.follow import Follower
from vault.framework import schema
from vault.framework.call import NOWHERE, ROOT, Call, Destination, Identity
from vault.framework.concurrency.offload import Pool, client_of
from vault.framework.errors import (
    Busy,
    FactsChanged,
    Forbidden,
    Limited,
    NotFound,
    Reason,
    Sealed,
    Unauthenticated,
    Unavailable,
    UnsupportedOperation,
    UnsupportedPath,
    VaultError,
    forget_frames,
)
from vault.framework.keys.external import AskFirst
from vault.framework.limits import AT_ONCE
from vault.framework.quote import quote
from vault.framework.reply import RefusedReply, Reply
from vault.framework.request.conditions import refuse_unheeded
from vault.framework.request.operation import Operation
from vault.framework.route import Access
from vault.framework.telemetry.log import Log
from vault.idempotency import kept_answers
from vault.mount.router import Barred, Router
from vault.policy.gate import Gate
from vault.refusals import UnaskedRefusals, raise_refusal, refusing_route, taken, to_refusal
from vault.repeated.plan import Plan
from vault.repeated.plans import Plans
from vault.storage.protocol import Conflict, UnfitPath
from vault.token.authenticator import Authenticator
from vault.token.basis import leave_to_commit
from vault.wrap.wrapper import WRAPPING, Wrapper

_BODIED: Final = frozenset({Operation.UPDATE, Operation.CREATE, Operation.PATCH})
_READS: Final = frozenset({Operation.READ, Operation.LIST, Operation.SCAN, Operation.HELP})
_LISTS: Final = frozenset({Operation.LIST, Operation.SCAN})
_ATTEMPTS: Final = 8
"""How often a call starts again because a fact that it stood on changed, what it asked for is another by then, or it lost."""
_NOTHING: Final = mount_prefix(NOWHERE.uuid)
"""Below this, no namespace ever stores anything."""

Record = Callable[[Call, Reply[object] | None], Taken]


class Pipeline:
    """Carries calls from a head that the front has read to an answer that is recorded."""

    def __init__(
        self,
        *,
        barrier: Barrier,
        router: Router,
        authenticators: Sequence[Authenticator],
        gate: Gate,
        audit: Broker,
        follower: Follower,
        wrapper: Wrapper,
        log: Log,
        admit: Callable[[Call], None] = lambda _: None,
        issue: Callable[[], None] = lambda: None,
    ) -> None:
        """`admit` refuses who asks too often, and `issue` to make tokens; without them nobody does."""
        self._barrier, self._admit, self._issue = barrier, admit, issue
        self._router, self._authenticators, self._gate = router, authenticators, gate
        self._audit, self._follower, self._wrapper = audit, follower, wrapper
        self._log, self._pool, self.plans = log, Pool(threads=1, name="body"), Plans(follower)
        self.unasked = UnaskedRefusals(router, authenticators, audit, log)

    async def handle(self, call: Call, plan: Plan | None = None) -> Reply[object] | None:
        """Carry one request through every stage, or through those that its `plan` leaves: all that is decided about it.

        1. Resolve: where the path leads. A miss becomes a route that refuses, so that only the authorised learn of it.
        2. Admit: the rate limits, and devices that must have the log, before anything that costs or is spent.
        3. Authenticate: the token becomes an identity.
        4. Parse the body, under limits. Whoever needs a token and has no good one got no further.
        5. Authorise: the ACL, then the credential's own checks.
        6. Record the request, as nothing is done that no audit device knows of.
        7. Build the parameters, and do what precedes a transaction: ask others, hash.
        8. Run the handler, unless the same write was answered before. Of a write, 8 to 11 are in one transaction.
        9. Fence: what allowed the call is true at the epoch of the data that it saw, or all begins again (`retry`).
        10. Leave in a listing what the caller may see, and wrap the answer.
        11. Record the answer, before it is committed and before anybody sees it.

        These numbers stand at the lines. Raises `VaultError` once it has been recorded, whatever went wrong.
        """
        try:
            try:
                tried = self.attempt(call) if plan is None else self.repeat(call, plan)
                reply = raise_refusal(call, await tried)
            except (FactsChanged, AskFirst, Conflict) as again:
                reply = await self.retry(call, again)
            after, call.after = call.after, None
            if after is not None:
                call.record.flush()
                call.record.standing = True
                await after()
            return reply
        except Exception as error:  # noqa: BLE001 -- it is raised again
            # What is raised has no name here: it leads to this frame, and so to a token (SL-58).
            raise await self.refuse(call, error)  # noqa: B904 -- mostly it is the same

    async def attempt(self, call: Call, core: View | None = None) -> Reply[object] | None:
        """Try once, in a transaction of its own unless there is one. Raises `FactsChanged`, `Conflict`: nothing was done."""
        call.epoch = self._follower.epoch
        as_of = self._follower.state
        # 1. to 7. Who may not go on by outdated facts may by newer ones.
        try:
            await self.check_in(call, core)
        except (VaultError, BarrierFailure):
            await self.require_current_facts(call)
            raise
        # 8. to 11. in a transaction, if anything is written.
        if core is not None:
            return await self.write(call, core)
        if call.bound.route.access.writes_as(call.operation):
            return await self.commit(call)
        # 8. and 9. without one. Wrapping writes the answer of a look, which may have taken long, in one of its own.
        result = await self.invoke(call, None if self._barrier.sealed else call.reader)
        if call.options.wrap_ttl:
            return await self.commit(call, (result,))
        # 10. and 11.
        reply = await self.finish(call, await self.filter_listing(call, result), self._audit.together)
        streams = reply is not None and reply.stream is not None
        if call.key is not None and call.identity is not None and not streams:
            self.plans.keep(call, as_of, self._gate.until(call.identity))
        return reply

    async def check_in(self, call: Call, core: View | None) -> None:
        """Find out what is asked for, by whom, and that they may; record it, and do what precedes a transaction."""
        # 1. Resolve, before limits and tokens: both are of a namespace.
        self.resolve(call)
        # 2. Admit.
        await self.admit(call)
        # 3. Authenticate.
        await self.authenticate(call)
        # 4. Parse.
        if call.operation in _BODIED:
            await self.parse(call)
        # 5. Authorise. In a transaction, whether there is something is asked there, where the answer will be used.
        if core is not None:
            core.opened = call.reader.opened
            call.reader = core.mount(call.mount.uuid)
        await self.authorise(call)
        # 6. Record the request, once for all attempts. What changes nothing before its answer is recorded waits for that.
        access = call.bound.route.access
        if not call.record.audited and not access.unaudited:
            asks = access.asks or (call.operation in _READS and not access.writes)
            later = self._audit.request(call, hold=asks or access.contained)
            call.record.audited = True
            if later is not None:
                await later
        # 7. Parameters, and what precedes a transaction. Others are asked for nobody whom newer facts would not let.
        try:
            if call.head.conditions is not None and access.writes and not access.conditional:
                refuse_unheeded(call.head.conditions)
            call.params = schema.build_params(call.bound.route, call.captures, call.data, call.warnings)
        except VaultError:
            if call.unsettled:  # no transaction will come to it
                await self.tell_create_from_update(call)
            raise
        if call.bound.before is not None and call.prepared is None:
            await self.require_current_facts(call)
            call.prepared = await call.bound.before(call, call.params)
            if isinstance(call.prepared, Reply) and call.prepared.long:
                await self._audit.hash_reply(call, call.prepared)

    def resolve(self, call: Call) -> None:
        """Find namespace, mount and route; from here on the path is split into namespace and path, and stays so.

        What is missing becomes a route that refuses, told to the authorised only (SL-17). A namespace that does
        not answer at all says so to everybody.
        """
        sealed = self._barrier.sealed
        try:
            found = self._router.lead(call)
        except (UnsupportedPath, UnsupportedOperation) as miss:
            call.bound = refusing_route(miss)
        except Barred as barred:
            call.bound = refusing_route(barred.reason, Access(public=True))
        else:
            if found is None:
                nothing = NotFound(f'no handler for route "{quote(call.path)}". route entry not found.')
                call.bound = refusing_route(nothing)
            else:
                call.bound = found.bound
        if not sealed:
            where = call.destination
            prefix = where.prefix or core_prefix(where.namespace.id) + _NOTHING
            call.reader = self._barrier.reader(where.namespace.id, prefix)
            if call.bound.route.access.writes:
                call.reader.opened = {}
        elif not call.bound.route.access.when_sealed:
            raise Sealed

    async def admit(self, call: Call) -> None:
        """Ask the limits, which count a request once, by the facts of its last attempt, and what else puts a request off."""
        try:
            self._admit(call)
        except Limited:
            await self.require_current_facts(call)
            raise
        if self._audit.watch is not None and not call.admitted:
            self.unasked.require_devices(call)
        call.admitted = True

    async def authenticate(self, call: Call) -> None:
        """Find out who calls, and from where. A public route takes a valid token along, if records tell, and ignores others."""
        token, access = call.token.reveal(), call.bound.route.access
        call.identity = None
        if call.login is not None and call.login.identity is not None:
            call.identity, call.token = call.login.identity, call.login.identity.token
            if call.identity.namespace is not call.namespace:
                self.move_to_token_namespace(call, call.identity)
            return
        if self._barrier.sealed or (access.public and (not token or access.unaudited)):
            return
        try:
            for authenticator in self._authenticators:
                if authenticator.recognises(token):
                    call.identity = authenticator.known(call) or await authenticator.authenticate(call)
                    if call.identity.namespace is not call.namespace:
                        self.move_to_token_namespace(call, call.identity)
                    return
        except BarrierSealed:  # it is being unsealed: nobody is known, and nobody unknown
            if not (access.public and access.when_sealed):
                raise
            return
        except Unauthenticated:
            if not access.public:
                raise
        if not access.public:
            raise Unauthenticated

    def move_to_token_namespace(self, call: Call, identity: Identity) -> None:
        """Answer what is about the caller's own token where that token lives, whichever namespace was named.

        Whoever holds a wrapping token may only fetch what waits there, so all that it asks is asked there.
        """
        if call.bound.route.access.own or identity.policies == WRAPPING:
            call.within = ""
            call.destination = Destination(path=identity.namespace.path + call.path)
            self.resolve(call)

    async def parse(self, call: Call) -> None:
        """Decode a body, under limits, only now that the caller is known."""
        long = len(call.body) > AT_ONCE
        if long and not schema.is_read(call):
            schema.refuse_unknown(call)  # not once it is its turn: nobody's long body waits for that
            await self._pool.run(client_of(call), partial(schema.read_body, call))
        call.data = schema.read_body(call)
        if long and not call.bound.route.access.unaudited:
            await self._audit.hash_request(call)

    async def authorise(self, call: Call) -> None:
        """Ask the ACL, with the path that the handler will get. Public routes need no one's permission."""
        bound, identity, access = call.bound, call.identity, call.bound.route.access
        if identity is not None and identity.namespace is not call.namespace and not access.public:
            self.require_namespace(call, identity)
        either = None
        if bound.exists is not None and call.operation is Operation.UPDATE:
            # Where either is allowed alike, and recorded with the answer alone, the transaction to come finds out.
            either = self._gate.lets_either(call) if access.contained and not access.writes_new else None
            call.unsettled = either is not None
            if either is None:
                await self.tell_create_from_update(call)
        if access.public or call.operation is Operation.HELP:
            self.apply_credential_checks(call, identity)
            return
        if self._barrier.sealed:
            if access.when_sealed:
                return
            raise Sealed  # it was open when the call came in: nothing is allowed unasked
        decision = either or self._gate.decide(call) or await self._gate.check(call)
        call.decision = decision
        if decision.pagination_limit is not None:
            call.asked = call.data
            call.data = {**call.data, "limit": decision.pagination_limit}
        if not decision.allowed:
            raise Forbidden(path=call.path, capability=call.operation, reason=decision.reason)
        if access.sudo and not (decision.sudo or decision.root):
            raise Forbidden(path=call.path, capability="sudo", reason=Reason.SUDO)
        self.apply_credential_checks(call, identity)

    async def tell_create_from_update(self, call: Call) -> None:
        """Find out whether there is something to update."""
        call.unsettled = False
        if call.bound.exists is not None:
            exists = kept_answers.existed if call.head.idempotency_key else call.bound.exists
            call.operation = Operation.UPDATE if await exists(call) else Operation.CREATE

    def require_namespace(self, call: Call, identity: Identity) -> None:
        """Refuse whoever is not of this namespace or one above it, before anything in it is looked at."""
        if not identity.namespace.holds(call.namespace):
            raise Forbidden(path=call.path, capability=call.operation, reason=Reason.NAMESPACE)

    def apply_credential_checks(self, call: Call, identity: Identity | None) -> None:
        """Ask the credential's own checks, which only ever take away. Where anybody may call, it is left out."""
        if identity is None or identity.narrowing is None:
            return
        if identity.narrowing.allows(call, call.operation, path=call.namespace.path + call.path):
            return
        if call.bound.route.access.public:
            call.identity = None
            return
        raise Forbidden(path=call.path, capability=call.operation, reason=Reason.CREDENTIAL)

    async def commit(self, call: Call, found: tuple[object] | None = None) -> Reply[object] | None:
        """Run the handler in one transaction, or wrap what a look `found`, and make known here what changed first."""
        where = call.namespace.id
        async with self._barrier.write(where, core_prefix(where), optimistic=True) as core:
            reply = await self.write(call, core, found)
        await self._follower.learn(core.transaction)
        return raise_refusal(call, reply)

    async def write(self, call: Call, core: View, found: tuple[object] | None = None) -> Reply[object] | None:
        """Run the handler within a transaction: what it did, its wrapping and its audit record stand or fall with it."""
        core.opened = call.reader.opened
        call.core = core
        call.reader = call.tx = core.mount(call.mount.uuid)
        allowed, unsettled = call.operation, call.unsettled
        await self.tell_create_from_update(call)
        if call.operation is not allowed and not unsettled:
            raise FactsChanged  # what the caller may do depends on whether there is something: it changed since
        # 8. and 9., which the commit does where it can. A refusal that keeps what it wrote gets its answer recorded as every
        # refusal does.
        rests = leave_to_commit(call, core.transaction)
        result = found[0] if found else await self.invoke(call, None if rests else core)
        if found and not rests:
            await self.fence(call, core)
        if isinstance(result, RefusedReply):
            await taken(self._audit.release(call))
            return result
        # 10. and 11. Filtered before it is wrapped: what waits for a wrapping token is asked by anybody who has that.
        reply = await self._wrapper.wrap(call, core, await self.filter_listing(call, result))
        if reply is not None and (reply.auth or reply.display_name or reply.wrap_info):  # it brings a token
            self._issue()
        answer = await self.finish(call, reply, self._audit.before_commit)
        call.record.standing = True
        return answer

    async def invoke(self, call: Call, seen: ReadView | None) -> object:
        """Run the handler; neither answer, refusal, failure nor what it asks others rests on facts that `seen` outdates."""
        try:
            run = kept_answers.invoke if call.head.idempotency_key else call.bound.invoke
            result = await run(call, call.params)  # 8.
        except (VaultError, AskFirst, BarrierFailure, UnfitPath):
            if seen is not None and not call.bound.route.access.factless:
                await self.fence(call, seen)
            raise
        # 9. What rests on no facts may have replaced them.
        if seen is not None and seen.epoch != call.epoch and not call.bound.route.access.factless:
            await self.fence(call, seen)
        return result

    async def require_current_facts(self, call: Call) -> None:
        """Refuse nobody by facts that are no longer true either. Raises `FactsChanged`."""
        if not (self._barrier.sealed or (call.admitted and call.bound.route.access.factless)):
            await self.fence(call, self._barrier.reader(ROOT.id, ""))

    async def fence(self, call: Call, seen: ReadView) -> None:
        """Let nothing out that was let in by facts older than the data. Raises `FactsChanged`; a transaction is undone."""
        if seen.epoch == 0:
            await seen.get("")  # there is no such row: any read tells the epoch
        if seen.epoch != call.epoch:
            await self.stand(call, seen.epoch)

    async def stand(self, call: Call, epoch: int) -> None:
        """Let a call go on by its facts where they are true at `epoch` too. Raises `FactsChanged`.

        They are where nothing that changed in between is what it stands on: the era, which ends with any fact but those
        about a token, and the caller, of whose token those that hold it are told.
        """
        await self._follower.reach(epoch)
        if not ((call.identity is None or call.identity.held) and self._follower.lasts(call.epoch)):
            raise FactsChanged
        call.epoch = epoch

    async def filter_listing(self, call: Call, result: object) -> Reply[object] | None:
        """Leave in a listing what the caller may see of it, before it is kept anywhere. Raises `NotFound`."""
        if result is None:
            return None
        reply = result if isinstance(result, Reply) else Reply(data=result)
        if call.decision is not None:
            if call.decision.filter_path:
                await self._gate.filter(call, reply)
            if call.options.readable and call.operation in _LISTS:
                await self._gate.narrow(call, reply)
        return reply

    async def finish(
        self, call: Call, reply: Reply[object] | None, record: Record | None = None
    ) -> Reply[object] | None:
        """Record the answer before anybody sees it or it is committed (SL-53); `record` is how, where it waits for that."""
        if reply is not None:
            if call.warnings:
                reply.warnings = [*reply.warnings, *call.warnings]
            if reply.long:
                await self._audit.hash_reply(call, reply)
        access = call.bound.route.access
        if not access.unaudited:
            try:
                later = (record or self._audit.response)(call, reply)
                if later is not None:
                    await later
            except Unavailable:
                if not access.despite_audit or call.options.wrap_ttl:  # a token that is made is no look
                    raise
        return reply

    async def repeat(self, call: Call, plan: Plan) -> Reply[object] | None:
        """Answer a read about which the plan has what 1, 3, 4, 5 and 7 find out. Raises `FactsChanged`, as any attempt."""
        call.epoch = self._follower.epoch
        # 2. Admit.
        await self.admit(call)
        where = plan.destination
        call.reader = self._barrier.reader(where.namespace.id, where.prefix)
        # 6. Record the request; it only reads, so that waits for the answer.
        self._audit.request(call, hold=True)
        call.record.audited = True
        # 8. to 11. The record waits in a batch, and the answer there with it.
        reply = await self.filter_listing(call, await self.invoke(call, call.reader))
        return await self.finish(call, reply, self._audit.exchange)

    async def retry(self, call: Call, again: FactsChanged | AskFirst | Conflict) -> Reply[object] | None:
        """Try again from the newest facts. A write takes its turn first, so that none can change under it."""
        forget_frames(again)
        for times in range(_ATTEMPTS):
            # a. Ask others what the handler needs of them; that leaves a trace, so the request is recorded first.
            if isinstance(again, AskFirst):
                await taken(self._audit.release(call))
                call.prepared = await again.ask()
            # b. Forget the attempt, and learn the newest facts.
            call.start_over()
            await self._follower.catch_up()
            call.epoch = self._follower.epoch
            try:
                # c. As before: what only looks, has to ask others first, or lost once (it stands in line this time).
                self.resolve(call)
                lost, access = times == 0 and isinstance(again, Conflict), call.bound.route.access
                unprepared = call.bound.before is not None and call.prepared is None
                if lost or unprepared or access.writes_new or not access.writes:
                    return raise_refusal(call, await self.attempt(call))
                # d. Outside the turn: what opens a transaction of its own (a token seen first), and what takes time.
                await self.authenticate(call)
                call.in_turn = True
                if call.operation in _BODIED:
                    await self.parse(call)
                # e. In the turn nobody else commits: the facts of now stay true, and all stages run by them.
                where = call.namespace.id
                async with self._barrier.write(where, core_prefix(where)) as core:
                    await self._follower.catch_up()
                    self.require_same_namespace(call, where)
                    reply = await self.attempt(call, core)
                await self._follower.learn(core.transaction)
                return raise_refusal(call, reply)
            except (FactsChanged, AskFirst, Conflict) as later:
                call.record.standing = False
                forget_frames(again := later)
        raise Busy("what allows this request, or what it is about, kept changing; try again")

    def require_same_namespace(self, call: Call, where: str) -> None:
        """Make sure that the path leads into the namespace that the transaction was opened on. Raises `FactsChanged`."""
        self.resolve(call)
        if call.namespace.id != where:
            raise FactsChanged

    async def refuse(self, call: Call, error: Exception) -> VaultError:
        """Record a refusal, the request too where that had not been done, and return it."""
        refusal = to_refusal(call, error, self._log)
        forget_frames(error)
        if hasattr(call, "bound") and call.bound.route.access.unaudited:
            return refusal
        if isinstance(refusal, Sealed) or (isinstance(refusal, Limited) and not refusal.recorded):
            self.unasked.record(call, refusal)
            return refusal
        if not call.record.audited:
            await taken(self._audit.request(call, refusal))
        await taken(self._audit.response(call, None, refusal))
        return refusal
