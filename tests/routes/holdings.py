# SPDX-License-Identifier: EUPL-1.2
"""What hangs on a token, made and looked for in an application's storage: to be run with `Application.run`."""

from tests.calls import call_for_account
from tests.routes.driver import Application
from vault.framework.secret import Secret
from vault.token.authenticator import ServiceTokens
from vault.values.ids import ROOT_ID, LeaseId
from vault.values.times import Seconds


async def new_lease(application: Application, token: str) -> str:
    """Make a lease for the holder of a token, a Biscuit or one of the store, as an engine does."""
    vault = application.vault
    call = call_for_account(vault.ground.clock.millis())
    call.token, call.client_address = Secret(token), "127.0.0.1"
    knows = ServiceTokens(vault.credentials.tokens, vault.ground.barrier, vault.ground.follower)
    call.identity = await (
        vault.credentials.biscuits if vault.credentials.biscuits.recognises(token) else knows
    ).authenticate(call)
    lease = vault.leases.store.new(call, ttl=Seconds(3600), longest=Seconds(7200), detail=b"")
    async with vault.ground.barrier.write(ROOT_ID, "ns/root/") as core:
        await vault.leases.store.issue(core, lease)
    return lease.id


async def is_over(application: Application, lease_id: str) -> bool:
    """Return whether a lease has ended, its removal being at most a matter of time."""
    vault = application.vault
    lease = await vault.leases.store.get(vault.ground.barrier.reader(ROOT_ID, "ns/root/"), LeaseId(lease_id))
    return lease is None or lease.expires <= vault.ground.clock.nanos()


async def entries_left(application: Application, *tokens: str) -> list[bool]:
    """Return of which of some tokens of the store an entry is left."""
    vault = application.vault
    core = vault.ground.barrier.reader(ROOT_ID, "ns/root/")
    return [
        await vault.credentials.tokens.get(core, vault.credentials.tokens.key(one)) is not None
        for one in tokens
    ]
