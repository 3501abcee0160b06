# SPDX-License-Identifier: EUPL-1.2
"""Proofs that are handed on: one text for one proof, which shows what it says to whoever knows the keys."""

import msgspec
import pytest

from tests.unit.log.format.signing import ed25519
from tests.unit.log.format.trees import LEAVES, VECTORS, of_leaves, root
from vault.log.format.checkpoint import Checkpoint, sign_checkpoint
from vault.log.format.note import UnknownSigner
from vault.log.format.note_key import BadSignature, Verifier
from vault.log.format.proof import LogProof, check_proof, parse_proof
from vault.log.format.tree import leaf_hash
from vault.log.format.tree_proof import BadProof, inclusion_proof

_KEY = Verifier.parse(VECTORS["ed25519_vkey"])
_ORIGIN = "vault.example.eu/log/1"
_RAW = VECTORS["proof_index5"].encode()
_LEAF = leaf_hash(VECTORS["records"][5].encode())


def test_the_proof_of_the_vectors_shows_its_record() -> None:
    proof = parse_proof(_RAW)
    assert proof.format() == _RAW
    assert check_proof(proof, _LEAF, _ORIGIN, [_KEY]).checkpoint.size == 7


def test_it_shows_no_other_record_log_or_place() -> None:
    proof = parse_proof(_RAW)
    with pytest.raises(BadProof, match="another root"):
        check_proof(proof, leaf_hash(b"another"), _ORIGIN, [_KEY])
    with pytest.raises(BadProof, match="another log"):
        check_proof(proof, _LEAF, "vault.example.eu/log/2", [_KEY])
    with pytest.raises(BadProof, match="another root"):
        check_proof(msgspec.structs.replace(proof, index=4), _LEAF, _ORIGIN, [_KEY])
    with pytest.raises(UnknownSigner):
        check_proof(proof, _LEAF, _ORIGIN, [])
    edited = msgspec.structs.replace(proof, checkpoint=proof.checkpoint.replace(b"\n7\n", b"\n6\n"))
    with pytest.raises(BadSignature):
        check_proof(edited, _LEAF, _ORIGIN, [_KEY])


@pytest.mark.parametrize("size", [1, 2, 100])
@pytest.mark.parametrize("extra", [b"", b"more"])
def test_what_is_made_is_read_and_verified(size: int, extra: bytes) -> None:
    log = ed25519("a/log")
    checkpoint = Checkpoint(origin="a/log", size=size, root=root(LEAVES[:size]))
    proof = LogProof(
        index=size // 2,
        hashes=tuple(inclusion_proof(size // 2, size, of_leaves(LEAVES))),
        checkpoint=sign_checkpoint(checkpoint, [log]),
        extra=extra,
    )
    again = parse_proof(proof.format())
    assert again == proof
    assert check_proof(again, LEAVES[size // 2], "a/log", [log.verifier]).checkpoint == checkpoint


def test_a_proof_of_a_tree_as_large_as_can_be_is_read() -> None:
    proof = LogProof(index=0, hashes=(_LEAF,) * 63, checkpoint=b"", extra=bytes(64 << 10))
    assert parse_proof(proof.format()) == proof


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        _RAW.replace(b"@v1", b"@v2"),
        _RAW.replace(b"index 5\n", b""),
        _RAW.replace(b"index 5", b"index 05"),
        _RAW.replace(b"index 5", b"index  5"),
        _RAW.replace(b"index 5", b"extra \nindex 5"),
        _RAW.replace(b"index 5", b"extra !\nindex 5"),
        _RAW.replace(b"index 5", b"extra " + b"A" * 88_000 + b"\nindex 5"),
        _RAW.replace(b"index 5", b"index 5\nextra QQ=="),
        _RAW.replace(b"index 5", "index é".encode()),
        _RAW.replace(b"index 5\nV", b"index 5\nW="),
        _RAW.replace(b"index 5\n", b"index 5\n" + b"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n" * 62),
        _RAW.partition(b"\n\n")[0],
        _RAW + b"\n" * (1 << 19),
    ],
)  # fmt: skip
def test_another_text_is_no_proof(raw: bytes) -> None:
    with pytest.raises(BadProof):
        parse_proof(raw)
