# SPDX-License-Identifier: EUPL-1.2
"""What a token says, once its signature and its times are good."""

from __future__ import annotations

from collections.abc import Mapping

from nhi.auth.jwt.keysets import KeySets
from nhi.auth.jwt.model import Config
from nhi.jose import registered_claims, signature
from vault.framework.call import Call
from vault.framework.clock import Clock
from vault.framework.errors import Malformed
from vault.framework.fields import Json
from vault.outbound.failure import Unreachable
from vault.outbound.shares import owner_of
from vault.values.times import millis_to_seconds


class Verifier:
    """Verifies tokens by the keys of their mount's configuration."""

    def __init__(self, sets: KeySets, clock: Clock) -> None:
        self._sets = sets
        self._clock = clock

    async def claims(
        self, call: Call, config: Config, expected: registered_claims.ExpectedClaims, text: str
    ) -> Mapping[str, Json]:
        """Return what a good token says, never within a transaction: it may have to ask for keys. Raises `Malformed`."""
        try:
            claims = await self._signed(call, config, text)
            registered_claims.check(claims, expected, millis_to_seconds(self._clock.millis()))
        except Malformed as refusal:
            raise Malformed(f"error validating token: {refusal.message}") from None
        return claims

    async def _signed(self, call: Call, config: Config, text: str) -> Mapping[str, Json]:
        where = "error verifying token signature: "
        try:
            token = signature.read(text)
            claims = token.claims(signature.named(token, await self._sets.keys(owner_of(call), config)))
            if claims is None:
                claims = token.claims(signature.named(token, await self._sets.newer(owner_of(call), config)))
        except Unreachable as failure:
            raise Malformed(f"{where}fetching keys oidc: get keys failed: {failure}") from None
        except Malformed as refusal:
            raise Malformed(where + refusal.message) from None
        if claims is None:
            static = bool(config.jwt_validation_pubkeys)
            raise Malformed(
                where
                + (
                    "no known key successfully validated the token signature"
                    if static
                    else "failed to verify id token signature"
                )
            )
        if config.jwt_supported_algs and token.algorithm not in config.jwt_supported_algs:
            raise Malformed(
                "invalid algorithm (alg) header parameter: token signed with unexpected algorithm"
            )
        return claims
