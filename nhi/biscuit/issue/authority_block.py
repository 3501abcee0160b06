# SPDX-License-Identifier: EUPL-1.2
"""Authority blocks. The library compiles what a registration says once; the id and the times of a token are put in.

Those three have the same length in every token, and everything else of a block says the same in all tokens of a
registration, down to the numbers of its symbols. So the bytes are those that the library would have written.
"""

from __future__ import annotations

import functools
from typing import Final

import msgspec
from biscuit_auth import BiscuitBuilder, KeyPair
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from nhi.biscuit.credential.possession import KeyBinding
from nhi.biscuit.format.authority import parse
from nhi.biscuit.format.chain import Key, read_chain
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.protobuf import varint
from nhi.biscuit.issue.grants import Grant
from nhi.biscuit.offline.facts import AMBIENT
from nhi.biscuit.offline.guard import Term, guarded, utc
from nhi.biscuit.offline.keys import library_key
from nhi.biscuit.offline.lint import MOST_COST, lint
from nhi.biscuit.offline.root_signature import resign
from nhi.biscuit.offline.verify import TokenLimits
from vault.framework.errors import Failed, Malformed
from vault.values.times import Seconds, seconds_to_millis

_TEMPLATES: Final = 256
_TIMES: Final = range(1 << 28, 1 << 34)
"""Seconds since the epoch that are written in 5 bytes: from 1978 to 2514."""
_ID: Final = bytes([0xC0, 0xFF]) * 8
_ISSUED: Final = Seconds((1 << 34) - 1)
_EXPIRES: Final = Seconds((1 << 34) - 2)
"""What stands in a template for what is put in; no text has these bytes, for they are not UTF-8."""
_BYTES_TAG: Final = b"\x2a\x10"
_DATE_TAG: Final = b"\x20"


class TokenContent(msgspec.Struct, frozen=True):
    """What all tokens of a registration have in common, until it or a fact that it rests on changes."""

    workload: str
    namespace: str
    audiences: tuple[str, ...]
    policies: tuple[str, ...]
    grants: tuple[Grant, ...]
    pop: KeyBinding | None
    approvers: tuple[Key, ...]


def authority_block(content: TokenContent, token_id: bytes, *, issued: Seconds, expires: Seconds) -> bytes:
    """Return the compiled block of a token with these times, in seconds.

    Raises `Malformed` where it leaves no room for what its holders add, and `Failed` where the library refuses it.
    """
    if issued not in _TIMES or expires not in _TIMES:
        return parse(_compiled(content, token_id, issued=issued, expires=expires)).block
    before, to_issued, to_expires, after = _template(content)
    return b"".join((before, token_id, to_issued, varint(issued), to_expires, varint(expires), after))


@functools.lru_cache(_TEMPLATES)
def _template(content: TokenContent) -> tuple[bytes, bytes, bytes, bytes]:
    """Return what stands around the id, the time of issue and the end in every token that says this.

    The library has verified one that is signed like them.
    """
    made = _compiled(content, _ID, issued=_ISSUED, expires=_EXPIRES)
    block = parse(made).block
    parts = []
    for tag, value in ((_BYTES_TAG, _ID), (_DATE_TAG, varint(_ISSUED)), (_DATE_TAG, varint(_EXPIRES))):
        before, found, block = block.partition(tag + value)
        if not found or tag + value in block:
            raise Failed("the token is compiled in another way than it is known: was the library upgraded?")
        parts.append(before + tag)
    try:
        resign(made, Ed25519PrivateKey.generate())
    except BiscuitError as error:
        raise Failed(str(error)) from None
    return parts[0], parts[1], parts[2], block


def _compiled(content: TokenContent, token_id: bytes, *, issued: Seconds, expires: Seconds) -> bytes:
    """Return a token of this block, under a key that is thrown away."""
    policies = "".join(f"policy({{policy{place}}}); " for place in range(len(content.policies)))
    source = (
        "token_id({token_id}); workload({workload}); namespace({namespace}); audience({audience}); "
        "issued({issued}); "
        f"{policies}"
        "check if time($t), $t < {expires}; "
        "check if audience_srv($a), audience($s), $s.contains($a);"
        + "".join(
            f"{grant.fact}({{p{place}}}, {{c{place}}}, {{x{place}}});"
            for place, grant in enumerate(content.grants)
        )
    )
    terms: dict[str, Term | set[str]] = {
        "token_id": token_id,
        "workload": content.workload,
        "namespace": content.namespace,
        "audience": set(content.audiences),
        "issued": utc(seconds_to_millis(issued)),
        "expires": utc(seconds_to_millis(expires)),
        **{f"policy{place}": name for place, name in enumerate(content.policies)},
    }
    if content.pop is not None:
        source += "pop({kind}, {thumbprint}); check if pop_proved({kind}, {thumbprint});"
        terms["kind"], terms["thumbprint"] = content.pop.kind, content.pop.thumbprint
    scopes = {f"approver{place}": library_key(key) for place, key in enumerate(content.approvers)}
    if scopes:
        trusted = ", ".join(f"{{{name}}}" for name in scopes)
        source += f"check if approved($change, $until), time($t), $t < $until trusting {trusted};"
    for place, grant in enumerate(content.grants):
        terms[f"p{place}"] = grant.pattern
        terms[f"c{place}"], terms[f"x{place}"] = set(grant.capabilities), set(grant.unless)

    def compiled() -> bytes:
        return bytes(BiscuitBuilder(source, terms, scopes).build(KeyPair().private_key).to_bytes())

    made = guarded(compiled)
    if made is None:
        raise Failed("the token cannot be compiled")
    if content.grants:
        _check_room(made)
    return made


def _check_room(raw: bytes) -> None:
    """Refuse a token that leaves no room for what its holders add. Raises `Malformed`."""
    limits = TokenLimits()
    try:
        if len(raw) <= limits.size // 2:
            lint(read_blocks(read_chain(raw), limits.parts // 2), AMBIENT, MOST_COST // 2)
            return
    except BiscuitError:
        pass
    raise Malformed("policies: have too many rules to be exported into a token")
