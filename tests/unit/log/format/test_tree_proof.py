# SPDX-License-Identifier: EUPL-1.2
"""Proofs are those of the definition, hold for what they show, and for nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.format.trees import LEAVES, growth, of_leaves, path, root
from vault.log.format.tree_proof import (
    BadProof,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
)

_SIZES = range(1, 36)
_SUBTREE = of_leaves(LEAVES)


def test_each_leaf_of_each_small_tree_is_proven_as_the_definition_has_it() -> None:
    for size in _SIZES:
        for index in range(size):
            proof = inclusion_proof(index, size, _SUBTREE)
            assert proof == path(index, LEAVES[:size])
            check_inclusion(LEAVES[index], index, size, proof, root(LEAVES[:size]))


def test_each_growth_of_each_small_tree_is_proven_as_the_definition_has_it() -> None:
    for size in _SIZES:
        assert consistency_proof(0, size, _SUBTREE) == []
        check_consistency(0, size, [], root([]), root(LEAVES[:size]))
        for old in range(1, size + 1):
            proof = consistency_proof(old, size, _SUBTREE)
            assert proof == growth(old, LEAVES[:size])
            check_consistency(old, size, proof, root(LEAVES[:old]), root(LEAVES[:size]))


@given(st.integers(1, 600), st.data())
def test_a_proof_shows_nothing_else(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, _SUBTREE)
    top = root(LEAVES[:size])
    check_inclusion(LEAVES[index], index, size, proof, top)
    wrong_index = data.draw(st.integers(-1, size).filter(lambda other: other != index))
    with pytest.raises(BadProof):
        check_inclusion(LEAVES[index], wrong_index, size, proof, top)
    with pytest.raises(BadProof):
        check_inclusion(LEAVES[index - 1], index, size, [*proof, top], top)
    if proof:
        place = data.draw(st.integers(0, len(proof) - 1))
        with pytest.raises(BadProof):
            check_inclusion(LEAVES[index], index, size, proof[:place] + proof[place + 1 :], top)
        with pytest.raises(BadProof):
            check_inclusion(LEAVES[index], index, size, [*proof[:place], top, *proof[place + 1 :]], top)


@given(st.integers(2, 600), st.data())
def test_a_growth_that_was_none_is_not_proven(size: int, data: st.DataObject) -> None:
    old = data.draw(st.integers(1, size - 1))
    proof = consistency_proof(old, size, _SUBTREE)
    before, after = root(LEAVES[:old]), root(LEAVES[:size])
    check_consistency(old, size, proof, before, after)
    place = data.draw(st.integers(0, len(proof) - 1))
    for wrong in (
        proof[:place] + proof[place + 1 :],
        [*proof[:place], after, *proof[place + 1 :]],
        [*proof, after],
        [],
    ):
        with pytest.raises(BadProof):
            check_consistency(old, size, wrong, before, after)
    with pytest.raises(BadProof):
        check_consistency(old, size, proof, after, after)
    with pytest.raises(BadProof):
        check_consistency(old, size, proof, before, before)


def test_of_one_size_there_is_one_root() -> None:
    check_consistency(3, 3, [], root(LEAVES[:3]), root(LEAVES[:3]))
    with pytest.raises(BadProof, match="two roots of one size differ"):
        check_consistency(3, 3, [], root(LEAVES[:3]), root(LEAVES[:4]))
    with pytest.raises(BadProof, match="nothing to prove"):
        check_consistency(3, 3, [LEAVES[0]], root(LEAVES[:3]), root(LEAVES[:3]))


@pytest.mark.parametrize(("index", "size"), [(3, 3), (-1, 3), (0, 0), (0, 1 << 63)])
def test_a_leaf_that_is_not_there_has_no_proof(index: int, size: int) -> None:
    with pytest.raises(BadProof, match="has no leaf"):
        check_inclusion(LEAVES[0], index, size, [], LEAVES[0])
    if size < 10:
        with pytest.raises(ValueError, match="has no leaf"):
            inclusion_proof(index, size, _SUBTREE)


@pytest.mark.parametrize(("old", "size"), [(4, 3), (-1, 3), (1, 1 << 63)])
def test_a_tree_does_not_begin_with_a_larger_one(old: int, size: int) -> None:
    with pytest.raises(BadProof, match="does not begin with"):
        check_consistency(old, size, [], LEAVES[0], LEAVES[0])
    if size < 10:
        with pytest.raises(ValueError, match="does not begin with"):
            consistency_proof(old, size, _SUBTREE)
