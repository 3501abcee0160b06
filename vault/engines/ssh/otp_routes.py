# SPDX-License-Identifier: EUPL-1.2
"""One-time passwords: handed out for a machine and a user, and verified once by the machine."""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from vault.barrier.stored import raw
from vault.barrier.view import ReadView, View
from vault.engines.ssh.forms.answers import Admission, Message, OneTimePassword, RoleNames
from vault.engines.ssh.forms.params import LookupParams, PasswordParams, VerifyParams, ZeroAddressParams
from vault.engines.ssh.otp import OTP, SALT, SALT_BYTES, Otp, place_of
from vault.engines.ssh.roles import role as roles
from vault.engines.ssh.roles.addresses import read_address, within
from vault.engines.ssh.roles.role import ROLES, Role, check_usable, find_role, is_usable, listed
from vault.engines.ssh.roles.zero_address import (
    set_zero_address,
    unset_zero_address,
    zero_address,
    zero_address_roles,
)
from vault.framework.call import Call, MountFacts, Namespace
from vault.framework.clock import Clock, Entropy
from vault.framework.concurrency.time_slice import TimeSlice
from vault.framework.engine import Engine
from vault.framework.errors import Malformed, NotFound
from vault.framework.keys.made import note_made
from vault.framework.limits import NAME
from vault.framework.names import check_length
from vault.framework.quote import quote
from vault.framework.reply import Reply
from vault.framework.route import delete, read, write
from vault.lease.holder import is_held
from vault.lease.store import LeaseStore
from vault.storage.paging import pages
from vault.token.lifetime import LifetimeLimits
from vault.token.store import TokenStore
from vault.values.times import millis_to_nanos

_ECHO: Final = Message("verify-echo-response")
_NOT_FOUND: Final = "OTP not found"
_MOST: Final = 1000
"""Roles for all addresses."""


class OtpEngine(Engine):
    """One-time passwords."""

    def __init__(
        self,
        leases: LeaseStore,
        tokens: TokenStore,
        clock: Clock,
        entropy: Entropy,
        limits: LifetimeLimits,
    ) -> None:
        """`limits` are the server's, where the mount has none."""
        self._clock = clock
        self._leases = leases
        self._tokens = tokens
        self._entropy = entropy
        self._limits = limits

    async def mounted(self, view: View) -> None:
        """Give a new mount the key of its hashes."""
        await view.put(SALT, raw(self._entropy.bytes(SALT_BYTES)))
        await note_made(view, SALT, self._clock.millis())

    async def unmounting(self, core: View, home: Namespace, mount: MountFacts) -> None:
        """End the leases of a mount that goes."""
        await self._leases.end_below(core, mount.path)

    @write("creds/{role:name}", contained=True, event="ssh.otp.issue")
    async def hand_out(self, call: Call, params: PasswordParams) -> Reply[OneTimePassword]:
        """Hand out a one-time password, under a lease that cannot be renewed."""
        if not params.ip:
            raise Malformed("Missing ip")
        role = await find_role(call.tx, params.role)
        if role is None:
            raise Malformed(f'Role "{quote(params.role)}" not found')
        check_usable(role)
        username = _username(role, params)
        address = _address(params.ip)
        if params.role not in await zero_address_roles(call.tx) and not _serves(role, address):
            raise Malformed("Error validating IP: IP does not belong to role")
        if role.kind != roles.OTP:
            raise Malformed("key type unknown: the role is not one of one-time passwords")
        password = self._entropy.uuid()
        place = await place_of(call.tx, password)
        longest = call.mount.max_ttl or self._limits.longest
        lease = self._leases.new(
            call,
            ttl=call.mount.default_ttl or self._limits.default,
            longest=longest,
            detail=place.encode(),
            renewable=False,
        )
        await call.tx.put(place, OTP.encode(Otp(params.role, username, str(address), lease.id)))
        await self._leases.issue(call.core, lease)
        made = OneTimePassword(
            ip=str(address), key=password, key_type=role.kind, port=role.port, username=username
        )
        return Reply(made, lease_id=lease.id, lease_duration=lease.ttl)

    @write("verify", public=True, before="look", contained=True, event="ssh.otp.verify")
    async def verify(self, call: Call, params: VerifyParams) -> Admission | Message:
        """Verify a one-time password for the machine that it is for. It is good once."""
        if call.prepared is _ECHO:
            return _ECHO
        place = await place_of(call.tx, params.otp)
        stored = await call.tx.get(place)
        otp = OTP.decode(stored) if stored is not None else None
        if otp is None or not await self._good(call, otp):
            raise Malformed(_NOT_FOUND)
        await call.tx.delete(place)
        return Admission(ip=otp.address, role_name=otp.role, username=otp.username)

    async def look(self, call: Call, params: VerifyParams) -> Message | None:
        """Refuse what is no one-time password before anything waits for a turn to write: anybody may ask.

        A machine that asks whether this server answers is told so.
        """
        if params.otp == "verify-echo-request":
            return _ECHO
        if len(params.otp) > NAME or await call.reader.get(await place_of(call.reader, params.otp)) is None:
            raise Malformed(_NOT_FOUND)
        return None

    async def _good(self, call: Call, otp: Otp) -> bool:
        """Tell whether the lease of a password is good, and the credential that it ends with."""
        now = millis_to_nanos(call.now)
        lease = await self._leases.get(call.core, otp.lease)
        return (
            lease is not None
            and lease.remaining(now) > 0
            and await is_held(call.core, self._tokens, lease, now)
        )

    @write("lookup", writes=False, event="ssh.role.lookup")
    async def look_up(self, call: Call, params: LookupParams) -> RoleNames:
        """List the roles that hand out one-time passwords for a machine."""
        if not params.ip:
            raise Malformed("Missing ip")
        address = _address(params.ip)
        found = []
        turn = TimeSlice()
        async for page in pages(call.reader.list, ROLES):
            for name in page:
                role = await find_role(call.reader, name)
                if role is not None and role.kind == roles.OTP and _serves_at_all(role, address):
                    found.append(name)
                await turn.step()
        found += await zero_address_roles(call.reader)
        return RoleNames(found or None)

    @read("config/zeroaddress", event="ssh.role.read")
    async def read_zero_address(self, call: Call) -> RoleNames:
        """Show which roles are for all machines."""
        found = await zero_address(call.reader)
        if found is None:
            raise NotFound
        return RoleNames(found.roles)

    @write("config/zeroaddress", contained=True, event="ssh.role.write")
    async def write_zero_address(self, call: Call, params: ZeroAddressParams) -> None:
        """Say which roles are for all machines, whatever their address."""
        if not params.roles:
            raise Malformed("Missing roles")
        await _check_roles(call.tx, params.roles)
        await set_zero_address(call.tx, params.roles)

    @delete("config/zeroaddress", contained=True, event="ssh.role.write")
    async def delete_zero_address(self, call: Call) -> None:
        """Have no role for all machines."""
        await unset_zero_address(call.tx)

    @delete("tidy/dynamic-keys", writes=False, event="ssh.key.delete")
    async def tidy(self, call: Call) -> Message:
        """Say that there are no keys of the kind of role that OpenBao no longer has."""
        return Message("Removed 0 of 0 host keys.")


async def _check_roles(view: ReadView, names: Sequence[str]) -> None:
    if len(names) > _MOST:
        raise Malformed(f"field 'roles' may have at most {_MOST} entries")
    for name in names:
        check_length(roles=name)
        if await find_role(view, name) is None:
            raise Malformed("field 'roles' names a role that does not exist")


def _address(text: str) -> IPv4Address | IPv6Address:
    found = read_address(text)
    if found is None:
        raise Malformed("Invalid IP: field 'ip' must be an address")
    return found


def _username(role: Role, params: PasswordParams) -> str:
    """Return whom a password is for. Raises `Malformed`."""
    check_length(username=params.username)
    if not params.username:
        if not role.default_user:
            raise Malformed("No default username registered. Use 'username' option")
        return role.default_user
    if params.username != role.default_user and role.allowed_users != "*":
        allowed = listed(role.allowed_users)
        if not allowed:
            raise Malformed("Username has to be either in allowed users list or has to be a default username")
        if params.username not in allowed:
            raise Malformed("Username is not present is allowed users list")
    return params.username


def _serves_at_all(role: Role, address: IPv4Address | IPv6Address) -> bool:
    return is_usable(role) and within(address, role.cidr_list)


def _serves(role: Role, address: IPv4Address | IPv6Address) -> bool:
    return within(address, role.cidr_list) and not within(address, role.exclude_cidr_list)
