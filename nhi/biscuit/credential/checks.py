# SPDX-License-Identifier: EUPL-1.2
"""A token's own checks, evaluated for one request: they restrict what its policies allow, and never add.

A request about the token itself is let through until the token ends: to look it up, to revoke it, to ask for its
capabilities, or why it is refused. Otherwise no stock client could use a token that was narrowed to one path.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Final

from nhi.biscuit.credential.possession import Possession, binding_of
from nhi.biscuit.offline.facts import AMBIENT, NETS
from nhi.biscuit.offline.guard import StatedFact, Term, checks_hold, stated_fact
from nhi.biscuit.offline.stated_facts import StatedFacts
from nhi.biscuit.offline.verify import VerifiedToken
from vault.framework.call import Call, Namespace
from vault.values.times import millis_to_seconds

_PROVED: Final = "pop_proved"
_STATED: Final = AMBIENT.keys() - {_PROVED}
"""Names of the facts of one term."""
_ABOUT_ITSELF: Final = ("sys/capabilities-self", "sys/internal/ui/mounts/", "sys/internal/ui/resultant-acl")
_EXPLAIN: Final = "sys/internal/policies/explain"
_OF_ITSELF: Final = frozenset({"path", "capabilities"})
"""What a token asks that explains its own refusals; any other parameter names another token, or policies."""


class BiscuitChecks:
    """The checks of one verified token, whose policies are those of the namespace `home`."""

    def __init__(
        self,
        verified: VerifiedToken,
        home: Namespace,
        audience: str,
        possession: Possession,
        facts: StatedFacts,
    ) -> None:
        self._token = verified.token
        self._possession = possession
        self.bound = binding_of(verified.blocks[0])
        """The key that a client must prove to hold to use the token; None for none."""
        self._home = home
        self._audience = audience
        self._asks_proof = _PROVED in verified.mentions
        self._names = sorted(verified.mentions & _STATED)
        self._facts = facts
        self.expires = verified.content.end
        """When its checks let nothing through any more (ms since the epoch), as far as they say so; 0 if never."""
        self.steady = not (self.bound or self._asks_proof) and verified.content.steady
        """Whether time can change a verdict only by ending the token: then a verdict may be remembered until then."""

    def allows(self, call: Call, operation: str, *, path: str) -> bool:
        """Whether the checks let `call` do `operation` on the whole path `path`, its namespace included.

        1. They have not ended.
        2. The client proves to hold the key that the token is bound to, if there is one.
        3. What is about the token itself, asked as such, is let through.
        4. The path is in the token's namespace or below.
        5. What the checks ask about is known of this request.
        6. They hold for it.
        """
        # 1. Time.
        if self.expires and call.now >= self.expires:
            return False
        # 2. The key.
        if self.bound and not self._possession.proves(call, self.bound):
            return False
        # 3. About itself.
        if _about_itself(call) and path == call.namespace.path + call.path:
            return True
        # 4. The namespace.
        inside = self._home.path
        if not path.startswith(inside):
            return False
        # 5. The facts.
        stated = self._state(call, operation, path[len(inside) :])
        if stated is None:
            return False
        # 6. The evaluation. A proof that it may rest on is spent.
        allowed = checks_hold(self._token, stated)
        if allowed and self._asks_proof:
            self._possession.spend(call)
        return allowed

    def _state(self, call: Call, operation: str, path: str) -> list[StatedFact] | None:
        """Return the facts of a request that the checks ask about; None if one is not known."""
        stated: list[StatedFact | None] = []
        for name in self._names:
            term = self._term(call, name, operation, path)
            stated.append(None if term is None else self._facts.of(name, term))
        if self._asks_proof:
            proved = self._possession.proved_keys(call).items()
            stated += [stated_fact(_PROVED, kind, thumbprint) for kind, thumbprint in proved]
        facts = [fact for fact in stated if fact is not None]
        return facts if len(facts) == len(stated) else None

    def _term(self, call: Call, name: str, operation: str, path: str) -> Term | None:
        if name == "time":
            return datetime.fromtimestamp(millis_to_seconds(call.now), UTC)
        if name == "operation":
            return operation
        if name == "resource":
            return path
        if name == "audience_srv":
            return self._audience
        if name == "method":
            return call.head.method
        if name == "namespace_req":
            return call.namespace.path.rstrip("/")
        if name == "body_sha256":
            return sha256(call.body).hexdigest()
        try:
            address = ip_address(call.client_address)
        except ValueError:
            return None
        if name == NETS:
            nets = (ip_network((address, size), strict=False) for size in range(address.max_prefixlen + 1))
            return frozenset(map(str, nets))
        return int(address) if isinstance(address, IPv4Address) else None


def _about_itself(call: Call) -> bool:
    if call.path == _EXPLAIN:
        return call.data.keys() <= _OF_ITSELF
    return call.bound.route.access.own or call.path.startswith(_ABOUT_ITSELF)
