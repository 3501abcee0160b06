# SPDX-License-Identifier: EUPL-1.2
"""Authority blocks that are put together from a template are those that the library writes, byte for byte."""

import pytest
from biscuit_auth import Biscuit, KeyPair
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nhi.biscuit.credential.possession import KeyBinding
from nhi.biscuit.format.authority import LATEST_VERSION, Algorithm, Authority, parse, serialise
from nhi.biscuit.format.chain import Key
from nhi.biscuit.issue import authority_block as block
from nhi.biscuit.issue.authority_block import TokenContent, authority_block
from nhi.biscuit.issue.grants import GRANT, LISTING, Grant
from nhi.biscuit.offline.root_signature import root_public_key, signed
from vault.framework.errors import Failed
from vault.values.times import Seconds

_NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
_LISTS = st.lists(_NAMES, max_size=4).map(tuple)
_KEYS = st.binary(min_size=32, max_size=32).map(
    lambda seed: Key(
        Algorithm.ED25519, Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    )
)
_SAID = st.builds(
    TokenContent,
    _NAMES,
    st.sampled_from(["", "team/"]),
    _LISTS,
    _LISTS,
    st.lists(st.builds(Grant, st.sampled_from([GRANT, LISTING]), _NAMES, _LISTS, _LISTS), max_size=2).map(
        tuple
    ),
    st.none() | st.builds(KeyBinding, st.sampled_from(["x5t", "jkt"]), _NAMES),
    st.lists(_KEYS, max_size=2).map(tuple),
)
_PLAIN = TokenContent("w", "", ("vault",), ("app",), (), None, ())
_TIMES = st.integers(0, (1 << 34) - 1) | st.integers(1_700_000_000, 1_900_000_000)


def _token(root: Ed25519PrivateKey, compiled: bytes) -> bytes:
    pair = KeyPair()
    unsigned = Authority(
        root_key_id=7,
        block=compiled,
        next_algorithm=Algorithm.ED25519,
        next_public=bytes(pair.public_key.to_bytes()),
        signature=b"",
        version=LATEST_VERSION,
        next_secret=bytes(pair.private_key.to_bytes()),
    )
    return serialise(signed(unsigned, root))


@settings(max_examples=150, deadline=None)
@example(_PLAIN, b"\xc0\xff" * 8, (1 << 34) - 1, (1 << 34) - 2)
@example(_PLAIN, bytes(16), 1 << 28, (1 << 28) - 1)
@given(_SAID, st.binary(min_size=16, max_size=16), _TIMES, _TIMES)
def test_a_block_is_what_the_library_writes_and_it_verifies(
    said: TokenContent, token_id: bytes, issued: Seconds, expires: Seconds
) -> None:
    made = authority_block(said, token_id, issued=issued, expires=expires)
    whole = block._compiled(said, token_id, issued=issued, expires=expires)
    assert made == parse(whole).block
    root = Ed25519PrivateKey.generate()
    read = Biscuit.from_bytes(_token(root, made), root_public_key(root))
    source = read.block_source(0)
    assert f"token_id(hex:{token_id.hex()});" in source
    assert read.block_count() == 1


def test_a_registration_is_compiled_once_for_all_its_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    said, asked = TokenContent("compiled once", "", ("vault",), ("app",), (), None, ()), list[bytes]()
    compiled = block._compiled

    def counting(said: TokenContent, token_id: bytes, *, issued: Seconds, expires: Seconds) -> bytes:
        asked.append(token_id)
        return compiled(said, token_id, issued=issued, expires=expires)

    monkeypatch.setattr(block, "_compiled", counting)
    blocks = {
        authority_block(
            said, bytes([number]) * 16, issued=Seconds(1_800_000_000), expires=Seconds(1_800_000_060)
        )
        for number in range(9)
    }
    assert (len(blocks), len(asked)) == (9, 1)


@pytest.mark.parametrize("written", [b"\x2a\x10", b"\x2a\x10" + b"\xc0\xff" * 8])
def test_a_library_that_compiles_in_another_way_is_noticed(
    monkeypatch: pytest.MonkeyPatch, written: bytes
) -> None:
    said = TokenContent(written.hex(), "", (), (), (), None, ())
    old = parse(block._compiled(said, bytes(16), issued=Seconds(1 << 28), expires=Seconds(1 << 28)))
    changed = Authority(
        **{name: getattr(old, name) for name in old.__struct_fields__} | {"block": written * 2}
    )
    monkeypatch.setattr(block, "_compiled", lambda *_, **__: serialise(changed))
    with pytest.raises(Failed, match="compiled in another way"):
        authority_block(said, bytes(16), issued=Seconds(1 << 28), expires=Seconds(1 << 28))
