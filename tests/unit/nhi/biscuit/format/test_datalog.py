# SPDX-License-Identifier: EUPL-1.2
"""Blocks read and printed: as they were written, and no text ever looks like more than one."""

import pytest
from biscuit_auth import BiscuitBuilder, KeyPair
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from nhi.biscuit.format.chain import read_chain, write_chain
from nhi.biscuit.format.decode import read_blocks
from nhi.biscuit.format.error import BiscuitError
from nhi.biscuit.format.printer import print_block
from tests.unit.nhi.biscuit.tokens import SOURCE, checked, mint, narrowed

STATEMENTS = [
    "right(\"file1\", \"read\");\n",
    "f(1, -5, 2030-01-01T00:00:00Z, hex:00ff, true, false, null);\n",
    "f({1, 2}, {,}, [1, \"a\"], {2: [3], \"k\": 1});\n",
    "ns::name_1(\"é\");\n",
    "g($a) <- f($a, $b), $a > $b, $a.type() === \"integer\";\n",
    "check if f($a, 1) or g($a), $a !== 2 trusting authority, previous;\n",
    "check all f($a), !($a + 1 * 2 - 3 / 4 <= 5) && $a ^ 1 & 2 | 3 == 3;\n",
    "reject if f($a), [1].any($p -> $p === $a) || {1}.all($p -> $p >= 1);\n",
    "check if f($a), $a.starts_with(\"x\") || $a.ends_with(\"y\") || $a.contains(\"z\");\n",
    "check if f($a), {1}.union({2}).intersection({1}).length() != 0, $a.matches(\"a*\");\n",
    "check if {\"a\": 1}.get(\"a\") < 2, (1 / 0 === 1).try_or(true), true.extern::f(), 1.extern::g(2);\n",
]  # fmt: skip


def _printed(source: str) -> str:
    raw = bytes(BiscuitBuilder(source).build(KeyPair().private_key).to_bytes())
    return print_block(read_blocks(read_chain(raw))[0])


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_is_printed_as_it_was_written(statement: str) -> None:
    assert _printed(statement) == statement


def test_every_block_of_a_token_is_read_with_the_symbols_before_it() -> None:
    blocks = checked(narrowed(mint(), 'check if workload($w), $w === "w1";', "check if new($w);")).blocks
    assert print_block(blocks[0]).startswith('issuer("vault://eu-1");\n')
    assert [print_block(block) for block in blocks[1:]] == [
        'check if workload($w), $w === "w1";\n',
        "check if new($w);\n",
    ]
    assert len(blocks[0].facts) == SOURCE.count(";") - 2


def test_a_text_that_looks_like_another_statement_stays_one_text() -> None:
    evil = 'a"); right("everything'
    raw = bytes(BiscuitBuilder("note({text})", {"text": evil}).build(KeyPair().private_key).to_bytes())
    printed = print_block(read_blocks(read_chain(raw))[0])
    assert printed == 'note("a\\"); right(\\"everything");\n'
    assert _printed(printed) == printed


@given(st.text(alphabet=st.characters(exclude_categories=["C", "Z"]), max_size=40))
def test_whatever_a_text_holds_it_is_printed_as_one_that_reads_the_same(text: str) -> None:
    raw = bytes(BiscuitBuilder("note({text})", {"text": text}).build(KeyPair().private_key).to_bytes())
    block = read_blocks(read_chain(raw))[0]
    assert block.facts[0].terms[0].value == text
    again = bytes(BiscuitBuilder(print_block(block)).build(KeyPair().private_key).to_bytes())
    assert read_blocks(read_chain(again))[0].facts == block.facts


def test_what_does_not_print_is_shown_by_its_number() -> None:
    raw = bytes(BiscuitBuilder("note({t})", {"t": "\x1b[2J\u202e\n"}).build(KeyPair().private_key).to_bytes())
    assert print_block(read_blocks(read_chain(raw))[0]) == 'note("\\u{1b}[2J\\u{202e}\\n");\n'


@given(st.binary(max_size=200))
def test_noise_in_a_block_is_refused_or_read_and_never_more(noise: bytes) -> None:
    chain = read_chain(mint())
    changed = replace(chain, blocks=(replace(chain.blocks[0], block=noise),))
    assert read_chain(write_chain(changed)) == changed
    try:
        for block in read_blocks(changed):
            print_block(block)
    except BiscuitError:
        return
