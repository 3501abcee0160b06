# SPDX-License-Identifier: EUPL-1.2
"""Certificates: for a key that a client has, or for a pair that is made here."""

from __future__ import annotations

from functools import partial
from typing import Final

from vault.cache.known_records import KnownRecords
from vault.engines.ssh.certificates.content import (
    Asker,
    Content,
    check_key,
    check_new_pair,
    content_of,
    key_id_of,
)
from vault.engines.ssh.certificates.encoder import NONCE, Statement, certificate, check_algorithm
from vault.engines.ssh.forms.answers import Certificate, IssuedPair
from vault.engines.ssh.forms.params import CertificateParams, IssueParams, SignParams
from vault.engines.ssh.keys.issuers import Issuers
from vault.engines.ssh.keys.pairs import MakesPairs, private_text
from vault.engines.ssh.keys.public_key import RSA, PublicKey, line_of, read_public_key
from vault.engines.ssh.roles.role import CA, ROLES, Role
from vault.framework.call import Call
from vault.framework.clock import Entropy
from vault.framework.concurrency.offload import Pool
from vault.framework.engine import Engine
from vault.framework.errors import Malformed
from vault.framework.quote import quote
from vault.framework.route import write
from vault.token.lifetime import LifetimeLimits
from vault.values.times import Seconds, millis_to_seconds

_SERIAL: Final = 8
"""Bytes of a serial number."""


class CertificateEngine(Engine):
    """Certificates."""

    def __init__(
        self,
        issuers: Issuers,
        roles: KnownRecords[Role],
        entropy: Entropy,
        pool: Pool,
        limits: LifetimeLimits,
        pairs: MakesPairs,
    ) -> None:
        """`pool` signs with keys of RSA and makes pairs of it. `limits` are the server's, where the mount has none."""
        self._issuers = issuers
        self._roles = roles
        self._entropy = entropy
        self._pool = pool
        self._pairs = pairs
        self._limits = limits

    @write("sign/{role:name}", writes=False, contained=True, event="ssh.certificate.sign")
    async def sign(self, call: Call, params: SignParams) -> Certificate:
        """Sign a public key."""
        role = await self._roles.find(call.reader, ROLES + params.role)
        if role is None:
            raise Malformed(f"Unknown role: {quote(params.role)}")
        if not params.public_key:
            raise Malformed("missing public_key")
        public = read_public_key(params.public_key, "failed to parse public_key as SSH key: ")
        check_key(role, public)
        asker = _asker(call, params)
        content = content_of(role, params, asker, self._limits_of(call))
        return await self._certify(call, params, asker, role, content, public)

    @write("issue/{role:name}", writes=False, contained=True, event="ssh.certificate.issue")
    async def issue(self, call: Call, params: IssueParams) -> IssuedPair:
        """Make a pair, and sign its public key. The private one is shown this once."""
        role = await self._roles.find(call.reader, ROLES + params.role)
        if role is None:
            raise Malformed(f"unknown role: {quote(params.role)}")
        if role.kind != CA:
            raise Malformed(f"role key type '{role.kind}' not allowed to issue key pairs")
        check_new_pair(role, params)
        pair = self._pairs(params.key_type, params.key_bits)
        asker = _asker(call, params)
        content = content_of(role, params, asker, self._limits_of(call))
        await self._issuers.known(call.reader, role.issuer)
        private = await self._pool.do(call, pair.make, slow=pair.slow)
        public = read_public_key(line_of(private.public_key()), "")
        signed = await self._certify(call, params, asker, role, content, public)
        return IssuedPair(
            issuer_id=signed.issuer_id,
            serial_number=signed.serial_number,
            signed_key=signed.signed_key,
            private_key=private_text(private),
            private_key_type=params.key_type,
        )

    async def _certify(
        self,
        call: Call,
        params: CertificateParams,
        asker: Asker,
        role: Role,
        content: Content,
        public: PublicKey,
    ) -> Certificate:
        issuer = await self._issuers.known(call.reader, role.issuer)
        authority = await self._issuers.open(issuer)
        check_algorithm(authority.private, role.algorithm)
        now = millis_to_seconds(call.now)
        said = Statement(
            serial=int.from_bytes(self._entropy.bytes(_SERIAL)),
            host=content.host,
            key_id=key_id_of(role, params.key_id, asker, public),
            principals=content.principals,
            begins=max(Seconds(0), Seconds(now - role.not_before)),
            ends=Seconds(now + content.ttl),
            critical_options=content.critical_options,
            extensions=content.extensions,
            algorithm=role.algorithm,
        )
        nonce = self._entropy.bytes(NONCE)
        work = partial(certificate, public, said, authority, nonce)
        signed = await self._pool.do(call, work, slow=authority.public.family == RSA)
        call.warnings.extend(content.warnings)
        return Certificate(issuer_id=issuer.id, serial_number=f"{said.serial:x}", signed_key=signed)

    def _limits_of(self, call: Call) -> LifetimeLimits:
        longest = call.mount.max_ttl or self._limits.longest
        usual = call.mount.default_ttl or self._limits.default
        return LifetimeLimits(default=min(usual, longest), longest=longest)


def _asker(call: Call, params: CertificateParams) -> Asker:
    caller = call.caller()
    facts = caller.entity.facts if caller.entity is not None else None
    return Asker(params.role, caller.display_name, facts)
