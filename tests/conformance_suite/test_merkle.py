# SPDX-License-Identifier: EUPL-1.2
"""Proofs of inclusion: each leaf of trees of every small size is proven, and nothing else."""

import base64
import hashlib

import pytest

from esa_conformance.areas.log.merkle import Proof, continues, leaf_hash, proof_of, root_of


def _root(leaves: list[bytes]) -> bytes:
    """The root as RFC 6962 defines it, by halves."""
    if len(leaves) == 1:
        return leaves[0]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + _root(leaves[:half]) + _root(leaves[half:])).digest()


def _path(leaves: list[bytes], place: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if place < half:
        return [*_path(leaves[:half], place), _root(leaves[half:])]
    return [*_path(leaves[half:], place - half), _root(leaves[:half])]


@pytest.mark.parametrize("size", range(1, 20))
def test_each_leaf_is_proven_and_no_other_at_its_place(size: int) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(size)]
    for place in range(size):
        proof = Proof(place, _path(leaves, place), size, _root(leaves))
        assert proof.leads_from(leaves[place])
        assert not proof.leads_from(leaf_hash(b"other"))
        assert not Proof(place, [*proof.path, b"x"], size, proof.root).leads_from(leaves[place])
        if proof.path:
            assert not Proof(place, proof.path[:-1], size, proof.root).leads_from(leaves[place])
        assert not Proof(size, proof.path, size, proof.root).leads_from(leaves[place])


def _consistency(leaves: list[bytes], first: int, *, whole: bool = True) -> list[bytes]:
    """The proof that the tree of all leaves begins with that of the first ones (RFC 9162, 2.1.4.1)."""
    if first == len(leaves):
        return [] if whole else [_root(leaves)]
    half = 1 << (len(leaves) - 1).bit_length() - 1
    if first <= half:
        return [*_consistency(leaves[:half], first, whole=whole), _root(leaves[half:])]
    return [*_consistency(leaves[half:], first - half, whole=False), _root(leaves[:half])]


@pytest.mark.parametrize("size", range(1, 20))
def test_each_tree_continues_its_beginnings_and_no_others(size: int) -> None:
    leaves = [leaf_hash(str(number).encode()) for number in range(size)]
    assert root_of(leaves) == _root(leaves)
    for first in range(1, size + 1):
        path = _consistency(leaves, first)
        old, new = (first, _root(leaves[:first])), (size, _root(leaves))
        assert continues(old, new, path)
        assert not continues((first, b"x" * 32), new, path)
        assert not continues(old, (size, b"x" * 32), path)
        assert not continues(old, new, [*path, b"x" * 32])
        assert not path or not continues(old, new, path[:-1])
        assert not continues((0, old[1]), new, path)
        assert not continues((size + 1, old[1]), new, path)


def test_no_leaves_have_the_root_of_nothing() -> None:
    assert root_of([]) == hashlib.sha256(b"").digest()


def test_a_proof_is_read_as_it_is_written() -> None:
    one, root = (base64.b64encode(bytes([n]) * 32).decode() for n in (1, 2))
    text = f"c2sp.org/tlog-proof@v1\nextra eA==\nindex 3\n{one}\n\norigin\n14\n{root}\n\n— origin abc\n"
    assert proof_of(text) == Proof(3, [b"\x01" * 32], 14, b"\x02" * 32)


@pytest.mark.parametrize(
    "text",
    ["", "c2sp.org/tlog-proof@v1", "c2sp.org/tlog-proof@v1\nindex x\n\no\n1\nAA==\n", "c2sp.org/tlog-proof@v1\n3\n\no\n1\nAA==\n",
     "other\nindex 3\n\no\n1\nAA==\n", "c2sp.org/tlog-proof@v1\nindex 3\n*\n\no\n1\nAA==\n"],
)  # fmt: skip
def test_what_is_no_proof_is_none(text: str) -> None:
    assert proof_of(text) is None
