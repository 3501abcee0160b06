# SPDX-License-Identifier: EUPL-1.2
"""The hash tree: what a writer keeps leads to the root that the definition has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.log.format.trees import LEAVES, VECTORS, of_leaves, root
from vault.log.format.tree import (
    EMPTY_ROOT,
    BadHash,
    CompactRange,
    complete_hash,
    decode_hash,
    decompose,
    encode_hash,
    leaf_hash,
    leaf_hashes,
    range_hash,
    root_hash,
)

# The inputs and roots with which implementations of Certificate Transparency are tested.
_INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def test_roots_are_those_of_certificate_transparency() -> None:
    tree, roots = CompactRange(), [CompactRange().root().hex()]
    for text in _INPUTS:
        tree.append(leaf_hash(bytes.fromhex(text)))
        roots.append(tree.root().hex())
    assert roots == _ROOTS


def test_records_have_the_leaves_and_roots_of_the_vectors() -> None:
    leaves = [leaf_hash(record.encode()) for record in VECTORS["records"]]
    assert [leaf.hex() for leaf in leaves] == VECTORS["leaves"]
    assert leaf_hashes([record.encode() for record in VECTORS["records"]]) == leaves
    tree = CompactRange()
    roots = []
    for leaf in leaves:
        tree.append(leaf)
        roots.append(tree.root().hex())
    assert (roots[3], roots[6]) == (VECTORS["root4"], VECTORS["root7"])


def test_at_every_size_the_root_is_that_of_the_definition() -> None:
    tree = CompactRange()
    for size in range(130):
        assert tree.size == size
        assert tree.root() == root(LEAVES[:size]) == root_hash(size, of_leaves(LEAVES))
        tree.append(LEAVES[size])


@given(st.integers(0, 599), st.integers(0, 599))
def test_a_tree_that_is_taken_up_again_goes_on_alike(one: int, other: int) -> None:
    begin, end = sorted((one, other))
    whole = CompactRange.of(begin, of_leaves(LEAVES))
    again = CompactRange(whole.size, whole.hashes)
    for leaf in LEAVES[begin:end]:
        again.append(leaf)
    assert again.root() == root(LEAVES[:end])
    assert whole.root() == root(LEAVES[:begin])


@given(st.lists(st.integers(0, 70), max_size=8))
def test_leaves_are_added_at_once_as_one_by_one(counts: list[int]) -> None:
    tree, other = CompactRange(), CompactRange()
    for count in counts:
        leaves = LEAVES[tree.size : tree.size + count]
        tree.extend(leaves)
        for leaf in leaves:
            other.append(leaf)
        assert (tree.size, tree.hashes) == (other.size, other.hashes)


def test_a_copy_stays_as_it_is() -> None:
    tree = CompactRange()
    tree.append(LEAVES[0])
    before = tree.copy()
    tree.append(LEAVES[1])
    assert (before.size, before.root()) == (1, LEAVES[0])


def test_a_tree_needs_as_many_hashes_as_its_size_has_bits() -> None:
    with pytest.raises(ValueError, match="a tree of 3 leaves has 2 hashes, and not 1"):
        CompactRange(3, [EMPTY_ROOT])


def test_a_range_is_made_of_complete_subtrees() -> None:
    assert decompose(8, 15) == [(2, 2), (1, 6), (0, 14)]
    assert range_hash(8, 15, of_leaves(LEAVES)) == root(LEAVES[8:15])
    assert complete_hash(LEAVES[8:12]) == root(LEAVES[8:12])


def test_a_hash_has_one_spelling() -> None:
    text = encode_hash(EMPTY_ROOT)
    assert text == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
    assert decode_hash(text) == decode_hash(text.encode()) == EMPTY_ROOT


@pytest.mark.parametrize(
    "text",
    [
        "",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFV=",  # bits that stand for nothing
        "47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU=",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n",
        "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUé",
        "AAAA",
    ],
)
def test_another_spelling_of_a_hash_is_refused(text: str) -> None:
    with pytest.raises(BadHash):
        decode_hash(text)
    with pytest.raises(BadHash):
        decode_hash(text.encode())
