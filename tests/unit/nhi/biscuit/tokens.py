# SPDX-License-Identifier: EUPL-1.2
"""Tokens for tests: minted under a fixed root, attenuated by the library, presented as a stranger would."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from random import Random
from typing import Final

import msgspec
from biscuit_auth import Biscuit, BiscuitBuilder, BlockBuilder, Fact
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.format.chain import Chain, block_payload, write_chain
from nhi.biscuit.offline.guard import Term, checks_hold, stated_fact
from nhi.biscuit.offline.keys import RootKey, library_key, public_key, sign
from nhi.biscuit.offline.root_signature import build
from nhi.biscuit.offline.verify import TokenLimits, VerifiedToken, read_token, verify

ED25519: Final = Ed25519PrivateKey.from_private_bytes(b"\x33" * 32)
P256: Final = ec.derive_private_key(int("11" * 32, 16), ec.SECP256R1())
ROOTS: Final[dict[str, RootKey]] = {"ed25519": ED25519, "p256": P256}
NOW: Final = datetime(2026, 11, 25, 12, 0, 0, tzinfo=UTC)
SOURCE: Final = (
    'issuer("vault://eu-1"); token_id(hex:000102030405060708090a0b0c0d0e0f); workload("w1"); policy("app-ro"); '
    'audience({"vault"}); check if time($t), $t < 2030-01-01T00:00:00Z; '
    "check if audience_srv($a), audience($s), $s.contains($a);"
)
AMBIENT: Final = {"time": 1, "operation": 1, "resource": 1, "method": 1, "audience_srv": 1}
TERMS: Final[dict[str, Term]] = {
    "time": NOW,
    "operation": "read",
    "resource": "secret/data/app/db",
    "method": "GET",
    "audience_srv": "vault",
}


def mint(source: str = SOURCE, root: RootKey = ED25519) -> bytes:
    """Return a token of one block."""
    return build(BiscuitBuilder(source), root, 5)


def narrowed(raw: bytes, *sources: str, root: RootKey = ED25519) -> bytes:
    """Return a token with further blocks, made by the library as any holder would."""
    token = Biscuit.from_bytes(raw, library_key(public_key(root)))
    for source in sources:
        token = token.append(BlockBuilder(source))
    return bytes(token.to_bytes())


def checked(raw: bytes, root: RootKey = ED25519, limits: TokenLimits | None = None) -> VerifiedToken:
    """Verify a token as the server does."""
    limits = limits or TokenLimits()
    return verify(raw, read_token(raw, limits), public_key(root), AMBIENT, limits)


def lets(verified: VerifiedToken, **changes: Term) -> bool:
    """Whether the checks of a token hold for a request that differs from the usual one in `changes`."""
    return checks_hold(verified.token, stated(**changes))


def stated(**changes: Term) -> list[Fact]:
    """What the server states of the usual request, but for `changes`."""
    facts = [stated_fact(name, term) for name, term in {**TERMS, **changes}.items()]
    assert None not in facts
    return [fact for fact in facts if fact is not None]


HOSTILE: Final[dict[str, str]] = {
    "join of 3 x 50": "".join(f"f({i});" for i in range(50))
    + "check if f($a), f($b), f($c), $a + $b + $c < 0;",
    "join of 3 x 100": "".join(f"f({i});" for i in range(100))
    + "check if f($a), f($b), f($c), $a + $b + $c < 0;",
    "join of 3 x 200": "".join(f"f({i});" for i in range(200))
    + "check if f($a), f($b), f($c), $a + $b + $c < 0;",
    "join of 4 x 60": "".join(f"f({i});" for i in range(60))
    + "check if f($a), f($b), f($c), f($d), $a + $d < 0;",
    "join of 4 x 150": "".join(f"f({i});" for i in range(150))
    + "check if f($a), f($b), f($c), f($d), $a + $d < 0;",
    "rule that joins 4 x 60": "".join(f"f({i});" for i in range(60))
    + "g($a) <- f($a), f($b), f($c), f($d), $a + $b + $c + $d < 0; check if g(1);",
    "rule that makes 100^3 facts": "".join(f"f({i});" for i in range(100))
    + "g($a, $b, $c) <- f($a), f($b), f($c); check if g(1, 1, 1);",
    "4 nested closures over 20": "check if [{0}].all($a -> [{0}].all($b -> [{0}].all($c -> [{0}].all($d -> $a + $b + $c + $d >= 0))));".format(
        ", ".join(map(str, range(20)))
    ),
    "4 nested closures over 60": "check if [{0}].all($a -> [{0}].all($b -> [{0}].all($c -> [{0}].all($d -> $a + $b + $c + $d >= 0))));".format(
        ", ".join(map(str, range(60)))
    ),
    "regular expression that is costly to compile": r'check if resource($r), $r.matches("(?i)\\w{500}");',
    "regular expression of letters": r'check if resource($r), $r.matches("\\pL{200}");',
    "external function": "check if resource($r), $r.extern::look();",
    "time of its own": "time(2000-01-01T00:00:00Z); check if time($t), $t < 2001-01-01T00:00:00Z;",
    "policy of its own": 'policy("root"); check if true;',
}
"""What a holder can append that is refused before it is evaluated."""


def hostile_block(random: Random) -> str:
    """Return a block that somebody might make to keep a server busy: joins, closures, large literals, in any mix."""
    parts: list[str] = []
    names = [f"f{i}" for i in range(random.randint(1, 3))]
    for name in names:
        arity = random.randint(1, 3)
        parts += [f"{name}({_terms(random, arity)});" for _ in range(random.choice((1, 3, 10, 30, 60)))]
        parts.append(f"check if {_query(random, name, arity)};")
    for _ in range(random.randint(0, 3)):
        parts.append(
            f"check {random.choice(('if', 'all'))} {_query(random, random.choice(names), random.randint(1, 3))};"
        )
    return "".join(parts)


def _terms(random: Random, count: int) -> str:
    return ", ".join(
        random.choice(
            (
                str(random.randint(0, 5)),
                f'"{"x" * random.choice((1, 10, 200))}"',
                _literal(random, random.choice((1, 5, 20))),
            )
        )
        for _ in range(count)
    )


def _literal(random: Random, items: int) -> str:
    inner = ", ".join(str(random.randint(0, 9999)) for _ in range(items))
    return random.choice((f"[{inner}]", f"{{{inner}}}"))


def _query(random: Random, name: str, arity: int) -> str:
    joins = random.randint(1, 4)
    variables = [f"$v{place}" for place in range(joins * arity)]
    body = [f"{name}({', '.join(variables[i * arity : (i + 1) * arity])})" for i in range(joins)]
    if random.random() < 0.3:
        body.insert(
            random.randint(0, len(body)), random.choice(("resource($r)", "operation($o)", "nothing($n)"))
        )
    return ", ".join([*body, *(_expression(random, variables) for _ in range(random.randint(0, 3)))])


def _expression(random: Random, variables: Iterable[str]) -> str:
    one = random.choice(tuple(variables))
    items = random.choice((1, 10, 60, 200))
    literal = _literal(random, items)
    return random.choice(
        (
            f'{one}.type() == "integer" && {" + ".join([one] * random.choice((1, 5, 50)))} < 0',
            f"{literal}.any($p -> $p == {one} || {literal.replace('{', '[').replace('}', ']')}.contains($p) && false)",
            f"{literal}.all($p -> {literal}.any($q -> $p + $q < 0))",
            " && ".join(f"{literal}.contains({one})" for _ in range(random.choice((1, 3)))),
            f"{{{literal[1:-1]}}}.union({{{literal[1:-1]}}}).union({{{literal[1:-1]}}}).length() < 0",
            f'{one}.type() == "string" && ({" + ".join([one] * random.choice((2, 20, 100)))}).length() < 0',
            f'"{"y" * random.choice((10, 1000))}".contains("{"y" * random.choice((1, 500))}z")',
            f"{one} !== null || {one} === null",
            "!" * random.choice((1, 20)) + "true",
        )
    )


def with_holder(chain: Chain, holder: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a token whose first holder had a P-256 key of its own, and narrowed it once."""
    first = msgspec.structs.replace(chain.blocks[0], next_key=public_key(holder))
    first = msgspec.structs.replace(first, signature=sign(ED25519, block_payload(first, None)))
    secret = holder.private_numbers().private_value.to_bytes(32, "big")
    own = msgspec.structs.replace(chain, blocks=(first,), next_secret=secret)
    return narrowed(write_chain(own), 'check if operation("read");')
