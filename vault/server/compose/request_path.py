# SPDX-License-Identifier: EUPL-1.2
"""What requests pass: the pipeline, and who it asks."""

from __future__ import annotations

from time import monotonic

from vault.framework.call import Call, Identity
from vault.framework.telemetry.refusals import Refusals
from vault.mount.router import Router
from vault.pipeline import Pipeline
from vault.seal.lifecycle import Lifecycle
from vault.server.compose.groups.capacities import Capacities
from vault.server.compose.groups.controls import Controls
from vault.server.compose.groups.credentials import Credentials
from vault.server.compose.groups.ground import Ground
from vault.token.authenticator import ServiceTokens
from vault.wire.in_flight import Handle, RunningRequests
from vault.wire.v1 import STATUS
from vault.wrap.guard import WrappingGuard


class Witness:
    """Service tokens; the first one that is accepted proves that what came with a new vault arrived."""

    def __init__(self, inner: ServiceTokens, lifecycle: Lifecycle) -> None:
        self._inner = inner
        self._lifecycle = lifecycle
        self.recognises = inner.recognises
        self.known = inner.known

    async def authenticate(self, call: Call) -> Identity:
        """See `Authenticator.authenticate`."""
        identity = await self._inner.authenticate(call)
        self._lifecycle.prove()
        return identity


def make_pipeline(
    ground: Ground,
    lifecycle: Lifecycle,
    router: Router,
    credentials: Credentials,
    controls: Controls,
    capacities: Capacities,
) -> Pipeline:
    """Make the pipeline."""
    barrier, follower, store = ground.barrier, ground.follower, credentials.tokens
    tokens = ServiceTokens(store, barrier, follower, most=capacities.tokens)
    service = WrappingGuard(Witness(tokens, lifecycle), credentials.wrapper, store, barrier)
    pipeline = Pipeline(
        barrier=barrier,
        router=router,
        authenticators=(credentials.batch, credentials.biscuits, service),
        gate=controls.gate,
        audit=controls.audit,
        follower=follower,
        wrapper=credentials.wrapper,
        log=ground.log,
        admit=controls.quotas.admit,
        issue=controls.skew.require,
    )
    pipeline.plans.accompany(tokens.tidy)
    return pipeline


def make_requests(ground: Ground, pipeline: Pipeline) -> RunningRequests:
    """Make what the listeners share: the requests that the pipeline carries, and what is refused before it."""
    handle: Handle = pipeline.handle
    if ground.feed is not None:
        handle = ground.feed.around(handle, STATUS)
    return RunningRequests(
        ground.metrics,
        handle,
        pipeline.refuse,
        pipeline.unasked.record,
        Refusals(ground.log, ground.metrics, monotonic),
        STATUS,
    )
